/* gzip (RFC 1952) and zlib (RFC 1950) in memory, by libdeflate. */
#ifndef SLUICE_BASE_GZIP_H
#define SLUICE_BASE_GZIP_H

#include "base/buf.h"
#include "base/err.h"

/* One complete member appended to `out`. Level 0 stores; 1 is fast; 6 usual. False: past the buffer's maximum. The
 * compressor is kept per thread. */
bool gzip_member(struct str bytes, int level, struct buf *out);
/* The first member of `in` appended to `out`; *used is its length in `in`. ERR_DECODE (truncated, wrong CRC or
 * length), ERR_TOO_LARGE past out's maximum. */
bool gzip_read_member(struct str in, struct buf *out, size_t *used, struct err *e);
/* All members up to the end; anything else behind them is ERR_DECODE. */
bool gzip_read_all(struct str in, struct buf *out, struct err *e);
/* HTTP "deflate": zlib, or raw deflate as some servers send it. */
bool zlib_read_all(struct str in, struct buf *out, struct err *e);
/* For looking into what is damaged, cut or unknown, never for keeping it: whatever can be inflated from the front, be
 * it gzip, zlib or raw deflate. False: there is more than out's maximum. At most 4 GiB of input. */
bool gzip_read_some(struct str in, struct buf *out);

#endif
