/* config push. */
#include "base/file.h"
#include "base/json.h"
#include "run/bundle.h"
#include "ui/amount.h"
#include "ui/command.h"

#include <inttypes.h>

struct pushed {
	struct bundle_file *v;
	size_t n, cap;
	uint64_t bytes;
};

/* `path` NULL: its own below the pipeline's folder. */
static bool add(struct ui *u, struct pushed *out, const char *file, const char *path, struct err *e)
{
	struct str folder = u->project.pipeline->folder, name = str_from(file), bytes;
	if (str_starts(name, folder) && folder.n > 0 && name.p[folder.n] == '/')
		name = str_sub(name, folder.n + 1, name.n);
	if (path)
		name = str_from(path);
	if (!file[0]) /* a table that has no contract */
		return true;
	if (!file_read(file, BUNDLE_FILE_MAX, &u->arena, &bytes, e))
		return false;
	out->bytes += bytes.n;
	*arena_push(&u->arena, *out) = (struct bundle_file){ name, bytes };
	return true;
}

/* What a run would read, and nothing else that lies beside it. */
static bool files_collect(struct ui *u, struct pushed *out, struct err *e)
{
	const struct project *j = &u->project;
	const struct pipeline *l = j->pipeline;
	struct str ca = l->store.ca_file;
	bool ok = add(u, out, l->file, "pipeline.yaml", e);
	for (size_t i = 0; ok && i < l->n_resources; i++)
		ok = !j->contracts[i] || add(u, out, j->contracts[i]->file, NULL, e);
	for (size_t i = 0; ok && i < j->models.n; i++) {
		const struct model *m = &j->models.v[i];
		ok = add(u, out, m->file, NULL, e) && (!m->contract || add(u, out, m->contract->file, NULL, e)) &&
		     (!m->spark_file || add(u, out, m->spark_file, NULL, e));
	}
	if (ok && ca.n > l->folder.n && str_starts(ca, l->folder) && ca.p[l->folder.n] == '/')
		ok = add(u, out, arena_zero_terminated(&u->arena, ca), NULL, e);
	return ok;
}

/* Secrets stay where they are. */
static void secrets_tell(struct ui *u)
{
	const struct pipeline *l = u->project.pipeline;
	for (size_t i = 0; i < l->n_sources; i++) {
		struct str reference = l->sources[i].auth.secret.reference;
		if (l->sources[i].auth.kind != AUTH_NONE && str_starts(reference, STR("file:")))
			ui_say(u, arena_format(&u->arena, "  %.*s is not among them: a function finds secrets as aws-secret:NAME, aws-ssm:NAME "
					       "or env:NAME\n", STR_ARG(reference)));
	}
}

int cmd_config_push(struct ui *u)
{
	struct pushed p = { 0 };
	struct sha256 digest;
	struct err e = ERR_INIT;
	size_t n_new = 0;
	int status = 0;
	if (!ui_open(u, LAKE_MADE, false, &status))
		return status;
	if (!files_collect(u, &p, &e) || !bundle_write(u->project.store, p.v, p.n, &digest, &n_new, &e))
		return ui_fail(u, &e);
	struct str hex = sha256_hex_str(digest, &u->arena);
	struct str place = arena_format(&u->arena, "%s/config/%.*s", u->project.lake_path, STR_ARG(hex));
	if (u->args.given[OPT_JSON]) {
		struct json_out o = JSON_OUT(&u->out);
		json_begin_object(&o, NULL);
		json_put_str(&o, "digest", hex);
		json_put_str(&o, "config", place);
		json_put_u64(&o, "files", p.n);
		json_put_u64(&o, "bytes", p.bytes);
		json_put_u64(&o, "new", n_new);
		json_end_object(&o);
		buf_add_char(&u->out, '\n');
	} else {
		ui_say(u, arena_format(&u->arena, "%.*s\n", STR_ARG(place)));
		ui_say(u, arena_format(&u->arena, "  %s, %s; %s\n", amount_things(p.n, "file").text, amount_size(p.bytes).text,
				       n_new ? arena_format(&u->arena, "%s written", amount_count(n_new).text).p : "all of it was there"));
		secrets_tell(u);
	}
	return ui_done(u, 0);
}
