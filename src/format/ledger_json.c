/* Entries of the page ledger as JSON and back: spec/ledger.md, "An entry". The order of the members is the order of
 * the calls here, so that the same entry always has the same bytes. */
#include "format/ledger.h"

#include "base/check.h"
#include "base/json.h"
#include "format/json_parts.h"

#include <string.h>

static const char format_name[] = "sluice-ledger/1";

const char *entry_kind_name(enum entry_kind k)
{
	static const char *const names[] = { "claim", "pages", "seal", "accept", "abandon", "expire" };
	CHECK((size_t)k < sizeof names / sizeof *names);
	return names[k];
}

const char *consistency_name(enum consistency c)
{
	static const char *const names[] = { "snapshot", "keyset", "offset-verified", "best-effort" };
	CHECK((size_t)c < sizeof names / sizeof *names);
	return names[c];
}

static void put_time(struct json_out *o, const char *key, int64_t us, struct arena *a)
{
	json_put_str(o, key, us_to_rfc3339(us, a));
}

static void put_next(struct json_out *o, const struct page_next *n)
{
	if (n->kind == NEXT_END) {
		json_put_null(o, "next");
		return;
	}
	json_begin_object(o, "next");
	if (n->kind == NEXT_START)
		json_put_bool(o, "start", true);
	if (n->kind == NEXT_NUMBER)
		json_put_i64(o, "number", n->number);
	if (n->kind == NEXT_TEXT) {
		json_put_str(o, "text", n->text);
		if (n->n_markers > 0) {
			json_begin_array(o, "secrets");
			for (size_t i = 0; i < n->n_markers; i++) {
				json_begin_object(o, NULL);
				json_put_u64(o, "at", n->markers[i].at);
				json_put_str(o, "marker", n->markers[i].marker);
				json_end_object(o);
			}
			json_end_array(o);
		}
	}
	json_end_object(o);
}

static void put_page(struct json_out *o, const struct ledger_page *p)
{
	json_begin_object(o, NULL);
	json_put_u64(o, "page", p->page);
	json_put_str(o, "request", p->request);
	json_put_hash(o, "fingerprint", p->fingerprint);
	json_put_u64(o, "status", p->status);
	json_put_u64(o, "attempts", p->attempts);
	json_put_u64(o, "offset", p->offset);
	json_put_u64(o, "size", p->size);
	json_put_hash(o, "body", p->body);
	json_put_u64(o, "body_bytes", p->body_bytes);
	json_put_u64(o, "records", p->records);
	if (p->has_total)
		json_put_u64(o, "total", p->total);
	if (p->redirected_to.n > 0)
		json_put_str(o, "redirected_to", p->redirected_to);
	put_next(o, &p->next);
	json_end_object(o);
}

static void put_attempt(struct json_out *o, const struct ledger_attempt *t)
{
	json_begin_object(o, NULL);
	json_put_str(o, "request", t->request);
	json_put_u64(o, "status", t->status);
	json_put_str(o, "error", t->error);
	json_put_u64(o, "offset", t->offset);
	json_put_u64(o, "size", t->size);
	json_put_hash(o, "body", t->body);
	json_end_object(o);
}

static void put_keyset(struct json_out *o, const struct ledger_keyset *k)
{
	json_begin_object(o, "keyset");
	json_put_str(o, "path", k->path);
	if (k->last.kind == KEY_NUMBER)
		json_put_raw(o, "last", k->last.text);
	if (k->last.kind == KEY_TEXT)
		json_put_str(o, "last", k->last.text);
	if (k->broken.n > 0)
		json_put_str(o, "broken", k->broken);
	json_end_object(o);
}

static void put_state(struct json_out *o, const struct ledger_state *s, struct arena *a)
{
	json_begin_object(o, "state");
	json_put_u64(o, "pages", s->pages);
	json_put_u64(o, "records", s->records);
	json_put_u64(o, "bytes", s->bytes);
	json_put_u64(o, "failed_attempts", s->failed_attempts);
	json_put_hash(o, "digest", s->digest);
	put_next(o, &s->next);
	json_begin_object(o, "guard");
	json_put_hash(o, "saved", s->guard.saved);
	json_put_u64(o, "power", s->guard.power);
	json_put_u64(o, "length", s->guard.length);
	json_end_object(o);
	if (s->has_total) {
		json_put_u64(o, "total", s->total);
		json_put_bool(o, "totals_differ", s->totals_differ);
	}
	if (s->first_sent_us != 0)
		put_time(o, "first_sent", s->first_sent_us, a);
	if (s->keyset.path.n > 0)
		put_keyset(o, &s->keyset);
	if (s->has_first_page)
		json_put_hash(o, "first_page", s->first_page);
	json_end_object(o);
}

