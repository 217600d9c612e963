#include "base/gzip.h"

#include "base/check.h"
#include "base/mem.h"

#include <libdeflate.h>
#include <pthread.h>
#include <string.h>

enum { LEVELS = 13, TAKE_FIRST = 64 << 10 };

static _Thread_local struct libdeflate_compressor *compressors[LEVELS];
static _Thread_local struct libdeflate_decompressor *decompressor;

/* What a thread has kept goes when it ends. */
static pthread_key_t ends;
static pthread_once_t ends_once = PTHREAD_ONCE_INIT;

static void thread_ends(void *unused)
{
	(void)unused;
	for (int i = 0; i < LEVELS; i++) {
		libdeflate_free_compressor(compressors[i]);
		compressors[i] = NULL;
	}
	libdeflate_free_decompressor(decompressor);
	decompressor = NULL;
}

static void ends_make(void)
{
	CHECK(pthread_key_create(&ends, thread_ends) == 0);
}

static void thread_remember(void)
{
	CHECK(pthread_once(&ends_once, ends_make) == 0);
	CHECK(pthread_setspecific(ends, &ends) == 0);
}

static struct libdeflate_compressor *compressor_of(int level)
{
	CHECK(level >= 0 && level < LEVELS);
	if (compressors[level] != NULL)
		return compressors[level];
	compressors[level] = libdeflate_alloc_compressor(level);
	if (compressors[level] == NULL)
		mem_exhausted(1 << 20);
	thread_remember();
	return compressors[level];
}

static struct libdeflate_decompressor *decompressor_of_thread(void)
{
	if (decompressor != NULL)
		return decompressor;
	decompressor = libdeflate_alloc_decompressor();
	if (decompressor == NULL)
		mem_exhausted(1 << 16);
	thread_remember();
	return decompressor;
}

bool gzip_member(struct str bytes, int level, struct buf *out)
{
	struct libdeflate_compressor *c = compressor_of(level);
	size_t bound = libdeflate_gzip_compress_bound(c, bytes.n);
	char *room = buf_room(out, bound);
	if (room == NULL)
		return false;
	size_t n = libdeflate_gzip_compress(c, bytes.p ? bytes.p : "", bytes.n, room, bound);
	CHECK(n > 0);
	out->n += n;
	return true;
}

/* The three formats differ only in the call; sizes are unknown beforehand, so the room doubles until it fits. */
enum format { FORMAT_GZIP, FORMAT_ZLIB, FORMAT_RAW };

static enum libdeflate_result inflate_once(enum format f, struct str in, void *out, size_t room, size_t *used,
					   size_t *made)
{
	struct libdeflate_decompressor *d = decompressor_of_thread();
	switch (f) {
	case FORMAT_GZIP:
		return libdeflate_gzip_decompress_ex(d, in.p, in.n, out, room, used, made);
	case FORMAT_ZLIB:
		return libdeflate_zlib_decompress_ex(d, in.p, in.n, out, room, used, made);
	default:
		return libdeflate_deflate_decompress_ex(d, in.p, in.n, out, room, used, made);
	}
}

/* The length that a gzip member's trailer declares is right for a single member below 4 GiB: then no try is wasted.
 * It comes from outside, so it is only believed within deflate's own limit of 1:1032. */
static size_t first_room(enum format f, struct str in)
{
	size_t guess = in.n < TAKE_FIRST ? TAKE_FIRST : in.n * 4;
	if (f == FORMAT_GZIP && in.n >= 18) {
		const unsigned char *t = (const unsigned char *)in.p + in.n - 4;
		size_t declared = (size_t)t[0] | (size_t)t[1] << 8 | (size_t)t[2] << 16 | (size_t)t[3] << 24;
		if (declared / 1032 <= in.n)
			guess = declared + 1;
	}
	return guess;
}

static bool inflate_into(enum format f, struct str in, struct buf *out, size_t *used, struct err *e)
{
	size_t left = out->max - out->n;
	size_t room = first_room(f, in);
	for (;;) {
		if (room > left)
			room = left;
		char *p = room ? buf_room(out, room) : NULL;
		if (p == NULL)
			return err_set(e, ERR_TOO_LARGE, "decompressed it would pass %zu bytes", out->max);
		size_t made = 0;
		enum libdeflate_result r = inflate_once(f, in, p, room, used, &made);
		if (r == LIBDEFLATE_SUCCESS) {
			out->n += made;
			return true;
		}
		if (r != LIBDEFLATE_INSUFFICIENT_SPACE)
			return err_set(e, ERR_DECODE, "the compressed data is truncated or damaged");
		if (room == left)
			return err_set(e, ERR_TOO_LARGE, "decompressed it would pass %zu bytes", out->max);
		room = room > left / 2 ? left : room * 2;
	}
}

bool gzip_read_member(struct str in, struct buf *out, size_t *used, struct err *e)
{
	if (in.n < 18 || (unsigned char)in.p[0] != 0x1f || (unsigned char)in.p[1] != 0x8b)
		return err_set(e, ERR_DECODE, "not a gzip member");
	return inflate_into(FORMAT_GZIP, in, out, used, e);
}

bool gzip_read_all(struct str in, struct buf *out, struct err *e)
{
	size_t at = 0;
	do {
		size_t used = 0;
		if (!gzip_read_member(str_sub(in, at, in.n - at), out, &used, e))
			return at == 0 ? false : err_wrap(e, "at byte %zu, behind a complete member", at);
		at += used;
	} while (at < in.n);
	return true;
}

bool zlib_read_all(struct str in, struct buf *out, struct err *e)
{
	if (in.n < 2)
		return err_set(e, ERR_DECODE, "too short for deflate");
	unsigned head = (unsigned)(unsigned char)in.p[0] << 8 | (unsigned char)in.p[1];
	enum format f = (in.p[0] & 0x0f) == 8 && head % 31 == 0 ? FORMAT_ZLIB : FORMAT_RAW;
	size_t used = 0;
	if (!inflate_into(f, in, out, &used, e))
		return false;
	if (used != in.n)
		return err_set(e, ERR_DECODE, "%zu bytes stand behind the compressed data", in.n - used);
	return true;
}
