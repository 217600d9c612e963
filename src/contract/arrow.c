/* Batches out, as the Arrow C data interface. The way in is arrow_reader.c. */
#include "contract/arrow.h"

#include "base/buf.h"
#include "base/check.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 65535, FORMAT_BYTES = 32 };
static const size_t TEXT_MAX_BYTES = (size_t)1 << 30; /* a column's; offsets are int32 */
/* Of one array; a builder is finished by its user long before. */
static const size_t BUFFER_MAX_BYTES = (size_t)1 << 34;

/* ── schema ── */

static void format_make(const struct batch_shape *s, char out[FORMAT_BYTES])
{
	static const char *const FORMATS[TYPE_COUNT] = {
		[TYPE_STRING] = "u", [TYPE_JSON] = "u",  [TYPE_BOOLEAN] = "b",  [TYPE_INTEGER] = "l",
		[TYPE_DOUBLE] = "g", [TYPE_DATE] = "tdD", [TYPE_TIMESTAMP] = "tsu:UTC", [TYPE_DECIMAL] = "d",
	};
	int n;

	CHECK(s->type < TYPE_COUNT);
	if (s->type == TYPE_DECIMAL)
		n = snprintf(out, FORMAT_BYTES, "d:%u,%u", s->precision, s->scale);
	else
		n = snprintf(out, FORMAT_BYTES, "%s", FORMATS[s->type]);
	CHECK(n > 0 && n < FORMAT_BYTES);
}

/* Each child owns its name and format: the interface lets a reader move one away and end the others. */
struct child_memory {
	char format[FORMAT_BYTES];
	char name[];
};

static void child_release(struct ArrowSchema *s)
{
	mem_free(s->private_data);
	s->release = NULL;
}

static void schema_release(struct ArrowSchema *s)
{
	for (int64_t i = 0; i < s->n_children; i++) {
		if (s->children[i]->release) /* else it was moved */
			s->children[i]->release(s->children[i]);
		mem_free(s->children[i]);
	}
	mem_free(s->children);
	s->release = NULL;
}

void arrow_schema_export(const struct batch_shape *shape, size_t n_columns, struct ArrowSchema *out)
{
	struct ArrowSchema **children = mem_alloc(mem_size(n_columns > 0 ? n_columns : 1, sizeof children[0]));

	for (size_t i = 0; i < n_columns; i++) {
		struct str name = shape[i].name;
		struct child_memory *m;
		CHECK(name.n <= NAME_MAX_BYTES && (name.n == 0 || !memchr(name.p, 0, name.n)));
		m = mem_alloc(sizeof *m + name.n + 1);
		if (name.n > 0)
			memcpy(m->name, name.p, name.n);
		format_make(&shape[i], m->format);
		children[i] = mem_alloc(sizeof *children[i]);
		*children[i] = (struct ArrowSchema){ .format = m->format, .name = m->name, .flags = ARROW_FLAG_NULLABLE,
						     .release = child_release, .private_data = m };
	}
	*out = (struct ArrowSchema){ .format = "+s", .name = "", .n_children = (int64_t)n_columns, .children = children,
				     .release = schema_release };
}

/* ── rows ── */

struct column_buffers {
	enum column_type type;
	struct buf valid, values, text; /* bits; values, or offsets of texts; texts */
	int64_t nulls;
};

struct arrow_builder {
	size_t n_rows, n_columns;
	struct column_buffers *columns;
};

static bool is_text(enum column_type t)
{
	return t == TYPE_STRING || t == TYPE_JSON;
}

static void columns_begin(struct arrow_builder *w)
{
	w->n_rows = 0;
	for (size_t i = 0; i < w->n_columns; i++) {
		struct column_buffers *c = &w->columns[i];
		c->valid = c->values = c->text = BUF_INIT(BUFFER_MAX_BYTES);
		c->nulls = 0;
		if (is_text(c->type))
			buf_add_bytes(&c->values, &(int32_t){ 0 }, sizeof(int32_t));
	}
}

struct arrow_builder *arrow_builder_new(const struct batch_shape *shape, size_t n_columns)
{
	struct arrow_builder *w = mem_alloc(sizeof *w);

	w->n_columns = n_columns;
	w->columns = mem_alloc(mem_size(n_columns > 0 ? n_columns : 1, sizeof w->columns[0]));
	for (size_t i = 0; i < n_columns; i++)
		w->columns[i].type = shape[i].type;
	columns_begin(w);
	return w;
}

void arrow_builder_free(struct arrow_builder *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n_columns; i++) {
		buf_free(&w->columns[i].valid);
		buf_free(&w->columns[i].values);
		buf_free(&w->columns[i].text);
	}
	mem_free(w->columns);
	mem_free(w);
}

size_t arrow_builder_rows(const struct arrow_builder *w)
{
	return w->n_rows;
}

size_t arrow_builder_bytes(const struct arrow_builder *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_columns; i++)
		n += w->columns[i].valid.n + w->columns[i].values.n + w->columns[i].text.n;
	return n;
}

/* Bits [n_rows, n_rows + n) of a bitmap, from bits of `from`, or from bytes. */
static void bits_add(struct buf *b, size_t n_rows, size_t n, const uint64_t *bits, const uint8_t *bytes, size_t from)
{
	size_t want = (n_rows + n + 7) / 8;

	if (want > b->n) {
		size_t more = want - b->n;
		char *room = buf_room(b, more);
		CHECK(room);
		memset(room, 0, more);
		b->n += more;
	}
	for (size_t i = 0; i < n; i++) {
		bool set = bits ? (bits[(from + i) / 64] >> ((from + i) % 64)) & 1 : bytes[from + i] != 0;
		if (set)
			b->p[(n_rows + i) / 8] = (char)((unsigned char)b->p[(n_rows + i) / 8] | 1U << ((n_rows + i) % 8));
	}
}

