/* The tables that the parser, the help and the suggestions are made from. */
#include "ui/command.h"

const struct option option_table[OPT_COUNT] = {
#define OPTION(id, name, letter, value, help) { name, letter, value, help },
#include "ui/option.def"
#undef OPTION
};

#define O(id) (UINT64_C(1) << OPT_##id)
#define PROJECT (O(FILE) | O(ENV) | O(LAKE))
#define SELECTION (O(FROM) | O(TO) | O(ONLY))
#define RUN (O(THREADS) | O(ENGINE) | O(STALE) | O(KEEP_GOING) | O(TAKEOVER) | O(JSON) | O(NO_PROGRESS) | O(QUIET))
const struct command command_table[] = {
#define COMMAND(name, run, operands, least, most, options, exits, summary, about, examples) \
	{ name, run, operands, least, most, options, exits, summary, about, examples },
#include "ui/command.def"
#undef COMMAND
};
const size_t n_commands = sizeof command_table / sizeof *command_table;
