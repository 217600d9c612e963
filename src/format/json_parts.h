/* Pieces that several of our JSON formats share, each with one way in and one way out. Reading fails with ERR_DAMAGE that
 * names the member. Private to format/. */
#ifndef SLUICE_FORMAT_JSON_PARTS_H
#define SLUICE_FORMAT_JSON_PARTS_H

#include "base/hash.h"
#include "base/json.h"

void json_put_hash(struct json_out *o, const char *key, struct sha256 h);
bool json_need_hash(const struct json_node *n, const char *key, struct sha256 *out, struct err *e);
bool json_need_unsigned(const struct json_node *n, const char *key, unsigned *out, struct err *e);

#endif
