#include "base/clock.h"

#include "base/check.h"
#include "base/effect.h"

#include <stddef.h>
#include <time.h>

static int64_t now_us(clockid_t which)
{
	struct timespec t;
	CHECK(clock_gettime(which, &t) == 0);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t system_wall_us(struct clock *c)
{
	(void)c;
	return EFFECT_NOW_US ? EFFECT_NOW_US : now_us(CLOCK_REALTIME);
}

static int64_t system_monotonic_us(struct clock *c)
{
	(void)c;
	return now_us(CLOCK_MONOTONIC);
}

static void system_sleep_us(struct clock *c, int64_t us)
{
	(void)c;
	if (us <= 0)
		return;
	struct timespec t = { .tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000 };
	/* A signal ends it: whoever pressed Ctrl-C during a long Retry-After is not kept waiting. */
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

struct clock *clock_system(void)
{
	static struct clock system = { system_wall_us, system_monotonic_us, system_sleep_us };
	return &system;
}

/* Workers may share one fake clock, hence the atomic accesses. `clock` is its first member. */
static int64_t fake_wall_us(struct clock *c)
{
	return __atomic_load_n(&((struct clock_fake *)c)->wall_us, __ATOMIC_SEQ_CST);
}

static int64_t fake_monotonic_us(struct clock *c)
{
	return __atomic_load_n(&((struct clock_fake *)c)->monotonic_us, __ATOMIC_SEQ_CST);
}

static void fake_sleep_us(struct clock *c, int64_t us)
{
	struct clock_fake *f = (struct clock_fake *)c;
	if (us <= 0)
		return;
	__atomic_fetch_add(&f->wall_us, us, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&f->monotonic_us, us, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&f->slept_us, us, __ATOMIC_SEQ_CST);
}

void clock_fake_init(struct clock_fake *f, int64_t wall_us)
{
	_Static_assert(offsetof(struct clock_fake, clock) == 0, "a struct clock * is a struct clock_fake *");
	*f = (struct clock_fake){
		.clock = { fake_wall_us, fake_monotonic_us, fake_sleep_us },
		.wall_us = wall_us,
	};
}
