/* Base64 (RFC 4648, section 4), with padding. */
#ifndef SLUICE_BASE_BASE64_H
#define SLUICE_BASE_BASE64_H

#include "base/mem.h"

struct str base64_encode(const void *p, size_t n, struct arena *a);

#endif
