/* One escape of a string. For json_*.c only. */
#ifndef SLUICE_BASE_JSON_TEXT_H
#define SLUICE_BASE_JSON_TEXT_H

#include <stddef.h>

/* p: at a backslash. Writes the *n bytes (UTF-8) that it stands for and gives the place after it; NULL for a lone
 * surrogate or what is no escape. */
const char *json_text_escape(const char *p, const char *end, char out[4], size_t *n);

#endif
