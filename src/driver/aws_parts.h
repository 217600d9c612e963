/* Inside of the credentials chain: what its files share. Not for others. */
#ifndef SLUICE_DRIVER_AWS_PARTS_H
#define SLUICE_DRIVER_AWS_PARTS_H

#include "driver/aws_call.h"

enum { AWS_FILE_MAX_BYTES = 1 << 20, AWS_TOKEN_MAX_BYTES = 32 << 10, AWS_ROLE_DEPTH = 5 };

/* NOT_SET_UP: nobody asked for this source, try the next one. */
enum aws_found { AWS_NOT_SET_UP, AWS_GOT, AWS_FAILED };

/* One refresh: everything it allocates goes with the arena, but for `got`, which the chain copies. */
struct aws_refresh {
	const struct aws_chain_options *o; /* clock and env are never NULL here */
	struct arena *a;
	struct http *http; /* opened when first needed */
	uint64_t *random;
	unsigned depth;    /* of roles that name further profiles */
	struct aws_credentials got;
	struct str told_by;
	bool instance;     /* they are, or are had with, those of the instance's metadata */
};

const char *aws_env(const struct aws_chain_options *o, const char *name); /* NULL where not set or empty */
bool aws_env_true(const struct aws_chain_options *o, const char *name);
bool aws_refresh_http(struct aws_refresh *f, struct err *e); /* opens it */
/* The transport: that of the options, else curl's with the certificates of aws_chain_ca_bundle. */
bool aws_options_http(const struct aws_chain_options *o, struct http **out, struct err *e);
bool aws_chain_http(struct aws_chain *c, struct http **out, struct err *e);
uint64_t aws_random(uint64_t *state); /* splitmix64 */
int64_t aws_random_us(uint64_t *state, int64_t below_us);

/* One request and its answer. *x is to be freed. False: no whole answer, *e says why; ERR_BUG and CONFIG: not sent. */
bool aws_ask(struct http *http, const struct http_request *r, struct http_exchange **x, struct err *e);

/* ── aws_profile.c: the shared files ── */

struct aws_profile {
	struct str name;
	bool there; /* in one of the files */
	struct str access_key, secret_key, session_token, region, process, role_arn, source_profile, credential_source,
		token_file, session_name, external_id, duration, mfa_serial, sso_session, sso_start_url, sso_region, sso_account,
		sso_role, services, endpoint, ignore_endpoints, ca_bundle;
};
/* Both files; keys of the credentials file go first. Missing files are no mistake. */
bool aws_profile_read(const struct aws_chain_options *o, struct str name, struct arena *a, struct aws_profile *out,
		      struct err *e);
/* The text of ~/.aws/config; "" where there is none. */
bool aws_config_read(const struct aws_chain_options *o, struct arena *a, struct str *text, struct err *e);
/* The name: the options', AWS_PROFILE, AWS_DEFAULT_PROFILE, "default"; *named: somebody said it. */
struct str aws_profile_name(const struct aws_chain_options *o, bool *named);
enum aws_found aws_profile_get(struct aws_refresh *f, struct err *e);
/* A file that others may not write; with_keys: nor read. One trailing line break is cut where it holds one line. */
bool aws_file_read(const char *path, size_t max_bytes, bool with_keys, struct arena *a, struct str *out, struct err *e);

/* ── aws_config.c: their form; regions and endpoints ── */

struct aws_line { /* of such a file: .text is what is left of it, the rest is 0 at first */
	struct str text;
	struct str section;    /* what stands in its brackets */
	struct str parent;     /* the key that this one stands below, mostly "" */
	struct str key, value; /* key "": the section begins here */
	struct str above;
	size_t indent;
	bool has_key, opens;
};
bool aws_line_next(struct aws_line *l); /* false: no more */
bool aws_section_is(struct str section, const char *kind, struct str name); /* kind "": the name alone */

struct aws_wanted {
	struct str parent;
	const char *key;
	struct str value; /* out */
};
/* What ~/.aws/config has in its section [kind name]; *there: it has such a section. */
bool aws_config_get(const struct aws_chain_options *o, const char *kind, struct str name, struct aws_wanted *wanted, size_t n,
		    bool *there, struct arena *a, struct err *e);
/* AWS_REGION, AWS_DEFAULT_REGION, the profile's; "": nobody says one. ERR_CONFIG: it is none. */
bool aws_options_region(const struct aws_chain_options *o, struct arena *a, struct str *region, struct err *e);
bool aws_options_endpoint(const struct aws_chain_options *o, const char *service, struct arena *a, struct str *out,
			  struct err *e); /* as aws_chain_endpoint */
bool aws_options_ca_bundle(const struct aws_chain_options *o, struct arena *a, struct str *out, struct err *e);

/* ── the other sources ── */

/* One request, repeated after 5xx, 429 and trouble on the way. False: no answer; statuses are for the caller. */
struct aws_question {
	struct str method, url;
	struct http_header header; /* without a name: none */
	int64_t answer_us;
	unsigned attempts;
};
bool aws_question_ask(struct aws_refresh *f, const struct aws_question *q, unsigned *status, struct str *body, struct err *e);

enum aws_found aws_environment_get(struct aws_refresh *f, struct err *e);
enum aws_found aws_web_identity_get(struct aws_refresh *f, struct err *e); /* by the environment */
enum aws_found aws_container_get(struct aws_refresh *f, struct err *e);
enum aws_found aws_instance_get(struct aws_refresh *f, struct err *e);
bool aws_process_get(struct aws_refresh *f, struct str command, struct err *e);
int aws_stop_signal(void); /* see aws_stop_watch; 0 none */
bool aws_sso_get(struct aws_refresh *f, const struct aws_profile *p, struct err *e);
/* The region that the instance's metadata say; only where its credentials are in use. */
bool aws_instance_region(struct aws_refresh *f, struct str *region, struct err *e);
/* STS. `with`: whose credentials ask for the role. */
struct aws_role {
	struct str arn, session_name, external_id, duration, token_file, region;
};
bool aws_role_assume(struct aws_refresh *f, const struct aws_role *role, const struct aws_credentials *with, struct err *e);
bool aws_role_web_identity(struct aws_refresh *f, const struct aws_role *role, struct err *e);

/* {"AccessKeyId", "SecretAccessKey", token_key, "Expiration"} into f->got; `who` for messages, which never show a value. */
bool aws_json_credentials(struct aws_refresh *f, struct str text, const char *token_key, const char *who, struct err *e);
/* Times as AWS writes them. */
bool aws_time(struct str text, int64_t *us);
/* Hosts that may be asked over plain http: "127.0.0.1", "[::1]", "localhost" with or without port; and, where
 * metadata, the fixed addresses of AWS. */
bool aws_host_is_local(struct str host_and_port, bool metadata);

#endif
