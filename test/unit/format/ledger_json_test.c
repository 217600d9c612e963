/* Entries of the ledger as bytes: frozen in test/case/format/ledger.ndjson. */
#include "entries.h"
#include "members.h"

static void canonical_bytes_are_frozen(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	struct str frozen = case_file("ledger.ndjson", &a), line;
	for (size_t i = 0; i < SAMPLES; i++) {
		struct ledger_entry t = entry_sample(i);
		struct str text = ledger_encode(&t, &a);
		assert_true(str_cut(&frozen, '\n', &line));
		assert_int_equal(text.p[text.n - 1], '\n');
		assert_frozen(str_sub(text, 0, text.n - 1), line);
	}
	assert_false(str_cut(&frozen, '\n', &line));
	arena_free(&a);
}

static void every_kind_comes_back(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	for (size_t i = 0; i < SAMPLES; i++) {
		struct ledger_entry t = entry_sample(i), back;
		struct err e = ERR_INIT;
		struct str text = ledger_encode(&t, &a);
		assert_done(ledger_decode(text, &a, &back, &e), &e);
		assert_true(sha256_eq(back.hash, sha256_of(text)));
		assert_int_equal(back.kind, t.kind);
		assert_int_equal(back.n_pages, t.n_pages);
		assert_int_equal(back.n_attempts, t.n_attempts);
		assert_int_equal(back.has_seal, t.has_seal);
		assert_int_equal(back.state.first_sent_us, t.state.first_sent_us);
		assert_true(sha256_eq(back.previous, t.previous));
		assert_frozen(ledger_encode(&back, &a), text);
	}
	struct ledger_entry t = entry_sample(1), back;
	struct err e = ERR_INIT;
	assert_done(ledger_decode(ledger_encode(&t, &a), &a, &back, &e), &e);
	assert_text(back.pages[1].next.text, "/a?k=~secret.TOKEN~&c=\"\xc3\xa9\"\n");
	assert_int_equal(back.pages[1].next.n_markers, 1);
	assert_int_equal(back.pages[1].next.markers[0].at, 5);
	assert_text(back.pages[1].next.markers[0].marker, "~secret.TOKEN~");
	assert_int_equal(back.pages[2].next.kind, NEXT_END);
	assert_int_equal(back.attempts[1].status, 0);
	arena_free(&a);
}

/* Members that stand in the state only where the resource asks for them. */
static void optional_state_comes_back(void **unused)
{
	static const struct {
		struct ledger_keyset keyset;
		bool has_first_page;
		const char *json;
	} cases[] = {
		{ { .path = { "id", 2 } }, false, ",\"keyset\":{\"path\":\"id\"}}" },
		{ { .path = { "m.id", 4 }, .last = { KEY_NUMBER, { "-1.50e3", 7 } } }, true,
		  ",\"keyset\":{\"path\":\"m.id\",\"last\":-1.50e3},\"first_page\":\"" },
		{ { .path = { "id", 2 }, .last = { KEY_TEXT, { "a\"\xc3\xa9\n", 5 } } }, false,
		  ",\"keyset\":{\"path\":\"id\",\"last\":\"a\\\"\xc3\xa9\\n\"}}" },
		{ { .path = { "id", 2 }, .last = { KEY_TEXT, { "", 0 } } }, true, "\"last\":\"\"},\"first_page\":\"" },
		{ { .path = { "id", 2 }, .broken = { "id does not rise", 16 } }, false,
		  ",\"keyset\":{\"path\":\"id\",\"broken\":\"id does not rise\"}}" },
		{ { .path = { "", 0 } }, true, "Z\",\"first_page\":\"" },
	};
	(void)unused;
	struct arena a = ARENA_INIT;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ledger_entry t = entry_sample(1), back;
		struct err e = ERR_INIT;
		t.state.keyset = cases[i].keyset;
		t.state.has_first_page = cases[i].has_first_page;
		t.state.first_page = hash_of("page 1");
		struct str text = ledger_encode(&t, &a);
		if (!str_contains(text, str_from(cases[i].json)))
			fail_msg("%zu: %.*s", i, STR_ARG(text));
		assert_done(ledger_decode(text, &a, &back, &e), &e);
		assert_int_equal(back.state.keyset.last.kind, cases[i].keyset.last.kind);
		assert_true(str_eq(back.state.keyset.last.text, cases[i].keyset.last.text));
		assert_true(str_eq(back.state.keyset.path, cases[i].keyset.path));
		assert_true(str_eq(back.state.keyset.broken, cases[i].keyset.broken));
		assert_int_equal(back.state.has_first_page, cases[i].has_first_page);
		assert_frozen(ledger_encode(&back, &a), text);
		static const char *const bad[][2] = { { "\"path\":\"", "\"path\":1,\"x\":\"" },
						      { "\"path\":\"id\"", "\"path\":\"\"" },
						      { "\"last\":", "\"last\":null,\"x\":" },
						      { "\"first_page\":\"", "\"first_page\":\"x" },
						      { "\"keyset\":{", "\"keyset\":[],\"x\":{" } };
		for (size_t k = 0; k < COUNT(bad); k++)
			if (str_contains(text, str_from(bad[k][0]))) {
				assert_false(ledger_decode(replaced(text, bad[k][0], bad[k][1], &a), &a, &back, &e));
				assert_code(&e, ERR_DAMAGE);
				e = ERR_INIT;
			}
	}
	arena_free(&a);
}

