#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void check_failed(const char *condition, const char *file, int line, const char *function)
{
	dprintf(STDERR_FILENO,
		"sluice: a mistake in sluice itself: CHECK(%s) failed in %s, %s:%d; please report it\n", condition,
		function, file, line);
	abort();
}
