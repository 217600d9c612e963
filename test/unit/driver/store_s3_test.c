/* The S3 store against answers from a table: what each status and code means, what is asked again, what is sent. */
#include "unit.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/crc64.h"
#include "base/hash.h"
#include "driver/store_s3.h"

#include <inttypes.h>
#include <stdlib.h>

#define NOW_US INT64_C(1369353600000000) /* 2013-05-24T00:00:00Z */

/* ── a store with a fake behind it ── */

enum { ANSWERS_MAX = 16 };

struct world {
	struct arena arena;
	struct clock_fake clock;
	struct http *http;
	struct http_fake_row rows[ANSWERS_MAX];
	size_t n_rows;
	struct store *s;
	struct err e;
	unsigned opened;
	int64_t began_us;
	const char *session; /* AWS_SESSION_TOKEN */
};

static const char *env(void *user, const char *name)
{
	const struct world *w = user;
	static const struct {
		const char *name, *value;
	} table[] = { { "AWS_ACCESS_KEY_ID", "AKIDEXAMPLE" }, { "AWS_SECRET_ACCESS_KEY", "secretKEYexample" } };
	for (size_t i = 0; i < COUNT(table); i++)
		if (strcmp(name, table[i].name) == 0)
			return table[i].value;
	return strcmp(name, "AWS_SESSION_TOKEN") == 0 ? w->session : NULL;
}

static bool open_fake(void *user, struct clock *clock, struct http **out, struct err *e)
{
	struct world *w = user;
	(void)clock;
	w->opened++;
	if (!http_open_fake(&w->clock, w->rows, w->n_rows, &w->http, e))
		return false;
	*out = w->http;
	return true;
}

/* "503 SlowDown": an error in XML; "200": no body; "200 =bytes": a body; "206 {Content-Range: bytes 0-3/9} =0123"; "cut 200 =ab":
 * one that breaks off; "!RESET": no answer; "!CLOSED": a kept connection was closed. */
static void answer_add(struct world *w, const char *spec)
{
	struct http_fake_row *row = &w->rows[w->n_rows++];
	struct arena *a = &w->arena;
	*row = (struct http_fake_row){ .url_glob = STR("*"), .times = 1 };
	struct str s = str_from(spec), headers = STR_NONE, body = STR_NONE;
	if (str_starts(s, STR("!"))) {
		row->kept_was_closed = str_eq_z(s, "!CLOSED");
		row->fail = row->kept_was_closed ? ERR_RESET : ERR_BUG;
		for (int code = 0; code < ERR_COUNT; code++)
			if (str_eq_z(str_sub(s, 1, SIZE_MAX), err_name((enum err_code)code)))
				row->fail = (enum err_code)code;
		assert_int_not_equal(row->fail, ERR_BUG);
		return;
	}
	bool cut = str_starts(s, STR("cut "));
	s = str_sub(s, cut ? 4 : 0, SIZE_MAX);
	unsigned status = (unsigned)strtoul(s.p, NULL, 10);
	struct str rest = str_sub(s, 4, SIZE_MAX);
	if (str_starts(rest, STR("{"))) {
		size_t n = str_find_char(rest, '}');
		headers = arena_format(a, "%.*s\r\n", STR_ARG(str_sub(rest, 1, n - 1)));
		rest = str_sub(rest, n + 2, SIZE_MAX);
	}
	if (str_starts(rest, STR("=")))
		body = str_sub(rest, 1, SIZE_MAX);
	else if (rest.n > 0)
		body = arena_format(a, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%.*s</Code><Message>Some &quot;words&#34; "
				    "&amp; more</Message><RequestId>REQ1</RequestId></Error>", STR_ARG(rest));
	row->raw = arena_format(a, "HTTP/1.1 %u X\r\n%.*s%s%zu\r\n\r\n%.*s", status, STR_ARG(headers),
				status == 204 ? "X-Length: " : "Content-Length: ", body.n + (cut ? 10 : 0), STR_ARG(body));
}

static void world_open(struct world *w, const char *const *answers, struct store_s3_options o)
{
	w->e = ERR_INIT;
	clock_fake_init(&w->clock, NOW_US);
	for (; answers && *answers; answers++)
		answer_add(w, *answers);
	struct aws_chain_options chain = { .clock = &w->clock.clock, .env = env, .user = w };
	o.bucket = o.bucket.n ? o.bucket : STR("bkt");
	o.prefix = STR("pre/fix");
	o.region = o.region.n ? o.region : STR("eu-west-1");
	o.clock = &w->clock.clock;
	o.http_open = open_fake;
	o.user = w;
	assert_true(aws_chain_open(&chain, &o.chain, &w->e));
	assert_true(store_open_s3(&o, &w->s, &w->e));
	w->began_us = w->clock.monotonic_us;
}

static void world_close(struct world *w)
{
	store_close(w->s);
	arena_free(&w->arena);
}

/* Methods in the order in which they were asked for. */
static struct str methods(struct world *w)
{
	struct str all = w->http ? http_fake_transcript(w->http, &w->arena) : STR_NONE, line, out = STR("");
	while (str_cut(&all, '\n', &line))
		if (line.n > 0 && line.p[0] != ' ')
			out = arena_format(&w->arena, "%.*s%s%.*s", STR_ARG(out), out.n ? " " : "",
					   STR_ARG(str_sub(line, 0, str_find_char(line, ' '))));
	return out;
}

/* ── the table ── */

enum op { CREATE, GET, READ, SIZE, LIST, LIST_ALL, REMOVE, FINISH, SWEEP, LOOK };

