/* sluice-mock: folders of CSV or NDJSON as a paginated, limited, faulty REST API. */
#include "mock/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char USAGE[] =
	"sluice-mock: serves CSV or NDJSON files as a REST API, with limits and faults on demand\n"
	"\n"
	"usage: sluice-mock CONFIG.yaml [--data DIR] [--listen ADDRESS:PORT] [--check]\n"
	"       sluice-mock --help | --version\n"
	"\n"
	"  --data DIR   folder of the files that CONFIG names (default: the folder of CONFIG)\n"
	"  --listen     in place of `listen` in CONFIG\n"
	"  --check      read CONFIG and the files, say what is wrong, and end\n"
	"\n"
	"Once it listens it prints one line, {\"port\":N,\"url\":\"...\"}, and serves until SIGTERM or SIGINT.\n"
	"GET /_mock/stats and GET /_mock/requests?resource=NAME&limit=N tell what was served, POST /_mock/reset clears\n"
	"that, POST /_mock/faults takes {\"script\": [...], \"faults\": {...}} in place of those in CONFIG.\n"
	"\n"
	"CONFIG is YAML; [defaults] in brackets:\n"
	"\n";

struct arguments {
	const char *config, *data, *listen;
	bool check;
};

static bool read_arguments(int argc, char **argv, struct arguments *a, struct err *e)
{
	*a = (struct arguments){ 0 };
	for (int i = 1; i < argc; i++) {
		const char **value = strcmp(argv[i], "--data") == 0	? &a->data
				     : strcmp(argv[i], "--listen") == 0 ? &a->listen
									: NULL;
		if (value && i + 1 == argc)
			return err_set(e, ERR_USAGE, "%s needs a value", argv[i]);
		if (value)
			*value = argv[++i];
		else if (strcmp(argv[i], "--check") == 0)
			a->check = true;
		else if (argv[i][0] == '-')
			return err_set(e, ERR_USAGE, "unknown option %s; see sluice-mock --help", argv[i]);
		else if (a->config)
			return err_set(e, ERR_USAGE, "one CONFIG at a time");
		else
			a->config = argv[i];
	}
	return a->config || err_set(e, ERR_USAGE, "which CONFIG? see sluice-mock --help");
}

static void print_help(void)
{
	struct buf out = BUF_INIT(1 << 20);
	buf_add_z(&out, USAGE);
	config_help(&out);
	faults_help(&out);
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
}

static struct str folder_of(const char *path, struct arena *a)
{
	const char *slash = strrchr(path, '/');
	return slash ? arena_format(a, "%.*s", (int)(slash - path + (slash == path)), path) : STR(".");
}

static bool serve(const struct arguments *args, struct mock *m, struct arena *a, struct err *e)
{
	struct server server;
	struct str host, origin;
	struct problems p = PROBLEMS_INIT(a);
	const char *data = args->data ? args->data : folder_of(args->config, a).p;
	if (!config_load(args->config, data, a, &m->config, e))
		return false;
	bool fine = faults_read(&m->faults, m->config.top.script, m->config.top.faults, &p);
	m->faults.dice.seed = m->config.faults.seed;
	if (!fine)
		return problems_to_err(&p, e);
	if (args->check)
		return true;
	if (!server_open(&server, args->listen ? str_from(args->listen) : m->config.top.listen, &host, a, e)) {
		server_close(&server);
		return false;
	}
	origin = arena_format(a, "http://%.*s:%u", STR_ARG(host), server.port);
	m->other_origin = arena_format(a, "http://%s:%u", str_eq_z(host, "localhost") ? "127.0.0.1" : "localhost",
				       server.port);
	m->clock = clock_system();
	m->start_us = m->clock->monotonic_us(m->clock);
	pages_init(&m->pages, &m->config.top, origin);
	rate_init(&m->rate, &m->config.rate);
	stats_init(&m->stats, m->config.n_resources, m->config.top.log);
	printf("{\"port\":%u,\"url\":\"%.*s%.*s\"}\n", server.port, STR_ARG(origin), STR_ARG(m->config.top.base));
	fflush(stdout);
	bool ok = server_run(&server, m, e);
	server_close(&server);
	pages_free(&m->pages);
	stats_free(&m->stats);
	return ok;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct arguments args;
	struct arena a = ARENA_INIT;
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		print_help();
		return EXIT_SUCCESS;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("sluice-mock " SLUICE_VERSION);
		return EXIT_SUCCESS;
	}
	struct mock *m = mem_alloc(sizeof *m);
	bool ok = read_arguments(argc, argv, &args, &e) && serve(&args, m, &a, &e);
	if (!ok)
		fprintf(stderr, "sluice-mock: %s\n", e.message);
	for (size_t i = 0; i < m->config.n_resources; i++)
		table_unload(&m->config.resources[i].table);
	faults_free(&m->faults);
	mem_free(m);
	arena_free(&a);
	return ok ? EXIT_SUCCESS : err_exit_status(e.code);
}
