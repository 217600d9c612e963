/* One signed call of an AWS service that speaks JSON 1.1 (Secrets Manager, SSM) or the query protocol (STS): POST, signed,
 * repeated where that is safe. Calls through here must be such that asking twice does no harm.
 *
 * Repeated (5 times, full jitter, 200 ms to 5 s): connection trouble, 5xx, 429, throttling. Once each: the clock's skew is
 * corrected by the service's Date; expired credentials are renewed. Everything else is an error with the service's code and
 * message; the body of a success stands in no message. One thread per caller. */
#ifndef SLUICE_DRIVER_AWS_CALL_H
#define SLUICE_DRIVER_AWS_CALL_H

#include "driver/aws_credentials.h"

struct aws_caller {
	struct http *http;
	struct clock *clock;
	struct aws_chain *chain;                 /* NULL: `fixed` signs */
	const struct aws_credentials *fixed;     /* NULL with chain NULL: unsigned (AssumeRoleWithWebIdentity) */
	struct str region;
	struct str endpoint;                     /* "https://host[:port]", "": the service's own for the region */
	uint64_t random;                         /* state of the jitter; any number */
	int64_t skew_us;                         /* added to the wall clock; 0 at first, kept between calls */
};

struct aws_operation {
	const char *service; /* signing name and first part of the host: "secretsmanager", "ssm", "sts" */
	const char *target;  /* X-Amz-Target of JSON 1.1; NULL: query protocol, the body is a form */
	struct str body;
};

enum { AWS_ANSWER_MAX_BYTES = 1 << 20 };

/* The body of the 200. ERR_CREDENTIALS: not allowed, or the credentials are not accepted; ERR_MISSING: ResourceNotFound,
 * ParameterNotFound; ERR_HTTP_STATUS: another refusal; ERR_HTTP_BUSY, TIMEOUT, CONNECT ...: still failing after the repeats. */
bool aws_call(struct aws_caller *c, const struct aws_operation *o, struct arena *a, struct str *answer, struct err *e);

/* "https://host:port" into its parts. ERR_CONFIG for anything else, and for plain http to another place than loopback. */
bool aws_endpoint_parse(struct str endpoint, struct str *scheme, struct str *host, struct err *e);
/* What may stand in a host's name and in a signature: letters, digits and dashes, 63 at most, as botocore has it. ERR_CONFIG. */
bool aws_region_ok(struct str region);
bool aws_region_check(struct str region, const char *where, struct err *e);
/* "secretsmanager.eu-central-1.amazonaws.com": by partition. The region is one that is ok, or "". */
struct str aws_service_host(const char *service, struct str region, struct arena *a);

#endif
