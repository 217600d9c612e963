#include "refine/refine_files.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/effect.h"
#include "format/job_files.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

enum { THREADS_MAX = 256, SELECT_MAX_BYTES = 200 };

struct piece {
	uint64_t from, to; /* rows */
	const char *path;
	struct table_file file;
	struct check *check;
	struct arena arena; /* of check and file */
	int64_t write_us, read_back_us;
	bool done, failed;
	struct err err;
};

struct writer {
	const struct refine_files *f;
	struct piece *pieces;
	size_t n;
	atomic_size_t next;
	atomic_bool stop;
	pthread_mutex_t lock; /* of what follows, and of `done` */
	struct check *all;    /* of the pieces up to `joined` */
	size_t joined;
	struct arena *a;
	struct engine_result *out;
};

static bool piece_write(const struct refine_files *f, struct piece *p, struct engine_connection *c, struct row_sum *written,
			struct err *e)
{
	char sql[SELECT_MAX_BYTES];
	struct stat st;
	int n = snprintf(sql, sizeof sql, "SELECT * FROM work.result WHERE rowid >= %" PRIu64 " AND rowid < %" PRIu64, p->from, p->to);

	CHECK(n > 0 && (size_t)n < sizeof sql);
	if (!check_written(p->check, c, str_from(sql), written, e) ||
	    !engine_write_parquet(c, str_from(sql), p->path, f->encoding, &p->file.rows, &p->file.size_bytes, e))
		return false;
	if (p->file.rows != p->to - p->from || written->rows != p->to - p->from)
		return err_set(e, ERR_ENGINE, "%s: %" PRIu64 " rows were written where there are %" PRIu64, p->path, p->file.rows,
			       p->to - p->from);
	if (sys_stat(p->path, &st) != 0)
		return err_set_errno(e, ERR_STORAGE, errno, "%s", p->path);
	p->file.modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	return true;
}

static bool piece_run(const struct refine_files *f, struct piece *p, struct engine_connection *c, struct err *e)
{
	struct clock *clock = clock_system();
	int64_t start_us = clock->monotonic_us(clock), written_us;
	struct row_sum written;

	p->check = check_new(f->contract, &p->arena);
	bool ok = piece_write(f, p, c, &written, e);
	written_us = clock->monotonic_us(clock);
	ok = ok && check_file(p->check, c, p->path, &written, &p->file, e);
	p->write_us = written_us - start_us;
	p->read_back_us = clock->monotonic_us(clock) - written_us;
	return ok && job_file_made(f->job, p->path, e);
}

/* Everything that lives as long as the piece is copied. */
static void file_take(struct table_file *out, const struct table_file *from, struct arena *a)
{
	CHECK(from->n_windows == 1);
	*out = *from;
	out->stats = arena_copy(a, from->stats);
	out->windows = arena_new(a, struct table_window);
	*out->windows = from->windows[0]; /* its name is a constant */
}

static void piece_free(struct piece *p)
{
	check_free(p->check);
	p->check = NULL;
	arena_free(&p->arena);
}

/* Equal keys are neighbours, so pieces are taken in their order, and none is kept longer than that needs. */
static void piece_done(struct writer *w, struct piece *done)
{
	pthread_mutex_lock(&w->lock);
	done->done = true;
	for (; w->joined < w->n && w->pieces[w->joined].done; w->joined++) {
		struct piece *p = &w->pieces[w->joined];
		file_take(&w->out->files[w->joined], &p->file, w->a);
		check_join(w->all, p->check);
		w->out->write_us += p->write_us;
		w->out->read_back_us += p->read_back_us;
		piece_free(p);
	}
	pthread_mutex_unlock(&w->lock);
}

static void *work(void *user)
{
	struct writer *w = user;
	struct engine_connection *c = NULL;
	struct err e = ERR_INIT;

	for (;;) {
		size_t i = atomic_fetch_add(&w->next, 1);
		if (i >= w->n || atomic_load(&w->stop))
			break;
		struct piece *p = &w->pieces[i];
		if ((c || engine_connect(w->f->engine, &c, &e)) && piece_run(w->f, p, c, &e)) {
			piece_done(w, p);
			continue;
		}
		p->failed = true;
		p->err = e;
		atomic_store(&w->stop, true); /* what others have begun they end: one of them may have failed for an earlier file */
		break;
	}
	engine_disconnect(c);
	return NULL;
}

static void work_all(struct writer *w)
{
	pthread_t threads[THREADS_MAX];
	size_t want = w->f->job->threads < 1 ? 1 : w->f->job->threads > THREADS_MAX ? THREADS_MAX : w->f->job->threads, n = 0;

	if (want > w->n)
		want = w->n;
	while (n + 1 < want && sys_pthread_create(&threads[n], NULL, work, w) == 0)
		n++;
	work(w); /* this thread works too, so that one that cannot be had is only slower */
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static struct str last_part(struct str path)
{
	size_t from = path.n;
	while (from > 0 && path.p[from - 1] != '/')
		from--;
	return str_sub(path, from, path.n - from);
}

static bool pieces_end(const struct writer *w, struct arena *a, struct engine_result *out, struct err *e)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->pieces[i].failed) {
			*e = w->pieces[i].err;
			return false;
		}
	CHECK(w->joined == w->n);
	return check_finish(w->all, w->f->model, a, out, e);
}

bool refine_files_write(const struct refine_files *f, struct arena *a, struct engine_result *out, struct err *e)
{
	uint64_t size = f->job->file_rows;
	struct str folder = last_part(f->job->output);
	struct writer w = { .f = f, .a = a, .out = out };

	CHECK(size > 0);
	w.n = (size_t)(f->rows == 0 ? 1 : (f->rows - 1) / size + 1);
	w.pieces = arena_array(a, struct piece, w.n);
	out->rows = f->rows;
	out->n_files = w.n;
	out->files = arena_array(a, struct table_file, w.n);
	for (size_t i = 0; i < w.n; i++) {
		struct piece *p = &w.pieces[i];
		p->from = i * size;
		p->to = f->rows - p->from < size ? f->rows : p->from + size;
		p->path = arena_format(a, "%.*s/%05zu.parquet", STR_ARG(f->job->output), i).p;
		p->file.path = arena_format(a, "data/%.*s/%05zu.parquet", STR_ARG(folder), i);
	}
	w.all = check_new(f->contract, a);
	pthread_mutex_init(&w.lock, NULL);
	work_all(&w);
	bool ok = pieces_end(&w, a, out, e);
	for (size_t i = w.joined; i < w.n; i++)
		piece_free(&w.pieces[i]);
	check_free(w.all);
	pthread_mutex_destroy(&w.lock);
	return ok;
}
