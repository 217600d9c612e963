/* Pieces shared by the two halves of the engine's conversation. Private to format/. */
#ifndef SLUICE_FORMAT_ENGINE_JSON_H
#define SLUICE_FORMAT_ENGINE_JSON_H

#include "base/hash.h"
#include "base/json.h"

void engine_put_hash(struct json_out *o, const char *key, struct sha256 h);
bool engine_need_hash(const struct json_node *n, const char *key, struct sha256 *out, struct err *e);
bool engine_need_unsigned(const struct json_node *n, const char *key, unsigned *out, struct err *e);
struct str engine_text(struct buf *b, struct arena *a); /* moves it into the arena */

#endif
