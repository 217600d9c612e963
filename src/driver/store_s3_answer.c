/* What the answers of S3 mean: errors from their XML, checksums from their headers. */
#include "base/base64.h"
#include "base/crc32c.h"
#include "base/crc64.h"
#include "driver/store_s3_parts.h"
#include "driver/store_s3_xml.h"

#include <stdio.h>
#include <string.h>

static const struct code_row {
	const char *code;
	enum s3_action action;
	enum err_code err;
	bool surely_not_done;
	const char *hint;
} rows[] = {
#define S3_CODE(code, action, err, not_done, hint) { code, S3_##action, ERR_##err, not_done, hint },
#include "driver/store_s3_error.def"
#undef S3_CODE
};

/* A HEAD has no body to say it in. */
static const char *code_of_status(unsigned status)
{
	switch (status) {
	case 301: return "PermanentRedirect";
	case 307: return "TemporaryRedirect";
	case 403: return "AccessDenied";
	case 405: return "MethodNotAllowed";
	case 409: return "ConditionalRequestConflict";
	case 412: return "PreconditionFailed";
	case 501: return "NotImplemented";
	case 503: return "SlowDown";
	case 507: return "QuotaExceeded";
	default: return "";
	}
}

static bool status_passes(unsigned status)
{
	return status >= 500 || status == 429 || status == 408;
}

struct str s3_root_of(struct str body, struct arena *a)
{
	struct xml x = xml_begin(body, a);
	return xml_next(&x) == XML_OPEN ? x.name : STR_NONE;
}

struct str s3_element(struct str body, const char *name, struct arena *a)
{
	struct xml x = xml_begin(body, a);
	for (;;) {
		enum xml_event event = xml_next(&x);
		if (event == XML_END || event == XML_BAD)
			return STR_NONE;
		if (event == XML_CLOSE && x.depth == 2 && str_eq_z(x.name, name))
			return x.text;
	}
}

/* Bytes of somebody else's on their way to a terminal. */
static struct str printable(struct str s, struct arena *a)
{
	s = arena_copy(a, str_sub(s, 0, 300));
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] >= 0x7f)
			((char *)(uintptr_t)s.p)[i] = '?';
	return s;
}

/* A store has words for whom it refuses. */
static bool is_elsewhere(const struct http_exchange *x)
{
	return x->status == 404 || (x->status >= 400 && x->status <= 405 && x->body.n > 0);
}

bool s3_says_missing(const struct s3_call *c, const struct http_exchange *x, struct arena *a)
{
	if (x->status != 404)
		return false;
	if (x->body.n == 0)
		return c->key.n > 0;
	return str_eq_z(s3_root_of(x->body, a), "Error") && !str_eq_z(s3_element(x->body, "Code", a), "NoSuchBucket");
}

void s3_refusal_read(const struct http_exchange *x, struct arena *a, struct s3_refusal *out)
{
	*out = (struct s3_refusal){ .action = status_passes(x->status) ? S3_REPEAT : S3_FAIL, .err = ERR_STORAGE };
	bool is_error = str_eq_z(s3_root_of(x->body, a), "Error");
	if (is_error) {
		out->code = printable(s3_element(x->body, "Code", a), a);
		out->message = printable(s3_element(x->body, "Message", a), a);
		out->request_id = s3_element(x->body, "RequestId", a);
		out->region = s3_element(x->body, "Region", a);
	}
	out->is_stranger = !is_error && is_elsewhere(x);
	if (out->code.n == 0 && !out->is_stranger)
		out->code = str_from(code_of_status(x->status));
	if (out->request_id.n == 0)
		out->request_id = http_header_get(x, "x-amz-request-id");
	if (out->region.n == 0)
		out->region = http_header_get(x, "x-amz-bucket-region");
	out->request_id = printable(out->request_id, a);
	out->region = printable(out->region, a);
	/* A 4xx without a word of the service: nobody has done anything. What is in front of it may say 5xx at any time. */
	out->surely_not_done = x->status < 500;
	if (out->is_stranger && x->status == 404)
		out->err = ERR_CONFIG;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (str_eq_z(out->code, rows[i].code)) {
			out->action = rows[i].action;
			out->err = rows[i].err;
			out->hint = rows[i].hint;
			out->surely_not_done = rows[i].surely_not_done && (is_error || x->status < 500);
			break;
		}
}

/* Which permission of a policy a call is about. */
static const char *needed(const char *call)
{
	static const struct {
		const char *call, *what;
	} table[] = {
		/* a missing object is refused, too, to those who may not list */
		{ "GetObject", "s3:GetObject on its objects, and s3:ListBucket on the bucket" },
		{ "HeadObject", "s3:GetObject on its objects, and s3:ListBucket on the bucket" },
		{ "DeleteObject", "s3:DeleteObject on its objects" },
		{ "ListObjectsV2", "s3:ListBucket on the bucket" },
		{ "ListMultipartUploads", "s3:ListBucketMultipartUploads on the bucket" },
		{ "AbortMultipartUpload", "s3:AbortMultipartUpload on its objects" },
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(call, table[i].call) == 0)
			return table[i].what;
	return "s3:PutObject on its objects"; /* also for uploads in parts */
}

