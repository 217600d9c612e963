/* Faults put into answers, in the order in which an answer comes into being. */
#ifndef SLUICE_MOCK_SPOIL_H
#define SLUICE_MOCK_SPOIL_H

#include "mock/draft.h"
#include "mock/fault.h"
#include "mock/http.h"

struct spoil {
	enum fault fault;
	const struct opt_rule *rule;
	struct str other_origin; /* where redirects lead if the rule says nothing */
	int64_t wall_us;
};

/* True: the draft is complete and no page is wanted. */
bool spoil_instead(const struct spoil *s, const struct http_request *q, struct draft *d);
bool spoil_wants_gzip(enum fault f);
bool spoil_wants_plain(enum fault f); /* changes the text of the body before it is gzipped */
bool spoil_text(enum fault f, struct str plain, struct buf *out); /* false: nothing to do */
/* The encoded body and the framing. */
void spoil_encoded(enum fault f, const struct opt_rule *rule, struct draft *d);
/* Head and connection. */
void spoil_sending(enum fault f, const struct opt_rule *rule, struct answer *a);

#endif
