/* Another parser (yyjson) judges: both must accept the same documents, and read the same doubles and texts. */
#include "json_case.h"

#include "base/json.h"
#include "base/number.h"

#ifndef SLUICE_YYJSON

int main(void)
{
	puts("skipped: yyjson is not there (tools/setup gets it)");
	return 77;
}

#else

#include <yyjson.h>

/* yyjson makes a tree, so that it has no depth to refuse; documents here stay below ours. */
static bool oracle_accepts(struct str document)
{
	yyjson_doc *doc = yyjson_read(document.p, document.n, YYJSON_READ_NUMBER_AS_RAW);

	yyjson_doc_free(doc);
	return doc != NULL;
}

/* A lone surrogate escape is refused by yyjson, but passes our scanner (it is judged where values are read). */
static bool has_lone_surrogate(struct str document)
{
	struct json_scan s;
	enum json_event ev;
	char *text = malloc(document.n + 1);
	bool lone = false;
	size_t n;

	assert_non_null(text);
	json_open(&s, document, JSON_DEPTH_MAX);
	while ((ev = json_next(&s)) > JSON_DONE)
		if ((ev == JSON_KEY || ev == JSON_STRING) && !json_unescape_to(s.value, text, &n))
			lone = true;
	free(text);
	return lone;
}

static bool compare(struct str view)
{
	struct str document = case_exact(view);
	bool ours = json_valid(document, JSON_DEPTH_MAX, NULL, NULL);
	bool theirs = oracle_accepts(document);

	if (ours != theirs && !(ours && has_lone_surrogate(document)))
		fail_msg("ours %d, yyjson %d: %.*s", ours, theirs, STR_ARG(document));
	free((void *)(uintptr_t)document.p);
	return ours;
}

static const char *const pieces[] = { "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u00e9", "\\ud83d\\ude00", "\\ud800",
				      "\\udc00", "\\n", "null", "true", "false", "0", "-", "1.5", "e9", "E+", ".", "00",
				      " ", "\n", "\t", "\x01", "\x7f", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
				      "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "\xff", "\xef\xbb\xbf", "\"a\":",
				      "\"b\"", "[]", "{}", "/", "'", "NaN" };

/* Cuts, doubles, replaces or inserts somewhere. */
static size_t mutate(char *text, size_t n, size_t room, uint64_t *r)
{
	size_t at = n ? (size_t)(case_random(r) % n) : 0, len;
	const char *piece = pieces[case_random(r) % COUNT(pieces)];

	switch (case_random(r) % 6) {
	case 0: /* one byte */
		if (n)
			text[at] = (char)case_random(r);
		return n;
	case 1: /* leave some out */
		len = 1 + (size_t)(case_random(r) % 8);
		if (at + len > n)
			len = n - at;
		memmove(text + at, text + at + len, n - at - len);
		return n - len;
	case 2: /* twice */
		len = 1 + (size_t)(case_random(r) % 40);
		if (at + len > n)
			len = n - at;
		if (n + len > room)
			return n;
		memmove(text + at + len, text + at, n - at);
		return n + len;
	case 3: /* another place's bytes */
		if (n > 8) {
			size_t from = (size_t)(case_random(r) % (n - 8));

			at = (size_t)(case_random(r) % (n - 8));
			memmove(text + at, text + from, (size_t)(case_random(r) % 9));
		}
		return n;
	default: /* a piece of JSON */
		len = strlen(piece);
		if (n + len > room)
			return n;
		memmove(text + at + len, text + at, n - at);
		memcpy(text + at, piece, len);
		return n + len;
	}
}

static void mutations(void **state)
{
	uint64_t r = 8259;
	unsigned accepted = 0, total = 0;

	(void)state;
	for (unsigned i = 0; i < 60000; i++) {
		struct str sample = str_from(case_samples[i % COUNT(case_samples)]);
		char text[1024];
		size_t n = sample.n;

		memcpy(text, sample.p, n);
		for (uint64_t k = 1 + case_random(&r) % 4; k > 0; k--)
			n = mutate(text, n, sizeof text, &r);
		accepted += compare((struct str){ text, n });
		total++;
	}
	print_message("%u of %u mutations are valid JSON\n", accepted, total);
	assert_in_range(accepted, total / 50, total * 9 / 10);
}

