/* Secrets that AWS keeps: a secret_fetcher (config/secret.h) for aws-secret: and aws-ssm: references.
 *
 *   aws-secret:NAME       Secrets Manager, GetSecretValue, the current version's SecretString
 *   aws-secret:NAME#KEY   the text under KEY of the JSON object that it is
 *   aws-ssm:NAME          Parameter Store, GetParameter with decryption
 *
 * NAME may be an ARN: then it is asked for in the ARN's region. Endpoints are replaced by AWS_ENDPOINT_URL_SECRETS_MANAGER,
 * AWS_ENDPOINT_URL_SSM, AWS_ENDPOINT_URL. What is fetched is kept in the caller's arena and nowhere else. One thread. */
#ifndef SLUICE_DRIVER_AWS_SECRET_H
#define SLUICE_DRIVER_AWS_SECRET_H

#include "config/secret.h"
#include "driver/aws_credentials.h"

/* Asks nobody, and needs nothing of AWS until a reference is fetched. */
bool aws_secrets_open(const struct aws_chain_options *o, struct secret_fetcher **out, struct err *e);
/* For people, without asking anybody: "Secrets Manager in eu-central-1". False: the region is not known, or the like. */
bool aws_secrets_place(struct secret_fetcher *f, struct str reference, struct arena *a, struct str *place, struct err *e);
void aws_secrets_close(struct secret_fetcher *f); /* NULL is fine */

#endif
