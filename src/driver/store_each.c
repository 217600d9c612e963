#include "driver/store_each.h"

#include "base/check.h"
#include "base/effect.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

struct each {
	size_t n;
	bool (*work)(void *user, size_t i, struct err *e);
	void *user;
	atomic_size_t next;
	atomic_bool failed;
	pthread_mutex_t lock; /* of what follows */
	size_t lowest;
	struct err err;
};

static void *each_work(void *user)
{
	struct each *x = user;
	for (size_t i; !atomic_load(&x->failed) && (i = atomic_fetch_add(&x->next, 1)) < x->n;) {
		struct err e = ERR_INIT;
		if (x->work(x->user, i, &e))
			continue;
		pthread_mutex_lock(&x->lock);
		if (i < x->lowest) { /* of several the first, whoever was faster */
			x->lowest = i;
			x->err = e;
		}
		pthread_mutex_unlock(&x->lock);
		atomic_store(&x->failed, true);
	}
	return NULL;
}

bool store_each_of(struct store *s, size_t n, size_t at_once, bool (*work)(void *user, size_t i, struct err *e), void *user,
		   struct err *e)
{
	struct each x = { .n = n, .work = work, .user = user, .lowest = SIZE_MAX, .err = ERR_INIT };
	pthread_t threads[STORE_AT_ONCE];
	size_t wanted = !store_can_list_all(s) ? 1 : n < at_once ? n : at_once, others = 0;
	CHECK(at_once >= 1 && at_once <= STORE_AT_ONCE);
	CHECK(pthread_mutex_init(&x.lock, NULL) == 0);
	while (others + 1 < wanted && sys_pthread_create(&threads[others], NULL, each_work, &x) == 0)
		others++;
	each_work(&x);
	for (size_t i = 0; i < others; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	pthread_mutex_destroy(&x.lock);
	if (x.lowest == SIZE_MAX)
		return true;
	*e = x.err;
	return false;
}

bool store_each(struct store *s, size_t n, bool (*work)(void *user, size_t i, struct err *e), void *user, struct err *e)
{
	return store_each_of(s, n, STORE_AT_ONCE, work, user, e);
}

struct removal {
	struct store *store;
	const struct str *keys;
	bool *gone;
	const volatile int *stop;
};

static bool remove_one(void *user, size_t i, struct err *e)
{
	const struct removal *r = user;
	int stop = r->stop ? *r->stop : 0;
	if (stop != 0)
		return err_set(e, stop == SIGINT ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal");
	return r->gone[i] = store_remove(r->store, r->keys[i], e);
}

bool store_remove_each(struct store *s, const struct str *keys, size_t n, bool *gone, const volatile int *stop, struct err *e)
{
	struct removal r = { s, keys, gone, stop };
	return store_each(s, n, remove_one, &r, e);
}
