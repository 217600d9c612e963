/* Shared by the files that build a contract: from YAML (contract_load.c and its parts) and from canonical JSON. */
#ifndef SLUICE_CONTRACT_INTERNAL_H
#define SLUICE_CONTRACT_INTERNAL_H

#include "config/yaml.h"
#include "contract/contract.h"

struct rule_list {
	struct rule *v;
	size_t n, cap;
};

struct column_source { /* where a column was declared, for messages that come after it was read */
	struct yaml_node *node;
	bool unique;          /* `unique: true` or duplicateValues */
	struct yaml_node *unique_node;
};

struct child_source { /* an array of objects: read once the table around it is */
	struct yaml_node *node;
	struct str name, path;
};

struct loader {
	struct arena *a;
	struct problems *p;
	struct contract *c;
	struct {
		struct column *v;
		size_t n, cap;
	} columns;
	struct {
		struct column_source *v;
		size_t n, cap;
	} sources;
	struct rule_list rules;
	struct {
		struct relationship *v;
		size_t n, cap;
	} relationships;
	struct {
		struct child_source *v;
		size_t n, cap;
	} children;
	bool is_child;
	size_t errors; /* how many there were before this file */
	enum rule_action action; /* the table's default */
	struct yaml_node *schema;
};

/* The actions a property asks for. */
struct actions {
	enum rule_action otherwise;
	struct yaml_node *map; /* sluice.actions; NULL */
};

/* ── contract_custom.c: customProperties and keys ── */
/* Value of customProperties[property == name]; NULL if absent. */
struct yaml_node *custom_get(const struct yaml_node *owner, const char *name);
/* Form of the list, no property twice, every sluice.* one known. */
void custom_check(const struct yaml_node *owner, const char *const *known, struct problems *p);
/* known: understood; ignored: documentary; a key of `refused` could change a verdict: a problem with its advice. */
struct refused_key {
	const char *key, *advice;
};
void contract_keys_check(const struct yaml_node *map, const char *const *known, const char *const *ignored,
		const struct refused_key *refused, struct problems *p);
bool action_read(const struct yaml_node *n, enum rule_action *out, struct problems *p);
/* A list of scalars, or one scalar; false: problems were added. */
bool texts_read(const struct yaml_node *n, size_t max, struct arena *a, struct str **out, size_t *n_out,
		struct problems *p);

/* ── contract_property.c ── */
void properties_load(struct loader *l, struct yaml_node *list);

/* ── contract_rule.c ── */
/* All rules of the column just read: logicalTypeOptions, quality, sluice.accepted, required, key. */
void rules_load(struct loader *l, struct yaml_node *property, size_t column);
void table_quality_load(struct loader *l, struct yaml_node *quality);
bool rule_compile(struct rule *r, char *message, size_t message_size); /* RULE_PATTERN */
/* Rising by value; false: a value is there twice. */
bool accepted_sort(struct rule *r, const struct column *c, struct arena *a);

/* ── contract_relation.c ── */
void relationships_load(struct loader *l, struct yaml_node *list, struct str column);

/* ── contract_canonical.c ── */
/* Orders the rules, names them, fills by_name, canonical and meaning. Everything else is in place. */
void contract_finish(struct contract *c, struct rule_list *rules, struct arena *a);

#endif
