/* sluice: the program. Finds the command and runs it. */
#include "ui/command.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

volatile int ui_stop;

static void on_signal(int number)
{
	int saved = errno;
	if (ui_stop != 0)
		_exit(128 + number);
	ui_stop = number;
	errno = saved;
}

static void watch_signals(void)
{
	struct sigaction a = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN }, was;
	sigemptyset(&a.sa_mask);
	sigemptyset(&ignore.sa_mask);
	/* What our parent told us to ignore (nohup, a background job) stays ignored. */
	if (sigaction(SIGINT, NULL, &was) == 0 && was.sa_handler != SIG_IGN)
		sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGPIPE, &ignore, NULL); /* sockets and pipes answer with EPIPE, which is looked at */
}

static int dispatch(struct ui *u)
{
	struct args *g = &u->args;
	if (g->given[OPT_VERSION])
		return cmd_version(u);
	if (g->command == NULL || g->given[OPT_HELP]) {
		g->n_operands = 0;
		if (g->command)
			g->operands[g->n_operands++] = str_from(g->command->name);
		int status = cmd_help(u);
		return g->given[OPT_HELP] ? status : 2; /* `sluice` alone asks for nothing: a script should notice */
	}
	return g->command->run(u);
}

int main(int argc, char **argv)
{
	static struct ui u; /* errors and buffers of the whole process */
	struct err e = ERR_INIT;
	u.out = BUF_INIT(UI_OUT_MAX);
	setlocale(LC_CTYPE, "C.UTF-8"); /* for the width of characters; nothing else depends on it */
	watch_signals();
	int status = args_parse(argc, argv, &u.args, &e) ? dispatch(&u) : ui_fail(&u, &e);
	project_close(&u.project);
	buf_free(&u.out);
	arena_free(&u.arena);
	return status;
}
