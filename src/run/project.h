/* A project: the pipeline file, its contracts and models, and the lake they work on. Opened once by every command. */
#ifndef SLUICE_RUN_PROJECT_H
#define SLUICE_RUN_PROJECT_H

#include "base/clock.h"
#include "base/scratch.h"
#include "config/pipeline.h"
#include "contract/contract.h"
#include "driver/store_open.h"
#include "format/delta.h"
#include "format/layout.h"
#include "refine/model.h"

struct project_options {
	const char *pipeline_file;   /* NULL: ./pipeline.yaml */
	struct str environment;      /* --env */
	struct str lake;             /* --lake; "" as the file says */
	struct str raw_from;         /* --raw-from; "" without */
	bool create_lake;            /* make its folder if it is not there */
	bool without_tables;         /* mistakes in contracts and models do not stop: see project.tables_ok */
	bool without_engine;         /* none is here: models whose graph is not in the lake are left out */
};

struct project {
	struct pipeline *pipeline;
	struct contract **contracts; /* by resource index; NULL: none yet */
	struct models models;        /* not linked until project_link */
	bool tables_ok;              /* contracts and models are right; where not (and without_tables was asked for), contracts
	                              * with mistakes are left out, and so are all models */
	bool linked, without_engine;
	bool models_unknown;         /* there are some, and without an engine it could not be found out what they read: left out */
	bool repairing;              /* tables whose repair was cut off may be read, and built on */
	struct graph_reads *graph;   /* after project_link */
	size_t n_graph;
	struct store *store;
	struct clock *clock;
	struct str lake;             /* path or URL in use */
	char *lake_path;             /* what keys stand behind for an engine: the absolute path of a folder, else the URL */
	struct store *raw_other;     /* --raw-from: the lake that Raw is read from, and nobody can write to; else NULL */
	char *raw_path;              /* the same of that one */
	struct store *raw_view;      /* between project_view_begin and project_view_end, where listing all at once is cheaper */
	struct store *ahead;         /* between project_ahead_begin and project_ahead_end, the same */
	struct str raw_from;         /* as given; "" without */
	struct scratch cache;        /* what engine jobs brought from a lake that is no folder; opened when first needed */
	uint64_t lake_device, lake_inode; /* which folder that was when it was opened; 0: not known */
	struct arena *arena;
};

/* All problems of all files at once; true if there are none that stop what is asked for. A typo in a report must not stop
 * the nightly fetch: with `without_tables` only the pipeline file has to be right. Opens no store and no secret. */
bool project_load(const struct project_options *o, struct arena *a, struct project *out, struct problems *p);
/* Opens the lake. ERR_MISSING if it is not there and create_lake is false. */
bool project_open_lake(struct project *j, const struct project_options *o, struct err *e);
/* In place of a lake that is not there: an empty one in memory. */
bool project_lake_absent(struct project *j, const struct project_options *o, struct err *e);
void project_close(struct project *j);
/* False (ERR_STORAGE): the lake's folder was removed, or another one stands in its place. */
bool project_lake_there(const struct project *j, struct err *e);
/* Finds out which tables each model reads, and what the lint says of it: from the lake where the same texts were looked at
 * before, else by the engine. Sorts the models. What the lint found is no mistake yet: see project_lint. */
bool project_link(struct project *j, struct problems *p, struct err *e);
/* What the lint found, as problems; nothing where the pipeline file says `engine.portable: false`. After project_link. An
 * engine other than DuckDB must not run a model while there are any; under DuckDB only `check` calls them mistakes. */
void project_lint(const struct project *j, struct problems *p);

/* Where Raw is read, by all who do not write it: as it is now, or, between project_view_begin and its end, as it was. */
static inline struct store *project_raw_now(const struct project *j)
{
	return j->raw_other ? j->raw_other : j->store;
}
static inline struct store *project_raw(const struct project *j)
{
	return j->raw_view ? j->raw_view : project_raw_now(j);
}
/* From here on project_raw is Raw as it stands when a resource is first looked at: for whoever looks at many windows and waits
 * for none of them to change. On lakes where a small question is a request, it costs one listing of a resource and, for what is
 * announced (window_look_ahead), requests that go many at a time; elsewhere nothing changes. Whoever holds tables against Raw
 * reads the tables first: what they name is then in it. `sizes`: segments are listed, too. False: nothing to end. */
bool project_view_begin(struct project *j, bool sizes);
void project_view_end(struct project *j, bool begun);
/* From here on project_table_load, and grids, are answered as they stood when project_ahead was called for them: for whoever looks
 * at many tables, none of which it changes before project_ahead_end. False: nothing to end (also where it was begun already). */
bool project_ahead_begin(struct project *j);
void project_ahead_end(struct project *j, bool begun);
/* Reads what project_table_load will want of these tables (keys), and the grids of these resources (keys), all at once. False:
 * not all of it could be read; whoever asks will see. Nothing to do, and true, outside of project_ahead_begin and its end. */
bool project_ahead(struct project *j, const struct str *tables, size_t n_tables, const struct str *grids, size_t n_grids);
static inline struct store *project_grids(const struct project *j)
{
	return j->ahead && !j->raw_other ? j->ahead : project_raw_now(j);
}
/* Are objects of the lake files of this machine? */
static inline bool project_has_paths(const struct project *j)
{
	return (j->store->abilities & STORE_CAN_PATH) != 0;
}
/* What every job is told of the lake and of the engine's bounds. ERR_STORAGE: no folder for what it has to bring. */
struct engine_job;
bool project_job(struct project *j, struct engine_job *job, struct err *e);
/* A file of a table as a job names it, and, where it has to be brought, what it must be. */
struct table_file;
struct str project_job_file(struct project *j, struct engine_job *job, struct str table_key, const struct table_file *f,
			    struct arena *a);
/* Columns and files (those with rows) of a table. */
struct job_input;
struct table_snapshot;
void project_job_input(struct project *j, struct engine_job *job, struct str table_key, const struct table_snapshot *t,
		       struct job_input *in, struct arena *a);

struct project_table { /* in prepare/ and quarantine/ */
	struct str name;
	const struct resource *resource; /* whose records it is made of */
	const struct contract *contract; /* NULL: none yet */
	bool is_child;
};
/* Of each resource its own table and, behind it, those of arrays in its records. */
struct project_table *project_tables(const struct project *j, struct arena *a, size_t *n);
struct str *project_table_names(const struct project *j, struct arena *a, size_t *n);
bool project_table_find(const struct project *j, struct str name, struct project_table *out);
/* The resource in Raw that a table is made of, by name; also of a child that no contract names any more. */
struct str project_table_resource(const struct project *j, struct str table);

struct str project_table_key(const struct project *j, enum lake_zone z, struct str table, struct arena *a);
/* The newest version. ERR_DAMAGE as table_load, and where a repair of the table was cut off: what is there is not all of it. */
bool project_table_load(const struct project *j, struct str key, struct arena *a, struct table_snapshot *out, struct err *e);

#endif
