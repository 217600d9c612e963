#include "run/lambda_metric.h"

#include "base/json.h"
#include "run/stage.h"

#include <sys/resource.h>

uint64_t lambda_windows_left(const struct plan_resource *p)
{
	uint64_t n = 0;
	for (size_t i = 0; i < p->n_windows; i++)
		n += run_wants_fetch(&p->windows[i]);
	return n;
}

struct metric {
	const char *name, *unit;
	uint64_t value;
};

static void put_line(const struct metric *m, size_t n, struct str pipeline, struct str resource, const struct run_result *r,
		     struct str request_id, int64_t now_us, struct buf *out)
{
	struct json_out o = JSON_OUT(out);
	json_begin_object(&o, NULL);
	json_begin_object(&o, "_aws");
	json_put_i64(&o, "Timestamp", now_us / 1000);
	json_begin_array(&o, "CloudWatchMetrics");
	json_begin_object(&o, NULL);
	json_put_z(&o, "Namespace", "sluice");
	json_begin_array(&o, "Dimensions");
	json_begin_array(&o, NULL);
	json_put_z(&o, NULL, "pipeline");
	if (resource.n > 0)
		json_put_z(&o, NULL, "resource");
	else
		json_put_z(&o, NULL, "command");
	json_end_array(&o);
	json_end_array(&o);
	json_begin_array(&o, "Metrics");
	for (size_t i = 0; i < n; i++) {
		json_begin_object(&o, NULL);
		json_put_z(&o, "Name", m[i].name);
		json_put_z(&o, "Unit", m[i].unit);
		json_end_object(&o);
	}
	json_end_array(&o);
	json_end_object(&o);
	json_end_array(&o);
	json_end_object(&o);
	json_put_str(&o, "pipeline", pipeline);
	if (resource.n > 0)
		json_put_str(&o, "resource", resource);
	else
		json_put_str(&o, "command", r->command);
	json_put_str(&o, "run", r->run_id);
	json_put_str(&o, "requestId", request_id);
	for (size_t i = 0; i < n; i++)
		json_put_u64(&o, m[i].name, m[i].value);
	json_end_object(&o);
	buf_add_char(out, '\n');
}

void lambda_metrics_put(const struct run_result *all, struct str pipeline, struct str request_id, int64_t now_us, struct buf *out)
{
	struct rusage used, *usage = &used;
	getrusage(RUSAGE_SELF, usage);
	{
		const struct run_result *r = all;
		const struct metric rows[] = {
#define RESOURCE(name, unit, value)
#define INVOCATION(name, unit, value) { #name, #unit, (uint64_t)(value) },
#include "run/lambda_metric.def"
#undef RESOURCE
#undef INVOCATION
		};
		put_line(rows, sizeof rows / sizeof rows[0], pipeline, STR_NONE, all, request_id, now_us, out);
	}
	for (size_t i = 0; i < all->n_resources && all->plan.request.ingest; i++) {
		const struct run_resource *r = &all->resources[i];
		uint64_t left = lambda_windows_left(&all->plan.resources[i]);
		if (!all->plan.resources[i].selected)
			continue;
		const struct metric rows[] = {
#define RESOURCE(name, unit, value) { #name, #unit, (uint64_t)(value) },
#define INVOCATION(name, unit, value)
#include "run/lambda_metric.def"
#undef RESOURCE
#undef INVOCATION
		};
		put_line(rows, sizeof rows / sizeof rows[0], pipeline, r->name, all, request_id, now_us, out);
	}
}
