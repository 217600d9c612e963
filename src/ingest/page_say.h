/* Words for what is wrong with a body: what stands there, in a form that helps. Only on the way to a failure. */
#ifndef SLUICE_INGEST_PAGE_SAY_H
#define SLUICE_INGEST_PAGE_SAY_H

#include "base/json.h"
#include "ingest/request.h"

/* ERR_JSON: not only the byte, but what it looks like: HTML, a byte order mark, UTF-16, gzip. */
bool say_not_json(const struct resource *r, struct str body, const char *fault, size_t fault_at, struct arena *a,
		  struct err *e);
/* ERR_RECORDS: `data` is missing, null, or no list; the keys that are there instead. */
bool say_no_records(const struct resource *r, struct str body, const struct json_pick *records, struct arena *a,
		    struct err *e);
/* "an object", "a list", "a text", "null" ... */
const char *say_kind(enum json_event type);

#endif
