/* The contract's paths become a tree of keys. Reading a record walks that tree with the scanner: each member of an object
 * is tried first as the one that followed its elder sibling in the record before, which is right nearly always, and is
 * looked up in a hash table otherwise. */
#include "prepare/record.h"

#include "base/check.h"
#include "base/hash.h"
#include "prepare/record_value.h"

#include <string.h>

enum { NO_NODE = 0, NO_COLUMN = 0, EXTRA_SLOTS = 256 };

struct node { /* a key that leads to columns; node 0 is none, node 1 the record itself */
	struct str key;    /* unescaped */
	struct str quoted; /* raw, as a guess for the scanner; empty: it cannot be written without escapes */
	struct str flat;   /* a__b */
	uint32_t parent, depth;
	uint32_t column;   /* that is read here, + 1; behind the columns the arrays of child tables */
	bool has_children;
	uint32_t guess_first, guess_next; /* what came next in the record before: below this node, beside it */
	uint64_t seen;     /* number of the record that had it last */
};

struct extra_field { /* of the record at hand */
	struct str name, raw;
	uint64_t hash;
};

struct extra_name { /* of all records */
	struct str name;
	uint64_t hash, count;
};

struct record_reader {
	const struct contract *contract;
	const struct zone *utc;
	uint32_t json_depth;
	struct node *nodes;
	uint32_t n_nodes, max_depth;
	uint32_t *column_node;  /* [column, then child] */
	struct record_array *arrays; /* [child] */
	uint32_t *slots;        /* nodes by (parent, key), open addressing */
	size_t n_slots;
	uint32_t *open_nodes, *open_last; /* [depth]: the node, and its member before */
	uint64_t record;
	uint64_t inexact;
	struct {
		struct extra_field *v;
		size_t n, cap;
	} extras;
	struct { /* names of the record at hand, to find doubles; as large as extras need */
		uint32_t *v;
		uint64_t *stamp;
		size_t n;
	} extra_slots;
	struct buf extra_text;
	struct extra_name names[EXTRA_NAMES_MAX];
	size_t n_names;
	uint8_t name_slots[EXTRA_SLOTS]; /* index in names + 1 */
	struct arena own; /* names, slots, extras */
};

/* What one record needs on its way. */
struct reading {
	struct record_reader *r;
	struct json_scan *s;
	struct batch *b;
	size_t row;
	struct verdicts *v;
	struct arena *a;
};

/* ── compiling ── */

static size_t node_slot(const struct record_reader *r, uint32_t parent, struct str key)
{
	size_t at = hash_fast(key, parent) & (r->n_slots - 1);

	while (r->slots[at] != NO_NODE) {
		const struct node *n = &r->nodes[r->slots[at]];
		if (n->parent == parent && str_eq(n->key, key))
			break;
		at = (at + 1) & (r->n_slots - 1);
	}
	return at;
}

static struct str quote(struct str key, struct arena *a)
{
	struct buf b = BUF_INIT(4096);
	struct str quoted = STR_NONE;

	json_escape(&b, key);
	if (!b.overflow && str_find_char(buf_str(&b), '\\') == b.n)
		quoted = arena_copy(a, buf_str(&b));
	buf_free(&b);
	return quoted;
}

static uint32_t node_below(struct record_reader *r, uint32_t parent, struct str key, struct arena *a)
{
	size_t slot = node_slot(r, parent, key);
	struct node *up = &r->nodes[parent], *n;

	if (r->slots[slot] != NO_NODE)
		return r->slots[slot];
	r->slots[slot] = r->n_nodes;
	n = &r->nodes[r->n_nodes++];
	n->key = key;
	n->quoted = quote(key, a);
	n->flat = up->flat.n > 0 ? arena_format(a, "%.*s__%.*s", STR_ARG(up->flat), STR_ARG(key)) : key;
	n->parent = parent;
	n->depth = up->depth + 1;
	up->has_children = true;
	if (n->depth > r->max_depth)
		r->max_depth = n->depth;
	return r->n_nodes - 1;
}

