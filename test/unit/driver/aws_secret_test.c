/* Secrets of AWS through the fake transport: what is asked, what is taken of the answer, and that no message tells it. */
#include "unit.h"

#include "driver/aws_secret.h"

struct world {
	struct http http;
	struct http *fake;
	struct clock_fake clock;
	const char *region;
};

static bool pass_start(struct http *h, const struct http_request *r, struct err *e)
{
	/* Loopback is asked past any proxy, which would see the secret. */
	assert_true(r->direct == str_starts(r->url, STR("http://")));
	return http_start(((struct world *)h)->fake, r, e);
}

static struct http_exchange *pass_wait(struct http *h, int64_t timeout_us)
{
	return http_wait(((struct world *)h)->fake, timeout_us);
}

static void pass_nothing(struct http *h)
{
	(void)h;
}

static bool world_http(void *user, struct clock *clock, struct http **out, struct err *e)
{
	static const struct http_ops ops = { pass_start, pass_wait, pass_nothing, pass_nothing, pass_nothing };
	struct world *w = user;
	(void)clock;
	(void)e;
	w->http.ops = &ops;
	*out = &w->http;
	return true;
}

static const char *world_env(void *user, const char *name)
{
	struct world *w = user;
	return strcmp(name, "AWS_ACCESS_KEY_ID") == 0       ? "AKENV"
	       : strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0 ? "hidden-key"
	       : strcmp(name, "AWS_REGION") == 0            ? w->region
	       : strcmp(name, "HOME") == 0                  ? "/nowhere"
							    : NULL;
}

#define SM "https://secretsmanager.eu-central-1.amazonaws.com/"
#define OK200(body) "HTTP/1.1 200 OK\r\n\r\n" body
#define NO(status, body) "HTTP/1.1 " status " X\r\n\r\n" body
#define HELD(text) OK200("{\"ARN\":\"x\",\"Name\":\"n\",\"SecretString\":" text "}")

static const struct fetch_case {
	const char *reference, *url, *answer;
	const char *want;   /* the text; NULL: an error of this code and words */
	enum err_code code;
	const char *says;
} CASES[] = {
	{ "aws-secret:prod/api", SM, HELD("\"hidden one\""), "hidden one", ERR_NONE, NULL },
	{ "aws-secret:prod/api", SM, HELD("\"{\\\"k\\\":\\\"hidden\\\"}\""), "{\"k\":\"hidden\"}", ERR_NONE, NULL },
	{ "aws-secret:prod/api#k", SM, HELD("\"{\\\"a\\\":1,\\\"k\\\":\\\"hidden\\\\u00e4\\\"}\""), "hidden\xc3\xa4", ERR_NONE, NULL },
	{ "aws-secret:prod/api#a.b", SM, HELD("\"{\\\"a.b\\\":\\\"hidden\\\"}\""), "hidden", ERR_NONE, NULL },
	{ "aws-secret:arn:aws:secretsmanager:us-west-2:1:secret:x-AbCdEf#k", "https://secretsmanager.us-west-2.amazonaws.com/",
	  HELD("\"{\\\"k\\\":\\\"hidden\\\"}\""), "hidden", ERR_NONE, NULL },
	{ "aws-ssm:/prod/token", "https://ssm.eu-central-1.amazonaws.com/",
	  OK200("{\"Parameter\":{\"Name\":\"/prod/token\",\"Type\":\"SecureString\",\"Value\":\"hidden\"}}"), "hidden", ERR_NONE, NULL },
	{ "aws-secret:prod/api#no", SM, HELD("\"{\\\"k\\\":\\\"hidden\\\"}\""), NULL, ERR_SECRET, "its JSON has no key no" },
	{ "aws-secret:prod/api#k", SM, HELD("\"{\\\"k\\\":{\\\"hidden\\\":1}}\""), NULL, ERR_SECRET, "under k is no text" },
	{ "aws-secret:prod/api#k", SM, HELD("\"hidden\""), NULL, ERR_SECRET, "no JSON object" },
	{ "aws-secret:prod/api#k", SM, HELD("\"[\\\"hidden\\\"]\""), NULL, ERR_SECRET, "no JSON object" },
	{ "aws-secret:prod/api", SM, OK200("{\"SecretBinary\":\"aGlkZGVu\"}"), NULL, ERR_SECRET, "it is no text" },
	{ "aws-secret:prod/api", SM, HELD("{\"hidden\":1}"), NULL, ERR_SECRET, "it is no text" },
	{ "aws-secret:prod/api", SM, "HTTP/1.1 400 X\r\nDate: Thu, 24 May 1900 00:20:00 GMT\r\n\r\n{\"__type\":\"RequestExpired\"}", NULL,
	  ERR_CREDENTIALS, "RequestExpired" },
	{ "aws-secret:prod/api", SM, OK200("<hidden>"), NULL, ERR_SECRET, "not JSON" },
	{ "aws-ssm:x", "https://ssm.eu-central-1.amazonaws.com/", OK200("{\"Value\":\"hidden\"}"), NULL, ERR_SECRET, "it is no text" },
	{ "aws-secret:prod/api", SM, NO("400", "{\"__type\":\"com.amazonaws#ResourceNotFoundException\",\"Message\":\"x\"}"), NULL,
	  ERR_SECRET, "Secrets Manager in eu-central-1 has none of that name" },
	{ "aws-ssm:x", "https://ssm.eu-central-1.amazonaws.com/", NO("400", "{\"__type\":\"ParameterNotFound\"}"), NULL, ERR_SECRET,
	  "Parameter Store in eu-central-1 has none of that name" },
	{ "aws-secret:prod/api", SM,
	  NO("400", "{\"__type\":\"AccessDeniedException\",\"Message\":\"User: arn:x is not authorized to perform: y\"}"), NULL,
	  ERR_CREDENTIALS, "AccessDeniedException: User: arn:x is not authorized" },
	{ "aws-secret:prod/api", SM, NO("400", "{\"__type\":\"DecryptionFailure\",\"Message\":\"hidden-key\\u0007\"}"), NULL,
	  ERR_HTTP_STATUS, "DecryptionFailure" },
	{ "aws-secret:prod/api", SM, NO("400", "{\"__type\":\"ThrottlingException\"}"), NULL, ERR_HTTP_BUSY, "ThrottlingException" },
	{ "aws-secret:prod/api", SM, NO("500", ""), NULL, ERR_HTTP_BUSY, "status 500, no error code" },
	{ "aws-secret:prod/api", SM, NO("302", ""), NULL, ERR_HTTP_STATUS, "status 302" },
};

