/* A large object in parts, some of them under way at a time while the next one is filled. */
#include "driver/store_s3_parts.h"

#include "base/check.h"
#include "base/crc64.h"
#include "base/log.h"
#include "base/pool.h"

#include <inttypes.h>
#include <string.h>

enum { COMPLETE_US = 300 * 1000000, COMPLETE_BODY_MAX = 4 << 20 };

struct part {
	struct str etag;
	uint64_t crc;
	size_t n;
};

struct s3_multipart {
	struct s3 *s;
	struct str key, upload_id;
	struct pool *pool;
	struct { struct part *v; size_t n, cap; } parts;
	bool failed;
	struct err why;
	struct arena arena;
};

struct part_job {
	struct pool_job job; /* first */
	struct s3_multipart *m;
	size_t number; /* from 1 */
	char *own;
	size_t n;
	bool ok;
	struct err why;
	struct arena arena;
	struct part part;
};

static struct str number_text(size_t n, struct arena *a)
{
	return arena_format(a, "%zu", n);
}

bool s3_multipart_begin(struct s3 *s, struct str key, struct s3_multipart **out, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct s3_call c = { .name = "CreateMultipartUpload", .method = STR("POST"), .key = key, .error_in_200 = true,
			     .root = "InitiateMultipartUploadResult" };
	s3_query(&c, "uploads", STR_NONE);
	s3_header(&c, "x-amz-checksum-algorithm", STR("CRC64NVME"));
	s3_header(&c, "x-amz-checksum-type", STR("FULL_OBJECT"));
	bool ok = s3_call(s, &c, &a, e);
	struct str id = ok ? s3_element(c.answer->body, "UploadId", &a) : STR_NONE;
	if (ok && id.n == 0)
		ok = s3_fail(s, key, ERR_STORAGE, e, "CreateMultipartUpload: an answer without an UploadId");
	if (ok) {
		struct s3_multipart *m = mem_alloc(sizeof *m);
		m->s = s;
		m->key = arena_copy(&m->arena, key);
		m->upload_id = arena_copy(&m->arena, id);
		m->pool = pool_new(s->o.part_threads, NULL, NULL);
		*out = m;
	}
	s3_call_end(&c);
	arena_free(&a);
	return ok;
}

static void part_work(struct pool_job *p)
{
	struct part_job *j = (struct part_job *)p;
	struct s3_multipart *m = j->m;
	struct arena a = ARENA_INIT;
	struct str bytes = { j->own, j->n };
	uint64_t crc = crc64_add(0, bytes.p, bytes.n);
	struct s3_call c = { .name = "UploadPart", .method = STR("PUT"), .key = m->key, .body = bytes };
	s3_query(&c, "partNumber", number_text(j->number, &a));
	s3_query(&c, "uploadId", m->upload_id);
	s3_header(&c, "x-amz-checksum-crc64nvme", s3_crc64_text(crc, &a));
	j->ok = s3_call(m->s, &c, &a, &j->why);
	if (j->ok) {
		struct str etag = http_header_get(c.answer, "etag");
		j->part = (struct part){ arena_copy(&j->arena, etag), crc, j->n };
		if (etag.n == 0)
			j->ok = s3_fail(m->s, m->key, ERR_STORAGE, &j->why, "UploadPart: an answer without an ETag");
	}
	s3_call_end(&c);
	arena_free(&a);
}

static void part_done(struct pool_job *p)
{
	struct part_job *j = (struct part_job *)p;
	struct s3_multipart *m = j->m;
	if (j->ok)
		m->parts.v[j->number - 1] = (struct part){ arena_copy(&m->arena, j->part.etag), j->part.crc, j->part.n };
	else if (!m->failed)
		m->why = j->why;
	m->failed = m->failed || !j->ok;
	arena_free(&j->arena);
	mem_free(j->own);
	mem_free(j);
}

/* Until at most so many are under way. */
static void parts_wait(struct s3_multipart *m, size_t most)
{
	pool_collect(m->pool);
	while (pool_pending(m->pool) > most) {
		pool_wait(m->pool);
		pool_collect(m->pool);
	}
}

bool s3_multipart_add(struct s3_multipart *m, char *own, size_t n, struct err *e)
{
	size_t most = m->s->o.part_threads;
	parts_wait(m, most > 0 ? most - 1 : 0);
	if (!m->failed && m->parts.n == S3_PARTS_MAX) {
		m->failed = true;
		s3_fail(m->s, m->key, ERR_TOO_LARGE, &m->why, "more than %d parts of %zu bytes", S3_PARTS_MAX, m->s->o.part_bytes);
	}
	if (m->failed) {
		mem_free(own);
		*e = m->why;
		return false;
	}
	struct part_job *j = mem_alloc(sizeof *j);
	*arena_push(&m->arena, m->parts) = (struct part){ 0 };
	*j = (struct part_job){ .job = { .work = part_work, .done = part_done }, .m = m, .number = m->parts.n, .own = own, .n = n };
	pool_submit(m->pool, &j->job);
	return true;
}

