/* Which request gets which fault. Explicit rules (the file's `script`, POST /_mock/faults) come first, in their order;
 * then the dice: hash(seed, target, how many times this target was asked for). The outcome for the n-th request of a URL
 * therefore does not depend on how requests of different URLs interleave. */
#ifndef SLUICE_MOCK_FAULT_H
#define SLUICE_MOCK_FAULT_H

#include "mock/config.h"

enum fault {
	FAULT_NONE,
#define FAULT(name, help) FAULT_##name,
#include "mock/fault.def"
#undef FAULT
	FAULTS
};

struct rule {
	struct opt_rule o;
	enum fault fault;
	uint64_t seen; /* matching requests so far */
};

struct target_state {
	uint64_t hash; /* 0: free */
	uint32_t asked, in_a_row;
};

struct faults {
	struct arena arena; /* of the rules */
	struct rule *rules;
	size_t n_rules;
	enum fault *kinds;
	size_t n_kinds;
	struct opt_faults dice;
	struct opt_rule usual; /* defaults, for drawn faults */
	struct target_state *targets;
	size_t n_targets, cap_targets;
};

const char *fault_name(enum fault f); /* "" for FAULT_NONE */
enum fault fault_from(struct str name);
/* Both read from YAML (of which JSON is a part); either may be absent. */
bool faults_read(struct faults *f, const struct yaml_node *rules, const struct yaml_node *dice,
		 struct problems *p);
/* Forgets what was counted. */
void faults_reset(struct faults *f);
/* `path`: the resource's, without base. *rule holds the settings of the fault. */
enum fault fault_draw(struct faults *f, struct str path, struct str target, const struct opt_rule **rule);
void faults_free(struct faults *f);
void faults_help(struct buf *out);

#endif
