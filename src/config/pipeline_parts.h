/* What the files of the pipeline reader share. Nobody else includes this.
 *
 * Each reader takes a node that may be absent, fills its part with values or defaults, and adds problems; none stops
 * at the first. What it leaves behind is only used if no problem was added. */
#ifndef SLUICE_CONFIG_PIPELINE_PARTS_H
#define SLUICE_CONFIG_PIPELINE_PARTS_H

#include "base/buf.h"
#include "config/pipeline.h"
#include "config/yaml.h"

struct reader {
	struct arena *a;
	struct problems *p;
	struct pipeline *out;
};

/* ── pipeline_key.c ── */

/* Problems for keys that the table does not have under this map, and for compulsory ones that are missing. False if
 * the node is no map (a problem) or absent (none). */
bool keys_check(const struct yaml_node *map, const char *table_map, struct problems *p);
/* The child, NULL where it is absent or null. */
const struct yaml_node *key_get(const struct yaml_node *map, const char *key);

void key_u64(struct reader *r, const struct yaml_node *map, const char *key, uint64_t min, uint64_t max,
	     uint64_t *out);
void key_u32(struct reader *r, const struct yaml_node *map, const char *key, uint32_t min, uint32_t max,
	     uint32_t *out);
void key_duration(struct reader *r, const struct yaml_node *map, const char *key, int64_t min_us, int64_t *out_us);
void key_size(struct reader *r, const struct yaml_node *map, const char *key, uint64_t min, uint64_t max,
	      uint64_t *out);
void key_bool(struct reader *r, const struct yaml_node *map, const char *key, bool *out);
/* One of a NULL-terminated list; *which is left alone otherwise. */
void key_choice(struct reader *r, const struct yaml_node *map, const char *key, const char *const *words,
		size_t *which);
void key_str(struct reader *r, const struct yaml_node *map, const char *key, struct str *out);
void key_path(struct reader *r, const struct yaml_node *map, const char *key, struct str *out); /* JSON path */
void key_name(struct reader *r, const struct yaml_node *map, const char *key, struct str *out); /* query parameter */
void key_header_name(struct reader *r, const struct yaml_node *map, const char *key, struct str *out);
bool header_name_ok(struct str name);
void key_step(struct reader *r, const struct yaml_node *map, const char *key, struct step *out);
void key_zone(struct reader *r, const struct yaml_node *map, const char *key, const struct zone **out);

/* ── pipeline_source.c, pipeline_resource.c, pipeline_paginate.c, pipeline_body.c ── */

/* pipeline_engine.c */
void engine_read(struct reader *r, const struct yaml_node *n);
void engine_use_read(struct reader *r, const struct yaml_node *map, const char *key, enum engine_use *out);
void models_read(struct reader *r, const struct yaml_node *map);
void source_read(struct reader *r, const struct yaml_node *n, struct source *out);
void resources_read(struct reader *r, const struct yaml_node *map, const struct yaml_node *sources);
void paginate_read(struct reader *r, const struct yaml_node *n, const struct yaml_node *resource, bool post,
		   struct paginate *out);
/* Values of `query` and `headers`. */
void name_values_read(struct reader *r, const struct yaml_node *map, bool headers, struct name_value **out,
		      size_t *n_out);
/* A name that people give to secrets: they stand in `source.auth`, by reference. */
bool name_is_secret(struct str name);
bool body_read(struct reader *r, const struct yaml_node *n, struct template *out);
/* The tree's meaning: no positions, no comments, keys sorted except where their order is sent. */
struct sha256 tree_digest(const struct yaml_node *root, struct arena *a);

#endif
