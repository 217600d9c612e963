/* explain: a rule of the lint, or all of them as docs/sql.md has them. */
#include "refine/lint.h"
#include "refine/pack.h"
#include "ui/command.h"

int cmd_explain(struct ui *u)
{
	const struct args *g = &u->args;
	bool json = g->given[OPT_JSON];
	struct err e = ERR_INIT;
	if (g->n_operands == 1 && str_eq_z(g->operands[0], "pack")) {
		pack_sql(&u->out);
		json = false;
	} else if (g->n_operands == 1) {
		const struct lint_rule *r = lint_rule_find(g->operands[0]);
		if (r == NULL) {
			err_set(&e, ERR_USAGE, "there is no rule %.*s", STR_ARG(g->operands[0]));
			err_hint(&e, "`sluice explain` lists them");
			return ui_fail(u, &e);
		}
		if (json)
			lint_explain_json(r, &u->out);
		else
			lint_explain(r, &u->out);
	} else if (json) {
		for (size_t i = 0; i < LINT_RULES; i++) {
			buf_add_z(&u->out, i > 0 ? ",\n" : "[");
			lint_explain_json(&lint_rules[i], &u->out);
		}
		buf_add_z(&u->out, "]");
	} else {
		lint_page(&u->out);
	}
	if (json)
		buf_add_char(&u->out, '\n');
	return ui_done(u, 0);
}
