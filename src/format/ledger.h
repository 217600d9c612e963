/* The page ledger of one generation of one window: committing pages, saving the cursor and fencing off a rival run are
 * one creation of one object. spec/ledger.md is the words to it, spec/ledger.pml the model.
 *
 *     ledger_open     lists and reads the last entry: where does this generation stand?
 *     ledger_claim    entry n, kind claim: from now on we write (our epoch is n)
 *     ledger_pages    entry n+1: pages of one segment, the cursor that leads on, perhaps the seal; kind seal where there
 *                     is nothing but the seal
 *     ledger_accept, ledger_abandon: what may follow instead, each an entry of its own
 *
 * All writing calls answer ERR_FENCED when somebody else created the entry: the caller must end and not claim again.
 * A lost answer is resolved by reading back (nonce and hash). The struct belongs to one thread at a time. Texts
 * that are handed in (next, seal, lease, origin) must live as long as it does. */
#ifndef SLUICE_FORMAT_LEDGER_H
#define SLUICE_FORMAT_LEDGER_H

#include "base/clock.h"
#include "base/hash.h"
#include "config/pipeline.h"
#include "driver/store.h"
#include "format/process.h"

enum { LEDGER_ENTRY_MAX_BYTES = 64 << 20, LEASE_S = 60 };

enum entry_kind { ENTRY_CLAIM, ENTRY_PAGES, ENTRY_SEAL, ENTRY_ACCEPT, ENTRY_ABANDON, ENTRY_EXPIRE };
const char *entry_kind_name(enum entry_kind k);

/* What leads on from a page. Texts may hold markers of secrets; `filled` lists where (rule 17). */
enum next_kind { NEXT_START, NEXT_NUMBER, NEXT_TEXT, NEXT_END };
struct next_marker {
	uint64_t at;       /* byte offset of the marker in text */
	struct str marker;
};
struct page_next {
	enum next_kind kind;
	int64_t number;    /* page number or offset */
	struct str text;   /* cursor or URL */
	struct next_marker *markers;
	size_t n_markers;
};

struct ledger_page {
	uint64_t page;        /* from 1 through the generation */
	struct str request;   /* "GET /flights?date=2013-01-01" with markers: relative to the source's URL */
	struct sha256 fingerprint; /* rule 12 */
	unsigned status, attempts;
	uint64_t offset, size; /* the response member in the segment */
	struct sha256 body;   /* of the decoded body */
	uint64_t body_bytes, records;
	bool has_total;
	uint64_t total;
	struct page_next next;
	struct str redirected_to; /* "", or where the answer came from in the end */
};

/* A failed attempt that was kept (429, 5xx, cut body): in the segment, not a page. */
struct ledger_attempt {
	struct str request;
	unsigned status;      /* 0: no answer */
	struct str error;     /* name of the err code */
	uint64_t offset, size;
	struct sha256 body;   /* of the bytes received */
};

/* Brent's cycle detection, rule 14. */
struct loop_guard {
	struct sha256 saved;
	uint64_t power, length;
};
/* True if this value closes a cycle. */
bool loop_guard_step(struct loop_guard *g, struct sha256 value);

/* A key of a record, as the API sent it: the text of a number, or an unescaped text. */
enum ledger_key_kind { KEY_NONE, KEY_NUMBER, KEY_TEXT };
struct ledger_key {
	enum ledger_key_kind kind;
	struct str text;
};

/* Do the keys of the records rise from page to page? Only where the resource names the path of its key. */
struct ledger_keyset {
	struct str path;      /* "" not asked for */
	struct ledger_key last; /* of the newest record; KEY_NONE before the first one */
	struct str broken;    /* where they do not rise, in words; "" they all do so far */
};

/* Everything needed to go on; stands in each entry after the claim. */
struct ledger_state {
	uint64_t pages, records, bytes, failed_attempts;
	struct sha256 digest;     /* D, rule 13 */
	struct page_next next;
	struct loop_guard guard;
	bool has_total, totals_differ;
	uint64_t total;           /* of the newest page that declared one */
	int64_t first_sent_us;    /* when the generation's first request was sent (rule 4); 0 not yet */
	struct ledger_keyset keyset;
	bool has_first_page;      /* kept where it is compared in the end */
	struct sha256 first_page; /* `body` of page 1 */
};

enum consistency { CLASS_SNAPSHOT, CLASS_KEYSET, CLASS_OFFSET_VERIFIED, CLASS_BEST_EFFORT };
const char *consistency_name(enum consistency c);

struct ledger_seal {
	enum consistency consistency;
	struct str evidence;  /* one line of words */
	bool promoted;
	struct str candidate_reason; /* why not promoted */
	uint64_t pages, records, bytes;
	struct sha256 digest; /* the content digest */
	int64_t sealed_us;
};

struct ledger_origin { /* stands in entry 0 */
	struct str reason;   /* "first", "refetch", "lookback", "definition", "abandoned" */
	struct str ask;      /* --refetch name, or the interval that asked (rule 5) */
	struct sha256 definition; /* rule 6 */
	struct str definition_json;
	struct window window;
};

