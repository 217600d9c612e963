/* One rule against one column of a batch. Used by verdict.c only. */
#ifndef SLUICE_CONTRACT_VERDICT_RULE_H
#define SLUICE_CONTRACT_VERDICT_RULE_H

#include "contract/pattern.h"
#include "contract/verdict.h"

struct pattern_matcher {
	pcre2_match_context *context;
	pcre2_match_data *data;
	pcre2_jit_stack *stack;
};
void matcher_init(struct pattern_matcher *m);
void matcher_free(struct pattern_matcher *m);

struct evaluation {
	const struct rule *rule;
	size_t rule_index;
	const struct batch_column *column;
	size_t words;       /* of 64 rows, at least 1 */
	uint64_t last_word; /* rows that exist in the last one */
	int64_t from_us, to_us;
	struct pattern_matcher *matcher;
	void (*limit_hit)(void *context, size_t rule, size_t row);
	void *context;
};
/* Fills out->w[0..words): rows that are not NULL and break the rule; bits past the last row are not cleared. */
void rule_evaluate(struct evaluation *e, struct rows *out);

#endif
