/* How fast the S3 store puts and gets whole objects: threads share one store, as the workers of a run do.
 *
 *     s3_speed put|get LAKE OBJECTS BYTES THREADS
 *
 * put writes OBJECTS objects of BYTES bytes each under speed/<n>, get reads them and compares. Prints seconds, without the
 * opening. */
#include "base/check.h"
#include "base/clock.h"
#include "driver/store_open.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static struct store *store;
static struct str bytes;
static size_t n_objects;
static bool putting;
static atomic_size_t next_object;

static void fail(const struct err *e)
{
	fprintf(stderr, "s3_speed: %s\n", e->message);
	exit(1);
}

static void *work(void *ignored)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	for (size_t i; (i = atomic_fetch_add(&next_object, 1)) < n_objects; arena_reset(&a)) {
		struct str got, key = arena_format(&a, "speed/%zu", i);
		struct store_writer *w;
		if (putting ? !store_writer_open_named(store, key, &w, &e) || !store_writer_add(w, bytes, &e) || !store_writer_finish(w, key, &e)
			    : !store_get(store, key, bytes.n, &a, &got, &e))
			fail(&e);
		if (!putting && !str_eq(got, bytes)) {
			fprintf(stderr, "s3_speed: other bytes than were put\n");
			exit(1);
		}
	}
	arena_free(&a);
	return ignored;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct arena a = ARENA_INIT;
	struct store_settings settings = { 0 };
	struct clock *clock = clock_system();
	pthread_t threads[64];
	uint64_t objects, size, n;
	if (argc != 6 || !str_to_u64(str_from(argv[3]), &objects) || !str_to_u64(str_from(argv[4]), &size) ||
	    !str_to_u64(str_from(argv[5]), &n) || n < 1 || n > 64 || size > (1u << 30)) {
		fprintf(stderr, "usage: s3_speed put|get LAKE OBJECTS BYTES THREADS\n");
		return 2;
	}
	putting = str_eq_z(str_from(argv[1]), "put");
	n_objects = (size_t)objects;
	char *p = arena_alloc(&a, (size_t)size);
	for (size_t i = 0; i < size; i++)
		p[i] = (char)(i * 2654435761u >> 13);
	bytes = (struct str){ p, (size_t)size };
	if (!store_open(str_from(argv[2]), &settings, true, &store, &e))
		fail(&e);
	int64_t begun = clock->monotonic_us(clock);
	for (size_t i = 0; i < n; i++)
		CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("%.6f\n", (double)(clock->monotonic_us(clock) - begun) / 1e6);
	store_close(store);
	arena_free(&a);
	return 0;
}
