/* init: one page of an API, and a pipeline file to start from. */
#include "base/check.h"
#include "base/effect.h"
#include "base/file.h"
#include "base/json.h"
#include "driver/aws_secret.h"
#include "driver/http.h"
#include "format/warc.h"
#include "ui/amount.h"
#include "ui/command.h"
#include "ui/guess.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { INIT_BODY_MAX = 16 << 20, INIT_QUERY_MAX = QUERY_MAX };

struct init {
	struct ui *u;
	struct arena *a;
	const char *file;
	struct url url;
	struct secret secret;
	struct secret_set secrets;
	struct guess_query query[INIT_QUERY_MAX];
	size_t n_query;
	struct str base_path, path, name; /* "/v1", "/flights", "flights" */
	struct guess guess;
};

/* ── the URL ── */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static struct str url_decode(struct str s, struct arena *a)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 && hex_digit(s.p[i + 2]) >= 0) {
			p[n++] = (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2]));
			i += 2;
		} else {
			p[n++] = s.p[i] == '+' ? ' ' : s.p[i];
		}
	}
	return (struct str){ p, n };
}

/* A name of a resource out of the last part of the path: "/v1/Flight-Plans.json" gives flight_plans. */
static struct str resource_name(struct str part, struct arena *a)
{
	char *p = arena_alloc(a, NAME_MAX_BYTES + 1);
	size_t n = 0;
	part = str_sub(part, 0, str_find_char(part, '.'));
	for (size_t i = 0; i < part.n && n < NAME_MAX_BYTES; i++) {
		char c = part.p[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		bool letter = c >= 'a' && c <= 'z';
		if (!letter && !(c >= '0' && c <= '9'))
			c = '_';
		if ((n == 0 && !letter) || (c == '_' && p[n - 1] == '_'))
			continue;
		p[n++] = c;
	}
	while (n > 0 && p[n - 1] == '_')
		n--;
	struct str name = { p, n };
	return name_ok(name) ? name : STR("records");
}

static bool split_url(struct init *i, struct str text, struct err *e)
{
	if (!url_parse(text, i->a, &i->url, e)) {
		e->code = ERR_USAGE;
		return false;
	}
	struct str path = i->url.path, rest = i->url.query, pair;
	while (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	size_t slash = path.n;
	while (slash > 0 && path.p[slash - 1] != '/')
		slash--;
	i->base_path = str_sub(path, 0, slash ? slash - 1 : 0);
	i->path = str_sub(i->url.path, i->base_path.n, i->url.path.n);
	i->name = resource_name(str_sub(path, slash, path.n), i->a);
	while (str_cut(&rest, '&', &pair)) {
		size_t equals = str_find_char(pair, '=');
		if (i->n_query == INIT_QUERY_MAX)
			return err_set(e, ERR_USAGE, "more than %d query parameters", INIT_QUERY_MAX);
		i->query[i->n_query++] = (struct guess_query){ url_decode(str_sub(pair, 0, equals), i->a),
								url_decode(str_sub(pair, equals + 1, pair.n), i->a) };
	}
	return true;
}

/* ── the page ── */

static bool load_secret(struct init *i, struct err *e)
{
	struct str reference = i->u->args.value[OPT_BEARER];
	if (!i->u->args.given[OPT_BEARER])
		return true;
	if (!secret_reference_ok(reference)) {
		err_set(e, ERR_USAGE, "--bearer takes a reference to a secret, and not the secret itself");
		return err_hint(e, "`export API_TOKEN=...`, then --bearer env:API_TOKEN");
	}
	if (str_eq(i->url.origin.scheme, STR("http")) && !host_is_loopback(i->url.origin.host))
		return err_set(e, ERR_USAGE, "a token is not sent over plain http; use https");
	i->secret = secret_make(reference, i->a);
	struct secret_fetcher *f;
	struct aws_chain_options aws = { .clock = clock_system() };
	if (!aws_secrets_open(&aws, &f, e))
		return false;
	bool ok = secret_load(&i->secret, f, i->a, e);
	aws_secrets_close(f);
	if (!ok)
		return false;
	secret_set_add(&i->secrets, &i->secret);
	return true;
}

static bool refuse_status(struct init *i, const struct http_exchange *x, struct str body, struct err *e)
{
	struct buf b = BUF_INIT(4096);
	size_t hits;
	struct str location = http_header_get(x, "location");
	secret_redact(&i->secrets, str_sub(body, 0, 500), &b, &hits);
	bool denied = x->status == 401 || x->status == 403;
	err_set(e, denied ? ERR_AUTH : ERR_HTTP_STATUS, "the API answered with status %u: %.*s", x->status, STR_ARG(buf_str(&b)));
	buf_free(&b);
	if (denied)
		return err_hint(e, "--bearer env:NAME sends a token; other ways are described by `sluice help pipeline-file`");
	if (x->status >= 300 && x->status < 400)
		return err_hint(e, "it redirects to %.*s: is that the URL to use?", STR_ARG(location));
	return false;
}

static bool read_answer(struct init *i, const struct http_exchange *x, struct err *e)
{
	struct buf decoded = BUF_INIT(INIT_BODY_MAX);
	struct str body = x->body;
	bool ok = true;
	if (x->outcome != HTTP_COMPLETE) {
		*e = x->err;
		return false;
	}
	ok = body_decode(x->head, x->body, INIT_BODY_MAX, 1000, &decoded, &body, e);
	if (ok && x->status != 200)
		ok = refuse_status(i, x, body, e);
	else if (ok && (ok = guess_answer(arena_copy(i->a, body), http_header_get(x, "link"), i->query, i->n_query, i->a,
					  &i->guess, e)))
		guess_headers(&i->guess, x->headers, x->n_headers, i->a);
	buf_free(&decoded);
	return ok;
}

static bool fetch(struct init *i, struct str url, struct err *e)
{
	struct http *h = NULL;
	struct http_header headers[4] = { { STR("Accept"), STR("application/json") },
					  { STR("Accept-Encoding"), STR("gzip") },
					  { STR("User-Agent"), STR("sluice/" SLUICE_VERSION) } };
	struct http_request r = {
		.method = STR("GET"), .url = url, .headers = headers, .n_headers = 3,
		.max_header_bytes = 256 << 10, .max_body_bytes = INIT_BODY_MAX,
		.connect_us = 10 * US_PER_SECOND, .first_byte_us = 60 * INT64_C(1000000), .total_us = 120 * INT64_C(1000000),
		.allow_private = host_is_private(i->url.origin.host), /* somebody who names it means it */
	};
	if (i->secrets.n > 0)
		headers[r.n_headers++] = (struct http_header){ STR("Authorization"),
			arena_format(i->a, "Bearer %.*s", STR_ARG(i->secret.hidden)) };
	if (!http_open_curl(clock_system(), &h, e))
		return false;
	bool ok = http_start(h, &r, e);
	struct http_exchange *x = NULL;
	while (ok && x == NULL && ui_stop == 0)
		x = http_wait(h, 200000);
	if (ok && x == NULL)
		ok = err_set(e, ui_stop == 2 ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal");
	if (x) {
		ok = read_answer(i, x, e);
		http_exchange_free(x);
	}
	http_close(h);
	return ok;
}

/* ── the file ── */

/* A text in YAML's double quotes; braces are doubled where placeholders may stand. */
static void put_text(struct buf *b, struct str s, bool braces)
{
	struct buf t = BUF_INIT(1 << 16);
	for (size_t k = 0; k < s.n; k++) {
		buf_add_char(&t, s.p[k]);
		if (braces && (s.p[k] == '{' || s.p[k] == '}'))
			buf_add_char(&t, s.p[k]);
	}
	json_escape(b, buf_str(&t));
	buf_free(&t);
}

static bool is_paging(const struct init *i, struct str name)
{
	return (i->guess.style == GUESS_PAGE || i->guess.style == GUESS_OFFSET) && str_eq(name, i->guess.query);
}

/* A parameter that is somebody's key: only its name may stand in a file. */
static bool is_secret(struct str name)
{
	static const char *const words[] = { "key", "token", "secret", "password", "auth" };
	for (size_t k = 0; k < sizeof words / sizeof *words; k++)
		for (size_t at = 0; at + strlen(words[k]) <= name.n; at++)
			if (str_eq_nocase(str_sub(name, at, strlen(words[k])), str_from(words[k])))
				return true;
	return false;
}

static void put_query(struct init *i, struct buf *b)
{
	size_t n = 0;
	for (size_t k = 0; k < i->n_query; k++) {
		if (is_paging(i, i->query[k].name) || is_secret(i->query[k].name)) /* pagination, auth send it */
			continue;
		buf_add_z(b, n++ ? ", " : "    query: {");
		put_text(b, i->query[k].name, false);
		buf_add_z(b, ": ");
		put_text(b, i->query[k].value, true);
	}
	if (n > 0)
		buf_add_z(b, "}\n");
}

static void put_path(struct buf *b, const char *key, struct str path)
{
	buf_addf(b, "%s: ", key);
	put_text(b, path, false);
}

static void put_paginate(const struct init *i, struct buf *b)
{
	const struct guess *g = &i->guess;
	if (g->seen.n > 0) {
		buf_add_z(b, "    # ");
		text_escape(g->seen, false, b);
		buf_add_char(b, '\n');
	}
	switch (g->style) {
	case GUESS_NONE:
		if (g->doubt.n > 0) {
			buf_add_z(b, "    # ATTENTION: ");
			text_escape(g->doubt, false, b);
			buf_add_char(b, '\n');
		}
		buf_add_z(b, "    # nothing in the answer leads to a next page; see paginate in `sluice help pipeline-file`\n"
			     "    paginate: none\n");
		return;
	case GUESS_LINK:
		buf_add_z(b, "    paginate: {link: {rel: next}}\n");
		return;
	case GUESS_NEXT_URL:
		buf_add_z(b, "    paginate: {next_url: {");
		put_path(b, "from", g->from);
		buf_add_z(b, "}}\n");
		return;
	case GUESS_CURSOR:
		buf_add_z(b, "    paginate: {cursor: {");
		if (g->from_header.n > 0)
			put_path(b, "from_header", g->from_header);
		else
			put_path(b, "from", g->from);
		put_path(b, ", query", g->query);
		if (g->more.n > 0)
			put_path(b, ", more", g->more);
		buf_add_z(b, "}}\n");
		return;
	case GUESS_PAGE:
		buf_add_z(b, "    paginate: {page: {");
		put_path(b, "query", g->query);
		buf_addf(b, ", first: %" PRId64, g->first);
		if (g->pages.n > 0)
			put_path(b, ", pages", g->pages);
		buf_add_z(b, "}}\n");
		return;
	case GUESS_OFFSET:
		buf_add_z(b, "    paginate: {offset: {");
		put_path(b, "query", g->query);
		buf_addf(b, ", first: %" PRId64 "}}\n", g->first);
		return;
	}
}

static void put_source(struct init *i, struct buf *b)
{
	struct str host = i->url.origin.host, key = STR_NONE;
	for (size_t k = 0; k < i->n_query; k++)
		if (is_secret(i->query[k].name))
			key = i->query[k].name;
	buf_add_z(b, "source:\n  url: ");
	put_text(b, arena_format(i->a, "%.*s%.*s", STR_ARG(origin_text(&i->url.origin, i->a)), STR_ARG(i->base_path)), false);
	buf_add_char(b, '\n');
	if (host_is_private(host))
		buf_add_z(b, "  network: private # the API is on this machine or in this network\n");
	if (i->secrets.n > 0) {
		buf_add_z(b, "  auth: {bearer: {secret: ");
		put_text(b, i->secret.reference, false);
		buf_add_z(b, "}}\n");
	} else if (key.n > 0) {
		buf_add_z(b, "  # export API_KEY=... before a run: secrets do not stand in this file\n  auth: {api_key: {query: ");
		put_text(b, key, false);
		buf_add_z(b, ", secret: env:API_KEY}}\n");
	} else {
		buf_add_z(b, "  # auth: {bearer: {secret: env:API_TOKEN}} # or api_key, basic; secrets only by reference\n");
	}
	buf_add_z(b, "  # What the API allows; without it, requests are sent as fast as answers come.\n"
		     "  rate: {requests: 5, per: 1s}\n");
}

/* A command to paste, with -f where it is needed. */
static void put_next(struct init *i, const char *command, const char *operand, struct buf *b)
{
	buf_add_z(b, "#     ");
	text_escape(args_again(&i->u->args, command, i->a), false, b);
	buf_addf(b, "%s\n", operand);
}

static void put_file(struct init *i, struct buf *b)
{
	const struct guess *g = &i->guess;
	buf_add_z(b, "# Written by `sluice init`, to start from. What is guessed says so; every key is described by\n"
		     "# `sluice help pipeline-file`. Next:\n#\n");
	put_next(i, "check", "", b);
	put_next(i, "ingest", "", b);
	put_next(i, "contract draft", arena_format(i->a, " %.*s", STR_ARG(i->name)).p, b);
	put_next(i, "run", "", b);
	buf_addf(b, "\npipeline: %.*s\nlake: ./lake\nschedule: {window: 1d}\n\n", STR_ARG(i->name));
	put_source(i, b);
	buf_add_z(b, "\n# What differs where it is deployed is put over this file by `--env prod`:\n"
		     "# environments:\n"
		     "#   prod:\n"
		     "#     lake: /srv/lake\n"
		     "#     source: {rate: {requests: 10, per: 1s}}\n");
	buf_addf(b, "\nresources:\n  %.*s:\n    path: ", STR_ARG(i->name));
	put_text(b, i->path, true);
	buf_add_z(b, "\n    # The whole list each time. For data that grows, ask for it interval by interval instead:\n"
		     "    #   kind: window\n"
		     "    #   window: {every: 1d, zone: UTC}\n"
		     "    #   query: {from: \"{window.from:date}\", to: \"{window.last:date}\"}\n"
		     "    # and let the contract check the answer: sluice.window_column names the timestamp that must lie in the\n"
		     "    # window (`sluice contract draft` proposes one).\n"
		     "    kind: snapshot\n");
	put_query(i, b);
	if (g->has_records)
		buf_addf(b, "    # %" PRIu64 " objects in the page that was looked at\n", g->items);
	else
		buf_add_z(b, "    # no list of objects was found: name the place of the records, e.g. data or result.items\n");
	buf_add_z(b, "    records: ");
	put_text(b, g->records, false);
	buf_add_char(b, '\n');
	if (g->total.n > 0) {
		buf_add_z(b, "    # the number of records must agree with what the API says here\n    ");
		put_path(b, "total", g->total);
		buf_add_char(b, '\n');
	}
	put_paginate(i, b);
}

/* Where links are not known, a rename that replaces nothing does. */
static bool name_new(const char *made, const char *file, struct err *e)
{
	bool named = sys_linkat(AT_FDCWD, made, AT_FDCWD, file, 0) == 0;
	if (!named && errno != EEXIST && errno != ENOSPC && errno != EDQUOT && errno != EIO)
		named = sys_renameat2(AT_FDCWD, made, AT_FDCWD, file, RENAME_NOREPLACE) == 0;
	if (named)
		return true;
	if (errno != EEXIST)
		return err_set_errno(e, ERR_STORAGE, errno, "%s cannot be written", file);
	err_set(e, ERR_USAGE, "%s is there already, and is not replaced", file);
	return err_hint(e, "-f other.yaml writes another file");
}

/* Written beside it and then named: a file that is there is never a part of one, which nothing would ever replace. */
static bool write_new(const char *file, struct str text, struct arena *a, struct err *e)
{
	const char *made = arena_format(a, "%s.%d.tmp", file, (int)getpid()).p;
	int fd = sys_open(made, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set_errno(e, ERR_STORAGE, errno, "%s cannot be written", file);
	bool ok = file_write_all(fd, text.p, text.n, e) || err_wrap(e, "%s", file);
	if (sys_close(fd) != 0 && ok)
		ok = err_set_errno(e, ERR_STORAGE, errno, "%s", file);
	ok = ok && name_new(made, file, e);
	sys_unlink(made); /* after a rename it is gone */
	return ok;
}

static void say_init(struct init *i)
{
	struct ui *u = i->u;
	const struct guess *g = &i->guess;
	static const char *const styles[] = { "none", "link", "next_url", "cursor", "page", "offset" };
	struct buf b = BUF_INIT(1 << 16);
	if (u->args.given[OPT_JSON]) {
		struct json_out o = JSON_OUT(&u->out);
		json_begin_object(&o, NULL);
		json_put_z(&o, "file", i->file);
		json_put_str(&o, "resource", i->name);
		json_put_bool(&o, "found", g->has_records);
		json_put_str(&o, "records", g->records);
		json_put_u64(&o, "items", g->items);
		json_put_z(&o, "paginate", styles[g->style]);
		json_put_str(&o, "doubt", g->doubt);
		json_end_object(&o);
		buf_add_char(&u->out, '\n');
		return;
	}
	buf_addf(&b, "%s: resource %.*s, ", i->file, STR_ARG(i->name));
	if (g->has_records && g->records.n == 0)
		buf_addf(&b, "%s, ", amount_things(g->items, "record").text);
	else if (g->has_records)
		buf_addf(&b, "%s at `%.*s`, ", amount_things(g->items, "record").text, STR_ARG(g->records));
	else
		buf_add_z(&b, "no list of records found, ");
	buf_addf(&b, "pagination: %s.\n", styles[g->style]);
	if (g->doubt.n > 0)
		buf_addf(&b, "ATTENTION: %.*s Nothing in the answer leads on: see paginate in `sluice help pipeline-file`.\n",
			 STR_ARG(g->doubt));
	buf_add_z(&b, "Look through it, then `sluice check` and `sluice ingest`.\n");
	ui_say(u, buf_str(&b));
	buf_free(&b);
}

/* A URL with somebody's key in it may stand in a message of the transport's. */
static void hide_secrets(struct init *i, struct err *e)
{
	struct buf b = BUF_INIT(1 << 16);
	size_t hits;
	struct secret keys[SECRETS_MAX];
	for (size_t k = 0; k < i->n_query && i->secrets.n < SECRETS_MAX; k++)
		if (is_secret(i->query[k].name) && i->query[k].value.n > 0) {
			keys[i->secrets.n] = (struct secret){ .marker = STR("~secret.API_KEY~"), .hidden = i->query[k].value };
			secret_set_add(&i->secrets, &keys[i->secrets.n]);
		}
	if (i->secrets.n > 0 && secret_redact(&i->secrets, str_from(e->message), &b, &hits) && hits > 0) {
		struct err clean = *e;
		err_set(&clean, e->code, "%.*s", STR_ARG(buf_str(&b)));
		memcpy(e->message, clean.message, sizeof e->message);
	}
	buf_free(&b);
}

int cmd_init(struct ui *u)
{
	struct err e = ERR_INIT;
	struct buf text = BUF_INIT(1 << 20);
	struct str url = u->args.operands[0];
	struct init i = { .u = u, .a = &u->arena, .file = ui_pipeline_file(u) };
	if (file_exists(i.file)) { /* before anybody is asked anything */
		err_set(&e, ERR_USAGE, "%s is there already, and is not replaced", i.file);
		err_hint(&e, "-f other.yaml writes another file");
		return ui_fail(u, &e);
	}
	bool ok = split_url(&i, url, &e) && load_secret(&i, &e) && fetch(&i, url, &e);
	if (ok) {
		put_file(&i, &text);
		CHECK(!text.overflow);
		ok = write_new(i.file, buf_str(&text), &u->arena, &e);
	}
	buf_free(&text);
	if (!ok) {
		hide_secrets(&i, &e);
		return ui_fail(u, &e);
	}
	say_init(&i);
	return ui_done(u, 0);
}