#define SHA_ABC "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
#define AWS_IS true
static const struct {
	const char *name;
	enum op op;
	bool aws; /* no endpoint, and so no probe */
	const char *answers[ANSWERS_MAX];
	const char *want;  /* of CREATE: created, exists, unknown; of others the bytes, size, names; or "!CODE words of the message" */
	const char *asked; /* methods */
	const char *sent;  /* stands in the transcript; may be NULL */
} cases[] = {
	{ "created", CREATE, AWS_IS, { "200" }, "created", "PUT", "If-None-Match: *" },
	{ "with its checksum", CREATE, AWS_IS, { "200" }, "created", "PUT", "x-amz-checksum-sha256: " SHA_ABC },
	{ "signed", CREATE, AWS_IS, { "200" }, "created", "PUT",
	  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20130524/eu-west-1/s3/aws4_request, SignedHeaders=host;if-none-match;"
	  "x-amz-checksum-sha256;x-amz-content-sha256;x-amz-date" },
	{ "at the bucket's own host", CREATE, AWS_IS, { "200" }, "created", "PUT", "PUT https://bkt.s3.eu-west-1.amazonaws.com/pre/fix/k/1\n" },
	{ "exists", CREATE, AWS_IS, { "412 PreconditionFailed" }, "exists", "PUT", NULL },
	{ "409 is asked again", CREATE, AWS_IS, { "409 ConditionalRequestConflict", "200" }, "created", "PUT PUT", NULL },
	{ "409, then somebody was first", CREATE, AWS_IS, { "409 ConditionalRequestConflict", "412 PreconditionFailed" }, "exists", "PUT PUT", NULL },
	{ "answer lost, done", CREATE, AWS_IS, { "!RESET", "412 PreconditionFailed" }, "exists", "PUT PUT", NULL },
	{ "answer lost, not done", CREATE, AWS_IS, { "!TIMEOUT", "200" }, "created", "PUT PUT", NULL },
	{ "answer cut", CREATE, AWS_IS, { "cut 200 =", "412" }, "exists", "PUT PUT", NULL },
	{ "a kept connection closed", CREATE, AWS_IS, { "!CLOSED", "200" }, "created", "PUT PUT", NULL },
	{ "all answers lost", CREATE, AWS_IS, { "!RESET", "!RESET", "!RESET", "!TIMEOUT", "!RESET", "!RESET", "!RESET", "!RESET" },
	  "unknown", "PUT PUT PUT PUT PUT PUT PUT PUT", NULL },
	{ "lost, then refused", CREATE, AWS_IS, { "!RESET", "403 AccessDenied" }, "unknown", "PUT PUT", NULL },
	{ "500 may have done it", CREATE, AWS_IS, { "500 InternalError", "403 AccessDenied" }, "unknown", "PUT PUT", NULL },
	{ "503 has not", CREATE, AWS_IS, { "503 SlowDown", "403 AccessDenied" }, "!STORAGE 403 AccessDenied", "PUT PUT", NULL },
	{ "503 without words may have", CREATE, AWS_IS, { "503", "403 AccessDenied" }, "unknown", "PUT PUT", NULL },
	{ "500, 502, 503, 504", CREATE, AWS_IS, { "500 InternalError", "502", "503 SlowDown", "504", "200" }, "created", "PUT PUT PUT PUT PUT", NULL },
	{ "400 that passes", CREATE, AWS_IS, { "400 RequestTimeout", "400 BadDigest", "200" }, "created", "PUT PUT PUT", NULL },
	{ "never connected", CREATE, AWS_IS, { "!CONNECT", "!CONNECT", "!CONNECT", "!CONNECT", "!RESOLVE", "!CONNECT", "!CONNECT", "!CONNECT" },
	  "!STORAGE PutObject", "PUT PUT PUT PUT PUT PUT PUT PUT", NULL },
	{ "no trust, not again", CREATE, AWS_IS, { "!TLS" }, "!STORAGE PutObject", "PUT", NULL },
	{ "denied", CREATE, AWS_IS, { "403 AccessDenied" },
	  "!STORAGE s3://bkt/pre/fix/k/1: PutObject: 403 AccessDenied: Some \"words\" & more (request REQ1)", "PUT", NULL },
	{ "no bucket", CREATE, AWS_IS, { "404 NoSuchBucket" }, "!CONFIG 404 NoSuchBucket", "PUT", NULL },
	{ "unknown key of ours", CREATE, AWS_IS, { "403 InvalidAccessKeyId" }, "!CREDENTIALS InvalidAccessKeyId", "PUT", NULL },
	{ "expired, twice", CREATE, AWS_IS, { "400 ExpiredToken", "400 ExpiredToken" }, "!CREDENTIALS ExpiredToken", "PUT PUT", NULL },
	{ "expired, renewed", CREATE, AWS_IS, { "400 ExpiredToken", "200" }, "created", "PUT PUT", NULL },
	{ "clock skewed", CREATE, AWS_IS, { "403 {Date: Fri, 24 May 2013 00:20:00 GMT} RequestTimeTooSkewed", "200" }, "created", "PUT PUT",
	  "X-Amz-Date: 20130524T002000Z" },
	{ "clock skewed, twice", CREATE, AWS_IS, { "403 {Date: Fri, 24 May 2013 00:20:00 GMT} RequestTimeTooSkewed",
	  "403 {Date: Fri, 24 May 2013 00:40:00 GMT} RequestTimeTooSkewed" }, "!STORAGE RequestTimeTooSkewed", "PUT PUT", NULL },
	{ "a clock before all time", CREATE, AWS_IS, { "403 {Date: Thu, 24 May 1900 00:20:00 GMT} RequestTimeTooSkewed" },
	  "!STORAGE RequestTimeTooSkewed", "PUT", NULL },
	{ "wrong region", CREATE, AWS_IS, { "301 {x-amz-bucket-region: us-west-2} PermanentRedirect" }, "!CONFIG 301 PermanentRedirect", "PUT", NULL },
	{ "not known by name", CREATE, AWS_IS, { "418 Teapot" }, "!STORAGE 418 Teapot", "PUT", NULL },
	{ "an error that is no XML", CREATE, AWS_IS, { "400 =<html>&nbsp;" }, "!STORAGE PutObject: 400, not in the words of S3", "PUT", NULL },
	{ "somebody else's 403", CREATE, AWS_IS, { "403 =<html>blocked" }, "!STORAGE PutObject: 403, not in the words of S3", "PUT", NULL },
	{ "somebody else's 404", CREATE, AWS_IS, { "404 =not found" }, "!CONFIG PutObject: 404, not in the words of S3", "PUT", NULL },

	{ "probed", CREATE, false, { "200", "412", "204", "200" }, "created", "PUT PUT DELETE PUT", "PUT https://s3.test:9000/bkt/pre/fix/.tmp/probe-" },
	{ "probed, path style", CREATE, false, { "200", "412", "204", "200" }, "created", "PUT PUT DELETE PUT", "PUT https://s3.test:9000/bkt/pre/fix/k/1\n" },
	{ "no conditional writes", CREATE, false, { "200", "200", "204" }, "!CONFIG no conditional writes", "PUT PUT DELETE", NULL },
	{ "says that it has none", CREATE, false, { "501 NotImplemented" }, "!CONFIG no conditional writes", "PUT", NULL },
	{ "probe denied", CREATE, false, { "403 AccessDenied", "204" }, "!STORAGE AccessDenied", "PUT DELETE", NULL },
	{ "probe's answer lost", CREATE, false, { "!RESET", "412", "412", "204", "200" }, "created", "PUT PUT PUT DELETE PUT", NULL },
	{ "probe cannot be removed", CREATE, false, { "200", "412", "403 AccessDenied", "200" }, "created", "PUT PUT DELETE PUT", NULL },

	{ "get", GET, AWS_IS, { "200 =abc" }, "abc", "GET", "x-amz-checksum-mode: ENABLED" },
	{ "get, missing", GET, AWS_IS, { "404 NoSuchKey" }, "!MISSING s3://bkt/pre/fix/k/1: no such object", "GET", NULL },
	{ "get, missing without words", GET, AWS_IS, { "404" }, "!MISSING no such object", "GET", NULL },
	{ "get, somebody else's 404", GET, AWS_IS, { "404 =<html>not here</html>" }, "!CONFIG GetObject: 404, not in the words of S3", "GET", NULL },
	{ "get, the bucket has gone", GET, AWS_IS, { "404 NoSuchBucket" }, "!CONFIG GetObject: 404 NoSuchBucket", "GET", NULL },
	{ "get, too large", GET, AWS_IS, { "200 =0123456789ab" }, "!TOO_LARGE 12 bytes", "GET", NULL },
	{ "get, cut", GET, AWS_IS, { "cut 200 =ab", "200 =abc" }, "abc", "GET GET", NULL },
	{ "get, checksum right", GET, AWS_IS, { "200 {x-amz-checksum-sha256: " SHA_ABC "} =abc" }, "abc", "GET", NULL },
	{ "get, checksum wrong once", GET, AWS_IS, { "200 {x-amz-checksum-sha256: " SHA_ABC "} =abd", "200 {x-amz-checksum-sha256: " SHA_ABC "} =abc" },
	  "abc", "GET GET", NULL },
	{ "get, CRC right", GET, AWS_IS, { "200 {x-amz-checksum-crc64nvme: rosUhgp5mIg=} =123456789" }, "123456789", "GET", NULL },
	{ "get, CRC wrong once", GET, AWS_IS, { "200 {x-amz-checksum-crc64nvme: rosUhgp5mIg=} =123456788",
	  "200 {x-amz-checksum-crc64nvme: rosUhgp5mIg=} =123456789" }, "123456789", "GET GET", NULL },
	{ "get, CRC-32C right", GET, AWS_IS, { "200 {x-amz-checksum-crc32c: 4waSgw==} =123456789" }, "123456789", "GET", NULL },
	{ "get, CRC-32C wrong once", GET, AWS_IS, { "200 {x-amz-checksum-crc32c: 4waSgw==} =123456788",
	  "200 {x-amz-checksum-crc32c: 4waSgw==} =123456789" }, "123456789", "GET GET", NULL },
	{ "get, damaged for good", GET, AWS_IS, { "200 {x-amz-checksum-sha256: " SHA_ABC "} =x", "200 {x-amz-checksum-sha256: " SHA_ABC "} =x",
	  "200 {x-amz-checksum-sha256: " SHA_ABC "} =x", "200 {x-amz-checksum-sha256: " SHA_ABC "} =x", "200 {x-amz-checksum-sha256: " SHA_ABC "} =x",
	  "200 {x-amz-checksum-sha256: " SHA_ABC "} =x", "200 {x-amz-checksum-sha256: " SHA_ABC "} =x", "200 {x-amz-checksum-sha256: " SHA_ABC "} =x" },
	  "!DAMAGE SHA-256", "GET GET GET GET GET GET GET GET", NULL },
	{ "get, a sum of sums", GET, AWS_IS, { "200 {x-amz-checksum-sha256: AAAA-3} =abc" }, "abc", "GET", NULL },
	{ "get, a part of it", GET, AWS_IS, { "206 {Content-Range: bytes 0-2/9} =012" }, "!STORAGE 206 where the whole", "GET", NULL },
	{ "get, nothing of it", GET, AWS_IS, { "204" }, "!STORAGE 204 where the whole", "GET", NULL },
	{ "get, archived", GET, AWS_IS, { "403 InvalidObjectState" }, "!STORAGE InvalidObjectState", "GET", NULL },

	{ "read", READ, AWS_IS, { "206 {Content-Range: bytes 2-5/9} =2345" }, "2345", "GET", "Range: bytes=2-5" },
	{ "read, past the end", READ, AWS_IS, { "416 InvalidRange" }, "!DAMAGE too short", "GET", NULL },
	{ "read, short", READ, AWS_IS, { "206 {Content-Range: bytes 2-3/4} =23" }, "!DAMAGE too short", "GET", NULL },
	{ "read, cut by something on the way", READ, AWS_IS, { "206 {Content-Range: bytes 2-3/9} =23", "206 {Content-Range: bytes 2-5/9} =2345" },
	  "2345", "GET GET", NULL },
	{ "read, shorter than it says", READ, AWS_IS, { "206 {Content-Range: bytes 2-5/9} =23", "206 {Content-Range: bytes 2-5/9} =2345" },
	  "2345", "GET GET", NULL },
	{ "read, longer than it says", READ, AWS_IS, { "206 {Content-Range: bytes 2-5/9} =234567", "206 {Content-Range: bytes 2-5/9} =2345" },
	  "2345", "GET GET", NULL },
	{ "read, past its own end", READ, AWS_IS, { "206 {Content-Range: bytes 2-5/4} =2345" }, "!STORAGE not the part", "GET", NULL },
	{ "read, cut", READ, AWS_IS, { "cut 206 {Content-Range: bytes 2-5/9} =23", "206 {Content-Range: bytes 2-5/9} =2345" }, "2345", "GET GET", NULL },
	{ "read, another part", READ, AWS_IS, { "206 {Content-Range: bytes 0-3/9} =0123" }, "!STORAGE not the part", "GET", NULL },
	{ "read, all of it", READ, AWS_IS, { "200 =0123456789" }, "!STORAGE not the part", "GET", NULL },
	{ "read, missing", READ, AWS_IS, { "404 NoSuchKey" }, "!MISSING no such object", "GET", NULL },

	{ "read, somebody else's 404", READ, AWS_IS, { "404 =<html>not here</html>" }, "!CONFIG 404, not in the words of S3", "GET", NULL },
	{ "size", SIZE, AWS_IS, { "200 =12345" }, "5", "HEAD", NULL },
	{ "size, missing", SIZE, AWS_IS, { "404" }, "!MISSING no such object", "HEAD", NULL },
	{ "size, denied without words", SIZE, AWS_IS, { "403" }, "!STORAGE HeadObject: 403 AccessDenied", "HEAD", NULL },
	{ "size, 503 without words", SIZE, AWS_IS, { "503", "200 =12" }, "2", "HEAD HEAD", NULL },

	{ "remove", REMOVE, AWS_IS, { "204" }, "", "DELETE", NULL },
	{ "remove, gone", REMOVE, AWS_IS, { "404 NoSuchKey" }, "", "DELETE", NULL },
	{ "remove, somebody else's 404", REMOVE, AWS_IS, { "404 =not found" }, "!CONFIG 404, not in the words of S3", "DELETE", NULL },
	{ "remove, lost", REMOVE, AWS_IS, { "!RESET", "204" }, "", "DELETE DELETE", NULL },

	{ "list", LIST, AWS_IS, { "200 =<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Name>b</Name><Prefix>pre/fix/k/</Prefix>"
	  "<IsTruncated>false</IsTruncated><Contents><Key>pre/fix/k/b</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>&quot;x&#34;</ETag>"
	  "<Size>7</Size></Contents><CommonPrefixes><Prefix>pre/fix/k/a/</Prefix></CommonPrefixes></ListBucketResult>" },
	  "a/ b:7 ", "GET", "GET https://bkt.s3.eu-west-1.amazonaws.com/?delimiter=%2F&encoding-type=url&list-type=2&prefix=pre%2Ffix%2Fk%2F\n" },
	{ "list, pages", LIST, AWS_IS, { "200 =<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a+b/c=</NextContinuationToken>"
	  "<Contents><Key>pre/fix/k/1</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>",
	  "200 =<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>pre/fix/k/2</Key><LastModified>2024-01-01T00:00:00Z</LastModified>"
	  "<Size>2</Size></Contents></ListBucketResult>" }, "1:1 2:2 ", "GET GET", "continuation-token=a%2Bb%2Fc%3D" },
	{ "list, names encoded, strange ones left out", LIST, AWS_IS, { "200 =<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
	  "<Contents><Key>pre%2Ffix%2Fk%2Fa%3D1</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents>"
	  "<Contents><Key>pre/fix/k/a+b</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents>"
	  "<Contents><Key>pre/fix/k/</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>0</Size></Contents>"
	  "<Contents><Key>other/k</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>0</Size></Contents></ListBucketResult>" },
	  "a=1:1 ", "GET", NULL },
	{ "list, nothing", LIST, AWS_IS, { "200 =<ListBucketResult/>" }, "", "GET", NULL },
	{ "list, stuck", LIST, AWS_IS, { "200 =<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>" }, "!STORAGE cannot be read", "GET", NULL },
	{ "list, in a circle", LIST, AWS_IS, { "200 =<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken></ListBucketResult>",
	  "200 =<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>b</NextContinuationToken></ListBucketResult>",
	  "200 =<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken></ListBucketResult>",
	  "200 =<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>b</NextContinuationToken></ListBucketResult>" },
	  "!STORAGE in a circle", "GET GET GET GET", NULL },
	{ "list, a size that is none", LIST, AWS_IS, { "200 =<ListBucketResult><Contents><Key>pre/fix/k/a</Key><Size>-1</Size></Contents></ListBucketResult>" },
	  "!STORAGE cannot be read", "GET", NULL },
	{ "list, cut XML", LIST, AWS_IS, { "200 =<ListBucketResult><Contents>" }, "!STORAGE it ends in the middle", "GET", NULL },
	{ "list, a DTD", LIST, AWS_IS, { "200 =<ListBucketResult><!ENTITY a 'b'></ListBucketResult>" }, "!STORAGE a DTD", "GET", NULL },
	{ "list, an error in 200", LIST, AWS_IS, { "200 SlowDown", "200 =<ListBucketResult/>" }, "", "GET GET", NULL },
	{ "list, no list", LIST, AWS_IS, { "200 =<html>", "200 =", "200 =<ListBucketResult/>" }, "", "GET GET GET", NULL },
	/* LIST_ALL leaves out what lies in folders of the name "skip" */
	{ "list all", LIST_ALL, AWS_IS, { "200 =<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>pre/fix/k/a/b/c</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents>"
	  "<Contents><Key>pre/fix/k/a//b</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents>"
	  "<Contents><Key>pre/fix/k/z</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>" },
	  "a/b/c:1 z:1 ", "GET", "GET https://bkt.s3.eu-west-1.amazonaws.com/?encoding-type=url&list-type=2&prefix=pre%2Ffix%2Fk%2F\n" },
	{ "list all, pages", LIST_ALL, AWS_IS, { "200 =<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
	  "<Contents><Key>pre/fix/k/a/1</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>",
	  "200 =<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>pre/fix/k/a/2</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>" },
	  "a/1:1 a/2:1 ", "GET GET", "continuation-token=t" },
	{ "list all, past what is not asked for", LIST_ALL, AWS_IS, { "200 =<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
	  "<Contents><Key>pre/fix/k/a/skip/1</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>",
	  "200 =<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>pre/fix/k/b/1</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>" },
	  "a/skip/1:1 b/1:1 ", "GET GET", "start-after=pre%2Ffix%2Fk%2Fa%2Fskip0\n" },
	{ "list all, stuck", LIST_ALL, AWS_IS, { "200 =<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>pre/fix/k/a/skip/1</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>",
	  "200 =<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>pre/fix/k/a/skip/1</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>" },
	  "!STORAGE cannot be read", "GET GET", NULL },
	{ "look", LOOK, AWS_IS, { "200 =<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>" }, "empty", "GET", "max-keys=1" },
	{ "look, a web server", LOOK, AWS_IS, { "404 =<html>not here</html>" }, "!CONFIG ListObjectsV2: 404, not in the words of S3", "GET", NULL },
	{ "look, a 404 without words", LOOK, AWS_IS, { "404" }, "!CONFIG ListObjectsV2: 404, not in the words of S3", "GET", NULL },
	{ "look, no bucket", LOOK, AWS_IS, { "404 NoSuchBucket" }, "!CONFIG ListObjectsV2: 404 NoSuchBucket", "GET", NULL },
	{ "look, something there", LOOK, AWS_IS, { "200 =<ListBucketResult><Contents><Key>k</Key><LastModified>2024-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>" },
	  "there", "GET", NULL },

	/* FINISH writes "0123456789" in parts of 4 bytes: more than one, so that there is a multipart upload */
	{ "parts", FINISH, AWS_IS, { "200 =<InitiateMultipartUploadResult><UploadId>u&amp;1</UploadId></InitiateMultipartUploadResult>", "200 {ETag: \"1\"}", "200 {ETag: \"2\"}",
	  "200 {ETag: \"3\"}", "200 =<CompleteMultipartUploadResult/>" }, "", "POST PUT PUT PUT POST", "uploadId=u%261" },
	{ "parts, one again", FINISH, AWS_IS, { "200 =<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", "200 {ETag: \"1\"}", "500 InternalError",
	  "200 {ETag: \"2\"}", "200 {ETag: \"3\"}", "200 =<CompleteMultipartUploadResult/>" }, "", "POST PUT PUT PUT PUT POST", NULL },
	{ "parts, one refused", FINISH, AWS_IS, { "200 =<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", "200 {ETag: \"1\"}",
	  "403 AccessDenied", "204" }, "!STORAGE UploadPart: 403", "POST PUT PUT DELETE", NULL },
	{ "parts, 200 and an error, then done", FINISH, AWS_IS, { "200 =<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", "200 {ETag: \"1\"}", "200 {ETag: \"2\"}",
	  "200 {ETag: \"3\"}", "200 InternalError", "200 =<CompleteMultipartUploadResult/>" }, "", "POST PUT PUT PUT POST POST", NULL },
	{ "parts, 200 and an error for good", FINISH, AWS_IS, { "200 =<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", "200 {ETag: \"1\"}", "200 {ETag: \"2\"}",
	  "200 {ETag: \"3\"}", "200 AccessDenied", "204" }, "!STORAGE CompleteMultipartUpload: 200 AccessDenied", "POST PUT PUT PUT POST DELETE", NULL },
	{ "parts, there already, the same", FINISH, AWS_IS, { "200 =<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", "200 {ETag: \"1\"}", "200 {ETag: \"2\"}",
	  "200 {ETag: \"3\"}", "412 PreconditionFailed", "204", "200 =0123456789", "206 {Content-Range: bytes 0-9/10} =0123456789" }, "",
	  "POST PUT PUT PUT POST DELETE HEAD GET", NULL },
	{ "parts, the answer lost, done", FINISH, AWS_IS, { "200 =<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", "200 {ETag: \"1\"}", "200 {ETag: \"2\"}",
	  "200 {ETag: \"3\"}", "!RESET", "404 NoSuchUpload", "404 NoSuchUpload", "200 =0123456789", "206 {Content-Range: bytes 0-9/10} =0123456789" }, "",
	  "POST PUT PUT PUT POST POST DELETE HEAD GET", NULL },
	{ "parts, there already, said after 200", FINISH, AWS_IS, { "200 =<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", "200 {ETag: \"1\"}", "200 {ETag: \"2\"}",
	  "200 {ETag: \"3\"}", "200 PreconditionFailed", "204", "200 =0123456789", "206 {Content-Range: bytes 0-9/10} =0123456789" }, "",
	  "POST PUT PUT PUT POST DELETE HEAD GET", NULL },
	{ "parts, gone at the first try, and done", FINISH, AWS_IS, { "200 =<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", "200 {ETag: \"1\"}", "200 {ETag: \"2\"}",
	  "200 {ETag: \"3\"}", "404 NoSuchUpload", "404 NoSuchUpload", "200 =0123456789", "206 {Content-Range: bytes 0-9/10} =0123456789" }, "",
	  "POST PUT PUT PUT POST DELETE HEAD GET", NULL },
	{ "parts, ended by somebody", FINISH, AWS_IS, { "200 =<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", "200 {ETag: \"1\"}", "200 {ETag: \"2\"}",
	  "200 {ETag: \"3\"}", "404 NoSuchUpload", "404 NoSuchUpload", "404" }, "!STORAGE ended by somebody", "POST PUT PUT PUT POST DELETE HEAD", NULL },
	{ "parts, there already, others", FINISH, AWS_IS, { "200 =<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", "200 {ETag: \"1\"}", "200 {ETag: \"2\"}",
	  "200 {ETag: \"3\"}", "412", "204", "200 =0123456780", "206 {Content-Range: bytes 0-9/10} =0123456780" }, "!STORAGE with other bytes",
	  "POST PUT PUT PUT POST DELETE HEAD GET", NULL },
	{ "sweep, uploads in a circle", SWEEP, AWS_IS, {
	  "200 =<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker></ListMultipartUploadsResult>",
	  "200 =<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker></ListMultipartUploadsResult>",
	  "200 =<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker></ListMultipartUploadsResult>",
	  "200 =<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker></ListMultipartUploadsResult>",
	  "200 =<ListBucketResult/>" }, "0 0", "GET GET GET GET GET", NULL },
	{ "sweep", SWEEP, AWS_IS, { "200 =<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
	  "<Upload><Key>pre/fix/a</Key><UploadId>old</UploadId><Initiated>2013-05-01T00:00:00.000Z</Initiated></Upload>"
	  "<Upload><Key>pre/fix/b</Key><UploadId>new</UploadId><Initiated>2013-05-23T23:00:00.000Z</Initiated></Upload>"
	  "<Upload><Key>pre/fix/a b</Key><UploadId>no-key</UploadId><Initiated>2013-05-01T00:00:00.000Z</Initiated></Upload>"
	  "<Upload><Key>pre/fix/../a</Key><UploadId>no-key</UploadId><Initiated>2013-05-01T00:00:00.000Z</Initiated></Upload>"
	  "<Upload><Key>else/a</Key><UploadId>theirs</UploadId><Initiated>2013-05-01T00:00:00.000Z</Initiated></Upload></ListMultipartUploadsResult>", "204",
	  "200 =<ListBucketResult><Contents><Key>pre/fix/.tmp/probe-1</Key><LastModified>2013-05-01T00:00:00Z</LastModified><Size>6</Size></Contents>"
	  "<Contents><Key>pre/fix/.tmp/other</Key><LastModified>2013-05-01T00:00:00Z</LastModified><Size>6</Size></Contents></ListBucketResult>", "204" },
	  "2 6", "GET DELETE GET DELETE", "DELETE https://bkt.s3.eu-west-1.amazonaws.com/pre/fix/a?uploadId=old\n" },
};

