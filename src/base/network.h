/* network - ranges of IP addresses, and which of many an address is in
 *
 * An address is a key of 17 bytes, its family first, so that all of them have one order and a range
 * is an interval in it. An IPv4 address within IPv6 (::ffff:10.0.0.1), as listeners for both see
 * it, is the IPv4 address.
 *
 * Thread: any. Memory: a map takes 40 bytes for each of its networks.
 */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

enum { NETWORK_KEY_SIZE = 17, NETWORK_TEXT_SIZE = 52 /* with its NUL */ };

struct network_address {
    unsigned char key[NETWORK_KEY_SIZE]; /* 4 or 6, then the bytes, then zeros */
};

struct network {
    struct network_address first;
    uint8_t                bits; /* of the prefix: up to 32 or 128 */
};

/* From the 4 or 16 bytes of an address. False: it has another size. */
bool network_address_from_host(struct bytes host, struct network_address *ret);

/* "10.0.0.1" or "2001:db8::1". False: it is neither. */
bool network_address_parse(struct bytes text, struct network_address *ret);

/* An address, or with "/BITS" all that begin with the same bits. False: it is neither, or bits
 * beyond the prefix are set, which may be a slip. */
bool network_parse(struct bytes text, struct network *ret);

/* As network_parse() reads it. Returns `out`. */
const char *network_format(const struct network *network, char out[NETWORK_TEXT_SIZE]);

bool network_contains(const struct network *network, const struct network_address *address);

bool network_equal(const struct network *left, const struct network *right);

/* One of many networks and what it stands for. */
struct network_entry {
    struct network network;
    uint32_t       value;
};

struct network_map; /* opaque; cannot change */

#define NETWORK_MAP_NONE UINT32_MAX

/* `entries` are copied. NULL when out of memory. */
struct network_map *network_map_new(const struct network_entry *entries, size_t count);

/* NULL is a no-op. */
void network_map_free(struct network_map *map);

/* The value of the smallest network that the address is in, the first of equal ones;
 * NETWORK_MAP_NONE: it is in none. As many steps as the number of networks has digits in binary. */
uint32_t network_map_find(const struct network_map *map, const struct network_address *address);

#endif
