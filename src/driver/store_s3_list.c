/* What lies under a prefix: ListObjectsV2, one level at a time, and the uploads that nobody finished. */
#include "driver/store_s3_parts.h"
#include "driver/store_s3_xml.h"

#include "base/calendar.h"

#include <inttypes.h>
#include <stdlib.h>

/* A page of a listing as it is read. */
struct page {
	bool truncated, url_encoded;
	struct str token; /* of the next page */
	struct str key_marker, upload_marker; /* of the next page of uploads */
};

static bool hex_digit(char c, unsigned *v)
{
	if (c >= '0' && c <= '9')
		*v = (unsigned)(c - '0');
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		*v = (unsigned)((c | 0x20) - 'a' + 10);
	else
		return false;
	return true;
}

/* encoding-type=url: as a form is encoded, so '+' is a blank. */
static struct str url_decode(struct str s, struct arena *a)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned high, low;
		if (s.p[i] == '%' && i + 2 < s.n && hex_digit(s.p[i + 1], &high) && hex_digit(s.p[i + 2], &low)) {
			p[n++] = (char)(high << 4 | low);
			i += 2;
		} else {
			p[n++] = s.p[i] == '+' ? ' ' : s.p[i];
		}
	}
	return (struct str){ p, n };
}

static bool no_xml(struct s3 *s, struct str folder, const struct s3_call *c, const struct xml *x, struct err *e)
{
	return s3_fail(s, folder, ERR_STORAGE, e, "%s: the answer cannot be read: %s", c->name,
		       x->why ? x->why : "something is missing in it");
}

/* ── objects ── */

struct lister {
	struct s3 *s;
	struct str prefix; /* whole, with its '/' */
	bool at_root;
	bool all;          /* however deep */
	struct str skip;   /* with `all`: a folder of that name, where a page ends in it, is gone past: "/segments/" */
	struct arena *arena; /* of the names */
	struct store_listing *out;
};

/* What cannot be a key is not ours and is not listed, as on a disk. */
static void take_name(struct lister *l, struct str whole, bool is_folder, uint64_t size_bytes, int64_t changed_us)
{
	if (!str_starts(whole, l->prefix))
		return;
	struct str name = str_sub(whole, l->prefix.n, SIZE_MAX);
	if (is_folder && str_ends(name, STR("/")))
		name.n--;
	if ((!l->all && str_find_char(name, '/') < name.n) || (!store_key_ok(name) && (l->at_root || !str_eq_z(name, ".tmp"))))
		return;
	*arena_push(l->arena, *l->out) = (struct store_item){ arena_copy(l->arena, name), is_folder, size_bytes, changed_us };
}

/* Fields of the element at hand. */
struct entry {
	struct str key, prefix, upload_id, initiated;
	uint64_t size_bytes;
	int64_t changed_us;
	bool size_bad, time_bad, time_finer;
};

static void field_take(struct entry *n, const struct xml *x)
{
	if (str_eq_z(x->name, "Key"))
		n->key = x->text;
	else if (str_eq_z(x->name, "Prefix"))
		n->prefix = x->text;
	else if (str_eq_z(x->name, "UploadId"))
		n->upload_id = x->text;
	else if (str_eq_z(x->name, "Size"))
		n->size_bad = !str_to_u64(x->text, &n->size_bytes);
	else if (str_eq_z(x->name, "LastModified") || str_eq_z(x->name, "Initiated"))
		n->time_bad = !us_from_rfc3339(x->text, &n->changed_us, &n->time_finer);
}

static void head_take(struct page *p, const struct xml *x)
{
	if (str_eq_z(x->name, "IsTruncated"))
		p->truncated = str_eq_z(x->text, "true");
	else if (str_eq_z(x->name, "NextContinuationToken"))
		p->token = x->text;
	else if (str_eq_z(x->name, "NextKeyMarker"))
		p->key_marker = x->text;
	else if (str_eq_z(x->name, "NextUploadIdMarker"))
		p->upload_marker = x->text;
	else if (str_eq_z(x->name, "EncodingType"))
		p->url_encoded = str_eq_z(x->text, "url");
}

/* Calls `take` for each Contents, CommonPrefixes or Upload. */
typedef bool take_entry(void *user, const struct xml *x, const struct entry *n);

