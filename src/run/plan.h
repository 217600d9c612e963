/* The plan: what is wanted, what is there, what would run, and why. A pure function of pipeline file, lake and time; it
 * changes nothing. It costs a listing of Raw by window and a snapshot of each table; ledgers are read only of windows that
 * are not prepared yet, or have a generation that is newer than the table's. */
#ifndef SLUICE_RUN_PLAN_H
#define SLUICE_RUN_PLAN_H

#include "format/delta.h"
#include "format/grid.h"
#include "format/ledger.h"
#include "run/engine_choice.h"
#include "run/project.h"

/* One of them goes up when the same input gives other rows; _WALL holds where a contract reads wall clocks of a zone, _OTHER where a
 * model has doubles (a -0.0), an apostrophe in a text (on Spark) or btrim. */
enum {
	OUTPUT_VERSION_PREPARE = 1,
	OUTPUT_VERSION_PREPARE_WALL = 2,
	OUTPUT_VERSION_REFINE = 1,
	OUTPUT_VERSION_REFINE_OTHER = 2,
	PLAN_WINDOWS_MAX = 100000,
};

struct plan_request {
	bool has_from, has_to;
	struct str from, to;       /* as given: a date (midnight in each resource's zone) or an RFC 3339 instant */
	struct str only;           /* comma-separated resources and models; "" all */
	bool refetch;
	struct str refetch_name;   /* rule 5; default: the run id */
	bool stale;                /* also what lies outside the interval */
	bool every_window;         /* repair: all that Raw has, compared with its ledgers, and of snapshots the newest */
	bool ingest, prepare, refine; /* which stages; Raw of another lake (--raw-from) is never added to */
	bool takeover;
	enum engine_use engine;    /* --engine; UNSAID: as the pipeline file says */
	struct str run_id;
	int64_t now_us;
};

enum window_action {
	WINDOW_SEALED,      /* nothing to fetch */
	WINDOW_FETCH,       /* never fetched */
	WINDOW_RESUME,      /* an unsealed generation is there */
	WINDOW_REFETCH,     /* sealed, and asked for again */
	WINDOW_NOT_FINAL,   /* not over yet (end + settle) */
	WINDOW_CANDIDATE,   /* sealed with far fewer rows than before: waits for `sluice accept` */
	WINDOW_OLD,         /* a snapshot older than the newest sealed one */
};
const char *window_action_name(enum window_action a);

struct plan_window {
	struct window window;
	struct str name;
	enum window_action action;
	struct str reason;           /* one line of words */
	unsigned generation;         /* to fetch, to resume, or the promoted one */
	struct ledger_origin origin; /* where a generation is opened */
	/* the window's truth, where there is one (promoted generation) */
	unsigned promoted;
	struct sha256 content, seal;
	uint64_t records;
	uint64_t bytes;               /* of its pages, as sealed in... */
	unsigned bytes_of;            /* ...this generation; 0: not looked at */
	bool known;                  /* content, seal, records are filled in */
	/* prepare */
	bool taken_in;               /* it lies outside the interval, and its truth is newer than the table's */
	bool prepared;               /* all tables of the resource and their quarantines carry the key */
	struct sha256 key;           /* rule 26, where known and there is a contract */
};

struct plan_table { /* of a resource: 0 is its own, the others those of arrays in its records */
	struct str name;
	const struct contract *contract; /* NULL: ingest only */
	struct table_snapshot table, quarantine; /* pinned */
};

struct plan_resource {
	const struct resource *resource;
	struct contract *contract;   /* NULL: ingest only */
	struct grid grid;
	bool grid_missing;
	/* Of the interval, in time order. With --stale all others that are not prepared; without, and where no interval was
	 * named, those whose truth is newer than the one in the table. */
	struct plan_window *windows;
	size_t n_windows;
	size_t n_fetch, n_prepare;   /* how many windows need it */
	size_t n_stale_elsewhere, n_unprepared_elsewhere; /* outside the interval and not in `windows`: reported only */
	struct plan_table *tables;
	size_t n_tables;             /* at least one, also without a contract */
	struct engine_choice engine; /* of what is to be prepared */
	bool contract_changed;       /* differs from the one in the table */
	bool definition_changed;     /* the newest sealed window was asked for in another way (rule 6): it stays true */
	struct str note;             /* "nothing to do: 365 windows are sealed and prepared" */
	bool selected;               /* by --only */
	bool tables_unknown;         /* they are damaged, and only `ingest` is asked for, which needs none: planned as without */
	struct err damage;           /* ERR_DAMAGE: its tables or Raw cannot be read; nothing else of it is known then */
};

struct plan_model {
	const struct model *model;
	struct table_snapshot table;
	bool run;
	struct engine_choice engine;
	struct str reason;           /* "prepare.flights changed", "nothing changed" */
	bool selected;
	struct err damage;           /* ERR_DAMAGE: its table cannot be read */
};

struct plan {
	struct plan_request request;
	struct str lake, environment, raw_from; /* as in the project; the last two may be "" */
	int64_t from_us, to_us;      /* of the schedule's zone; each resource has its own reading of bare dates */
	struct plan_resource *resources;
	size_t n_resources;
	struct plan_model *models;
	size_t n_models;
	bool anything;
};

/* What is damaged in one resource or model does not stop the plan of the others. */
bool plan_make(struct project *j, const struct plan_request *r, struct arena *a, struct plan *out, struct err *e);
/* The first damage, only among what is selected or in all; NULL: none. */
const struct err *plan_damage(const struct plan *p, bool selected);
uint64_t table_bytes(const struct table_snapshot *t);
/* Reads their newest versions. */
bool plan_tables_load(struct project *j, struct plan_resource *p, struct arena *a, struct err *e);
/* The resource that gives prepare.<table>, and which of its tables that is; NULL: none. */
const struct plan_resource *plan_find_table(const struct plan *p, struct str table, const struct plan_table **of);
/* plan.json: everything above that is not derived from Raw's bytes. */
struct str plan_json(const struct plan *p, struct arena *a);
/* "outside this interval 1 window is stale: `sluice run --stale`"; "" where nothing is left. */
struct str plan_elsewhere(const struct plan_resource *p, struct arena *a);
/* For people: environment, lake and where Raw comes from, as far as they are not what everybody expects. */
void plan_print_where(const struct plan *p, struct buf *out);
/* For people: per resource and model, what would run and why. */
void plan_print(const struct plan *p, struct buf *out);

/* Rule 26. */
struct sha256 window_key(const struct resource *r, struct str window, struct sha256 content, const struct contract *c);
struct sha256 table_content_key(const struct table_snapshot *t); /* of all window keys of a table */
struct sha256 model_key(const struct model *m, bool spark, const struct sha256 *inputs, size_t n_inputs);

#endif
