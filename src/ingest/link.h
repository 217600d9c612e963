/* Link headers (RFC 8288 section 3), several headers and several links in each, quoted and unquoted parameters, rel lists,
 * any case. Links with an `anchor` speak of another document (3.2) and are passed over; where nothing else has the
 * relation that is an error, so that pages never end without a word. */
#ifndef SLUICE_INGEST_LINK_H
#define SLUICE_INGEST_LINK_H

#include "driver/http.h"

/* The target of the first link with this relation (compared without case); *found false: none. The target is a view into
 * the header, as written: perhaps relative, perhaps empty. ERR_HTTP_MALFORMED where a header breaks the grammar before
 * one was found. */
bool link_find(const struct http_exchange *x, struct str rel, struct str *target, bool *found, struct err *e);

#endif
