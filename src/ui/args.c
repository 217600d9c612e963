#include "ui/args.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

const struct command *command_find(struct str name)
{
	for (size_t i = 0; i < n_commands; i++)
		if (str_eq_z(name, command_table[i].name))
			return &command_table[i];
	return NULL;
}

/* ── the nearest right word ── */

struct nearest {
	struct str wrong;
	const char *best;
	size_t distance;
};

static void nearest_try(struct nearest *n, const char *word)
{
	size_t d = str_distance(n->wrong, str_from(word));
	/* A word of which only the beginning was written is meant as well. */
	if (n->wrong.n >= 3 && str_starts(str_from(word), n->wrong))
		d = 1;
	if (d <= 1 + n->wrong.n / 3 && d < n->distance) {
		n->best = word;
		n->distance = d;
	}
}

/* "`sluice raw ls`, `sluice raw cat`" */
static bool group_hint(struct str group, struct err *e)
{
	struct buf b = BUF_INIT(4096);
	for (size_t i = 0; i < n_commands; i++) {
		struct str name = str_from(command_table[i].name);
		if (name.n > group.n && str_starts(name, group) && name.p[group.n] == ' ')
			buf_addf(&b, "%s`sluice %s`", b.n > 0 ? ", " : "", command_table[i].name);
	}
	err_hint(e, "there %s %.*s", str_find_char(buf_str(&b), ',') < b.n ? "are" : "is", STR_ARG(buf_str(&b)));
	buf_free(&b);
	return false;
}

static bool unknown_command(struct str first, struct str second, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct nearest n = { .wrong = first, .distance = SIZE_MAX };
	struct nearest two = { .wrong = arena_format(&a, "%.*s %.*s", STR_ARG(first), STR_ARG(second)), .distance = SIZE_MAX };
	char prefix[64];
	bool is_group = false;
	for (size_t i = 0; i < n_commands; i++) {
		bool hidden = command_table[i].summary[0] == '\0';
		const char *blank = strchr(command_table[i].name, ' ');
		if (!hidden) {
			nearest_try(&n, command_table[i].name);
			nearest_try(&two, command_table[i].name);
		}
		if (blank) {
			int k = snprintf(prefix, sizeof prefix, "%.*s", (int)(blank - command_table[i].name), command_table[i].name);
			CHECK(k > 0 && (size_t)k < sizeof prefix);
			is_group = is_group || str_eq_z(first, prefix);
		}
	}
	const char *best = two.distance < n.distance || is_group ? two.best : n.best;
	if (is_group && second.n == 0)
		err_set(e, ERR_USAGE, "`%.*s` is not a whole command", STR_ARG(first));
	else
		err_set(e, ERR_USAGE, "there is no command `%.*s`", STR_ARG(is_group ? two.wrong : first));
	if (is_group && second.n == 0)
		group_hint(first, e);
	else if (best)
		err_hint(e, "did you mean `sluice %s`?", best);
	else if (is_group)
		group_hint(first, e);
	else
		err_hint(e, "`sluice help` lists the commands");
	arena_free(&a);
	return false;
}

static bool unknown_option(struct str written, struct str name, const struct command *c, struct err *e)
{
	struct nearest n = { .wrong = name, .distance = SIZE_MAX };
	for (size_t i = 0; i < OPT_COUNT; i++)
		if (c == NULL || command_takes(c, (enum option_id)i) || i == OPT_HELP)
			nearest_try(&n, option_table[i].name);
	err_set(e, ERR_USAGE, "there is no option %.*s", STR_ARG(written));
	if (n.best && name.n > 1)
		return err_hint(e, "did you mean --%s?", n.best);
	return err_hint(e, c ? "`sluice help %s` lists its options" : "`sluice help` lists the commands", c ? c->name : "");
}

/* ── parsing ── */

struct parse {
	int argc, at;
	char *const *argv;
	struct args *out;
	const char *bad; /* the first option that is none: judged when the command is known */
};

