/* Help and versions, out of the tables. */
#include "config/pipeline.h"
#include "driver/engine.h"
#include "ui/command.h"

#include <stdio.h>
#include <string.h>

enum { HELP_WIDTH = 80, OPTION_COLUMN = 22 };

static const struct {
	int status;
	const char *meaning;
} exit_table[] = {
	{ 0, "done, or nothing to do" },
	{ 1, "a mistake in sluice itself" },
	{ 2, "wrong usage or configuration" },
	{ 3, "the source API failed" },
	{ 4, "a contract is broken beyond its budget, a window shrank and waits for `accept`, or `parity` found other rows" },
	{ 5, "lost to another run; nothing is damaged" },
	{ 6, "something that is needed is missing" },
	{ 7, "a budget, a deadline or room was used up; the rest can be resumed" },
	{ 8, "stored bytes are damaged" },
	{ 9, "the engine failed" },
	{ 130, "stopped by SIGINT, can be resumed" },
	{ 143, "stopped by SIGTERM, can be resumed" },
};
enum { N_EXITS = sizeof exit_table / sizeof *exit_table };

/* Words of `text` in lines of at most HELP_WIDTH, each after `indent` blanks; the first goes on at column `at`. Lines of
 * the text stay lines, with the blanks that they begin with. */
static void wrap(struct buf *b, struct str text, size_t indent, size_t at)
{
	struct str line;
	bool first = true;
	while (str_cut(&text, '\n', &line)) {
		size_t lead = 0, used = at;
		while (lead < line.n && line.p[lead] == ' ')
			lead++;
		if (!first || at == 0) {
			used = indent + lead;
			buf_addf(b, "%*s", (int)used, "");
		}
		first = false;
		struct str word;
		bool begun = false;
		line = str_sub(line, lead, line.n);
		while (str_cut(&line, ' ', &word)) {
			if (word.n == 0) {
				buf_add_char(b, ' ');
				used++;
				continue;
			}
			if (begun && used + 1 + word.n > HELP_WIDTH) {
				used = indent + lead + (lead ? 8 : 0);
				buf_addf(b, "\n%*s", (int)used, "");
				begun = false;
			}
			buf_addf(b, "%s%.*s", begun ? " " : "", STR_ARG(word));
			used += word.n + (begun ? 1 : 0);
			begun = true;
		}
		buf_add_char(b, '\n');
		at = 0;
	}
}

static void put_option(struct buf *b, const struct option *o)
{
	char left[80];
	const char *open = o->value[0] == '[' ? "[=" : o->value[0] ? " " : "";
	int n = o->letter ? snprintf(left, sizeof left, "  -%c, --%s%s%s", o->letter, o->name, open, o->value + (open[0] == '['))
			  : snprintf(left, sizeof left, "  --%s%s%s", o->name, open, o->value + (open[0] == '['));
	if (n < 0 || (size_t)n >= sizeof left)
		return;
	buf_add_z(b, left);
	if (n > OPTION_COLUMN - 2)
		buf_addf(b, "\n%*s", OPTION_COLUMN, "");
	else
		buf_addf(b, "%*s", OPTION_COLUMN - n, "");
	wrap(b, str_from(o->help), OPTION_COLUMN, OPTION_COLUMN);
}

static void put_exits(struct buf *b, const char *which)
{
	struct str rest = str_from(which), word;
	while (str_cut(&rest, ' ', &word))
		for (size_t i = 0; i < N_EXITS; i++) {
			char number[16];
			int n = snprintf(number, sizeof number, "%d", exit_table[i].status);
			if (n > 0 && str_eq_z(word, number)) {
				buf_addf(b, "  %3s  ", number);
				wrap(b, str_from(exit_table[i].meaning), 7, 7);
			}
		}
}