/* Segments of later epochs, and attempts that left no byte: what a segment must be there for. */
static void segments_and_what_they_hold(void **unused)
{
	(void)unused;
	static const struct {
		const char *name;
		uint64_t attempt_size;
		size_t n_pages;
		const char *want; /* NULL: it is taken */
	} cases[] = {
		{ "17-2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae.warc.gz", 10, 1, NULL },
		{ "", 0, 0, NULL },
		{ "", 10, 0, "it has failed attempts, and no segment that holds them" },
		{ "", 0, 1, "it has pages, and no segment that holds them" },
	};
	struct arena a = ARENA_INIT;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ledger_entry t = entry_sample(1), back;
		struct ledger_attempt attempt = sample_attempts[0];
		struct err e = ERR_INIT;
		t.segment = str_from(cases[i].name);
		t.n_pages = cases[i].n_pages;
		attempt.size = cases[i].attempt_size;
		t.attempts = &attempt;
		t.n_attempts = 1;
		struct str text = ledger_encode(&t, &a);
		if (ledger_decode(text, &a, &back, &e)) {
			assert_null(cases[i].want);
			assert_frozen(ledger_encode(&back, &a), text);
		} else {
			assert_code(&e, ERR_DAMAGE);
			assert_string_equal(e.message, cases[i].want);
		}
	}
	arena_free(&a);
}

/* A damaged entry: what is replaced by what in which sample. */
static const struct {
	size_t sample;
	const char *old, *new;
} damages[] = {
	{ 1, "\"name\":\"0-2c", "\"name\":\"../0-2c" },
	{ 1, "\"name\":\"0-2c", "\"name\":\"0-2" },
	{ 1, "\"name\":\"0-2c", "\"name\":\"0-/c" },
	{ 1, "\"name\":\"0-2c", "\"name\":\"-2c" },
	{ 1, "\"name\":\"0-2c", "\"name\":\"0-2C" },
	{ 1, "\"name\":\"0-2c", "\"name\":\"00-2c" },
	{ 1, "\"name\":\"0-2c", "\"name\":\"18446744073709551616-2c" },
	{ 1, "\"name\":\"0-", "\"name\":\"\",\"x\":\"" },
	{ 1, ".warc.gz\"", ".warc.gz/x\"" },
	{ 1, ".warc.gz\"", ".warc.g\\u0000\"" },
	{ 1, "\"segment\"", "\"segments\"" },
	{ 0, "sluice-ledger/1", "sluice-ledger/2" },
	{ 0, "\"kind\":\"claim\"", "\"kind\":\"clam\"" },
	{ 0, "\"kind\":\"claim\"", "\"kind\":1" },
	{ 0, "\"n\":0", "\"n\":-1" },
	{ 0, "\"n\":0", "\"n\":\"0\"" },
	{ 0, "\"n\":0", "\"n\":0.5" },
	{ 0, "\"n\":0", "\"n\":18446744073709551616" },
	{ 0, "\"lease\"", "\"leash\"" },
	{ 0, "\"opened\"", "\"closed\"" },
	{ 0, "\"from\":\"2013-01-01T05:00:00Z\"", "\"from\":\"2013-02-30T05:00:00Z\"" },
	{ 0, "\"time\"", "\"thyme\"" },
	{ 0, "\"request\":{", "\"request\":null,\"x\":{" },
	{ 1, "\"previous\":\"", "\"previous\":\"x" },
	{ 1, "\"status\":200", "\"status\":4294967296" },
	{ 1, "\"pages\":[", "\"pages\":{},\"x\":[" },
	{ 1, "\"at\":5", "\"at\":14" },
	{ 1, "\"at\":5", "\"at\":18446744073709551615" },
	{ 1, "\"next\":{\"number\":2}", "\"nest\":{\"number\":2}" },
	{ 1, "\"next\":{\"number\":2}", "\"next\":{\"number\":2.5}" },
	{ 1, "\"next\":{\"number\":2}", "\"next\":{}" },
	{ 1, "\"next\":{\"number\":2}", "\"next\":7" },
	{ 1, "\"sha256\":\"2c26", "\"sha256\":\"2C26" },
	{ 1, "\"digest\":", "\"digest\":0,\"digest\":" },
	{ 1, "\"guard\"", "\"gourd\"" },
	{ 2, "\"lease\"", "\"leash\"" },
	{ 4, "offset-verified", "verified" },
	{ 4, "\"promoted\":true", "\"promoted\":1" },
	{ 5, "\"seal\":{", "\"seel\":{" },
	{ 5, "\"evidence\"", "\"evidences\"" },
	{ 6, "{\"format\"", "[{\"format\"" },
};

