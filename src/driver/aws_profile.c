/* The shared files, ~/.aws/credentials and ~/.aws/config, and what their profiles say of credentials. */
#include "driver/aws_parts.h"

#include "base/check.h"
#include "base/effect.h"

#include <errno.h>
#include <string.h>

/* ── reading a file ── */

static bool stat_check(const struct stat *st, const char *path, bool with_keys, struct err *e)
{
	if (!S_ISREG(st->st_mode))
		return err_set(e, ERR_CREDENTIALS, "%s: not a regular file", path);
	if (st->st_uid != geteuid() && st->st_uid != 0) {
		err_set(e, ERR_CREDENTIALS, "%s: belongs to another user (uid %u)", path, (unsigned)st->st_uid);
		return err_hint(e, "make a copy that belongs to the user who runs sluice, mode 0600");
	}
	unsigned mode = (unsigned)st->st_mode & 07777;
	if (mode & (with_keys ? 077u : 022u)) {
		err_set(e, ERR_CREDENTIALS, "%s: mode %04o lets others %s", path, mode, with_keys ? "at it" : "write to it");
		return err_hint(e, "chmod 600 %s", path);
	}
	return true;
}

static bool fd_read(int fd, const char *path, size_t max_bytes, struct arena *a, struct str *out, struct err *e)
{
	struct buf text = BUF_INIT(max_bytes + 4097);
	bool ok = true;
	for (;;) {
		char *room = text.n <= max_bytes ? buf_room(&text, 4096) : NULL;
		ssize_t n = room ? sys_read(fd, room, 4096) : 0;
		if (!room)
			ok = err_set(e, ERR_CREDENTIALS, "%s: longer than %zu bytes", path, max_bytes);
		else if (n < 0 && errno != EINTR)
			ok = err_set_errno(e, ERR_STORAGE, errno, "%s", path);
		else if (n > 0)
			text.n += (size_t)n;
		if (!ok || n == 0)
			break;
	}
	if (ok)
		*out = arena_copy(a, buf_str(&text));
	if (text.p)
		explicit_bzero(text.p, text.cap);
	buf_free(&text);
	return ok;
}

static bool open_fail(const char *path, struct err *e)
{
	int n = errno;
	bool wrong = n == ENOENT || n == ENOTDIR || n == EACCES || n == EPERM || n == ELOOP || n == ENAMETOOLONG;
	return err_set_errno(e, wrong ? ERR_CREDENTIALS : ERR_STORAGE, n, "%s", path);
}

bool aws_file_read(const char *path, size_t max_bytes, bool with_keys, struct arena *a, struct str *out, struct err *e)
{
	struct stat st;
	/* Not blocking, so that a pipe in its place is met by the check below and not waited for. */
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return open_fail(path, e);
	bool ok = sys_fstat(fd, &st) == 0 ? stat_check(&st, path, with_keys, e) : open_fail(path, e);
	ok = ok && fd_read(fd, path, max_bytes, a, out, e);
	close(fd);
	return ok;
}

/* ── what they say ── */

/* "[profile x]" in config, "[x]" in credentials; "default" needs no word before it. */
static bool profile_begins(struct str section, struct str name, bool config)
{
	if (config && aws_section_is(section, "profile", name))
		return true;
	return (!config || str_eq_z(name, "default")) && aws_section_is(section, "", name);
}

