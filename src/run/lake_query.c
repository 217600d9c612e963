#include "run/lake_query.h"

#include "base/clock.h"
#include "base/effect.h"
#include "refine/view.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

/* ── which tables there are ── */

/* A damaged log is the trouble of whoever reads this table. */
static bool add_table(struct project *j, enum lake_zone zone, struct lake_table t, struct arena *a, struct lake_query *out,
		      struct err *e)
{
	t.zone = zone;
	if (!project_table_load(j, project_table_key(j, zone, t.name, a), a, &t.t, &t.damage)) {
		if (t.damage.code != ERR_DAMAGE) {
			*e = t.damage;
			return false;
		}
		t.t = (struct table_snapshot){ .version = -1 };
		lake_damage_hint(j, t.name, &t.damage);
	}
	if (t.t.version >= 0 || t.damage.code != ERR_NONE)
		out->tables[out->n_tables++] = t;
	return true;
}

bool lake_damage_hint(struct project *j, struct str table, struct err *e)
{
	return err_hint(e, "`sluice verify --only %.*s` lists what is damaged", STR_ARG(project_table_resource(j, table)));
}

bool lake_tables(struct project *j, struct arena *a, struct lake_query *out, struct err *e)
{
	size_t n = 0;
	const struct project_table *tables = project_tables(j, a, &n);
	memset(out, 0, sizeof *out);
	out->tables = arena_array(a, struct lake_table, 2 * n + j->models.n + 1);
	for (size_t i = 0; i < n; i++) {
		struct lake_table t = { .name = tables[i].name, .contract = tables[i].contract, .resource = tables[i].resource };
		if (!add_table(j, ZONE_PREPARE, t, a, out, e) || !add_table(j, ZONE_QUARANTINE, t, a, out, e))
			return false;
	}
	for (size_t i = 0; i < j->models.n; i++) {
		struct lake_table t = { .name = j->models.v[i].name, .contract = j->models.v[i].contract,
					.model = &j->models.v[i] };
		if (!add_table(j, ZONE_REFINE, t, a, out, e))
			return false;
	}
	return true;
}

static const struct lake_table *find(const struct lake_query *q, enum lake_zone zone, struct str name)
{
	for (size_t i = 0; i < q->n_tables; i++)
		if (q->tables[i].zone == zone && str_eq(q->tables[i].name, name))
			return &q->tables[i];
	return NULL;
}

/* A name that is declared nowhere: the nearest one that is. */
static bool unknown_table(struct project *j, struct str name, struct err *e)
{
	struct str best = STR_NONE;
	size_t least = 2 + name.n / 3, n = 0;
	const struct str *tables = project_table_names(j, j->arena, &n);
	for (size_t i = 0; i < n + j->models.n; i++) {
		struct str word = i < n ? tables[i] : j->models.v[i - n].name;
		size_t d = str_distance(word, name);
		if (d < least) {
			least = d;
			best = word;
		}
	}
	err_set(e, ERR_USAGE, "no resource and no model of pipeline %.*s is called %.*s", STR_ARG(j->pipeline->name),
		STR_ARG(name));
	if (best.n > 0)
		return err_hint(e, "did you mean %.*s?", STR_ARG(best));
	return err_hint(e, "`sluice status` lists them all");
}

bool lake_table_find(struct project *j, const struct lake_query *q, struct str name, bool quarantine,
		     const struct lake_table **out, struct err *e)
{
	static const enum lake_zone zones[] = { ZONE_PREPARE, ZONE_QUARANTINE, ZONE_REFINE };
	size_t dot = str_find_char(name, '.');
	struct str base = dot < name.n ? str_sub(name, dot + 1, name.n) : name;
	struct project_table of;
	bool is_resource = project_table_find(j, base, &of), is_model = false;
	enum lake_zone zone = quarantine ? ZONE_QUARANTINE : is_resource ? ZONE_PREPARE : ZONE_REFINE;
	bool zone_ok = dot == name.n;
	for (size_t i = 0; dot < name.n && i < sizeof zones / sizeof *zones; i++)
		if (str_eq_z(str_sub(name, 0, dot), lake_zone_name(zones[i]))) {
			zone = quarantine ? ZONE_QUARANTINE : zones[i];
			zone_ok = true;
		}
	for (size_t i = 0; i < j->models.n; i++)
		is_model = is_model || str_eq(j->models.v[i].name, base);
	if (!zone_ok || (!is_resource && !is_model))
		return unknown_table(j, zone_ok ? base : name, e);
	if ((zone == ZONE_REFINE) != is_model) {
		err_set(e, ERR_USAGE, "%.*s is a %s: it has no table %s.%.*s", STR_ARG(base), is_model ? "model" : "resource",
			lake_zone_name(zone), STR_ARG(base));
		return err_hint(e, zone == ZONE_QUARANTINE ? "rows of models are never set aside; see `sluice show %.*s`"
					    : "see `sluice show %.*s`", STR_ARG(base));
	}
	*out = find(q, zone, base);
	if (*out && (*out)->damage.code != ERR_NONE) {
		*e = (*out)->damage;
		return false;
	}
	if (*out)
		return true;
	err_set(e, ERR_MISSING, "table %s.%.*s was not made yet", lake_zone_name(zone), STR_ARG(base));
	return err_hint(e, is_model ? "`sluice run` makes it" : "`sluice run` makes it, once there is a contract of that name");
}

