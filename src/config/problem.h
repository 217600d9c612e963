/* Mistakes in files that users write: collected, so that `sluice check` shows all of them at once. */
#ifndef SLUICE_CONFIG_PROBLEM_H
#define SLUICE_CONFIG_PROBLEM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

struct problem {
	const char *file;
	unsigned line, column; /* 0: the file as a whole */
	struct str message;    /* what is wrong */
	struct str advice;     /* what to write instead; may be empty */
	bool warning;          /* does not stop a run */
	bool trouble;          /* no mistake of the user: the disk, memory, descriptors */
};

enum { PROBLEMS_MAX = 1000 }; /* later ones are only counted: nobody reads them, and files from outside are long */

struct problems {
	struct arena *arena;
	struct problem *v;
	size_t n, cap;
	size_t n_errors; /* those that are not warnings */
};

#define PROBLEMS_INIT(arena_pointer) ((struct problems){ .arena = (arena_pointer) })

/* At a node: see problem_at() in config/yaml.h. */
void problem_file(struct problems *p, const char *file, unsigned line, unsigned column, const char *advice,
		  const char *format, ...) __attribute__((format(printf, 6, 7)));
/* A file that could not be read: `e` says why. Trouble of the machine is told apart from a name or rights that are
 * wrong, since it may be gone at the next try. */
void problem_unread(struct problems *p, const char *file, const char *advice, const struct err *e);
void problem_vadd(struct problems *p, const char *file, unsigned line, unsigned column, bool warning,
		  const char *advice, const char *format, va_list args) __attribute__((format(printf, 7, 0)));
/* "file:line:column: message\n    advice\n" for each, by file, line, column. */
void problems_print(const struct problems *p, struct buf *out);
void problems_json(const struct problems *p, struct buf *out);
/* ERR_CONFIG with the first one and the number of the others, or ERR_STORAGE with the first that is trouble; true if
 * there are no errors. */
enum err_code problems_code(const struct problems *p); /* ERR_NONE: no errors */
bool problems_to_err(const struct problems *p, struct err *e);

#endif