/* The next part of a path: up to a dot, without the backslashes. */
static bool path_part(struct str *rest, struct arena *a, struct str *part)
{
	char *p;
	size_t n = 0, i = 0;

	if (!rest->p)
		return false;
	p = arena_alloc(a, rest->n + 1);
	while (i < rest->n && rest->p[i] != '.') {
		if (rest->p[i] == '\\' && i + 1 < rest->n && (rest->p[i + 1] == '.' || rest->p[i + 1] == '\\'))
			i++;
		p[n++] = rest->p[i++];
	}
	*part = (struct str){ p, n };
	*rest = i < rest->n ? str_sub(*rest, i + 1, rest->n) : STR_NONE;
	return true;
}

/* Of a column, or of the array of a child table. */
static struct str path_at(const struct contract *c, size_t i)
{
	return i < c->n_columns ? c->columns[i].path : c->children[i - c->n_columns]->array_path;
}

static size_t count_parts(const struct contract *c)
{
	size_t n = 2;

	for (size_t i = 0; i < c->n_columns + c->n_children; i++) {
		struct str path = path_at(c, i);
		n++;
		for (size_t k = 0; k < path.n; k++)
			n += path.p[k] == '.';
	}
	return n;
}

struct record_reader *record_reader_new(const struct contract *c, uint32_t json_depth, struct arena *a)
{
	struct record_reader *r = arena_new(a, struct record_reader);
	size_t max_nodes = count_parts(c);
	struct err e = ERR_INIT;

	r->contract = c;
	r->json_depth = json_depth;
	CHECK(zone_load(STR("UTC"), a, &r->utc, &e));
	r->nodes = arena_array(a, struct node, max_nodes);
	for (r->n_slots = 16; r->n_slots < 4 * max_nodes; r->n_slots *= 2)
		;
	r->slots = arena_array(a, uint32_t, r->n_slots);
	r->column_node = arena_array(a, uint32_t, c->n_columns + c->n_children + 1);
	r->arrays = arena_array(a, struct record_array, c->n_children + 1);
	r->n_nodes = 2;
	for (size_t i = 0; i < c->n_columns + c->n_children; i++) {
		struct str rest = path_at(c, i), part;
		uint32_t node = 1;
		while (path_part(&rest, a, &part))
			node = node_below(r, node, part, a);
		r->column_node[i] = node;
		/* Contracts refuse two columns of one path, and paths inside each other. */
		CHECK(!r->nodes[node].has_children && r->nodes[node].column == NO_COLUMN);
		r->nodes[node].column = (uint32_t)i + 1;
	}
	r->open_nodes = arena_array(a, uint32_t, r->max_depth + 2);
	r->open_last = arena_array(a, uint32_t, r->max_depth + 2);
	r->extra_text = BUF_INIT(SIZE_MAX / 2); /* no longer than the document it is taken from, escapes apart */
	return r;
}

void record_reader_free(struct record_reader *r)
{
	buf_free(&r->extra_text);
	arena_free(&r->own);
}

struct batch_shape *record_shape(const struct contract *c, struct arena *a, size_t *n_columns)
{
	static const struct batch_shape meta[PREPARE_META_COLUMNS] = {
		[META_EXTRA] = { .name = { "_extra", 6 }, .type = TYPE_JSON },
		[META_WINDOW] = { .name = { "_window", 7 }, .type = TYPE_STRING },
		[META_GEN] = { .name = { "_gen", 4 }, .type = TYPE_INTEGER },
		[META_PAGE] = { .name = { "_page", 5 }, .type = TYPE_INTEGER },
		[META_OFF] = { .name = { "_off", 4 }, .type = TYPE_INTEGER },
		[META_LEN] = { .name = { "_len", 4 }, .type = TYPE_INTEGER },
	};
	static const struct batch_shape of_child[] = {
		{ .name = { "_parent_off", 11 }, .type = TYPE_INTEGER },
		{ .name = { "_idx", 4 }, .type = TYPE_INTEGER },
	};
	size_t n = c->n_columns + PREPARE_META_COLUMNS;
	struct batch_shape *shape = arena_array(a, struct batch_shape, n + 2);

	for (size_t i = 0; i < c->n_columns; i++)
		shape[i] = (struct batch_shape){ c->columns[i].name, c->columns[i].type, c->columns[i].precision,
						 c->columns[i].scale };
	memcpy(shape + c->n_columns, meta, sizeof meta);
	memcpy(shape + n, of_child, sizeof of_child);
	*n_columns = n + (contract_is_child(c) ? 2 : 0);
	return shape;
}

/* ── unknown fields ── */

