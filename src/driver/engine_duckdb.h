/* The inside of an engine, for the files of the DuckDB driver. */
#ifndef SLUICE_DRIVER_ENGINE_DUCKDB_H
#define SLUICE_DRIVER_ENGINE_DUCKDB_H

#include "base/effect.h"
#include "driver/engine_duckdb_load.h"

#include <pthread.h>

struct engine {
	duckdb_database database;
	uint64_t memory_bytes; /* 0: not limited by us */
	pthread_mutex_t lock; /* of what follows */
	struct engine_connection *connections;
	struct arena arena; /* names and shapes of the sources: as long as the engine */
	struct source_names {
		struct str *v;
		size_t n, cap;
	} names;
};

struct engine_connection {
	struct engine *engine;
	struct engine_connection *next;
	duckdb_connection handle;
	idx_t id;
	const char *sql; /* while it is parsed and bound, else NULL: to tell where in it a mistake is */
	/* A source's failure on its way through DuckDB, which only carries text. */
	bool source_failed;
	struct err source_err;
};

/* Each call that DuckDB may refuse is counted (base/effect.h): its words where a test refuses it, so that what follows is
 * what follows a refusal of its own; else NULL. */
#ifdef SLUICE_EFFECTS
const char *engine_refused(enum effect_verdict v);
#define ENGINE_REFUSED(name) engine_refused(effect_count(EFFECT_SITE(engine, name)))
#else
#define ENGINE_REFUSED(name) ((const char *)NULL)
#endif

/* Before each statement: forgets what an earlier one left. */
void engine_begin(struct engine_connection *c);
/* Sets e from DuckDB's message, or to exactly the failure of a source that this statement read; false. `what` says
 * what was tried. */
bool engine_fail(struct engine_connection *c, const char *what, const char *message, duckdb_error_type type,
		 struct err *e);
bool engine_fail_code(struct engine_connection *c, enum err_code code, const char *what, const char *message,
		      duckdb_error_type type, struct err *e);

#endif
