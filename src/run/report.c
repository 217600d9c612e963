/* The report of a run, for people. Columns are aligned; amounts are short, exact ones stand in record.json. */
#include "run/runner.h"

#include <inttypes.h>
#include <stdio.h>

/* 12,345,678 */
static const char *count_text(uint64_t v, char out[32])
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%" PRIu64, v), k = 0;
	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			out[k++] = ',';
		out[k++] = digits[i];
	}
	out[k] = '\0';
	return out;
}

static const char *size_text(uint64_t bytes, char out[32])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double v = (double)bytes;
	size_t u = 0;
	while (v >= 1000 && u < 4) {
		v /= 1000;
		u++;
	}
	snprintf(out, 32, u == 0 ? "%.0f %s" : "%.1f %s", v, units[u]);
	return out;
}

static const char *time_text(int64_t us, char out[32])
{
	if (us < 1000000)
		snprintf(out, 32, "%.0f ms", (double)us / 1e3);
	else if (us < 60 * INT64_C(1000000))
		snprintf(out, 32, "%.1f s", (double)us / 1e6);
	else
		snprintf(out, 32, "%d min %02d s", (int)(us / 60000000), (int)(us / 1000000 % 60));
	return out;
}

/* In a column beside numbers: `1 min 02 s` would look like one more of them. */
static const char *time_cell(int64_t us, char out[32])
{
	if (us < 60 * INT64_C(1000000))
		return time_text(us, out);
	snprintf(out, 32, "%d:%02d min", (int)(us / 60000000), (int)(us / 1000000 % 60));
	return out;
}

static void print_ingest(const struct run_result *r, struct buf *out)
{
	char a[32], b[32], c[32], d[32], t[32];
	buf_addf(out, "\nIngest  %s\n", time_text(r->ingest_us, t));
	buf_addf(out, "  %-14s %9s %8s %12s %10s %10s %8s %6s\n", "resource", "windows", "pages", "records", "bytes",
		 "requests", "retries", "429s");
	for (size_t i = 0; i < r->n_resources; i++) {
		const struct run_resource *x = &r->resources[i];
		if (x->requests == 0 && x->failed + x->fenced + x->stopped == 0) {
			buf_addf(out, "  %-14.*s %.*s\n", STR_ARG(x->name), STR_ARG(x->note));
			continue;
		}
		buf_addf(out, "  %-14.*s %9s %8s %12s %10s %10s %8" PRIu64 " %6" PRIu64, STR_ARG(x->name),
			 count_text(x->windows_fetched, a), count_text(x->pages, b), count_text(x->records, c),
			 size_text(x->body_bytes, d), count_text(x->requests, t), x->retries, x->busy);
		if (x->resumed_pages > 0)
			buf_addf(out, "  resumed behind page %" PRIu64, x->resumed_pages);
		if (x->failed > 0)
			buf_addf(out, "  %zu FAILED", x->failed);
		if (x->candidates > 0)
			buf_addf(out, "  %zu wait for `sluice accept`", x->candidates);
		if (x->early > 0)
			buf_addf(out, "  %zu not over yet by the server's clock", x->early);
		if (x->fenced + x->stopped > 0)
			buf_addf(out, "  %zu not done", x->fenced + x->stopped);
		buf_add_char(out, '\n');
	}
}

/* Resources of which a run without ingest has no table to show. */
static void print_unprepared(const struct run_result *r, struct buf *out)
{
	bool any = false;
	for (size_t i = 0; i < r->n_resources; i++) {
		bool shown = false, left_out = r->plan.raw_from.n > 0 && r->plan.resources[i].n_fetch > 0;
		for (size_t k = 0; k < r->n_tables; k++)
			shown = shown || (r->tables[k].zone == ZONE_PREPARE && str_eq(r->tables[k].name, r->resources[i].name));
		if (shown && !left_out)
			continue;
		buf_addf(out, "%s  %-14.*s %.*s\n", any ? "" : "\n", STR_ARG(r->resources[i].name), STR_ARG(r->resources[i].note));
		any = true;
	}
}

/* What no run of this interval will ever prepare: nobody should have to look for it. */
static void print_elsewhere(const struct run_result *r, struct buf *out)
{
	bool any = false;
	for (size_t i = 0; i < r->n_resources; i++) {
		const struct run_resource *x = &r->resources[i];
		if (x->elsewhere.n == 0)
			continue;
		buf_addf(out, "%s  %.*s: %.*s\n", any ? "" : "\n", STR_ARG(x->name), STR_ARG(x->elsewhere));
		any = true;
	}
}