static void put_origin(struct json_out *o, const struct ledger_origin *g, struct arena *a)
{
	json_begin_object(o, "opened");
	json_put_str(o, "reason", g->reason);
	json_put_str(o, "ask", g->ask);
	put_time(o, "from", g->window.from_us, a);
	put_time(o, "to", g->window.to_us, a);
	json_put_hash(o, "definition", g->definition);
	json_put_raw(o, "request", g->definition_json);
	json_end_object(o);
}

static void put_lease(struct json_out *o, const struct ledger_lease *l, struct arena *a)
{
	json_begin_object(o, "lease");
	json_put_str(o, "run", l->run_id);
	json_put_str(o, "host", l->host);
	json_put_str(o, "boot", l->boot_id);
	json_put_str(o, "pids", l->pid_namespace);
	json_put_i64(o, "pid", l->pid);
	json_put_i64(o, "started", l->started);
	put_time(o, "until", l->until_us, a);
	json_end_object(o);
}

static void put_seal(struct json_out *o, const struct ledger_seal *s, struct arena *a)
{
	json_begin_object(o, "seal");
	json_put_z(o, "class", consistency_name(s->consistency));
	json_put_str(o, "evidence", s->evidence);
	json_put_bool(o, "promoted", s->promoted);
	if (s->candidate_reason.n > 0)
		json_put_str(o, "candidate", s->candidate_reason);
	json_put_u64(o, "pages", s->pages);
	json_put_u64(o, "records", s->records);
	json_put_u64(o, "bytes", s->bytes);
	json_put_hash(o, "digest", s->digest);
	put_time(o, "sealed", s->sealed_us, a);
	json_end_object(o);
}

static void put_payload(struct json_out *o, const struct ledger_entry *t)
{
	if (t->segment.n > 0) {
		json_begin_object(o, "segment");
		json_put_str(o, "name", t->segment);
		json_put_u64(o, "size", t->segment_size);
		json_put_hash(o, "sha256", t->segment_hash);
		json_end_object(o);
	}
	json_begin_array(o, "pages");
	for (size_t i = 0; i < t->n_pages; i++)
		put_page(o, &t->pages[i]);
	json_end_array(o);
	if (t->n_attempts > 0) {
		json_begin_array(o, "failed");
		for (size_t i = 0; i < t->n_attempts; i++)
			put_attempt(o, &t->attempts[i]);
		json_end_array(o);
	}
}

