/* A store that notes each call of another one: two lines of JSON in a file, the first before the call, the second when its
 * answer is here. Between them the call took effect, or did not; a line without a second one is a call that the process did
 * not survive. Each line is one write(2) at the end of the file, so several processes may share it.
 *
 *     {"pid":12,"id":7,"call":"create","key":"raw/...","text":"..."}
 *     {"pid":12,"id":7,"call":"create","key":"raw/...","result":"created"}
 *
 * Bytes that are no text (not UTF-8) have a `sha256` in place of `text`. `result` is created, exists, unknown, ok, or the name
 * of an err code. Calls: create, finish (of a writer), remove, settle, get, list. It knows keys and bytes only;
 * test/spec/audit.py holds them against the rules of spec/ledger.pml and spec/table.pml. */
#ifndef SLUICE_DRIVER_STORE_TRACE_H
#define SLUICE_DRIVER_STORE_TRACE_H

#include "driver/store.h"

/* Owns `inner` from then on. `file` is appended to. */
bool store_open_trace(struct store *inner, const char *file, struct store **out, struct err *e);

#endif
