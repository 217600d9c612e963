#include "mock/fault.h"

#include "base/hash.h"

static const struct {
	const char *name, *help;
} FAULT_ROWS[FAULTS] = {
	{ "", "" },
#define FAULT(name, help) { #name, help },
#include "mock/fault.def"
#undef FAULT
};

const char *fault_name(enum fault f)
{
	return FAULT_ROWS[f].name;
}

enum fault fault_from(struct str name)
{
	for (enum fault f = FAULT_NONE + 1; f < FAULTS; f++)
		if (str_eq_z(name, FAULT_ROWS[f].name))
			return f;
	return FAULT_NONE;
}

static enum fault named_fault(struct str name, const struct yaml_node *at, struct problems *p)
{
	enum fault f = fault_from(name), nearest = FAULT_NONE + 1;
	if (f != FAULT_NONE)
		return f;
	for (enum fault k = nearest; k < FAULTS; k++)
		if (str_distance(name, str_from(FAULT_ROWS[k].name)) <
		    str_distance(name, str_from(FAULT_ROWS[nearest].name)))
			nearest = k;
	problem_at(p, at, NULL, "there is no fault `%.*s`; did you mean `%s`?", STR_ARG(name),
		   FAULT_ROWS[nearest].name);
	return FAULT_NONE;
}

bool faults_read(struct faults *f, const struct yaml_node *rules, const struct yaml_node *dice,
		 struct problems *p)
{
	size_t before = p->n_errors;
	if (rules && rules->type != YAML_LIST && !yaml_is_null(rules))
		problem_at(p, rules, "script: [{path: /x, nth: 3, fault: status_503}]", "a list of rules is expected");
	f->n_rules = 0;
	f->rules = arena_array(&f->arena, struct rule, (rules ? rules->n_children : 0) + 1);
	for (const struct yaml_node *n = rules && rules->type == YAML_LIST ? rules->child : NULL; n; n = n->next) {
		struct rule *r = &f->rules[f->n_rules++];
		config_rule(n, &f->arena, &r->o, p);
		r->fault = named_fault(r->o.fault, n, p);
	}
	config_faults(dice, &f->arena, &f->dice, p);
	config_rule(NULL, &f->arena, &f->usual, p);
	f->n_kinds = 0;
	f->kinds = arena_array(&f->arena, enum fault, f->dice.kinds.n + 1);
	for (size_t i = 0; i < f->dice.kinds.n; i++)
		f->kinds[f->n_kinds++] = named_fault(f->dice.kinds.v[i], dice, p);
	f->dice.kinds = (struct words){ 0 }; /* views into what was read */
	faults_reset(f);
	return p->n_errors == before;
}

void faults_reset(struct faults *f)
{
	for (size_t i = 0; i < f->n_rules; i++)
		f->rules[i].seen = 0;
	if (f->targets)
		mem_free(f->targets);
	f->targets = NULL;
	f->n_targets = f->cap_targets = 0;
}

/* ── what was asked before: open addressing by the hash alone ── */

static struct target_state *slot_of(struct target_state *v, size_t cap, uint64_t hash)
{
	size_t i = hash & (cap - 1);
	while (v[i].hash && v[i].hash != hash)
		i = (i + 1) & (cap - 1);
	return &v[i];
}

static struct target_state *target_of(struct faults *f, struct str target)
{
	uint64_t hash = hash_fast(target, 1) | 1;
	if (f->n_targets * 2 >= f->cap_targets) {
		size_t cap = f->cap_targets ? f->cap_targets * 2 : 1024;
		struct target_state *v = mem_alloc(mem_size(cap, sizeof *v));
		for (size_t i = 0; i < f->cap_targets; i++)
			if (f->targets[i].hash)
				*slot_of(v, cap, f->targets[i].hash) = f->targets[i];
		if (f->targets)
			mem_free(f->targets);
		f->targets = v;
		f->cap_targets = cap;
	}
	struct target_state *t = slot_of(f->targets, f->cap_targets, hash);
	f->n_targets += t->hash == 0;
	t->hash = hash;
	return t;
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static enum fault roll(struct faults *f, struct str target)
{
	if (f->dice.percent == 0 || f->n_kinds == 0)
		return FAULT_NONE;
	struct target_state *t = target_of(f, target);
	uint64_t x = mix(mix(t->hash + mix(f->dice.seed)) + ++t->asked);
	if (x % 1000000 >= f->dice.percent || t->in_a_row >= f->dice.in_a_row) {
		t->in_a_row = 0;
		return FAULT_NONE;
	}
	t->in_a_row++;
	return f->kinds[mix(x) % f->n_kinds];
}

enum fault fault_draw(struct faults *f, struct str path, struct str target, const struct opt_rule **rule)
{
	enum fault found = FAULT_NONE;
	for (size_t i = 0; i < f->n_rules; i++) {
		struct rule *r = &f->rules[i];
		if (r->o.path.n && !str_eq(r->o.path, path))
			continue;
		if (r->o.match.n && !str_contains(target, r->o.match))
			continue;
		r->seen++;
		bool now = r->o.nth == 0 || (r->seen >= r->o.nth && r->seen - r->o.nth < r->o.times);
		if (now && found == FAULT_NONE) {
			found = r->fault;
			*rule = &r->o;
		}
	}
	if (found != FAULT_NONE)
		return found;
	*rule = &f->usual;
	return roll(f, target);
}

void faults_free(struct faults *f)
{
	faults_reset(f);
	arena_free(&f->arena);
	*f = (struct faults){ 0 };
}

void faults_help(struct buf *out)
{
	buf_add_z(out, "\nfaults:\n");
	for (enum fault f = FAULT_NONE + 1; f < FAULTS; f++)
		buf_addf(out, "  %-18s %s\n", FAULT_ROWS[f].name, FAULT_ROWS[f].help);
}
