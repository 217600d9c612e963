#include "run/object_hash.h"

enum { PIECE_BYTES = 1 << 20 };

bool object_hash(struct store *s, struct str key, uint64_t size_bytes, struct sha256 *out, struct err *e)
{
	struct sha256_state state;
	char *piece = mem_alloc(PIECE_BYTES);
	bool ok = true;
	sha256_begin(&state);
	for (uint64_t at = 0; ok && at < size_bytes;) {
		size_t n = size_bytes - at < PIECE_BYTES ? (size_t)(size_bytes - at) : (size_t)PIECE_BYTES;
		ok = store_read_at(s, key, at, piece, n, e);
		if (ok)
			sha256_add(&state, piece, n);
		at += n;
	}
	*out = sha256_end(&state);
	mem_free(piece);
	return ok;
}