static bool op_list(struct world *w, bool all, struct str *got)
{
	struct store_listing list;
	if (all ? !store_list_all(w->s, STR("k"), STR("skip"), &w->arena, &list, &w->e) : !store_list(w->s, STR("k"), &w->arena, &list, &w->e))
		return false;
	for (size_t i = 0; i < list.n; i++)
		*got = list.v[i].is_folder ? arena_format(&w->arena, "%.*s%.*s/ ", STR_ARG(*got), STR_ARG(list.v[i].name))
					   : arena_format(&w->arena, "%.*s%.*s:%d ", STR_ARG(*got), STR_ARG(list.v[i].name),
							  (int)list.v[i].size_bytes);
	return true;
}

static bool op_run(struct world *w, enum op op, struct str *got)
{
	static const char *const created_names[] = { "created", "exists", "unknown" };
	struct str key = STR("k/1");
	struct store_writer *writer;
	enum store_created created;
	uint64_t n = 0, bytes = 0;
	bool empty = false;
	char *room = arena_alloc(&w->arena, 16);
	*got = STR("");
	switch (op) {
	case CREATE:
		if (!store_create(w->s, key, STR("abc"), &created, &w->e))
			return false;
		*got = str_from(created_names[created]);
		return true;
	case GET: return store_get(w->s, key, 10, &w->arena, got, &w->e);
	case READ:
		*got = (struct str){ room, 4 };
		return store_read_at(w->s, key, 2, room, 4, &w->e);
	case SIZE:
		if (!store_size(w->s, key, &n, &w->e))
			return false;
		*got = arena_format(&w->arena, "%d", (int)n);
		return true;
	case LIST:
	case LIST_ALL: return op_list(w, op == LIST_ALL, got);
	case REMOVE: return store_remove(w->s, key, &w->e);
	case FINISH:
		assert_true(store_writer_open(w->s, &writer, &w->e));
		assert_true(store_writer_add(writer, STR("01"), &w->e));
		assert_true(store_writer_add(writer, STR("23456789"), &w->e));
		return store_writer_finish(writer, key, &w->e);
	case SWEEP:
		if (!store_sweep(w->s, NOW_US - INT64_C(7 * 86400) * 1000000, true, &n, &bytes, &w->e))
			return false;
		*got = arena_format(&w->arena, "%d %d", (int)n, (int)bytes);
		return true;
	case LOOK:
		if (!store_s3_look(w->s, &empty, &w->e))
			return false;
		*got = empty ? STR("empty") : STR("there");
		return true;
	}
	return false;
}

