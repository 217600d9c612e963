/* Where AWS credentials come from: the chain that every AWS program has, tried in this order; the first that is set up wins,
 * and if it fails there is no falling through to the next (somebody meant that one).
 *
 *   1. environment          AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_CREDENTIAL_EXPIRATION; not where
 *                           the options name a profile
 *   2. web identity         AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN (AWS_ROLE_SESSION_NAME): STS AssumeRoleWithWebIdentity
 *   3. the profile          AWS_PROFILE, AWS_DEFAULT_PROFILE or "default" of ~/.aws/credentials and ~/.aws/config (AWS_SHARED_CREDENTIALS_FILE,
 *                           AWS_CONFIG_FILE): role_arn with source_profile, credential_source or web_identity_token_file; sso_*
 *                           (IAM Identity Center, with the token that `aws sso login` has left); keys; credential_process
 *   4. container            AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, AWS_CONTAINER_AUTHORIZATION_TOKEN[_FILE]
 *   5. the instance         IMDSv2, unless AWS_EC2_METADATA_DISABLED=true
 *
 * Thread-safe: any thread may get; one refresh is under way at a time, in the thread that found it due. Credentials that end
 * are asked for again some minutes before, at a random moment, so that many processes do not ask at once. While that fails,
 * the old ones serve as long as they are valid. Files (and the container's token file) are read again at each refresh.
 *
 * Plain http only to the addresses that AWS defines (169.254.170.2, 169.254.170.23, fd00:ec2::23, 169.254.169.254,
 * fd00:ec2::254) and to loopback. No secret stands in a message, and nothing is logged. A file with keys that belongs to
 * somebody else than us or root, or lets others at it, is refused; one without keys, and a token file, where others may write.
 *
 * Errors: ERR_CREDENTIALS: none are there, or what is there is refused; ERR_TIMEOUT, CONNECT and the like: whoever
 * gives them cannot be asked now; ERR_STORAGE: trouble of this machine. */
#ifndef SLUICE_DRIVER_AWS_CREDENTIALS_H
#define SLUICE_DRIVER_AWS_CREDENTIALS_H

#include "driver/aws_sign.h"

struct aws_chain_options {
	struct clock *clock; /* NULL: clock_system() */
	/* The http seam: opens a transport for one refresh, which closes it again. NULL: curl's, with the
	 * certificates of aws_chain_ca_bundle. */
	bool (*http_open)(void *user, struct clock *clock, struct http **out, struct err *e);
	/* The environment; NULL: getenv. What it returns must stay until the next call from the same thread. */
	const char *(*env)(void *user, const char *name);
	void *user;          /* of both */
	struct str profile;  /* "": from the environment */
	uint64_t random_seed; /* 0: by chance */
};

struct aws_chain; /* thread-safe */

/* Becomes non-zero, a signal's number, when the process is asked to stop: then a credential_process is ended at once, and none is
 * begun. For all chains of the process; NULL at first. */
void aws_stop_watch(const volatile int *stop);

/* Asks nobody yet: the first get does. */
bool aws_chain_open(const struct aws_chain_options *o, struct aws_chain **out, struct err *e);
bool aws_chain_get(struct aws_chain *c, struct arena *a, struct aws_credentials *out, struct err *e);
/* The service said that these credentials have expired or are unknown: the next get asks anew, unless they are no longer the
 * ones that are held (somebody else was faster). */
void aws_chain_renew(struct aws_chain *c, const struct aws_credentials *refused);
/* AWS_REGION, AWS_DEFAULT_REGION, `region` of the profile; where the credentials are the instance's and `may_ask`, its metadata's
 * placement/region. ERR_CREDENTIALS where none is said, with a hint; ERR_CONFIG for what cannot be one. */
bool aws_chain_region(struct aws_chain *c, bool may_ask, struct arena *a, struct str *region, struct err *e);
/* What a service's endpoint is replaced by, "" for none: AWS_ENDPOINT_URL_<SERVICE> ("S3", "STS", "SECRETS_MANAGER", "SSM", "SSO"),
 * AWS_ENDPOINT_URL, the service's `endpoint_url` in the [services NAME] that the profile names, the profile's `endpoint_url`.
 * None of them where AWS_IGNORE_CONFIGURED_ENDPOINT_URLS (else `ignore_configured_endpoint_urls` of the profile) is true. */
bool aws_chain_endpoint(struct aws_chain *c, const char *service, struct arena *a, struct str *out, struct err *e);
/* A file of certificates that replaces the system's: AWS_CA_BUNDLE, else `ca_bundle` of the profile; "" for none. */
bool aws_chain_ca_bundle(struct aws_chain *c, struct arena *a, struct str *out, struct err *e);
/* "environment", "profile NAME", ... of the last successful refresh, for people; "" before it. */
struct str aws_chain_told_by(struct aws_chain *c, struct arena *a);
void aws_chain_close(struct aws_chain *c); /* no thread may be in a call; NULL is fine. Wipes what it held */

#endif
