/* A lane: one generation of one window on its way from the API to its ledger. Private to ingest/.
 *
 *   OPENING ──▶ RUNNING ──▶ CLOSING ──▶ ENDED
 *   (a job)     slots ask,   (jobs: last  (task->outcome)
 *               jobs store    commit)
 *
 * A slot is one request in flight. Pages are accepted in their order; while the API declares how many there are, several
 * slots ask ahead. By cursor or URL the next page is asked for as soon as the body is decoded and its end looks like that of
 * the page before: parsing and hashing go on meanwhile, and only a page that has passed both is accepted. Jobs of a lane run one after the other on the pool (lane_store.c): they own the segment, the pending
 * pages and the ledger, the loop's thread owns everything else. */
#ifndef SLUICE_INGEST_LANE_H
#define SLUICE_INGEST_LANE_H

#include "base/pool.h"
#include "format/warc.h"
#include "ingest/page.h"
#include "ingest/rate.h"
#include "ingest/retry.h"
#include "ingest/task.h"

#define RENEW_EVERY_US ((int64_t)LEASE_S * US_PER_SECOND / 2)
enum { SLOTS_MAX = 16, STORES_AHEAD_MAX = 3, SMALL_STORES_AHEAD_MAX = 16, SMALL_STORES_BYTES = 4 << 20, GUESSES_MAX = 2, LANE_FAILURES_MAX = 5, ATTEMPTS_PER_SEGMENT_MAX = 64, KEPT_BODY_OF_ATTEMPT = 64 << 10 };

/* FAILED: asked ahead and given up; it counts once the pages before it are there, for it was only a guess. */
enum slot_state { SLOT_IDLE, SLOT_READY, SLOT_PAUSED, SLOT_FLYING, SLOT_JUDGING, SLOT_JUDGED, SLOT_FAILED };

struct slot {
	struct lane *lane;
	enum slot_state state;
	struct page_next asked;
	struct arena asked_texts;
	struct page_request request;
	struct str asked_target; /* request.target before any redirect */
	struct retry retry;
	unsigned hops;
	bool has_refused;        /* `refused`: an answer in form that was no page all the same */
	struct sha256 refused;
	bool kept_was_closed; /* it has met this once: asked again at once, on a new connection */
	uint64_t nth; /* of the source's requests: the one on its way */
	int64_t pause_until_us;
	struct http_exchange *exchange;
	struct buf decoded;
	struct arena *arena; /* of this page: goes with the store job */
	struct page_result result;
	bool judged_ok;
	struct err err;
	struct pool_job judge;
	struct next_place place; /* as the lane knew it when the answer came */
	struct str body;         /* decoded, where body_known */
	bool body_known, half_judged;
	bool guessed;            /* `guess`: where it probably leads on; in the arena */
	struct page_next guess;
	uint64_t records_before; /* of the accepted pages when it was asked; exact for the first slot */
	bool dropped; /* its answer is no longer wanted: thrown away when it comes */
	bool has_room; /* it may be sent: its page fits beside those that are not durable yet */
};

enum lane_state { LANE_S_NEW, LANE_S_OPENING, LANE_S_LEASE_WAIT, LANE_S_RUNNING, LANE_S_CLOSING, LANE_S_ENDED };

enum close_kind { CLOSE_NONE, CLOSE_SEAL, CLOSE_FAIL, CLOSE_ABANDON, CLOSE_STOP };

struct pages_pending {
	struct ledger_page *v;
	size_t n, cap;
};
struct attempts_pending {
	struct ledger_attempt *v;
	size_t n, cap;
};

/* How much of a lane was fetched up to some page: pages, and bytes of their bodies as they came. */
struct fetched {
	uint64_t pages, bytes;
};

/* What a kill would cost: the pages behind `durable`. Counted from where this run took the window up. */
struct room {
	struct fetched accepted, cut, durable; /* cut: up to where segments were told to end */
	uint64_t largest_bytes;                /* the largest body so far; 0: none came */
	int64_t oldest_us;  /* no page behind `durable` was accepted before this */
	int64_t open_us;    /* when the first page behind `cut` was */
	bool full;          /* the page that is wanted next has to wait for the disk */
};

