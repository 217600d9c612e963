/* Everything of ours that the system may refuse, counted, so that a test can refuse it at any point.
 *
 * Each system call that can fail is written as sys_<call> and nowhere else by its own name (test/tidy holds that true,
 * and lists what is excepted and why). What is no system call but fails as one (an allocation, an answer of the network,
 * a call of the store or the engine) asks EFFECT_REFUSED. Without SLUICE_EFFECTS, as in every release, sys_<call> is the
 * call itself and EFFECT_REFUSED is false: nothing is counted and no variable is looked at.
 *
 * Not ours, and not counted: what libcurl (but for the socket, sending and receiving as its callbacks show them), the
 * name resolver, OpenSSL and DuckDB do inside; each call of DuckDB's that may fail is, once (driver/engine_duckdb.h).
 *
 * With it, four variables of the environment count; a child inherits them, and goes on with its parent's count:
 *   SLUICE_EFFECTS=FILE     the count, the places and what each effect was (struct effect_file), shared by mmap(2)
 *   SLUICE_FAIL=N[+][:HOW][@CLASS,...]
 *                           effect N fails, with '+' each from N on, and of these only those of the classes named.
 *                           HOW: an errno (ENOSPC), `lost` (it is done, then an error is answered), `short` (a read or
 *                           write of a part); without: what is usual for the class
 *   SLUICE_EFFECTS_TRACE=FILE  what happens to files and folders, a line each, appended: see effect_trace.c
 *   SLUICE_EFFECTS_NOW=US   the wall clock stands still there, nonces are numbered and the process says of itself that it
 *                           is another one, long dead: what two runs write to a lake is then the same, byte for byte */
#ifndef SLUICE_BASE_EFFECT_H
#define SLUICE_BASE_EFFECT_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SLUICE_EFFECTS

#define EFFECT_REFUSED(class, name) false
#define EFFECT_NOW_US INT64_C(0)
#define EFFECT_NONCE(p, n) false

#define sys_access access
#define sys_close close
#define sys_dlopen dlopen
#define sys_dup2 dup2
#define sys_dup3 dup3
#define sys_execv execv
#define sys_fchmod fchmod
#define sys_fcntl fcntl
#define sys_fdopendir fdopendir
#define sys_fork fork
#define sys_fstat fstat
#define sys_fstatat fstatat
#define sys_fsync fsync
#define sys_linkat linkat
#define sys_lstat lstat
#define sys_mkdir mkdir
#define sys_mkdirat mkdirat
#define sys_mkdtemp mkdtemp
#define sys_mkostemp mkostemp
#define sys_open open
#define sys_openat openat
#define sys_opendir opendir
#define sys_pipe2 pipe2
#define sys_pread pread
#define sys_pthread_create pthread_create
#define sys_read read
#define sys_readdir readdir
#define sys_readlink readlink
#define sys_realpath realpath
#define sys_rename rename
#define sys_renameat2 renameat2
#define sys_rmdir rmdir
#define sys_say write /* to people: where should its failure be told? */
#define sys_setrlimit setrlimit
#define sys_socket socket
#define sys_stat stat
#define sys_syscall syscall
#define sys_unlink unlink
#define sys_unlinkat unlinkat
#define sys_wait4 wait4
#define sys_waitid waitid
#define sys_write write

#else

#define EFFECT_CLASSES(X) \
	X(memory, ENOMEM) X(open, EMFILE) X(read, EIO) X(write, ENOSPC) X(sync, EIO) X(close, EIO) X(link, EIO) X(rename, EIO) \
	X(mkdir, ENOSPC) X(unlink, EIO) X(list, EIO) X(stat, EIO) X(descriptor, EMFILE) X(spawn, EAGAIN) X(wait, ECHILD) \
	X(thread, EAGAIN) X(load, EIO) X(http, ECONNRESET) X(store, EIO) X(engine, EIO) X(say, EIO) X(look, EIO)
enum effect_class {
#define X(name, sys_errno) EFFECT_##name,
	EFFECT_CLASSES(X)
#undef X
	EFFECT_CLASS_COUNT
};

/* A place in the source that has an effect. All of them, hit or not, lie in one section of the program. */
struct effect_site {
	const char *file, *name;
	int line;
	enum effect_class class;
	unsigned index;
};
#define EFFECT_SITE(class_, name_) ({ \
	static struct effect_site effect_here = { __FILE__, #name_, __LINE__, EFFECT_##class_, 0 }; \
	static struct effect_site *effect_listed __attribute__((section("effect_sites"), used)) = &effect_here; \
	effect_listed; })

