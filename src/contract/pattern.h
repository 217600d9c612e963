/* The one place that names PCRE2. */
#ifndef SLUICE_CONTRACT_PATTERN_H
#define SLUICE_CONTRACT_PATTERN_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#endif
