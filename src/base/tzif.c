#include "base/tzif.h"

#include "base/check.h"

#include <string.h>

enum {
	HEADER_SIZE = 44,
	TYPE_SIZE = 6,
	YEARS_WRITTEN_OUT = 404, /* a cycle, two years before it for a clean start, one behind for what overlaps */
};
/* Before this, the microseconds of an instant do not fit in 64 bits; some files begin at the Big Bang, -2^59. */
#define TRANSITION_MIN_S INT64_C(-9200000000000)
#define TRANSITION_MAX_S INT64_C(253402300800) /* the year 10000 */

struct header {
	char version;
	uint32_t ut_n, standard_n, leap_n, transition_n, type_n, name_bytes;
};

static uint32_t u32_big_endian(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;
	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static int64_t i32_big_endian(const char *p)
{
	return (int32_t)u32_big_endian(p);
}

static int64_t i64_big_endian(const char *p)
{
	return (int64_t)((uint64_t)u32_big_endian(p) << 32 | u32_big_endian(p + 4));
}

static const char *header_read(struct str *rest, struct header *h)
{
	if (rest->n < HEADER_SIZE || memcmp(rest->p, "TZif", 4) != 0)
		return "it does not begin as one";
	h->version = rest->p[4];
	h->ut_n = u32_big_endian(rest->p + 20);
	h->standard_n = u32_big_endian(rest->p + 24);
	h->leap_n = u32_big_endian(rest->p + 28);
	h->transition_n = u32_big_endian(rest->p + 32);
	h->type_n = u32_big_endian(rest->p + 36);
	h->name_bytes = u32_big_endian(rest->p + 40);
	if (h->version != '\0' && (h->version < '2' || h->version > '4'))
		return "its version is not one of 1 to 4";
	*rest = str_sub(*rest, HEADER_SIZE, rest->n);
	return NULL;
}

/* Counts are below 2^32 and sizes of one below 20, so the sum cannot overflow 64 bits. */
static uint64_t block_size(const struct header *h, uint64_t time_size)
{
	return h->transition_n * (time_size + 1) + h->type_n * (uint64_t)TYPE_SIZE + h->name_bytes +
	       h->leap_n * (time_size + 4) + h->standard_n + h->ut_n;
}

static const char *types_check(const struct header *h, const char *types)
{
	for (uint32_t i = 0; i < h->type_n; i++) {
		const char *type = types + (size_t)i * TYPE_SIZE;
		int64_t offset_s = i32_big_endian(type);
		if (offset_s < -TZ_OFFSET_MAX_S || offset_s > TZ_OFFSET_MAX_S)
			return "it has an offset of more than 26 hours";
		if ((unsigned char)type[4] > 1 || (unsigned char)type[5] >= h->name_bytes)
			return "it has a damaged local time type";
	}
	return NULL;
}

struct span_list {
	struct tz_span *v;
	size_t n;
};

/* The list has room. Where two changes fall together, the later one in the order of calls counts; one that comes out
 * of order is put in its place (there are at most a few, a few places off). */
static void span_add(struct span_list *list, int64_t from_s, int32_t offset_s)
{
	size_t at = list->n;

	while (list->v[at - 1].from_s > from_s)
		at--;
	if (list->v[at - 1].from_s == from_s) {
		list->v[at - 1].offset_s = offset_s;
		return;
	}
	memmove(&list->v[at + 1], &list->v[at], (list->n - at) * sizeof *list->v);
	list->v[at] = (struct tz_span){ from_s, offset_s };
	list->n++;
}

static const char *spans_read(const struct header *h, struct str block, uint64_t time_size, struct span_list *spans)
{
	const char *times = block.p;
	const char *indexes = times + h->transition_n * time_size;
	const char *types = indexes + h->transition_n;
	const char *why = types_check(h, types);
	int64_t before_s = INT64_MIN;

	if (why)
		return why;
	spans->v[0] = (struct tz_span){ INT64_MIN, (int32_t)i32_big_endian(types) };
	spans->n = 1;
	for (uint32_t i = 0; i < h->transition_n; i++) {
		const char *time = times + i * time_size;
		int64_t at_s = time_size == 8 ? i64_big_endian(time) : i32_big_endian(time);
		size_t type = (unsigned char)indexes[i];
		if (i > 0 && at_s <= before_s)
			return "its transitions are not in ascending order";
		before_s = at_s;
		if (at_s > TRANSITION_MAX_S)
			return "it has a transition later than the year 9999";
		if (type >= h->type_n)
			return "it has a transition to a type that it lacks";
		int32_t offset_s = (int32_t)i32_big_endian(types + type * TYPE_SIZE);
		if (at_s < TRANSITION_MIN_S)
			spans->v[0].offset_s = offset_s;
		else
			span_add(spans, at_s, offset_s);
	}
	return NULL;
}

static void rule_write_out(const struct tz_rule *rule, struct span_list *spans, struct zone *z)
{
	bool only_rule = spans->n == 1;
	int64_t last_s = spans->v[spans->n - 1].from_s;

	if (!rule->has_daylight) {
		if (only_rule)
			spans->v[0].offset_s = rule->standard_s;
		return;
	}
	int32_t first_year = only_rule ? 2000 : civil_from_s(last_s, 0).year;
	for (int32_t year = first_year; year < first_year + YEARS_WRITTEN_OUT; year++) {
		int64_t start_s = tz_rule_start_s(rule, year), end_s = tz_rule_end_s(rule, year);
		/* Daylight time that lasts all year ends where the next one starts: the start, added later, counts. */
		if (start_s > last_s)
			span_add(spans, start_s, rule->daylight_s);
		if (end_s > last_s)
			span_add(spans, end_s, rule->standard_s);
	}
	z->cycles = true;
	z->cycles_back = only_rule;
	z->cycle_from_s = (int64_t)days_from_civil(first_year + 2, 1, 1) * S_PER_DAY;
}

static const char *footer_read(struct str rest, struct str *rule)
{
	if (rest.n < 2 || rest.p[0] != '\n')
		return "its footer is missing";
	size_t end = str_find_char(str_sub(rest, 1, rest.n), '\n');
	if (end + 2 != rest.n)
		return "its footer does not end the file";
	*rule = str_sub(rest, 1, end);
	return NULL;
}

static const char *counts_check(const struct header *h, uint64_t size, size_t available)
{
	if (h->leap_n != 0)
		return "it counts leap seconds, which instants here do not (RFC 8536's \"right\" zones)";
	if (h->type_n == 0 || h->type_n > 256 || h->name_bytes == 0 ||
	    (h->standard_n != 0 && h->standard_n != h->type_n) || (h->ut_n != 0 && h->ut_n != h->type_n))
		return "its header contradicts itself";
	return size > available ? "it is cut short" : NULL;
}

const char *tzif_parse(struct str bytes, struct arena *a, struct zone *z)
{
	struct header h;
	struct tz_rule rule;
	struct str rule_text = STR_NONE;
	uint64_t time_size = 4;
	const char *why;

	if (bytes.n > TZIF_SIZE_MAX)
		return "it is too large";
	if ((why = header_read(&bytes, &h)))
		return why;
	if (h.version != '\0') { /* the first block is for readers of 32 bits; ours is the second */
		char version = h.version;
		if (block_size(&h, 4) > bytes.n)
			return "it is cut short";
		bytes = str_sub(bytes, (size_t)block_size(&h, 4), bytes.n);
		if ((why = header_read(&bytes, &h)))
			return "its second part does not begin as one";
		if (h.version != version)
			return "its two headers differ in their version";
		time_size = 8;
	}
	uint64_t size = block_size(&h, time_size);
	if ((why = counts_check(&h, size, bytes.n)))
		return why;
	struct str block = str_sub(bytes, 0, (size_t)size);
	bytes = str_sub(bytes, (size_t)size, bytes.n);
	if (h.version != '\0' && (why = footer_read(bytes, &rule_text)))
		return why;
	if (rule_text.n > 0 && (why = tz_rule_parse(rule_text, &rule)))
		return why;

	struct span_list spans = { arena_array(a, struct tz_span, 1 + h.transition_n + 2 * YEARS_WRITTEN_OUT), 0 };
	if ((why = spans_read(&h, block, time_size, &spans)))
		return why;
	z->cycles = z->cycles_back = false;
	if (rule_text.n > 0)
		rule_write_out(&rule, &spans, z);
	z->spans = spans.v;
	z->span_n = spans.n;
	return NULL;
}
