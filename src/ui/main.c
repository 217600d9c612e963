/* sluice: the program. Finds the command and runs it. */
#include "base/effect.h"
#include "driver/aws_credentials.h"
#include "ui/command.h"

#include <errno.h>
#include <fcntl.h>
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
	struct sigaction a = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
	struct sigaction standard = { .sa_handler = SIG_DFL }, was;
	sigemptyset(&a.sa_mask);
	sigemptyset(&ignore.sa_mask);
	sigemptyset(&standard.sa_mask);
	/* What our parent told us to ignore (nohup, a background job) stays ignored. */
	if (sigaction(SIGINT, NULL, &was) == 0 && was.sa_handler != SIG_IGN)
		sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGPIPE, &ignore, NULL); /* sockets and pipes answer with EPIPE, which is looked at */
	sigaction(SIGXFSZ, &ignore, NULL); /* `ulimit -f`: the write answers with EFBIG, which is looked at */
	sigaction(SIGCHLD, &standard, NULL); /* ignored by our parent, it would take the ends of our children from us */
	aws_stop_watch(&ui_stop);
}

/* Started with a standard descriptor closed, the next file we opened would take its place, and our messages would be
 * written into it. */
static void fill_standard_descriptors(void)
{
	int fd = sys_open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = sys_open("/dev/null", O_RDWR);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* An object a line: one of another kind among them would be taken for a row. */
static bool prints_rows(const char *command)
{
	return strcmp(command, "show") == 0 || strcmp(command, "query") == 0;
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
	u->json_errors = !prints_rows(g->command->name);
	return g->command->run(u);
}

int main(int argc, char **argv)
{
	static struct ui u; /* errors and buffers of the whole process */
	struct err e = ERR_INIT;
	u.out = BUF_INIT(UI_OUT_MAX);
	setlocale(LC_CTYPE, "C.UTF-8"); /* for the width of characters; nothing else depends on it */
	fill_standard_descriptors();
	watch_signals();
	int status = args_parse(argc, argv, &u.args, &e) ? dispatch(&u) : ui_fail(&u, &e);
	project_close(&u.project);
	buf_free(&u.out);
	arena_free(&u.arena);
	return status;
}
