/* libfyaml's event interface is used, never its documents: events are made by a loop, not by recursion, and they
 * stop at our own limits before a tree exists that could be deep or wide. */
#include "config/yaml.h"

#include "base/check.h"
#include "base/file.h"

#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

enum { YAML_FILE_MAX = 1 << 20, YAML_DEPTH_MAX = 64 };

struct build {
	const char *file;
	struct str text;
	struct arena *a;
	struct problems *p;
	struct yaml_node *root;
	struct {
		struct yaml_node *node, *last; /* the container and its newest child */
		bool key_next;                 /* a map whose next scalar is a key */
		struct str key;
		unsigned key_line, key_column;
	} level[YAML_DEPTH_MAX];
	size_t depth;
	unsigned line, column; /* of the newest token that has a place */
	bool failed; /* stop */
	bool doubled; /* a key is there twice: go on, but it is no good file */
};

static bool build_fail(struct build *b, const char *advice, const char *message)
{
	problem_file(b->p, b->file, b->line, b->column, advice, "%s", message);
	b->failed = true;
	return false;
}

static int key_compare(const void *left, const void *right)
{
	const struct yaml_node *a = *(struct yaml_node *const *)left, *b = *(struct yaml_node *const *)right;
	int c = str_cmp(a->key, b->key);
	if (c)
		return c;
	if (a->key_line != b->key_line)
		return a->key_line < b->key_line ? -1 : 1;
	return a->key_column < b->key_column ? -1 : a->key_column > b->key_column;
}

/* Sorted, so that a map of very many keys does not cost their square. */
static void map_check_double(struct build *b, struct yaml_node *map)
{
	if (map->n_children < 2)
		return;
	struct yaml_node **v = arena_array(b->a, struct yaml_node *, map->n_children);
	size_t n = 0;
	for (struct yaml_node *c = map->child; c; c = c->next)
		v[n++] = c;
	CHECK(n == map->n_children);
	qsort(v, n, sizeof *v, key_compare);
	for (size_t i = 1; i < n; i++)
		if (str_eq(v[i - 1]->key, v[i]->key)) {
			problem_at_key(b->p, v[i], "remove one of the two", "the key `%.*s` is here twice, first in line %u",
				       STR_ARG(v[i]->key), v[i - 1]->key_line);
			b->doubled = true;
		}
}

static struct yaml_node *build_add(struct build *b, enum yaml_type type)
{
	struct yaml_node *n = arena_new(b->a, struct yaml_node);
	n->type = type;
	n->file = b->file;
	n->line = b->line;
	n->column = b->column;
	if (!b->depth) {
		b->root = n;
		return n;
	}
	struct yaml_node *parent = b->level[b->depth - 1].node;
	if (parent->type == YAML_MAP) {
		n->key = b->level[b->depth - 1].key;
		n->key_line = b->level[b->depth - 1].key_line;
		n->key_column = b->level[b->depth - 1].key_column;
		b->level[b->depth - 1].key_next = true;
	}
	n->parent = parent;
	if (b->level[b->depth - 1].last)
		b->level[b->depth - 1].last->next = n;
	else
		parent->child = n;
	b->level[b->depth - 1].last = n;
	parent->n_children++;
	return n;
}

static bool build_begin(struct build *b, enum yaml_type type)
{
	if (b->depth && b->level[b->depth - 1].node->type == YAML_MAP && b->level[b->depth - 1].key_next)
		return build_fail(b, "write the key as plain text", "a key must be a text, not a map or a list");
	if (b->depth == YAML_DEPTH_MAX)
		return build_fail(b, NULL, "nested deeper than 64 levels");
	struct yaml_node *n = build_add(b, type);
	b->level[b->depth].node = n;
	b->level[b->depth].last = NULL;
	b->level[b->depth].key_next = type == YAML_MAP;
	b->depth++;
	return true;
}

static void build_scalar(struct build *b, struct fy_token *token)
{
	size_t n = 0;
	const char *text = token ? fy_token_get_text(token, &n) : NULL;
	struct str value = text ? arena_copy(b->a, (struct str){ text, n }) : STR_NONE;
	if (b->depth && b->level[b->depth - 1].node->type == YAML_MAP && b->level[b->depth - 1].key_next) {
		b->level[b->depth - 1].key = value;
		b->level[b->depth - 1].key_line = b->line;
		b->level[b->depth - 1].key_column = b->column;
		b->level[b->depth - 1].key_next = false;
		return;
	}
	struct yaml_node *node = build_add(b, YAML_SCALAR);
	node->text = value;
	node->quoted = token && fy_scalar_token_get_style(token) != FYSS_PLAIN;
}

static bool scalar_is_quoted(struct fy_token *token)
{
	enum fy_scalar_style style = token ? fy_scalar_token_get_style(token) : FYSS_PLAIN;
	return style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
}

