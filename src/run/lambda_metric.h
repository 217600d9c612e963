/* What an invocation did, as metrics: lines of CloudWatch's embedded metric format, which the log agent picks out of what is
 * written to standard output. One line for the invocation, one for each resource that it asked for. */
#ifndef SLUICE_RUN_LAMBDA_METRIC_H
#define SLUICE_RUN_LAMBDA_METRIC_H

#include "run/runner.h"

uint64_t lambda_windows_left(const struct plan_resource *p); /* wanted, and not sealed yet */
void lambda_metrics_put(const struct run_result *r, struct str pipeline, struct str request_id, int64_t now_us, struct buf *out);

#endif
