/* Counting, and choosing what fails. See effect.h; empty without SLUICE_EFFECTS. */
#include "base/effect.h"

#ifdef SLUICE_EFFECTS
#include "base/check.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

static const struct {
	const char *name;
	int sys_errno;
} classes[EFFECT_CLASS_COUNT] = {
#define X(name_, sys_errno_) { #name_, sys_errno_ },
	EFFECT_CLASSES(X)
#undef X
};

static const struct {
	const char *name;
	int number;
} errors[] = {
	{ "ENOSPC", ENOSPC }, { "EIO", EIO }, { "EMFILE", EMFILE }, { "ENFILE", ENFILE }, { "EACCES", EACCES },
	{ "EINTR", EINTR }, { "EDQUOT", EDQUOT }, { "EROFS", EROFS }, { "EFBIG", EFBIG }, { "ENOMEM", ENOMEM },
	{ "EAGAIN", EAGAIN }, { "EPERM", EPERM }, { "ENOSYS", ENOSYS }, { "EMLINK", EMLINK }, { "ESTALE", ESTALE },
	{ "ENOENT", ENOENT }, { "ECHILD", ECHILD },
};

extern struct effect_site *__start_effect_sites[] __attribute__((weak, visibility("hidden")));
extern struct effect_site *__stop_effect_sites[] __attribute__((weak, visibility("hidden")));

static struct effect_file *shared; /* NULL: neither counted nor failed */
static struct {
	uint64_t first; /* 0: none */
	bool all_after;
	enum effect_verdict how;
	int sys_errno; /* 0: what is usual for the class */
	uint64_t only; /* a bit for each class */
} plan;
static _Thread_local int last_errno;
int64_t effect_now_us;

/* A test that asks for what is not understood must not pass for one without faults. */
static _Noreturn void refuse_to_start(const char *variable, const char *text)
{
	dprintf(STDERR_FILENO, "sluice: %s=%s: not understood, see base/effect.h\n", variable, text);
	_exit(2);
}

static bool plan_how(const char *how, size_t n)
{
	plan.how = EFFECT_REFUSE;
	if (n == 4 && memcmp(how, "lost", n) == 0)
		plan.how = EFFECT_LOSE;
	else if (n == 5 && memcmp(how, "short", n) == 0)
		plan.how = EFFECT_SHORTEN;
	else {
		for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
			if (strlen(errors[i].name) == n && memcmp(how, errors[i].name, n) == 0)
				plan.sys_errno = errors[i].number;
		return plan.sys_errno != 0;
	}
	return true;
}

static bool plan_only(const char *list)
{
	plan.only = 0;
	while (*list) {
		size_t n = strcspn(list, ",");
		uint64_t bit = 0;
		for (unsigned i = 0; i < EFFECT_CLASS_COUNT; i++)
			if (strlen(classes[i].name) == n && memcmp(list, classes[i].name, n) == 0)
				bit = UINT64_C(1) << i;
		if (!bit)
			return false;
		plan.only |= bit;
		list += n + (list[n] == ',');
	}
	return plan.only != 0;
}

static void plan_read(const char *text)
{
	char *end = NULL;
	plan.how = EFFECT_REFUSE;
	plan.only = UINT64_MAX;
	plan.first = strtoull(text, &end, 10);
	plan.all_after = *end == '+';
	end += plan.all_after;
	bool ok = plan.first > 0;
	if (ok && *end == ':') {
		size_t n = strcspn(end + 1, "@");
		ok = plan_how(end + 1, n);
		end += 1 + n;
	}
	if (ok && *end == '@')
		ok = plan_only(end + 1);
	else if (*end)
		ok = false;
	if (!ok)
		refuse_to_start("SLUICE_FAIL", text);
}

static struct effect_file *file_map(const char *path)
{
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;
	bool sized = fd >= 0 && ftruncate(fd, (off_t)sizeof(struct effect_file)) == 0;
	if (path && !sized)
		refuse_to_start("SLUICE_EFFECTS", path);
	void *p = mmap(NULL, sizeof(struct effect_file), PROT_READ | PROT_WRITE,
		       path ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS, fd, 0);
	if (p == MAP_FAILED)
		refuse_to_start("SLUICE_EFFECTS", path ? path : "");
	if (fd >= 0)
		close(fd);
	return p;
}

/* Before main: allocations of the first line count, too. Parent and child are the same program, so their sites agree. */
__attribute__((constructor)) static void effects_begin(void)
{
	const char *path = getenv("SLUICE_EFFECTS"), *fail = getenv("SLUICE_FAIL"), *now = getenv("SLUICE_EFFECTS_NOW");
	char *end = NULL;
	unsigned n = 0;
	if (now && *now) {
		effect_now_us = strtoll(now, &end, 10);
		if (effect_now_us <= 0 || *end)
			refuse_to_start("SLUICE_EFFECTS_NOW", now);
	}
	if (!path && !fail)
		return;
	if (fail && *fail)
		plan_read(fail);
	struct effect_file *f = file_map(path);
	for (struct effect_site **s = __start_effect_sites; s < __stop_effect_sites; s++) {
		struct effect_site *site = *s;
		const char *from = strstr(site->file, "src/");
		CHECK(n < EFFECT_SITES_MAX);
		site->index = n;
		snprintf(f->sites[n].text, sizeof f->sites[n].text, "%s:%d %s %s", from ? from : site->file, site->line,
			 classes[site->class].name, site->name);
		n++;
	}
	f->n_sites = n;
	shared = f;
}

