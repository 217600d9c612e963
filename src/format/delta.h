/* Delta tables (protocol: reader 1, writer 2), the part that we write: commits that name files, and snapshots made by
 * replaying them. No Parquet is touched here (rule 33). spec/table.md is the words to it.
 *
 * _delta_log/<20 digits>.json, one JSON action a line: commitInfo, protocol and metaData (version 0, and whenever the
 * schema changes), remove, add. The commit point is one create-if-absent of the next number. */
#ifndef SLUICE_FORMAT_DELTA_H
#define SLUICE_FORMAT_DELTA_H

#include "base/str_map.h"
#include "contract/batch.h"
#include "driver/store.h"
#include "format/row_hash.h"
#include "format/table_window.h"

enum { DELTA_COMMIT_MAX_BYTES = 256 << 20 };

struct table_file {
	struct str path;          /* relative to the table: data/<job key>-<nonce>/<n>.parquet */
	uint64_t size_bytes, rows;
	int64_t modified_ms;
	struct str stats;         /* JSON text: numRecords, minValues, maxValues, nullCount */
	struct table_window *windows;
	size_t n_windows;
	bool has_hash;
	struct sha256 hash;       /* of the file's bytes, tag "sluice.sha256": what `verify` compares */
	bool same_data;           /* in a commit: no rows come or go with it (only tags change, or rows move to another file) */
};

struct table_column {
	struct str name;
	enum column_type type;    /* JSON is a string to Delta, with sluice.type in its metadata */
	unsigned precision, scale;
	struct str comment;
};
struct table_schema {
	struct table_column *v;
	size_t n;
};

struct table_snapshot {
	int64_t version;          /* -1: the table does not exist */
	struct str id;            /* metaData.id */
	struct table_schema schema;
	struct str contract_meaning; /* configuration "sluice.contract" */
	struct str name, description;
	int64_t created_us;          /* of the newest metaData */
	struct table_file *files;
	size_t n_files;
	const struct table_window **windows; /* of all files, in their order; each name's first one is found by... */
	struct str_map by_name;              /* ... this */
	struct str last_nonce, last_run; /* commitInfo of `version` */
	int64_t last_commit_us;
	struct sha256 last_hash;         /* of the bytes of `version`: what the next commit names */
	bool in_repair;                  /* a repair of its log has not come to its end: struct table_cut */
	struct str bad_state;            /* a folded state was passed over, and why; empty: none was */
};

/* Version -1 is the newest. Reads the newest folded state up to it and replays the log from there. ERR_DAMAGE, naming table and version, where the log has a gap, a version does
 * not parse or is not whole, or is not the one that its successor was written behind. Where it fails, *out is a table that does
 * not exist. */
bool table_load(struct store *s, struct str table_key, int64_t version, struct arena *a, struct table_snapshot *out,
		struct err *e);
/* For repair: how many versions from 0 on replay and follow from each other. */
bool table_good_versions(struct store *s, struct str table_key, int64_t *n, struct err *e);
/* What a repair that cuts a log leaves in it before the first version goes, until the table is made again: a log that was cut
 * replays, and looks like one that nothing happened to. Where it stands nobody but a repair may build on the table. */
struct table_cut {
	int64_t seen;             /* the highest version number that readers may know; part of the mark's name */
	struct str id;            /* that the table gets behind it; "": the mark cannot be read */
	struct str run_id;        /* who began */
};
bool table_cut_find(struct store *s, struct str table_key, struct arena *a, struct table_cut *out, bool *found, struct err *e);
/* The same mark again is fine; ERR_FENCED: there is another one of this number. */
bool table_cut_write(struct store *s, struct str table_key, const struct table_cut *c, struct arena *a, struct err *e);
bool table_cut_clear(struct store *s, struct str table_key, struct err *e);
/* The same, by the log alone. */
bool table_replay(struct store *s, struct str table_key, int64_t version, struct arena *a, struct table_snapshot *out,
		  struct err *e);

/* Folded states: state/<20 digits>.json holds the table as the versions up to that one leave it, so that a snapshot costs
 * one listing and few reads however long the log. They follow from the log: one that is missing, damaged or disagrees is
 * passed over. */
enum { TABLE_STATE_EVERY = 20, TABLE_STATES_TRIED = 3 };
struct str table_state_encode(const struct table_snapshot *t, struct arena *a);
/* Create-if-absent; losing the race is fine. */
bool table_state_write(struct store *s, struct str table_key, const struct table_snapshot *t, struct arena *a,
		       struct err *e);
/* The keys of those that no reader of `version` or anything newer misses: not the newest few, which are tried one after the
 * other, and not the newest at `version` or before it. */
bool table_states_behind(struct store *s, struct str table_key, int64_t version, struct arena *a, struct store_listing *out,
			 struct err *e);
/* Every state that there is, against the log replayed from its beginning. `found` is called for each that is damaged or
 * disagrees. False: it could not be looked at (ERR_STORAGE), or the log itself is damaged. */
bool table_states_check(struct store *s, struct str table_key, void (*found)(void *user, struct str where, struct str what),
			void *user, struct err *e);

/* Rule 16: whoever acts on a version that it did not commit itself makes sure first that it survives a power cut. With
 * the newest one all before it do. */
bool table_settle(struct store *s, struct str table_key, const struct table_snapshot *t, struct arena *a, struct err *e);
/* The window's tag in the newest files, or NULL. A window over file_rows stands in several files with equal tags for
 * everything but rows and hash. */
const struct table_window *table_find_window(const struct table_snapshot *t, struct str name);
/* Sum over all files that hold the window. */
bool table_window_total(const struct table_snapshot *t, struct str name, uint64_t *rows, struct row_hash *hash);

struct table_commit {
	int64_t version;          /* the number to create: snapshot.version + 1 */
	struct str operation;     /* "prepare", "refine", "quarantine", "tags" */
	struct str run_id, nonce;
	struct sha256 previous;   /* snapshot.last_hash; not used for version 0 */
	struct sha256 job_key;
	int64_t time_us;
	const struct table_schema *schema; /* set: protocol and metaData are written */
	struct str table_id;      /* with schema: UUID text */
	struct str name, description, contract_meaning;
	const struct table_file *add;
	size_t n_add;
	const struct table_file *remove;
	size_t n_remove;
	struct str metrics;       /* JSON object text for commitInfo.operationMetrics, or empty */
};
struct str table_commit_encode(const struct table_commit *c, struct arena *a);
enum table_outcome { TABLE_COMMITTED, TABLE_TAKEN /* the number exists and is not ours: rule 32 is the caller's */ };
bool table_commit_write(struct store *s, struct str table_key, const struct table_commit *c, struct arena *a,
			enum table_outcome *out, struct err *e);
bool table_schema_parse(struct str json, struct arena *a, struct table_schema *out, struct err *e);
/* The schema's JSON ("schemaString"), as Spark writes it. */
struct str table_schema_json(const struct table_schema *s, struct arena *a);

#endif
