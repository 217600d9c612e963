#include "mock/answer.h"

#include "mock/spoil.h"

#include <string.h>

void answer_refuse(struct mock *m, int status, struct answer *out)
{
	struct draft d = { .type = "application/json", .headers = BUF_INIT(1024), .own = BUF_INIT(1024) };
	*out = (struct answer){ 0 };
	d.wall_us = m->clock->wall_us(m->clock);
	draft_error(&d, status, "this request was not understood");
	draft_finish(&d, out);
}

/* ── who may ── */

static bool basic_good(const struct opt_top *o, struct str header)
{
	struct buf pair = BUF_INIT(1 << 16), want = BUF_INIT(1 << 17);
	buf_addf(&pair, "%.*s:%.*s", STR_ARG(o->user), STR_ARG(o->token));
	buf_add_z(&want, "Basic ");
	base64_encode(&want, buf_str(&pair));
	bool good = str_eq(header, buf_str(&want));
	buf_free(&pair);
	buf_free(&want);
	return good;
}

/* 'n' none needed, '-' missing, 'x' wrong, '+' good. */
static char check_auth(const struct opt_top *o, const struct http_request *q)
{
	if (o->token.n == 0)
		return 'n';
	struct str shown = http_header(q, "Authorization");
	if (o->auth == AUTH_HEADER)
		shown = http_header(q, o->auth_name.p);
	if (o->auth == AUTH_QUERY) {
		const struct http_field *f = http_param(q, o->auth_name);
		shown = f ? f->value : STR_NONE;
	}
	if (shown.n == 0)
		return '-';
	if (o->auth == AUTH_BASIC)
		return basic_good(o, shown) ? '+' : 'x';
	if (o->auth == AUTH_BEARER) {
		if (!str_eq_nocase(str_sub(shown, 0, 7), STR("Bearer ")))
			return 'x';
		shown = str_trim(str_sub(shown, 7, shown.n));
	}
	return str_eq(shown, o->token) ? '+' : 'x';
}

static int find_resource(const struct mock *m, struct str path)
{
	struct str base = m->config.top.base;
	if (!str_starts(path, base))
		return NO_RESOURCE;
	for (size_t i = 0; i < m->config.n_resources; i++)
		if (str_eq(m->config.resources[i].o.path, str_sub(path, base.n, path.n)))
			return (int)i;
	return NO_RESOURCE;
}

static const char *unknown_param(const struct mock *m, const struct mock_resource *r, const struct http_request *q)
{
	struct str auth = m->config.top.auth == AUTH_QUERY ? m->config.top.auth_name : STR_NONE;
	for (size_t i = 0; i < q->n_params; i++)
		if (!page_knows_param(r, q->params[i].name) && !(auth.n && str_eq(auth, q->params[i].name)))
			return "unknown query parameter";
	return NULL;
}

/* ── the way of a request ── */

static void answer_page(struct mock *m, struct mock_resource *r, struct http_request *q, struct arena *a, enum fault f,
			const struct opt_rule *rule, struct draft *d, uint64_t *rows)
{
	struct page p = { 0 };
	const char *why = m->config.top.strict ? unknown_param(m, r, q) : NULL;
	int status = why ? 400 : page_find(&m->pages, r, q, a, &p, &why);
	if (status != 200) {
		draft_error(d, status, why);
		blob_release(p.rows);
		return;
	}
	page_spoil(&p, f, rule, rule->to.n ? rule->to : m->other_origin);
	page_headers(&m->pages, &p, &d->headers);
	*rows = p.count;
	bool gzip = (m->config.top.gzip && http_accepts_gzip(q)) || spoil_wants_gzip(f);
	d->blob = page_body(&m->pages, &p, gzip && !spoil_wants_plain(f));
	d->gzip = gzip;
	if (d->blob && spoil_wants_plain(f)) {
		struct buf text = BUF_INIT(d->blob->bytes.n + 64);
		struct str plain = spoil_text(f, d->blob->bytes, &text) ? buf_str(&text) : d->blob->bytes;
		gzip = d->gzip = gzip && f != FAULT_not_gzip;
		d->own.max = plain.n + (1 << 16);
		if (!gzip || !page_gzip(&m->pages, plain, &d->own))
			buf_add(&d->own, plain);
		blob_release(d->blob);
		d->blob = NULL;
		buf_free(&text);
	} else if (!d->blob) {
		d->gzip = false;
		draft_error(d, 500, "the page is larger than 1 GiB");
	}
	blob_release(p.rows);
}

