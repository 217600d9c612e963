/* The form of the shared files, which is that of the AWS tools: sections in brackets, `key = value` a line, comments on lines
 * of their own; lines that are indented below a key without a value are keys of its own (one level). And what ~/.aws/config
 * says beside profiles: regions, endpoints, certificates. Source: "Configuration and credential file settings" and "Service-specific
 * endpoints" of the AWS SDKs reference; botocore is the judge. */
#include "driver/aws_parts.h"

#include <errno.h>
#include <string.h>

enum { REGION_MAX_BYTES = 63 };

bool aws_line_next(struct aws_line *l)
{
	struct str line;
	while (str_cut(&l->text, '\n', &line)) {
		size_t indent = 0;
		while (indent < line.n && (line.p[indent] == ' ' || line.p[indent] == '\t'))
			indent++;
		line = str_trim(line);
		if (!line.n || line.p[0] == '#' || line.p[0] == ';')
			continue;
		bool below = l->has_key && indent > l->indent;
		if (line.p[0] == '[' && !below) {
			l->section = str_trim(str_sub(line, 1, str_find_char(line, ']') - 1));
			l->parent = l->key = l->value = STR_NONE;
			l->has_key = false;
			return true;
		}
		size_t at = str_find_char(line, '=');
		if (at == line.n || at == 0 || (below && !l->opens))
			continue;
		l->key = str_trim(str_sub(line, 0, at));
		l->value = str_trim(str_sub(line, at + 1, line.n));
		l->parent = below ? l->above : STR_NONE;
		if (!below) {
			l->above = l->key;
			l->opens = l->value.n == 0;
			l->has_key = true;
			l->indent = indent;
		}
		return true;
	}
	return false;
}

static struct str without_quotes(struct str s)
{
	bool quoted = s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0];
	return quoted ? str_sub(s, 1, s.n - 2) : s;
}

bool aws_section_is(struct str section, const char *kind, struct str name)
{
	size_t n = strlen(kind);
	if (n > 0) {
		if (!str_starts(section, str_from(kind)) || section.n <= n || (section.p[n] != ' ' && section.p[n] != '\t'))
			return false;
		section = str_trim(str_sub(section, n, section.n));
	}
	return str_eq(without_quotes(section), name);
}

bool aws_config_get(const struct aws_chain_options *o, const char *kind, struct str name, struct aws_wanted *wanted, size_t n,
		    bool *there, struct arena *a, struct err *e)
{
	struct str text;
	*there = false;
	if (!aws_config_read(o, a, &text, e))
		return false;
	for (struct aws_line l = { .text = text }; aws_line_next(&l);) {
		if (!aws_section_is(l.section, kind, name))
			continue;
		*there = true;
		for (size_t i = 0; i < n && l.key.n; i++)
			if (str_eq_nocase(l.key, str_from(wanted[i].key)) && str_eq_nocase(l.parent, wanted[i].parent))
				wanted[i].value = l.value;
	}
	return true;
}

/* ── region ── */

bool aws_region_ok(struct str region)
{
	bool digits = true;
	for (size_t i = 0; i < region.n; i++) {
		char c = region.p[i];
		bool digit = c >= '0' && c <= '9';
		if (!digit && c != '-' && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
			return false;
		digits = digits && digit;
	}
	return region.n > 0 && region.n <= REGION_MAX_BYTES && !digits && region.p[0] != '-' && region.p[region.n - 1] != '-';
}

bool aws_region_check(struct str region, const char *where, struct err *e)
{
	if (aws_region_ok(region))
		return true;
	err_set(e, ERR_CONFIG, "%s: '%.*s' cannot be a region", where, STR_ARG(str_sub(region, 0, REGION_MAX_BYTES)));
	return err_hint(e, "a region is a name like eu-central-1: letters, digits and dashes");
}

bool aws_options_region(const struct aws_chain_options *o, struct arena *a, struct str *region, struct err *e)
{
	static const char *const names[] = { "AWS_REGION", "AWS_DEFAULT_REGION" };
	struct aws_profile p;
	bool named;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = aws_env(o, names[i]);
		if (!value)
			continue;
		*region = arena_copy(a, str_from(value));
		return aws_region_check(*region, names[i], e);
	}
	struct str name = arena_copy(a, aws_profile_name(o, &named));
	*region = STR_NONE;
	if (!aws_profile_read(o, name, a, &p, e))
		return false;
	*region = p.region;
	return p.region.n == 0 || aws_region_check(p.region, "`region` of the AWS profile", e);
}

/* ── endpoints ── */

static bool says_true(struct str s)
{
	return str_eq_nocase(s, STR("true"));
}

static bool services_endpoint(const struct aws_chain_options *o, const struct aws_profile *p, const char *service, struct arena *a,
			      struct str *out, struct err *e)
{
	bool there;
	struct aws_wanted wanted = { .parent = str_from(service), .key = "endpoint_url" };
	if (!aws_config_get(o, "services", p->services, &wanted, 1, &there, a, e))
		return false;
	if (!there) {
		err_set(e, ERR_CONFIG, "the AWS profile %.*s names the services '%.*s', which are nowhere described",
			STR_ARG(p->name), STR_ARG(p->services));
		return err_hint(e, "~/.aws/config needs a section [services %.*s]", STR_ARG(p->services));
	}
	*out = wanted.value;
	return true;
}

/* Not ours to read: with all else in the environment nobody wants it (a container under another user). */
static bool is_others(const struct err *why)
{
	return why->sys_errno == EACCES || why->sys_errno == EPERM;
}

bool aws_options_endpoint(const struct aws_chain_options *o, const char *service, struct arena *a, struct str *out,
			  struct err *e)
{
	struct aws_profile p;
	struct err why = ERR_INIT;
	bool named;
	struct str ignore = arena_copy(a, str_from(aws_env(o, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")));
	struct str variable = arena_format(a, "AWS_ENDPOINT_URL_%s", service);
	struct str given = arena_copy(a, str_from(aws_env(o, variable.p)));
	if (!given.n)
		given = arena_copy(a, str_from(aws_env(o, "AWS_ENDPOINT_URL")));
	*out = STR_NONE;
	if (says_true(ignore))
		return true;
	struct str name = arena_copy(a, aws_profile_name(o, &named));
	if (!aws_profile_read(o, name, a, &p, &why)) {
		*out = given;
		if (given.n || is_others(&why))
			return true;
		*e = why;
		return false;
	}
	if (!ignore.n && says_true(p.ignore_endpoints)) /* a profile that says so means the variables, too */
		return true;
	*out = given;
	if (!out->n && p.services.n && !services_endpoint(o, &p, service, a, out, e))
		return false;
	if (!out->n)
		*out = p.endpoint;
	return true;
}

/* ── certificates ── */

bool aws_options_ca_bundle(const struct aws_chain_options *o, struct arena *a, struct str *out, struct err *e)
{
	struct aws_profile p;
	struct err why = ERR_INIT;
	bool named;
	*out = arena_copy(a, str_from(aws_env(o, "AWS_CA_BUNDLE")));
	if (out->n)
		return true;
	struct str name = arena_copy(a, aws_profile_name(o, &named));
	bool ok = aws_profile_read(o, name, a, &p, &why);
	if (ok)
		*out = p.ca_bundle;
	else if (!is_others(&why))
		*e = why;
	return ok || is_others(&why);
}
