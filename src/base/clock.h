/* Time: one of the four seams. Nothing else in the program asks the operating system for the time or sleeps.
 *
 * Monotonic time is for waiting and measuring, wall time is only ever a label. Tests put a fake clock in place,
 * whose sleeps return at once and move it forward. A signal may end a sleep early; who must wait for a point in time
 * looks at monotonic_us again. */
#ifndef SLUICE_BASE_CLOCK_H
#define SLUICE_BASE_CLOCK_H

#include <stdint.h>

struct clock {
	int64_t (*wall_us)(struct clock *c);      /* microseconds since 1970-01-01T00:00:00Z */
	int64_t (*monotonic_us)(struct clock *c); /* microseconds since some fixed point */
	void (*sleep_us)(struct clock *c, int64_t us);
};

struct clock *clock_system(void);

struct clock_fake {
	struct clock clock;
	int64_t wall_us, monotonic_us, slept_us;
};
void clock_fake_init(struct clock_fake *f, int64_t wall_us);

#endif
