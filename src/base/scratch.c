#include "base/scratch.h"

#include "base/clock.h"
#include "base/effect.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "sluice-job-"

/* A folder is not yet locked in the moment after it was made; one that is older than this is. */
enum { UNLOCKED_S = 60, LOOK_MAX = 20000, SWEEP_MAX = 100 };

static int lock_folder(int at, const char *name)
{
	int fd = sys_openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Ours by name and owner, old enough, and nobody holds it. */
static bool is_forgotten(int at, const char *name, int64_t now_s)
{
	struct stat st;
	return strncmp(name, PREFIX, sizeof PREFIX - 1) == 0 && sys_fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode) && st.st_uid == geteuid() && st.st_mtim.tv_sec < now_s - UNLOCKED_S;
}

static void sweep(const char *folder)
{
	struct clock *clock = clock_system();
	struct arena a = ARENA_INIT;
	int64_t now_s = clock->wall_us(clock) / 1000000;
	DIR *dir = sys_opendir(folder);
	struct dirent *entry;
	for (int looked = 0, removed = 0; dir && looked < LOOK_MAX && removed < SWEEP_MAX && (entry = sys_readdir(dir)); looked++) {
		if (!is_forgotten(dirfd(dir), entry->d_name, now_s))
			continue;
		int fd = lock_folder(dirfd(dir), entry->d_name);
		struct err ignored = ERR_INIT;
		if (fd >= 0) {
			file_remove_tree(arena_format(&a, "%s/%s", folder, entry->d_name).p, &ignored);
			close(fd);
			removed++;
		}
	}
	if (dir)
		closedir(dir);
	arena_free(&a);
}

bool scratch_open(struct arena *a, struct scratch *out, struct err *e)
{
	const char *folder = getenv("TMPDIR");
	if (!folder || !folder[0])
		folder = "/tmp";
	sweep(folder);
	char *made = arena_zero_terminated(a, arena_format(a, "%s/" PREFIX "XXXXXX", folder));
	if (!sys_mkdtemp(made)) /* makes it with mode 0700 */
		return err_set_errno(e, ERR_STORAGE, errno, "making a scratch folder in %s", folder);
	/* Where locks are not known, it works all the same, and stays behind after a kill: no sweep can lock it either. */
	*out = (struct scratch){ made, lock_folder(AT_FDCWD, made) };
	return true;
}

void scratch_close(struct scratch *s)
{
	struct err ignored = ERR_INIT;
	if (s->path == NULL)
		return;
	file_remove_tree(s->path, &ignored);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	*s = (struct scratch){ NULL, -1 };
}