enum effect_verdict { EFFECT_GO, EFFECT_REFUSE, EFFECT_LOSE, EFFECT_SHORTEN };
/* Counts one effect. Anything but GO and SHORTEN: the caller answers a failure with effect_errno(). */
enum effect_verdict effect_count(const struct effect_site *site);
int effect_errno(void); /* of this thread's last effect that failed */

extern int64_t effect_now_us; /* SLUICE_EFFECTS_NOW, 0 without */
#define EFFECT_NOW_US effect_now_us
bool effect_nonce(unsigned char *p, size_t n); /* false: not asked for */
#define EFFECT_NONCE(p, n) effect_nonce((p), (n))

/* The file behind SLUICE_EFFECTS, in the byte order of the machine. test/torture reads it. */
enum { EFFECT_SITES_MAX = 512, EFFECT_LOG_MAX = 1 << 18 };
struct effect_file {
	_Atomic uint64_t count, failed; /* effects so far; how many of them were made to fail */
	uint64_t n_sites;
	_Atomic uint64_t nonces;
	struct {
		char text[104]; /* "file:line class call" */
		_Atomic uint64_t hits, failed, unused;
	} sites[EFFECT_SITES_MAX];
	_Atomic uint16_t log[EFFECT_LOG_MAX]; /* the site of effect 1, 2, ... */
};

#define EFFECT_REFUSED(class, name) (effect_count(EFFECT_SITE(class, name)) == EFFECT_REFUSE)

/* `call` itself where it may go; `failed` (with errno) where not. What it gives back cannot be lost: it would leak. */
#define EFFECT_CALL(class, name, type, failed, call) ({ \
	type effect_result = (failed); \
	enum effect_verdict effect_go = effect_count(EFFECT_SITE(class, name)); \
	if (effect_go != EFFECT_REFUSE) \
		effect_result = (call); \
	else { \
		effect_result = (failed); \
		errno = effect_errno(); \
	} \
	effect_result; })
#define EFFECT_INT(class, name, ...) EFFECT_CALL(class, name, int, -1, name(__VA_ARGS__))

#define sys_access(...) EFFECT_INT(stat, access, __VA_ARGS__)
#define sys_dlopen(...) EFFECT_CALL(load, dlopen, void *, NULL, dlopen(__VA_ARGS__))
#define sys_dup2(...) EFFECT_INT(descriptor, dup2, __VA_ARGS__)
#define sys_dup3(...) EFFECT_INT(descriptor, dup3, __VA_ARGS__)
#define sys_execv(...) EFFECT_INT(spawn, execv, __VA_ARGS__)
#define sys_fchmod(...) EFFECT_INT(stat, fchmod, __VA_ARGS__)
#define sys_fcntl(...) EFFECT_INT(descriptor, fcntl, __VA_ARGS__)
#define sys_fdopendir(...) EFFECT_CALL(list, fdopendir, DIR *, NULL, fdopendir(__VA_ARGS__))
#define sys_fork(...) EFFECT_INT(spawn, fork, )
#define sys_fstat(...) EFFECT_INT(stat, fstat, __VA_ARGS__)
#define sys_fstatat(...) EFFECT_INT(stat, fstatat, __VA_ARGS__)
#define sys_lstat(...) EFFECT_INT(stat, lstat, __VA_ARGS__)
#define sys_opendir(...) EFFECT_CALL(list, opendir, DIR *, NULL, opendir(__VA_ARGS__))
#define sys_pipe2(...) EFFECT_INT(descriptor, pipe2, __VA_ARGS__)
#define sys_pthread_create(...) EFFECT_CALL(thread, pthread_create, int, effect_errno(), pthread_create(__VA_ARGS__))
#define sys_readdir(...) EFFECT_CALL(list, readdir, struct dirent *, NULL, readdir(__VA_ARGS__))
#define sys_readlink(...) EFFECT_CALL(look, readlink, ssize_t, -1, readlink(__VA_ARGS__))
#define sys_realpath(...) EFFECT_CALL(stat, realpath, char *, NULL, realpath(__VA_ARGS__))
#define sys_setrlimit(...) EFFECT_INT(spawn, setrlimit, __VA_ARGS__)
#define sys_socket(...) EFFECT_INT(descriptor, socket, __VA_ARGS__)
#define sys_stat(...) EFFECT_INT(stat, stat, __VA_ARGS__)
#define sys_syscall(...) EFFECT_CALL(open, syscall, long, -1, syscall(__VA_ARGS__))
#define sys_wait4(...) EFFECT_INT(wait, wait4, __VA_ARGS__)
#define sys_waitid(...) EFFECT_INT(wait, waitid, __VA_ARGS__)