/* Short documents out of pieces: mostly nonsense, but all the corners of the grammar. */
static void pieces_in_a_row(void **state)
{
	uint64_t r = 3629;
	unsigned accepted = 0;

	(void)state;
	for (size_t a = 0; a < COUNT(pieces); a++)
		for (size_t b = 0; b < COUNT(pieces); b++)
			for (size_t c = 0; c < COUNT(pieces); c++) {
				char text[64];
				int n = snprintf(text, sizeof text, "%s%s%s", pieces[a], pieces[b], pieces[c]);

				accepted += compare((struct str){ text, (size_t)n });
				n = snprintf(text, sizeof text, "[%s%s%s]", pieces[a], pieces[b], pieces[c]);
				accepted += compare((struct str){ text, (size_t)n });
				n = snprintf(text, sizeof text, "\"%s%s%s\"", pieces[a], pieces[b], pieces[c]);
				accepted += compare((struct str){ text, (size_t)n });
			}
	for (unsigned i = 0; i < 40000; i++) {
		char text[256];
		size_t n = 0;

		for (uint64_t k = 1 + case_random(&r) % 9; k > 0; k--) {
			const char *piece = pieces[case_random(&r) % COUNT(pieces)];

			memcpy(text + n, piece, strlen(piece));
			n += strlen(piece);
		}
		accepted += compare((struct str){ text, n });
	}
	assert_true(accepted > 1000);
}

static void case_documents(void **state)
{
	struct case_file c;

	(void)state;
	case_open(&c, "json/documents.txt");
	while (case_next(&c))
		compare(case_bytes(c.fields[strcmp(c.fields[0], "good") == 0 ? 1 : 3]));
}

/* A UTF-16 unit, half of them surrogates. */
static unsigned random_unit(uint64_t *r)
{
	unsigned v = (unsigned)(case_random(r) >> 40);

	switch (case_random(r) % 4) {
	case 0:
		return 0xd800 | (v & 0x3ff);
	case 1:
		return 0xdc00 | (v & 0x3ff);
	default:
		return v & (v & 0x10000 ? 0xffff : 0x7ff);
	}
}

static void texts_and_doubles(void **state)
{
	struct arena a = ARENA_INIT;
	uint64_t r = 17;

	(void)state;
	for (unsigned i = 0; i < 30000; i++) {
		char text[128];
		yyjson_doc *doc;
		double v;
		int n = snprintf(text, sizeof text, "%s%llu.%llue%d", i & 1 ? "-" : "",
				 (unsigned long long)(case_random(&r) % 100),
				 (unsigned long long)(case_random(&r) >> (case_random(&r) % 64)),
				 (int)(case_random(&r) % 700) - 350);

		doc = yyjson_read(text, (size_t)n, 0);
		if (number_to_double((struct str){ text, (size_t)n }, &v) == NUMBER_RANGE) {
			assert_null(doc); /* infinity */
			continue;
		}
		assert_non_null(doc);
		assert_true(v == yyjson_get_real(yyjson_doc_get_root(doc)));
		yyjson_doc_free(doc);
	}
	for (unsigned i = 0; i < 20000; i++) {
		char text[256] = "\"";
		size_t n = 1;
		yyjson_doc *doc;
		struct str ours;
		bool ok;

		for (uint64_t k = case_random(&r) % 6; k > 0; k--)
			n += (size_t)snprintf(text + n, sizeof text - n, "\\u%04x",
					      random_unit(&r));
		text[n++] = '"';
		assert_true(json_valid((struct str){ text, n }, 1, NULL, NULL));
		doc = yyjson_read(text, n, 0);
		ok = json_unescape((struct str){ text + 1, n - 2 }, &a, &ours);
		assert_int_equal(ok, doc != NULL);
		if (ok) {
			yyjson_val *root = yyjson_doc_get_root(doc);

			assert_int_equal(ours.n, yyjson_get_len(root));
			assert_memory_equal(ours.p ? ours.p : "", yyjson_get_str(root), ours.n);
		}
		yyjson_doc_free(doc);
	}
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(case_documents),
		cmocka_unit_test(mutations),
		cmocka_unit_test(pieces_in_a_row),
		cmocka_unit_test(texts_and_doubles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
