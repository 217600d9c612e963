/* Lines for a terminal. */
#ifndef SLUICE_UI_WRAP_H
#define SLUICE_UI_WRAP_H

#include "base/buf.h"

/* Columns of a terminal that the first character takes, and its bytes; of the whole text. */
size_t text_char_width(struct str s, size_t *bytes);
size_t text_width(struct str s);
/* Breaks lines at spaces so that they fit into `width` columns; what goes on is indented two columns more than its line. A
 * command in `quotes` is never broken, nor a line that is a command ("  hint: sluice ..."), so that it can be copied: what is
 * too long by itself stays too long. */
void text_wrap(struct str text, size_t width, struct buf *out);

#endif
