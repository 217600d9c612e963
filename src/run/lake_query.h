/* SQL over the tables of a pipeline, to read: views prepare.x, quarantine.x and refine.x, each pinned to its newest version.
 * The engine runs in this process, since it only reads what it wrote itself; it may open the tables' files and nothing
 * else. Where the SQL or the size of the data is somebody else's, the process should be one of its own (ui_guarded). */
#ifndef SLUICE_RUN_LAKE_QUERY_H
#define SLUICE_RUN_LAKE_QUERY_H

#include "base/scratch.h"
#include "driver/engine.h"
#include "format/engine_job.h"
#include "run/project.h"

struct lake_table {
	enum lake_zone zone;
	struct str name;
	struct table_snapshot t;
	const struct contract *contract; /* NULL: none */
	const struct resource *resource; /* prepare, quarantine */
	const struct model *model;       /* refine; its reads only after project_link */
	struct err damage;               /* ERR_DAMAGE: its log or files cannot be read, so there is no view of it; ERR_FENCED: input_gone */
	struct job_input input;          /* its files on this machine */
	bool open;                       /* they are there, and so is the view */
};
enum { QUERY_MEMORY_MIN = 512 << 20 }; /* engine.memory below that is for runs */
struct lake_query {
	struct lake_table *tables; /* those that exist */
	size_t n_tables;
	struct project *project;
	struct arena *arena;
	uint64_t brought_bytes;
	struct scratch scratch;
	struct engine *engine;
	struct engine_connection *connection;
	struct query_watch *watch;
};
/* The hint that leads to the damage of this table. Returns false, as err_hint. */
bool lake_damage_hint(struct project *j, struct str table, struct err *e);
/* Without the engine: which tables there are; one with a damaged log has no version. */
bool lake_tables(struct project *j, struct arena *a, struct lake_query *out, struct err *e);
/* A table that cannot be read is no reason to refuse the others: see lake_table.damage. Where the lake is no folder, a table is
 * brought to this machine, and its view made, by the first SQL that names it. */
bool lake_query_open(struct project *j, struct arena *a, struct lake_query *out, struct err *e);
/* Brings what the text names; lake_query_run does so, too. ERR_STORAGE: it is more than engine.scratch. */
bool lake_query_bring(struct lake_query *q, struct str sql, struct err *e);
/* The engine alone, with these files (absolute paths) and no views. What lies in its scratch folder it may read as well. */
bool lake_query_open_files(struct project *j, const char *const *files, size_t n_files, struct arena *a,
			   struct lake_query *out, struct err *e);
uint64_t lake_query_memory(const struct project *j); /* what the engine may use, in bytes */
void lake_query_close(struct lake_query *q); /* whatever was opened */
/* From now on until it is closed: a query ends soon after *stop becomes non-zero (ERR_SIGINT, ERR_SIGTERM). */
bool lake_query_watch(struct lake_query *q, const volatile int *stop, struct err *e);
/* As engine_query; what is wrong with the SQL itself is ERR_USAGE, a table that it names and that cannot be read ERR_DAMAGE
 * with the file. */
bool lake_query_run(struct lake_query *q, struct str sql, struct arena *a, struct batch_shape **shape, size_t *n_columns,
		    engine_take *take, void *user, struct err *e);
/* "flights", "prepare.flights", "quarantine.flights", "refine.delays". ERR_USAGE with the nearest name; ERR_MISSING where
 * the table is declared and was never made, ERR_DAMAGE where it cannot be read. */
bool lake_table_find(struct project *j, const struct lake_query *q, struct str name, bool quarantine,
		     const struct lake_table **out, struct err *e);
/* "prepare"."flights" */
bool lake_table_sql(const struct lake_table *t, struct buf *out);

#endif
