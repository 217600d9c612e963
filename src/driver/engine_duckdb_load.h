/* libduckdb, loaded when first needed: a program that only ingests starts without its 70 MB, and runs where it is
 * missing. It is never unloaded (it has threads and thread-local destructors of its own). */
#ifndef SLUICE_DRIVER_ENGINE_DUCKDB_LOAD_H
#define SLUICE_DRIVER_ENGINE_DUCKDB_LOAD_H

#include "driver/engine.h"

#include <duckdb.h>

struct duckdb_api {
#define DUCKDB(name) __typeof__(&name) name;
#include "driver/engine_duckdb.def"
#undef DUCKDB
};

extern struct duckdb_api duck; /* filled once engine_load() has said true */

/* Any number of calls, from any thread; the first does the work and the others get its result. */
bool engine_load(struct err *e);

#endif
