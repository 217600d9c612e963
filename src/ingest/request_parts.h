/* Between request.c and request_keep.c: redacting and revealing by kind of text, whatever the resource's style. */
#ifndef SLUICE_INGEST_REQUEST_PARTS_H
#define SLUICE_INGEST_REQUEST_PARTS_H

#include "ingest/request.h"

/* URL: secrets are filled in percent-encoded; CURSOR: as they are. */
enum next_form { FORM_URL, FORM_CURSOR };

enum next_form next_form_of(const struct resource *r);
bool next_redact_as(const struct resource *r, enum next_form form, struct page_next *next, struct arena *a, struct err *e);
bool next_reveal_as(const struct resource *r, enum next_form form, const struct page_next *next, struct arena *a,
		    struct str *out, struct err *e);

#endif