static void texts_add(struct column_buffers *c, const struct batch_column *b, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		int32_t end;
		if (batch_is_valid(b, i))
			CHECK(buf_add(&c->text, b->s[i]));
		end = (int32_t)c->text.n;
		CHECK(buf_add_bytes(&c->values, &end, sizeof end));
	}
}

/* What stands in a NULL's place is nobody's business, but must not be what happened to be in memory. */
static void values_add(struct column_buffers *c, const struct batch_column *b, const void *p, size_t size, size_t from, size_t to)
{
	char *room = buf_room(&c->values, mem_size(to - from, size));

	CHECK(room);
	memcpy(room, (const char *)p + from * size, (to - from) * size);
	for (size_t i = from; i < to; i++)
		if (!batch_is_valid(b, i))
			memset(room + (i - from) * size, 0, size);
	c->values.n += (to - from) * size;
}

static void column_add(struct column_buffers *c, size_t n_rows, const struct batch_column *b, size_t from, size_t to)
{
	CHECK(c->type == b->type);
	bits_add(&c->valid, n_rows, to - from, b->valid, NULL, from);
	for (size_t i = from; i < to; i++)
		c->nulls += !batch_is_valid(b, i);
	switch (c->type) {
	case TYPE_STRING:
	case TYPE_JSON:
		texts_add(c, b, from, to);
		break;
	case TYPE_BOOLEAN:
		bits_add(&c->values, n_rows, to - from, NULL, b->b, from);
		break;
	case TYPE_INTEGER:
	case TYPE_TIMESTAMP:
		values_add(c, b, b->i64, sizeof b->i64[0], from, to);
		break;
	case TYPE_DECIMAL:
		values_add(c, b, b->i128, sizeof b->i128[0], from, to);
		break;
	case TYPE_DOUBLE:
		values_add(c, b, b->f64, sizeof b->f64[0], from, to);
		break;
	case TYPE_DATE:
		values_add(c, b, b->i32, sizeof b->i32[0], from, to);
		break;
	case TYPE_COUNT:
		CHECK(c->type < TYPE_COUNT);
	}
}

size_t arrow_builder_add(struct arrow_builder *w, const struct batch *b, size_t from, size_t to)
{
	CHECK(b->n_columns == w->n_columns && from <= to && to <= b->n_rows);
	for (size_t i = 0; i < w->n_columns; i++) {
		const struct column_buffers *c = &w->columns[i];
		size_t bytes = c->text.n, row = from;
		if (!is_text(c->type))
			continue;
		for (; row < to; row++) {
			size_t n = batch_is_valid(&b->columns[i], row) ? b->columns[i].s[row].n : 0;
			CHECK(n <= TEXT_MAX_BYTES);
			if (n > TEXT_MAX_BYTES - bytes)
				break;
			bytes += n;
		}
		to = row;
	}
	for (size_t i = 0; i < w->n_columns; i++)
		column_add(&w->columns[i], w->n_rows, &b->columns[i], from, to);
	w->n_rows += to - from;
	CHECK(to > from || w->n_rows > 0 || b->n_rows == 0);
	return to - from;
}

/* ── hand-over ── */

struct array_memory { /* of a column */
	void *bytes[3];
	const void *buffers[3];
};

static void column_release(struct ArrowArray *x)
{
	struct array_memory *m = x->private_data;

	for (size_t i = 0; i < 3; i++)
		mem_free(m->bytes[i]);
	mem_free(m);
	x->release = NULL;
}

static void batch_release(struct ArrowArray *x)
{
	for (int64_t i = 0; i < x->n_children; i++) {
		if (x->children[i]->release)
			x->children[i]->release(x->children[i]);
		mem_free(x->children[i]);
	}
	mem_free(x->children);
	mem_free(x->buffers);
	x->release = NULL;
}

/* The bytes of a buffer change hands; never NULL, as some readers want. */
static void *buffer_move(struct buf *b)
{
	void *p = b->p ? b->p : mem_alloc(8);

	*b = BUF_INIT(BUFFER_MAX_BYTES);
	return p;
}

static void column_finish(struct column_buffers *c, size_t n_rows, struct ArrowArray *out)
{
	struct array_memory *m = mem_alloc(sizeof *m);

	*out = (struct ArrowArray){ .length = (int64_t)n_rows, .null_count = c->nulls, .n_buffers = is_text(c->type) ? 3 : 2,
				    .buffers = m->buffers, .release = column_release, .private_data = m };
	m->bytes[0] = buffer_move(&c->valid);
	m->bytes[1] = buffer_move(&c->values);
	m->bytes[2] = is_text(c->type) ? buffer_move(&c->text) : NULL;
	for (size_t i = 0; i < 3; i++)
		m->buffers[i] = m->bytes[i];
}

void arrow_builder_finish(struct arrow_builder *w, struct ArrowArray *out)
{
	struct ArrowArray **children = mem_alloc(mem_size(w->n_columns > 0 ? w->n_columns : 1, sizeof children[0]));

	for (size_t i = 0; i < w->n_columns; i++) {
		children[i] = mem_alloc(sizeof *children[i]);
		column_finish(&w->columns[i], w->n_rows, children[i]);
	}
	*out = (struct ArrowArray){ .length = (int64_t)w->n_rows, .n_buffers = 1, .n_children = (int64_t)w->n_columns,
				    .buffers = mem_alloc(sizeof(void *)), .children = children, .release = batch_release };
	columns_begin(w);
}