/* Those that can be done in part, or that the trace wants to know. */
#define sys_close(...) effect_close(EFFECT_SITE(close, close), __VA_ARGS__)
#define sys_fsync(...) effect_fsync(EFFECT_SITE(sync, fsync), __VA_ARGS__)
#define sys_linkat(...) effect_linkat(EFFECT_SITE(link, linkat), __VA_ARGS__)
#define sys_mkdir(...) effect_mkdirat(EFFECT_SITE(mkdir, mkdir), AT_FDCWD, __VA_ARGS__)
#define sys_mkdirat(...) effect_mkdirat(EFFECT_SITE(mkdir, mkdirat), __VA_ARGS__)
#define sys_mkdtemp(...) effect_mkdtemp(EFFECT_SITE(mkdir, mkdtemp), __VA_ARGS__)
#define sys_mkostemp(...) effect_mkostemp(EFFECT_SITE(open, mkostemp), __VA_ARGS__)
#define sys_open(...) effect_openat(EFFECT_SITE(open, open), AT_FDCWD, __VA_ARGS__)
#define sys_openat(...) effect_openat(EFFECT_SITE(open, openat), __VA_ARGS__)
#define sys_pread(...) effect_pread(EFFECT_SITE(read, pread), __VA_ARGS__)
#define sys_read(...) effect_read(EFFECT_SITE(read, read), __VA_ARGS__)
#define sys_rename(from, to) effect_renameat2(EFFECT_SITE(rename, rename), AT_FDCWD, (from), AT_FDCWD, (to), 0)
#define sys_renameat2(...) effect_renameat2(EFFECT_SITE(rename, renameat2), __VA_ARGS__)
#define sys_rmdir(path) effect_unlinkat(EFFECT_SITE(unlink, rmdir), AT_FDCWD, (path), AT_REMOVEDIR)
#define sys_say(...) effect_write(EFFECT_SITE(say, write), __VA_ARGS__)
#define sys_unlink(path) effect_unlinkat(EFFECT_SITE(unlink, unlink), AT_FDCWD, (path), 0)
#define sys_unlinkat(...) effect_unlinkat(EFFECT_SITE(unlink, unlinkat), __VA_ARGS__)
#define sys_write(...) effect_write(EFFECT_SITE(write, write), __VA_ARGS__)

int effect_close(const struct effect_site *site, int fd);
int effect_fsync(const struct effect_site *site, int fd);
int effect_linkat(const struct effect_site *site, int from_fd, const char *from, int to_fd, const char *to, int flags);
int effect_mkdirat(const struct effect_site *site, int fd, const char *path, mode_t mode);
char *effect_mkdtemp(const struct effect_site *site, char *path);
int effect_mkostemp(const struct effect_site *site, char *path, int flags);
int effect_openat(const struct effect_site *site, int fd, const char *path, int flags, ...);
ssize_t effect_pread(const struct effect_site *site, int fd, void *p, size_t n, off_t offset);
ssize_t effect_read(const struct effect_site *site, int fd, void *p, size_t n);
int effect_renameat2(const struct effect_site *site, int from_fd, const char *from, int to_fd, const char *to,
		     unsigned flags);
int effect_unlinkat(const struct effect_site *site, int fd, const char *path, int flags);
ssize_t effect_write(const struct effect_site *site, int fd, const void *p, size_t n);

/* effect_trace.c; each keeps errno, and does nothing without SLUICE_EFFECTS_TRACE. */
void trace_created(int fd);
void trace_folder(int fd, const char *path);
void trace_named(const char *what, int from_fd, const char *from, int to_fd, const char *to);
void trace_removed(int fd, const char *path);
void trace_written(int fd, const void *p, size_t n);
struct trace_sync {
	char *line;
	size_t n;
};
struct trace_sync trace_sync_begin(int fd); /* what is there before it is made durable */
void trace_sync_end(struct trace_sync s, bool done);

#endif
#endif