static bool page_read(struct xml *x, struct page *p, take_entry *take, void *user)
{
	struct entry n = { 0 };
	for (;;) {
		enum xml_event event = xml_next(x);
		if (event == XML_END)
			return true;
		if (event == XML_BAD)
			return false;
		if (event == XML_OPEN && x->depth == 2)
			n = (struct entry){ 0 };
		if (event != XML_CLOSE)
			continue;
		if (x->depth == 3) {
			field_take(&n, x);
		} else if (x->depth == 2) {
			head_take(p, x);
			if (!take(user, x, &n))
				return false;
		}
	}
}

struct pending_entry {
	struct str key;
	bool is_folder;
	uint64_t size_bytes;
	int64_t changed_us;
};
struct pending {
	struct pending_entry *v;
	size_t n, cap;
	struct arena *arena;
};

/* Kept until the page has been read to its end: only then is it known whether its names are encoded. */
static bool take_object(void *user, const struct xml *x, const struct entry *n)
{
	struct pending *l = user;
	bool folder = str_eq_z(x->name, "CommonPrefixes");
	if (!folder && !str_eq_z(x->name, "Contents"))
		return true;
	if (!folder && (n->key.n == 0 || n->size_bad || n->time_bad))
		return false;
	*arena_push(l->arena, *l) = (struct pending_entry){ folder ? n->prefix : n->key, folder, n->size_bytes, n->changed_us };
	return true;
}

/* Where the next page begins. */
struct place {
	struct str token, after; /* one of them, or none: at the beginning, and at the end */
};

static void list_query(struct s3_call *c, const struct lister *l, const struct place *at)
{
	s3_query(c, "list-type", STR("2"));
	if (!l->all)
		s3_query(c, "delimiter", STR("/"));
	s3_query(c, "encoding-type", STR("url"));
	if (l->prefix.n > 0)
		s3_query(c, "prefix", l->prefix);
	if (at->token.n > 0)
		s3_query(c, "continuation-token", at->token);
	if (at->after.n > 0)
		s3_query(c, "start-after", at->after);
}

/* A page that ends inside of what is not asked for: the next one begins behind it ('0' follows '/'). */
static struct str past_skipped(const struct lister *l, struct str last, struct arena *a)
{
	if (l->skip.n == 0 || !str_starts(last, l->prefix))
		return STR_NONE;
	struct str name = str_sub(last, l->prefix.n, SIZE_MAX);
	size_t at = str_find(name, l->skip);
	return at == name.n ? STR_NONE : arena_format(a, "%.*s0", STR_ARG(str_sub(last, 0, l->prefix.n + at + l->skip.n - 1)));
}

static bool list_page(struct lister *l, struct str folder, struct place *at, struct arena *a, struct err *e)
{
	struct s3_call c = { .name = "ListObjectsV2", .method = STR("GET"), .shown = folder, .max_body_bytes = S3_LIST_BODY_MAX,
			     .error_in_200 = true, .root = "ListBucketResult" };
	list_query(&c, l, at);
	if (!s3_call(l->s, &c, a, e))
		return false;
	struct xml x = xml_begin(c.answer->body, a);
	struct page p = { 0 };
	struct pending found = { .arena = a };
	struct str whole = STR_NONE;
	bool ok = page_read(&x, &p, take_object, &found);
	for (size_t i = 0; ok && i < found.n; i++) {
		whole = p.url_encoded ? url_decode(found.v[i].key, a) : found.v[i].key;
		take_name(l, whole, found.v[i].is_folder, found.v[i].size_bytes, found.v[i].changed_us);
	}
	struct place next = { .after = ok && p.truncated ? past_skipped(l, whole, a) : STR_NONE };
	if (ok && p.truncated && next.after.n == 0 && p.token.n == 0)
		ok = false;
	if (ok && next.after.n > 0 && str_cmp(next.after, at->after) <= 0)
		ok = false;
	if (!ok)
		no_xml(l->s, folder, &c, &x, e);
	if (ok && p.truncated && next.after.n == 0)
		next.token = arena_copy(a, p.token);
	*at = next;
	s3_call_end(&c);
	return ok;
}