static void hint_stranger(const struct s3 *s, const struct http_exchange *x, struct err *e)
{
	bool wants_tls = str_contains(x->body, STR("HTTPS")) || str_contains(x->body, STR("SSL"));
	if (wants_tls && str_eq_z(s->scheme, "http"))
		err_hint(e, "what answers wants TLS: then the endpoint (`s3.endpoint` in the pipeline file, else AWS_ENDPOINT_URL_S3) begins "
			 "with https://");
	else
		err_hint(e, "is a store with S3's protocol at this endpoint, and nothing before it that answers in its place? "
			 "`s3.endpoint` in the pipeline file, else AWS_ENDPOINT_URL_S3, names it");
}

void s3_refusal_say(struct s3 *s, const struct s3_call *c, const struct http_exchange *x, const struct s3_refusal *r,
		    struct err *e)
{
	char attempts[48] = "";
	if (c->attempts > 1) {
		int n = snprintf(attempts, sizeof attempts, ", after %u attempts", c->attempts);
		if (n < 0 || (size_t)n >= sizeof attempts)
			attempts[0] = 0;
	}
	s3_fail(s, c->shown.n ? c->shown : c->key, r->err, e, "%s: %u%s%s%.*s%s%.*s%s%.*s%s%s", c->name, x->status,
		r->is_stranger ? ", not in the words of S3" : "", r->code.n ? " " : "", STR_ARG(r->code), r->message.n ? ": " : "", STR_ARG(r->message), r->request_id.n ? " (request " : "",
		STR_ARG(r->request_id), r->request_id.n ? ")" : "", attempts);
	if (r->is_stranger)
		hint_stranger(s, x, e);
	else if (r->region.n && r->err == ERR_CONFIG)
		err_hint(e, "the bucket is in region %.*s: say so in `s3.region` of the pipeline file or in AWS_REGION",
			 STR_ARG(r->region));
	else if (str_eq_z(r->code, "AccessDenied"))
		err_hint(e, "this needs %s; docs/pipeline-file.md (Lakes on S3) has what each command needs", needed(c->name));
	else if (r->hint && r->hint[0])
		err_hint(e, "%s", r->hint);
}

struct str s3_sha256_text(struct sha256 h, struct arena *a)
{
	return base64_encode(h.b, sizeof h.b, a);
}

struct str s3_crc64_text(uint64_t crc, struct arena *a)
{
	uint8_t b[8];
	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(crc >> (56 - 8 * i));
	return base64_encode(b, sizeof b, a);
}

struct str s3_crc32c_text(uint32_t crc, struct arena *a)
{
	uint8_t b[4] = { (uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc };
	return base64_encode(b, sizeof b, a);
}

/* Is it a sum of the bytes that were kept? "…=-3" is a sum of the sums of parts: nothing that bytes alone can be held against. */
static bool is_of_bytes(struct str sum)
{
	return sum.n > 0 && str_find_char(sum, '-') == sum.n;
}

static bool differs(const char *name, struct err *e)
{
	return err_set(e, ERR_DAMAGE, "what came does not have the %s that the store keeps of it", name);
}

bool s3_object_is_sound(const struct s3_call *c, const struct http_exchange *x, struct err *e)
{
	(void)c;
	if (x->status != 200)
		return true;
	struct arena a = ARENA_INIT;
	bool ok = true;
	struct str sha = http_header_get(x, "x-amz-checksum-sha256"), crc = http_header_get(x, "x-amz-checksum-crc64nvme");
	struct str crc32c = http_header_get(x, "x-amz-checksum-crc32c");
	if (is_of_bytes(sha) && !str_eq(sha, s3_sha256_text(sha256_of(x->body), &a)))
		ok = differs("SHA-256", e);
	else if (is_of_bytes(crc) && !str_eq(crc, s3_crc64_text(crc64_add(0, x->body.p, x->body.n), &a)))
		ok = differs("CRC-64", e);
	else if (is_of_bytes(crc32c) && !str_eq(crc32c, s3_crc32c_text(crc32c_add(0, x->body.p, x->body.n), &a)))
		ok = differs("CRC-32C", e);
	else if (x->close_framed && sha.n == 0 && crc.n == 0 && crc32c.n == 0)
		ok = err_set(e, ERR_DAMAGE, "the answer has neither a length nor a checksum, so its end cannot be told");
	arena_free(&a);
	return ok;
}

bool s3_range_read(const struct http_exchange *x, uint64_t *from, uint64_t *last, uint64_t *size)
{
	struct str v = http_header_get(x, "content-range");
	if (x->status != 206 || !str_starts(v, STR("bytes ")))
		return false;
	v = str_sub(v, 6, SIZE_MAX);
	size_t dash = str_find_char(v, '-'), slash = str_find_char(v, '/');
	if (dash >= slash || !str_to_u64(str_sub(v, 0, dash), from) || !str_to_u64(str_sub(v, dash + 1, slash - dash - 1), last))
		return false;
	v = str_sub(v, slash + 1, SIZE_MAX);
	*size = UINT64_MAX;
	return *from <= *last && *last < UINT64_MAX && (str_eq_z(v, "*") || (str_to_u64(v, size) && *last < *size));
}

/* What is in front of a store may cut ranges to a length of its own, or off: that is no damage of the object. */
bool s3_range_is_sound(const struct s3_call *c, const struct http_exchange *x, struct err *e)
{
	uint64_t from, last, size;
	if (!s3_range_read(x, &from, &last, &size) || from != c->range_first)
		return true; /* asking again would not help: the caller says what it is */
	if (last - from + 1 != x->body.n)
		return err_set(e, ERR_STORAGE, "a part with another length than its Content-Range has");
	if (last < c->range_last && last + 1 != size)
		return err_set(e, ERR_STORAGE, "a shorter part than was asked for, and not the object's end");
	return true;
}
