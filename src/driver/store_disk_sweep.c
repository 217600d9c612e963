/* Temporary files that nobody will give a name any more. */
#include "base/effect.h"
#include "driver/store_disk.h"

#include "base/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SWEEP_MAX = 1000, LOOK_MAX = 20000, WEEK_S = 7 * 24 * 3600 };

void disk_tmp_sweep(int root_fd)
{
	struct clock *clock = clock_system();
	int64_t oldest_s = clock->wall_us(clock) / 1000000 - WEEK_S;
	int fd = sys_openat(root_fd, ".tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *folder = fd >= 0 ? sys_fdopendir(fd) : NULL;
	if (!folder) {
		disk_close_fd(fd);
		return;
	}
	struct dirent *entry;
	for (int looked = 0, removed = 0; looked < LOOK_MAX && removed < SWEEP_MAX && (entry = sys_readdir(folder)); looked++) {
		struct stat st;
		if (sys_fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    st.st_mtim.tv_sec < oldest_s && sys_unlinkat(fd, entry->d_name, 0) == 0)
			removed++;
	}
	closedir(folder);
}
