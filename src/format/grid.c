#include "format/grid.h"

#include "base/json.h"
#include "format/layout.h"
#include "format/ledger.h"

enum { GRID_PARTS_MAX = 1000, GRID_FILE_MAX = 4096 };

static const char format_name[] = "sluice-grid/1";
static const char unit_letters[] = "mhdwM";

static const char *origin_of(enum step_unit u)
{
	return u == STEP_WEEK ? "1970-01-05" : "1970-01-01";
}

static struct str encode(const struct step *s, size_t n, int64_t since_us, struct arena *a)
{
	struct buf b = BUF_INIT(GRID_FILE_MAX);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	json_put_z(&o, "format", format_name);
	json_put_u64(&o, "n", n);
	if (n == 0)
		json_put_null(&o, "since");
	else
		json_put_str(&o, "since", us_to_rfc3339(since_us, a));
	json_put_z(&o, "origin", origin_of(s->unit));
	json_put_str(&o, "every", arena_format(a, "%u%c", s->count, unit_letters[s->unit]));
	json_put_str(&o, "zone", s->zone ? zone_name(s->zone) : STR("UTC"));
	json_end_object(&o);
	buf_add_char(&b, '\n');
	return buf_take(&b, a);
}

/* What a run wrote here was a zone. Trouble in reading its file is trouble of this machine, and stays that. */
static bool zone_damaged(struct err *e)
{
	if (e->code == ERR_CONFIG) {
		e->code = ERR_DAMAGE;
		err_hint(e, "`sluice verify` has the whole list; a machine whose tzdata is older than that of the one that wrote it may lack a zone");
	}
	return false;
}

static bool decode(struct str text, size_t n, struct arena *a, struct grid_part *part, struct err *e)
{
	struct json_node *root = NULL;
	struct str format, every, zone, origin;
	uint64_t number = 0;
	if (!json_parse(text, a, &root, e)) {
		e->code = ERR_DAMAGE;
		return false;
	}
	if (!json_need_str(root, "format", &format, e) || !json_need_u64(root, "n", &number, e) ||
	    !json_need_str(root, "origin", &origin, e) || !json_need_str(root, "every", &every, e) ||
	    !json_need_str(root, "zone", &zone, e))
		return false;
	if (!str_eq_z(format, format_name) || number != n || !step_parse(every, &part->step.unit, &part->step.count) ||
	    !str_eq_z(origin, origin_of(part->step.unit)))
		return err_set(e, ERR_DAMAGE, "not a grid that this version knows");
	if (!zone_load(zone, a, &part->step.zone, e))
		return zone_damaged(e);
	struct str since = json_str_or(root, "since", STR_NONE);
	bool more = false;
	part->since_us = INT64_MIN;
	if ((since.n > 0) != (n > 0))
		return err_set(e, ERR_DAMAGE, "only part 0 of a grid begins with all time");
	if (since.n > 0 && !us_from_rfc3339(since, &part->since_us, &more))
		return err_set(e, ERR_DAMAGE, "\"since\" is no time");
	return true;
}

/* Both parts of the key stand in resource_key: raw/<pipeline>/<resource>. */
static struct str grid_key(struct str resource_key, size_t n, struct arena *a)
{
	return arena_format(a, "%.*s/grid/%zu.json", STR_ARG(resource_key), n);
}

bool grid_ask(struct store *s, struct str resource_key, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct str text;
	size_t n = 0;
	while (n < GRID_PARTS_MAX && store_get(s, grid_key(resource_key, n, &a), GRID_FILE_MAX, &a, &text, e))
		n++;
	arena_free(&a);
	return n == GRID_PARTS_MAX || e->code == ERR_MISSING;
}

bool grid_load(struct store *s, struct str resource_key, const struct step *wanted, struct arena *a, struct grid *out,
	       bool *missing, struct err *e)
{
	struct { struct grid_part *v; size_t n, cap; } parts = { 0 };
	for (size_t n = 0; n < GRID_PARTS_MAX; n++) {
		struct str key = grid_key(resource_key, n, a), text;
		struct err why = ERR_INIT;
		if (!store_get(s, key, GRID_FILE_MAX, a, &text, &why)) {
			if (why.code == ERR_MISSING)
				break;
			*e = why;
			return false;
		}
		struct grid_part part;
		if (!decode(text, n, a, &part, e))
			return err_wrap(e, "%.*s", STR_ARG(key));
		if (n > 0 && part.since_us <= parts.v[n - 1].since_us)
			return err_set(e, ERR_DAMAGE, "%.*s: begins before the part that it follows", STR_ARG(key));
		*arena_push(a, parts) = part;
	}
	*missing = parts.n == 0;
	if (parts.n == 0)
		*arena_push(a, parts) = (struct grid_part){ INT64_MIN, *wanted };
	*out = (struct grid){ parts.v, parts.n };
	return true;
}

