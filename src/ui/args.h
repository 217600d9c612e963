/* The command line: options and operands, checked against the tables option.def and command.def.
 *
 * Options may stand anywhere; `--name value`, `--name=value`, `-f value`; `--` ends them. A value that may be left out
 * is given with '='. `-` and numbers such as -5 are operands. All problems are ERR_USAGE with the nearest right word. */
#ifndef SLUICE_UI_ARGS_H
#define SLUICE_UI_ARGS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

struct ui;

enum option_id {
#define OPTION(id, name, letter, value, help) OPT_##id,
#include "ui/option.def"
#undef OPTION
	OPT_COUNT
};
_Static_assert(OPT_COUNT <= 64, "a set of options is 64 bits");

struct option {
	const char *name;
	char letter;
	const char *value; /* "" none; in brackets: may be left out */
	const char *help;
};
struct command {
	const char *name;
	int (*run)(struct ui *u);
	const char *operands;
	size_t least, most;
	uint64_t options;
	const char *exits, *summary, *about, *examples;
};
extern const struct option option_table[OPT_COUNT];
extern const struct command command_table[];
extern const size_t n_commands;

enum { OPERANDS_MAX = 64, ARGUMENT_MAX_BYTES = 1 << 20 };

struct args {
	const struct command *command; /* NULL: none was named */
	bool given[OPT_COUNT];
	struct str value[OPT_COUNT];   /* "" where none was given */
	struct str operands[OPERANDS_MAX];
	size_t n_operands;
};

bool args_parse(int argc, char *const *argv, struct args *out, struct err *e);
const struct command *command_find(struct str name); /* "raw ls"; NULL if unknown */
static inline bool command_takes(const struct command *c, enum option_id o)
{
	return (c->options >> o) & 1;
}
/* A number of at least `least`; `otherwise` if it was not given. */
bool args_u64(const struct args *g, enum option_id o, uint64_t least, uint64_t most, uint64_t otherwise, uint64_t *out,
	      struct err *e);

/* `text` with every `sluice COMMAND ...` in backquotes completed by the options that lead to the same files and windows
 * (-f, --env, --lake, --from, --to, --only, where they were given and the command takes them), so that it can be pasted. */
void args_complete(const struct args *g, struct str text, struct buf *out);
/* An option without a value that a text advises (outside of backquotes), that the command takes and that was not given;
 * OPT_COUNT if there is none. */
enum option_id args_advised(const struct args *g, struct str text);
/* The command line as it was given, and that option. */
struct str args_with(const struct args *g, enum option_id o, struct arena *a);
struct str args_whole(const struct args *g, struct arena *a); /* the command as it was given */
/* args_complete for one command, "run --takeover", without the backquotes. */
struct str args_again(const struct args *g, const char *command, struct arena *a);
/* As a shell takes it: quoted only where needed. */
void shell_quote(struct str word, struct buf *out);

#endif
