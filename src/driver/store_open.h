/* A lake by its name: which driver it is, and what that one needs to know. The same for all programs and child processes, so
 * no secret stands in any of it: drivers find credentials by themselves.
 *
 *     ./lake, /srv/lake        a folder of this machine
 *     disk:///srv/lake         the same as an object store would be: without paths (for tests)
 *     s3://bucket/prefix       S3; what the settings leave open is AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's (then path
 *                              style), AWS_REGION, AWS_DEFAULT_REGION, the profile's, the instance's, AWS_CA_BUNDLE, the
 *                              profile's; else AWS */
#ifndef SLUICE_DRIVER_STORE_OPEN_H
#define SLUICE_DRIVER_STORE_OPEN_H

#include "config/pipeline.h"
#include "driver/store.h"

/* `create`: make the folder if it is missing; on S3 the bucket has to be there, and one request asks whether it is, and what
 * is in it. ERR_MISSING: there is no lake; ERR_CONFIG: no driver knows the name, or the settings are wrong. */
bool store_open(struct str lake, const struct store_settings *settings, bool create, struct store **out, struct err *e);
bool store_name_is_path(struct str lake);

#endif
