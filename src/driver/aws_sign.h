/* Signature Version 4 of AWS: header and query signing of requests whose body is one piece. No I/O, no state, no clock of
 * its own. Source: "AWS Signature Version 4 for API requests" (AWS IAM user guide); botocore is the oracle of the tests.
 *
 * Everything goes in as unencoded bytes and comes out as it is to be sent: the signer is the one place that encodes, so
 * that what is signed and what is sent cannot differ. A '%', '+' or '=' in a path, a query name or value is that byte.
 *
 *   service "s3"   the path is encoded once and signed as it is sent ("//", "/./" and "/../" are parts of keys);
 *                  x-amz-content-sha256 is sent. The transport must send paths as they are.
 *   every other    the path is encoded once and sent; what is signed is that, normalised (RFC 3986 5.2.4, "//" to "/") and
 *                  encoded once more.
 *
 * All headers given are signed and sent, but for those that are rewritten on the way (Connection, Expect, Transfer-Encoding,
 * User-Agent, X-Amzn-Trace-Id, ...: aws_sign.c has the list): sent, not signed. Host is signed and left to the transport,
 * which makes it of the URL. Not to be given: Host, Authorization, X-Amz-Date, X-Amz-Security-Token and, for S3,
 * X-Amz-Content-Sha256: the signer's own (ERR_BUG).
 *
 * ERR_BUG for what a caller may never ask; ERR_CONFIG for a host, a region or a header that cannot be sent, ERR_CREDENTIALS for
 * credentials that cannot; no message holds a secret. Thread-safe. */
#ifndef SLUICE_DRIVER_AWS_SIGN_H
#define SLUICE_DRIVER_AWS_SIGN_H

#include "driver/http.h"

enum { AWS_HEADERS_MAX = 64, AWS_QUERY_MAX = 256, AWS_PRESIGN_MAX_S = 7 * 24 * 3600 };

#define AWS_UNSIGNED_PAYLOAD STR("UNSIGNED-PAYLOAD")
/* SHA-256 of the empty body. */
#define AWS_EMPTY_PAYLOAD STR("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

struct aws_credentials {
	struct str access_key, secret_key;
	struct str session_token; /* empty: none */
	int64_t expires_us;       /* wall time; 0: never, as far as is known */
};

struct aws_query {
	struct str name, value; /* unencoded; an empty value is sent as "name=" */
};

struct aws_request {
	struct str method;         /* "GET" */
	struct str scheme;         /* "https" or "http" */
	struct str host;           /* with ":port" where it is not the scheme's own; IPv6 in brackets */
	struct str path;           /* unencoded; begins with '/' */
	const struct aws_query *query; /* any order; a name may occur more than once */
	size_t n_query;
	const struct http_header *headers;
	size_t n_headers;
	struct str payload_sha256; /* lower-case hex of the body's hash, or AWS_UNSIGNED_PAYLOAD */
	struct str region;         /* "eu-central-1" */
	struct str service;        /* "s3", "sts", "secretsmanager", "ssm" */
	int64_t now_us;            /* wall time; the caller corrects the skew */
};

struct aws_signed {
	struct str url; /* whole, encoded */
	struct http_header *headers; /* those given, in their order and as they were, then the signer's own */
	size_t n_headers;
};

/* Authorization header. The result is the arena's; all of it may be kept and copied but for X-Amz-Security-Token and
 * Authorization, which are nobody's to log. */
bool aws_sign(const struct aws_request *r, const struct aws_credentials *c, struct arena *a, struct aws_signed *out,
	      struct err *e);
/* Query signing: a URL that may be asked for lifetime_s (1 to AWS_PRESIGN_MAX_S) by anybody who has it: a secret itself.
 * Headers given are signed and must then be sent with it. For S3 the payload is never part of it. */
bool aws_presign(const struct aws_request *r, const struct aws_credentials *c, int64_t lifetime_s, struct arena *a,
		 struct str *url, struct err *e);

/* RFC 3986 unreserved characters stay, '/' too where keep_slash; all else becomes %XX. For whoever has to compare. */
struct str aws_encode(struct str bytes, bool keep_slash, struct arena *a);

#endif