struct ledger_entry { /* as decoded */
	enum entry_kind kind;
	uint64_t n, epoch;
	struct sha256 hash, previous; /* previous is zero for entry 0 */
	struct str nonce, run_id;
	int64_t time_us;
	bool has_origin;
	struct ledger_origin origin;
	bool has_lease;
	struct ledger_lease lease;
	struct str segment;   /* name, "" none */
	uint64_t segment_size;
	struct sha256 segment_hash;
	struct ledger_page *pages;
	size_t n_pages;
	struct ledger_attempt *attempts;
	size_t n_attempts;
	struct ledger_state state;
	bool has_seal;
	struct ledger_seal seal;
	struct str note;      /* accept, abandon, expire: why */
};

struct str ledger_encode(const struct ledger_entry *entry, struct arena *a); /* canonical JSON, one line with \n */
bool ledger_decode(struct str text, struct arena *a, struct ledger_entry *out, struct err *e); /* sets hash */

enum generation_state {
	GENERATION_NONE, GENERATION_OPEN, GENERATION_SEALED, GENERATION_CANDIDATE, GENERATION_ABANDONED,
	GENERATION_EXPIRED /* closed, and its segments were given up for removal */
};

struct ledger {
	struct store *store;
	struct clock *clock;
	struct str generation_key; /* raw/p/r/window/g1 */
	struct str run_id;
	struct arena *arena;
	enum generation_state status;
	uint64_t n_entries;        /* the next entry's number */
	struct sha256 last_hash;
	uint64_t epoch;            /* ours, once claimed; else of the last claim */
	bool claimed;              /* by us */
	struct ledger_state state;
	struct ledger_lease lease; /* of the newest claim */
	int64_t last_time_us;
	struct ledger_origin origin;    /* once there is an entry 0 (read lazily: ledger_read_origin) */
	bool has_origin;
	struct ledger_seal seal;        /* sealed, candidate */
	struct sha256 seal_hash;        /* of the entry that holds the seal */
	bool given_up;             /* ledger_give_up: expired, and its entries cannot be read (n_entries is 0) */
};

bool ledger_open(struct store *s, struct clock *c, struct str generation_key, struct str run_id, struct arena *a,
		 struct ledger *out, struct err *e);
bool ledger_read_origin(struct ledger *l, struct err *e);

/* LIVE: within 60 s of the newest entry, unless it is ours or of a process of this host that is no longer there. */
enum lease_answer { LEASE_FREE, LEASE_OURS, LEASE_DEAD, LEASE_LIVE };
enum lease_answer ledger_lease_check(const struct ledger *l); /* rule 15; a label for politeness, never for safety */

/* `origin` is needed for entry 0 only. New folders are made; entries of others are settled first (rule 16). */
bool ledger_claim(struct ledger *l, const struct ledger_origin *origin, struct err *e);
struct ledger_commit { /* pages, attempts and seal; all empty: a renewal of the lease */
	struct str segment; /* "" where nothing was written: a renewal of the lease, or a seal alone */
	uint64_t segment_size;
	struct sha256 segment_hash;
	const struct ledger_page *pages;
	size_t n_pages;
	const struct ledger_attempt *attempts;
	size_t n_attempts;
	struct ledger_state state; /* after these pages */
	const struct ledger_seal *seal; /* or NULL */
};
bool ledger_pages(struct ledger *l, const struct ledger_commit *c, struct err *e);
bool ledger_accept(struct ledger *l, struct str note, struct err *e);
bool ledger_abandon(struct ledger *l, struct str note, struct err *e);
/* Of a closed generation: from now on its segments may be removed. The entries stay, since they are what fences. */
bool ledger_expire(struct ledger *l, struct str note, struct err *e);

/* The same of one whose entries cannot be read, so that no entry can follow: an object beside them says so from now on. What a
 * writer that slept adds to it is read by nobody. */
bool ledger_give_up(struct store *s, struct clock *c, struct str generation_key, struct str run_id, struct str note, struct err *e);

/* The pages of a sealed generation, entry by entry, in order: what Prepare reads. Verifies numbers, chain and the seal
 * hash if one is given. `entry` is valid until the next call. */
struct ledger_walk {
	struct ledger *ledger;
	uint64_t at;
	struct sha256 previous;
	struct arena arena;
};
void ledger_walk_begin(struct ledger_walk *w, struct ledger *l);
bool ledger_walk_next(struct ledger_walk *w, struct ledger_entry *entry, bool *end, struct err *e);
void ledger_walk_end(struct ledger_walk *w);

/* All generations of a window in one listing; newest promoted one first asked for. */
struct window_generations {
	unsigned n;        /* highest generation that was claimed, 0 none */
	unsigned promoted; /* newest promoted, 0 none */
	unsigned open;     /* an unsealed one, 0 none */
	unsigned candidate; /* newest sealed one that is not promoted and newer than `promoted`, 0 none */
};
/* Where `s` is a view (driver/store_view.h): announces the entries that will be asked for, so that those of many windows are read
 * at once. END: the newest entry of the newest generation, which says where the window stands; ORIGIN: its first one, too;
 * ALL: each of each generation. On other stores it does nothing. */
enum window_ahead { WINDOW_AHEAD_END, WINDOW_AHEAD_ORIGIN, WINDOW_AHEAD_ALL };
bool window_look_ahead(struct store *s, struct str window_key, enum window_ahead what, struct err *e);
bool window_generations_read(struct store *s, struct clock *c, struct str window_key, struct arena *a,
			     struct window_generations *out, struct err *e);
bool store_create_checked(struct store *s, struct str key, struct str bytes, bool *ours, struct arena *a,
			  struct err *e); /* create, and after "exists" or a lost answer read back: ours by content? */

#endif
