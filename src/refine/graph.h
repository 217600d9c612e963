/* Tables that a SELECT reads, out of DuckDB's syntax tree. Shared by graph.c and refine.c. */
#ifndef SLUICE_REFINE_GRAPH_H
#define SLUICE_REFINE_GRAPH_H

#include "driver/engine.h"
#include "format/engine_job.h"

/* `tables`: as graph_reads has them, in lower case; a table without a schema is just its name, names that are no plain
 * words are quoted, so that they are nobody's. ERR_CONFIG: no single SELECT, or it reads something that is no table. */
bool graph_tables(struct engine_connection *c, struct str name, struct str sql, struct arena *a, struct graph_reads *out,
		  struct err *e);
/* The same from the tree's JSON; `sql` is for positions. */
bool graph_from_tree(struct str name, struct str sql, struct str json, struct arena *a, struct graph_reads *out,
		     struct err *e);

#endif
