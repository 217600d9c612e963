/* What the files of delta*.c share. Private to format/. */
#ifndef SLUICE_FORMAT_DELTA_PARTS_H
#define SLUICE_FORMAT_DELTA_PARTS_H

#include "base/json.h"
#include "format/delta.h"

enum { DELTA_AHEAD = 32 /* versions */, DELTA_AT_ONCE = 16 /* several tables are loaded at a time */ };
enum { DELTA_NUMBER = 20, DELTA_LOG_NAME = 25 }; /* digits; digits and ".json" */

/* Actions, each an object of its own without a line feed; metadata: protocol and metaData, each with one. */
void delta_put_metadata(struct json_out *o, const struct table_commit *c, struct arena *a);
void delta_put_add(struct json_out *o, const struct table_file *f, struct arena *a);
struct str delta_windows_json(const struct table_file *f, struct arena *a);
struct str delta_log_key(struct str table_key, uint64_t version, struct arena *a);
/* A store that has read, and keeps, the versions from `from` to `to` (both included; DELTA_AHEAD at most), to be closed. NULL, which may be
 * closed as well: the store itself is as good. */
struct store *delta_log_ahead(struct store *s, struct str table_key, int64_t from, int64_t to);
/* -1: there is none. *marked: a repair has not come to its end. ERR_DAMAGE: a number is missing. */
bool delta_newest_version(struct store *s, struct str table_key, int64_t *out, bool *marked, struct err *e);
/* delta_cut.c: is this the name of a mark in the log's folder? */
bool delta_is_mark(struct str name, int64_t *seen);

struct replay {
	struct table_snapshot *t; /* t->version: what was read so far, -1 nothing */
	struct arena *a;
	int64_t version; /* being read */
	uint64_t actions, declared; /* of this version: behind its commitInfo */
	bool has_info, has_protocol, has_metadata; /* has_info: of this version */
	struct {
		struct table_file *v;
		size_t n, cap;
	} files;
};
bool replay_action(struct replay *r, const struct json_node *action, struct err *e);
bool replay_version(struct replay *r, struct str text, struct err *e);
/* The versions behind t->version up to `to`. */
bool replay_log(struct replay *r, struct store *s, struct str table_key, int64_t to, struct err *e);
/* Begins with the newest state up to `version`; where there is none that is sound, r stays as it was. */
void state_begin(struct replay *r, struct store *s, struct str table_key, int64_t version);

#endif