bool lake_table_sql(const struct lake_table *t, struct buf *out)
{
	return sql_identifier(out, str_from(lake_zone_name(t->zone))) && buf_add_char(out, '.') && sql_identifier(out, t->name);
}

/* ── the engine ── */

static void fill_input(struct project *j, const struct lake_table *t, struct job_input *in, struct arena *a)
{
	struct str key = project_table_key(j, t->zone, t->name, a);
	*in = (struct job_input){ .schema = str_from(lake_zone_name(t->zone)), .table = t->name, .columns = t->t.schema };
	in->files = arena_array(a, struct str, t->t.n_files + 1);
	for (size_t i = 0; i < t->t.n_files; i++)
		in->files[in->n_files++] =
			arena_format(a, "%s/%.*s/%.*s", j->lake_path, STR_ARG(key), STR_ARG(t->t.files[i].path));
}

uint64_t lake_query_memory(const struct project *j)
{
	return j->pipeline->memory_bytes > QUERY_MEMORY_MIN ? j->pipeline->memory_bytes : QUERY_MEMORY_MIN;
}

bool lake_query_open_files(struct project *j, const char *const *files, size_t n_files, struct arena *a,
			   struct lake_query *q, struct err *e)
{
	if (!scratch_open(a, &q->scratch, e))
		return false;
	struct engine_options o = {
		.memory_bytes = lake_query_memory(j),
		.scratch = q->scratch.path,
		.files = files,
		.n_files = n_files,
	};
	return engine_open(&o, &q->engine, e) && engine_connect(q->engine, &q->connection, e);
}

static bool set_damage(struct err *e, struct str file, const char *why)
{
	err_set(e, ERR_DAMAGE, "%.*s: %s", STR_ARG(file), why);
	return err_hint(e, "`sluice verify` reads everything and lists what is damaged");
}

/* That it cannot be looked at now does not make it damaged. */
static void file_unread(struct err *e, struct str file, const struct err *why)
{
	if (why->code != ERR_MISSING && why->code != ERR_DAMAGE)
		*e = *why;
	else
		set_damage(e, file, why->code == ERR_MISSING ? "the file is not there" : why->message);
}

/* By name and size, before the engine stumbles over them. */
static void check_files(struct project *j, struct lake_table *t)
{
	struct arena a = ARENA_INIT;
	struct str key = project_table_key(j, t->zone, t->name, &a);
	for (size_t i = 0; i < t->t.n_files && t->damage.code == ERR_NONE; i++) {
		const struct table_file *f = &t->t.files[i];
		struct err why = ERR_INIT;
		uint64_t size = 0;
		struct str file = arena_format(&a, "%.*s/%.*s", STR_ARG(key), STR_ARG(f->path));
		if (!store_size(j->store, file, &size, &why))
			file_unread(&t->damage, file, &why);
		else if (size != f->size_bytes)
			set_damage(&t->damage, file, "it has another size than the table's log says");
	}
	arena_free(&a);
}

static bool take_nothing(void *user, const struct batch *b, struct err *e)
{
	(void)user;
	(void)b;
	(void)e;
	return true;
}

/* Which file of the table the engine cannot read, to its end or only its head. True: none. */
static bool find_damage(struct lake_query *q, const struct lake_table *t, struct str prefix, bool head_only, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct buf sql = BUF_INIT(1 << 16);
	bool ok = true;
	for (size_t i = 0; i < t->t.n_files && ok; i++) {
		struct err why = ERR_INIT;
		struct batch_shape *shape;
		size_t n;
		struct str file = arena_format(&a, "%.*s/%.*s", STR_ARG(prefix), STR_ARG(t->t.files[i].path));
		buf_clear(&sql);
		buf_add_z(&sql, "SELECT * FROM read_parquet(");
		sql_literal(&sql, file);
		buf_add_z(&sql, head_only ? ") LIMIT 0" : ")");
		ok = engine_query(q->connection, buf_str(&sql), &a, &shape, &n, take_nothing, NULL, &why);
		if (!ok)
			set_damage(e, str_sub(file, q->lake.n + 1, file.n), why.message);
	}
	buf_free(&sql);
	arena_free(&a);
	return ok;
}

static struct str folder_of(const struct lake_query *q, const struct lake_table *t, struct arena *a)
{
	return arena_format(a, "%.*s/%s/%.*s/%.*s", STR_ARG(q->lake), lake_zone_name(t->zone), STR_ARG(q->pipeline),
			    STR_ARG(t->name));
}

