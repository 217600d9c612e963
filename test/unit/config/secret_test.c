#include "in_folder.h"

#include "base/file.h"
#include "config/secret.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A secret as if it had been loaded. */
static struct secret made(const char *reference, const char *hidden, struct arena *a)
{
	struct secret s = secret_make(str_from(reference), a);
	s.hidden = str_from(hidden);
	return s;
}

static void references(void **state)
{
	static const struct { const char *text, *marker; } cases[] = {
		{ "env:FLIGHTS_TOKEN", "~secret.FLIGHTS_TOKEN~" }, { "env:_a1", "~secret._a1~" },
		{ "file:/run/secrets/api-token", "~secret.file._run_secrets_api-token~" },
		{ "file:t k", "~secret.file.t_k~" },
		{ "env:", NULL }, { "env:1A", NULL }, { "env:A-B", NULL }, { "env:A B", NULL }, { "env:A=B", NULL },
		{ "file:", NULL }, { "file:a\nb", NULL }, { "hunter2", NULL }, { "", NULL }, { "ENV:A", NULL },
		{ "aws-secret:prod/token", "~secret.aws-secret.prod_token~" }, { "aws-secret:x#a key", "~secret.aws-secret.x_a_key~" },
		{ "aws-secret:arn:aws:secretsmanager:eu-central-1:1:secret:x-AbCdEf#k",
		  "~secret.aws-secret.arn_aws_secretsmanager_eu-central-1_1_secret_x-AbCdEf_k~" },
		{ "aws-ssm:/prod/token", "~secret.aws-ssm._prod_token~" }, { "aws-ssm:x:3", "~secret.aws-ssm.x_3~" },
		{ "aws-secret:", NULL }, { "aws-secret:#k", NULL }, { "aws-secret:x#", NULL }, { "aws-secret:a b", NULL },
		{ "aws-secret:x#\n", NULL }, { "aws-ssm:", NULL }, { "aws-ssm:x#k", NULL }, { "aws-ssm:a\"b", NULL },
		{ "aws:x", NULL }, { "vault:x", NULL },
	};
	struct arena a = ARENA_INIT;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(secret_reference_ok(str_from(cases[i].text)), cases[i].marker != NULL);
		if (cases[i].marker)
			assert_text(secret_make(str_from(cases[i].text), &a).marker, cases[i].marker);
	}
	arena_free(&a);
}

/* Every message is looked through: no secret, not even of a file that was refused. */
static void load(const char *reference, const char *want, const char *message_part)
{
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct secret s = secret_make(str_from(reference), &a);
	char folder[256];
	assert_non_null(getcwd(folder, sizeof folder));
	s.folder = str_from(folder);
	bool ok = secret_load(&s, NULL, &a, &e);
	assert_null(strstr(e.message, "hunter2"));
	assert_null(strstr(e.hint, "hunter2"));
	if (want) {
		if (!ok)
			fail_msg("%s", e.message);
		assert_text(s.hidden, want);
	} else {
		assert_false(ok);
		assert_int_equal(e.code, ERR_SECRET);
		assert_int_equal(s.hidden.n, 0);
		if (!strstr(e.message, message_part))
			fail_msg("%s", e.message);
	}
	arena_free(&a);
}

static void file_make(const char *name, struct str text, mode_t mode)
{
	struct err e = ERR_INIT;
	assert_true(file_write(name, text, &e));
	assert_int_equal(chmod(name, mode), 0);
}

