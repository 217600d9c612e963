/* Throughput of the JSON scanner over one file: json_scan FILE [rounds]. The best of the rounds counts. */
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t run_next(struct str document)
{
	struct json_scan s;
	size_t events = 0;

	json_open(&s, document, JSON_DEPTH);
	while (json_next(&s) > JSON_DONE)
		events++;
	return s.fault ? 0 : events;
}

/* The items of the outermost array, or of the first array in the outermost object: what ingest does with a page. */
static size_t run_skip(struct str document)
{
	struct json_scan s;
	enum json_event ev;
	size_t items = 0;

	json_open(&s, document, JSON_DEPTH);
	while ((ev = json_next(&s)) > JSON_DONE)
		if (s.depth >= 2 && (ev == JSON_OBJECT || ev == JSON_ARRAY) && !(s.depth == 2 && ev == JSON_ARRAY))
			items += json_skip(&s);
	return s.fault ? 0 : items + 1;
}

static size_t run_valid(struct str document)
{
	return json_valid(document, JSON_DEPTH, NULL, NULL);
}

static size_t run_pick(struct str document)
{
	struct json_pick picks[] = { { .path = STR("data") }, { .path = STR("meta.next") }, { .path = STR("") } };

	return json_pick(document, JSON_DEPTH, picks, 3, NULL, NULL) ? picks[0].items + picks[2].items + 1 : 0;
}

static void measure(const char *name, size_t (*run)(struct str), struct str document, int rounds)
{
	double best_s = 1e9;
	size_t result = 0;

	for (int i = 0; i < rounds; i++) {
		double start_s = now_s(), took_s;

		result = run(document);
		took_s = now_s() - start_s;
		if (took_s < best_s)
			best_s = took_s;
	}
	printf("%-8s %7.1f ms %8.0f MB/s  result %zu\n", name, best_s * 1e3, (double)document.n / best_s / 1e6, result);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 5;
	struct str document;
	char *bytes;
	long size;
	FILE *f;

	if (argc < 2 || !(f = fopen(argv[1], "rb"))) {
		fprintf(stderr, "usage: json_scan FILE [rounds]\n");
		return 2;
	}
	if (fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) != 0)
		return 1;
	bytes = malloc((size_t)size + 1);
	if (!bytes || fread(bytes, 1, (size_t)size, f) != (size_t)size)
		return 1;
	document = (struct str){ bytes, (size_t)size };
	measure("next", run_next, document, rounds);
	measure("skip", run_skip, document, rounds);
	measure("valid", run_valid, document, rounds);
	measure("pick", run_pick, document, rounds);
	free(bytes);
	fclose(f);
	return 0;
}