static void extra_count(struct record_reader *r, const struct extra_field *f)
{
	size_t at = f->hash % EXTRA_SLOTS;

	for (; r->name_slots[at] != 0; at = (at + 1) % EXTRA_SLOTS) {
		struct extra_name *n = &r->names[r->name_slots[at] - 1];
		if (n->hash == f->hash && str_eq(n->name, f->name)) {
			n->count++;
			return;
		}
	}
	if (r->n_names == EXTRA_NAMES_MAX)
		return;
	r->names[r->n_names++] = (struct extra_name){ arena_copy(&r->own, f->name), f->hash, 1 };
	r->name_slots[at] = (uint8_t)r->n_names;
}

/* True: the record has a field of this name already. Few fields are compared one by one; a table is made for many, so that
 * a record of 100,000 fields does not take their square. */
static bool extra_is_double(struct record_reader *r, const struct extra_field *f)
{
	size_t n = r->extras.n, at;

	if (n < 16) {
		for (size_t i = 0; i < n; i++)
			if (r->extras.v[i].hash == f->hash && str_eq(r->extras.v[i].name, f->name))
				return true;
		return false;
	}
	if (n == 16 || n * 2 > r->extra_slots.n) {
		size_t want = r->extra_slots.n < 64 ? 64 : n * 2 > r->extra_slots.n ? r->extra_slots.n * 4 : r->extra_slots.n;
		if (want != r->extra_slots.n) {
			r->extra_slots.v = arena_array(&r->own, uint32_t, want);
			r->extra_slots.stamp = arena_array(&r->own, uint64_t, want);
			r->extra_slots.n = want;
		}
		for (size_t i = 0; i < n; i++) {
			for (at = r->extras.v[i].hash & (want - 1); r->extra_slots.stamp[at] == r->record; at = (at + 1) & (want - 1))
				;
			r->extra_slots.stamp[at] = r->record;
			r->extra_slots.v[at] = (uint32_t)i;
		}
	}
	at = f->hash & (r->extra_slots.n - 1);
	for (; r->extra_slots.stamp[at] == r->record; at = (at + 1) & (r->extra_slots.n - 1)) {
		const struct extra_field *other = &r->extras.v[r->extra_slots.v[at]];
		if (other->hash == f->hash && str_eq(other->name, f->name))
			return true;
	}
	r->extra_slots.stamp[at] = r->record;
	r->extra_slots.v[at] = (uint32_t)n;
	return false;
}

static void extra_add(struct reading *g, uint32_t parent, struct str key, struct str raw)
{
	struct record_reader *r = g->r;
	const struct node *up = &r->nodes[parent];
	struct extra_field f = { .raw = raw };

	f.name = parent == 1 ? key : arena_format(g->a, "%.*s__%.*s", STR_ARG(up->flat), STR_ARG(key));
	f.hash = hash_fast(f.name, 0);
	if (extra_is_double(r, &f)) {
		verdicts_note(g->v, RULE_RECORD, SIZE_MAX, g->row, f.name, "two fields of this name");
		return;
	}
	*arena_push(&r->own, r->extras) = f;
	extra_count(r, &f);
}

static void extra_write(struct reading *g)
{
	struct record_reader *r = g->r;
	struct batch_column *c = &g->b->columns[r->contract->n_columns + META_EXTRA];
	struct buf *t = &r->extra_text;

	buf_clear(t);
	for (size_t i = 0; i < r->extras.n; i++) {
		buf_add_char(t, i == 0 ? '{' : ',');
		json_escape(t, r->extras.v[i].name);
		buf_add_char(t, ':');
		buf_add(t, r->extras.v[i].raw);
	}
	buf_add_char(t, '}');
	c->s[g->row] = arena_copy(g->a, buf_str(t));
	batch_set_valid(c, g->row);
	r->extras.n = 0;
}

void record_extra_fields(const struct record_reader *r, struct arena *a, struct str **names, uint64_t **counts, size_t *n)
{
	*n = r->n_names;
	*names = arena_array(a, struct str, r->n_names);
	*counts = arena_array(a, uint64_t, r->n_names);
	for (size_t i = 0; i < r->n_names; i++) {
		(*names)[i] = arena_copy(a, r->names[i].name);
		(*counts)[i] = r->names[i].count;
	}
}

const struct record_array *record_arrays(const struct record_reader *r)
{
	return r->arrays;
}

