/* One entry of every kind, with every field that there is. */
#ifndef SLUICE_TEST_FORMAT_ENTRIES_H
#define SLUICE_TEST_FORMAT_ENTRIES_H

#include "world.h"

#include "base/calendar.h"
#include "format/ledger.h"

#define FROM_US INT64_C(1357016400000000) /* 2013-01-01T05:00:00Z */
#define NOW_US INT64_C(1760000000000000)  /* 2025-10-09T08:53:20Z */

static inline struct ledger_origin origin_sample(void)
{
	return (struct ledger_origin){
		.reason = STR("first"),
		.ask = STR_NONE,
		.definition = hash_of("definition"),
		.definition_json = STR("{\"method\":\"GET\",\"path\":\"/flights\",\"query\":[[\"limit\",\"1000\"]]}"),
		.window = { FROM_US, FROM_US + US_PER_DAY },
	};
}

static inline struct ledger_lease lease_sample(void)
{
	return (struct ledger_lease){
		.run_id = STR("20251009T085320Z-1f3a"),
		.host = STR("ada"),
		.boot_id = STR("0a6a1d3e-7c0f-4f55-9d0c-5b5f7f8f2a11"),
		.pid_namespace = STR("pid:[4026531836]"),
		.pid = 4711,
		.started = 123456,
		.until_us = NOW_US + 60 * (int64_t)US_PER_SECOND,
	};
}

static inline struct ledger_state state_sample(uint64_t pages)
{
	return (struct ledger_state){
		.pages = pages,
		.records = pages * 1000,
		.bytes = pages * 150000,
		.failed_attempts = 2,
		.digest = hash_of("digest"),
		.next = { .kind = NEXT_NUMBER, .number = (int64_t)pages + 1 },
		.guard = { hash_of("saved"), 2, 1 },
		.has_total = true,
		.total = 2500,
		.first_sent_us = NOW_US + 250000,
	};
}

static inline struct ledger_seal seal_sample(bool promoted)
{
	return (struct ledger_seal){
		.consistency = CLASS_OFFSET_VERIFIED,
		.evidence = STR("the totals of all pages are 2500, and so are the records"),
		.promoted = promoted,
		.candidate_reason = promoted ? STR_NONE : STR("2500 records where 9000 were promoted before"),
		.pages = 3,
		.records = 2500,
		.bytes = 375000,
		.digest = hash_of("digest"),
		.sealed_us = NOW_US + 3 * (int64_t)US_PER_SECOND,
	};
}

static struct next_marker sample_marker = { 5, { "~secret.TOKEN~", 14 } };

static struct ledger_page sample_pages[] = {
	{ .page = 1, .request = { "GET /flights?page=1", 19 }, .status = 200, .attempts = 2, .offset = 905, .size = 31007,
	  .body_bytes = 150000, .records = 1000, .has_total = true, .total = 2500,
	  .next = { .kind = NEXT_NUMBER, .number = 2 } },
	{ .page = 2, .request = { "GET /flights?page=2", 19 }, .status = 200, .attempts = 1, .offset = 32400, .size = 30999,
	  .body_bytes = 150000, .records = 1000,
	  .next = { .kind = NEXT_TEXT, .text = { "/a?k=~secret.TOKEN~&c=\"\xc3\xa9\"\n", 27 }, .markers = &sample_marker,
		    .n_markers = 1 } },
	{ .page = 3, .request = { "GET /flights?page=3", 19 }, .status = 200, .attempts = 1, .offset = 63900, .size = 15000,
	  .body_bytes = 75000, .records = 500, .redirected_to = { "https://eu.api.example.com/flights?page=3", 41 },
	  .next = { .kind = NEXT_END } },
};

static struct ledger_attempt sample_attempts[] = {
	{ .request = { "GET /flights?page=1", 19 }, .status = 503, .error = { "HTTP_BUSY", 9 }, .offset = 403, .size = 210 },
	{ .request = { "GET /flights?page=1", 19 }, .status = 0, .error = { "RESET", 5 }, .offset = 613, .size = 292 },
};

enum { SAMPLES = 9 };

static inline struct ledger_entry entry_sample(size_t i)
{
	static const struct {
		enum entry_kind kind;
		uint64_t epoch;
		bool origin, lease, payload, seal;
		const char *note;
	} table[SAMPLES] = {
		{ ENTRY_CLAIM, 0, true, true, false, false, "" },    { ENTRY_PAGES, 0, false, false, true, false, "" },
		{ ENTRY_CLAIM, 2, false, true, false, false, "" },   { ENTRY_PAGES, 2, false, false, false, false, "" },
		{ ENTRY_PAGES, 2, false, false, true, true, "" },    { ENTRY_SEAL, 2, false, false, false, true, "" },
		{ ENTRY_ACCEPT, 2, false, false, false, false, "checked by hand: the airline struck" },
		{ ENTRY_ABANDON, 2, false, false, false, false, "PAGE_LOOP: page 3 came again" },
		{ ENTRY_CLAIM, 8, false, true, false, false, "" },
	};
	for (size_t k = 0; k < COUNT(sample_pages); k++) {
		sample_pages[k].fingerprint = hash_of("fingerprint");
		sample_pages[k].body = hash_of("body");
	}
	for (size_t k = 0; k < COUNT(sample_attempts); k++)
		sample_attempts[k].body = hash_of("");
	struct ledger_entry t = {
		.kind = table[i].kind,
		.n = i,
		.epoch = table[i].epoch,
		.previous = i ? hash_of("the entry before") : (struct sha256){ 0 },
		.nonce = STR("00112233445566778899aabbccddeeff"),
		.run_id = STR("20251009T085320Z-1f3a"),
		.time_us = NOW_US,
		.has_origin = table[i].origin,
		.origin = origin_sample(),
		.has_lease = table[i].lease,
		.lease = lease_sample(),
		.has_seal = table[i].seal,
		.seal = seal_sample(i != 5),
		.note = str_from(table[i].note),
		.state = state_sample(i ? 3 : 0),
	};
	if (i == 0)
		t.state = (struct ledger_state){ .next = { .kind = NEXT_START } };
	if (i > 3)
		t.state.next.kind = NEXT_END;
	if (table[i].payload) {
		t.segment = STR("0-2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae.warc.gz");
		t.segment_size = 78900;
		t.segment_hash = hash_of("foo");
		t.pages = sample_pages;
		t.n_pages = COUNT(sample_pages);
		t.attempts = sample_attempts;
		t.n_attempts = i == 1 ? COUNT(sample_attempts) : 0;
	}
	return t;
}

#endif
