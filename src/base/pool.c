#include "base/pool.h"

#include "base/check.h"
#include "base/effect.h"
#include "base/mem.h"

#include <pthread.h>

enum { THREADS_MAX = 64 };

struct list {
	struct pool_job *first, *last;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work_there, done_there;
	struct list waiting, finished;
	uint64_t busy_lanes[THREADS_MAX]; /* lanes of running jobs; 0: none */
	pthread_t threads[THREADS_MAX];
	unsigned n_threads;
	size_t pending;
	bool closing;
	void (*wake)(void *user);
	void *user;
};

static void list_add(struct list *l, struct pool_job *job)
{
	job->next = NULL;
	if (l->last)
		l->last->next = job;
	else
		l->first = job;
	l->last = job;
}

static bool lane_is_busy(const struct pool *p, uint64_t lane)
{
	for (unsigned i = 0; i < p->n_threads; i++)
		if (lane != 0 && p->busy_lanes[i] == lane)
			return true;
	return false;
}

/* The first waiting job whose lane is free; a later job of a lane is never met before an earlier one. */
static struct pool_job *take_runnable(struct pool *p)
{
	struct pool_job *before = NULL;
	for (struct pool_job *job = p->waiting.first; job; before = job, job = job->next) {
		if (lane_is_busy(p, job->lane))
			continue;
		if (before)
			before->next = job->next;
		else
			p->waiting.first = job->next;
		if (p->waiting.last == job)
			p->waiting.last = before;
		return job;
	}
	return NULL;
}

struct worker {
	struct pool *pool;
	unsigned index;
};

static void *worker_main(void *argument)
{
	struct worker me = *(struct worker *)argument;
	struct pool *p = me.pool;
	mem_free(argument);
	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct pool_job *job = take_runnable(p);
		if (job == NULL) {
			if (p->closing && p->waiting.first == NULL)
				break;
			pthread_cond_wait(&p->work_there, &p->lock);
			continue;
		}
		p->busy_lanes[me.index] = job->lane;
		pthread_mutex_unlock(&p->lock);
		job->work(job);
		pthread_mutex_lock(&p->lock);
		p->busy_lanes[me.index] = 0;
		list_add(&p->finished, job);
		/* The lane is free now: a waiting job of it may have become runnable for anybody. */
		pthread_cond_broadcast(&p->work_there);
		pthread_cond_signal(&p->done_there);
		if (p->wake)
			p->wake(p->user);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct pool *pool_new(unsigned threads, void (*wake)(void *user), void *user)
{
	struct pool *p = mem_alloc(sizeof *p);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work_there, NULL);
	pthread_cond_init(&p->done_there, NULL);
	p->wake = wake;
	p->user = user;
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	for (unsigned i = 0; i < threads; i++) {
		struct worker *w = mem_alloc(sizeof *w);
		*w = (struct worker){ p, i };
		/* Without a thread the pool is smaller, not broken: with none at all, jobs run inside pool_submit. */
		if (sys_pthread_create(&p->threads[i], NULL, worker_main, w) != 0) {
			mem_free(w);
			break;
		}
		pthread_mutex_lock(&p->lock);
		p->n_threads++;
		pthread_mutex_unlock(&p->lock);
	}
	return p;
}

void pool_submit(struct pool *p, struct pool_job *job)
{
	pthread_mutex_lock(&p->lock);
	p->pending++;
	if (p->n_threads == 0) {
		pthread_mutex_unlock(&p->lock);
		job->work(job);
		pthread_mutex_lock(&p->lock);
		list_add(&p->finished, job);
	} else {
		list_add(&p->waiting, job);
		pthread_cond_signal(&p->work_there);
	}
	pthread_mutex_unlock(&p->lock);
}

bool pool_collect(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	struct pool_job *job = p->finished.first;
	p->finished = (struct list){ 0 };
	for (struct pool_job *j = job; j; j = j->next) {
		CHECK(p->pending > 0);
		p->pending--;
	}
	pthread_mutex_unlock(&p->lock);
	bool any = job != NULL;
	while (job) {
		struct pool_job *next = job->next; /* done may free the job */
		job->done(job);
		job = next;
	}
	return any;
}

void pool_wait(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->finished.first == NULL && p->pending > 0)
		pthread_cond_wait(&p->done_there, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

size_t pool_pending(const struct pool *p)
{
	return p->pending; /* only the owner's thread changes it */
}

void pool_free(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->work_there);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->work_there);
	pthread_cond_destroy(&p->done_there);
	pthread_mutex_destroy(&p->lock);
	mem_free(p);
}
