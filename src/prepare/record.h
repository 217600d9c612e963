/* From the raw bytes of one record to typed columns: the hot path of Prepare, and the only place where numbers, dates and
 * texts of the API are read (design 4.4: "only the C core parses").
 *
 * Columns of a prepare table, in this order: the contract's columns; `_extra` (JSON object text of fields that the contract
 * does not know, NULL if none; keys are paths a__b); then the address: _window string, _gen integer, _page integer,
 * _off integer, _len integer. A child table (an array of objects, contract.h) has two more: _parent_off, _idx.
 *
 * What a value may be: a string column takes JSON strings, a number column JSON numbers, a boolean column true and false;
 * nothing is turned from one into the other. Dates and instants are strings in the contract's formats (epoch_s and
 * epoch_ms are numbers). A json column takes any value as its raw text. An object in the way of a path is needed: another
 * value there fails the TYPE of every column below it. A key that occurs twice fails the RECORD, and what it leads to is
 * NULL, since nobody can tell which one is meant; columns elsewhere keep their values. */
#ifndef SLUICE_PREPARE_RECORD_H
#define SLUICE_PREPARE_RECORD_H

#include "base/json.h"
#include "contract/verdict.h"

enum { PREPARE_META_COLUMNS = 6 }; /* _extra, _window, _gen, _page, _off, _len */
enum { META_EXTRA, META_WINDOW, META_GEN, META_PAGE, META_OFF, META_LEN }; /* behind the contract's columns */
enum { META_PARENT_OFF = PREPARE_META_COLUMNS, META_IDX };                 /* of a child table, behind those */
enum { EXTRA_NAMES_MAX = 100 };

struct record_reader; /* compiled from a contract; one thread at a time */
struct record_reader *record_reader_new(const struct contract *c, uint32_t json_depth, struct arena *a);
void record_reader_free(struct record_reader *r); /* what does not live in the arena */
/* Shape of the table of this contract. */
struct batch_shape *record_shape(const struct contract *c, struct arena *a, size_t *n_columns);

/* Reads one record into row `row` of the batch (contract columns and _extra; the caller fills the address), which is
 * cleared. Strings are views into `raw` or live in `a`. What cannot be read is NULL in the batch and a failed rule in
 * `v` (TYPE, RECORD). Never fails otherwise: a bad record is a quarantined row, not an error. */
void record_read(struct record_reader *r, struct str raw, struct batch *b, size_t row, struct verdicts *v,
		 struct arena *a);
/* The same on the way through a document, in one pass: `first` is the event of the record's value, which the scanner just
 * gave; afterwards it stands behind the record, whose text is *raw. False: JSON_BAD, the document is broken. */
bool record_read_at(struct record_reader *r, struct json_scan *s, enum json_event first, struct batch *b, size_t row,
		    struct verdicts *v, struct arena *a, struct str *raw);
/* What the record read last has where a child table's elements stand: in the order of the contract's children, views of
 * its text. */
struct record_array {
	struct str raw; /* empty: null, absent, or nobody can tell */
	bool is_array;  /* false: another value, there or on the way to it */
};
const struct record_array *record_arrays(const struct record_reader *r);
/* Unknown fields seen so far, with counts (at most EXTRA_NAMES_MAX names are kept: the first ones). */
void record_extra_fields(const struct record_reader *r, struct arena *a, struct str **names, uint64_t **counts, size_t *n);
/* Values that the contract allows to be rounded, and were. */
uint64_t record_inexact(const struct record_reader *r);

#endif
