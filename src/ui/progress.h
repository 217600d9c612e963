/* The progress display of a run: a few lines on a terminal, redrawn in place about ten times a second, nothing elsewhere.
 * Log lines step in front of it. One per process. */
#ifndef SLUICE_UI_PROGRESS_H
#define SLUICE_UI_PROGRESS_H

#include "run/runner.h"

struct progress;
struct progress *progress_open(bool wanted, struct arena *a); /* NULL: no terminal, or not wanted */
void progress_draw(void *progress, const struct run_progress *p); /* for run_options.progress */
void progress_close(struct progress *p); /* takes the lines away; NULL is fine */

#endif