static void multipart_free(struct s3_multipart *m)
{
	parts_wait(m, 0);
	pool_free(m->pool);
	arena_free(&m->arena);
	mem_free(m);
}

void s3_multipart_abort(struct s3_multipart *m)
{
	struct arena a = ARENA_INIT;
	struct err why = ERR_INIT;
	parts_wait(m, 0); /* a part that comes after the abort would stay */
	struct s3_call c = { .name = "AbortMultipartUpload", .method = STR("DELETE"), .key = m->key, .expects = { 404 }, .once = true };
	s3_query(&c, "uploadId", m->upload_id);
	if (!s3_call(m->s, &c, &a, &why))
		log_warn("%s; `sluice gc` ends the upload some day", why.message);
	s3_call_end(&c);
	arena_free(&a);
	multipart_free(m);
}

static void xml_text(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		switch (s.p[i]) {
		case '&': buf_add_z(b, "&amp;"); break;
		case '<': buf_add_z(b, "&lt;"); break;
		case '>': buf_add_z(b, "&gt;"); break;
		case '"': buf_add_z(b, "&quot;"); break;
		default: buf_add_char(b, s.p[i]);
		}
}

static void parts_list(const struct s3_multipart *m, struct buf *b, struct arena *a)
{
	buf_add_z(b, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < m->parts.n; i++) {
		buf_addf(b, "<Part><PartNumber>%zu</PartNumber><ETag>", i + 1);
		xml_text(b, m->parts.v[i].etag);
		buf_add_z(b, "</ETag><ChecksumCRC64NVME>");
		xml_text(b, s3_crc64_text(m->parts.v[i].crc, a));
		buf_add_z(b, "</ChecksumCRC64NVME></Part>");
	}
	buf_add_z(b, "</CompleteMultipartUpload>");
}

/* Of all parts together: each was summed once, by who sent it. */
static uint64_t parts_crc64(const struct s3_multipart *m)
{
	uint64_t crc = 0;
	for (size_t i = 0; i < m->parts.n; i++)
		crc = crc64_join(crc, m->parts.v[i].crc, m->parts.v[i].n);
	return crc;
}

bool s3_multipart_end(struct s3_multipart *m, uint64_t size_bytes, bool *exists, bool *lost, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct buf body = BUF_INIT(COMPLETE_BODY_MAX);
	*exists = *lost = false;
	parts_wait(m, 0);
	if (m->failed) {
		*e = m->why;
		s3_multipart_abort(m);
		return false;
	}
	parts_list(m, &body, &a);
	CHECK(!body.overflow);
	struct s3_call c = { .name = "CompleteMultipartUpload", .method = STR("POST"), .key = m->key, .body = buf_str(&body),
			     .error_in_200 = true, .root = "CompleteMultipartUploadResult", .expects = { 404, 412 },
			     .patience_us = COMPLETE_US };
	s3_query(&c, "uploadId", m->upload_id);
	s3_header(&c, "x-amz-checksum-crc64nvme", s3_crc64_text(parts_crc64(m), &a));
	s3_header(&c, "x-amz-checksum-type", STR("FULL_OBJECT"));
	s3_header(&c, "x-amz-mp-object-size", arena_format(&a, "%" PRIu64, size_bytes));
	if (m->s->condition == S3_CONDITIONAL)
		s3_header(&c, "If-None-Match", STR("*"));
	bool ok = s3_call(m->s, &c, &a, e);
	unsigned status = ok ? c.answer->status : 0;
	*lost = !ok && c.lost;
	if (!ok && str_eq_z(c.code, "PreconditionFailed")) /* found out after the 200 was on its way */
		ok = *exists = true;
	*exists = *exists || status == 412;
	if (status == 404) { /* the upload is gone: done by a request of ours whose answer was lost, or ended by somebody */
		*lost = true; /* which, the bytes under the key tell */
		ok = s3_fail(m->s, m->key, ERR_STORAGE, e, "CompleteMultipartUpload: 404, the upload was ended by somebody else");
	}
	s3_call_end(&c);
	buf_free(&body);
	arena_free(&a);
	if (status == 200 && ok)
		multipart_free(m);
	else
		s3_multipart_abort(m); /* after success whose answer was lost there is nothing left to abort: 404 */
	return ok;
}
