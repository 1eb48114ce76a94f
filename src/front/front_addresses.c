#include "front/front_addresses.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hash_map.h"

struct front_addresses {
    struct hash_map *map;
};

struct entry {
    size_t connections;
    char   host[16]; /* the map's key, as far as it goes */
};

struct front_addresses *front_addresses_new(void)
{
    struct front_addresses *addresses = calloc(1, sizeof *addresses);
    unsigned char           secret[SIPHASH_KEY_SIZE] = {0};

    if (addresses == NULL)
        return NULL;
    /* In the first moments after boot there may be none; who could know? */
    (void)!getrandom(secret, sizeof secret, GRND_NONBLOCK);
    addresses->map = hash_map_new(secret, SIZE_MAX);
    if (addresses->map == NULL) {
        free(addresses);
        return NULL;
    }
    return addresses;
}

void front_addresses_free(struct front_addresses *addresses)
{
    size_t position = 0;
    void  *entry;

    if (addresses == NULL)
        return;
    while ((entry = hash_map_next(addresses->map, &position)) != NULL)
        free(entry);
    hash_map_free(addresses->map);
    free(addresses);
}

size_t front_addresses_count(const struct front_addresses *addresses,
                             const struct socket_address  *peer)
{
    const struct entry *entry = hash_map_get(addresses->map, socket_address_host(peer));

    return entry == NULL ? 0 : entry->connections;
}

void front_addresses_add(struct front_addresses *addresses, const struct socket_address *peer)
{
    struct bytes  host = socket_address_host(peer);
    struct entry *entry = hash_map_get(addresses->map, host);

    if (host.size == 0 || host.size > sizeof entry->host)
        return;
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        if (entry == NULL)
            return;
        memcpy(entry->host, host.data, host.size);
        host.data = entry->host;
        if (hash_map_put(addresses->map, host, entry) != STATUS_OK) {
            free(entry);
            return;
        }
    }
    entry->connections++;
}

void front_addresses_remove(struct front_addresses *addresses, const struct socket_address *peer)
{
    struct bytes  host = socket_address_host(peer);
    struct entry *entry = hash_map_get(addresses->map, host);

    if (entry != NULL && --entry->connections == 0)
        free(hash_map_remove(addresses->map, host));
}