static void help_command(struct buf *b, const struct command *c)
{
	bool any = false;
	for (size_t i = 0; i < OPT_COUNT; i++)
		any = any || command_takes(c, (enum option_id)i);
	buf_addf(b, "sluice %s%s%s%s\n\n", c->name, any ? " [OPTION...]" : "", c->operands[0] ? " " : "", c->operands);
	if (c->summary[0]) {
		wrap(b, str_from(c->summary), 2, 0);
		buf_add_char(b, '\n');
	}
	wrap(b, str_from(c->about), 0, 0);
	if (any)
		buf_add_z(b, "\nOptions:\n");
	for (size_t i = 0; i < OPT_COUNT; i++)
		if (command_takes(c, (enum option_id)i))
			put_option(b, &option_table[i]);
	if (c->examples[0]) {
		struct str rest = str_from(c->examples), line;
		buf_add_z(b, "\nExamples:\n");
		while (str_cut(&rest, '\n', &line))
			buf_addf(b, "  %.*s\n", STR_ARG(line));
	}
	buf_add_z(b, "\nExit status:\n");
	put_exits(b, c->exits);
}

static void help_list(struct buf *b)
{
	buf_add_z(b, "sluice COMMAND [OPTION...]\n\n"
		     "Brings data from REST APIs into a lake: the answers as they came (Raw), typed and\n"
		     "checked tables (Prepare), tables made by SQL models (Refine).\n\n"
		     "Commands:\n");
	for (size_t i = 0; i < n_commands; i++) {
		if (command_table[i].summary[0] == '\0')
			continue;
		buf_addf(b, "  %-16s", command_table[i].name);
		wrap(b, str_from(command_table[i].summary), 18, 18);
	}
	buf_add_z(b, "\n`sluice help COMMAND` says more, `sluice help pipeline-file` lists the keys of\n"
		     "pipeline.yaml, `sluice help exit-status` what exit statuses mean. A first step with\n"
		     "an API of your own:\n\n"
		     "  sluice init https://api.example.com/v1/things\n");
}

static struct str asked_for(struct ui *u)
{
	const struct args *g = &u->args;
	if (g->n_operands == 2)
		return arena_format(&u->arena, "%.*s %.*s", STR_ARG(g->operands[0]), STR_ARG(g->operands[1]));
	return g->n_operands == 1 ? g->operands[0] : STR_NONE;
}

/* "raw", "contract", "engine": all commands that begin with it. */
static bool help_group(struct buf *b, struct str word)
{
	bool any = false;
	for (size_t i = 0; i < n_commands; i++) {
		struct str name = str_from(command_table[i].name);
		if (!str_starts(name, word) || name.n == word.n || name.p[word.n] != ' ')
			continue;
		if (any)
			buf_add_z(b, "\n\n");
		help_command(b, &command_table[i]);
		any = true;
	}
	return any;
}

int cmd_help(struct ui *u)
{
	struct str what = asked_for(u);
	const struct command *c = what.n ? command_find(what) : NULL;
	struct err e = ERR_INIT;
	if (c) {
		help_command(&u->out, c);
	} else if (what.n == 0) {
		help_list(&u->out);
	} else if (str_eq_z(what, "pipeline-file")) {
		pipeline_help(&u->out);
	} else if (str_eq_z(what, "exit-status")) {
		put_exits(&u->out, "0 1 2 3 4 5 6 7 8 9 130 143");
	} else if (!help_group(&u->out, what)) {
		char *argv[] = { NULL, arena_zero_terminated(&u->arena, u->args.operands[0]),
				 u->args.n_operands > 1 ? arena_zero_terminated(&u->arena, u->args.operands[1]) : NULL, NULL };
		struct args ignored;
		if (args_parse(u->args.n_operands > 1 ? 3 : 2, argv, &ignored, &e))
			err_set(&e, ERR_USAGE, "there is no help on %.*s", STR_ARG(what));
		return ui_fail(u, &e);
	}
	return ui_done(u, 0);
}

int cmd_version(struct ui *u)
{
	struct str engine;
	struct err e = ERR_INIT;
	buf_addf(&u->out, "sluice %s\n", SLUICE_VERSION);
	if (engine_version(&u->arena, &engine, &e))
		buf_addf(&u->out, "engine: %.*s\n", STR_ARG(engine));
	else
		buf_addf(&u->out, "engine: none (%s)\n", e.message);
	return ui_done(u, 0);
}