uint64_t record_inexact(const struct record_reader *r)
{
	return r->inexact;
}

/* ── values ── */

/* Calls `each` for every column, and every array of a child table, at the node or below it. */
static void columns_below(struct reading *g, uint32_t node, void (*each)(struct reading *, size_t, struct str),
			  struct str raw)
{
	const struct record_reader *r = g->r;

	for (size_t i = 0; i < r->contract->n_columns + r->contract->n_children; i++) {
		uint32_t at = r->column_node[i];
		while (at != NO_NODE && at != node)
			at = r->nodes[at].parent;
		if (at == node)
			each(g, i, raw);
	}
}

static void column_forget(struct reading *g, size_t column, struct str raw)
{
	(void)raw;
	if (column >= g->r->contract->n_columns)
		g->r->arrays[column - g->r->contract->n_columns].raw = STR_NONE;
	else
		g->b->columns[column].valid[g->row / 64] &= ~(UINT64_C(1) << (g->row % 64));
}

static void column_wants_object(struct reading *g, size_t column, struct str raw)
{
	if (column >= g->r->contract->n_columns)
		g->r->arrays[column - g->r->contract->n_columns] = (struct record_array){ raw, false };
	else
		verdicts_note(g->v, RULE_TYPE, column, g->row, raw, "an object is expected on the way to it");
}

static void array_read(struct reading *g, size_t child, const struct value *v)
{
	if (v->event != JSON_NULL)
		g->r->arrays[child] = (struct record_array){ v->raw, v->event == JSON_ARRAY };
}

static inline void column_read(struct reading *g, size_t column, const struct value *v)
{
	struct batch_column *c = &g->b->columns[column];
	const char *why;

	switch (value_read(&g->r->contract->columns[column], g->r->utc, v, c, g->row, g->a, &why)) {
	case VALUE_INEXACT:
		g->r->inexact++;
		batch_set_valid(c, g->row);
		break;
	case VALUE_OK:
		batch_set_valid(c, g->row);
		break;
	case VALUE_NULL:
		break;
	case VALUE_BAD:
		verdicts_note(g->v, RULE_TYPE, column, g->row, v->text, why);
		break;
	}
}

/* What nearly every cell is, without a detour: null, a short number, a text without escapes. False: column_read() has it. */
static inline bool column_read_quick(struct reading *g, size_t column, enum json_event ev)
{
	const struct json_scan *s = g->s;
	struct batch_column *c = &g->b->columns[column];

	if (ev == JSON_NUMBER && c->type == TYPE_INTEGER) {
		if (!number_to_i64_short(s->value, s->end, &c->i64[g->row]))
			return false;
	} else if (ev == JSON_STRING && c->type == TYPE_STRING) {
		if (s->escaped || g->r->contract->columns[column].n_null_texts > 0)
			return false;
		c->s[g->row] = s->value;
	} else {
		return ev == JSON_NULL;
	}
	batch_set_valid(c, g->row);
	return true;
}

/* Containers are skipped. False: JSON_BAD. */
static inline bool value_take(struct json_scan *s, enum json_event ev, struct value *v)
{
	*v = (struct value){ .event = ev, .escaped = s->escaped };
	if (ev == JSON_OBJECT || ev == JSON_ARRAY) {
		if (!json_skip(s))
			return false;
		v->raw = v->text = s->value;
		return true;
	}
	v->text = v->raw = s->value;
	if (ev == JSON_STRING)
		v->raw = (struct str){ s->value_start, s->value.n + 2 };
	else
		v->escaped = false;
	return true;
}

/* A value at a node with others below it. *down: the scanner went into the object. */
static bool branch_read(struct reading *g, uint32_t node, enum json_event ev, bool *down)
{
	struct value v;

	*down = ev == JSON_OBJECT;
	if (*down)
		return true;
	if (!value_take(g->s, ev, &v))
		return false;
	if (ev != JSON_NULL)
		columns_below(g, node, column_wants_object, v.raw);
	return true;
}

static bool double_key(struct reading *g, uint32_t node, enum json_event ev)
{
	struct value v;

	if (!value_take(g->s, ev, &v))
		return false;
	verdicts_note(g->v, RULE_RECORD, SIZE_MAX, g->row, g->r->nodes[node].flat, "a key occurs twice");
	columns_below(g, node, column_forget, STR_NONE);
	return true;
}

