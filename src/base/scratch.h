/* A private folder for the time of one job, below $TMPDIR. It is locked (flock) while its process lives, so that a folder whose
 * owner was killed can be told from one at work, across containers too: whoever opens a scratch folder removes such
 * ones. */
#ifndef SLUICE_BASE_SCRATCH_H
#define SLUICE_BASE_SCRATCH_H

#include "base/err.h"
#include "base/mem.h"

struct scratch {
	char *path; /* NULL: not open */
	int lock_fd;
};

bool scratch_open(struct arena *a, struct scratch *out, struct err *e); /* ERR_STORAGE */
/* Removes it; what cannot be removed is left to the next run. */
void scratch_close(struct scratch *s);

#endif
