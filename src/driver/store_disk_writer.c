/* Large objects of the disk store, written in pieces. Small pieces are gathered, so that a record costs a memcpy and
 * not a system call. */
#include "base/effect.h"
#include "base/file.h"
#include "driver/store_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { GATHER_BYTES = 256 << 10 };

struct disk_writer {
	struct store_writer writer;
	struct disk_tmp tmp;
	bool failed;
	size_t n;
	uint64_t size_bytes;
	char gathered[GATHER_BYTES];
};

bool disk_writer_open(struct store *s, struct store_writer **out, struct err *e)
{
	struct disk_writer *w = mem_alloc(sizeof *w);
	w->writer.store = s;
	if (!disk_tmp_open(disk_of(s), &w->tmp, e)) {
		mem_free(w);
		return false;
	}
	*out = &w->writer;
	return true;
}

static bool flush(struct disk_writer *w, struct err *e)
{
	bool ok = file_write_all(w->tmp.fd, w->gathered, w->n, e);
	w->n = 0;
	w->failed |= !ok;
	return ok || err_wrap(e, "%.*s/.tmp/%s", STR_ARG(w->writer.store->url), w->tmp.name);
}

bool disk_writer_add(struct store_writer *writer, struct str bytes, struct err *e)
{
	struct disk_writer *w = (struct disk_writer *)writer;
	if (w->failed)
		return err_set(e, ERR_STORAGE, "%.*s/.tmp/%s: an earlier write failed", STR_ARG(writer->store->url),
			       w->tmp.name);
	w->size_bytes += bytes.n;
	if (bytes.n > GATHER_BYTES - w->n && !flush(w, e))
		return false;
	if (bytes.n >= GATHER_BYTES) {
		if (file_write_all(w->tmp.fd, bytes.p, bytes.n, e))
			return true;
		w->failed = true;
		return err_wrap(e, "%.*s/.tmp/%s", STR_ARG(writer->store->url), w->tmp.name);
	}
	if (bytes.n)
		memcpy(w->gathered + w->n, bytes.p, bytes.n);
	w->n += bytes.n;
	return true;
}

void disk_writer_abort(struct store_writer *writer)
{
	struct disk_writer *w = (struct disk_writer *)writer;
	disk_tmp_drop(disk_of(writer->store), &w->tmp);
	mem_free(w);
}

/* The temporary file is gone by now, but its descriptor (kept by the caller) still reads it. */
static bool same_bytes(struct store *s, int fd, uint64_t size_bytes, struct str key, bool *same, struct err *e)
{
	uint64_t there;
	*same = false;
	if (!s->ops->size(s, key, &there, e))
		return false;
	if (there != size_bytes)
		return true;
	char *mine = mem_alloc(2 * GATHER_BYTES), *theirs = mine + GATHER_BYTES;
	bool ok = true, equal = true;
	for (uint64_t at = 0; ok && equal && at < size_bytes; at += GATHER_BYTES) {
		size_t n = size_bytes - at < GATHER_BYTES ? (size_t)(size_bytes - at) : GATHER_BYTES;
		ok = file_read_at(fd, mine, n, at, e) && s->ops->read_at(s, key, at, theirs, n, e);
		equal = ok && memcmp(mine, theirs, n) == 0;
	}
	mem_free(mine);
	*same = equal;
	return ok;
}

bool disk_writer_finish(struct store_writer *writer, struct str key, struct err *e)
{
	struct disk_writer *w = (struct disk_writer *)writer;
	struct store *s = writer->store;
	bool exists = false, same = false, ok;
	int kept = -1;
	if (w->failed) {
		err_set(e, ERR_STORAGE, "%.*s/%.*s: an earlier write failed", STR_ARG(s->url), STR_ARG(key));
		disk_writer_abort(writer);
		return false;
	}
	if (!flush(w, e) || (kept = sys_fcntl(w->tmp.fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		if (!w->failed)
			disk_fail(disk_of(s), key, errno, e);
		disk_writer_abort(writer);
		return false;
	}
	ok = disk_tmp_publish(disk_of(s), &w->tmp, key, &exists, e);
	if (ok && exists) {
		ok = same_bytes(s, kept, w->size_bytes, key, &same, e);
		if (ok && !same)
			ok = err_set_errno(e, ERR_STORAGE, EEXIST, "%.*s/%.*s: it is there already, with other bytes",
					   STR_ARG(s->url), STR_ARG(key));
		ok = ok && s->ops->settle(s, key, e);
	}
	disk_close_fd(kept);
	mem_free(w);
	return ok;
}