bool lake_query_open(struct project *j, struct arena *a, struct lake_query *q, struct err *e)
{
	size_t n_files = 0, n = 0;
	if (!lake_tables(j, a, q, e))
		return false;
	q->lake = str_from(j->lake_path);
	q->pipeline = j->pipeline->name;
	struct job_input *inputs = arena_array(a, struct job_input, q->n_tables + 1);
	for (size_t i = 0; i < q->n_tables; i++) {
		fill_input(j, &q->tables[i], &inputs[i], a);
		check_files(j, &q->tables[i]);
		n_files += inputs[i].n_files;
	}
	const char **files = arena_array(a, const char *, n_files + 1);
	for (size_t i = 0; i < q->n_tables; i++)
		for (size_t k = 0; k < inputs[i].n_files; k++)
			files[n++] = inputs[i].files[k].p; /* arena_format ends texts with a NUL */
	if (!lake_query_open_files(j, files, n, a, q, e))
		return false;
	for (size_t i = 0; i < q->n_tables; i++) {
		struct lake_table *t = &q->tables[i];
		struct err why = ERR_INIT;
		if (t->damage.code != ERR_NONE || views_create(q->connection, &inputs[i], 1, a, &why))
			continue;
		if (find_damage(q, t, folder_of(q, t, a), true, &t->damage)) {
			*e = why;
			return false;
		}
	}
	return true;
}

/* ── stopping ── */

struct query_watch {
	struct engine_connection *connection;
	const volatile int *stop;
	atomic_bool over;
	pthread_t thread;
};

enum { WATCH_US = 10000 };

/* The engine has no place where it would ask us; a thread tells it. */
static void *watch_main(void *user)
{
	struct query_watch *w = user;
	struct clock *c = clock_system();
	while (!atomic_load(&w->over)) {
		if (*w->stop != 0)
			engine_interrupt(w->connection);
		c->sleep_us(c, WATCH_US);
	}
	return NULL;
}

bool lake_query_watch(struct lake_query *q, const volatile int *stop, struct err *e)
{
	sigset_t all, before;
	struct query_watch *w = mem_alloc(sizeof *w);
	w->connection = q->connection;
	w->stop = stop;
	/* Signals belong to the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int failed = sys_pthread_create(&w->thread, NULL, watch_main, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		mem_free(w);
		return err_set_errno(e, ERR_MEMORY, failed, "no thread could be made for the engine");
	}
	q->watch = w;
	return true;
}

static void watch_end(struct lake_query *q)
{
	if (q->watch == NULL)
		return;
	atomic_store(&q->watch->over, true);
	pthread_join(q->watch->thread, NULL);
	mem_free(q->watch);
}

void lake_query_close(struct lake_query *q)
{
	watch_end(q);
	if (q->connection)
		engine_disconnect(q->connection);
	if (q->engine)
		engine_close(q->engine);
	scratch_close(&q->scratch);
	memset(q, 0, sizeof *q);
}

/* Does the text name the table, as far as one can tell without parsing it? */
static bool names(struct str sql, const struct lake_table *t)
{
	for (size_t i = 0; i + t->name.n <= sql.n; i++)
		if (str_eq_nocase(str_sub(sql, i, i + t->name.n), t->name))
			return true;
	return false;
}

/* A failure that a damaged file explains is told as that. */
static bool explain_damage(struct lake_query *q, struct str sql, bool read_all, struct err *e)
{
	struct arena a = ARENA_INIT;
	bool found = false;
	for (size_t i = 0; i < q->n_tables && !found; i++) {
		const struct lake_table *t = &q->tables[i];
		struct err why = ERR_INIT;
		if (!names(sql, t))
			continue;
		found = t->damage.code != ERR_NONE;
		if (found)
			*e = t->damage;
		else if (read_all && !find_damage(q, t, folder_of(q, t, &a), false, &why)) {
			found = true;
			*e = why;
		}
	}
	arena_free(&a);
	return found;
}

bool lake_query_run(struct lake_query *q, struct str sql, struct arena *a, struct batch_shape **shape, size_t *n_columns,
		    engine_take *take, void *user, struct err *e)
{
	static const char *const of_the_text[] = { "Parser Error", "Binder Error", "Catalog Error", "Permission Error",
						   "Conversion Error", "Invalid Input Error", "Not implemented Error" };
	enum { SURELY_OF_THE_TEXT = 4 };
	size_t i = 0, n = sizeof of_the_text / sizeof *of_the_text;
	if (engine_query(q->connection, sql, a, shape, n_columns, take, user, e))
		return true;
	if (q->watch && *q->watch->stop != 0) {
		err_set(e, *q->watch->stop == SIGINT ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal");
		return err_hint(e, "nothing was changed");
	}
	if (e->code != ERR_ENGINE)
		return false;
	while (i < n && strstr(e->message, of_the_text[i]) == NULL)
		i++;
	if (!explain_damage(q, sql, i >= SURELY_OF_THE_TEXT, e) && i < n)
		e->code = ERR_USAGE;
	return false;
}
