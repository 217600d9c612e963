#include "driver/engine_duckdb_load.h"

#include "base/effect.h"
#include "base/file.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The header that this was compiled with; the promise of equal bytes holds within one such line of versions. */
static const char WANTED[] = "v1.5.";

struct duckdb_api duck;

static char library_path[PATH_MAX + 64];
static pthread_once_t path_once = PTHREAD_ONCE_INIT, load_once = PTHREAD_ONCE_INIT;
static struct err load_err, path_err; /* path_err: a place that could not be looked at */
static bool loaded;

static bool path_take(const char *folder, const char *below)
{
	int n = snprintf(library_path, sizeof library_path, "%s%s", folder, below);

	bool there = false;

	if (n > 0 && (size_t)n < sizeof library_path && file_look(library_path, &there, &path_err) && there)
		return true;
	library_path[0] = '\0';
	return false;
}

static void path_find(void)
{
	const char *named = getenv("SLUICE_DUCKDB");
	char exe[PATH_MAX + 1];
	ssize_t n;

	/* What the user names is what is loaded: if it is not there, the message shall say so. */
	if (named && named[0] != '\0' && strlen(named) < sizeof library_path) {
		memcpy(library_path, named, strlen(named) + 1);
		return;
	}
	n = sys_readlink("/proc/self/exe", exe, sizeof exe - 1);
	if (n < 0)
		err_set_errno(&path_err, ERR_STORAGE, errno, "/proc/self/exe");
	if (n > 0) {
		exe[n] = '\0';
		char *slash = strrchr(exe, '/');
		if (slash) {
			*slash = '\0';
			if (path_take(exe, "/../lib/sluice/libduckdb.so") || path_take(exe, "/../lib/libduckdb.so"))
				return;
		}
	}
#ifdef SLUICE_DUCKDB_BUILD_PATH
	path_take(SLUICE_DUCKDB_BUILD_PATH, "");
#endif
}

const char *engine_library_path(void)
{
	pthread_once(&path_once, path_find);
	return library_path;
}

static bool load_symbols(void *library, const char *path, struct err *e)
{
	static const struct {
		const char *name;
		size_t at;
	} symbols[] = {
#define DUCKDB(name) { #name, offsetof(struct duckdb_api, name) },
#include "driver/engine_duckdb.def"
#undef DUCKDB
	};

	for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
		void *p = dlsym(library, symbols[i].name);
		if (!p)
			return err_set(e, ERR_ENGINE, "%s: no function %s: DuckDB %sx is needed", path, symbols[i].name,
				       WANTED);
		/* A pointer to a function has the size of a pointer to an object (POSIX, dlsym). */
		memcpy((char *)&duck + symbols[i].at, &p, sizeof p);
	}
	return true;
}

static bool load(struct err *e)
{
	const char *path = engine_library_path();
	void *library;

	if (path[0] == '\0' && path_err.code != ERR_NONE) {
		*e = path_err;
		return err_wrap(e, "looking for libduckdb.so");
	}
	if (path[0] == '\0') {
		err_set(e, ERR_ENGINE, "libduckdb.so was not found");
		return err_hint(e, "install it as lib/sluice/libduckdb.so beside bin/, or set SLUICE_DUCKDB to its path");
	}
	/* Lazily: what a command does not call is not looked up; that takes half of the start away. */
	library = sys_dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (!library) {
		const char *why = dlerror();
		err_set(e, ERR_ENGINE, "libduckdb.so cannot be loaded: %s", why ? why : path);
		return err_hint(e, "SLUICE_DUCKDB names the file to load; it must be DuckDB %sx for this machine", WANTED);
	}
	if (!load_symbols(library, path, e))
		return false;
	if (strncmp(duck.duckdb_library_version(), WANTED, sizeof WANTED - 1) != 0)
		return err_set(e, ERR_ENGINE, "%s is DuckDB %s, but %sx is needed", path, duck.duckdb_library_version(),
			       WANTED);
	if (duck.duckdb_vector_size() != BATCH_ROWS)
		return err_set(e, ERR_ENGINE, "%s was built with vectors of %llu rows, not of %d", path,
			       (unsigned long long)duck.duckdb_vector_size(), BATCH_ROWS);
	return true;
}

static void load_first(void)
{
	load_err = ERR_INIT;
	loaded = load(&load_err);
}

bool engine_load(struct err *e)
{
	pthread_once(&load_once, load_first);
	if (!loaded)
		*e = load_err;
	return loaded;
}

bool engine_version(struct arena *a, struct str *out, struct err *e)
{
	if (!engine_load(e))
		return false;
	*out = arena_format(a, "DuckDB %s", duck.duckdb_library_version());
	return true;
}
