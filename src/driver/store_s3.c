#include "driver/store_s3_parts.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "driver/aws_call.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

enum { PART_BYTES = 8 << 20, COPIED_MAX = 64 << 10, CRC_FROM = 1 << 20 };

struct str s3_whole_key(const struct s3 *s, struct str key, struct arena *a)
{
	if (s->o.prefix.n == 0)
		return key;
	return arena_format(a, "%.*s/%.*s", STR_ARG(s->o.prefix), STR_ARG(key));
}

static bool missing(struct s3 *s, struct str key, struct err *e)
{
	return err_set(e, ERR_MISSING, "%.*s/%.*s: no such object", STR_ARG(s->store.url), STR_ARG(key));
}

/* ── writing ── */

bool s3_put(struct s3 *s, struct str key, struct str bytes, struct sha256 hash, bool *exists, bool *lost, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct s3_call c = { .name = "PutObject", .method = STR("PUT"), .key = key, .body = bytes, .body_hash = &hash, .expects = { 412 } };
	/* The SHA-256 is signed, so the service checks it in any case; summed once more to be kept, it costs a server of one's own a
	 * fifth of all that a large PUT costs. There is an instruction for CRC-32C. */
	if (bytes.n >= CRC_FROM)
		s3_header(&c, "x-amz-checksum-crc32c", s3_crc32c_text(crc32c_add(0, bytes.p, bytes.n), &a));
	else
		s3_header(&c, "x-amz-checksum-sha256", s3_sha256_text(hash, &a));
	if (s->condition == S3_CONDITIONAL)
		s3_header(&c, "If-None-Match", STR("*"));
	bool ok = s3_call(s, &c, &a, e);
	*exists = ok && c.answer->status == 412;
	*lost = !ok && c.lost;
	s3_call_end(&c);
	arena_free(&a);
	return ok;
}

/* Only where nobody else writes: then looking first is as good. */
static bool look_first(struct s3 *s, struct str key, bool *there, struct err *e)
{
	struct err why = ERR_INIT;
	uint64_t size;
	*there = s->store.ops->size(&s->store, key, &size, &why);
	if (*there || why.code == ERR_MISSING)
		return true;
	*e = why;
	return false;
}

static bool s3_create(struct store *store, struct str key, struct str bytes, enum store_created *out, struct err *e)
{
	struct s3 *s = s3_of(store);
	struct err why = ERR_INIT;
	bool exists = false, lost = false;
	if (!s3_ready_to_write(s, e))
		return false;
	if (s->condition == S3_LOOK_FIRST && !look_first(s, key, &exists, e))
		return false;
	s3_windows_forget(s, key);
	if (!exists && !s3_put(s, key, bytes, sha256_of(bytes), &exists, &lost, &why)) {
		if (!lost) {
			*e = why;
			return false;
		}
		log_debug("%s", why.message); /* reading it back will tell */
		*out = STORE_UNKNOWN;
		return true;
	}
	*out = exists ? STORE_EXISTS : STORE_CREATED;
	return true;
}

/* ── the probe ── */

static bool probe_put(struct s3 *s, struct str key, unsigned *status, struct str *code, struct arena *a, struct err *e)
{
	struct s3_call c = { .name = "PutObject", .method = STR("PUT"), .key = key, .body = STR("sluice"),
			     .expects = { 412, 501 } };
	s3_header(&c, "If-None-Match", STR("*"));
	bool ok = s3_call(s, &c, a, e);
	*status = ok ? c.answer->status : 0;
	*code = c.code;
	s3_call_end(&c);
	return ok;
}

static bool remove_key(struct s3 *s, struct str key, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct s3_call c = { .name = "DeleteObject", .method = STR("DELETE"), .key = key, .expects = { 404 } };
	bool ok = s3_call(s, &c, &a, e);
	s3_call_end(&c);
	arena_free(&a);
	return ok;
}

/* The same key twice: the second must be refused. */
static bool probe(struct s3 *s, bool *conditional, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str code = STR_NONE, key = arena_format(&a, ".tmp/probe-%016" PRIx64, s3_random(s));
	struct err why = ERR_INIT;
	unsigned first = 0, second = 0;
	*conditional = false;
	bool ok = probe_put(s, key, &first, &code, &a, &why);
	if (!ok && str_eq_z(code, "NotImplemented"))
		ok = true; /* it knows the header, and says that it does not do it */
	else if (ok && first != 501)
		ok = probe_put(s, key, &second, &code, &a, &why);
	if (ok)
		*conditional = second == 412;
	else
		*e = why;
	struct err left = ERR_INIT;
	if (first != 501 && !remove_key(s, key, &left))
		log_warn("%s; `sluice gc` removes it some day", left.message);
	arena_free(&a);
	return ok;
}

