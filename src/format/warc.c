#include "format/warc.h"

#include "base/check.h"
#include "base/gzip.h"
#include "driver/http.h"
#include "format/layout.h"
#include "format/process.h"

#include <string.h>

enum { RECORD_HEAD_MAX = 2 << 20, HTTP_HEAD_MAX = 17 << 20, STORED = 0, FAST = 1 };

struct warc_writer {
	struct store_writer *out;
	struct sha256_state hash;
	uint64_t size;
	struct buf plain;  /* one record before compression */
	struct buf member; /* and after */
	struct arena arena;
};

static bool write_member(struct warc_writer *w, int level, struct warc_range *range, struct err *e)
{
	buf_clear(&w->member);
	CHECK(gzip_member(buf_str(&w->plain), level, &w->member));
	struct str bytes = buf_str(&w->member);
	if (!store_writer_add(w->out, bytes, e))
		return false;
	sha256_add_str(&w->hash, bytes);
	if (range)
		*range = (struct warc_range){ w->size, bytes.n };
	w->size += bytes.n;
	return true;
}

struct record {
	const char *type;
	struct str id, concurrent_to;
	struct str content_type;
	const struct warc_exchange *x; /* NULL for warcinfo */
	struct str head, body;         /* the block: head ‖ CRLF ‖ body; an empty head: the body alone */
	int64_t wall_us;
	const char *truncated;
};

/* The line of a digest that is not known yet; returns where its digits go. */
static size_t put_digest_room(struct buf *b, const char *field)
{
	static const char no_digits[SHA256_HEX + 1] = "0000000000000000000000000000000000000000000000000000000000000000";
	buf_addf(b, "%s: sha256:", field);
	size_t at = b->n;
	buf_add(b, (struct str){ no_digits, SHA256_HEX });
	buf_add(b, STR("\r\n"));
	return at;
}

static void put_digits(struct buf *b, size_t at, struct sha256 h)
{
	char hex[SHA256_HEX + 1];
	sha256_hex(h, hex);
	memcpy(b->p + at, hex, SHA256_HEX);
}

/* The header lines of ISO 28500 section 5, then the block, then the two line ends that close a record. */
static void put_record(struct buf *b, const struct record *r, struct arena *a)
{
	uint64_t length = r->body.n + (r->head.n > 0 ? r->head.n + 2 : 0);
	buf_addf(b, "WARC/1.1\r\nWARC-Type: %s\r\nWARC-Record-ID: <urn:uuid:%.*s>\r\n", r->type, STR_ARG(r->id));
	buf_addf(b, "WARC-Date: %.*s\r\n", STR_ARG(us_to_rfc3339(r->wall_us, a)));
	if (r->x) {
		buf_addf(b, "WARC-Target-URI: %.*s\r\n", STR_ARG(r->x->url));
		if (r->concurrent_to.n > 0)
			buf_addf(b, "WARC-Concurrent-To: <urn:uuid:%.*s>\r\n", STR_ARG(r->concurrent_to));
		if (r->x->remote_ip.n > 0)
			buf_addf(b, "WARC-IP-Address: %.*s\r\n", STR_ARG(r->x->remote_ip));
		buf_addf(b, "Sluice-Run: %.*s\r\nSluice-Resource: %.*s\r\nSluice-Window: %.*s\r\n", STR_ARG(r->x->run_id),
			 STR_ARG(r->x->resource), STR_ARG(r->x->window));
		buf_addf(b, "Sluice-Page: %llu\r\nSluice-Attempt: %u\r\n", (unsigned long long)r->x->page,
			 r->x->attempt);
	}
	if (r->truncated)
		buf_addf(b, "WARC-Truncated: %s\r\n", r->truncated);
	/* The digests stand in front of what they are of; both are taken at once, where it lies in the end. */
	size_t block_digest = put_digest_room(b, "WARC-Block-Digest"), payload_digest = 0;
	if (r->head.n > 0)
		payload_digest = put_digest_room(b, "WARC-Payload-Digest");
	buf_addf(b, "Content-Type: %.*s\r\nContent-Length: %llu\r\n\r\n", STR_ARG(r->content_type),
		 (unsigned long long)length);
	size_t block = b->n;
	if (r->head.n > 0) {
		buf_add(b, r->head);
		buf_add(b, STR("\r\n"));
	}
	size_t body = b->n;
	buf_add(b, r->body);
	CHECK(!b->overflow); /* heads and bodies were bounded when they were received */
	struct sha256 digests[2];
	sha256_pair(str_sub(buf_str(b), block, b->n), str_sub(buf_str(b), body, b->n), digests);
	put_digits(b, block_digest, digests[0]);
	if (r->head.n > 0)
		put_digits(b, payload_digest, digests[1]);
	buf_add(b, STR("\r\n\r\n"));
	CHECK(!b->overflow);
}