static enum fault answer_resource(struct mock *m, struct http_request *q, struct arena *a, struct served *log,
				  struct draft *d, struct answer *out)
{
	const struct opt_top *o = &m->config.top;
	int64_t now_us = m->clock->monotonic_us(m->clock), wait_us;
	enum fault f = FAULT_NONE;
	const struct opt_rule *rule = &m->faults.usual;
	log->auth = check_auth(o, q);
	if (log->auth == '-' || log->auth == 'x') {
		draft_error(d, 401, log->auth == '-' ? "a token is needed" : "the token is wrong");
		buf_addf(&d->headers, "WWW-Authenticate: %s realm=\"mock\"\r\n", o->auth == AUTH_BASIC ? "Basic" : "Bearer");
	} else if (log->resource == NO_RESOURCE) {
		draft_error(d, 404, "there is no such path");
	} else if (!str_eq_z(q->method, "GET") && !str_eq_z(q->method, "HEAD")) {
		draft_error(d, 405, "only GET and HEAD");
		buf_add_z(&d->headers, "Allow: GET, HEAD\r\n");
	} else if (!rate_take(&m->rate, now_us, &wait_us)) {
		log->retried_early = now_us < m->retry_from_us;
		m->retry_from_us = now_us + wait_us;
		draft_error(d, 429, "too many requests");
		rate_headers(&m->rate, now_us, d->wall_us, wait_us, &d->headers);
	} else {
		struct mock_resource *r = &m->config.resources[log->resource];
		log->retried_early = now_us < m->retry_from_us;
		out->delay_us = r->o.latency;
		rate_headers(&m->rate, now_us, d->wall_us, 0, &d->headers);
		f = fault_draw(&m->faults, r->o.path, q->target, &rule);
		struct spoil spoil = { f, rule, m->other_origin, d->wall_us };
		if (!spoil_instead(&spoil, q, d))
			answer_page(m, r, q, a, f, rule, d, &log->rows);
	}
	spoil_encoded(f, rule, d);
	log->gzip = d->gzip;
	log->status = d->status;
	draft_finish(d, out);
	spoil_sending(f, rule, out);
	return f;
}

static void copy_cut(char *to, size_t size, struct str s)
{
	size_t n = s.n < size - 1 ? s.n : size - 1;
	if (n)
		memcpy(to, s.p, n);
	to[n] = '\0';
}

/* The target as it came, without the token where that stands in the query. */
static void copy_target(const struct mock *m, const struct http_request *q, struct served *log)
{
	copy_cut(log->target, sizeof log->target, q->target);
	if (m->config.top.auth != AUTH_QUERY || m->config.top.token.n == 0)
		return;
	struct buf masked = BUF_INIT(HTTP_HEAD_MAX * 4);
	struct str rest = q->query, part;
	buf_add(&masked, q->path);
	for (char mark = '?'; str_cut(&rest, '&', &part); mark = '&') {
		bool secret = str_eq(str_sub(part, 0, str_find_char(part, '=')), m->config.top.auth_name);
		buf_add_char(&masked, mark);
		buf_add(&masked, secret ? m->config.top.auth_name : part);
		buf_add_z(&masked, secret ? "=***" : "");
	}
	copy_cut(log->target, sizeof log->target, buf_str(&masked));
	buf_free(&masked);
}

void answer_make(struct mock *m, struct http_request *q, uint64_t connection, struct answer *out)
{
	struct draft d = { .status = 200, .type = "application/json", .headers = BUF_INIT(1 << 17),
			   .own = BUF_INIT(64 << 20), .keep_alive = q->keep_alive };
	struct arena a = ARENA_INIT;
	*out = (struct answer){ 0 };
	d.wall_us = m->clock->wall_us(m->clock);
	d.head_only = str_eq_z(q->method, "HEAD");
	d.chunked = m->config.top.chunked;
	if (!http_params(q, &a)) {
		draft_error(&d, 400, "the query is broken");
		draft_finish(&d, out);
	} else if (str_starts(q->path, STR("/_mock/"))) {
		d.chunked = false;
		admin_answer(m, q, &d);
		draft_finish(&d, out);
	} else {
		struct served log = { .connection = connection, .resource = find_resource(m, q->path) };
		log.at_us = m->clock->monotonic_us(m->clock) - m->start_us;
		copy_cut(log.method, sizeof log.method, q->method);
		copy_cut(log.host, sizeof log.host, http_header(q, "Host"));
		copy_target(m, q, &log);
		log.fault = answer_resource(m, q, &a, &log, &d, out);
		log.bytes = out->nothing ? 0 : out->head.n + out->body.n;
		if (out->nothing)
			log.status = 0;
		stats_add(&m->stats, &log);
	}
	arena_free(&a);
}
