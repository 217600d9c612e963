/* Secrets, by reference. Their text lives in one place, is never formatted by anything but the request builder, and
 * is replaced by a marker wherever a request is kept.
 *
 * References: env:NAME, file:PATH (regular file of ours, mode 0600 or stricter; one trailing newline is cut; a relative
 * PATH starts at the pipeline file's folder), aws-secret:NAME or aws-secret:NAME#KEY (Secrets Manager; a name or an ARN; KEY
 * is a member of the JSON object that the secret is), aws-ssm:NAME (Parameter Store; a name or an ARN, also NAME:VERSION).
 * The marker of a secret is "~secret.<name>~" with <name> of [A-Za-z0-9_.-] made from the reference: only characters
 * that a URL carries unescaped (RFC 3986 unreserved), so that a URL with markers is still a URL. */
#ifndef SLUICE_CONFIG_SECRET_H
#define SLUICE_CONFIG_SECRET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

enum { SECRET_MAX_BYTES = 16384, SECRET_SEARCH_MIN_BYTES = 8, SECRETS_MAX = 16 };

struct secret {
	struct str reference; /* "env:FLIGHTS_TOKEN" */
	struct str marker;    /* "~secret.FLIGHTS_TOKEN~" */
	struct str folder;    /* where a relative file: path starts; "" is the working folder */
	struct str hidden;    /* the text; empty until secret_load. Only secret.c and request building touch it */
};

/* Whoever fetches what does not lie on this machine. This folder knows no network: run/ and ui/ make one of
 * driver/aws_secret.h, hand it to secret_load, and close it after the last. */
struct secret_fetcher {
	/* The text as it is kept there, into the arena. ERR_SECRET: it is not there, or has no such form; ERR_CREDENTIALS,
	 * CONNECT, TIMEOUT ...: it cannot be asked for. No message shows a secret. */
	bool (*fetch)(struct secret_fetcher *f, struct str reference, struct arena *a, struct str *text, struct err *e);
};

bool secret_reference_ok(struct str reference); /* syntax only */
bool secret_is_fetched(struct str reference); /* by a fetcher: aws-secret:, aws-ssm: */
struct secret secret_make(struct str reference, struct arena *a);
/* ERR_SECRET, or what the fetcher says; the text never stands in the message. fetcher NULL: those of AWS are ERR_SECRET. */
bool secret_load(struct secret *s, struct secret_fetcher *fetcher, struct arena *a, struct err *e);

bool secret_is_short(const struct secret *s); /* loaded, and below SECRET_SEARCH_MIN_BYTES: `check` warns */

/* A set of loaded secrets, and texts in which they are looked for. Besides the text itself these forms are found:
 * percent-encoded in any spelling (also '+' for a blank) and JSON escapes, whichever of its characters are escaped, needed
 * or not; Base64, plain and URL-safe, at any offset, and so the pair "user:password" of Basic. */
struct secret_set {
	const struct secret *v[SECRETS_MAX];
	size_t n;
};
void secret_set_add(struct secret_set *set, const struct secret *s); /* s must stay where it is */

enum secret_form { SECRET_TEXT, SECRET_ENCODED, SECRET_BASE64 };
struct secret_hit {
	size_t at, n;          /* in the text as given */
	size_t at_redacted;    /* where its marker begins in the redacted text */
	size_t which;          /* index in the set */
	enum secret_form form;
};
/* Replaces every occurrence in `text` by its marker, into `out`. *n_hits counts them. Short secrets are replaced too.
 * False: `out` would have passed its maximum. */
bool secret_redact(const struct secret_set *set, struct str text, struct buf *out, size_t *n_hits);
/* The same, and the first `max` occurrences are described, in order; *n_hits counts all. */
bool secret_redact_hits(const struct secret_set *set, struct str text, struct buf *out, struct secret_hit *hits,
			size_t max, size_t *n_hits);
/* The way back (rule 17): only markers at the recorded places are filled in. ERR_SECRET if another text stands there,
 * or if the form was SECRET_BASE64, whose neighbours are lost. */
bool secret_fill(const struct secret_set *set, struct str redacted, const struct secret_hit *hits, size_t n_hits,
		 struct buf *out, struct err *e);
/* True if any secret of at least SECRET_SEARCH_MIN_BYTES stands in the text, in any of the forms. */
bool secret_found(const struct secret_set *set, struct str text, size_t *which);

#endif
