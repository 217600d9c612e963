#include "driver/store_open.h"

static const struct str scheme_disk = { "disk://", 7 };

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

bool store_open(struct str lake, const struct store_settings *settings, bool create, struct store **out, struct err *e)
{
	(void)settings;
	if (store_name_is_path(lake))
		return open_disk(lake, create, out, e);
	if (str_starts(lake, scheme_disk)) {
		if (!open_disk(str_sub(lake, scheme_disk.n, lake.n), create, out, e))
			return false;
		(*out)->abilities &= ~(unsigned)STORE_CAN_PATH;
		return true;
	}
	if (str_starts(lake, STR("s3://")))
		return err_set(e, ERR_CONFIG, "%.*s: lakes on S3 are not here yet; use a folder", STR_ARG(lake));
	return err_set(e, ERR_USAGE, "%.*s: a lake is a folder, or s3://bucket/prefix", STR_ARG(lake));
}