/* The fake answers by method too; a table of answers in order need not say them: each row takes the method asked for in `asked`. */
static void methods_set(struct world *w, const char *asked)
{
	struct str rest = str_from(asked), method;
	for (size_t i = 0; i < w->n_rows; i++) {
		assert_true(str_cut(&rest, ' ', &method));
		w->rows[i].method = method;
	}
}

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world w = { 0 };
		struct store_s3_options o = { .part_bytes = 4 };
		struct str got;
		if (!cases[i].aws) {
			o.endpoint = STR("https://s3.test:9000");
			o.path_style = true;
		}
		world_open(&w, cases[i].answers, o);
		methods_set(&w, cases[i].asked);
		bool ok = op_run(&w, cases[i].op, &got);
		struct str want = str_from(cases[i].want);
		if (!ok) {
			struct str words = str_sub(want, str_find_char(want, ' ') + 1, SIZE_MAX);
			if (!str_contains(str_from(w.e.message), words))
				fail_msg("%s: '%s' does not hold '%.*s'", cases[i].name, w.e.message, STR_ARG(words));
			got = arena_format(&w.arena, "!%s", err_name(w.e.code));
			want = str_sub(want, 0, str_find_char(want, ' '));
		}
		if (!str_eq(got, want))
			fail_msg("%s: got '%.*s', want '%.*s' (%s)", cases[i].name, STR_ARG(got), STR_ARG(want), w.e.message);
		if (!str_eq_z(methods(&w), cases[i].asked))
			fail_msg("%s: asked %.*s, want %s", cases[i].name, STR_ARG(methods(&w)), cases[i].asked);
		struct str transcript = http_fake_transcript(w.http, &w.arena);
		if (cases[i].sent && !str_contains(transcript, str_from(cases[i].sent)))
			fail_msg("%s: '%s' was not sent:\n%.*s", cases[i].name, cases[i].sent, STR_ARG(transcript));
		assert_int_equal(w.opened, 1);
		world_close(&w);
	}
}

