#include "mock/draft.h"

#include "mock/http.h"

enum { CHUNK_BYTES = 16384 };

struct str draft_body(const struct draft *d)
{
	return d->blob ? d->blob->bytes : buf_str(&d->own);
}

void draft_error(struct draft *d, int status, const char *message)
{
	d->status = status;
	buf_clear(&d->own);
	buf_addf(&d->own, "{\"error\":{\"status\":%d,\"message\":\"%s\"}}", status, message);
}

static void make_chunks(struct draft *d)
{
	struct str body = draft_body(d);
	struct buf out = BUF_INIT(body.n + body.n / CHUNK_BYTES * 16 + 64);
	for (size_t at = 0; at < body.n; at += CHUNK_BYTES) {
		struct str chunk = str_sub(body, at, CHUNK_BYTES);
		buf_addf(&out, "%zx\r\n", chunk.n);
		buf_add(&out, chunk);
		buf_add_z(&out, "\r\n");
	}
	buf_add_z(&out, "0\r\n\r\n");
	blob_release(d->blob);
	buf_free(&d->own);
	d->blob = NULL;
	d->own = out;
}

void draft_finish(struct draft *d, struct answer *out)
{
	bool bodyless = d->status == 204 || d->status == 304;
	size_t length = draft_body(d).n;
	struct arena a = ARENA_INIT;
	out->head = BUF_INIT(d->headers.n + 4096);
	buf_addf(&out->head, "HTTP/1.1 %d %s\r\nServer: sluice-mock\r\nDate: %s\r\n", d->status,
		 http_reason(d->status), http_date(d->wall_us, &a).p);
	arena_free(&a);
	if (!bodyless)
		buf_addf(&out->head, "Content-Type: %s\r\n", d->type);
	if (d->gzip)
		buf_add_z(&out->head, "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n");
	buf_add(&out->head, buf_str(&d->headers));
	if (d->framing)
		buf_add_z(&out->head, d->framing);
	else if (d->chunked && !bodyless)
		buf_add_z(&out->head, "Transfer-Encoding: chunked\r\n");
	else if (!bodyless)
		buf_addf(&out->head, "Content-Length: %zu\r\n", length);
	if (!d->keep_alive || (d->framing && !d->framing[0]))
		buf_add_z(&out->head, "Connection: close\r\n");
	buf_add_z(&out->head, "\r\n");
	if (d->chunked && !d->framing && !bodyless && !d->head_only)
		make_chunks(d);
	out->blob = d->blob;
	out->own = d->own;
	out->body = bodyless || d->head_only ? STR_NONE : draft_body(d);
	out->after = d->keep_alive ? AFTER_KEEP : AFTER_CLOSE;
	buf_free(&d->headers);
}

void answer_free(struct answer *a)
{
	blob_release(a->blob);
	buf_free(&a->own);
	buf_free(&a->head);
	*a = (struct answer){ 0 };
}