/* ── the record ── */

/* After JSON_KEY, which nobody guessed. *node stays NO_NODE for a field that the contract does not know; its value has
 * been read then. */
static bool key_look_up(struct reading *g, uint32_t parent, uint32_t *node, enum json_event *ev)
{
	struct json_scan *s = g->s;
	struct str key = s->value;
	bool sound = !s->escaped || json_unescape(key, g->a, &key);

	*node = sound ? g->r->slots[node_slot(g->r, parent, key)] : NO_NODE;
	if (*node != NO_NODE) {
		*ev = json_next(s);
		return *ev != JSON_BAD;
	}
	if (!json_skip(s))
		return false;
	if (!sound)
		verdicts_note(g->v, RULE_RECORD, SIZE_MAX, g->row, key, "a lone surrogate escape in a key");
	else
		extra_add(g, parent, key, s->value);
	return true;
}

static bool members_read(struct reading *g)
{
	struct record_reader *r = g->r;
	struct json_scan *s = g->s;
	uint32_t depth = 0, parent = 1, last = NO_NODE;

	for (;;) {
		uint32_t *guess = last != NO_NODE ? &r->nodes[last].guess_next : &r->nodes[parent].guess_first;
		uint32_t node = *guess;
		enum json_event ev = node != NO_NODE ? json_next_guess(s, r->nodes[node].quoted) : json_next(s);
		bool down = false;

		if (ev == JSON_BAD)
			return false;
		if (ev == JSON_OBJECT_END) {
			if (depth == 0)
				return true;
			last = parent;
			parent = r->open_nodes[--depth];
			continue;
		}
		if (ev == JSON_KEY) {
			if (!key_look_up(g, parent, &node, &ev))
				return false;
			if (node == NO_NODE)
				continue;
			if (r->nodes[node].quoted.n > 0)
				*guess = node;
		}
		last = node;
		struct node *n = &r->nodes[node];
		if (n->seen == r->record) {
			if (!double_key(g, node, ev))
				return false;
			continue;
		}
		n->seen = r->record;
		if (!n->has_children) {
			struct value v;
			bool is_array = n->column > r->contract->n_columns; /* of a child table, and in no column */
			if (!is_array && column_read_quick(g, n->column - 1, ev))
				continue;
			if (!value_take(s, ev, &v))
				return false;
			if (is_array)
				array_read(g, n->column - 1 - r->contract->n_columns, &v);
			else
				column_read(g, n->column - 1, &v);
			continue;
		}
		if (!branch_read(g, node, ev, &down))
			return false;
		if (down) {
			r->open_nodes[depth++] = parent;
			parent = node;
			last = NO_NODE;
		}
	}
}

bool record_read_at(struct record_reader *r, struct json_scan *s, enum json_event first, struct batch *b, size_t row,
		    struct verdicts *v, struct arena *a, struct str *raw)
{
	struct reading g = { r, s, b, row, v, a };
	const char *start = s->value_start;
	struct value value;

	r->record++;
	for (size_t i = 0; i < r->contract->n_children; i++)
		r->arrays[i].raw = STR_NONE;
	if (first == JSON_OBJECT) {
		if (!members_read(&g)) {
			r->extras.n = 0;
			return false;
		}
		if (r->extras.n > 0)
			extra_write(&g);
	} else {
		if (!value_take(s, first, &value))
			return false;
		verdicts_note(v, RULE_RECORD, SIZE_MAX, row, value.raw, "the record is no object");
	}
	*raw = (struct str){ start, (size_t)(s->p - start) };
	return true;
}

void record_read(struct record_reader *r, struct str raw, struct batch *b, size_t row, struct verdicts *v,
		 struct arena *a)
{
	struct json_scan s;
	struct str whole;
	enum json_event first;

	json_open(&s, raw, r->json_depth);
	first = json_next(&s);
	if (first != JSON_BAD && record_read_at(r, &s, first, b, row, v, a, &whole) && json_next(&s) == JSON_DONE)
		return;
	for (size_t i = 0; i < r->contract->n_columns + PREPARE_META_COLUMNS; i++)
		b->columns[i].valid[row / 64] &= ~(UINT64_C(1) << (row % 64));
	verdicts_note(v, RULE_RECORD, SIZE_MAX, row, str_sub(raw, s.fault_at, 40), s.fault);
}