/* ── what large objects carry ── */

static void checksums(void **state)
{
	(void)state;
	enum { LARGE = 1 << 20, PARTS = 5 };
	static const char *const answers[] = { "200", "200", "200 =<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
		"200 {ETag: \"1\"}", "200 {ETag: \"2\"}", "200 {ETag: \"3\"}", "200 =<CompleteMultipartUploadResult/>", NULL };
	struct world w = { 0 };
	enum store_created created;
	struct store_writer *writer;
	world_open(&w, answers, (struct store_s3_options){ .part_bytes = 2 * LARGE });
	methods_set(&w, "PUT PUT POST PUT PUT PUT POST");
	char *p = arena_alloc(&w.arena, PARTS * LARGE);
	for (size_t i = 0; i < PARTS * LARGE; i++)
		p[i] = (char)(i * 2654435761u >> 15);
	assert_true(store_create(w.s, STR("small"), (struct str){ p, LARGE - 1 }, &created, &w.e));
	assert_true(store_create(w.s, STR("large"), (struct str){ p, LARGE }, &created, &w.e));
	assert_true(store_writer_open_named(w.s, STR("parts"), &writer, &w.e));
	assert_true(store_writer_add(writer, (struct str){ p, PARTS * LARGE }, &w.e) && store_writer_finish(writer, STR("parts"), &w.e));
	struct sha256 small = sha256_of((struct str){ p, LARGE - 1 });
	uint32_t sum = crc32c_add(0, p, LARGE);
	uint64_t whole = crc64_add(0, p, PARTS * LARGE);
	uint8_t b[12];
	for (int i = 0; i < 12; i++)
		b[i] = (uint8_t)(i < 4 ? sum >> (24 - 8 * i) : whole >> (56 - 8 * (i - 4)));
	struct str sent = http_fake_transcript(w.http, &w.arena);
	const struct { const char *header; struct str text; } want[] = {
		{ "sha256", base64_encode(small.b, sizeof small.b, &w.arena) },
		{ "crc32c", base64_encode(b, 4, &w.arena) },
		{ "crc64nvme", base64_encode(b + 4, 8, &w.arena) },
	};
	for (size_t i = 0; i < COUNT(want); i++)
		assert_true(str_contains(sent, arena_format(&w.arena, "x-amz-checksum-%s: %.*s\n", want[i].header, STR_ARG(want[i].text))));
	world_close(&w);
}

