/* YAML 1.2 files as a plain tree with positions. The only user of libfyaml is yaml.c.
 *
 * Anchors and aliases are refused (no file of ours needs them, and they can be made to grow without bound), tags too;
 * duplicate keys are a problem at the second one. Files are limited to 1 MiB and 64 levels. */
#ifndef SLUICE_CONFIG_YAML_H
#define SLUICE_CONFIG_YAML_H

#include "base/err.h"
#include "base/mem.h"
#include "config/problem.h"

enum yaml_type { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml_node {
	enum yaml_type type;
	const char *file;      /* as the user named it */
	unsigned line, column; /* of the value, from 1 */
	struct str key;        /* inside a map; else empty */
	unsigned key_line, key_column;
	struct str text; /* scalar */
	bool quoted;     /* scalar in quotes: text even if it reads like a number, true or null */
	struct yaml_node *parent, *child, *next;
	size_t n_children;
};

/* NULL root with no problem: an empty file. False: problems were added; the root is then NULL too, unless double keys
 * are all that is wrong: so that a checker can go on and tell everything at once. */
bool yaml_load(const char *path, struct arena *a, struct yaml_node **root, struct problems *p);
bool yaml_parse(const char *name, struct str text, struct arena *a, struct yaml_node **root, struct problems *p);

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key); /* NULL if absent or not a map */
bool yaml_is_null(const struct yaml_node *n); /* absent, empty, plain null or ~ */
/* At the node's value (or its key where at_key); advice may be NULL. */
void problem_at(struct problems *p, const struct yaml_node *n, const char *advice, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void problem_at_key(struct problems *p, const struct yaml_node *n, const char *advice, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void problem_warn(struct problems *p, const struct yaml_node *n, const char *advice, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Readers: false and a problem at the node if it is something else. Absent nodes are the caller's question. */
bool yaml_str(const struct yaml_node *n, struct str *out, struct problems *p);
bool yaml_bool(const struct yaml_node *n, bool *out, struct problems *p);
bool yaml_u64(const struct yaml_node *n, uint64_t min, uint64_t max, uint64_t *out, struct problems *p);
bool yaml_duration(const struct yaml_node *n, int64_t *us, struct problems *p);       /* "30s" */
bool yaml_size(const struct yaml_node *n, uint64_t *bytes, struct problems *p);       /* "64MiB", "10kB", 4096 */
/* "source.rate.per", for messages. */
struct str yaml_path(const struct yaml_node *n, struct arena *a);
/* The known word that `word` is a slip of the pen for, or NULL. */
const char *yaml_nearest(struct str word, const char *const *known);
/* A problem for each key that is not in the NULL-terminated list, with the nearest known one. */
void yaml_known_keys(const struct yaml_node *map, const char *const *known, struct problems *p);

#endif
