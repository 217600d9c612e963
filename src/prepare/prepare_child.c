/* Between a file of the main table and those of its children: elements of arrays go to the children's logs as the rows
 * around them are judged, and come out of them as records of their own. */
#include "prepare/prepare_reader.h"

struct parent { /* the record around an array */
	struct str raw;
	uint64_t share, page, offset;
};

static struct item item_of(const struct parent *r, int64_t index, struct str raw)
{
	return (struct item){ r->share, r->page, r->offset, r->offset + (uint64_t)(raw.p - r->raw.p), index, raw };
}

/* Each element goes to the log; without one they are counted. A value that is no array counts as one element, which will
 * be set aside. */
static bool array_walk(struct reader *f, const struct parent *r, struct record_array array, struct item_log *log,
		       uint64_t *n, struct err *e)
{
	struct json_scan s;
	struct item item = item_of(r, -1, array.raw);

	if (!array.is_array) {
		*n += 1;
		return !log || item_log_add(log, &item, e);
	}
	json_open(&s, array.raw, f->p->job->json_depth);
	if (json_next(&s) == JSON_ARRAY)
		for (int64_t index = 0;; index++) {
			enum json_event ev = json_next(&s);
			const char *start = s.value_start;
			if (ev == JSON_ARRAY_END)
				return true;
			if (ev == JSON_BAD || ((ev == JSON_OBJECT || ev == JSON_ARRAY) && !json_skip(&s)))
				break;
			*n += 1;
			item = item_of(r, index, (struct str){ start, (size_t)(s.p - start) });
			if (log && !item_log_add(log, &item, e))
				return false;
		}
	return err_set(e, ERR_JSON, "%.*s: an array of a record, byte %zu: %s", STR_ARG(f->p->job->table), s.fault_at,
		       s.fault ? s.fault : "not JSON");
}

static bool arrays_walk(struct reader *f, const struct parent *r, const struct record_array *arrays, size_t stride,
			bool gone, struct err *e)
{
	for (size_t i = 0; i < f->t->n_children; i++) {
		struct file_task *child = &f->t->children[i];
		struct share *s = &child->shares[r->share];
		struct record_array array = arrays[i * stride];
		if (array.raw.n > 0 && !array_walk(f, r, array, gone ? NULL : &child->items,
						   gone ? &s->with_parent : &s->items, e))
			return false;
	}
	return true;
}

void children_keep(struct reader *f, size_t row)
{
	const struct record_array *arrays = record_arrays(f->records);

	for (size_t i = 0; i < f->t->n_children; i++)
		f->arrays[i * BATCH_ROWS + row] = arrays[i];
}

bool children_take(struct reader *f, const struct batch *b, struct err *e)
{
	const struct batch_column *meta = &b->columns[f->table->contract->n_columns];

	for (size_t row = 0; f->t->n_children > 0 && row < b->n_rows; row++) {
		struct parent r = { f->raw[row], f->runs[reader_run(f, row)].share, (uint64_t)meta[META_PAGE].i64[row],
				    (uint64_t)meta[META_OFF].i64[row] };
		bool gone = rows_has(&f->verdicts->by_action[ACTION_QUARANTINE], row);
		if (!arrays_walk(f, &r, &f->arrays[row], BATCH_ROWS, gone, e))
			return false;
	}
	return true;
}

bool children_lose(struct reader *f, struct page *page, enum json_event ev, struct err *e)
{
	const struct prepare_table *of = f->table;
	struct parent r = { .share = f->share, .page = page->number };

	if (!f->spare.records) {
		f->spare.records = record_reader_new(of->contract, f->p->job->json_depth, &f->arena);
		f->spare.verdicts = verdicts_new(of->contract, &f->arena);
		f->spare.batch = batch_new(of->shape, of->n_columns, &f->arena);
	}
	batch_clear(f->spare.batch);
	verdicts_begin(f->spare.verdicts);
	if (!record_read_at(f->spare.records, &page->scan, ev, f->spare.batch, 0, f->spare.verdicts, &f->row_arena, &r.raw))
		return pages_broken(&f->pages, e);
	return arrays_walk(f, &r, record_arrays(f->spare.records), 1, true, e);
}

bool child_next(struct reader *f, struct batch *b, bool *end, struct err *e)
{
	struct share *s = &f->t->shares[f->share];
	const struct batch_column *meta = &b->columns[f->table->contract->n_columns];
	struct item item;
	size_t row = b->n_rows;

	*end = s->read == s->with_parent + s->items;
	if (*end)
		return true;
	if (!item_log_next(&f->t->items, &f->row_arena, &item, e))
		return false;
	s->read++;
	f->raw[row] = item.raw;
	if (item.index >= 0)
		record_read(f->records, item.raw, b, row, f->verdicts, &f->row_arena);
	else
		verdicts_note(f->verdicts, RULE_RECORD, SIZE_MAX, row, item.raw, "an array is expected");
	reader_row(f, b, row, item.page, item.offset);
	meta[META_PARENT_OFF].i64[row] = (int64_t)item.parent;
	meta[META_IDX].i64[row] = item.index;
	batch_set_valid(&b->columns[f->table->contract->n_columns + META_PARENT_OFF], row);
	if (item.index >= 0)
		batch_set_valid(&b->columns[f->table->contract->n_columns + META_IDX], row);
	return true;
}

void children_begin(struct reader *f)
{
	for (size_t i = 0; i < f->t->n_children; i++) {
		struct file_task *child = &f->t->children[i];
		item_log_close(&child->items);
		for (size_t k = 0; k < child->n_shares; k++)
			child->shares[k].items = child->shares[k].with_parent = 0;
	}
	if (f->t->n_children > 0)
		f->arrays = arena_array(&f->arena, struct record_array, f->t->n_children * BATCH_ROWS);
}

void children_end(struct reader *f)
{
	if (f->spare.records) {
		record_reader_free(f->spare.records);
		verdicts_free(f->spare.verdicts);
	}
}
