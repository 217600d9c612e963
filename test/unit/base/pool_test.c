#include "unit.h"

#include "base/mem.h"
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { JOBS = 2000, LANES = 7, STOPS = 64 };

struct job {
	struct pool_job pool;
	int number;
};

static atomic_int running[LANES + 1], worked, overlaps, wakes;
static int next_in_lane[LANES + 1], order_faults, done_count;
static pthread_t owner;

static void work(struct pool_job *p)
{
	struct job *j = (struct job *)p;
	if (p->lane && atomic_fetch_add(&running[p->lane], 1) != 0)
		overlaps++;
	if (p->lane && j->number != next_in_lane[p->lane]++) /* only ever touched by one job at a time */
		order_faults++;
	for (int i = 0; i < j->number % 5; i++)
		sched_yield();
	if (p->lane)
		atomic_fetch_sub(&running[p->lane], 1);
	worked++;
}

static void done(struct pool_job *p)
{
	assert_true(pthread_equal(pthread_self(), owner));
	done_count++;
	mem_free(p);
}

static void wake(void *user)
{
	assert_ptr_equal(user, &wakes);
	wakes++;
}

static void reset(void)
{
	worked = overlaps = wakes = 0;
	order_faults = done_count = 0;
	memset(next_in_lane, 0, sizeof next_in_lane);
	owner = pthread_self();
}

static void submit(struct pool *p, uint64_t lane, int number)
{
	struct job *j = mem_alloc(sizeof *j);
	*j = (struct job){ .pool = { .work = work, .done = done, .lane = lane }, .number = number };
	pool_submit(p, &j->pool);
}

/* Lanes in order and never beside themselves, with any number of threads. */
static void lanes_keep_their_order(void **unused)
{
	(void)unused;
	static const unsigned threads[] = { 0, 1, 2, 8, 100 };
	for (size_t t = 0; t < COUNT(threads); t++) {
		int sent[LANES + 1] = { 0 };
		reset();
		struct pool *p = pool_new(threads[t], wake, &wakes);
		for (int i = 0; i < JOBS; i++) {
			uint64_t lane = (uint64_t)i * 31 % (LANES + 1);
			submit(p, lane, sent[lane]++);
			if (i % 97 == 0)
				pool_collect(p);
		}
		while (pool_pending(p) > 0) {
			pool_wait(p);
			assert_true(pool_collect(p));
		}
		assert_false(pool_collect(p));
		pool_wait(p); /* nothing is left: returns at once */
		assert_int_equal(worked, JOBS);
		assert_int_equal(done_count, JOBS);
		assert_int_equal(overlaps, 0);
		assert_int_equal(order_faults, 0);
		assert_int_equal(wakes, threads[t] ? JOBS : 0);
		pool_free(p);
	}
}

/* Two jobs that wait for each other: with two threads and different lanes both run at once. */
static pthread_barrier_t barrier;

static void meet(struct pool_job *p)
{
	(void)p;
	pthread_barrier_wait(&barrier);
}

static void nothing(struct pool_job *p)
{
	(void)p;
	done_count++;
}

static void different_lanes_run_at_once(void **unused)
{
	(void)unused;
	reset();
	struct pool_job jobs[2] = { { .work = meet, .done = nothing, .lane = 1 }, { .work = meet, .done = nothing, .lane = 2 } };
	assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
	struct pool *p = pool_new(2, NULL, NULL);
	pool_submit(p, &jobs[0]);
	pool_submit(p, &jobs[1]);
	while (pool_pending(p) > 0) {
		pool_wait(p);
		pool_collect(p);
	}
	assert_int_equal(done_count, 2);
	pool_free(p);
	pthread_barrier_destroy(&barrier);
}

/* `done` may submit the next job, as a lane does that stores page after page. */
static struct pool *chain_pool;

static void tick(struct pool_job *p)
{
	((struct job *)p)->number++;
}

static void again(struct pool_job *p)
{
	if (((struct job *)p)->number < 50)
		pool_submit(chain_pool, p);
}

static void done_may_submit(void **unused)
{
	(void)unused;
	for (unsigned threads = 0; threads <= 2; threads++) {
		struct job j = { .pool = { .work = tick, .done = again, .lane = 3 } };
		chain_pool = pool_new(threads, NULL, NULL);
		pool_submit(chain_pool, &j.pool);
		while (pool_pending(chain_pool) > 0) {
			pool_wait(chain_pool);
			pool_collect(chain_pool);
		}
		assert_int_equal(j.number, 50);
		pool_free(chain_pool);
	}
}

/* Freed with jobs in the queue: they run, their `done` does not. */
static void free_runs_what_is_queued(void **unused)
{
	(void)unused;
	for (unsigned threads = 0; threads <= 3; threads++) {
		static struct job jobs[STOPS];
		reset();
		struct pool *p = pool_new(threads, NULL, NULL);
		for (int i = 0; i < STOPS; i++) {
			jobs[i] = (struct job){ .pool = { .work = work, .done = nothing, .lane = 1 }, .number = i };
			pool_submit(p, &jobs[i].pool);
		}
		pool_free(p);
		assert_int_equal(worked, STOPS);
		assert_int_equal(order_faults, 0);
		assert_int_equal(done_count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lanes_keep_their_order),
		cmocka_unit_test(different_lanes_run_at_once),
		cmocka_unit_test(done_may_submit),
		cmocka_unit_test(free_runs_what_is_queued),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
