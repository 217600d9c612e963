/* The mock's YAML file as structs. Which settings exist, their defaults and their help: option.def. */
#ifndef SLUICE_MOCK_CONFIG_H
#define SLUICE_MOCK_CONFIG_H

#include "config/yaml.h"
#include "mock/table.h"

struct words {
	struct str *v;
	size_t n;
};

enum { AUTH_BEARER, AUTH_HEADER, AUTH_QUERY, AUTH_BASIC };
enum { RETRY_SECONDS, RETRY_DECIMAL, RETRY_DATE, RETRY_NONE };
enum { RESET_SECONDS, RESET_DECIMAL, RESET_EPOCH };
enum { RATE_X_RATELIMIT, RATE_RATELIMIT, RATE_NO_HEADERS };
enum { STYLE_NONE, STYLE_PAGE, STYLE_OFFSET, STYLE_CURSOR, STYLE_NEXT_URL, STYLE_LINK };
enum { BY_PAGE, BY_OFFSET, BY_CURSOR };
enum { END_NULL, END_ABSENT, END_EMPTY };
enum { PAST_EMPTY, PAST_404 };

typedef struct str opt_TEXT;
typedef bool opt_FLAG;
typedef uint64_t opt_COUNT, opt_SIZE, opt_PERCENT; /* percent: in millionths of the whole */
typedef int64_t opt_TIME;
typedef struct words opt_WORDS;
typedef unsigned opt_CHOICE;
typedef const struct yaml_node *opt_NODE;

/* One struct per section; the macro picks the rows of option.def that belong to it. */
#define OPT_top(kind, name)
#define OPT_rate(kind, name)
#define OPT_faults(kind, name)
#define OPT_rule(kind, name)
#define OPT_resource(kind, name)
#define OPT_window(kind, name)
#define OPT_paginate(kind, name)
#define OPT(section, name, kind, choices, otherwise, help) OPT_##section(kind, name)

#undef OPT_top
#define OPT_top(kind, name) opt_##kind name;
struct opt_top {
#include "mock/option.def"
};
#undef OPT_top
#define OPT_top(kind, name)
#undef OPT_rate
#define OPT_rate(kind, name) opt_##kind name;
struct opt_rate {
#include "mock/option.def"
};
#undef OPT_rate
#define OPT_rate(kind, name)
#undef OPT_faults
#define OPT_faults(kind, name) opt_##kind name;
struct opt_faults {
#include "mock/option.def"
};
#undef OPT_faults
#define OPT_faults(kind, name)
#undef OPT_rule
#define OPT_rule(kind, name) opt_##kind name;
struct opt_rule {
#include "mock/option.def"
};
#undef OPT_rule
#define OPT_rule(kind, name)
#undef OPT_resource
#define OPT_resource(kind, name) opt_##kind name;
struct opt_resource {
#include "mock/option.def"
};
#undef OPT_resource
#define OPT_resource(kind, name)
#undef OPT_window
#define OPT_window(kind, name) opt_##kind name;
struct opt_window {
#include "mock/option.def"
};
#undef OPT_window
#define OPT_window(kind, name)
#undef OPT_paginate
#define OPT_paginate(kind, name) opt_##kind name;
struct opt_paginate {
#include "mock/option.def"
};
#undef OPT_paginate
#undef OPT

struct mock_resource {
	struct str name;
	struct opt_resource o;
	struct opt_window window; /* window.column is "" where there is none */
	struct opt_paginate page;
	const struct zone *zone;
	struct table table;
};

struct mock_config {
	struct opt_top top;
	struct opt_rate rate;
	struct opt_faults faults;
	struct mock_resource *resources;
	size_t n_resources;
};

/* Reads the file, checks it and loads the tables (relative to `data`). All mistakes of the file are collected. */
bool config_load(const char *path, const char *data, struct arena *a, struct mock_config *out, struct err *e);
/* Reads one section's settings from a map; absent ones (all, if map is NULL) get their defaults. */
void config_rule(const struct yaml_node *map, struct arena *a, struct opt_rule *out, struct problems *p);
void config_faults(const struct yaml_node *map, struct arena *a, struct opt_faults *out, struct problems *p);
void config_help(struct buf *out);

#endif
