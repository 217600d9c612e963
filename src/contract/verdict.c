#include "contract/verdict.h"

#include "base/check.h"
#include "base/json.h"
#include "contract/verdict_rule.h"

#include <string.h>

enum { NO_NOTE = 0 };

struct note {
	uint32_t next; /* of the same row: index + 1 */
	uint32_t rule;
	struct str value;
	const char *why;
};

struct verdict_work {
	struct pattern_matcher matcher;
	struct arena notes_arena, scratch;
	struct {
		struct note *v;
		size_t n, cap;
	} notes;
	uint32_t first_note[BATCH_ROWS]; /* index + 1 */
	size_t *type_rule;               /* [column] */
	size_t record_rule;
};

bool rows_any(const struct rows *r)
{
	uint64_t any = 0;
	for (size_t i = 0; i < ROW_WORDS; i++)
		any |= r->w[i];
	return any != 0;
}

size_t rows_count(const struct rows *r)
{
	size_t n = 0;
	for (size_t i = 0; i < ROW_WORDS; i++)
		n += (size_t)__builtin_popcountll(r->w[i]);
	return n;
}

struct verdicts *verdicts_new(const struct contract *c, struct arena *a)
{
	struct verdicts *v = arena_new(a, struct verdicts);
	v->contract = c;
	v->failed = arena_array(a, struct rows, c->n_rules);
	v->has_failed = arena_array(a, bool, c->n_rules);
	v->total = arena_array(a, uint64_t, c->n_rules);
	v->work = arena_new(a, struct verdict_work);
	if (c->n_columns > 0)
		v->work->type_rule = arena_array(a, size_t, c->n_columns);
	for (size_t i = 0; i < c->n_rules; i++) {
		if (c->rules[i].kind == RULE_TYPE)
			v->work->type_rule[c->rules[i].column] = i;
		if (c->rules[i].kind == RULE_RECORD)
			v->work->record_rule = i;
	}
	matcher_init(&v->work->matcher);
	return v;
}

void verdicts_free(struct verdicts *v)
{
	matcher_free(&v->work->matcher);
	arena_free(&v->work->notes_arena);
	arena_free(&v->work->scratch);
}

void verdicts_begin(struct verdicts *v)
{
	for (size_t i = 0; i < v->contract->n_rules; i++)
		if (v->has_failed[i]) {
			memset(&v->failed[i], 0, sizeof v->failed[i]);
			v->has_failed[i] = false;
		}
	memset(v->by_action, 0, sizeof v->by_action);
	if (v->work->notes.n > 0) {
		memset(v->work->first_note, 0, sizeof v->work->first_note);
		v->work->notes.n = v->work->notes.cap = 0;
		v->work->notes.v = NULL;
		arena_reset(&v->work->notes_arena);
	}
}

/* At most REASON_VALUE_BYTES, never in the middle of a code point. */
static struct str value_cut(struct str s)
{
	if (s.n <= REASON_VALUE_BYTES)
		return s;
	size_t n = REASON_VALUE_BYTES;
	while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return str_sub(s, 0, n);
}

static void note_add(struct verdicts *v, size_t rule, size_t row, struct str value, const char *why)
{
	struct verdict_work *w = v->work;
	CHECK(row < BATCH_ROWS);
	struct note note = { .next = w->first_note[row], .rule = (uint32_t)rule, .why = why };
	note.value = arena_copy(&w->notes_arena, value_cut(value));
	*arena_push(&w->notes_arena, w->notes) = note;
	w->first_note[row] = (uint32_t)w->notes.n;
}

void verdicts_note(struct verdicts *v, enum rule_kind kind, size_t column, size_t row, struct str value,
		   const char *why)
{
	size_t rule = kind == RULE_TYPE	    ? v->work->type_rule[column] :
		      kind == RULE_RECORD ? v->work->record_rule :
					      contract_rule(v->contract, kind, column);
	if (rule == SIZE_MAX)
		return;
	rows_add(&v->failed[rule], row);
	v->has_failed[rule] = true;
	note_add(v, rule, row, value, why);
}

static void limit_hit(void *context, size_t rule, size_t row)
{
	note_add(context, rule, row, STR_NONE, "the pattern took too many steps");
}

static void null_check(struct verdicts *v, const struct batch_column *c, const struct rule *r, size_t words,
		       struct rows *out)
{
	const struct rows *type = &v->failed[v->work->type_rule[r->column]];
	const struct rows *record = &v->failed[v->work->record_rule];
	for (size_t w = 0; w < words; w++)
		out->w[w] = ~(c->valid[w] | type->w[w] | record->w[w]);
}

