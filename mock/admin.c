/* /_mock/: what was served, and other faults, without a token and outside all counts and limits. */
#include "mock/answer.h"

static void put_counts(struct mock *m, struct draft *d)
{
	stats_json(&m->stats, &m->config, &d->own);
	d->own.n -= 2; /* "}\n": more members follow */
	buf_addf(&d->own, ",\"pages_rendered\":%llu,\"cache_bytes\":%llu}\n",
		 (unsigned long long)m->pages.cache.made, (unsigned long long)m->pages.cache.bytes);
}

/* {"script": [...], "faults": {...}}, or the list of rules alone; what is absent is off. */
static void take_faults(struct mock *m, const struct http_request *q, struct draft *d)
{
	struct arena a = ARENA_INIT;
	struct problems p = PROBLEMS_INIT(&a);
	struct yaml_node *root = NULL;
	static const char *const KNOWN[] = { "script", "faults", NULL };
	struct faults fresh = { 0 };
	bool ok = yaml_parse("(request)", q->body, &a, &root, &p);
	bool list = ok && root && root->type == YAML_LIST;
	if (ok && root && !list)
		yaml_known_keys(root, KNOWN, &p);
	if (ok && p.n_errors == 0)
		ok = faults_read(&fresh, list ? root : yaml_get(root, "script"),
				 list ? NULL : yaml_get(root, "faults"), &p);
	if (ok && p.n_errors == 0) {
		faults_free(&m->faults);
		m->faults = fresh;
		buf_addf(&d->own, "{\"rules\":%zu}\n", fresh.n_rules);
	} else {
		struct buf text = BUF_INIT(1 << 16);
		problems_print(&p, &text);
		d->status = 400;
		struct json_out o = JSON_OUT(&d->own);
		json_begin_object(&o, NULL);
		json_put_str(&o, "error", buf_str(&text));
		json_end_object(&o);
		buf_free(&text);
		faults_free(&fresh);
	}
	arena_free(&a);
}

void admin_answer(struct mock *m, const struct http_request *q, struct draft *d)
{
	bool get = str_eq_z(q->method, "GET"), post = str_eq_z(q->method, "POST");
	struct str name = str_sub(q->path, 7, q->path.n);
	if (get && str_eq_z(name, "stats")) {
		put_counts(m, d);
	} else if (get && str_eq_z(name, "requests")) {
		const struct http_field *resource = http_param(q, STR("resource")), *limit = http_param(q, STR("limit"));
		uint64_t n = UINT64_MAX;
		if (limit && !str_to_u64(limit->value, &n)) {
			draft_error(d, 400, "limit is a number");
			return;
		}
		stats_log_json(&m->stats, &m->config, resource ? resource->value : STR_NONE, n, &d->own);
	} else if (post && str_eq_z(name, "reset")) {
		stats_reset(&m->stats);
		faults_reset(&m->faults);
		m->rate.tat_ns = m->retry_from_us = 0;
		buf_add_z(&d->own, "{}\n");
	} else if (post && str_eq_z(name, "faults")) {
		take_faults(m, q, d);
	} else {
		draft_error(d, 404, "GET /_mock/stats, GET /_mock/requests, POST /_mock/reset, POST /_mock/faults");
	}
}
