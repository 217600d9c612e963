#include "run/lake_query.h"

#include "base/clock.h"
#include "base/effect.h"
#include "driver/store_copy.h"
#include "refine/pack.h"
#include "refine/view.h"
#include "run/input_check.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

struct query_watch {
	struct engine_connection *connection;
	const volatile int *stop;
	atomic_bool over;
	pthread_t thread;
};

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

static struct str object_key(struct project *j, const struct lake_table *t, size_t i, struct arena *a)
{
	return arena_format(a, "%.*s/%.*s", STR_ARG(project_table_key(j, t->zone, t->name, a)), STR_ARG(t->t.files[i].path));
}

/* Where its files are on this machine, or will be once they are brought. */
static void fill_input(struct project *j, struct lake_table *t, const char *scratch, struct arena *a)
{
	struct job_input *in = &t->input;
	*in = (struct job_input){ .schema = str_from(lake_zone_name(t->zone)), .table = t->name, .columns = t->t.schema };
	in->files = arena_array(a, struct str, t->t.n_files + 1);
	for (size_t i = 0; i < t->t.n_files; i++)
		in->files[in->n_files++] =
			scratch ? arena_format(a, "%s/%.*s.%.*s.%zu.parquet", scratch, STR_ARG(in->schema), STR_ARG(t->name), i)
				: arena_format(a, "%s/%.*s", j->lake_path, STR_ARG(object_key(j, t, i, a)));
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

static bool set_damage(struct project *j, const struct lake_table *t, struct str file, const char *why, struct err *e)
{
	struct arena a = ARENA_INIT;
	bool gone = input_gone(j, project_table_key(j, t->zone, t->name, &a), &t->t, file, e);
	arena_free(&a);
	if (gone)
		return false;
	err_set(e, ERR_DAMAGE, "%.*s: %s", STR_ARG(file), why);
	return err_hint(e, "`sluice verify` reads everything and lists what is damaged");
}

/* That it cannot be looked at now does not make it damaged. */
static void file_unread(struct project *j, struct lake_table *t, struct str file, const struct err *why)
{
	if (why->code != ERR_MISSING && why->code != ERR_DAMAGE)
		t->damage = *why;
	else
		set_damage(j, t, file, why->code == ERR_MISSING ? "the file is not there" : why->message, &t->damage);
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
			file_unread(j, t, file, &why);
		else if (size != f->size_bytes)
			set_damage(j, t, file, "it has another size than the table's log says", &t->damage);
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

/* Memory, the disk, or an engine that cannot do anything any more: that it fails at a file proves nothing about the file. */
static bool proves_damage(struct lake_query *q, const struct err *why)
{
	struct err ignored = ERR_INIT;
	return why->code == ERR_ENGINE || (why->code == ERR_ENGINE_FAULT && engine_run(q->connection, STR("SELECT 1"), &ignored));
}

/* Which file of the table the engine cannot read, to its end or only its head. True: none. */
static bool find_damage(struct lake_query *q, const struct lake_table *t, bool head_only, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct buf sql = BUF_INIT(1 << 16);
	bool ok = true;
	for (size_t i = 0; i < t->t.n_files && ok; i++) {
		struct err why = ERR_INIT;
		struct batch_shape *shape;
		size_t n;
		buf_clear(&sql);
		buf_add_z(&sql, "SELECT * FROM read_parquet(");
		sql_path(&sql, t->input.files[i]);
		buf_add_z(&sql, head_only ? ") LIMIT 0" : ")");
		ok = engine_query(q->connection, buf_str(&sql), &a, &shape, &n, take_nothing, NULL, &why) || !proves_damage(q, &why);
		if (!ok)
			set_damage(q->project, t, object_key(q->project, t, i, &a), why.message, e);
	}
	buf_free(&sql);
	arena_free(&a);
	return ok;
}

/* False: not for a damaged file, which is the table's trouble. */
static bool open_view(struct lake_query *q, struct lake_table *t, struct err *e)
{
	struct err why = ERR_INIT;
	if (t->damage.code != ERR_NONE)
		return true;
	t->open = views_create(q->connection, &t->input, 1, q->arena, &why);
	if (t->open || !find_damage(q, t, true, &t->damage))
		return true;
	*e = why;
	return false;
}

bool lake_query_open(struct project *j, struct arena *a, struct lake_query *q, struct err *e)
{
	size_t n_files = 0, n = 0;
	if (!lake_tables(j, a, q, e))
		return false;
	q->project = j;
	q->arena = a;
	if (!project_has_paths(j)) {
		if (!lake_query_open_files(j, NULL, 0, a, q, e) || !pack_load(q->connection, PACK_RUN, e))
			return false;
		for (size_t i = 0; i < q->n_tables; i++)
			fill_input(j, &q->tables[i], q->scratch.path, a);
		return true;
	}
	for (size_t i = 0; i < q->n_tables; i++) {
		fill_input(j, &q->tables[i], NULL, a);
		check_files(j, &q->tables[i]);
		n_files += q->tables[i].input.n_files;
	}
	const char **files = arena_array(a, const char *, n_files + 1);
	for (size_t i = 0; i < q->n_tables; i++)
		for (size_t k = 0; k < q->tables[i].input.n_files; k++)
			files[n++] = q->tables[i].input.files[k].p; /* arena_format ends texts with a NUL */
	if (!lake_query_open_files(j, files, n, a, q, e) || !pack_load(q->connection, PACK_RUN, e))
		return false;
	for (size_t i = 0; i < q->n_tables; i++)
		if (!open_view(q, &q->tables[i], e))
			return false;
	return true;
}

/* ── from a lake that is no folder ── */

static bool bring_table(struct lake_query *q, struct lake_table *t, const volatile int *stop, struct err *e)
{
	struct store_copy *v = arena_array(q->arena, struct store_copy, t->t.n_files + 1);
	uint64_t bytes = 0, most = q->project->pipeline->scratch_bytes;
	for (size_t i = 0; i < t->t.n_files; i++) {
		const struct table_file *f = &t->t.files[i];
		v[i] = (struct store_copy){ .key = object_key(q->project, t, i, q->arena), .size_bytes = f->size_bytes,
					    .has_hash = f->has_hash, .hash = f->hash, .path = t->input.files[i].p };
		bytes += f->size_bytes;
		if (!store_key_ok(v[i].key)) {
			err_set(&t->damage, ERR_DAMAGE, "%s.%.*s: its log names a file that cannot be one", lake_zone_name(t->zone),
				STR_ARG(t->name));
			return true;
		}
	}
	if (bytes > most - q->brought_bytes) {
		err_set(e, ERR_STORAGE, "%s.%.*s has %" PRIu64 " bytes, and no more than %" PRIu64 " may be brought to this machine",
			lake_zone_name(t->zone), STR_ARG(t->name), bytes, most - q->brought_bytes);
		return err_hint(e, "raise `engine.scratch` in the pipeline file; it is room in $TMPDIR that tables may take");
	}
	q->brought_bytes += bytes;
	if (store_bring(q->project->store, v, t->t.n_files, stop, NULL, e))
		return true;
	if (e->code != ERR_DAMAGE)
		return false;
	err_hint(e, "`sluice verify` reads everything and lists what is damaged");
	t->damage = *e;
	*e = ERR_INIT;
	struct str key = project_table_key(q->project, t->zone, t->name, q->arena);
	for (size_t i = 0; i < t->t.n_files && !input_gone(q->project, key, &t->t, v[i].key, &t->damage); i++)
		;
	return true;
}

/* Does the text name the table, as far as one can tell without parsing it? */
static bool names(struct str sql, const struct lake_table *t)
{
	for (size_t i = 0; i + t->name.n <= sql.n; i++)
		if (str_eq_nocase(str_sub(sql, i, t->name.n), t->name))
			return true;
	return false;
}

bool lake_query_bring(struct lake_query *q, struct str sql, struct err *e)
{
	const volatile int *stop = q->watch ? q->watch->stop : NULL;
	for (size_t i = 0; i < q->n_tables; i++) {
		struct lake_table *t = &q->tables[i];
		if (t->open || t->damage.code != ERR_NONE || project_has_paths(q->project) || !names(sql, t))
			continue;
		if (!bring_table(q, t, stop, e) || !open_view(q, t, e))
			return false;
	}
	return true;
}

/* ── stopping ── */

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
		else if (read_all && t->open && !find_damage(q, t, false, &why)) {
			found = true;
			*e = why;
		}
	}
	arena_free(&a);
	return found;
}