bool warc_open(struct store *s, struct str software, struct str run_id, int64_t wall_us, struct warc_writer **out,
	       struct err *e)
{
	struct warc_writer *w = mem_alloc(sizeof *w);
	w->plain = BUF_INIT((size_t)1 << 40);
	w->member = BUF_INIT((size_t)1 << 40);
	sha256_begin(&w->hash);
	if (!store_writer_open(s, &w->out, e)) {
		mem_free(w);
		return false;
	}
	struct record info = {
		.type = "warcinfo",
		.id = process_uuid(&w->arena),
		.content_type = STR("application/warc-fields"),
		.wall_us = wall_us,
		.body = arena_format(&w->arena,
				     "software: %.*s\r\nformat: WARC File Format 1.1\r\nsluice-segment: 1\r\n"
				     "sluice-run: %.*s\r\n",
				     STR_ARG(software), STR_ARG(run_id)),
	};
	put_record(&w->plain, &info, &w->arena);
	if (!write_member(w, FAST, NULL, e)) {
		warc_abort(w);
		return false;
	}
	*out = w;
	return true;
}

static bool next_header(struct str *rest, struct str *name, struct str *value)
{
	struct str line;
	while (str_cut(rest, '\n', &line)) {
		size_t colon = str_find_char(line, ':');
		if (colon == line.n)
			continue; /* the status line */
		*name = str_sub(line, 0, colon);
		*value = str_trim(str_sub(line, colon + 1, line.n));
		return true;
	}
	return false;
}

static bool body_is_encoded(struct str head)
{
	struct str rest = head, name, value;
	while (next_header(&rest, &name, &value))
		if (str_eq_nocase(name, STR("content-encoding")) && !str_eq_nocase(value, STR("identity")))
			return true;
	return false;
}

/* Chunks were undone by the transport; readers would try it again if the header stayed under its own name. */
static struct str rename_transfer_encoding(struct str head, struct arena *a)
{
	struct buf b = BUF_INIT(head.n * 2 + 64);
	struct str rest = head, line;
	bool any = false;
	while (str_cut(&rest, '\n', &line)) {
		if (str_eq_nocase(str_sub(line, 0, 18), STR("transfer-encoding:"))) {
			buf_add(&b, STR("X-Sluice-"));
			any = true;
		}
		buf_add(&b, line);
		buf_add_char(&b, '\n');
	}
	struct str out = any ? arena_copy(a, buf_str(&b)) : head;
	buf_free(&b);
	return out;
}

/* What parse_block finds again: lines that end with CR LF, and the first empty one is the one put behind them. */
static bool head_ends_properly(struct str head)
{
	return str_ends(head, STR("\r\n")) && !str_starts(head, STR("\r\n")) && str_find(head, STR("\r\n\r\n")) == head.n;
}

static bool check_heads(const struct warc_exchange *x, struct err *e)
{
	if (x->request_head.n > 0 && !head_ends_properly(x->request_head))
		return err_set(e, ERR_BUG, "the head of a request to be kept is not one of HTTP");
	if (x->response_head.n > 0 && !head_ends_properly(x->response_head))
		return err_set(e, ERR_BUG, "the head of an answer to be kept is not one of HTTP");
	return true;
}

