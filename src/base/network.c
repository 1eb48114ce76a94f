#include "base/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { family_v4 = 4, family_v6 = 6, v4_size = 4, v6_size = 16 };

/* From `first` on, up to the next boundary. */
struct boundary {
    struct network_address first;
    uint32_t               value;
};

struct network_map {
    size_t          count;
    struct boundary boundaries[];
};

/* While a map is made: the networks around the place that was reached, the smallest last. */
struct builder {
    struct network_map         *map;
    const struct network_entry *around[8 * v6_size + 1];
    size_t                      depth;
};

static void                   set_v4(struct network_address *address, const void *bytes);
static unsigned               network_bits_max(const struct network *network);
static unsigned char          host_bits(const struct network *network, size_t index);
static struct network_address network_last(const struct network *network);
static struct network_address network_after(const struct network_address *address);
static int                    compare_entries(const void *left, const void *right);
static void add_boundary(struct builder *builder, const struct network_address *first);
static void leave_before(struct builder *builder, const struct network_address *first);

bool network_address_from_host(struct bytes host, struct network_address *ret)
{
    static const unsigned char mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    *ret = (struct network_address){0};
    if (host.size == v4_size) {
        set_v4(ret, host.data);
    } else if (host.size == v6_size && memcmp(host.data, mapped, sizeof mapped) == 0) {
        set_v4(ret, host.data + sizeof mapped);
    } else if (host.size == v6_size) {
        ret->key[0] = family_v6;
        memcpy(ret->key + 1, host.data, v6_size);
    }
    return ret->key[0] != 0;
}

static void set_v4(struct network_address *address, const void *bytes)
{
    address->key[0] = family_v4;
    memcpy(address->key + 1, bytes, v4_size);
}

