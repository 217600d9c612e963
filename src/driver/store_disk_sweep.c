/* Temporary files that nobody will give a name any more. */
#include "base/effect.h"
#include "driver/store_disk.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SWEEP_MAX = 1000, LOOK_MAX = 20000, WEEK_S = 7 * 24 * 3600 };

/* "<pid>-<counter>-<16 hex digits>", as disk_tmp_open names them: the folder may be one that others use as well, above all
 * where a mistyped path names no lake at all. */
static bool is_ours(struct str name)
{
	uint64_t n;
	size_t dash = str_find_char(name, '-');
	struct str rest = str_sub(name, dash + 1, SIZE_MAX);
	size_t second = str_find_char(rest, '-');
	struct str random = str_sub(rest, second + 1, SIZE_MAX);
	if (dash >= name.n || second >= rest.n || random.n != 16 || !str_to_u64(str_sub(name, 0, dash), &n) ||
	    !str_to_u64(str_sub(rest, 0, second), &n))
		return false;
	for (size_t i = 0; i < random.n; i++)
		if (!((random.p[i] >= '0' && random.p[i] <= '9') || (random.p[i] >= 'a' && random.p[i] <= 'f')))
			return false;
	return true;
}

/* Our regular files last written to before `before_s`, at most so many. False with errno. */
static bool sweep(int root_fd, int64_t before_s, bool remove, uint64_t look_max, uint64_t sweep_max, uint64_t *n, uint64_t *bytes)
{
	int fd = sys_openat(root_fd, ".tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *folder = fd >= 0 ? sys_fdopendir(fd) : NULL;
	if (!folder) {
		disk_close_fd(fd);
		return errno == ENOENT;
	}
	struct dirent *entry;
	bool ok = true;
	for (uint64_t looked = 0; ok && looked < look_max && *n < sweep_max && (entry = sys_readdir(folder)); looked++) {
		struct stat st;
		if (!is_ours(str_from(entry->d_name)) || sys_fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
		    st.st_mtim.tv_sec >= before_s)
			continue;
		ok = !remove || sys_unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT;
		*n += ok;
		*bytes += ok ? (uint64_t)st.st_size : 0;
	}
	int failed = errno;
	closedir(folder);
	errno = failed;
	return ok;
}

void disk_tmp_sweep(int root_fd)
{
	struct clock *clock = clock_system();
	uint64_t n = 0, bytes = 0;
	sweep(root_fd, clock->wall_us(clock) / 1000000 - WEEK_S, true, LOOK_MAX, SWEEP_MAX, &n, &bytes);
}

bool disk_sweep(struct store *s, int64_t before_us, bool remove, uint64_t *n, uint64_t *bytes, struct err *e)
{
	struct disk *d = disk_of(s);
	return sweep(d->root_fd, before_us / 1000000, remove, UINT64_MAX, UINT64_MAX, n, bytes) ||
	       err_set_errno(e, ERR_STORAGE, errno, "%.*s/.tmp", STR_ARG(s->url));
}
