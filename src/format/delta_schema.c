#include "format/delta.h"

#include "base/json.h"

enum { SCHEMA_MAX_BYTES = 4 << 20 };

static struct str delta_type(const struct table_column *c, struct arena *a)
{
	switch (c->type) {
	case TYPE_BOOLEAN:
		return STR("boolean");
	case TYPE_INTEGER:
		return STR("long");
	case TYPE_DECIMAL:
		return arena_format(a, "decimal(%u,%u)", c->precision, c->scale);
	case TYPE_DOUBLE:
		return STR("double");
	case TYPE_DATE:
		return STR("date");
	case TYPE_TIMESTAMP:
		return STR("timestamp");
	default:
		return STR("string");
	}
}

/* Spark's own form (StructType.json): Delta readers parse exactly this. */
struct str table_schema_json(const struct table_schema *s, struct arena *a)
{
	struct buf b = BUF_INIT(SCHEMA_MAX_BYTES);
	struct json_out o = JSON_OUT(&b);
	json_begin_object(&o, NULL);
	json_put_z(&o, "type", "struct");
	json_begin_array(&o, "fields");
	for (size_t i = 0; i < s->n; i++) {
		const struct table_column *c = &s->v[i];
		json_begin_object(&o, NULL);
		json_put_str(&o, "name", c->name);
		json_put_str(&o, "type", delta_type(c, a));
		json_put_bool(&o, "nullable", true);
		json_begin_object(&o, "metadata");
		if (c->comment.n > 0)
			json_put_str(&o, "comment", c->comment);
		if (c->type == TYPE_JSON)
			json_put_z(&o, "sluice.type", "json");
		json_end_object(&o);
		json_end_object(&o);
	}
	json_end_array(&o);
	json_end_object(&o);
	return buf_take(&b, a);
}

static bool decimal_parts(struct str type, unsigned *precision, unsigned *scale)
{
	uint64_t p = 0, s = 0;
	if (!str_starts(type, STR("decimal(")) || !str_ends(type, STR(")")))
		return false;
	struct str rest = str_sub(type, 8, type.n - 9), left;
	if (!str_cut(&rest, ',', &left) || !str_to_u64(str_trim(left), &p) || !str_to_u64(str_trim(rest), &s))
		return false;
	*precision = (unsigned)p;
	*scale = (unsigned)s;
	return p >= 1 && p <= 38 && s <= p;
}

static bool column_type(struct str type, struct str ours, struct table_column *c)
{
	static const struct {
		const char *name;
		enum column_type type;
	} simple[] = {
		{ "boolean", TYPE_BOOLEAN }, { "long", TYPE_INTEGER },	  { "double", TYPE_DOUBLE },
		{ "date", TYPE_DATE },	     { "timestamp", TYPE_TIMESTAMP }, { "string", TYPE_STRING },
	};
	for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
		if (str_eq_z(type, simple[i].name)) {
			c->type = simple[i].type;
			if (c->type == TYPE_STRING && str_eq(ours, STR("json")))
				c->type = TYPE_JSON;
			return true;
		}
	c->type = TYPE_DECIMAL;
	return decimal_parts(type, &c->precision, &c->scale);
}

bool table_schema_parse(struct str json, struct arena *a, struct table_schema *out, struct err *e)
{
	struct json_node *root = NULL;
	const struct json_node *fields = NULL;
	struct str kind;
	if (!json_parse(json, a, &root, e) || !json_need(root, "fields", JSON_ARRAY, &fields, e) ||
	    !json_need_str(root, "type", &kind, e))
		return err_wrap(e, "schemaString");
	if (!str_eq_z(kind, "struct"))
		return err_set(e, ERR_DAMAGE, "schemaString: it is no struct");
	out->v = arena_array(a, struct table_column, fields->n_children + 1);
	out->n = 0;
	for (const struct json_node *f = fields->child; f; f = f->next) {
		struct table_column *c = &out->v[out->n++];
		struct str type;
		const struct json_node *meta = json_get(f, "metadata");
		if (!json_need_str(f, "name", &c->name, e) || !json_need_str(f, "type", &type, e))
			return err_wrap(e, "schemaString");
		c->comment = json_str_or(meta, "comment", STR_NONE);
		if (!column_type(type, json_str_or(meta, "sluice.type", STR_NONE), c))
			return err_set(e, ERR_DAMAGE, "schemaString: column %.*s has type \"%.*s\", which sluice never writes",
				       STR_ARG(c->name), STR_ARG(type));
	}
	return true;
}