bool network_address_parse(struct bytes text, struct network_address *ret)
{
    char          copy[NETWORK_TEXT_SIZE];
    unsigned char host[v6_size];

    if (text.size == 0 || text.size >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (strlen(copy) != text.size)
        return false;
    if (inet_pton(AF_INET, copy, host) == 1)
        return network_address_from_host((struct bytes){(const char *)host, v4_size}, ret);
    return inet_pton(AF_INET6, copy, host) == 1 &&
           network_address_from_host((struct bytes){(const char *)host, v6_size}, ret);
}

bool network_parse(struct bytes text, struct network *ret)
{
    const char    *slash = text.size == 0 ? NULL : memchr(text.data, '/', text.size);
    struct bytes   host = text;
    struct network network;
    uint64_t       bits;

    if (slash != NULL)
        host.size = (size_t)(slash - text.data);
    if (!network_address_parse(host, &network.first))
        return false;
    network.bits = (uint8_t)network_bits_max(&network);
    if (slash != NULL) {
        bool is_mapped = network.first.key[0] == family_v4 && memchr(host.data, ':', host.size);

        if (!text_to_number(bytes_skip(text, host.size + 1), &bits))
            return false;
        if (is_mapped && bits < 96)
            return false;
        bits -= is_mapped ? 96 : 0;
        if (bits > network.bits)
            return false;
        network.bits = (uint8_t)bits;
    }
    for (size_t i = 1; i < NETWORK_KEY_SIZE; i++)
        if ((network.first.key[i] & host_bits(&network, i)) != 0)
            return false;
    *ret = network;
    return true;
}

static unsigned network_bits_max(const struct network *network)
{
    return network->first.key[0] == family_v4 ? 8 * v4_size : 8 * v6_size;
}

const char *network_format(const struct network *network, char out[NETWORK_TEXT_SIZE])
{
    bool   is_v4 = network->first.key[0] == family_v4;
    size_t size;

    if (inet_ntop(is_v4 ? AF_INET : AF_INET6, network->first.key + 1, out, NETWORK_TEXT_SIZE) ==
        NULL)
        out[0] = '\0';
    size = strlen(out);
    if (network->bits < network_bits_max(network))
        snprintf(out + size, NETWORK_TEXT_SIZE - size, "/%u", network->bits);
    return out;
}

bool network_contains(const struct network *network, const struct network_address *address)
{
    struct network_address last = network_last(network);

    return memcmp(address->key, network->first.key, NETWORK_KEY_SIZE) >= 0 &&
           memcmp(address->key, last.key, NETWORK_KEY_SIZE) <= 0;
}

bool network_equal(const struct network *left, const struct network *right)
{
    return left->bits == right->bits &&
           memcmp(left->first.key, right->first.key, NETWORK_KEY_SIZE) == 0;
}

/* Those bits of a byte of the key that differ within the network. */
static unsigned char host_bits(const struct network *network, size_t index)
{
    size_t   before = 8 * (index - 1);
    unsigned kept = network->bits <= before ? 0 : network->bits - (unsigned)before;

    return (unsigned char)(0xffu >> (kept < 8 ? kept : 8));
}

/* The last address of a network; what lies behind those of IPv4 is nobody's. */
static struct network_address network_last(const struct network *network)
{
    struct network_address last = network->first;

    for (size_t i = 1; i < NETWORK_KEY_SIZE; i++)
        last.key[i] |= host_bits(network, i);
    return last;
}

/* Sweep over the networks in the order of their first addresses, larger ones before those in them:
 * at the beginning and behind the end of each somebody else begins. */
struct network_map *network_map_new(const struct network_entry *entries, size_t count)
{
    struct network_map   *map = calloc(1, sizeof *map + 2 * count * sizeof map->boundaries[0]);
    struct network_entry *sorted = calloc(count + 1, sizeof *sorted);
    struct builder        builder = {.map = map};

    if (map == NULL || sorted == NULL) {
        free(map);
        free(sorted);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_known = false;

        for (size_t j = 0; j < map->count && !is_known; j++)
            is_known = network_equal(&sorted[j].network, &entries[i].network);
        if (!is_known)
            sorted[map->count++] = entries[i];
    }
    count = map->count;
    map->count = 0;
    qsort(sorted, count, sizeof *sorted, compare_entries);
    for (size_t i = 0; i < count; i++) {
        leave_before(&builder, &sorted[i].network.first);
        builder.around[builder.depth++] = &sorted[i];
        add_boundary(&builder, &sorted[i].network.first);
    }
    leave_before(&builder, NULL);
    free(sorted);
    return map;
}

void network_map_free(struct network_map *map)
{
    free(map);
}

static int compare_entries(const void *left, const void *right)
{
    const struct network *a = &((const struct network_entry *)left)->network;
    const struct network *b = &((const struct network_entry *)right)->network;
    int                   order = memcmp(a->first.key, b->first.key, NETWORK_KEY_SIZE);

    return order != 0 ? order : (int)a->bits - (int)b->bits;
}

/* Here begins the smallest network around, or none. */
static void add_boundary(struct builder *builder, const struct network_address *first)
{
    builder->map->boundaries[builder->map->count++] = (struct boundary){
        .first = *first,
        .value =
            builder->depth == 0 ? NETWORK_MAP_NONE : builder->around[builder->depth - 1]->value};
}

/* End the networks that lie before `first`; NULL: all. */
static void leave_before(struct builder *builder, const struct network_address *first)
{
    while (builder->depth > 0) {
        struct network_address last = network_last(&builder->around[builder->depth - 1]->network);

        if (first != NULL && memcmp(last.key, first->key, NETWORK_KEY_SIZE) >= 0)
            break;
        last = network_after(&last);
        builder->depth--;
        add_boundary(builder, &last);
    }
}

/* Behind the last address of a family is the byte that no family has. */
static struct network_address network_after(const struct network_address *address)
{
    struct network_address after = *address;

    for (size_t i = NETWORK_KEY_SIZE; i-- > 0;)
        if (++after.key[i] != 0)
            break;
    return after;
}

uint32_t network_map_find(const struct network_map *map, const struct network_address *address)
{
    size_t low = 0, high = map->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(map->boundaries[middle].first.key, address->key, NETWORK_KEY_SIZE) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? NETWORK_MAP_NONE : map->boundaries[low - 1].value;
}