static void loading(void **state)
{
	static char large[SECRET_MAX_BYTES + 2];
	(void)state;
	assert_int_equal(setenv("SLUICE_T1", "hunter2-hunter2", 1), 0);
	assert_int_equal(setenv("SLUICE_T2", "", 1), 0);
	assert_int_equal(setenv("SLUICE_T3", "hunter2\nX-Evil: 1", 1), 0);
	assert_int_equal(unsetenv("SLUICE_T4"), 0);
	load("env:SLUICE_T1", "hunter2-hunter2", NULL);
	load("env:SLUICE_T2", NULL, "SLUICE_T2 is empty");
	load("env:SLUICE_T3", NULL, "control character");
	load("env:SLUICE_T4", NULL, "SLUICE_T4 is not set");
	file_make("good", STR("hunter2-file\n"), 0600);
	file_make("crlf", STR("hunter2-file\r\n"), 0400);
	file_make("two", STR("hunter2\n\n"), 0600);
	file_make("open", STR("hunter2"), 0644);
	file_make("group", STR("hunter2"), 0640);
	file_make("empty", STR("\n"), 0600);
	file_make("latin", STR("hunter2\xe9"), 0600);
	memset(large, 'x', sizeof large);
	file_make("exact", (struct str){ large, SECRET_MAX_BYTES }, 0600);
	file_make("large", (struct str){ large, sizeof large }, 0600);
	assert_int_equal(symlink("good", "link"), 0);
	assert_int_equal(mkfifo("pipe", 0600), 0);
	load("file:good", "hunter2-file", NULL);
	load("file:crlf", "hunter2-file", NULL);
	load("file:link", "hunter2-file", NULL); /* the file behind it is what counts */
	load("file:two", NULL, "control character");
	load("file:open", NULL, "mode 0644");
	load("file:group", NULL, "mode 0640");
	load("file:empty", NULL, "is empty");
	load("file:latin", NULL, "UTF-8");
	load("file:large", NULL, "longer than");
	load("file:missing", NULL, "missing");
	load("file:.", NULL, "not a regular file");
	load("file:pipe", NULL, "not a regular file");
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct secret s = secret_make(STR("file:exact"), &a);
	assert_true(secret_load(&s, NULL, &a, &e));
	assert_int_equal(s.hidden.n, SECRET_MAX_BYTES);
	arena_free(&a);
}

/* Base64 by the command of the same name, percent forms by Python's urllib.parse. */
static void redacted(void **state)
{
	static const char *const cases[][2] = {
		{ "nothing here", "nothing here" },
		{ "s3cr3t-t0ken/+=", "~secret.T~" },
		{ "a=s3cr3t-t0ken/+=&b=s3cr3t-t0ken/+=", "a=~secret.T~&b=~secret.T~" },
		{ "s3cr3t-t0ken/+", "s3cr3t-t0ken/+" },
		{ "?k=s3cr3t-t0ken%2F%2B%3D&x", "?k=~secret.T~&x" },
		{ "?k=s3cr3t-t0ken%2f%2b%3d&x", "?k=~secret.T~&x" },
		{ "?k=s3cr3t-t0ken/%2B=&x", "?k=~secret.T~&x" },
		{ "?k=%733cr3t-t0ken/%2B=&x", "?k=~secret.T~&x" },
		{ "{\"k\":\"s3cr3t-t0ken\\/+=\"}", "{\"k\":\"~secret.T~\"}" },
		{ "{\"k\":\"s3cr3t\\u002dt0ken/+=\"}", "{\"k\":\"~secret.T~\"}" },
		{ "b64 czNjcjN0LXQwa2VuLys9 end", "b64 ~secret.T~ end" },           /* the secret itself */
		{ "Basic dTpzM2NyM3QtdDBrZW4vKz0=", "Basic dT~secret.T~" },         /* u:secret */
		{ "Basic dXM6czNjcjN0LXQwa2VuLys9", "Basic dXM6~secret.T~" },       /* us: */
		{ "Basic dXNlOnMzY3IzdC10MGtlbi8rPQ==", "Basic dXNlO~secret.T~" },  /* use: */
		{ "url dXNlOnMzY3IzdC10MGtlbi8rPQ end", "url dXNlO~secret.T~ end" },
		{ "pass word&1", "~secret.P~" }, { "pass+word%261", "~secret.P~" }, { "pass%20word%261", "~secret.P~" },
		{ "abc~secret.T~", "abc~secret.T~" },
	};
	struct arena a = ARENA_INIT;
	(void)state;
	struct secret token = made("env:T", "s3cr3t-t0ken/+=", &a), other = made("env:P", "pass word&1", &a);
	struct secret_set set = { 0 };
	secret_set_add(&set, &token);
	secret_set_add(&set, &other);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf out = BUF_INIT(1 << 16);
		size_t n, which = 9;
		assert_true(secret_redact(&set, str_from(cases[i][0]), &out, &n));
		assert_text(buf_str(&out), cases[i][1]);
		assert_int_equal(secret_found(&set, str_from(cases[i][0]), &which), n > 0);
		assert_false(secret_found(&set, buf_str(&out), &which));
		buf_free(&out);
	}
	arena_free(&a);
}

