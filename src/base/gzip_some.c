/* Damaged and cut bodies, as far as they can be read. libdeflate gives all or nothing; zlib gives what there is. */
#include "base/check.h"
#include "base/gzip.h"

#include <zlib.h>

enum { STEP_BYTES = 64 << 10, GZIP_OR_ZLIB = 15 + 32, RAW_DEFLATE = -15 };

static bool inflate_some(struct str in, int window_bits, struct buf *out)
{
	z_stream z = { 0 };
	unsigned char step[STEP_BYTES];
	int code = Z_OK;
	bool all = true;
	if (inflateInit2(&z, window_bits) != Z_OK)
		return false;
	CHECK(in.n <= UINT32_MAX);
	z.next_in = (unsigned char *)(uintptr_t)in.p;
	z.avail_in = (unsigned)in.n;
	while (all && code == Z_OK) {
		z.next_out = step;
		z.avail_out = sizeof step;
		code = inflate(&z, Z_NO_FLUSH);
		size_t n = sizeof step - z.avail_out;
		if (n > out->max - out->n)
			all = false;
		else
			buf_add(out, (struct str){ (const char *)step, n });
		if (code == Z_STREAM_END && z.avail_in > 0) /* the next member */
			code = inflateReset(&z);
		else if (n == 0 && z.avail_in == 0)
			break;
	}
	inflateEnd(&z);
	return all;
}

bool gzip_read_some(struct str in, struct buf *out)
{
	size_t before = out->n;
	if (in.n == 0)
		return true;
	if (!inflate_some(in, GZIP_OR_ZLIB, out))
		return false;
	return out->n > before || inflate_some(in, RAW_DEFLATE, out);
}