/* ── pauses and budget ── */

static void pauses(void **state)
{
	(void)state;
	static const char *const busy[] = { "503 {Retry-After: 7} SlowDown", "200 =abc", NULL };
	struct world w = { 0 };
	struct str got;
	world_open(&w, busy, (struct store_s3_options){ 0 });
	methods_set(&w, "GET GET");
	assert_true(store_get(w.s, STR("k"), 10, &w.arena, &got, &w.e));
	int64_t slept = w.clock.monotonic_us - w.began_us;
	assert_true(slept >= 7 * 1000000 && slept < 8 * 1000000);
	world_close(&w);
}

/* A store that is down as a whole: the first calls use up what all may repeat, the others ask once. */
static void budget(void **state)
{
	(void)state;
	struct world w = { 0 };
	struct str got;
	answer_add(&w, "500 InternalError");
	w.rows[0].times = 0;
	w.rows[0].method = STR("GET");
	world_open(&w, NULL, (struct store_s3_options){ 0 });
	for (int i = 0; i < 40; i++)
		assert_false(store_get(w.s, STR("k"), 10, &w.arena, &got, &w.e));
	size_t asked = 0;
	struct str all = methods(&w), one;
	while (str_cut(&all, ' ', &one))
		asked++;
	assert_int_equal(asked, 40 + 100);
	world_close(&w);
}