/* Characters that no encoder needs to touch may be encoded all the same; letters outside ASCII by JSON as UTF-16. */
static void encoded_though_plain(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"v\":\"CANARYsecret99alnu\\u006d\"}", "{\"v\":\"~secret.A~\"}" },
		{ "{\"v\":\"\\u0043ANARYsecret99alnum\"}", "{\"v\":\"~secret.A~\"}" },
		{ "\\u0043\\u0041\\u004e\\u0041\\u0052\\u0059secret99alnum", "~secret.A~" },
		{ "\\u0043\\u0041\\u004E\\u0041\\u0052\\u0059secret99\\u0061lnum\\u0061", "~secret.A~\\u0061" },
		{ "%43ANARYsecret99alnum", "~secret.A~" }, { "?a=CANARYsecret99alnu%6d&b=%6D", "?a=~secret.A~&b=%6D" },
		{ "CANARY%73ecret\\u0039%39alnum", "~secret.A~" },
		{ "CANARYsecret99alnuCANARYsecret99alnu%6D", "CANARYsecret99alnu~secret.A~" },
		{ "%43CANARYsecret99alnum %43ANARYsecret99alnum", "%43~secret.A~ ~secret.A~" },
		{ "CANARYsecret99alnum%43ANARYsecret99alnum%43", "~secret.A~~secret.A~%43" },
		{ "CANARY+secret99alnum", "CANARY+secret99alnum" }, { "CANARYsecret99alnu%6", "CANARYsecret99alnu%6" },
		{ "CANARYsecret99alnu\\u006", "CANARYsecret99alnu\\u006" }, { "CANARYsecret99alnu\\", "CANARYsecret99alnu\\" },
		{ "CANARYsecret99alnu\\u016d", "CANARYsecret99alnu\\u016d" }, { "%u0043", "%u0043" },
		{ "caf\xc3\xa9-\xf0\x9f\x98\x80-word", "~secret.U~" }, { "caf\\u00e9-\\ud83d\\uDE00-word", "~secret.U~" },
		{ "caf%C3%a9-%f0%9f%98%80-word", "~secret.U~" }, { "caf\\u00e9-\\ud83d-word", "caf\\u00e9-\\ud83d-word" },
		{ "caf\\u00e9-\xf0\x9f\x98\x80-w\\u006frd", "~secret.U~" },
		{ "50%25 of+it: \\u0020", "~secret.B~ \\u0020" }, { "50%+of it:", "~secret.B~" }, { "50% of it:", "~secret.B~" },
	};
	struct arena a = ARENA_INIT;
	(void)state;
	struct secret plain = made("env:A", "CANARYsecret99alnum", &a);
	struct secret utf8 = made("env:U", "caf\xc3\xa9-\xf0\x9f\x98\x80-word", &a);
	struct secret blank = made("env:B", "50% of it:", &a);
	struct secret_set set = { 0 };
	secret_set_add(&set, &plain);
	secret_set_add(&set, &utf8);
	secret_set_add(&set, &blank);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf out = BUF_INIT(1 << 16);
		size_t n, which = 9;
		assert_true(secret_redact(&set, str_from(cases[i][0]), &out, &n));
		assert_text(buf_str(&out), cases[i][1]);
		assert_int_equal(secret_found(&set, str_from(cases[i][0]), &which), n > 0);
		buf_free(&out);
	}
	arena_free(&a);
}