void verdicts_evaluate(struct verdicts *v, const struct batch *b, int64_t from_us, int64_t to_us)
{
	const struct contract *c = v->contract;
	size_t words = (b->n_rows + 63) / 64;
	uint64_t last = b->n_rows % 64 ? (UINT64_C(1) << (b->n_rows % 64)) - 1 : UINT64_MAX;
	CHECK(b->n_columns >= c->n_columns && b->n_rows <= BATCH_ROWS);
	for (size_t i = 0; i < c->n_rules; i++) {
		const struct rule *r = &c->rules[i];
		struct rows out;
		if (r->column != SIZE_MAX && r->kind != RULE_TYPE && words > 0) {
			const struct batch_column *column = &b->columns[r->column];
			CHECK(column->type == c->columns[r->column].type);
			struct evaluation e = { .rule = r, .rule_index = i, .column = column, .words = words,
						.from_us = from_us, .to_us = to_us, .matcher = &v->work->matcher,
						.limit_hit = limit_hit, .context = v, .last_word = last };
			if (r->kind == RULE_REQUIRED || r->kind == RULE_KEY)
				null_check(v, column, r, words, &out);
			else
				rule_evaluate(&e, &out);
			out.w[words - 1] &= last;
			uint64_t any = 0;
			for (size_t w = 0; w < words; w++) {
				v->failed[i].w[w] |= out.w[w];
				any |= out.w[w];
			}
			v->has_failed[i] |= any != 0;
		}
		if (v->has_failed[i])
			for (size_t w = 0; w < ROW_WORDS; w++)
				v->by_action[r->action].w[w] |= v->failed[i].w[w];
	}
}

void verdicts_count(struct verdicts *v, const struct batch *b, const struct rows *which)
{
	struct rows all = { 0 };
	if (!which) {
		for (size_t i = 0; i < b->n_rows; i++)
			rows_add(&all, i);
		which = &all;
	}
	v->counted_rows += rows_count(which);
	for (size_t i = 0; i < v->contract->n_rules; i++)
		if (v->has_failed[i])
			for (size_t w = 0; w < ROW_WORDS; w++)
				v->total[i] += (uint64_t)__builtin_popcountll(v->failed[i].w[w] & which->w[w]);
	for (size_t a = 0; a < 3; a++)
		for (size_t w = 0; w < ROW_WORDS; w++)
			v->total_rows[a] += (uint64_t)__builtin_popcountll(v->by_action[a].w[w] & which->w[w]);
}

/* ── reasons ── */

static const struct note *note_of(const struct verdicts *v, size_t row, size_t rule)
{
	uint32_t at = v->work->first_note[row];
	while (at != NO_NOTE && v->work->notes.v[at - 1].rule != rule)
		at = v->work->notes.v[at - 1].next;
	return at == NO_NOTE ? NULL : &v->work->notes.v[at - 1];
}

static void reason_put(const struct verdicts *v, const struct batch *b, size_t row, size_t rule, struct json_out *o)
{
	const struct rule *r = &v->contract->rules[rule];
	const struct note *note = note_of(v, row, rule);
	struct str value = note ? note->value : STR_NONE;
	json_begin_object(o, NULL);
	json_put_str(o, "rule", r->id);
	if (r->column != SIZE_MAX) {
		const struct column *c = &v->contract->columns[r->column];
		json_put_str(o, "column", c->name);
		json_put_str(o, "path", c->path);
		if (r->kind != RULE_TYPE && batch_is_valid(&b->columns[r->column], row)) {
			value = scalar_to_text(c, batch_scalar(&b->columns[r->column], row), &v->work->scratch);
			json_put_str(o, "value", value_cut(value));
		} else if (value.n > 0) {
			json_put_str(o, "value", value);
		}
	} else if (value.n > 0) {
		json_put_str(o, "value", value);
	}
	if (note && note->why)
		json_put_z(o, "why", note->why);
	json_end_object(o);
}

bool verdicts_reasons(const struct verdicts *v, const struct batch *b, size_t row, struct buf *out)
{
	struct json_out o = JSON_OUT(out);
	CHECK(row < b->n_rows);
	json_begin_array(&o, NULL);
	for (size_t i = 0; i < v->contract->n_rules; i++)
		if (v->has_failed[i] && v->contract->rules[i].action != ACTION_WARN && rows_has(&v->failed[i], row))
			reason_put(v, b, row, i, &o);
	json_end_array(&o);
	arena_reset(&v->work->scratch);
	return !out->overflow;
}
