/* Who is asked past the proxy. */
#include "driver/http.h"

#include <arpa/inet.h>
#include <string.h>

enum { ADDRESS_MAX = 64 };

static bool address_of(struct str text, int family, uint8_t out[16])
{
	char z[ADDRESS_MAX];
	if (text.n == 0 || text.n >= sizeof z)
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = 0;
	return inet_pton(family, z, out) == 1;
}

static bool bits_match(const uint8_t *x, const uint8_t *y, uint64_t bits)
{
	size_t bytes = (size_t)bits / 8;
	unsigned rest = (unsigned)bits % 8;
	if (memcmp(x, y, bytes) != 0)
		return false;
	return rest == 0 || ((x[bytes] ^ y[bytes]) >> (8 - rest)) == 0;
}

static bool address_matches(const uint8_t *address, int family, struct str pattern)
{
	uint8_t base[16];
	uint64_t all = family == AF_INET ? 32 : 128, bits = all;
	size_t slash = str_find_char(pattern, '/');
	if (slash < pattern.n && (!str_to_u64(str_sub(pattern, slash + 1, pattern.n), &bits) || bits > all))
		return false;
	return address_of(str_sub(pattern, 0, slash), family, base) && bits_match(address, base, bits);
}

/* "example.com" is itself and all below it; so is ".example.com". */
static bool name_matches(struct str host, struct str pattern)
{
	if (str_ends(pattern, STR(".")))
		pattern.n--;
	if (str_starts(pattern, STR(".")))
		pattern = str_sub(pattern, 1, pattern.n);
	if (pattern.n == 0 || pattern.n > host.n)
		return false;
	size_t before = host.n - pattern.n;
	return str_eq_nocase(str_sub(host, before, host.n), pattern) && (before == 0 || host.p[before - 1] == '.');
}

static struct str next_pattern(struct str *list)
{
	size_t begin = 0, end;
	while (begin < list->n && strchr(", \t", list->p[begin]))
		begin++;
	for (end = begin; end < list->n && !strchr(", \t", list->p[end]);)
		end++;
	struct str out = str_sub(*list, begin, end - begin);
	*list = str_sub(*list, end, list->n);
	return out;
}

static bool is_loopback(struct str host, int family, const uint8_t *address)
{
	static const uint8_t one[16] = { [15] = 1 }, mapped[16] = { [10] = 0xff, [11] = 0xff, [12] = 127 };
	if (family == AF_INET)
		return address[0] == 127;
	if (family == AF_INET6)
		return memcmp(address, one, sizeof one) == 0 || bits_match(address, mapped, 104);
	return name_matches(host, STR("localhost"));
}

bool http_goes_direct(struct str host, struct str no_proxy, bool loopback_too)
{
	uint8_t address[16];
	int family = AF_UNSPEC;
	if (str_starts(host, STR("[")))
		host = str_sub(host, 1, str_find_char(host, ']') - 1);
	else if (str_ends(host, STR(".")))
		host.n--;
	if (address_of(host, AF_INET, address))
		family = AF_INET;
	else if (address_of(host, AF_INET6, address))
		family = AF_INET6;
	if (!loopback_too && is_loopback(host, family, address))
		return true;
	if (str_eq_z(no_proxy, "*"))
		return true;
	for (struct str p; (p = next_pattern(&no_proxy)).n > 0;)
		if (family == AF_UNSPEC ? name_matches(host, p) : address_matches(address, family, p))
			return true;
	return false;
}
