#include "unit.h"

#include "base/clock.h"

#include <time.h>

static void fake(void **state)
{
	(void)state;
	struct clock_fake f;
	clock_fake_init(&f, 1000000000);
	struct clock *c = &f.clock;
	assert_true(c->wall_us(c) == 1000000000);
	int64_t start = c->monotonic_us(c);
	c->sleep_us(c, 250);
	c->sleep_us(c, INT64_C(3600000000)); /* an hour, at once */
	c->sleep_us(c, 0);
	c->sleep_us(c, -5);
	assert_true(c->wall_us(c) == INT64_C(4600000250));
	assert_true(c->monotonic_us(c) - start == INT64_C(3600000250));
	assert_true(f.slept_us == INT64_C(3600000250));
	f.wall_us -= 100; /* a label may jump; waiting does not notice */
	assert_true(c->wall_us(c) == INT64_C(4600000150));
	assert_true(c->monotonic_us(c) - start == INT64_C(3600000250));
}

static void real(void **state)
{
	(void)state;
	struct clock *c = clock_system();
	int64_t seconds = time(NULL), wall = c->wall_us(c) / 1000000;
	assert_true(wall >= seconds - 2 && wall <= seconds + 2);
	int64_t last = c->monotonic_us(c);
	for (int i = 0; i < 1000; i++) {
		int64_t now = c->monotonic_us(c);
		assert_true(now >= last);
		last = now;
	}
	c->sleep_us(c, 0);
	c->sleep_us(c, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(fake), cmocka_unit_test(real) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
