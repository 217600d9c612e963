/* Keys: what makes a step's output what it is (rule 26). Equal key, already committed: nothing to do. */
#include "run/plan.h"

#include <stdlib.h>
#include <string.h>

static void add_text(struct sha256_state *s, struct str text)
{
	uint64_t n = text.n; /* lengths keep neighbours apart */
	sha256_add(s, &n, sizeof n);
	sha256_add_str(s, text);
}

/* Version 1 read a time that the clocks leave out as the instant of their jump, and did not count one that they show twice. */
static bool reads_wall_clocks(const struct contract *c)
{
	for (size_t t = 0; t <= c->n_children; t++) {
		const struct contract *x = contract_table(c, t);
		for (size_t i = 0; i < x->n_columns; i++)
			if (x->columns[i].zone && !str_eq_z(zone_name(x->columns[i].zone), "UTC"))
				return true;
	}
	return false;
}

struct sha256 window_key(const struct resource *r, struct str window, struct sha256 content, const struct contract *c)
{
	struct sha256_state s;
	uint32_t version = reads_wall_clocks(c) ? OUTPUT_VERSION_PREPARE_WALL : OUTPUT_VERSION_PREPARE;
	sha256_begin(&s);
	add_text(&s, STR("sluice-window-key/1"));
	add_text(&s, r->kind == KIND_WINDOW ? window : STR_NONE);
	sha256_add(&s, content.b, sizeof content.b);
	sha256_add(&s, c->meaning.b, sizeof c->meaning.b);
	add_text(&s, r->records); /* where in a page the records stand: the one setting that changes rows */
	sha256_add(&s, &version, sizeof version);
	return sha256_end(&s);
}

struct named_key {
	struct str name;
	struct sha256 key;
};

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct named_key *)a)->name, ((const struct named_key *)b)->name);
}

struct sha256 table_content_key(const struct table_snapshot *t)
{
	struct arena a = ARENA_INIT;
	size_t n = 0, max = 0;
	for (size_t i = 0; i < t->n_files; i++)
		max += t->files[i].n_windows;
	struct named_key *v = arena_array(&a, struct named_key, max + 1);
	for (size_t i = 0; i < t->n_files; i++)
		for (size_t k = 0; k < t->files[i].n_windows; k++)
			v[n++] = (struct named_key){ t->files[i].windows[k].name, t->files[i].windows[k].key };
	qsort(v, n, sizeof *v, by_name);
	struct sha256_state s;
	sha256_begin(&s);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && str_eq(v[i].name, v[i - 1].name))
			continue; /* a window cut into several files */
		sha256_add(&s, v[i].key.b, sizeof v[i].key.b);
	}
	arena_free(&a);
	return sha256_end(&s);
}

/* Version 1 kept the sign of a zero, btrim(s) took off more than blanks, and Spark lost the apostrophes of 'it''s'. */
static bool came_out_otherwise(const struct model *m)
{
	for (size_t i = 0; m->contract && i < m->contract->n_columns; i++)
		if (m->contract->columns[i].type == TYPE_DOUBLE)
			return true;
	return str_contains(m->sql, STR("''")) || str_contains(m->sql, STR("btrim")) || str_contains(m->sql, STR("BTRIM"));
}

struct sha256 model_key(const struct model *m, bool spark, const struct sha256 *inputs, size_t n_inputs)
{
	struct sha256_state s;
	uint32_t version = came_out_otherwise(m) ? OUTPUT_VERSION_REFINE_OTHER : OUTPUT_VERSION_REFINE;
	sha256_begin(&s);
	add_text(&s, STR("sluice-model-key/1"));
	/* The engine is no part of it: the same text gives the same rows in both. */
	const struct sha256 *meaning = spark && m->spark_file ? &m->spark_meaning : &m->meaning;
	sha256_add(&s, meaning->b, sizeof meaning->b);
	for (size_t i = 0; i < n_inputs; i++)
		sha256_add(&s, inputs[i].b, sizeof inputs[i].b);
	sha256_add(&s, &version, sizeof version);
	return sha256_end(&s);
}
