/* Who is writing: this host, this process, and names that nobody else makes. */
#ifndef SLUICE_FORMAT_PROCESS_H
#define SLUICE_FORMAT_PROCESS_H

#include "base/mem.h"

enum { NONCE_HEX = 32 };

/* Who holds a ledger: stands in each claim. */
struct ledger_lease {
	struct str run_id, host, boot_id, pid_namespace;
	int64_t pid, started; /* start time of the process in clock ticks since boot */
	int64_t until_us;
};

struct ledger_lease process_lease(struct str run_id, int64_t until_us, struct arena *a);
bool process_same_host(struct str boot_id, struct str pid_namespace);
/* A process with this id that started then is there. A recycled id has another start time. */
bool process_alive(int64_t pid, int64_t started);
struct str process_nonce(struct arena *a); /* 128 random bits in hex */
struct str process_uuid(struct arena *a);  /* RFC 9562 version 4 */

#endif
