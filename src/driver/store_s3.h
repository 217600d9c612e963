/* The store on S3, and on what speaks its protocol: s3://bucket/prefix, the same keys and bytes as a folder.
 *
 *   - create is a PUT with If-None-Match: *. 412 is EXISTS, 409 is asked again. A request whose answer was lost is asked
 *     again too, and 412 then means that either we or somebody else was first: EXISTS as well, and UNKNOWN only where no
 *     answer came to the end. A store that does not know conditional writes would let two writers both be first: before
 *     the first write of a process it is tried on a key of its own below .tmp/ (three requests; not asked of AWS itself,
 *     where all stores have them), and refused unless single_writer says that nobody else writes. Then create looks first.
 *   - What has been answered is durable and seen by all (S3 is strongly consistent since 2020), so settle has nothing to
 *     do, and there are no folders to make or remove.
 *   - Objects up to the part size go as one PUT, larger ones in parts, several at a time; the last call has If-None-Match,
 *     too. Each request's SHA-256 is signed and checked by the service. It also checks, and keeps, SHA-256 (one PUT), CRC-32C (one PUT
 *     of 1 MiB or more) or CRC-64/NVME (parts, and the whole); what is read as a whole is checked against what it keeps.
 *   - Requests are repeated with full jitter and a budget for all together: connection trouble, 5xx, SlowDown, 409. Once each:
 *     the clock's skew is corrected by the service's Date, expired credentials are renewed.
 *   - Calls of several threads go at once, up to a maximum; each holds a connection of its own meanwhile.
 *
 * An object here may have others below it ("a" and "a/b"), and a name that is a prefix only counts as missing. Reads of one object that follow each other are
 * read ahead; what is read so is kept for a while (objects never change under their name, apart from the few that readers
 * fetch whole).
 *
 * Errors: ERR_STORAGE with code, message and request id of the service and advice; ERR_CONFIG and ERR_CREDENTIALS where
 * asking again cannot help; ERR_MISSING, ERR_DAMAGE and ERR_TOO_LARGE as every store. Source: Amazon S3 API reference. */
#ifndef SLUICE_DRIVER_STORE_S3_H
#define SLUICE_DRIVER_STORE_S3_H

#include "driver/aws_credentials.h"
#include "driver/store.h"

struct store_s3_options {
	struct str bucket, prefix; /* prefix: keys' parts with '/' between, "" for none */
	struct str region;
	struct str endpoint;       /* "https://host:port"; "": the region's own */
	bool path_style;           /* https://host/bucket/key, not https://bucket.host/key */
	bool single_writer;        /* the user's word that nobody else writes to this lake */
	struct str ca_file;        /* "": as the transport has it */
	struct aws_chain *chain;   /* the store's from then on; not where opening fails */
	struct clock *clock;
	/* The http seam; NULL: http_open_curl. Called by the thread that needs one more, and kept until the store closes. */
	bool (*http_open)(void *user, struct clock *clock, struct http **out, struct err *e);
	void *user;
	unsigned part_threads;     /* uploads of one large object at once; 0: in the caller's thread, for tests */
	size_t part_bytes;         /* 0: 8 MiB; at least 5 MiB on AWS */
};

enum { STORE_S3_PART_THREADS = 3 };

/* Asks nobody. */
bool store_open_s3(const struct store_s3_options *o, struct store **out, struct err *e);
/* Is anything below the prefix? One request, which fails where bucket, region or credentials are wrong. */
bool store_s3_look(struct store *s, bool *empty, struct err *e);

#endif
