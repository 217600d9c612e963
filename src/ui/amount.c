#include "ui/amount.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>

struct amount amount_count(uint64_t v)
{
	struct amount a;
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%" PRIu64, v), k = 0;
	CHECK(n > 0 && n <= 20);
	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			a.text[k++] = ',';
		a.text[k++] = digits[i];
	}
	a.text[k] = '\0';
	return a;
}

struct amount amount_things(uint64_t v, const char *thing)
{
	struct amount a;
	int n = snprintf(a.text, sizeof a.text, "%s %s%s", amount_count(v).text, thing, v == 1 ? "" : "s");
	CHECK(n > 0 && (size_t)n < sizeof a.text);
	return a;
}

struct amount amount_size(uint64_t bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
	struct amount a;
	double v = (double)bytes;
	size_t u = 0;
	while (v >= 999.95 && u < 5) {
		v /= 1000;
		u++;
	}
	int n = snprintf(a.text, sizeof a.text, "%.*f %s", u == 0 ? 0 : 1, v, units[u]);
	CHECK(n > 0 && (size_t)n < sizeof a.text);
	return a;
}

struct amount amount_time(int64_t us)
{
	struct amount a;
	int64_t s = us / 1000000;
	int n;
	if (us < 1000000)
		n = snprintf(a.text, sizeof a.text, "%.0f ms", (double)us / 1e3);
	else if (s < 60)
		n = snprintf(a.text, sizeof a.text, "%.1f s", (double)us / 1e6);
	else if (s < 3600)
		n = snprintf(a.text, sizeof a.text, "%d min %02d s", (int)(s / 60), (int)(s % 60));
	else
		n = snprintf(a.text, sizeof a.text, "%" PRId64 " h %02d min", s / 3600, (int)(s / 60 % 60));
	CHECK(n > 0 && (size_t)n < sizeof a.text);
	return a;
}