static bool is_operand(const char *word)
{
	return word[0] != '-' || word[1] == '\0' || (word[1] >= '0' && word[1] <= '9') || word[1] == '.';
}

static size_t find_option(const char *word, struct str *value, bool *has_value)
{
	*has_value = false;
	if (word[1] != '-') {
		for (size_t i = 0; i < OPT_COUNT; i++)
			if (option_table[i].letter == word[1] && word[1] != '\0') {
				*has_value = word[2] != '\0';
				*value = str_from(word + 2 + (word[2] == '='));
				return i;
			}
		return OPT_COUNT;
	}
	struct str name = str_from(word + 2);
	size_t equals = str_find_char(name, '=');
	*has_value = equals < name.n;
	*value = str_sub(name, equals + 1, name.n);
	name = str_sub(name, 0, equals);
	for (size_t i = 0; i < OPT_COUNT; i++)
		if (str_eq_z(name, option_table[i].name))
			return i;
	return OPT_COUNT;
}

static bool take_option(struct parse *p, const char *word, struct err *e)
{
	struct str value = STR_NONE;
	bool has_value;
	size_t id = find_option(word, &value, &has_value);
	if (id == OPT_COUNT) {
		p->bad = p->bad ? p->bad : word;
		return true;
	}
	const struct option *o = &option_table[id];
	if (p->out->given[id])
		return err_set(e, ERR_USAGE, "--%s stands twice on the command line", o->name);
	p->out->given[id] = true;
	if (o->value[0] == '\0' && has_value)
		return err_set(e, ERR_USAGE, "--%s takes no value, and %.*s was given", o->name, STR_ARG(value));
	if (o->value[0] != '\0' && o->value[0] != '[' && !has_value) {
		if (p->at + 1 >= p->argc)
			return err_set(e, ERR_USAGE, "--%s needs a value: --%s %s", o->name, o->name, o->value);
		value = str_from(p->argv[++p->at]);
		has_value = true;
	}
	if (has_value && value.n == 0)
		return err_set(e, ERR_USAGE, "--%s: the value is empty", o->name);
	p->out->value[id] = value;
	return true;
}

static bool take_words(struct parse *p, struct err *e)
{
	struct args *g = p->out;
	bool only_operands = false;
	for (; p->at < p->argc; p->at++) {
		const char *word = p->argv[p->at];
		struct str s = str_from(word);
		if (s.n > ARGUMENT_MAX_BYTES)
			return err_set(e, ERR_USAGE, "an argument of %zu bytes is too long", s.n);
		if (!only_operands && strcmp(word, "--") == 0) {
			only_operands = true;
		} else if (only_operands || is_operand(word)) {
			if (g->n_operands == OPERANDS_MAX)
				return err_set(e, ERR_USAGE, "more than %d operands", OPERANDS_MAX);
			g->operands[g->n_operands++] = s;
		} else if (!take_option(p, word, e)) {
			return false;
		}
	}
	return true;
}

/* The command's words leave the operands. */
static bool take_command(struct args *g, struct err *e)
{
	if (g->n_operands == 0)
		return true;
	struct arena a = ARENA_INIT;
	size_t used = 1;
	g->command = command_find(g->operands[0]);
	if (g->command == NULL && g->n_operands > 1) {
		used = 2;
		g->command = command_find(arena_format(&a, "%.*s %.*s", STR_ARG(g->operands[0]), STR_ARG(g->operands[1])));
	}
	arena_free(&a);
	if (g->command == NULL)
		return unknown_command(g->operands[0], g->n_operands > 1 ? g->operands[1] : STR_NONE, e);
	g->n_operands -= used;
	memmove(g->operands, g->operands + used, g->n_operands * sizeof *g->operands);
	return true;
}

