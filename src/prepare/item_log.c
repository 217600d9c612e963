#include "prepare/item_log.h"

#include "base/check.h"
#include "base/file.h"
#include "prepare/duplicates.h"

#include <string.h>
#include <unistd.h>

struct head { /* of an item in the log; its text follows */
	uint64_t share, page, parent, offset, raw_n;
	int64_t index;
};

void item_log_open(struct item_log *l, const char *scratch)
{
	*l = (struct item_log){ .scratch = scratch, .fd = -1,
				.waiting = BUF_INIT(ITEM_LOG_WAITING_BYTES + sizeof(struct head)) };
}

void item_log_close(struct item_log *l)
{
	if (l->fd >= 0)
		close(l->fd);
	buf_free(&l->waiting);
	item_log_open(l, l->scratch);
}

static bool put(struct item_log *l, const void *bytes, size_t n, struct err *e)
{
	if (n == 0)
		return true;
	if (l->fd < 0 && (l->fd = scratch_file(l->scratch, e)) < 0)
		return false;
	if (!file_write_all(l->fd, bytes, n, e))
		return err_wrap(e, "%s: a scratch file", l->scratch);
	l->bytes += n;
	return true;
}

static bool flush(struct item_log *l, struct err *e)
{
	if (!put(l, l->waiting.p, l->waiting.n, e))
		return false;
	buf_clear(&l->waiting);
	return true;
}

bool item_log_add(struct item_log *l, const struct item *item, struct err *e)
{
	struct head h = { item->share, item->page, item->parent, item->offset, item->raw.n, item->index };
	size_t whole = sizeof h + item->raw.n;
	bool long_text = whole > ITEM_LOG_WAITING_BYTES;

	if ((long_text || l->waiting.n + whole > ITEM_LOG_WAITING_BYTES) && !flush(l, e))
		return false;
	CHECK(buf_add_bytes(&l->waiting, &h, sizeof h));
	l->n++;
	if (long_text)
		return flush(l, e) && put(l, item->raw.p, item->raw.n, e);
	CHECK(buf_add(&l->waiting, item->raw));
	return true;
}

bool item_log_rewind(struct item_log *l, struct err *e)
{
	if (l->fd >= 0) {
		if (l->at == 0 && !flush(l, e))
			return false;
		buf_clear(&l->waiting);
	}
	l->at = 0;
	l->block_at = 0;
	return true;
}

/* Text that is longer than a block comes past it. */
static bool get(struct item_log *l, char *to, size_t n, struct err *e)
{
	while (n > 0) {
		size_t there = l->waiting.n - l->block_at, take = there < n ? there : n;
		if (take > 0) {
			memcpy(to, l->waiting.p + l->block_at, take);
			l->block_at += take;
			to += take;
			n -= take;
			continue;
		}
		CHECK(l->fd >= 0 && l->at + n <= l->bytes);
		if (n >= ITEM_LOG_WAITING_BYTES) {
			if (!file_read_at(l->fd, to, n, l->at, e))
				return err_wrap(e, "%s: a scratch file", l->scratch);
			l->at += n;
			return true;
		}
		take = l->bytes - l->at < ITEM_LOG_WAITING_BYTES ? (size_t)(l->bytes - l->at) : ITEM_LOG_WAITING_BYTES;
		buf_clear(&l->waiting);
		char *room = buf_room(&l->waiting, take);
		CHECK(room);
		if (!file_read_at(l->fd, room, take, l->at, e))
			return err_wrap(e, "%s: a scratch file", l->scratch);
		l->waiting.n = take;
		l->at += take;
		l->block_at = 0;
	}
	return true;
}

bool item_log_next(struct item_log *l, struct arena *a, struct item *out, struct err *e)
{
	struct head h;
	char *text;

	if (!get(l, (char *)&h, sizeof h, e))
		return false;
	text = arena_alloc(a, (size_t)h.raw_n + 1);
	*out = (struct item){ h.share, h.page, h.parent, h.offset, h.index, { text, (size_t)h.raw_n } };
	return get(l, text, (size_t)h.raw_n, e);
}