bool s3_ready_to_write(struct s3 *s, struct err *e)
{
	bool ok = true, conditional = true;
	pthread_mutex_lock(&s->probe_lock);
	if (s->condition == S3_UNTRIED) {
		ok = s->is_aws || probe(s, &conditional, e);
		if (ok && !conditional && !s->o.single_writer) {
			err_set(e, ERR_CONFIG, "%.*s: this store has no conditional writes: a second PUT of a key with "
				"If-None-Match: * went through, so two runs at once could both believe that they were first",
				STR_ARG(s->store.url));
			err_hint(e, "use a store that has them; or, if no other process ever writes to this lake, say so: "
				 "`s3: {single_writer: true}` in the pipeline file");
			ok = false;
		}
		if (ok)
			s->condition = conditional ? S3_CONDITIONAL : S3_LOOK_FIRST;
	}
	pthread_mutex_unlock(&s->probe_lock);
	return ok;
}

/* ── reading ── */

static bool s3_size(struct store *store, struct str key, uint64_t *out, struct err *e)
{
	struct s3 *s = s3_of(store);
	struct arena a = ARENA_INIT;
	struct s3_call c = { .name = "HeadObject", .method = STR("HEAD"), .key = key, .expects = { 404 } };
	bool ok = s3_call(s, &c, &a, e);
	if (ok && c.answer->status == 404)
		ok = missing(s, key, e);
	else if (ok && !str_to_u64(http_header_get(c.answer, "content-length"), out))
		ok = s3_fail(s, key, ERR_STORAGE, e, "HeadObject: an answer without a Content-Length");
	s3_call_end(&c);
	arena_free(&a);
	return ok;
}

/* Only AWS is known to have compared it with the bytes when they came. What was sent in parts has none of the whole. */
static bool s3_compare_kept(struct store *store, struct str key, struct sha256 hash, enum store_kept *out, struct err *e)
{
	struct s3 *s = s3_of(store);
	struct arena a = ARENA_INIT;
	struct s3_call c = { .name = "HeadObject", .method = STR("HEAD"), .key = key, .expects = { 404 } };
	if (!s->is_aws)
		return true;
	s3_header(&c, "x-amz-checksum-mode", STR("ENABLED"));
	bool ok = s3_call(s, &c, &a, e);
	if (ok && c.answer->status == 404) {
		ok = missing(s, key, e);
	} else if (ok) {
		struct str kept = http_header_get(c.answer, "x-amz-checksum-sha256"), type = http_header_get(c.answer, "x-amz-checksum-type");
		bool whole = kept.n > 0 && str_find_char(kept, '-') == kept.n && (type.n == 0 || str_eq_z(type, "FULL_OBJECT"));
		*out = !whole ? STORE_KEPT_NONE : str_eq(kept, s3_sha256_text(hash, &a)) ? STORE_KEPT_SAME : STORE_KEPT_OTHER;
	}
	s3_call_end(&c);
	arena_free(&a);
	return ok;
}

/* "bytes=7-" past the end: either nothing is left, or it is shorter than it must be. */
static bool nothing_left(struct s3 *s, struct str key, uint64_t offset, struct err *e)
{
	uint64_t size;
	if (!s3_size(&s->store, key, &size, e))
		return false;
	return size == offset || err_set(e, ERR_DAMAGE, "%.*s/%.*s: %" PRIu64 " bytes, %" PRIu64 " or more were expected",
					 STR_ARG(s->store.url), STR_ARG(key), size, offset);
}

