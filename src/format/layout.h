/* Where things stand in a lake: the keys of spec/lake.md, and nothing else in the program joins them. All texts come
 * from names that name_ok() accepted, so keys need no escaping. */
#ifndef SLUICE_FORMAT_LAYOUT_H
#define SLUICE_FORMAT_LAYOUT_H

#include "base/hash.h"
#include "config/pipeline.h"

enum lake_zone { ZONE_PREPARE, ZONE_QUARANTINE, ZONE_REFINE };
const char *lake_zone_name(enum lake_zone z); /* "prepare", "quarantine", "refine" */

struct str key_raw_pipeline(struct str pipeline, struct arena *a);                    /* raw/<p> */
struct str key_resource(struct str pipeline, struct str resource, struct arena *a);  /* raw/<p>/<r> */
struct str key_grid(struct str pipeline, struct str resource, unsigned n, struct arena *a);
struct str key_window(struct str resource_key, struct str window, struct arena *a);
struct str key_generation(struct str window_key, unsigned generation, struct arena *a); /* .../g1 */
struct str key_ledger(struct str generation_key, struct arena *a);                   /* .../ledger */
struct str key_entry(struct str generation_key, uint64_t n, struct arena *a);        /* 20 digits .json */
struct str key_segment(struct str generation_key, struct str name, struct arena *a);
struct str key_table(enum lake_zone z, struct str pipeline, struct str table, struct arena *a);
struct str key_run(struct str pipeline, struct str run_id, struct arena *a);
bool generation_from_name(struct str name, unsigned *generation); /* "g12" */

#endif