/* ── what is read ahead ── */

static void read_ahead(void **state)
{
	(void)state;
	enum { SIZE_BYTES = 3 << 20, PIECE = 100000 };
	struct world w = { 0 };
	char *bytes = arena_alloc(&w.arena, SIZE_BYTES), *piece = arena_alloc(&w.arena, PIECE);
	for (size_t i = 0; i < SIZE_BYTES; i++)
		bytes[i] = (char)('a' + i % 26 + i / 1000 % 3);
	/* As a server answers: the first piece, then ever more. */
	static const size_t ahead[] = { 0, 256 << 10, 512 << 10, 1 << 20, 2 << 20 };
	size_t at = 0;
	for (size_t i = 0; i < COUNT(ahead) && at < SIZE_BYTES; i++) {
		size_t n = PIECE + ahead[i];
		if (n > SIZE_BYTES - at)
			n = SIZE_BYTES - at;
		struct http_fake_row *row = &w.rows[w.n_rows++];
		*row = (struct http_fake_row){ .method = STR("GET"), .url_glob = STR("*"), .times = 1 };
		row->raw = arena_format(&w.arena, "HTTP/1.1 206 X\r\nContent-Length: %zu\r\nContent-Range: bytes %zu-%zu/%d\r\n\r\n%.*s", n, at,
					at + n - 1, SIZE_BYTES, (int)n, bytes + at);
		at += n / PIECE * PIECE;
	}
	world_open(&w, NULL, (struct store_s3_options){ 0 });
	for (size_t from = 0; from + PIECE <= SIZE_BYTES; from += PIECE) {
		assert_true(store_read_at(w.s, STR("k"), from, piece, PIECE, &w.e));
		assert_memory_equal(piece, bytes + from, PIECE);
	}
	assert_text(methods(&w), "GET GET GET GET GET");
	world_close(&w);
}

/* ── single writer ── */

static void single_writer(void **state)
{
	(void)state;
	/* the probe; looked at and written; looked at and there; a lost answer is written again */
	static const char *const answers[] = { "200", "200", "204", "404", "200", "200 =abc", "404", "!RESET", "200", NULL };
	struct world w = { 0 };
	enum store_created created;
	world_open(&w, answers, (struct store_s3_options){ .endpoint = STR("http://s3.test"), .single_writer = true });
	methods_set(&w, "PUT PUT DELETE HEAD PUT HEAD HEAD PUT PUT");
	assert_true(store_create(w.s, STR("a"), STR("abc"), &created, &w.e));
	assert_int_equal(created, STORE_CREATED);
	assert_true(store_create(w.s, STR("a"), STR("abc"), &created, &w.e));
	assert_int_equal(created, STORE_EXISTS);
	assert_true(store_create(w.s, STR("b"), STR("abc"), &created, &w.e));
	assert_int_equal(created, STORE_CREATED);
	assert_text(methods(&w), "PUT PUT DELETE HEAD PUT HEAD HEAD PUT PUT");
	assert_true(str_contains(http_fake_transcript(w.http, &w.arena), STR("PUT http://bkt.s3.test/pre/fix/a\n")));
	world_close(&w);
}