static bool s3_get(struct store *store, struct str key, uint64_t offset, uint64_t max_bytes, struct arena *out_arena,
		   struct str *out, struct err *e)
{
	struct s3 *s = s3_of(store);
	struct arena a = ARENA_INIT;
	struct s3_call c = { .name = "GetObject", .method = STR("GET"), .key = key, .expects = { 404, 416 },
			     .max_body_bytes = max_bytes, .is_sound = offset > 0 ? s3_range_is_sound : s3_object_is_sound,
			     .range_first = offset, .range_last = UINT64_MAX };
	uint64_t from = 0, last, size;
	if (offset > 0)
		s3_header(&c, "Range", arena_format(&a, "bytes=%" PRIu64 "-", offset));
	else
		s3_header(&c, "x-amz-checksum-mode", STR("ENABLED"));
	bool ok = s3_call(s, &c, &a, e);
	if (ok && c.answer->status == 404) {
		ok = missing(s, key, e);
	} else if (ok && c.answer->status == 416) {
		*out = arena_copy(out_arena, STR_NONE);
		ok = nothing_left(s, key, offset, e);
	} else if (ok && offset > 0 && (!s3_range_read(c.answer, &from, &last, &size) || from != offset)) {
		ok = s3_fail(s, key, ERR_STORAGE, e, "GetObject: %u, and not the part that was asked for", c.answer->status);
	} else if (ok && offset == 0 && c.answer->status != 200) {
		ok = s3_fail(s, key, ERR_STORAGE, e, "GetObject: %u where the whole was asked for", c.answer->status);
	} else if (ok && c.answer->body.n > max_bytes) {
		ok = s3_fail(s, key, ERR_TOO_LARGE, e, "%zu bytes, at most %" PRIu64 " are read", c.answer->body.n, max_bytes);
	} else if (ok) {
		*out = c.answer->body.n > COPIED_MAX ? http_body_keep(c.answer, out_arena) : arena_copy(out_arena, c.answer->body);
	}
	s3_call_end(&c);
	arena_free(&a);
	return ok;
}

/* ── the rest ── */

static bool s3_remove(struct store *store, struct str key, struct err *e)
{
	s3_windows_forget(s3_of(store), key);
	return remove_key(s3_of(store), key, e);
}

/* What a list, a head or a get has shown is durable: S3 answers a write only when it is, and shows nothing before. */
static bool s3_settle(struct store *store, struct str key, struct err *e)
{
	(void)store;
	(void)key;
	(void)e;
	return true;
}

static bool s3_no_folder(struct store *store, struct str key, struct err *e)
{
	(void)store;
	(void)key;
	(void)e;
	return true;
}

static void s3_close(struct store *store)
{
	struct s3 *s = s3_of(store);
	bool ours = s->owner == getpid();
	CHECK(!ours || s->n_busy == 0);
	for (unsigned i = 0; ours && i < s->n_idle; i++)
		http_close(s->idle[i]);
	s3_windows_forget(s, STR_NONE);
	aws_chain_close(s->o.chain);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->probe_lock);
	pthread_mutex_destroy(&s->window_lock);
	pthread_cond_destroy(&s->room);
	arena_free(&s->arena);
	mem_free(s);
}

static const struct store_ops s3_ops = {
	.create = s3_create,
	.get = s3_get,
	.read_at = s3_read_at,
	.size = s3_size,
	.list = s3_list,
	.list_all = s3_list_all,
	.compare_kept = s3_compare_kept,
	.remove = s3_remove,
	.remove_folder = s3_no_folder,
	.sweep = s3_sweep,
	.settle = s3_settle,
	.writer_open = s3_writer_open,
	.writer_open_named = s3_writer_open_named,
	.writer_add = s3_writer_add,
	.writer_finish = s3_writer_finish,
	.writer_abort = s3_writer_abort,
	.make_folder = s3_no_folder,
	.close = s3_close,
};

/* ── opening ── */

static bool open_curl(void *user, struct clock *clock, struct http **out, struct err *e)
{
	const struct s3 *s = user;
	return http_open_curl_ca(clock, s->o.ca_file, out, e);
}

static bool bucket_ok(struct str b)
{
	if (b.n < 3 || b.n > 255)
		return false;
	for (size_t i = 0; i < b.n; i++) {
		char c = b.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!plain && (i == 0 || (c != '-' && c != '.' && c != '_')))
			return false;
	}
	return true;
}

/* May it stand before a host's name? With a dot in it no certificate would fit; capitals and '_' are none of a host's. */
static bool bucket_is_label(struct str b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] == '.' || b.p[i] == '_' || (b.p[i] >= 'A' && b.p[i] <= 'Z'))
			return false;
	return b.n <= 63 && b.p[b.n - 1] != '-';
}

/* Nothing can stand before an address. */
static bool host_is_address(struct str host)
{
	for (size_t i = 0; i < host.n && host.p[0] != '['; i++)
		if (host.p[i] != '.' && host.p[i] != ':' && (host.p[i] < '0' || host.p[i] > '9'))
			return false;
	return true;
}

/* The host where a bucket's name stands before the endpoint's. */
static bool place(struct s3 *s, struct str scheme, struct str host, struct err *e)
{
	bool in_path = s->o.path_style || host_is_address(host) || (s->is_aws && !bucket_is_label(s->o.bucket));
	if (!in_path && !bucket_is_label(s->o.bucket)) {
		err_set(e, ERR_CONFIG, "%.*s: this bucket's name cannot stand in the name of a host", STR_ARG(s->store.url));
		return err_hint(e, "`s3: {path_style: true}` in the pipeline file puts it into the path");
	}
	s->scheme = arena_copy(&s->arena, scheme);
	if (in_path) {
		s->host = arena_copy(&s->arena, host);
		s->bucket_path = arena_format(&s->arena, "/%.*s", STR_ARG(s->o.bucket));
	} else {
		s->host = arena_format(&s->arena, "%.*s.%.*s", STR_ARG(s->o.bucket), STR_ARG(host));
		s->bucket_path = STR("");
	}
	return true;
}