static bool check_options(const struct args *g, struct err *e)
{
	for (size_t i = 0; i < OPT_COUNT; i++) {
		if (!g->given[i] || i == OPT_HELP || i == OPT_VERSION || command_takes(g->command, (enum option_id)i))
			continue;
		err_set(e, ERR_USAGE, "`sluice %s` takes no --%s", g->command->name, option_table[i].name);
		return err_hint(e, "`sluice help %s` lists its options", g->command->name);
	}
	return true;
}

static bool check_operands(const struct args *g, struct err *e)
{
	const struct command *c = g->command;
	if (g->n_operands >= c->least && g->n_operands <= c->most)
		return true;
	if (c->most == 0)
		err_set(e, ERR_USAGE, "`sluice %s` takes no operand, and %.*s was given", c->name, STR_ARG(g->operands[0]));
	else if (g->n_operands < c->least)
		err_set(e, ERR_USAGE, "something is missing: sluice %s %s", c->name, c->operands);
	else
		err_set(e, ERR_USAGE, "too many operands (%.*s ...): sluice %s %s", STR_ARG(g->operands[c->most]), c->name,
			c->operands);
	return err_hint(e, "`sluice help %s` has examples", c->name);
}

bool args_parse(int argc, char *const *argv, struct args *out, struct err *e)
{
	memset(out, 0, sizeof *out);
	struct parse p = { .argc = argc, .at = 1, .argv = argv, .out = out };
	if (!take_words(&p, e) || !take_command(out, e))
		return false;
	if (p.bad) {
		struct str name = str_from(p.bad + 1 + (p.bad[1] == '-'));
		return unknown_option(str_sub(str_from(p.bad), 0, str_find_char(str_from(p.bad), '=')),
				      str_sub(name, 0, str_find_char(name, '=')), out->command, e);
	}
	if (out->command == NULL || out->given[OPT_HELP] || out->given[OPT_VERSION])
		return true;
	return check_options(out, e) && check_operands(out, e);
}

bool args_u64(const struct args *g, enum option_id o, uint64_t least, uint64_t most, uint64_t otherwise, uint64_t *out,
	      struct err *e)
{
	*out = otherwise;
	if (!g->given[o])
		return true;
	if (!str_to_u64(g->value[o], out) || *out < least || *out > most)
		return err_set(e, ERR_USAGE, "--%s %.*s: a whole number from %llu to %llu is expected", option_table[o].name,
			       STR_ARG(g->value[o]), (unsigned long long)least, (unsigned long long)most);
	return true;
}

/* ── commands to paste ── */

void shell_quote(struct str word, struct buf *out)
{
	bool plain = word.n > 0;
	for (size_t i = 0; i < word.n; i++)
		plain = plain && (strchr("_-./=:,+@%~", word.p[i]) != NULL || (word.p[i] >= '0' && word.p[i] <= '9') ||
				  ((word.p[i] | 0x20) >= 'a' && (word.p[i] | 0x20) <= 'z'));
	if (plain && word.p[0] != '~') {
		buf_add(out, word);
		return;
	}
	buf_add_char(out, '\'');
	for (size_t i = 0; i < word.n; i++) {
		if (word.p[i] == '\'')
			buf_add_z(out, "'\\''");
		else
			buf_add_char(out, word.p[i]);
	}
	buf_add_char(out, '\'');
}

static void add_option(const struct args *g, enum option_id o, struct buf *out)
{
	const struct option *x = &option_table[o];
	if (!g->given[o])
		return;
	if (o == OPT_FILE)
		buf_add_z(out, " -f ");
	else if (g->value[o].n == 0)
		buf_addf(out, " --%s", x->name);
	else
		buf_addf(out, " --%s%c", x->name, x->value[0] == '[' ? '=' : ' ');
	if (g->value[o].n > 0)
		shell_quote(g->value[o], out);
}

/* "--only flights ..." names only, "--only-this" does not. */
static bool names_option(struct str words, const char *name)
{
	struct str word;
	while (str_cut(&words, ' ', &word)) {
		struct str option = str_sub(word, 0, str_find_char(word, '='));
		if (str_starts(option, STR("--")) && str_eq_z(str_sub(option, 2, SIZE_MAX), name))
			return true;
	}
	return false;
}