/* "... Table with name x does not exist!; Did you mean "y"?; ...": the engine knows names without their zones. */
static void explain_name(struct lake_query *q, struct err *e)
{
	struct str text = arena_copy(q->arena, str_from(e->message)), mark = STR("Table with name "), end = STR(" does not exist");
	struct str best = STR_NONE;
	size_t at = str_find(text, mark), least = SIZE_MAX;
	struct buf names = BUF_INIT(1 << 20);
	if (q->project == NULL || at == text.n)
		return;
	struct str rest = str_sub(text, at + mark.n, text.n), name = str_sub(rest, 0, str_find(rest, end));
	rest = str_sub(rest, name.n, rest.n);
	if (name.n > 1 && name.p[0] == '"')
		name = str_sub(name, 1, name.n - 2);
	size_t dot = str_find_char(name, '.');
	struct str base = dot < name.n ? str_sub(name, dot + 1, name.n) : name;
	for (size_t i = 0; i < q->n_tables; i++) {
		const struct lake_table *t = &q->tables[i];
		struct str whole = arena_format(q->arena, "%s.%.*s", lake_zone_name(t->zone), STR_ARG(t->name));
		size_t d = str_distance(t->name, base);
		if (t->zone != ZONE_QUARANTINE)
			buf_addf(&names, "%s%.*s", names.n > 0 ? ", " : "", STR_ARG(whole));
		if (d < least && d < 2 + base.n / 3) {
			least = d;
			best = whole;
		}
	}
	rest = str_sub(rest, str_find(rest, STR("; LINE ")), rest.n); /* the engine's own guess stands in between */
	err_set(e, ERR_USAGE, "SQL: there is no table %.*s%.*s", STR_ARG(name), STR_ARG(rest));
	if (best.n > 0)
		err_hint(e, "did you mean %.*s? There are: %.*s", STR_ARG(best), STR_ARG(buf_str(&names)));
	else if (names.n > 0)
		err_hint(e, "there are: %.*s", STR_ARG(buf_str(&names)));
	else
		err_hint(e, "there are none yet; `sluice run` makes them");
	buf_free(&names);
}

