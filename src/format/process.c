#include "format/process.h"

#include "base/check.h"
#include "base/effect.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { PROC_FILE_MAX = 4096 };

static struct str read_line(const char *path, struct arena *a)
{
	struct str text = STR_NONE;
	struct err ignored = ERR_INIT;
	if (!file_read(path, PROC_FILE_MAX, a, &text, &ignored))
		return STR_NONE;
	return str_trim(text);
}

static struct str boot_id(struct arena *a)
{
	return read_line("/proc/sys/kernel/random/boot_id", a);
}

static struct str pid_namespace(struct arena *a)
{
	char link[128];
	ssize_t n = sys_readlink("/proc/self/ns/pid", link, sizeof link);
	return n > 0 ? arena_copy(a, (struct str){ link, (size_t)n }) : STR_NONE;
}

/* Field 22 of /proc/<pid>/stat (proc(5)); the second field may hold spaces and parentheses, so count from the last ')'. */
static int64_t start_time(int64_t pid)
{
	struct arena a = ARENA_INIT;
	int64_t started = -1;
	struct str text = read_line(arena_format(&a, "/proc/%lld/stat", (long long)pid).p, &a);
	size_t at = text.n;
	while (at > 0 && text.p[at - 1] != ')')
		at--;
	struct str rest = str_trim(str_sub(text, at, text.n - at)), field;
	for (int i = 3; at > 0 && str_cut(&rest, ' ', &field); i++) {
		/* A zombie has a start time too, and will never write again. */
		if (i == 3 && (str_eq(field, STR("Z")) || str_eq(field, STR("X"))))
			break;
		if (i == 22) {
			if (!str_to_i64(field, &started))
				started = -1;
			break;
		}
	}
	arena_free(&a);
	return started;
}

struct ledger_lease process_lease(struct str run_id, int64_t until_us, struct arena *a)
{
	char host[256] = "";
	int64_t pid = getpid(), started = start_time(pid);
	if (EFFECT_NOW_US) { /* no process has that one */
		pid = INT32_MAX;
		started = 1;
	}
	if (gethostname(host, sizeof host - 1) != 0)
		host[0] = '\0';
	return (struct ledger_lease){
		.run_id = run_id,
		.host = arena_copy(a, str_from(host)),
		.boot_id = boot_id(a),
		.pid_namespace = pid_namespace(a),
		.pid = pid,
		.started = started,
		.until_us = until_us,
	};
}

bool process_same_host(struct str boot, struct str pids)
{
	struct arena a = ARENA_INIT;
	bool same = boot.n > 0 && str_eq(boot, boot_id(&a)) && str_eq(pids, pid_namespace(&a));
	arena_free(&a);
	return same;
}

bool process_alive(int64_t pid, int64_t started)
{
	int64_t now = start_time(pid);
	return now >= 0 && now == started;
}

static void random_bytes(unsigned char *p, size_t n)
{
	size_t got = 0;
	while (got < n) {
		ssize_t r = getrandom(p + got, n - got, 0);
		CHECK(r > 0); /* up to 256 bytes cannot be interrupted once the pool is ready, getrandom(2) */
		got += (size_t)r;
	}
}

struct str process_nonce(struct arena *a)
{
	unsigned char b[NONCE_HEX / 2];
	char hex[NONCE_HEX + 1];
	if (!EFFECT_NONCE(b, sizeof b))
		random_bytes(b, sizeof b);
	for (size_t i = 0; i < sizeof b; i++)
		CHECK(snprintf(hex + 2 * i, 3, "%02x", b[i]) == 2);
	return arena_copy(a, (struct str){ hex, NONCE_HEX });
}

struct str process_uuid(struct arena *a)
{
	struct str h = process_nonce(a);
	char *p = arena_zero_terminated(a, h);
	p[12] = '4';
	p[16] = "89ab"[(unsigned char)p[16] & 3];
	return arena_format(a, "%.8s-%.4s-%.4s-%.4s-%.12s", p, p + 8, p + 12, p + 16, p + 20);
}
