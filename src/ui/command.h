/* What every command works with, and the commands themselves. A command prints its result and returns its exit status;
 * a failure goes through ui_fail, so that all of them look alike. */
#ifndef SLUICE_UI_COMMAND_H
#define SLUICE_UI_COMMAND_H

#include "run/project.h"
#include "ui/args.h"

struct ui {
	struct args args;
	struct arena arena;      /* as long as the command */
	struct buf out;          /* standard output, sent by ui_flush */
	struct project project;
	struct project_options project_options;
	bool failed_output;
	bool json_errors;        /* with --json, a failure is JSON on standard output too, where nothing else is yet */
	bool printed;            /* something went to standard output */
};

enum { UI_OUT_MAX = 512 << 20, UI_OUT_PIECE = 64 << 10 };

/* Non-zero once SIGINT or SIGTERM came: its number. A second signal ends the process at once. */
extern volatile int ui_stop;

/* "sluice: <message>", "  hint: <what to do>", control characters escaped, commands completed. Returns the exit status. */
int ui_fail(struct ui *u, const struct err *e);
/* Only its "  hint: " lines: the message was printed before. Returns the exit status. */
int ui_hint(struct ui *u, const struct err *e);
/* Does it in a child process, whose standard descriptors are ours, and returns its exit status; what a crash of it means is
 * said. For what runs the engine on SQL or data of unknown size; `work` opens the project itself. */
int ui_guarded(struct ui *u, int (*work)(struct ui *u));
/* In such a child: from now on the process gets twice what the engine may use and 1 GiB, and no byte more. */
void ui_limit_memory(uint64_t engine_bytes);
/* Sends what is in u->out. ERR_STORAGE: it did not arrive. A reader that has gone away ends the process quietly. */
bool ui_flush(struct ui *u, struct err *e);
bool ui_flush_some(struct ui *u, struct err *e); /* once there is a good piece of it */
/* Flushes and returns the status; a failure to write decides over `status` 0. */
int ui_done(struct ui *u, int status);
/* Adds a text for people: control characters (other than newlines) escaped, commands completed. */
void ui_say(struct ui *u, struct str text);
/* Escapes control characters and bytes that are no UTF-8, so that data cannot drive a terminal. */
void text_escape(struct str text, bool keep_newlines, struct buf *out);
int terminal_columns(int fd); /* 0: no terminal */

const char *ui_pipeline_file(struct ui *u); /* -f, which may name its folder too */
bool ui_pipeline_there(struct ui *u, struct problems *p); /* a problem if not */
/* Files of the project; all problems are printed, and false means *status is set. */
bool ui_load(struct ui *u, int *status);
/* The same with the lake, and with the models' graph if asked for. */
enum ui_lake { LAKE_THERE, LAKE_MADE, LAKE_PERHAPS };
bool ui_open(struct ui *u, enum ui_lake lake, bool link, int *status);
/* ERR_USAGE with the nearest name. */
bool ui_resource(struct ui *u, struct str name, const struct resource **out, struct err *e);
bool ui_window(struct str name, struct err *e); /* a name of a window, as raw ls prints them */

#define COMMAND(name, run, operands, least, most, options, exits, summary, about, examples) int run(struct ui *u);
#include "ui/command.def"
#undef COMMAND

int cmd_version(struct ui *u);

#endif