bool warc_add(struct warc_writer *w, const struct warc_exchange *x, struct warc_range *range, struct err *e)
{
	if (!check_heads(x, e))
		return false;
	arena_reset(&w->arena);
	struct record request = {
		.type = "request",
		.id = process_uuid(&w->arena),
		.content_type = STR("application/http; msgtype=request"),
		.x = x,
		.head = x->request_head,
		.body = x->request_head.n > 0 ? x->request_body : STR_NONE, /* without a connection nothing was sent */
		.wall_us = x->wall_us,
	};
	buf_clear(&w->plain);
	put_record(&w->plain, &request, &w->arena);
	if (!write_member(w, FAST, range, e))
		return false;
	if (x->response_head.n == 0)
		return true;
	struct record response = {
		.type = "response",
		.id = process_uuid(&w->arena),
		.concurrent_to = request.id,
		.content_type = STR("application/http; msgtype=response"),
		.x = x,
		.head = rename_transfer_encoding(x->response_head, &w->arena),
		.body = x->body,
		.wall_us = x->wall_us,
		.truncated = x->truncated,
	};
	buf_clear(&w->plain);
	put_record(&w->plain, &response, &w->arena);
	return write_member(w, body_is_encoded(x->response_head) ? STORED : FAST, range, e);
}

uint64_t warc_size(const struct warc_writer *w)
{
	return w->size;
}

static void writer_free(struct warc_writer *w)
{
	buf_free(&w->plain);
	buf_free(&w->member);
	arena_free(&w->arena);
	mem_free(w);
}

bool warc_finish(struct warc_writer *w, struct str generation_key, uint64_t epoch, struct arena *a, struct str *name,
		 struct sha256 *hash, uint64_t *size, struct err *e)
{
	char hex[SHA256_HEX + 1];
	*hash = sha256_end(&w->hash);
	*size = w->size;
	sha256_hex(*hash, hex);
	*name = arena_format(a, "%llu-%s.warc.gz", (unsigned long long)epoch, hex);
	bool ok = store_writer_finish(w->out, key_segment(generation_key, *name, a), e);
	writer_free(w);
	return ok;
}

void warc_abort(struct warc_writer *w)
{
	store_writer_abort(w->out);
	writer_free(w);
}

/* ── reading ── */

static bool parse_block(struct str block, struct warc_record *out)
{
	if (!str_eq(out->type, STR("response")) && !str_eq(out->type, STR("request"))) {
		out->body = block;
		return true;
	}
	if (block.n == 0 && str_eq(out->type, STR("request")))
		return true; /* never sent: there was no connection */
	size_t at = str_find(block, STR("\r\n\r\n"));
	if (at == block.n)
		return false;
	out->http_head = str_sub(block, 0, at + 2);
	out->body = str_sub(block, at + 4, block.n);
	return true;
}

static bool parse_record(struct str text, struct warc_record *out, struct err *e)
{
	memset(out, 0, sizeof *out);
	size_t at = str_find(text, STR("\r\n\r\n"));
	if (!str_starts(text, STR("WARC/1.")) || at == text.n || at > RECORD_HEAD_MAX)
		return err_set(e, ERR_DAMAGE, "not a WARC record");
	struct str rest = str_sub(text, 0, at), name, value;
	uint64_t length = UINT64_MAX;
	while (next_header(&rest, &name, &value)) {
		if (str_eq_nocase(name, STR("warc-type")))
			out->type = value;
		else if (str_eq_nocase(name, STR("warc-target-uri")))
			out->target_uri = value;
		else if (str_eq_nocase(name, STR("warc-date")))
			out->date = value;
		else if (str_eq_nocase(name, STR("warc-record-id")))
			out->record_id = value;
		else if (str_eq_nocase(name, STR("warc-truncated")))
			out->truncated = value;
		else if (str_eq_nocase(name, STR("content-length")) && !str_to_u64(value, &length))
			return err_set(e, ERR_DAMAGE, "a WARC record's length is no number");
	}
	struct str block = str_sub(text, at + 4, text.n);
	if (length == UINT64_MAX || block.n < 4 || block.n - 4 != length || !str_ends(block, STR("\r\n\r\n")))
		return err_set(e, ERR_DAMAGE, "a WARC record of %zu bytes does not have its declared length", text.n);
	if (!parse_block(str_sub(block, 0, (size_t)length), out))
		return err_set(e, ERR_DAMAGE, "a WARC record holds no HTTP message");
	return true;
}