/* Those that the command's own words do not name. */
static void add_places(const struct args *g, const struct command *c, struct str words, struct buf *out)
{
	static const enum option_id places[] = { OPT_FILE, OPT_ENV, OPT_LAKE, OPT_RAW_FROM, OPT_FROM, OPT_TO, OPT_ONLY };
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (command_takes(c, places[i]) && !names_option(words, option_table[places[i]].name))
			add_option(g, places[i], out);
}

/* The command that `rest` begins with, and how many bytes name it. */
static const struct command *command_at(struct str rest, size_t *n)
{
	const struct command *found = NULL;
	*n = 0;
	for (size_t i = 0; i < n_commands; i++) {
		struct str name = str_from(command_table[i].name);
		if (name.n <= *n || !str_starts(rest, name))
			continue;
		if (name.n < rest.n && rest.p[name.n] != ' ' && rest.p[name.n] != '`')
			continue;
		found = &command_table[i];
		*n = name.n;
	}
	return found;
}

void args_complete(const struct args *g, struct str text, struct buf *out)
{
	const struct str mark = STR("`sluice ");
	while (text.n > 0) {
		size_t at = str_find(text, mark), n;
		if (at == text.n)
			break;
		buf_add(out, str_sub(text, 0, at + mark.n));
		text = str_sub(text, at + mark.n, text.n);
		const struct command *c = command_at(text, &n);
		if (c == NULL)
			continue;
		buf_add(out, str_sub(text, 0, n));
		text = str_sub(text, n, text.n);
		add_places(g, c, str_sub(text, 0, str_find_char(text, '`')), out);
	}
	buf_add(out, text);
}

enum option_id args_advised(const struct args *g, struct str text)
{
	bool quoted = false;
	for (size_t i = 0; g->command && i + 2 < text.n; i++) {
		quoted ^= text.p[i] == '`';
		if (quoted || text.p[i] != '-' || text.p[i + 1] != '-')
			continue;
		struct str rest = str_sub(text, i + 2, text.n);
		size_t n = 0;
		while (n < rest.n && ((rest.p[n] >= 'a' && rest.p[n] <= 'z') || rest.p[n] == '-'))
			n++;
		for (size_t k = 0; k < OPT_COUNT; k++)
			if (str_eq_z(str_sub(rest, 0, n), option_table[k].name) && option_table[k].value[0] == '\0' &&
			    command_takes(g->command, (enum option_id)k) && !g->given[k])
				return (enum option_id)k;
		i += n;
	}
	return OPT_COUNT;
}

struct str args_whole(const struct args *g, struct arena *a)
{
	return args_with(g, OPT_COUNT, a);
}

struct str args_with(const struct args *g, enum option_id o, struct arena *a)
{
	struct buf b = BUF_INIT(ARGUMENT_MAX_BYTES);
	buf_addf(&b, "sluice %s", g->command->name);
	for (size_t i = 0; i < OPT_COUNT; i++)
		add_option(g, (enum option_id)i, &b);
	if (o < OPT_COUNT)
		buf_addf(&b, " --%s", option_table[o].name);
	for (size_t i = 0; i < g->n_operands; i++) {
		buf_add_char(&b, ' ');
		shell_quote(g->operands[i], &b);
	}
	struct str text = arena_copy(a, buf_str(&b));
	buf_free(&b);
	return text;
}

struct str args_again(const struct args *g, const char *command, struct arena *a)
{
	struct buf b = BUF_INIT(ARGUMENT_MAX_BYTES), full = BUF_INIT(ARGUMENT_MAX_BYTES);
	buf_addf(&b, "`sluice %s`", command);
	args_complete(g, buf_str(&b), &full);
	struct str text = arena_copy(a, str_sub(buf_str(&full), 1, full.n - 2));
	buf_free(&b);
	buf_free(&full);
	return text;
}