struct str ledger_encode(const struct ledger_entry *t, struct arena *a)
{
	struct buf b = BUF_INIT(LEDGER_ENTRY_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	json_put_z(&o, "format", format_name);
	json_put_u64(&o, "n", t->n);
	json_put_z(&o, "kind", entry_kind_name(t->kind));
	if (t->n == 0)
		json_put_null(&o, "previous");
	else
		json_put_hash(&o, "previous", t->previous);
	json_put_u64(&o, "epoch", t->epoch);
	json_put_str(&o, "nonce", t->nonce);
	json_put_str(&o, "run", t->run_id);
	put_time(&o, "time", t->time_us, a);
	if (t->has_origin)
		put_origin(&o, &t->origin, a);
	if (t->has_lease)
		put_lease(&o, &t->lease, a);
	if (t->kind == ENTRY_PAGES)
		put_payload(&o, t);
	put_state(&o, &t->state, a);
	if (t->has_seal)
		put_seal(&o, &t->seal, a);
	if (t->note.n > 0)
		json_put_str(&o, "note", t->note);
	json_end_object(&o);
	buf_add_char(&b, '\n');
	return buf_take(&b, a); /* pages per entry are bounded by the segment's */
}

/* ── reading ── */

static bool need_time(const struct json_node *n, const char *key, int64_t *out, struct err *e)
{
	struct str text;
	bool more = false;
	if (!json_need_str(n, key, &text, e))
		return false;
	if (!us_from_rfc3339(text, out, &more))
		return err_set(e, ERR_DAMAGE, "\"%s\" is no time", key);
	return true;
}

static bool get_next(const struct json_node *parent, struct arena *a, struct page_next *out, struct err *e)
{
	const struct json_node *n = json_get(parent, "next");
	*out = (struct page_next){ .kind = NEXT_END };
	if (n == NULL)
		return err_set(e, ERR_DAMAGE, "\"next\" is missing");
	if (n->type == JSON_NULL)
		return true;
	if (json_bool_or(n, "start", false)) {
		out->kind = NEXT_START;
		return true;
	}
	if (json_get(n, "number")) {
		out->kind = NEXT_NUMBER;
		return json_need_i64(n, "number", &out->number, e);
	}
	out->kind = NEXT_TEXT;
	if (!json_need_str(n, "text", &out->text, e))
		return false;
	const struct json_node *secrets = json_get(n, "secrets");
	if (secrets == NULL)
		return true;
	out->markers = arena_array(a, struct next_marker, secrets->n_children + 1);
	for (const struct json_node *s = secrets->child; s; s = s->next) {
		struct next_marker *m = &out->markers[out->n_markers++];
		if (!json_need_u64(s, "at", &m->at, e) || !json_need_str(s, "marker", &m->marker, e))
			return false;
		if (m->at > out->text.n || m->marker.n > out->text.n - m->at)
			return err_set(e, ERR_DAMAGE, "a secret's place lies outside the cursor");
	}
	return true;
}

static bool get_page(const struct json_node *n, struct arena *a, struct ledger_page *p, struct err *e)
{
	p->redirected_to = json_str_or(n, "redirected_to", STR_NONE);
	p->has_total = json_get(n, "total") != NULL;
	if (p->has_total && !json_need_u64(n, "total", &p->total, e))
		return false;
	return json_need_u64(n, "page", &p->page, e) && json_need_str(n, "request", &p->request, e) &&
	       json_need_hash(n, "fingerprint", &p->fingerprint, e) && json_need_unsigned(n, "status", &p->status, e) &&
	       json_need_unsigned(n, "attempts", &p->attempts, e) && json_need_u64(n, "offset", &p->offset, e) &&
	       json_need_u64(n, "size", &p->size, e) && json_need_hash(n, "body", &p->body, e) &&
	       json_need_u64(n, "body_bytes", &p->body_bytes, e) && json_need_u64(n, "records", &p->records, e) &&
	       get_next(n, a, &p->next, e);
}

static bool get_attempt(const struct json_node *n, struct ledger_attempt *t, struct err *e)
{
	return json_need_str(n, "request", &t->request, e) && json_need_unsigned(n, "status", &t->status, e) &&
	       json_need_str(n, "error", &t->error, e) && json_need_u64(n, "offset", &t->offset, e) &&
	       json_need_u64(n, "size", &t->size, e) && json_need_hash(n, "body", &t->body, e);
}

static bool get_keyset(const struct json_node *parent, struct ledger_keyset *k, struct err *e)
{
	const struct json_node *n, *last;
	if (!json_need(parent, "keyset", JSON_OBJECT, &n, e) || !json_need_str(n, "path", &k->path, e))
		return false;
	if (k->path.n == 0)
		return err_set(e, ERR_DAMAGE, "\"path\" is empty");
	k->broken = json_str_or(n, "broken", STR_NONE);
	last = json_get(n, "last");
	if (last == NULL)
		return true;
	if (last->type != JSON_NUMBER && last->type != JSON_STRING)
		return err_set(e, ERR_DAMAGE, "\"last\" is no key");
	k->last = (struct ledger_key){ last->type == JSON_NUMBER ? KEY_NUMBER : KEY_TEXT, last->text };
	return true;
}

static bool get_state(const struct json_node *parent, struct arena *a, struct ledger_state *s, struct err *e)
{
	const struct json_node *n, *guard;
	if (!json_need(parent, "state", JSON_OBJECT, &n, e) || !json_need(n, "guard", JSON_OBJECT, &guard, e))
		return false;
	s->has_total = json_get(n, "total") != NULL;
	if (s->has_total && (!json_need_u64(n, "total", &s->total, e) ||
			     !json_need_bool(n, "totals_differ", &s->totals_differ, e)))
		return false;
	if (json_get(n, "first_sent") && !need_time(n, "first_sent", &s->first_sent_us, e))
		return false;
	s->has_first_page = json_get(n, "first_page") != NULL;
	if (s->has_first_page && !json_need_hash(n, "first_page", &s->first_page, e))
		return false;
	if (json_get(n, "keyset") && !get_keyset(n, &s->keyset, e))
		return false;
	return json_need_u64(n, "pages", &s->pages, e) && json_need_u64(n, "records", &s->records, e) &&
	       json_need_u64(n, "bytes", &s->bytes, e) &&
	       json_need_u64(n, "failed_attempts", &s->failed_attempts, e) && json_need_hash(n, "digest", &s->digest, e) &&
	       get_next(n, a, &s->next, e) && json_need_hash(guard, "saved", &s->guard.saved, e) &&
	       json_need_u64(guard, "power", &s->guard.power, e) &&
	       json_need_u64(guard, "length", &s->guard.length, e);
}

static bool get_origin(const struct json_node *n, struct ledger_origin *g, struct err *e)
{
	const struct json_node *request;
	if (!json_need(n, "request", JSON_OBJECT, &request, e))
		return false;
	g->definition_json = request->raw;
	return json_need_str(n, "reason", &g->reason, e) && json_need_str(n, "ask", &g->ask, e) &&
	       need_time(n, "from", &g->window.from_us, e) && need_time(n, "to", &g->window.to_us, e) &&
	       json_need_hash(n, "definition", &g->definition, e);
}

static bool get_lease(const struct json_node *n, struct ledger_lease *l, struct err *e)
{
	return json_need_str(n, "run", &l->run_id, e) && json_need_str(n, "host", &l->host, e) &&
	       json_need_str(n, "boot", &l->boot_id, e) && json_need_str(n, "pids", &l->pid_namespace, e) &&
	       json_need_i64(n, "pid", &l->pid, e) && json_need_i64(n, "started", &l->started, e) &&
	       need_time(n, "until", &l->until_us, e);
}

static bool get_seal(const struct json_node *n, struct ledger_seal *s, struct err *e)
{
	struct str class;
	if (!json_need_str(n, "class", &class, e))
		return false;
	size_t c = 0;
	while (c <= CLASS_BEST_EFFORT && !str_eq_z(class, consistency_name((enum consistency)c)))
		c++;
	if (c > CLASS_BEST_EFFORT)
		return err_set(e, ERR_DAMAGE, "unknown consistency class \"%.*s\"", STR_ARG(class));
	s->consistency = (enum consistency)c;
	s->candidate_reason = json_str_or(n, "candidate", STR_NONE);
	return json_need_str(n, "evidence", &s->evidence, e) && json_need_bool(n, "promoted", &s->promoted, e) &&
	       json_need_u64(n, "pages", &s->pages, e) && json_need_u64(n, "records", &s->records, e) &&
	       json_need_u64(n, "bytes", &s->bytes, e) && json_need_hash(n, "digest", &s->digest, e) &&
	       need_time(n, "sealed", &s->sealed_us, e);
}

/* "<epoch>-<SHA-256>.warc.gz": it becomes part of a key, and is nothing else than what warc_finish() makes. */
static bool segment_name_ok(struct str name)
{
	static const struct str end = { ".warc.gz", 8 };
	struct sha256 hash;
	uint64_t epoch = 0;
	size_t dash = str_find_char(name, '-');
	if (dash == name.n || !str_ends(name, end) || name.n != dash + 1 + SHA256_HEX + end.n)
		return false;
	return str_to_u64(str_sub(name, 0, dash), &epoch) && (dash == 1 || name.p[0] != '0') &&
	       sha256_from_hex(str_sub(name, dash + 1, SHA256_HEX), &hash);
}

static bool get_payload(const struct json_node *root, struct arena *a, struct ledger_entry *t, struct err *e)
{
	const struct json_node *segment = json_get(root, "segment"), *pages, *failed = json_get(root, "failed");
	if (segment && (!json_need_str(segment, "name", &t->segment, e) ||
			!json_need_u64(segment, "size", &t->segment_size, e) ||
			!json_need_hash(segment, "sha256", &t->segment_hash, e)))
		return false;
	if (segment && !segment_name_ok(t->segment))
		return err_set(e, ERR_DAMAGE, "\"name\" is none of a segment");
	if (!json_need(root, "pages", JSON_ARRAY, &pages, e))
		return false;
	t->pages = arena_array(a, struct ledger_page, pages->n_children + 1);
	for (const struct json_node *n = pages->child; n; n = n->next)
		if (!get_page(n, a, &t->pages[t->n_pages++], e))
			return err_wrap(e, "page %zu of the entry", t->n_pages);
	if (t->n_pages > 0 && !segment)
		return err_set(e, ERR_DAMAGE, "it has pages, and no segment that holds them");
	if (failed == NULL)
		return true;
	t->attempts = arena_array(a, struct ledger_attempt, failed->n_children + 1);
	for (const struct json_node *n = failed->child; n; n = n->next)
		if (!get_attempt(n, &t->attempts[t->n_attempts++], e))
			return err_wrap(e, "failed attempt %zu of the entry", t->n_attempts);
	for (size_t i = 0; i < t->n_attempts; i++)
		if (t->attempts[i].size > 0 && !segment)
			return err_set(e, ERR_DAMAGE, "it has failed attempts, and no segment that holds them");
	return true;
}

static bool get_head(const struct json_node *root, struct ledger_entry *t, struct err *e)
{
	struct str format, kind;
	if (!json_need_str(root, "format", &format, e) || !json_need_str(root, "kind", &kind, e))
		return false;
	if (!str_eq_z(format, format_name))
		return err_set(e, ERR_DAMAGE, "format \"%.*s\" where \"%s\" is known: written by a newer sluice?",
			       STR_ARG(format), format_name);
	size_t k = 0;
	while (k <= ENTRY_EXPIRE && !str_eq_z(kind, entry_kind_name((enum entry_kind)k)))
		k++;
	if (k > ENTRY_EXPIRE)
		return err_set(e, ERR_DAMAGE, "unknown kind \"%.*s\"", STR_ARG(kind));
	t->kind = (enum entry_kind)k;
	const struct json_node *previous = json_get(root, "previous");
	if (!json_need_u64(root, "n", &t->n, e) || (t->n > 0 && !json_need_hash(root, "previous", &t->previous, e)))
		return false;
	if (t->n == 0 && (!previous || previous->type != JSON_NULL))
		return err_set(e, ERR_DAMAGE, "the first entry names one before it");
	return json_need_u64(root, "epoch", &t->epoch, e) &&
	       json_need_str(root, "nonce", &t->nonce, e) && json_need_str(root, "run", &t->run_id, e) &&
	       need_time(root, "time", &t->time_us, e);
}

bool ledger_decode(struct str text, struct arena *a, struct ledger_entry *t, struct err *e)
{
	struct json_node *root = NULL;
	memset(t, 0, sizeof *t);
	if (!json_parse(text, a, &root, e)) {
		e->code = ERR_DAMAGE;
		return false;
	}
	t->hash = sha256_of(text);
	if (!get_head(root, t, e))
		return false;
	const struct json_node *opened = json_get(root, "opened"), *lease = json_get(root, "lease"),
			       *seal = json_get(root, "seal");
	t->has_origin = opened != NULL;
	t->has_lease = lease != NULL;
	t->has_seal = seal != NULL;
	t->note = json_str_or(root, "note", STR_NONE);
	if (t->kind == ENTRY_SEAL && !seal)
		return err_set(e, ERR_DAMAGE, "an entry of kind seal without a seal");
	if (t->kind == ENTRY_CLAIM && (!lease || (t->n == 0) != (opened != NULL)))
		return err_set(e, ERR_DAMAGE, "a claim needs a lease, and entry 0 the reason why it was opened");
	return (!opened || get_origin(opened, &t->origin, e)) && (!lease || get_lease(lease, &t->lease, e)) &&
	       (t->kind != ENTRY_PAGES || get_payload(root, a, t, e)) && get_state(root, a, &t->state, e) &&
	       (!seal || get_seal(seal, &t->seal, e));
}