/* Each another one, as numbers that are mixed: what is cut off their ends differs, too (splitmix64). */
bool effect_nonce(unsigned char *p, size_t n)
{
	if (!shared || effect_now_us == 0)
		return false;
	uint64_t x = (atomic_fetch_add(&shared->nonces, 1) + 1) * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(x >> i % 8 * 8);
	return true;
}

int effect_errno(void)
{
	return last_errno;
}

enum effect_verdict effect_count(const struct effect_site *site)
{
	if (!shared)
		return EFFECT_GO;
	uint64_t number = atomic_fetch_add(&shared->count, 1) + 1;
	atomic_fetch_add(&shared->sites[site->index].hits, 1);
	if (number <= EFFECT_LOG_MAX)
		atomic_store(&shared->log[number - 1], (uint16_t)site->index);
	if (plan.first == 0 || number < plan.first || (number > plan.first && !plan.all_after) ||
	    !(plan.only & UINT64_C(1) << site->class))
		return EFFECT_GO;
	atomic_fetch_add(&shared->failed, 1);
	atomic_fetch_add(&shared->sites[site->index].failed, 1);
	last_errno = plan.sys_errno ? plan.sys_errno : classes[site->class].sys_errno;
	return plan.how;
}

/* True: the caller may go on. Where a part or an afterwards makes no sense, nothing is done. */
static bool may(enum effect_verdict v)
{
	if (v != EFFECT_REFUSE)
		return true;
	errno = last_errno;
	return false;
}

static int answer(enum effect_verdict v, int result)
{
	if (v != EFFECT_LOSE)
		return result;
	errno = last_errno;
	return -1;
}

int effect_close(const struct effect_site *site, int fd)
{
	int result = close(fd); /* closed whatever it answers, close(2) */
	return may(effect_count(site)) ? result : -1;
}

int effect_fsync(const struct effect_site *site, int fd)
{
	enum effect_verdict v = effect_count(site);
	if (!may(v))
		return -1;
	struct trace_sync s = trace_sync_begin(fd);
	int result = fsync(fd);
	trace_sync_end(s, result == 0);
	return answer(v, result);
}

int effect_linkat(const struct effect_site *site, int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	enum effect_verdict v = effect_count(site);
	if (!may(v))
		return -1;
	int result = linkat(from_fd, from, to_fd, to, flags);
	if (result == 0)
		trace_named("link", from_fd, from, to_fd, to);
	return answer(v, result);
}

int effect_mkdirat(const struct effect_site *site, int fd, const char *path, mode_t mode)
{
	enum effect_verdict v = effect_count(site);
	if (!may(v))
		return -1;
	int result = fd == AT_FDCWD ? mkdir(path, mode) : mkdirat(fd, path, mode);
	if (result == 0)
		trace_folder(fd, path);
	return answer(v, result);
}

char *effect_mkdtemp(const struct effect_site *site, char *path)
{
	return may(effect_count(site)) ? mkdtemp(path) : NULL;
}

int effect_mkostemp(const struct effect_site *site, char *path, int flags)
{
	if (!may(effect_count(site)))
		return -1;
	int fd = mkostemp(path, flags);
	if (fd >= 0)
		trace_created(fd);
	return fd;
}

int effect_openat(const struct effect_site *site, int fd, const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (!may(effect_count(site)))
		return -1;
	int opened = openat(fd, path, flags, mode);
	if (opened >= 0 && flags & O_EXCL)
		trace_created(opened);
	return opened;
}

static size_t part_of(enum effect_verdict v, size_t n)
{
	return v == EFFECT_SHORTEN && n > 1 ? n / 2 : n;
}

ssize_t effect_pread(const struct effect_site *site, int fd, void *p, size_t n, off_t offset)
{
	enum effect_verdict v = effect_count(site);
	return may(v) ? pread(fd, p, part_of(v, n), offset) : -1;
}

ssize_t effect_read(const struct effect_site *site, int fd, void *p, size_t n)
{
	enum effect_verdict v = effect_count(site);
	return may(v) ? read(fd, p, part_of(v, n)) : -1;
}

int effect_renameat2(const struct effect_site *site, int from_fd, const char *from, int to_fd, const char *to,
		     unsigned flags)
{
	enum effect_verdict v = effect_count(site);
	if (!may(v))
		return -1;
	int result = renameat2(from_fd, from, to_fd, to, flags);
	if (result == 0)
		trace_named("rename", from_fd, from, to_fd, to);
	return answer(v, result);
}

int effect_unlinkat(const struct effect_site *site, int fd, const char *path, int flags)
{
	enum effect_verdict v = effect_count(site);
	if (!may(v))
		return -1;
	int result = unlinkat(fd, path, flags);
	if (result == 0)
		trace_removed(fd, path);
	return answer(v, result);
}

ssize_t effect_write(const struct effect_site *site, int fd, const void *p, size_t n)
{
	enum effect_verdict v = effect_count(site);
	if (!may(v))
		return -1;
	ssize_t result = write(fd, p, part_of(v, n));
	if (result > 0)
		trace_written(fd, p, (size_t)result);
	return v == EFFECT_LOSE ? (ssize_t)answer(v, 0) : result;
}
#endif
