/* What a folder of the disk store holds. */
#include "driver/store_disk.h"

#include "base/effect.h"

#include <stdlib.h>

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct store_item *)a)->name, ((const struct store_item *)b)->name);
}

/* What cannot be a key (a link, a socket, a stray name with a space in it) is not ours and is not listed. */
static bool list_entry(int fd, const struct dirent *found, bool at_root, bool names_only, struct arena *a,
		       struct store_listing *out)
{
	struct str s = str_from(found->d_name);
	if (!store_key_ok(s) && (at_root || !str_eq_z(s, ".tmp")))
		return true;
	struct store_item item = { .is_folder = found->d_type == DT_DIR };
	/* Some file systems do not tell the kind with the name. */
	if (!names_only || (found->d_type != DT_REG && found->d_type != DT_DIR)) {
		struct stat st;
		if (sys_fstatat(fd, found->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1)
			return errno == ENOENT; /* gone since */
		if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
			return true;
		item.is_folder = S_ISDIR(st.st_mode);
		item.size_bytes = item.is_folder ? 0 : (uint64_t)st.st_size;
		item.changed_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
	}
	item.name = arena_copy(a, s);
	*arena_push(a, *out) = item;
	return true;
}

static bool list_folder(struct store *s, struct str folder, bool names_only, struct arena *a, struct store_listing *out,
			struct err *e)
{
	struct disk *d = disk_of(s);
	*out = (struct store_listing){ 0 };
	int fd;
	bool sync_bad = false;
	if (!disk_walk_folder(d, folder, WALK_FIND, &fd, &sync_bad))
		return errno == ENOENT || disk_fail(d, folder, errno, e);
	DIR *dir = sys_fdopendir(fd);
	if (!dir) {
		disk_close_fd(fd);
		return disk_fail(d, folder, errno, e);
	}
	bool ok = true;
	struct dirent *entry;
	while (ok && (errno = 0, entry = sys_readdir(dir)) != NULL)
		ok = list_entry(fd, entry, folder.n == 0, names_only, a, out);
	int failed = errno;
	closedir(dir);
	if (!ok || (!entry && failed != 0))
		return disk_fail(d, folder, failed == ENOENT ? EIO : failed, e);
	if (out->n)
		qsort(out->v, out->n, sizeof *out->v, by_name);
	return true;
}

bool disk_list(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	return list_folder(s, folder, false, a, out, e);
}

bool disk_list_names(struct store *s, struct str folder, struct arena *a, struct store_listing *out, struct err *e)
{
	return list_folder(s, folder, true, a, out, e);
}
