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

enum secret_kind { SECRET_ENV, SECRET_FILE, SECRET_AWS_SECRET, SECRET_AWS_SSM, SECRET_KINDS };
static const struct {
	struct str prefix;
	const char *marker; /* what stands before the name in a marker */
} KINDS[SECRET_KINDS] = {
	[SECRET_ENV] = { { "env:", 4 }, "" },
	[SECRET_FILE] = { { "file:", 5 }, "file." },
	[SECRET_AWS_SECRET] = { { "aws-secret:", 11 }, "aws-secret." },
	[SECRET_AWS_SSM] = { { "aws-ssm:", 8 }, "aws-ssm." },
};
enum { NAME_MAX_BYTES = 2048, KEY_MAX_BYTES = 256 };

static enum secret_kind kind_of(struct str reference, struct str *name)
{
	for (int i = 0; i < SECRET_KINDS; i++)
		if (str_starts(reference, KINDS[i].prefix)) {
			*name = str_sub(reference, KINDS[i].prefix.n, reference.n);
			return (enum secret_kind)i;
		}
	return SECRET_KINDS;
}

static bool env_name_ok(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!is_word(name.p[i]))
			return false;
	return name.n > 0 && !(name.p[0] >= '0' && name.p[0] <= '9');
}

/* What names and ARNs of both services are made of. */
static bool aws_name_ok(struct str name, bool with_key)
{
	size_t at = with_key ? str_find_char(name, '#') : name.n;
	struct str key = str_sub(name, at + 1, name.n);
	for (size_t i = 0; i < at; i++)
		if (!is_word(name.p[i]) && !(name.p[i] && strchr("/+=.@:-", name.p[i])))
			return false;
	for (size_t i = 0; i < key.n; i++)
		if (is_control(key.p[i]))
			return false;
	return at > 0 && at <= NAME_MAX_BYTES && (at == name.n || (key.n > 0 && key.n <= KEY_MAX_BYTES && str_is_utf8(key)));
}

bool secret_reference_ok(struct str reference)
{
	struct str name;
	switch (kind_of(reference, &name)) {
	case SECRET_ENV:
		return env_name_ok(name);
	case SECRET_FILE:
		for (size_t i = 0; i < name.n; i++)
			if (is_control(name.p[i]))
				return false;
		return name.n > 0 && reference.n <= 4096;
	case SECRET_AWS_SECRET:
		return aws_name_ok(name, true);
	case SECRET_AWS_SSM:
		return aws_name_ok(name, false);
	case SECRET_KINDS:
		break;
	}
	return false;
}

bool secret_is_fetched(struct str reference)
{
	struct str name;
	enum secret_kind kind = kind_of(reference, &name);
	return kind == SECRET_AWS_SECRET || kind == SECRET_AWS_SSM;
}

struct secret secret_make(struct str reference, struct arena *a)
{
	CHECK(secret_reference_ok(reference));
	struct str name;
	enum secret_kind kind = kind_of(reference, &name);
	/* The end of a path tells more than its beginning. */
	if (name.n > MARKER_NAME_MAX)
		name = str_sub(name, name.n - MARKER_NAME_MAX, name.n);
	char safe[MARKER_NAME_MAX];
	for (size_t i = 0; i < name.n; i++)
		safe[i] = is_word(name.p[i]) || name.p[i] == '.' || name.p[i] == '-' ? name.p[i] : '_';
	return (struct secret){
		.reference = arena_copy(a, reference),
		.marker = arena_format(a, "~secret.%s%.*s~", KINDS[kind].marker, (int)name.n, safe),
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
	struct str name = str_sub(s->reference, KINDS[SECRET_FILE].prefix.n, s->reference.n);
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

static bool env_load(const struct secret *s, struct arena *a, struct str *out, struct err *e)
{
	const char *name = s->reference.p + KINDS[SECRET_ENV].prefix.n; /* the copy ends in a NUL */
	const char *value = getenv(name);
	if (!value || !*value) {
		err_set(e, ERR_SECRET, "the environment variable %s is %s", name, value ? "empty" : "not set");
		return err_hint(e, "export %s=... in the shell that runs sluice", name);
	}
	*out = arena_copy(a, str_from(value));
	return true;
}

static bool fetched_load(const struct secret *s, struct secret_fetcher *fetcher, struct arena *a, struct str *out,
			 struct err *e)
{
	if (!fetcher)
		return err_set(e, ERR_SECRET, "the secret %.*s cannot be fetched here", STR_ARG(s->reference));
	if (!fetcher->fetch(fetcher, s->reference, a, out, e))
		return err_wrap(e, "the secret %.*s", STR_ARG(s->reference));
	if (str_ends(*out, STR("\n")))
		out->n--;
	return true;
}

bool secret_load(struct secret *s, struct secret_fetcher *fetcher, struct arena *a, struct err *e)
{
	struct str text = STR_NONE, name;
	enum secret_kind kind = kind_of(s->reference, &name);
	bool ok = kind == SECRET_ENV    ? env_load(s, a, &text, e)
		  : kind == SECRET_FILE ? file_load(s, a, &text, e)
					: fetched_load(s, fetcher, a, &text, e);
	if (!ok)
		return false;
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