static void print_rules(const struct run_table *t, struct buf *out)
{
	char a[32];
	if (t->loss.with_parent > 0)
		buf_addf(out, "    %-32s %s row%s\n", "gone with their record", count_text(t->loss.with_parent, a),
			 t->loss.with_parent == 1 ? "" : "s");
	for (size_t i = 0; i < t->loss.n_rules; i++)
		if (t->loss.rules[i].rows > 0)
			buf_addf(out, "    %-32.*s %s: %s row%s\n", STR_ARG(t->loss.rules[i].rule),
				 t->loss.rules[i].action == ACTION_WARN ? "warning" : "set aside",
				 count_text(t->loss.rules[i].rows, a), t->loss.rules[i].rows == 1 ? "" : "s");
	if (t->loss.inexact > 0)
		buf_addf(out, "    %-32s warning: %s value%s\n", "rounded, or a wall time twice", count_text(t->loss.inexact, a),
			 t->loss.inexact == 1 ? "" : "s");
	for (size_t i = 0; i < t->n_relationships; i++)
		if (t->relationships[i].rows > 0)
			buf_addf(out, "    %-32.*s %s: %s%s\n", STR_ARG(t->relationships[i].rule),
				 t->relationships[i].action == ACTION_FAIL ? "BROKEN" : "warning",
				 count_text(t->relationships[i].rows, a),
				 str_contains(t->relationships[i].rule, STR(" -> ")) ? " rows without a partner" : "");
	for (size_t i = 0; i < t->loss.n_extra && i < 5; i++)
		buf_addf(out, "    field %.*s is not in the contract (kept in _extra): %s records\n",
			 STR_ARG(t->loss.extra_fields[i]), count_text(t->loss.extra_counts[i], a));
}

static void print_tables(const struct run_result *r, enum lake_zone zone, const char *title, int64_t us, struct buf *out)
{
	char a[32], b[32], c[32], d[32], t[32];
	bool any = false;
	for (size_t i = 0; i < r->n_tables; i++)
		any = any || r->tables[i].zone == zone;
	if (!any)
		return;
	bool prepare = zone == ZONE_PREPARE;
	buf_addf(out, "\n%s  %s\n  %-26s %12s %10s %6s %8s", title, time_text(us, t), "table", "rows", "bytes", "files", "time");
	buf_add_z(out, prepare ? "         read  quarantined  duplicates\n" : "\n");
	for (size_t i = 0; i < r->n_tables; i++) {
		const struct run_table *x = &r->tables[i];
		if (x->zone != zone)
			continue;
		if (!x->changed) {
			buf_addf(out, "  %-26.*s %12s %10s %6s           %.*s\n", STR_ARG(x->name), count_text(x->rows, a),
				 size_text(x->size_bytes, b), count_text(x->files, c), STR_ARG(x->note));
			print_rules(x, out); /* what it leads to may have changed */
			continue;
		}
		buf_addf(out, "  %-26.*s %12s %10s %6s %8s", STR_ARG(x->name), count_text(x->rows, a),
			 size_text(x->size_bytes, b), count_text(x->files, c), x->parent.n > 0 ? "" : time_cell(x->took_us, d));
		if (prepare) {
			buf_addf(out, " %12s", count_text(x->loss.read, a));
			buf_addf(out, " %12s", count_text(x->loss.quarantined, a));
			buf_addf(out, " %11s", count_text(x->loss.duplicates, a));
		}
		if (x->shared > 0)
			buf_addf(out, "\n    %.*s", STR_ARG(x->note));
		if (str_starts(x->engine, STR("Spark")))
			buf_addf(out, "\n    by %.*s%s%s", STR_ARG(x->engine), x->spark_file ? ", which ran " : "",
				 x->spark_file ? x->spark_file : "");
		buf_add_char(out, '\n');
		print_rules(x, out);
	}
}

void run_report_print(const struct run_result *r, struct buf *out)
{
	char t[32], m[32];
	buf_addf(out, "Run %.*s\n", STR_ARG(r->run_id));
	plan_print_where(&r->plan, out);
	if (r->plan.request.ingest)
		print_ingest(r, out);
	else if (r->plan.request.prepare)
		print_unprepared(r, out);
	print_tables(r, ZONE_PREPARE, "Prepare", r->prepare_us, out);
	print_tables(r, ZONE_REFINE, "Refine", r->refine_us, out);
	if (r->plan.request.prepare)
		print_elsewhere(r, out);
	bool stopped = r->err.code == ERR_SIGINT || r->err.code == ERR_SIGTERM;
	const char *end = stopped ? "Stopped after"
			  : r->err.code != ERR_NONE ? "Ended with an error after"
			  : r->nothing_to_do	      ? "Nothing to do; that took"
						      : "Done in";
	buf_addf(out, "\n%s %s", end, time_text(r->took_us, t));
	if (r->peak_rss_engine_bytes > 0)
		buf_addf(out, ", engine memory at most %s", size_text(r->peak_rss_engine_bytes, m));
	buf_add_z(out, ".\n");
}