/* ── names ── */

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *bucket, *prefix, *endpoint;
		bool ok, path_style;
		const char *region; /* NULL: "x" */
	} rows[] = {
		{ "bkt", "", "", true, false, NULL }, { "b.k-t", "a/b=c", "", true, false, NULL },
		{ "Old_Bucket", "", "http://h:1", true, true, NULL }, { "Old_Bucket", "", "", true, false, NULL },
		{ "Old_Bucket", "", "http://h:1", false, false, NULL }, { "b.kt", "", "http://h:1", false, false, NULL },
		{ "b.kt", "", "http://127.0.0.1:1", true, false, NULL }, { "bkt-", "", "https://h", false, false, NULL },
		{ "b.kt", "", "http://[::1]", true, false, NULL }, { "bkt", "", "", false, false, "x.evil.example/" },
		{ "bkt", "", "https://h", false, false, "x\ny" }, { "bkt", "", "", false, true, "-x" },
		{ "bkt", "", "", true, false, "eu-central-1" }, { "bk", "", "", false, false, NULL },
		{ "", "", "", false, false, NULL }, { "-bkt", "", "", false, false, NULL },
		{ "b/kt", "", "", false, false, NULL }, { "bkt", "a b", "", false, false, NULL },
		{ "bkt", "a//b", "", false, false, NULL }, { "bkt", "..", "", false, false, NULL },
		{ "bkt", "a/", "", false, false, NULL }, { "bkt", "", "s3.test", false, false, NULL },
		{ "bkt", "", "ftp://s3.test", false, false, NULL }, { "bkt", "", "http://h/path", false, false, NULL },
		{ "bkt", "", "http://u:p@h", false, false, NULL }, { "bkt", "", "http://", false, false, NULL },
		{ "bkt", "", "http://h/", true, false, NULL }, { "bkt", "", "https://[::1]:9000", true, false, NULL },
	};
	struct world w = { 0 };
	clock_fake_init(&w.clock, NOW_US);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct aws_chain_options chain = { .clock = &w.clock.clock, .env = env, .user = &w };
		struct store_s3_options o = { .bucket = str_from(rows[i].bucket), .prefix = str_from(rows[i].prefix),
					      .region = rows[i].region ? str_from(rows[i].region) : STR("x"),
					      .path_style = rows[i].path_style, .endpoint = str_from(rows[i].endpoint), .clock = &w.clock.clock };
		struct store *s = NULL;
		assert_true(aws_chain_open(&chain, &o.chain, &w.e));
		if (store_open_s3(&o, &s, &w.e) != rows[i].ok)
			fail_msg("s3://%s/%s at '%s'", rows[i].bucket, rows[i].prefix, rows[i].endpoint);
		if (rows[i].ok) {
			store_close(s);
		} else {
			assert_int_equal(w.e.code, ERR_CONFIG);
			aws_chain_close(o.chain);
		}
	}
}

static void hints(void **state)
{
	(void)state;
	static const char *const answers[] = { "301 {x-amz-bucket-region: us-west-2} PermanentRedirect", NULL };
	struct world w = { 0 };
	uint64_t size;
	world_open(&w, answers, (struct store_s3_options){ 0 });
	methods_set(&w, "HEAD");
	assert_false(store_size(w.s, STR("k"), &size, &w.e));
	assert_non_null(strstr(err_hint_text(&w.e), "us-west-2"));
	world_close(&w);
}

static void on_the_way(void **state)
{
	(void)state;
	static const struct {
		const char *endpoint;
		bool unencrypted;
	} rows[] = {
		{ "", false }, { "https://s3.test", false }, { "http://s3.test", true }, { "http://10.0.0.5:9000", true },
		{ "http://localhost:9000", false }, { "http://127.0.0.2:9000/", false }, { "http://[::1]:9000", false },
		{ "http://[fd00::1]:9000", true }, { "http://s3.localhost", false }, { "http://localhost.test", true },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world w = { 0 };
		world_open(&w, NULL, (struct store_s3_options){ .endpoint = str_from(rows[i].endpoint) });
		if (((w.s->abilities & STORE_UNENCRYPTED) != 0) != rows[i].unencrypted)
			fail_msg("%s", rows[i].endpoint);
		world_close(&w);
	}
}

/* Only AWS's own word counts, and only of the whole object. */
static void kept_hashes(void **state)
{
	(void)state;
	static const struct {
		const char *answer, *endpoint;
		enum store_kept kept;
	} rows[] = {
		{ "200 {x-amz-checksum-sha256: ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=}", "", STORE_KEPT_SAME },
		{ "200 {x-amz-checksum-sha256: vngWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=}", "", STORE_KEPT_OTHER },
		{ "200 {x-amz-checksum-sha256: ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=-2}", "", STORE_KEPT_NONE },
		{ "200 {x-amz-checksum-crc64nvme: AAAAAAAAAAA=}", "", STORE_KEPT_NONE },
		{ "200", "", STORE_KEPT_NONE },
		{ NULL, "http://s3.test", STORE_KEPT_NONE },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *const answers[] = { rows[i].answer, NULL };
		struct world w = { 0 };
		enum store_kept kept;
		world_open(&w, answers, (struct store_s3_options){ .endpoint = str_from(rows[i].endpoint) });
		methods_set(&w, rows[i].answer ? "HEAD" : "");
		if (!store_compare_kept(w.s, STR("k"), sha256_of(STR("abc")), &kept, &w.e) || kept != rows[i].kept)
			fail_msg("%zu: %d %s", i, (int)kept, w.e.message);
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),      cmocka_unit_test(checksums),     cmocka_unit_test(pauses), cmocka_unit_test(budget),
		cmocka_unit_test(read_ahead), cmocka_unit_test(single_writer), cmocka_unit_test(names),  cmocka_unit_test(hints),
		cmocka_unit_test(kept_hashes), cmocka_unit_test(on_the_way),
	};
	return cmocka_run_group_tests_name("driver/store_s3", tests, NULL, NULL);
}