bool warc_read(struct str member, uint64_t max_bytes, struct buf *inflated, struct warc_record *out, struct err *e)
{
	uint64_t at = 0, size = 0;
	bool end = false;
	if (!warc_next(member, &at, max_bytes, inflated, out, &size, &end, e))
		return false;
	if (end || size != member.n)
		return err_set(e, ERR_DAMAGE, "the byte range is not exactly one gzip member");
	return true;
}

bool warc_next(struct str segment, uint64_t *at, uint64_t max_bytes, struct buf *inflated, struct warc_record *out,
	       uint64_t *member_size, bool *end, struct err *e)
{
	*end = *at >= segment.n;
	if (*end)
		return true;
	buf_clear(inflated);
	inflated->max = max_bytes + RECORD_HEAD_MAX + HTTP_HEAD_MAX;
	size_t used = 0;
	if (!gzip_read_member(str_sub(segment, (size_t)*at, segment.n), inflated, &used, e)) {
		if (e->code == ERR_DECODE)
			e->code = ERR_DAMAGE;
		return err_wrap(e, "gzip member at byte %llu", (unsigned long long)*at);
	}
	*at += used;
	*member_size = used;
	return parse_record(buf_str(inflated), out, e);
}

/* ── content decoding ── */

enum { ENCODINGS_MAX = 2, RATIO_FROM_BYTES = 1 << 20 };

static bool read_encodings(struct str head, struct str list[ENCODINGS_MAX], size_t *n, struct err *e)
{
	struct str rest = head, name, value;
	*n = 0;
	while (next_header(&rest, &name, &value)) {
		struct str one;
		if (!str_eq_nocase(name, STR("content-encoding")))
			continue;
		while (str_cut(&value, ',', &one)) {
			one = str_trim(one);
			if (one.n == 0 || str_eq_nocase(one, STR("identity")))
				continue;
			if (*n == ENCODINGS_MAX)
				return err_set(e, ERR_DECODE, "more than %d content-encodings are stacked", ENCODINGS_MAX);
			list[(*n)++] = one;
		}
	}
	return true;
}

static bool decode_one(struct str encoding, struct str in, struct buf *out, struct err *e)
{
	if (in.n == 0)
		return true; /* an empty body is an empty body, whatever its label says */
	if (str_eq_nocase(encoding, STR("gzip")) || str_eq_nocase(encoding, STR("x-gzip")))
		return gzip_read_all(in, out, e) || err_wrap(e, "content-encoding gzip");
	if (str_eq_nocase(encoding, STR("deflate")))
		return zlib_read_all(in, out, e) || err_wrap(e, "content-encoding deflate");
	char shown[HTTP_SHOWN_BYTES];
	return err_set(e, ERR_DECODE, "content-encoding %s was not asked for and is not understood",
		       http_value_shown(encoding, shown));
}

bool body_decode(struct str head, struct str body, uint64_t max_bytes, uint32_t max_ratio, struct buf *decoded,
		 struct str *out, struct err *e)
{
	struct str list[ENCODINGS_MAX];
	size_t n = 0;
	if (!read_encodings(head, list, &n, e))
		return false;
	*out = body;
	if (n == 0) {
		if (body.n > max_bytes)
			return err_set(e, ERR_TOO_LARGE, "a body of %zu bytes passes the limit of %llu", body.n,
				       (unsigned long long)max_bytes);
		return true;
	}
	uint64_t by_ratio = (uint64_t)body.n * max_ratio;
	if (by_ratio < RATIO_FROM_BYTES)
		by_ratio = RATIO_FROM_BYTES;
	uint64_t max = by_ratio < max_bytes ? by_ratio : max_bytes;
	/* Encodings were applied in the order listed (RFC 9110 8.4), so the last one is undone first. */
	struct buf between = BUF_INIT((size_t)max);
	buf_clear(decoded);
	decoded->max = (size_t)max;
	bool ok = decode_one(list[n - 1], body, n == 2 ? &between : decoded, e) &&
		  (n == 1 || decode_one(list[0], buf_str(&between), decoded, e));
	buf_free(&between);
	if (!ok && e->code == ERR_TOO_LARGE)
		err_wrap(e, "a body of %zu bytes (at most %u times its size and %llu bytes are allowed)", body.n, max_ratio,
			 (unsigned long long)max_bytes);
	if (ok)
		*out = buf_str(decoded);
	return ok;
}
