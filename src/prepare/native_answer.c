#include "prepare/native_answer.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

#include <string.h>

enum err_code native_code(const char *name)
{
	for (int i = ERR_NONE + 1; i < ERR_COUNT; i++)
		if (strcmp(err_name((enum err_code)i), name) == 0)
			return (enum err_code)i;
	return ERR_ENGINE;
}

char *native_text(struct str s)
{
	char *p = mem_alloc(s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

/* What network, disk and memory refused once; stored bytes and settings stay as they are. */
static bool may_go_better(enum err_code code)
{
	int status = err_exit_status(code);

	return (status == 3 && code != ERR_JSON && code != ERR_RECORDS) || status == 7 || status == 9;
}

char *native_error(const struct err *e)
{
	struct buf b = BUF_INIT(1 << 20);
	struct json_out o = JSON_OUT(&b);
	char *text;

	json_begin_object(&o, NULL);
	json_begin_object(&o, "error");
	json_put_z(&o, "code", err_name(e->code));
	json_put_str(&o, "message", str_from(e->message));
	json_put_str(&o, "hint", str_from(e->hint));
	json_end_object(&o);
	json_put_bool(&o, "again", may_go_better(e->code));
	json_end_object(&o);
	text = native_text(buf_str(&b));
	buf_free(&b);
	return text;
}