bool lake_query_run(struct lake_query *q, struct str sql, struct arena *a, struct batch_shape **shape, size_t *n_columns,
		    engine_take *take, void *user, struct err *e)
{
	static const char *const of_the_text[] = { "Parser Error", "Binder Error", "Catalog Error", "Permission Error",
						   "Conversion Error", "Invalid Input Error", "Not implemented Error" };
	enum { SURELY_OF_THE_TEXT = 4 };
	size_t i = 0, n = sizeof of_the_text / sizeof *of_the_text;
	if (q->project && !lake_query_bring(q, sql, e))
		return false;
	if (engine_query(q->connection, sql, a, shape, n_columns, take, user, e))
		return true;
	if (q->watch && *q->watch->stop != 0) {
		err_set(e, *q->watch->stop == SIGINT ? ERR_SIGINT : ERR_SIGTERM, "stopped by a signal");
		return err_hint(e, "nothing was changed");
	}
	if (e->code != ERR_ENGINE && e->code != ERR_ENGINE_FAULT)
		return false;
	while (i < n && strstr(e->message, of_the_text[i]) == NULL)
		i++;
	if (!explain_damage(q, sql, i >= SURELY_OF_THE_TEXT, e) && i < n) {
		e->code = ERR_USAGE;
		explain_name(q, e);
	}
	return false;
}