static bool build_event(struct build *b, struct fy_event *event)
{
	const struct fy_mark *mark = fy_event_start_mark(event);
	if (mark && mark->line >= 0 && mark->column >= 0) {
		b->line = (unsigned)mark->line + 1;
		b->column = (unsigned)mark->column + 1;
		/* A quoted scalar begins with its quote, behind which the library's mark stands. */
		size_t at = mark->input_pos;
		if (event->type == FYET_SCALAR && scalar_is_quoted(event->scalar.value) && mark->column > 0 && at > 0 &&
		    at <= b->text.n && (b->text.p[at - 1] == '"' || b->text.p[at - 1] == '\''))
			b->column--;
	}
	bool node = event->type == FYET_SCALAR || event->type == FYET_MAPPING_START || event->type == FYET_SEQUENCE_START;
	if (event->type == FYET_ALIAS || (node && fy_event_get_anchor_token(event)))
		return build_fail(b, "write the value out where it is needed", "anchors and aliases (&, *) are not used here");
	if (node && fy_event_get_tag_token(event))
		return build_fail(b, "leave the tag away; quotes make a text", "tags (!) are not used here");
	switch (event->type) {
	case FYET_DOCUMENT_START:
		if (b->root)
			return build_fail(b, "remove the line `---` and what follows", "a second document in one file");
		return true;
	case FYET_MAPPING_START:
		return build_begin(b, YAML_MAP);
	case FYET_SEQUENCE_START:
		return build_begin(b, YAML_LIST);
	case FYET_MAPPING_END:
		map_check_double(b, b->level[b->depth - 1].node);
		b->depth--;
		return true;
	case FYET_SEQUENCE_END:
		b->depth--;
		return true;
	case FYET_SCALAR:
		build_scalar(b, event->scalar.value);
		return true;
	default:
		return true;
	}
}

static void discard(struct fy_diag *diag, void *user, const char *text, size_t n)
{
	(void)diag, (void)user, (void)text, (void)n;
}

/* What the library says is right but terse; the usual causes are worth a sentence. */
static const char *fault_advice(struct str message)
{
	if (str_contains(message, STR("multiline")) || str_contains(message, STR("indent")))
		return "check the indentation of this line and the next: blanks, never tabs, the same for all keys of a map";
	if (str_contains(message, STR("quote")))
		return "close the quotes on the same line";
	if (str_contains(message, STR("cannot start with")))
		return "put the value into double quotes";
	if (str_contains(message, STR("tab")))
		return "indent with blanks";
	if (str_contains(message, STR("bracket")) || str_contains(message, STR("flow")))
		return "each { and [ needs its } and ]";
	return NULL;
}

static void fault_report(struct build *b, struct fy_diag *diag)
{
	void *position = NULL;
	struct fy_diag_error *one = fy_diag_errors_iterate(diag, &position);
	b->failed = true;
	if (!one) {
		problem_file(b->p, b->file, b->line, b->column, NULL, "this is not YAML 1.2");
		return;
	}
	unsigned line = one->line > 0 ? (unsigned)one->line : b->line;
	unsigned column = one->line > 0 && one->column > 0 ? (unsigned)one->column : b->column;
	problem_file(b->p, b->file, line, column, fault_advice(str_from(one->msg)), "not YAML 1.2: %s", one->msg);
}

static bool text_check(struct build *b, struct str text)
{
	b->line = b->column = 1;
	if (text.n > YAML_FILE_MAX) {
		b->line = 0;
		return build_fail(b, NULL, "longer than 1 MiB");
	}
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
			return build_fail(b, "in double quotes it can be written as an escape, e.g. \"\\t\"",
					  "a control character");
		if (c == '\n') {
			b->line++;
			b->column = 1;
		} else if ((c & 0xc0) != 0x80) {
			b->column++;
		}
	}
	b->line = b->column = 1;
	struct str rest = text, line;
	while (str_cut(&rest, '\n', &line)) {
		if (!str_is_utf8(line))
			return build_fail(b, "save the file as UTF-8", "this line is not UTF-8");
		b->line++;
	}
	b->line = 1;
	return true;
}

static bool build_run(struct build *b, struct fy_parser *parser)
{
	struct fy_event *event;
	while (!b->failed && (event = fy_parser_parse(parser))) {
		bool ok = build_event(b, event);
		fy_parser_event_free(parser, event);
		if (!ok)
			return true; /* reported */
	}
	return b->failed || !fy_parser_get_stream_error(parser);
}

bool yaml_parse(const char *name, struct str text, struct arena *a, struct yaml_node **root, struct problems *p)
{
	struct build b = { .file = arena_zero_terminated(a, str_from(name)), .a = a, .p = p };
	*root = NULL;
	if (str_starts(text, STR("\xef\xbb\xbf")))
		text = str_sub(text, 3, text.n);
	b.text = text;
	if (!text_check(&b, text))
		return false;
	if (!text.n)
		return true;
	struct fy_diag_cfg diag_cfg;
	fy_diag_cfg_default(&diag_cfg);
	diag_cfg.fp = NULL;
	diag_cfg.output_fn = discard;
	diag_cfg.level = FYET_ERROR;
	struct fy_diag *diag = fy_diag_create(&diag_cfg);
	CHECK(diag != NULL);
	fy_diag_set_collect_errors(diag, true);
	struct fy_parse_cfg cfg = {
		.flags = (enum fy_parse_cfg_flags)(FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE),
		.diag = diag,
	};
	struct fy_parser *parser = fy_parser_create(&cfg);
	CHECK(parser != NULL);
	CHECK(fy_parser_set_string(parser, text.p, text.n) == 0);
	if (!build_run(&b, parser))
		fault_report(&b, diag);
	fy_parser_destroy(parser);
	fy_diag_destroy(diag);
	if (b.failed)
		return false;
	*root = b.root && yaml_is_null(b.root) ? NULL : b.root;
	return !b.doubled;
}

bool yaml_load(const char *path, struct arena *a, struct yaml_node **root, struct problems *p)
{
	struct str text;
	struct err e = ERR_INIT;
	*root = NULL;
	if (!file_read(path, YAML_FILE_MAX, a, &text, &e)) {
		problem_unread(p, arena_zero_terminated(p->arena, str_from(path)),
			       e.code == ERR_MISSING ? "`sluice init URL` writes a first one" : NULL, &e);
		return false;
	}
	return yaml_parse(path, text, a, root, p);
}