bool grid_fix(struct store *s, struct str resource_key, const struct step *wanted, struct arena *a, struct err *e)
{
	bool ours = false;
	struct str key = grid_key(resource_key, 0, a);
	if (!store_create_checked(s, key, encode(wanted, 0, INT64_MIN, a), &ours, a, e))
		return false;
	return ours || err_set(e, ERR_FENCED, "%.*s: another run fixed another grid of windows first", STR_ARG(key));
}

bool grid_agrees(const struct grid *g, const struct step *wanted, struct str resource, struct err *e)
{
	const struct step *last = &g->parts[g->n_parts - 1].step;
	struct str zone = last->zone ? zone_name(last->zone) : STR("UTC");
	struct str wanted_zone = wanted->zone ? zone_name(wanted->zone) : STR("UTC");
	if (last->unit == wanted->unit && last->count == wanted->count && str_eq(zone, wanted_zone))
		return true;
	err_set(e, ERR_CONFIG, "%.*s: the lake holds windows of %u%c in %.*s, the pipeline file wants %u%c in %.*s",
		STR_ARG(resource), last->count, unit_letters[last->unit], STR_ARG(zone), wanted->count,
		unit_letters[wanted->unit], STR_ARG(wanted_zone));
	return err_hint(e, "windows never overlap: keep the old step, or give the resource another name");
}

static const struct grid_part *part_at(const struct grid *g, int64_t us)
{
	size_t i = g->n_parts;
	while (i > 1 && g->parts[i - 1].since_us > us)
		i--;
	return &g->parts[i - 1];
}

/* The window that contains `us`; a part's last window is cut where the next part begins. */
static struct window window_at(const struct grid *g, int64_t us)
{
	const struct grid_part *p = part_at(g, us);
	struct window w = { .from_us = step_floor(&p->step, us) };
	w.to_us = step_next(&p->step, w.from_us);
	if (w.from_us < p->since_us)
		w.from_us = p->since_us;
	const struct grid_part *next = p + 1;
	if (next < g->parts + g->n_parts && w.to_us > next->since_us)
		w.to_us = next->since_us;
	return w;
}

bool grid_windows(const struct grid *g, int64_t from_us, int64_t to_us, size_t max_windows, struct arena *a,
		  struct window_list *out, struct err *e)
{
	*out = (struct window_list){ 0 };
	if (to_us <= from_us)
		return true;
	struct window w = window_at(g, from_us);
	while (w.to_us <= to_us) {
		if (w.to_us > from_us) {
			if (out->n == max_windows)
				return err_set(e, ERR_USAGE, "the interval holds more than %zu windows", max_windows);
			*arena_push(a, *out) = w;
		}
		w = window_at(g, w.to_us);
	}
	return true;
}

bool grid_has(const struct grid *g, struct window w)
{
	struct window on = window_at(g, w.from_us);
	return on.from_us == w.from_us && on.to_us == w.to_us;
}

bool grid_check_bytes(struct store *s, struct str resource_key, const struct grid *g, struct err *e)
{
	struct arena a = ARENA_INIT;
	struct store_listing list;
	struct str folder = arena_format(&a, "%.*s/grid", STR_ARG(resource_key));
	bool ok = store_list(s, folder, &a, &list, e);
	for (size_t i = 0; ok && i < g->n_parts; i++) {
		struct str key = grid_key(resource_key, i, &a), text;
		ok = store_get(s, key, GRID_FILE_MAX, &a, &text, e) &&
		     (str_eq(text, encode(&g->parts[i].step, i, g->parts[i].since_us, &a)) ||
		      err_set(e, ERR_DAMAGE, "%.*s: its bytes are not those that were written", STR_ARG(key)));
	}
	if (ok && list.n != g->n_parts)
		ok = err_set(e, ERR_DAMAGE, "%.*s: %zu objects where the grid has %zu parts", STR_ARG(folder), list.n, g->n_parts);
	arena_free(&a);
	return ok;
}
