#include "format/json_parts.h"

void json_put_hash(struct json_out *o, const char *key, struct sha256 h)
{
	char hex[SHA256_HEX + 1];
	sha256_hex(h, hex);
	json_put_z(o, key, hex);
}

bool json_need_hash(const struct json_node *n, const char *key, struct sha256 *out, struct err *e)
{
	struct str hex;
	if (!json_need_str(n, key, &hex, e))
		return false;
	return sha256_from_hex(hex, out) || err_set(e, ERR_DAMAGE, "\"%s\" is no SHA-256", key);
}

bool json_need_unsigned(const struct json_node *n, const char *key, unsigned *out, struct err *e)
{
	uint64_t v = 0;
	if (!json_need_u64(n, key, &v, e))
		return false;
	if (v > UINT32_MAX)
		return err_set(e, ERR_DAMAGE, "\"%s\" is out of range", key);
	*out = (unsigned)v;
	return true;
}
