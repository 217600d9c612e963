/* How far a lane may go ahead of the disk. */
#include "ingest/lane.h"

#include "base/check.h"

/* What may arrive while a segment is being stored: a quarter of one, and no more pages than fill that time: each segment costs its syncs. */
enum { PAGES_MEANWHILE_MAX = 8 };

static uint64_t pages_of_segment(const struct resource *r)
{
	uint64_t meanwhile = r->segment_pages / 4;
	return r->segment_pages - (meanwhile < PAGES_MEANWHILE_MAX ? meanwhile : PAGES_MEANWHILE_MAX);
}

static struct fetched fetched_since(struct fetched to, struct fetched from)
{
	CHECK(to.pages >= from.pages && to.bytes >= from.bytes);
	return (struct fetched){ to.pages - from.pages, to.bytes - from.bytes };
}

bool room_has(const struct lane *n, struct fetched ahead)
{
	const struct room *m = &n->room;
	const struct resource *r = n->task->resource;
	struct fetched waits = fetched_since(m->accepted, m->durable);
	if (waits.pages + ahead.pages == 0)
		return true; /* however large it is: a page is the least that a kill can cost */
	if (waits.pages + ahead.pages >= r->segment_pages || m->largest_bytes == 0)
		return false;
	if (waits.pages > 0 && loop_now_us(n->loop) - m->oldest_us >= r->segment_us)
		return false;
	/* How large it will be, nobody knows: as large as the largest so far. */
	return waits.bytes + ahead.bytes + m->largest_bytes <= r->segment_bytes;
}

bool room_segment_is_old(const struct lane *n, int64_t since_us, int64_t now)
{
	int64_t every = n->task->resource->segment_us;
	return now - since_us >= every - every / 4;
}

bool room_accept(struct lane *n, uint64_t bytes)
{
	struct room *m = &n->room;
	const struct resource *r = n->task->resource;
	int64_t now = loop_now_us(n->loop);
	if (m->accepted.pages == m->durable.pages)
		m->oldest_us = now;
	if (m->accepted.pages == m->cut.pages)
		m->open_us = now;
	m->accepted.pages++;
	m->accepted.bytes += bytes;
	struct fetched open = fetched_since(m->accepted, m->cut);
	bool cut = open.pages >= pages_of_segment(r) || open.bytes >= r->segment_bytes - r->segment_bytes / 4 ||
		   open.bytes + m->largest_bytes > r->segment_bytes || room_segment_is_old(n, m->open_us, now);
	if (cut)
		room_cut(n);
	return cut;
}

void room_cut(struct lane *n)
{
	n->room.cut = n->room.accepted;
}

void room_stored(struct lane *n, struct fetched upto, int64_t submitted_us)
{
	struct room *m = &n->room;
	m->durable = upto;
	m->oldest_us = submitted_us; /* what follows was accepted after that */
	if (m->cut.pages < upto.pages) { /* the segment was full for another reason */
		m->cut = upto;
		m->open_us = submitted_us;
	}
}
