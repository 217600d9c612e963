/* Case files of models: blocks that begin with "== name"; lines with '#' before the first one are comments. */
#ifndef SLUICE_TEST_REFINE_CASE_H
#define SLUICE_TEST_REFINE_CASE_H

#include "unit.h"

#include "base/file.h"
#include "refine/model.h"

struct case_file {
	struct str rest;
};
struct case_block {
	struct str name, body; /* body: the lines up to the next block */
};

static inline struct case_file case_open(const char *path, struct arena *a)
{
	struct case_file f;
	OK(file_read(path, 1 << 20, a, &f.rest, e));
	size_t first = str_find(f.rest, STR("\n== "));
	f.rest = str_sub(f.rest, first + 1, f.rest.n);
	return f;
}

static inline bool case_next(struct case_file *f, struct case_block *out)
{
	struct str line;
	if (!str_cut(&f->rest, '\n', &line))
		return false;
	assert_true(str_starts(line, STR("== ")));
	out->name = str_sub(line, 3, line.n);
	size_t n = str_find(f->rest, STR("\n== "));
	n = n < f->rest.n ? n + 1 : n;
	out->body = str_sub(f->rest, 0, n);
	f->rest = str_sub(f->rest, n, f->rest.n);
	return true;
}

#endif
