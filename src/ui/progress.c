#include "ui/progress.h"

#include "base/effect.h"
#include "base/log.h"
#include "ui/amount.h"
#include "ui/command.h"

#include <unistd.h>

enum { REDRAW_US = 100000, LINES_MAX = 24, DISPLAY_MAX = 64 << 10 };

struct progress {
	struct buf text;
	size_t lines;      /* on the screen, above the cursor */
	int64_t drawn_us;  /* elapsed time of the last picture */
	enum run_stage stage;
};

static struct progress *shown; /* whose lines a log line has to step over */

static void send(struct progress *p)
{
	ssize_t n = sys_say(STDERR_FILENO, p->text.p, p->text.n);
	(void)n;
	buf_clear(&p->text);
}

static void go_up(struct progress *p)
{
	if (p->lines > 0)
		buf_addf(&p->text, "\x1b[%zuA", p->lines);
	buf_add_z(&p->text, "\r\x1b[J");
	p->lines = 0;
}

static void before_log(void)
{
	if (shown && shown->lines > 0) {
		go_up(shown);
		send(shown);
		shown->drawn_us = 0;
	}
}

struct progress *progress_open(bool wanted, struct arena *a)
{
	if (!wanted || terminal_columns(STDERR_FILENO) == 0)
		return NULL;
	struct progress *p = arena_new(a, struct progress);
	p->text = BUF_INIT(DISPLAY_MAX);
	shown = p;
	log_set_before_line(before_log);
	return p;
}

void progress_close(struct progress *p)
{
	if (p == NULL)
		return;
	log_set_before_line(NULL);
	shown = NULL;
	if (p->lines > 0) {
		go_up(p);
		send(p);
	}
	buf_free(&p->text);
}

/* One line, cut to the width: a line that wraps could not be redrawn in place. */
static void put_line(struct progress *p, const struct buf *line, size_t width)
{
	struct str rest = buf_str(line);
	size_t used = 0;
	while (rest.n > 0 && used + 1 < width) {
		size_t n = str_utf8_char(rest);
		buf_add(&p->text, str_sub(rest, 0, n ? n : 1));
		rest = str_sub(rest, n ? n : 1, rest.n);
		used++;
	}
	buf_add_z(&p->text, "\x1b[K\n");
	p->lines++;
}

static void resource_line(const struct resource_progress *r, int64_t elapsed_us, struct buf *b)
{
	buf_addf(b, "  %-14.*s %7s/%-14s %14s", STR_ARG(r->name), amount_count(r->windows_done).text,
		 amount_things(r->windows_total, "window").text, amount_things(r->pages, "page").text);
	buf_addf(b, " %17s %9s", amount_things(r->records, "row").text, amount_size(r->bytes).text);
	if (r->windows_done >= r->windows_total)
		buf_add_z(b, "  done");
	else if (r->windows_done > 0)
		buf_addf(b, "  %s left",
			 amount_time((int64_t)((double)elapsed_us * (double)(r->windows_total - r->windows_done) /
					       (double)r->windows_done)).text);
	if (r->busy > 0)
		buf_addf(b, "  %s 429s", amount_count(r->busy).text);
	if (r->retries > 0)
		buf_addf(b, "  %s retries", amount_count(r->retries).text);
}

static void draw_ingest(struct progress *p, const struct run_progress *r, size_t width, struct buf *line)
{
	size_t more = 0;
	buf_addf(line, "Ingest  %s  %.1f", amount_time(r->elapsed_us).text, r->rate_used);
	if (r->rate_allowed > 0)
		buf_addf(line, " of %.1f allowed", r->rate_allowed);
	buf_add_z(line, " requests/s");
	put_line(p, line, width);
	for (size_t i = 0; i < r->n_resources; i++) {
		if (r->resources[i].windows_total == 0)
			continue;
		if (p->lines == LINES_MAX) {
			more++;
			continue;
		}
		buf_clear(line);
		resource_line(&r->resources[i], r->elapsed_us, line);
		put_line(p, line, width);
	}
	if (more > 0) {
		buf_clear(line);
		buf_addf(line, "  and %zu more resources", more);
		put_line(p, line, width);
	}
}

void progress_draw(void *user, const struct run_progress *r)
{
	struct progress *p = user;
	static const char *const names[] = { "Plan", "Ingest", "Prepare", "Refine", "Done" };
	int width = terminal_columns(STDERR_FILENO);
	if (p == NULL || width == 0)
		return;
	if (p->lines > 0 && p->stage == r->stage && r->elapsed_us - p->drawn_us < REDRAW_US)
		return;
	struct buf line = BUF_INIT(4096);
	p->drawn_us = r->elapsed_us;
	p->stage = r->stage;
	if (p->lines > 0)
		buf_addf(&p->text, "\x1b[%zuA\r\x1b[J", p->lines);
	p->lines = 0;
	if (r->stage == STAGE_INGEST) {
		draw_ingest(p, r, (size_t)width, &line);
	} else if (r->stage != STAGE_DONE) {
		buf_addf(&line, "%s  %s  %.*s", names[r->stage], amount_time(r->elapsed_us).text, STR_ARG(r->table));
		if (r->rows_total > 0)
			buf_addf(&line, "  %s of %s rows", amount_count(r->rows_done).text, amount_count(r->rows_total).text);
		put_line(p, &line, (size_t)width);
	}
	send(p);
	buf_free(&line);
}