/* A list that goes in a circle would go on for ever. What came is held against one place before it, which moves up when the way
 * from it has doubled (Brent 1980): so every circle is met, however long. */
struct trail {
	struct str key, id; /* a continuation token and a name, or the two markers of uploads */
	uint64_t steps, next;
};

static bool trail_step(struct trail *t, struct str key, struct str id, struct arena *a)
{
	if (t->steps > 0 && str_eq(t->key, key) && str_eq(t->id, id))
		return false;
	if (t->steps++ == t->next) {
		t->next = t->next * 2 + 1;
		t->key = arena_copy(a, key);
		t->id = arena_copy(a, id);
	}
	return true;
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct store_item *)a)->name, ((const struct store_item *)b)->name);
}

static struct str folder_prefix(const struct s3 *s, struct str folder, struct arena *a)
{
	if (folder.n > 0)
		return arena_format(a, "%.*s/", STR_ARG(s3_whole_key(s, folder, a)));
	return s->o.prefix.n > 0 ? arena_format(a, "%.*s/", STR_ARG(s->o.prefix)) : STR_NONE;
}

static bool list_pages(struct lister *l, struct str folder, struct err *e)
{
	struct arena a = ARENA_INIT, page = ARENA_INIT;
	struct place at = { 0 };
	struct trail trail = { 0 };
	bool ok;
	*l->out = (struct store_listing){ 0 };
	l->prefix = folder_prefix(l->s, folder, &a);
	do {
		at = (struct place){ arena_copy(&a, at.token), arena_copy(&a, at.after) };
		arena_reset(&page);
		ok = list_page(l, folder, &at, &page, e);
		if (ok && at.token.n + at.after.n > 0 && !trail_step(&trail, at.token, at.after, &a))
			ok = s3_fail(l->s, folder, ERR_STORAGE, e, "ListObjectsV2: its pages go in a circle");
	} while (ok && at.token.n + at.after.n > 0);
	if (ok && l->out->n > 0)
		qsort(l->out->v, l->out->n, sizeof *l->out->v, by_name);
	arena_free(&page);
	arena_free(&a);
	return ok;
}

bool s3_list(struct store *store, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	struct lister l = { .s = s3_of(store), .at_root = folder.n == 0, .arena = a, .out = out };
	return list_pages(&l, folder, e);
}

bool s3_list_all(struct store *store, struct str folder, struct str skip, struct arena *a, struct store_listing *out, struct err *e)
{
	struct lister l = { .s = s3_of(store), .all = true, .arena = a, .out = out };
	struct arena own = ARENA_INIT;
	if (skip.n > 0)
		l.skip = arena_format(&own, "/%.*s/", STR_ARG(skip));
	bool ok = list_pages(&l, folder, e);
	arena_free(&own);
	return ok;
}

bool store_s3_look(struct store *store, bool *empty, struct err *e)
{
	struct s3 *s = s3_of(store);
	struct arena a = ARENA_INIT;
	struct s3_call c = { .name = "ListObjectsV2", .method = STR("GET"), .max_body_bytes = S3_LIST_BODY_MAX,
			     .error_in_200 = true, .root = "ListBucketResult" };
	struct str prefix = folder_prefix(s, STR_NONE, &a);
	s3_query(&c, "list-type", STR("2"));
	s3_query(&c, "max-keys", STR("1"));
	if (prefix.n > 0)
		s3_query(&c, "prefix", prefix);
	bool ok = s3_call(s, &c, &a, e);
	if (ok) {
		struct xml x = xml_begin(c.answer->body, &a);
		struct page p = { 0 };
		struct pending found = { .arena = &a };
		ok = page_read(&x, &p, take_object, &found) || no_xml(s, STR_NONE, &c, &x, e);
		*empty = found.n == 0;
	}
	s3_call_end(&c);
	arena_free(&a);
	return ok;
}

/* ── what nobody finished ── */

struct upload {
	struct str key, id;
	int64_t begun_us;
};
struct uploads {
	struct upload *v;
	size_t n, cap;
	struct arena *arena;
};

