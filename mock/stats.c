#include "mock/stats.h"

#include <stdio.h>
#include <string.h>

void stats_init(struct stats *s, size_t n_resources, uint64_t log_max)
{
	*s = (struct stats){ .n_resources = n_resources, .log_max = log_max, .first_us = -1 };
	s->by_resource = mem_alloc(mem_size(n_resources + 1, sizeof *s->by_resource));
	s->log = mem_alloc(mem_size((size_t)log_max + 1, sizeof *s->log));
}

void stats_reset(struct stats *s)
{
	struct stats fresh = { .n_resources = s->n_resources, .log_max = s->log_max, .first_us = -1,
			       .open_now = s->open_now, .open_most = s->open_now, .by_resource = s->by_resource,
			       .in_flight = s->in_flight, .log = s->log };
	memset(s->by_resource, 0, s->n_resources * sizeof *s->by_resource);
	*s = fresh;
}

void stats_add(struct stats *s, const struct served *r)
{
	s->requests++;
	s->bytes += r->bytes;
	s->rate_limited += r->status == 429 && r->fault == FAULT_NONE;
	if (r->status >= 0 && r->status < STATUS_MAX)
		s->by_status[r->status]++;
	s->by_fault[r->fault]++;
	if (s->first_us < 0)
		s->first_us = r->at_us;
	s->last_us = r->at_us;
	if (r->resource >= 0) {
		struct resource_count *c = &s->by_resource[r->resource];
		bool good = r->status == 200 && r->fault == FAULT_NONE;
		c->requests++;
		c->bytes += r->bytes;
		c->good += good;
		c->rows += good ? r->rows : 0;
	}
	if (s->log_max) {
		struct served *entry = &s->log[s->log_n++ % s->log_max];
		*entry = *r;
		entry->n = s->log_n;
	}
}

void stats_json(const struct stats *s, const struct mock_config *c, struct buf *out)
{
	struct json_out o = JSON_OUT(out);
	char status[16];
	json_begin_object(&o, NULL);
	json_put_u64(&o, "requests", s->requests);
	json_put_u64(&o, "bytes", s->bytes);
	json_put_u64(&o, "rate_limited", s->rate_limited);
	json_put_u64(&o, "connections", s->connections);
	json_put_u64(&o, "open", s->open_now);
	json_put_u64(&o, "open_most", s->open_most);
	json_put_u64(&o, "in_flight_most", s->in_flight_most);
	json_put_i64(&o, "elapsed_us", s->first_us < 0 ? 0 : s->last_us - s->first_us);
	json_begin_object(&o, "resources");
	for (size_t i = 0; i < s->n_resources; i++) {
		const struct resource_count *r = &s->by_resource[i];
		json_put_key(&o, c->resources[i].name);
		json_begin_object(&o, NULL);
		json_put_u64(&o, "requests", r->requests);
		json_put_u64(&o, "good", r->good);
		json_put_u64(&o, "rows", r->rows);
		json_put_u64(&o, "bytes", r->bytes);
		json_end_object(&o);
	}
	json_end_object(&o);
	json_begin_object(&o, "status");
	for (size_t i = 0; i < STATUS_MAX; i++)
		if (s->by_status[i]) {
			snprintf(status, sizeof status, "%zu", i);
			json_put_u64(&o, status, s->by_status[i]);
		}
	json_end_object(&o);
	json_begin_object(&o, "faults");
	for (enum fault f = FAULT_NONE + 1; f < FAULTS; f++)
		if (s->by_fault[f])
			json_put_u64(&o, fault_name(f), s->by_fault[f]);
	json_end_object(&o);
	json_end_object(&o);
	buf_add_char(out, '\n');
}

static void served_json(const struct served *r, const struct mock_config *c, struct json_out *o)
{
	const char *auth = r->auth == 'n' ? "none" : r->auth == '-' ? "missing" : r->auth == 'x' ? "wrong" : "good";
	json_begin_object(o, NULL);
	json_put_u64(o, "n", r->n);
	json_put_i64(o, "at_us", r->at_us);
	json_put_u64(o, "connection", r->connection);
	json_put_z(o, "method", r->method);
	json_put_z(o, "target", r->target);
	json_put_z(o, "host", r->host);
	if (r->resource >= 0)
		json_put_str(o, "resource", c->resources[r->resource].name);
	else
		json_put_null(o, "resource");
	json_put_z(o, "auth", auth);
	json_put_i64(o, "status", r->status);
	json_put_z(o, "fault", r->fault ? fault_name(r->fault) : NULL);
	json_put_bool(o, "gzip", r->gzip);
	json_put_u64(o, "rows", r->rows);
	json_put_u64(o, "bytes", r->bytes);
	json_put_bool(o, "retried_early", r->retried_early);
	json_end_object(o);
}

void stats_log_json(const struct stats *s, const struct mock_config *c, struct str resource, uint64_t limit,
		    struct buf *out)
{
	uint64_t kept = s->log_n < s->log_max ? s->log_n : s->log_max, from = s->log_n, count = 0;
	struct json_out o = JSON_OUT(out);
	for (; count < limit && from > s->log_n - kept; from--) {
		int r = s->log[(from - 1) % s->log_max].resource;
		count += resource.n == 0 || (r >= 0 && str_eq(c->resources[r].name, resource));
	}
	json_begin_array(&o, NULL);
	for (; from < s->log_n; from++) {
		const struct served *r = &s->log[from % s->log_max];
		if (resource.n == 0 || (r->resource >= 0 && str_eq(c->resources[r->resource].name, resource)))
			served_json(r, c, &o);
	}
	json_end_array(&o);
	buf_add_char(out, '\n');
}

void stats_free(struct stats *s)
{
	mem_free(s->by_resource);
	mem_free(s->log);
}
