/* For tests that write files: a folder of their own is the current one while the group runs. */
#ifndef SLUICE_TEST_CONFIG_IN_FOLDER_H
#define SLUICE_TEST_CONFIG_IN_FOLDER_H

#include "unit.h"

#include "base/file.h"

#include <unistd.h>

static inline int folder_enter(void **state)
{
	struct arena *a = mem_alloc(sizeof *a);
	char *folder;
	OK(file_make_scratch(NULL, a, &folder, e));
	assert_int_equal(chdir(folder), 0);
	*state = a;
	return 0;
}

static inline int folder_leave(void **state)
{
	char folder[4096];
	assert_non_null(getcwd(folder, sizeof folder));
	OK(file_remove_tree(folder, e));
	arena_free(*state);
	mem_free(*state);
	return 0;
}

#endif
