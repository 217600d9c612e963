#include "config/secret.h"

#include "base/check.h"
#include "base/effect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MARKER_NAME_MAX = 128 };

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

bool secret_reference_ok(struct str reference)
{
	if (str_starts(reference, STR("env:"))) {
		struct str name = str_sub(reference, 4, reference.n);
		if (!name.n || (name.p[0] >= '0' && name.p[0] <= '9'))
			return false;
		for (size_t i = 0; i < name.n; i++)
			if (!is_word(name.p[i]))
				return false;
		return true;
	}
	if (!str_starts(reference, STR("file:")) || reference.n == 5 || reference.n > 4096)
		return false;
	for (size_t i = 0; i < reference.n; i++)
		if (is_control(reference.p[i]))
			return false;
	return true;
}

struct secret secret_make(struct str reference, struct arena *a)
{
	CHECK(secret_reference_ok(reference));
	bool env = str_starts(reference, STR("env:"));
	struct str name = str_sub(reference, env ? 4 : 5, reference.n);
	/* The end of a path tells more than its beginning. */
	if (name.n > MARKER_NAME_MAX)
		name = str_sub(name, name.n - MARKER_NAME_MAX, name.n);
	char safe[MARKER_NAME_MAX];
	for (size_t i = 0; i < name.n; i++)
		safe[i] = is_word(name.p[i]) || name.p[i] == '.' || name.p[i] == '-' ? name.p[i] : '_';
	return (struct secret){
		.reference = arena_copy(a, reference),
		.marker = arena_format(a, "~secret.%s%.*s~", env ? "" : "file.", (int)name.n, safe),
	};
}

/* ── loading ── */

/* A name or rights that are wrong want another configuration; trouble of the machine wants another try. */
static bool file_fail(int sys_errno, const char *path, struct err *e)
{
	bool wrong = sys_errno == ENOENT || sys_errno == ENOTDIR || sys_errno == EACCES || sys_errno == EPERM ||
		     sys_errno == EISDIR || sys_errno == ELOOP || sys_errno == ENAMETOOLONG || sys_errno == ENXIO;
	return err_set_errno(e, wrong ? ERR_SECRET : ERR_STORAGE, sys_errno, "secret file %s", path);
}

static bool file_check(int fd, const char *path, struct err *e)
{
	struct stat st;
	if (sys_fstat(fd, &st) != 0)
		return file_fail(errno, path, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_SECRET, "secret file %s: not a regular file", path);
	if (st.st_uid != geteuid()) {
		err_set(e, ERR_SECRET, "secret file %s: belongs to another user (uid %u)", path, (unsigned)st.st_uid);
		return err_hint(e, "make a copy that belongs to the user who runs sluice, mode 0600");
	}
	if (st.st_mode & 077) {
		err_set(e, ERR_SECRET, "secret file %s: mode %04o lets others at it", path,
			(unsigned)st.st_mode & 07777);
		return err_hint(e, "chmod 600 %s", path);
	}
	return true;
}

static bool fd_read(int fd, const char *path, struct buf *text, struct err *e)
{
	for (;;) {
		char *room = buf_room(text, 4096);
		if (!room)
			return err_set(e, ERR_SECRET, "secret file %s: longer than %d bytes", path, SECRET_MAX_BYTES);
		ssize_t n = sys_read(fd, room, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return file_fail(errno, path, e);
		if (n == 0)
			return true;
		text->n += (size_t)n;
	}
}

static bool file_load(const struct secret *s, struct arena *a, struct str *out, struct err *e)
{
	struct str name = str_sub(s->reference, 5, s->reference.n);
	bool relative = name.p[0] != '/' && s->folder.n > 0;
	struct str joined = relative ? arena_format(a, "%.*s/%.*s", STR_ARG(s->folder), STR_ARG(name)) : name;
	const char *path = arena_zero_terminated(a, joined);
	/* Not blocking, so that a pipe in its place is met by the check below and not waited for. */
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return file_fail(errno, path, e);
	struct buf text = BUF_INIT(SECRET_MAX_BYTES + 2 + 4096);
	bool ok = file_check(fd, path, e) && fd_read(fd, path, &text, e);
	close(fd);
	if (ok) {
		struct str all = buf_str(&text);
		if (str_ends(all, STR("\n")))
			all.n--;
		if (str_ends(all, STR("\r")))
			all.n--;
		*out = arena_copy(a, all);
	}
	if (text.p)
		explicit_bzero(text.p, text.cap);
	buf_free(&text);
	return ok;
}

bool secret_load(struct secret *s, struct arena *a, struct err *e)
{
	struct str text = STR_NONE;
	if (str_starts(s->reference, STR("env:"))) {
		const char *name = s->reference.p + 4; /* the copy ends in a NUL */
		const char *value = getenv(name);
		if (!value || !*value) {
			err_set(e, ERR_SECRET, "the environment variable %s is %s", name, value ? "empty" : "not set");
			return err_hint(e, "export %s=... in the shell that runs sluice", name);
		}
		text = arena_copy(a, str_from(value));
	} else if (!file_load(s, a, &text, e)) {
		return false;
	}
	const char *fault = NULL;
	if (!text.n)
		fault = "is empty";
	else if (text.n > SECRET_MAX_BYTES)
		fault = "is longer than 16384 bytes";
	else if (!str_is_utf8(text))
		fault = "is not UTF-8";
	for (size_t i = 0; i < text.n && !fault; i++)
		if (is_control(text.p[i]))
			fault = "holds a control character (a line break?)";
	if (fault)
		return err_set(e, ERR_SECRET, "the secret %.*s %s", STR_ARG(s->reference), fault);
	s->hidden = text;
	return true;
}

bool secret_is_short(const struct secret *s)
{
	return s->hidden.n > 0 && s->hidden.n < SECRET_SEARCH_MIN_BYTES;
}

void secret_set_add(struct secret_set *set, const struct secret *s)
{
	CHECK(set->n < SECRETS_MAX);
	CHECK(s->hidden.n > 0);
	set->v[set->n++] = s;
}