/* Wherever in Base64 the secret begins, no six characters of its own survive. */
static void base64_at_any_offset(void **state)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct arena a = ARENA_INIT;
	struct secret s = made("env:T", "correct horse", &a);
	struct secret_set set = { 0 };
	(void)state;
	secret_set_add(&set, &s);
	for (size_t before = 0; before < 7; before++)
		for (size_t after = 0; after < 4; after++) {
			char plain[64] = "", coded[128];
			size_t n = 0, m = 0, hits, which;
			struct buf out = BUF_INIT(4096);
			n = (size_t)snprintf(plain, sizeof plain, "%.*scorrect horse%.*s", (int)before, "#######",
					     (int)after, "####");
			for (size_t i = 0; i < n; i += 3) {
				unsigned v = 0;
				for (size_t k = 0; k < 3; k++)
					v = v << 8 | (i + k < n ? (unsigned char)plain[i + k] : 0u);
				for (size_t k = 0; k < 4; k++)
					coded[m++] = i + k <= n ? digits[v >> (18 - 6 * k) & 63u] : '=';
			}
			assert_true(secret_found(&set, (struct str){ coded, m }, &which));
			assert_true(secret_redact(&set, (struct str){ coded, m }, &out, &hits));
			assert_int_equal(hits, 1);
			assert_true(out.n <= s.marker.n + m - 16);
			buf_free(&out);
		}
	arena_free(&a);
}

static void short_ones(void **state)
{
	struct arena a = ARENA_INIT;
	struct secret s = made("env:T", "abc", &a);
	struct secret_set set = { 0 };
	struct buf out = BUF_INIT(1000), tight = BUF_INIT(8);
	size_t n, which;
	(void)state;
	assert_true(secret_is_short(&s));
	secret_set_add(&set, &s);
	assert_false(secret_found(&set, STR("xx abc xx"), &which)); /* not searched for in bodies */
	assert_true(secret_redact(&set, STR("xx abc xx"), &out, &n));
	assert_text(buf_str(&out), "xx ~secret.T~ xx");
	assert_false(secret_redact(&set, STR("xx abc xx"), &tight, &n));
	buf_free(&out);
	buf_free(&tight);
	arena_free(&a);
}

static void there_and_back(void **state)
{
	static const char *const texts[] = {
		"/next?k=s3cr3t-t0ken/+=&p=2", "/next?k=s3cr3t-t0ken%2F%2B%3D&again=s3cr3t-t0ken%2F%2B%3D",
		"~secret.T~ s3cr3t-t0ken/+= ~secret.T~", "", "none",
	};
	struct arena a = ARENA_INIT;
	struct secret s = made("env:T", "s3cr3t-t0ken/+=", &a);
	struct secret_set set = { 0 };
	struct secret_hit hits[4];
	struct err e = ERR_INIT;
	size_t n;
	(void)state;
	secret_set_add(&set, &s);
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct buf out = BUF_INIT(1000), back = BUF_INIT(1000);
		assert_true(secret_redact_hits(&set, str_from(texts[i]), &out, hits, COUNT(hits), &n));
		assert_true(secret_fill(&set, buf_str(&out), hits, n, &back, &e));
		assert_text(buf_str(&back), texts[i]);
		buf_free(&out);
		buf_free(&back);
	}
	/* A marker that an API made up is left alone; one that is not where it was is refused. */
	struct buf back = BUF_INIT(1000);
	assert_true(secret_fill(&set, STR("x ~secret.T~"), NULL, 0, &back, &e));
	assert_text(buf_str(&back), "x ~secret.T~");
	hits[0] = (struct secret_hit){ .at_redacted = 3, .which = 0, .form = SECRET_TEXT };
	assert_false(secret_fill(&set, STR("x ~secret.T~"), hits, 1, &back, &e));
	hits[0] = (struct secret_hit){ .at_redacted = 2, .which = 1, .form = SECRET_TEXT };
	assert_false(secret_fill(&set, STR("x ~secret.T~"), hits, 1, &back, &e));
	hits[0] = (struct secret_hit){ .at_redacted = 2, .which = 0, .form = SECRET_BASE64 };
	assert_false(secret_fill(&set, STR("x ~secret.T~"), hits, 1, &back, &e));
	assert_null(strstr(e.message, "s3cr3t"));
	buf_free(&back);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references), cmocka_unit_test(loading),    cmocka_unit_test(redacted),
		cmocka_unit_test(base64_at_any_offset), cmocka_unit_test(short_ones), cmocka_unit_test(there_and_back),
		cmocka_unit_test(encoded_though_plain),
	};
	return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