/* What is asked on this machine itself leaves it to nobody on the way. */
static bool stays_here(struct str host)
{
	size_t end = str_starts(host, STR("[")) ? str_find_char(host, ']') + 1 : str_find_char(host, ':');
	return http_goes_direct(str_sub(host, 0, end), STR_NONE, false);
}

static bool endpoint_read(struct s3 *s, struct err *e)
{
	struct str text = s->o.endpoint, scheme = STR("https");
	if (text.n == 0) {
		s->is_aws = true;
		return place(s, scheme, aws_service_host("s3", s->o.region, &s->arena), e);
	}
	if (str_starts(text, STR("http://"))) {
		scheme = STR("http");
		text = str_sub(text, 7, SIZE_MAX);
	} else if (str_starts(text, STR("https://"))) {
		text = str_sub(text, 8, SIZE_MAX);
	} else {
		text = STR_NONE;
	}
	while (str_ends(text, STR("/")))
		text.n--;
	bool ok = text.n > 0;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		ok = ok && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
			    c == '_' || c == ':' || c == '[' || c == ']');
	}
	if (!ok) {
		err_set(e, ERR_CONFIG, "the S3 endpoint '%.*s' is none", STR_ARG(str_sub(s->o.endpoint, 0, 200)));
		return err_hint(e, "`s3.endpoint` (or AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL) is https://host or https://host:port, without a path");
	}
	if (str_eq_z(scheme, "http") && !stays_here(text))
		s->store.abilities |= STORE_UNENCRYPTED;
	return place(s, scheme, text, e);
}

static bool options_check(struct s3 *s, struct err *e)
{
	if (!bucket_ok(s->o.bucket)) {
		err_set(e, ERR_CONFIG, "%.*s: '%.*s' cannot be the name of a bucket", STR_ARG(s->store.url),
			STR_ARG(str_sub(s->o.bucket, 0, 100)));
		return err_hint(e, "a lake on S3 is s3://bucket/prefix");
	}
	if (s->o.prefix.n > 0 && (!store_key_ok(s->o.prefix) || s->o.prefix.n > 512)) {
		err_set(e, ERR_CONFIG, "%.*s: the prefix cannot be used", STR_ARG(str_sub(s->store.url, 0, 300)));
		return err_hint(e, "parts of A-Z a-z 0-9 . _ = - with '/' between them, 512 bytes at most");
	}
	if (s->o.region.n > 0 && !aws_region_check(s->o.region, "`s3.region`", e))
		return false;
	return endpoint_read(s, e);
}

bool store_open_s3(const struct store_s3_options *o, struct store **out, struct err *e)
{
	struct s3 *s = mem_alloc(sizeof *s);
	struct arena *a = &s->arena;
	s->o = *o;
	s->o.bucket = arena_copy(a, o->bucket);
	s->o.prefix = arena_copy(a, o->prefix);
	s->o.region = arena_copy(a, o->region);
	s->o.endpoint = arena_copy(a, o->endpoint);
	s->o.ca_file = arena_copy(a, o->ca_file);
	s->o.part_bytes = o->part_bytes ? o->part_bytes : PART_BYTES;
	if (s->o.http_open == NULL) {
		s->o.http_open = open_curl;
		s->o.user = s;
	}
	s->store.ops = &s3_ops;
	s->store.url = arena_format(a, "s3://%.*s%s%.*s", STR_ARG(o->bucket), o->prefix.n ? "/" : "", STR_ARG(o->prefix));
	if (!options_check(s, e)) {
		arena_free(a);
		mem_free(s);
		return false;
	}
	CHECK(pthread_mutex_init(&s->lock, NULL) == 0 && pthread_mutex_init(&s->probe_lock, NULL) == 0 &&
	      pthread_mutex_init(&s->window_lock, NULL) == 0 && pthread_cond_init(&s->room, NULL) == 0);
	s->owner = getpid();
	s->budget = S3_BUDGET;
	if (getrandom(&s->random, sizeof s->random, 0) != sizeof s->random || s->random == 0)
		s->random = (uint64_t)o->clock->wall_us(o->clock) | 1;
	*out = &s->store;
	return true;
}