struct lane {
	struct loop *loop;
	struct lane_task *task;
	uint64_t id; /* the pool's lane number */
	enum lane_state state;
	/* the loop's thread */
	struct slot slots[SLOTS_MAX]; /* in no order: the one asked with accepted.next comes next */
	size_t n_slots;               /* used so far; idle ones are used again */
	struct ledger_state accepted; /* after the newest accepted page, committed or not */
	unsigned page_records;        /* records of a full page, once one was seen */
	bool pages_uneven;            /* a page in the middle had fewer: offsets cannot be foretold */
	struct next_place place;      /* where the newest accepted page said how to go on */
	bool guessed_wrong;           /* once is enough */
	struct room room;
	bool source_moved;            /* a redirect led away from it */
	bool verifying;               /* all pages are here: the first one is asked for once more */
	bool verified_same;           /* ... and was what it had been */
	enum close_kind closing;
	struct err close_err;
	struct ledger_seal seal;
	unsigned jobs;                /* submitted and not done */
	uint64_t jobs_bytes;          /* bodies that they hold */
	int64_t lease_wait_until_us, last_entry_us;
	bool waited_for_lease;
	struct arena texts;           /* of `accepted`, those of the newest page alone */
	/* the jobs of this lane */
	struct ledger ledger;
	struct arena ledger_arena;
	struct warc_writer *warc;
	int64_t segment_since_us;
	struct pages_pending pages;
	struct attempts_pending attempts;
	struct arena pending_arena;
	size_t pending_text_bytes;    /* requests, cursors and keys of these */
	struct ledger_state stored;   /* after the newest page in the segment */
	struct str last_segment_key;  /* of the newest committed segment */
	uint64_t last_attempt_offset;
	bool has_last_attempt;
	bool broken;                  /* a job failed: those behind it do nothing */
};

/* Where one window cannot be had, the others often cannot either: an API that is down would cost each of them all its
 * attempts. */
struct breaker {
	unsigned in_a_row; /* lanes that failed since a page was accepted */
	bool open;         /* nothing more is begun */
	struct err why;    /* what the last one failed with */
};

struct loop {
	const struct ingest_options *o;
	const struct source *source;
	struct pool *pool;
	struct rate rate;
	struct lane **lanes;  /* those that are not ended */
	size_t n_lanes, lanes_max;
	struct lane_task *tasks;
	size_t n_tasks, next_task;
	unsigned flying;
	bool claimed; /* the first lane has its window */
	bool fenced, stopping;
	struct breaker breaker;
	int stop_signal;
	struct err stop_err;
	struct arena *run_arena;
	int64_t last_progress_us;
};

/* ingest.c: on the loop's thread. `at_once`: no other window of this source would fare better. */
void loop_lane_failed(struct loop *l, const struct err *why, bool at_once);

/* lane.c: on the loop's thread */
int64_t loop_now_us(const struct loop *l);
struct lane *lane_new(struct loop *l, struct lane_task *task, uint64_t id);
bool slot_prepare(struct slot *s, struct err *e);
void slot_drop(struct slot *s); /* at once, or when its answer is here */
void lane_step(struct lane *n);                 /* does whatever can be done now: opens, prepares slots, closes */
void lane_ask(struct lane *n);                  /* prepares slots for what is known to be wanted by now */
bool lane_wants_request(struct lane *n, struct slot **slot); /* a slot that may be sent when the rate allows */
int64_t lane_next_time_us(const struct lane *n); /* when a pause ends; INT64_MAX none */
void lane_close(struct lane *n, enum close_kind kind, const struct err *why);
void lane_job_failed(struct lane *n, const struct err *why);
void lane_opened(struct lane *n, enum lease_answer lease, const struct err *failed);
void lane_free(struct lane *n);

/* lane_page.c: on the loop's thread */
void lane_cancel_flying(struct lane *n); /* the transport has forgotten them */
void lane_answer(struct slot *s, struct http_exchange *x);
void lane_complete(struct lane *n); /* the last page is accepted: verify, seal, or say why not */
struct page_next lane_wanted(const struct lane *n); /* what is accepted next */
bool next_same(const struct page_next *a, const struct page_next *b);

/* lane_room.c: on the loop's thread. A kill costs a window no more than one segment: what is durable and what is asked for
 * lie no further apart. So that the disk holds nothing up, a segment ends before that, and what arrives while it is stored
 * has the rest. */
bool room_has(const struct lane *n, struct fetched ahead); /* for a page behind the accepted ones and these */
bool room_accept(struct lane *n, uint64_t bytes); /* a page more; true: its segment ends with it */
void room_cut(struct lane *n);                    /* a job is on its way that commits what there is */
void room_stored(struct lane *n, struct fetched upto, int64_t submitted_us);
bool room_segment_is_old(const struct lane *n, int64_t since_us, int64_t now);

/* lane_store.c: jobs */
struct page_next next_copy(const struct page_next *from, struct arena *a); /* from any thread */
struct ledger_state state_copy(const struct ledger_state *from, struct arena *a);
void lane_submit_open(struct lane *n);
/* Takes over the slot's exchange and arena, where the texts of `after` live too. A page (result accepted) or a failed
 * attempt to keep. */
void lane_submit_page(struct slot *s, const struct ledger_state *after, unsigned attempts, bool cut); /* cut: it is its segment's last */
void lane_submit_attempt(struct slot *s, enum err_code code);
void lane_submit_commit(struct lane *n, enum close_kind kind);
void lane_submit_tick(struct lane *n); /* commits an old segment, renews the lease */

#endif
