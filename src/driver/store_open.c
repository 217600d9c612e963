#include "driver/store_open.h"

#include "base/clock.h"
#include "driver/store_s3.h"

static const struct str scheme_disk = { "disk://", 7 }, scheme_s3 = { "s3://", 5 };

bool store_name_is_path(struct str lake)
{
	return str_find(lake, STR("://")) == lake.n;
}

static bool open_disk(struct str path, bool create, struct store **out, struct err *e)
{
	struct arena a = ARENA_INIT;
	bool ok = store_open_disk(arena_zero_terminated(&a, path), create, out, e);
	arena_free(&a);
	return ok;
}

/* What the settings leave open. A store that is not AWS's has its own idea of regions, or none: any will do for signing. */
static bool s3_complete(struct store_s3_options *o, struct arena *a, struct err *e)
{
	if (o->endpoint.n == 0) {
		if (!aws_chain_endpoint(o->chain, "S3", a, &o->endpoint, e))
			return false;
		o->path_style = o->path_style || o->endpoint.n > 0;
	}
	if (o->ca_file.n == 0 && !aws_chain_ca_bundle(o->chain, a, &o->ca_file, e))
		return false;
	struct err why = ERR_INIT;
	if (o->region.n > 0 || aws_chain_region(o->chain, true, a, &o->region, &why))
		return true;
	if (o->endpoint.n == 0 || why.code == ERR_CONFIG) {
		*e = why;
		return false;
	}
	o->region = STR("us-east-1");
	return true;
}

static bool lake_there(struct store *s, bool create, struct err *e)
{
	bool empty = false;
	if (!store_s3_look(s, &empty, e))
		return false;
	return create || !empty || err_set(e, ERR_MISSING, "%.*s: there is no lake under this prefix", STR_ARG(s->url));
}

static bool open_s3(struct str lake, const struct store_settings *settings, bool create, struct store **out, struct err *e)
{
	struct str rest = str_sub(lake, scheme_s3.n, SIZE_MAX);
	struct arena a = ARENA_INIT;
	struct store_s3_options o = {
		.bucket = str_sub(rest, 0, str_find_char(rest, '/')),
		.region = settings->region,
		.endpoint = settings->endpoint,
		.path_style = settings->path_style,
		.single_writer = settings->single_writer,
		.ca_file = settings->ca_file,
		.clock = clock_system(),
		.part_threads = STORE_S3_PART_THREADS,
	};
	o.prefix = str_sub(rest, o.bucket.n + 1, SIZE_MAX);
	while (str_ends(o.prefix, STR("/")))
		o.prefix.n--;
	struct aws_chain_options chain = { .clock = o.clock };
	bool ok = aws_chain_open(&chain, &o.chain, e);
	if (ok && !(s3_complete(&o, &a, e) && store_open_s3(&o, out, e))) {
		aws_chain_close(o.chain);
		ok = false;
	} else if (ok && !lake_there(*out, create, e)) {
		store_close(*out);
		ok = false;
	}
	if (!ok)
		*out = NULL;
	arena_free(&a);
	return ok;
}

bool store_open(struct str lake, const struct store_settings *settings, bool create, struct store **out, struct err *e)
{
	if (store_name_is_path(lake))
		return open_disk(lake, create, out, e);
	if (str_starts(lake, scheme_s3))
		return open_s3(lake, settings, create, out, e);
	if (str_starts(lake, scheme_disk)) {
		if (!open_disk(str_sub(lake, scheme_disk.n, lake.n), create, out, e))
			return false;
		(*out)->abilities &= ~(unsigned)STORE_CAN_PATH;
		return true;
	}
	return err_set(e, ERR_USAGE, "%.*s: a lake is a folder, or s3://bucket/prefix", STR_ARG(lake));
}
