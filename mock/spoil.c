#include "mock/spoil.h"

#include "base/check.h"

#include <string.h>
#include <zlib.h>

static void add_retry_after(const struct spoil *s, struct draft *d)
{
	struct str text = s->rule->retry_after;
	uint64_t seconds;
	if (str_starts(text, STR("date+")) && str_to_u64(str_sub(text, 5, text.n), &seconds) && seconds < 1u << 31) {
		struct arena a = ARENA_INIT;
		int64_t at = s->wall_us + (int64_t)seconds * US_PER_SECOND;
		buf_addf(&d->headers, "Retry-After: %s\r\n", http_date(at, &a).p);
		arena_free(&a);
	} else if (text.n) {
		buf_addf(&d->headers, "Retry-After: %.*s\r\n", STR_ARG(text));
	}
}

/* {"data":["aaaa..."]} of `size` bytes, compressed piece by piece: the plain text never stands in memory. */
static void make_bomb(uint64_t size, struct buf *out)
{
	static const char FRONT[] = "{\"data\":[\"", BACK[] = "\"]}";
	char piece[65536], packed[65536];
	z_stream z = { 0 };
	CHECK(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	memset(piece, 'a', sizeof piece);
	uint64_t left = size > sizeof FRONT + sizeof BACK ? size - sizeof FRONT - sizeof BACK + 2 : 0;
	for (int step = 0; step < 3;) {
		size_t n = left < sizeof piece ? (size_t)left : sizeof piece;
		z.next_in = (Bytef *)(step == 1 ? piece : (char *)(uintptr_t)(step == 0 ? FRONT : BACK));
		z.avail_in = (uInt)(step == 1 ? n : step == 0 ? sizeof FRONT - 1 : sizeof BACK - 1);
		do {
			z.next_out = (Bytef *)packed;
			z.avail_out = sizeof packed;
			deflate(&z, step == 2 ? Z_FINISH : Z_NO_FLUSH);
			buf_add_bytes(out, packed, sizeof packed - z.avail_out);
		} while (z.avail_out == 0);
		left -= step == 1 ? n : 0;
		step += step != 1 || left == 0;
	}
	deflateEnd(&z);
}

static void redirect(const struct spoil *s, const struct http_request *q, struct draft *d)
{
	struct str to = s->rule->to.n ? s->rule->to : s->other_origin;
	bool origin_only = to.n > 8 && str_find_char(str_sub(to, 8, to.n), '/') == to.n - 8;
	draft_error(d, 307, "go there");
	buf_addf(&d->headers, "Location: %.*s%.*s\r\n", STR_ARG(to), STR_ARG(origin_only ? q->target : STR_NONE));
}

bool spoil_instead(const struct spoil *s, const struct http_request *q, struct draft *d)
{
	const enum fault f = s->fault;
	const struct opt_rule *rule = s->rule;
	static const struct { enum fault fault; int status; } STATUSES[] = {
		{ FAULT_status_401, 401 }, { FAULT_status_403, 403 }, { FAULT_status_404, 404 },
		{ FAULT_status_429, 429 }, { FAULT_status_500, 500 }, { FAULT_status_502, 502 },
		{ FAULT_status_503, 503 }, { FAULT_status_504, 504 },
	};
	int status = f == FAULT_status ? (int)(rule->status >= 200 && rule->status < 600 ? rule->status : 500) : 0;
	for (size_t i = 0; i < sizeof STATUSES / sizeof STATUSES[0]; i++)
		if (STATUSES[i].fault == f)
			status = STATUSES[i].status;
	if (status) {
		draft_error(d, status, "a fault on demand");
		add_retry_after(s, d);
		return true;
	}
	uint64_t size = rule->size;
	switch (f) {
	case FAULT_status_204: d->status = 204; return true;
	case FAULT_empty_200: return true;
	case FAULT_html_200:
		d->type = "text/html; charset=utf-8";
		buf_add_z(&d->own, "<!DOCTYPE html>\n<html><head><title>Please wait</title></head>\n<body><h1>Please "
				   "wait</h1><p>The gateway is being restarted.</p></body></html>\n");
		return true;
	case FAULT_error_object_200:
		buf_add_z(&d->own, "{\"error\":{\"code\":\"BUSY\",\"message\":\"a fault on demand\"}}");
		return true;
	case FAULT_gzip_bomb:
		d->own.max = 1u << 30;
		make_bomb(size, &d->own);
		d->gzip = true;
		return true;
	case FAULT_deep_json:
		if (size == 64u << 20 || size < 2)
			size = 1u << 20;
		d->own.max = 1u << 30;
		for (uint64_t i = 0; i < size / 2; i++)
			buf_add_char(&d->own, '[');
		for (uint64_t i = 0; i < size / 2; i++)
			buf_add_char(&d->own, ']');
		return true;
	case FAULT_redirect: redirect(s, q, d); return true;
	default: return false;
	}
}

bool spoil_wants_gzip(enum fault f)
{
	return f == FAULT_truncated_gzip || f == FAULT_gzip_crc || f == FAULT_gzip_garbage;
}

bool spoil_wants_plain(enum fault f)
{
	return f == FAULT_bad_json || f == FAULT_json_twice || f == FAULT_bad_utf8 || f == FAULT_nul_byte ||
	       f == FAULT_bom || f == FAULT_not_gzip;
}

bool spoil_text(enum fault f, struct str plain, struct buf *out)
{
	size_t half = plain.n / 2;
	switch (f) {
	case FAULT_bad_json:
		buf_add(out, str_sub(plain, 0, plain.n ? plain.n - 1 : 0));
		return buf_add_char(out, ',');
	case FAULT_json_twice:
		buf_add(out, plain);
		return buf_add(out, STR("\n{\"again\":true}"));
	case FAULT_bad_utf8:
	case FAULT_nul_byte:
		buf_add(out, str_sub(plain, 0, half));
		buf_add_char(out, f == FAULT_bad_utf8 ? (char)0xff : '\0');
		return buf_add(out, str_sub(plain, half, plain.n));
	case FAULT_bom:
		buf_add(out, STR("\xef\xbb\xbf"));
		return buf_add(out, plain);
	default: return false;
	}
}

/* The draft's body as bytes of its own, that may be changed. */
static struct buf *own_body(struct draft *d)
{
	if (d->blob) {
		buf_clear(&d->own);
		d->own.max = d->blob->bytes.n + (1u << 20);
		buf_add(&d->own, d->blob->bytes);
		blob_release(d->blob);
		d->blob = NULL;
	}
	return &d->own;
}

void spoil_encoded(enum fault f, const struct opt_rule *rule, struct draft *d)
{
	struct buf *b;
	uint64_t flood;
	switch (f) {
	case FAULT_truncated_gzip:
		b = own_body(d);
		b->n -= b->n / 3;
		break;
	case FAULT_gzip_crc:
		b = own_body(d);
		if (b->n > 8)
			b->p[b->n - 8] = (char)(b->p[b->n - 8] ^ 1);
		break;
	case FAULT_gzip_garbage:
		b = own_body(d);
		b->max += 64;
		buf_add_z(b, "this is no gzip member");
		break;
	case FAULT_not_gzip: d->gzip = true; break;
	case FAULT_length_twice: d->framing = "Content-Length: 10\r\nContent-Length: 2000\r\n"; break;
	case FAULT_length_and_chunked: d->framing = "Content-Length: 10\r\nTransfer-Encoding: chunked\r\n"; break;
	case FAULT_no_length: d->framing = ""; break;
	case FAULT_header_flood:
		flood = rule->size == 64u << 20 ? 1u << 20 : rule->size;
		d->headers.max += flood + 1100;
		for (uint64_t n = 0, at = d->headers.n; d->headers.n - at < flood && n < 1u << 20; n++) {
			buf_addf(&d->headers, "X-Flood-%06u: ", (unsigned)n);
			for (size_t i = 0; i < 982; i++)
				buf_add_char(&d->headers, 'x');
			buf_add_z(&d->headers, "\r\n");
		}
		break;
	case FAULT_chunk_cut:
	case FAULT_bad_chunk: d->chunked = true; break;
	default: break;
	}
}

static void put_in_front(struct buf *head, const char *text, size_t times)
{
	struct buf b = BUF_INIT(head->n + strlen(text) * times + 64);
	for (size_t i = 0; i < times; i++)
		buf_add_z(&b, text);
	buf_add(&b, buf_str(head));
	buf_free(head);
	*head = b;
}

void spoil_sending(enum fault f, const struct opt_rule *rule, struct answer *a)
{
	switch (f) {
	case FAULT_reset:
	case FAULT_close:
		a->nothing = true;
		a->after = f == FAULT_reset ? AFTER_RESET : AFTER_CLOSE;
		break;
	case FAULT_reset_body: /* the pause lets the half arrive: a reset throws away what is still under way */
		a->body.n /= 2;
		a->linger_us = 5000;
		a->after = AFTER_RESET;
		break;
	case FAULT_short_body:
		a->body.n /= 2;
		a->after = AFTER_CLOSE;
		break;
	case FAULT_long_body:
		if (a->blob) {
			a->own.max = a->blob->bytes.n + 1024;
			buf_add(&a->own, a->blob->bytes);
			blob_release(a->blob);
			a->blob = NULL;
		}
		a->own.max += 64;
		buf_add_z(&a->own, "{\"data\":[],\"more\":\"than was said\"}");
		a->body = buf_str(&a->own);
		a->after = AFTER_CLOSE;
		break;
	case FAULT_length_twice:
	case FAULT_length_and_chunked:
	case FAULT_no_length:
	case FAULT_close_idle: a->after = AFTER_CLOSE; break;
	case FAULT_chunk_cut:
		a->body.n -= a->body.n >= 5 ? 5 : a->body.n;
		a->after = AFTER_CLOSE;
		break;
	case FAULT_bad_chunk:
		if (a->own.n)
			a->own.p[0] = 'x';
		a->after = AFTER_CLOSE;
		break;
	case FAULT_continue_flood: put_in_front(&a->head, "HTTP/1.1 100 Continue\r\n\r\n", 1000); break;
	case FAULT_bad_status_line: put_in_front(&a->head, "SIP/2.0 200 OK\r\n", 1); break;
	case FAULT_slow: a->delay_us += rule->wait; break;
	case FAULT_stall:
		a->body.n /= 2;
		a->linger_us = rule->wait;
		a->after = AFTER_CLOSE;
		break;
	case FAULT_drip:
		a->pieces = 16;
		a->pause_us = rule->wait / 16;
		break;
	default: break;
	}
}