static bool take_upload(void *user, const struct xml *x, const struct entry *n)
{
	struct uploads *l = user;
	if (!str_eq_z(x->name, "Upload"))
		return true;
	if (n->key.n == 0 || n->upload_id.n == 0 || n->time_bad)
		return false;
	*arena_push(l->arena, *l) = (struct upload){ arena_copy(l->arena, n->key), arena_copy(l->arena, n->upload_id), n->changed_us };
	return true;
}

static bool uploads_page(struct s3 *s, struct str prefix, struct page *p, struct uploads *out, struct arena *a, struct err *e)
{
	struct s3_call c = { .name = "ListMultipartUploads", .method = STR("GET"), .max_body_bytes = S3_LIST_BODY_MAX,
			     .error_in_200 = true, .root = "ListMultipartUploadsResult", .expects = { 501 } };
	s3_query(&c, "uploads", STR_NONE);
	if (prefix.n > 0)
		s3_query(&c, "prefix", prefix);
	if (p->key_marker.n > 0)
		s3_query(&c, "key-marker", p->key_marker);
	if (p->upload_marker.n > 0)
		s3_query(&c, "upload-id-marker", p->upload_marker);
	bool ok = s3_call(s, &c, a, e);
	struct page next = { 0 };
	if (ok && c.answer->status == 200) {
		struct xml x = xml_begin(c.answer->body, a);
		ok = page_read(&x, &next, take_upload, out) || no_xml(s, STR(".tmp"), &c, &x, e);
	}
	next.truncated = ok && next.truncated;
	next.key_marker = arena_copy(a, next.key_marker);
	next.upload_marker = arena_copy(a, next.upload_marker);
	*p = next;
	s3_call_end(&c);
	return ok;
}

static bool upload_abort(struct s3 *s, const struct upload *u, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str key = u->key;
	if (s->o.prefix.n > 0)
		key = str_sub(key, s->o.prefix.n + 1, SIZE_MAX);
	struct s3_call c = { .name = "AbortMultipartUpload", .method = STR("DELETE"), .key = key, .expects = { 404 } };
	s3_query(&c, "uploadId", u->id);
	bool ok = s3_call(s, &c, &a, e);
	s3_call_end(&c);
	arena_free(&a);
	return ok;
}

/* Objects of probes whose process was killed in between. */
static bool sweep_probes(struct s3 *s, int64_t before_us, bool remove, uint64_t *n, uint64_t *bytes, struct arena *a, struct err *e)
{
	struct store_listing list;
	struct err why = ERR_INIT;
	if (!s3_list(&s->store, STR(".tmp"), a, &list, e))
		return false;
	for (size_t i = 0; i < list.n; i++) {
		const struct store_item *x = &list.v[i];
		if (x->is_folder || !str_starts(x->name, STR("probe-")) || x->changed_us >= before_us)
			continue;
		if (remove && !s->store.ops->remove(&s->store, arena_format(a, ".tmp/%.*s", STR_ARG(x->name)), &why)) {
			*e = why;
			return false;
		}
		*n += 1;
		*bytes += x->size_bytes;
	}
	return true;
}

bool s3_sweep(struct store *store, int64_t before_us, bool remove, uint64_t *n, uint64_t *bytes, struct err *e)
{
	struct s3 *s = s3_of(store);
	struct arena a = ARENA_INIT;
	struct str prefix = folder_prefix(s, STR_NONE, &a);
	struct page p = { 0 };
	struct uploads all = { .arena = &a };
	struct trail trail = { 0 };
	bool ok;
	do /* what was found by then is worth ending, where they go in a circle */
		ok = uploads_page(s, prefix, &p, &all, &a, e);
	while (ok && p.truncated && trail_step(&trail, p.key_marker, p.upload_marker, &a));
	for (size_t i = 0; ok && i < all.n; i++) {
		/* What cannot be a key is somebody else's, here too: a bucket may hold more than a lake. */
		if (all.v[i].begun_us >= before_us || !str_starts(all.v[i].key, prefix) ||
		    !store_key_ok(str_sub(all.v[i].key, prefix.n, SIZE_MAX)))
			continue;
		ok = !remove || upload_abort(s, &all.v[i], e);
		*n += ok; /* how much its parts hold nobody says without being asked for each */
	}
	ok = ok && sweep_probes(s, before_us, remove, n, bytes, &a, e);
	arena_free(&a);
	return ok;
}
