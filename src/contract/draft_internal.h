/* Shared by draft.c (what was seen), draft_key.c (what tells records apart) and draft_write.c (as text). */
#ifndef SLUICE_CONTRACT_DRAFT_INTERNAL_H
#define SLUICE_CONTRACT_DRAFT_INTERNAL_H

#include "contract/contract.h"
#include "contract/draft.h"

enum { DRAFT_NEST_MAX = 8, DRAFT_KEY_FIELDS = 32, DRAFT_KEY_COLUMNS = 3, DRAFT_TABLE = 4096, NO_FIELD = -1 };

enum seen_kind { SEEN_STRING = 1, SEEN_NUMBER = 2, SEEN_BOOLEAN = 4, SEEN_OBJECT = 8, SEEN_ARRAY = 16,
		 SEEN_DEEP = 32 /* with OBJECT: below too many others */ };

struct field {
	int parent;      /* NO_FIELD: the record itself */
	struct str key;  /* as sent, unescaped */
	struct str path; /* as in sluice.path; empty: it cannot be written as one */
	unsigned kinds;  /* seen_kind */
	uint64_t n_values, n_nulls;
	uint64_t last_record; /* number of the record it was seen in last, from 1 */
	bool not_integer, not_decimal, not_double, inexact_double, not_date, not_timestamp,
		outside_window; /* a timestamp that was not in its record's window, or of a record that has none */
	unsigned integer_digits, scale;
	uint64_t length_min, length_max; /* strings, bytes */
	/* Arrays: what was seen of their elements; NULL: none was an object */
	struct draft *items;
	bool other_items; /* an element was no object */
	/* One hash per record while it may be part of a key; NULL: no more. */
	uint64_t *hashes;
	size_t n_hashes, cap_hashes;
	/* filled by draft_write */
	enum column_type type;
	bool is_column, is_table, required; /* is_table: a column that its elements make a child table of */
	unsigned precision;
	struct str name;
	size_t key_position;
};

struct draft {
	struct arena arena;
	struct str table;
	struct field fields[COLUMNS_MAX];
	int n_fields;
	int slots[DRAFT_TABLE]; /* open addressing: index + 1 */
	bool is_child;
	size_t n_children;
	uint64_t n_records, n_bad, n_overflow;
	size_t key_bytes, key_bytes_max;
	uint64_t key_records; /* the first so many records were looked at for keys */
	bool key_full;
	int n_tracked;
	int64_t from_us, to_us; /* window of the records that come now */
};

bool field_is_json(const struct field *f); /* mixed kinds, arrays, empty objects */

void draft_key_add(struct draft *d, struct field *f, struct str value);
void draft_key_drop(struct draft *d, struct field *f);
void draft_key_record_end(struct draft *d);
/* Sets key_position of the proposed key's fields; false: none was found. */
bool draft_key_find(struct draft *d);

#endif
