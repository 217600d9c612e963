/* A first contract from records that have landed: what was seen, as ODCS, marked as a draft for a person to judge.
 *
 *     struct draft *d = draft_new(STR("flights"), 64 << 20);
 *     for each window: draft_window(d, from_us, to_us); for each record: draft_add(d, raw_object);
 *     draft_write(d, &out);
 *     draft_free(d);
 *
 * Objects become a__b, arrays of objects child tables (in a child, and where anything else stands between the objects,
 * they are json), other arrays and fields of mixed kinds json. No value of the data gets into the text, only names,
 * counts and lengths. A key is proposed where one column, else two, else three tell all records apart that were looked
 * at; what is kept for that (64-bit hashes of values) stays under the number of bytes given, and the text says how many
 * records that was. A window column is proposed where a timestamp lay in its record's window each time. Fields past
 * COLUMNS_MAX are left to `_extra`. */
#ifndef SLUICE_CONTRACT_DRAFT_H
#define SLUICE_CONTRACT_DRAFT_H

#include "base/buf.h"
#include "base/str.h"

struct draft;
struct draft *draft_new(struct str table, size_t key_bytes_max);
void draft_free(struct draft *d);
/* Records from now on were fetched for [from, to); from >= to: for no window. */
void draft_window(struct draft *d, int64_t from_us, int64_t to_us);
/* False: the text is no JSON object; it is counted and otherwise ignored. */
bool draft_add(struct draft *d, struct str record);
bool draft_write(struct draft *d, struct buf *out); /* false: past the buffer's maximum */

#endif