static void fetches(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(CASES); i++) {
		const struct fetch_case *c = &CASES[i];
		struct arena a = ARENA_INIT;
		struct err e = ERR_INIT;
		struct world w = { .region = "eu-central-1" };
		struct http_fake_row row = { .method = STR("POST"), .url_glob = str_from(c->url), .raw = str_from(c->answer) };
		struct aws_chain_options o = { .clock = &w.clock.clock, .http_open = world_http, .env = world_env, .user = &w,
					       .random_seed = 3 };
		struct secret_fetcher *f;
		struct str text = STR_NONE;
		clock_fake_init(&w.clock, INT64_C(1795348800000000));
		assert_true(http_open_fake(&w.clock, &row, 1, &w.fake, &e));
		assert_true(aws_secrets_open(&o, &f, &e));
		bool ok = f->fetch(f, str_from(c->reference), &a, &text, &e);
		if (strstr(e.message, "hidden") || strstr(e.hint, "hidden"))
			fail_msg("case %zu: a secret in \"%s\"", i, e.message);
		if (ok != (c->want != NULL) || (ok && !str_eq_z(text, c->want)) ||
		    (!ok && (e.code != c->code || !strstr(e.message, c->says))))
			fail_msg("case %zu: %s: %s", i, err_name(e.code), e.message);
		struct str asked = http_fake_transcript(w.fake, &a);
		bool sm = str_starts(str_from(c->reference), STR("aws-secret:"));
		assert_true(str_contains(asked, sm ? STR("  X-Amz-Target: secretsmanager.GetSecretValue\n")
						   : STR("  X-Amz-Target: AmazonSSM.GetParameter\n")));
		assert_true(str_contains(asked, STR("Authorization: AWS4-HMAC-SHA256 Credential=AKENV/20261122/")));
		assert_true(w.clock.slept_us <= 10 * 1000000);
		aws_secrets_close(f);
		http_close(w.fake);
		arena_free(&a);
	}
}

/* Where it would be asked for, without a request. */
static void places(void **state)
{
	(void)state;
	struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct world w = { .region = "eu-central-1" };
	struct aws_chain_options o = { .http_open = world_http, .env = world_env, .user = &w };
	struct secret_fetcher *f;
	struct str place;
	assert_true(aws_secrets_open(&o, &f, &e));
	assert_true(aws_secrets_place(f, STR("aws-secret:x#k"), &a, &place, &e));
	assert_text(place, "Secrets Manager in eu-central-1");
	assert_true(aws_secrets_place(f, STR("aws-ssm:arn:aws:ssm:us-east-2:1:parameter/x"), &a, &place, &e));
	assert_text(place, "Parameter Store in us-east-2");
	w.region = NULL;
	assert_false(aws_secrets_place(f, STR("aws-secret:x"), &a, &place, &e));
	assert_int_equal(e.code, ERR_CREDENTIALS);
	aws_secrets_close(f);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(fetches), cmocka_unit_test(places) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