static void damage_is_found(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT;
	for (size_t i = 0; i < COUNT(damages); i++) {
		struct ledger_entry t = entry_sample(damages[i].sample), back;
		struct err e = ERR_INIT;
		struct str text = replaced(ledger_encode(&t, &a), damages[i].old, damages[i].new, &a);
		if (ledger_decode(text, &a, &back, &e))
			fail_msg("%s instead of %s was taken", damages[i].new, damages[i].old);
		assert_code(&e, ERR_DAMAGE);
	}
	arena_free(&a);
}

/* Cut anywhere, or with any byte made another: never a crash, and what is cut is never taken. */
static void cut_and_flipped(void **unused)
{
	(void)unused;
	struct arena a = ARENA_INIT, scratch = ARENA_INIT;
	for (size_t i = 0; i < SAMPLES; i++) {
		struct ledger_entry t = entry_sample(i), back;
		struct str text = ledger_encode(&t, &a);
		for (size_t n = 0; n < text.n; n++) {
			struct err e = ERR_INIT;
			arena_reset(&scratch);
			char *p = arena_zero_terminated(&scratch, text);
			if (n + 1 < text.n) {
				assert_false(ledger_decode(str_sub(text, 0, n), &scratch, &back, &e));
				assert_code(&e, ERR_DAMAGE);
			}
			e = ERR_INIT;
			p[n] = (char)(p[n] ^ 0x15);
			if (ledger_decode((struct str){ p, text.n }, &scratch, &back, &e))
				assert_false(sha256_eq(back.hash, sha256_of(text)));
			else
				assert_code(&e, ERR_DAMAGE);
		}
	}
	arena_free(&scratch);
	arena_free(&a);
}

static bool reads_entry(void *user, struct str bad, struct arena *a, struct err *e)
{
	struct ledger_entry back;
	(void)user;
	return ledger_decode(bad, a, &back, e);
}

/* Damage that is not seen here changes the entry's bytes all the same, and with them the hash that the next entry names. */
static void every_member_is_needed(void **unused)
{
	static const char *const optional[] = { "candidate", "failed", "first_sent", "method", "note", "path", "query",
						"redirected_to", "seal", "secrets", "total" };
	static const char *const any_text[] = { "ask", "boot", "error", "evidence", "host", "marker", "nonce", "pids", "reason",
						"request", "run" };
	static const struct members_free free_ones = { optional, any_text, COUNT(optional), COUNT(any_text) };
	(void)unused;
	for (size_t i = 0; i < SAMPLES; i++) {
		struct arena a = ARENA_INIT;
		struct ledger_entry t = entry_sample(i);
		const char *what = arena_format(&a, "entry %zu", i).p;
		members_are_needed(ledger_encode(&t, &a), what, &free_ones, reads_entry, NULL);
		arena_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_member_is_needed),
		cmocka_unit_test(canonical_bytes_are_frozen),
		cmocka_unit_test(every_kind_comes_back),
		cmocka_unit_test(optional_state_comes_back),
		cmocka_unit_test(segments_and_what_they_hold),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(cut_and_flipped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
