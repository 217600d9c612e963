/* What functions of libsluice.so give back: JSON texts of the caller's, freed with sluice_free (prepare/native.h). */
#ifndef SLUICE_PREPARE_NATIVE_ANSWER_H
#define SLUICE_PREPARE_NATIVE_ANSWER_H

#include "base/err.h"
#include "base/str.h"

char *native_text(struct str s);
/* {"error":{"code","message","hint"},"again":bool}: again, where another attempt may go better. */
char *native_error(const struct err *e);
/* Of a code's name; ERR_ENGINE for one that is not known. */
enum err_code native_code(const char *name);

#endif