static void value_take(struct aws_profile *p, struct str key, struct str value, bool *has_keys)
{
	const struct {
		const char *key;
		struct str *to;
		bool secret;
	} table[] = {
		{ "aws_access_key_id", &p->access_key, false },
		{ "aws_secret_access_key", &p->secret_key, true },
		{ "aws_session_token", &p->session_token, true },
		{ "region", &p->region, false },
		{ "credential_process", &p->process, false },
		{ "role_arn", &p->role_arn, false },
		{ "source_profile", &p->source_profile, false },
		{ "credential_source", &p->credential_source, false },
		{ "web_identity_token_file", &p->token_file, false },
		{ "role_session_name", &p->session_name, false },
		{ "external_id", &p->external_id, false },
		{ "duration_seconds", &p->duration, false },
		{ "mfa_serial", &p->mfa_serial, false },
		{ "sso_session", &p->sso_session, false },
		{ "sso_start_url", &p->sso_start_url, false },
		{ "sso_region", &p->sso_region, false },
		{ "sso_account_id", &p->sso_account, false },
		{ "sso_role_name", &p->sso_role, false },
		{ "services", &p->services, false },
		{ "endpoint_url", &p->endpoint, false },
		{ "ignore_configured_endpoint_urls", &p->ignore_endpoints, false },
		{ "ca_bundle", &p->ca_bundle, false },
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (str_eq_nocase(key, str_from(table[i].key))) {
			*table[i].to = value;
			*has_keys = *has_keys || (table[i].secret && value.n > 0);
		}
}

/* What it finds goes over what is there. *has_keys: in any section of the file. */
static void file_take(struct str text, struct str name, bool config, struct aws_profile *p, bool *has_keys)
{
	struct aws_profile elsewhere = { 0 };
	for (struct aws_line l = { .text = text }; aws_line_next(&l);) {
		bool here = profile_begins(l.section, name, config);
		p->there = p->there || here;
		if (!l.parent.n && l.key.n)
			value_take(here ? p : &elsewhere, l.key, l.value, has_keys);
	}
}

static char *file_path(const struct aws_chain_options *o, const char *variable, const char *usual, struct arena *a)
{
	struct str path = arena_copy(a, str_from(aws_env(o, variable)));
	struct str home = arena_copy(a, str_from(aws_env(o, "HOME")));
	if (path.n && !str_starts(path, STR("~/")))
		return arena_zero_terminated(a, path);
	if (!home.n)
		return NULL;
	struct str below = path.n ? str_sub(path, 2, path.n) : str_from(usual);
	return arena_zero_terminated(a, arena_format(a, "%.*s/%.*s", STR_ARG(home), STR_ARG(below)));
}

/* One that is not there is as good as an empty one. */
static bool file_text(const char *path, struct arena *a, struct str *text, struct err *e)
{
	struct err why = ERR_INIT;
	*text = STR_NONE;
	if (!path || aws_file_read(path, AWS_FILE_MAX_BYTES, false, a, text, &why) || why.sys_errno == ENOENT ||
	    why.sys_errno == ENOTDIR)
		return true;
	*e = why;
	return false;
}

bool aws_config_read(const struct aws_chain_options *o, struct arena *a, struct str *text, struct err *e)
{
	return file_text(file_path(o, "AWS_CONFIG_FILE", ".aws/config", a), a, text, e);
}

static bool file_merge(const char *path, bool config, struct arena *a, struct aws_profile *p, struct err *e)
{
	struct str text;
	bool has_keys = false;
	if (!file_text(path, a, &text, e))
		return false;
	file_take(text, p->name, config, p, &has_keys);
	/* Now that they are known to be there, a second look at who may read them. */
	return !has_keys || aws_file_read(path, AWS_FILE_MAX_BYTES, true, a, &text, e);
}

bool aws_profile_read(const struct aws_chain_options *o, struct str name, struct arena *a, struct aws_profile *out,
		      struct err *e)
{
	*out = (struct aws_profile){ .name = name };
	const char *config = file_path(o, "AWS_CONFIG_FILE", ".aws/config", a);
	const char *credentials = file_path(o, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", a);
	return file_merge(config, true, a, out, e) && file_merge(credentials, false, a, out, e);
}

struct str aws_profile_name(const struct aws_chain_options *o, bool *named)
{
	const char *value = o->profile.n ? NULL : aws_env(o, "AWS_PROFILE");
	if (!value && !o->profile.n)
		value = aws_env(o, "AWS_DEFAULT_PROFILE");
	*named = value || o->profile.n;
	return o->profile.n ? o->profile : value ? str_from(value) : STR("default");
}

/* ── what a profile says ── */

static bool profile_fail(const struct aws_profile *p, const char *what, const char *hint, struct err *e)
{
	err_set(e, ERR_CREDENTIALS, "the AWS profile %.*s %s", STR_ARG(p->name), what);
	return err_hint(e, "%s", hint);
}

static enum aws_found from_profile(struct aws_refresh *f, const struct aws_profile *p, bool roles, struct err *e);

/* Whose credentials ask for the role. */
static bool source_get(struct aws_refresh *f, const struct aws_profile *p, struct err *e)
{
	static const struct {
		const char *name;
		enum aws_found (*get)(struct aws_refresh *, struct err *);
	} sources[] = {
		{ "Environment", aws_environment_get },
		{ "EcsContainer", aws_container_get },
		{ "Ec2InstanceMetadata", aws_instance_get },
	};
	if ((p->source_profile.n > 0) == (p->credential_source.n > 0))
		return profile_fail(p, "has a role_arn, and not exactly one of source_profile and credential_source",
				    "say which credentials ask for the role", e);
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		if (!str_eq_z(p->credential_source, sources[i].name))
			continue;
		enum aws_found found = sources[i].get(f, e);
		if (found == AWS_NOT_SET_UP)
			profile_fail(p, "names a credential_source that has none", "is this run where it is meant to?", e);
		return found == AWS_GOT;
	}
	if (!p->source_profile.n)
		return profile_fail(p, "names an unknown credential_source",
				    "Environment, EcsContainer or Ec2InstanceMetadata", e);
	struct aws_profile source;
	if (!aws_profile_read(f->o, p->source_profile, f->a, &source, e))
		return false;
	if (!source.there)
		return profile_fail(p, "names a source_profile that does not exist", "look into ~/.aws/config", e);
	/* A profile that is its own source has keys of its own beside the role. */
	bool itself = str_eq(source.name, p->name);
	enum aws_found found = from_profile(f, &source, !itself, e);
	if (found == AWS_NOT_SET_UP)
		profile_fail(&source, "has no credentials, and is the source of a role", "look into ~/.aws/credentials", e);
	return found == AWS_GOT;
}

static bool role_get(struct aws_refresh *f, const struct aws_profile *p, struct err *e)
{
	struct aws_role role = {
		.arn = p->role_arn, .session_name = p->session_name, .external_id = p->external_id,
		.duration = p->duration, .token_file = p->token_file, .region = p->region,
	};
	if (p->mfa_serial.n)
		return profile_fail(p, "wants a code of a device (mfa_serial)", "nobody is there to type it: use another profile",
				    e);
	if (++f->depth > AWS_ROLE_DEPTH)
		return profile_fail(p, "is at the end of a chain of more than 5 roles", "do they name each other in a circle?", e);
	if (p->token_file.n)
		return aws_role_web_identity(f, &role, e);
	if (!source_get(f, p, e))
		return false;
	struct aws_credentials with = f->got;
	return aws_role_assume(f, &role, &with, e);
}

static enum aws_found from_profile(struct aws_refresh *f, const struct aws_profile *p, bool roles, struct err *e)
{
	bool ok;
	if (p->role_arn.n && roles) {
		ok = role_get(f, p, e);
	} else if (p->sso_account.n || p->sso_role.n) {
		ok = aws_sso_get(f, p, e);
	} else if (p->access_key.n || p->secret_key.n) {
		f->got = (struct aws_credentials){ p->access_key, p->secret_key, p->session_token, 0 };
		ok = (p->access_key.n && p->secret_key.n) ||
		     profile_fail(p, "has only one of aws_access_key_id and aws_secret_access_key", "give it both", e);
	} else if (p->process.n) {
		ok = aws_process_get(f, p->process, e);
	} else if (p->sso_session.n || p->sso_start_url.n) {
		ok = profile_fail(p, "uses IAM Identity Center, and has neither sso_account_id nor sso_role_name",
				  "`aws configure sso` asks for them", e);
	} else {
		return AWS_NOT_SET_UP;
	}
	f->told_by = arena_format(f->a, "the profile %.*s", STR_ARG(p->name));
	return ok ? AWS_GOT : AWS_FAILED;
}

enum aws_found aws_profile_get(struct aws_refresh *f, struct err *e)
{
	bool named;
	struct aws_profile p;
	struct str name = arena_copy(f->a, aws_profile_name(f->o, &named));
	if (!aws_profile_read(f->o, name, f->a, &p, e))
		return AWS_FAILED;
	if (named && !p.there) {
		profile_fail(&p, "does not exist", "AWS_PROFILE names it: look into ~/.aws/config and ~/.aws/credentials", e);
		return AWS_FAILED;
	}
	return from_profile(f, &p, true, e);
}
