#include "limits/service_match.h"

#include <stdlib.h>

#include "base/hash_map.h"

/* The name of a field, which has no service; or that, a colon and its value; or what begins with a
 * colon: `:k` and the name of a key, `:s` and that of a service. */
struct match_field {
    uint32_t service;
    char     key[];
};

struct match_user {
    uint32_t uid, service;
    size_t   rule; /* the first one has it */
};

struct service_match {
    struct hash_map    *fields;       /* of struct match_field */
    uint64_t            name_lengths; /* bit 63: this long or longer */
    struct network_map *networks;
    size_t              network_count, user_count;
    struct match_user  *users; /* sorted */
};

static bool         add_fields(struct service_match *match, const struct service_match_rule *rule);
static bool         add_names(struct service_match *match, const struct service_match_rule *rule);
static bool         add_entry(struct service_match *match, struct bytes key, uint32_t service);
static struct bytes make_name_key(char *out, char kind, struct bytes name);
static uint32_t     find_entry_service(const struct service_match *match, struct bytes key);
static bool         add_field(struct service_match *match, struct bytes name, struct bytes value,
                              uint32_t service);
static struct bytes make_field_key(char *out, struct bytes name, struct bytes value);
static uint64_t     length_bit(struct bytes name);
static bool add_networks(struct service_match *match, const struct service_match_rule *rules,
                         size_t count);
static bool add_users(struct service_match *match, const struct service_match_rule *rules,
                      size_t count);
static int  compare_users(const void *left, const void *right);

struct service_match *service_match_new(const struct service_match_rule *rules, size_t count,
                                        const unsigned char secret[SIPHASH_KEY_SIZE])
{
    struct service_match *match = calloc(1, sizeof *match);
    bool                  is_good = match != NULL;
    size_t                entries_max = 3 * count + 1;

    for (size_t i = 0; i < count; i++)
        entries_max += rules[i].key_count;
    if (is_good) {
        match->fields = hash_map_new(secret, entries_max);
        is_good = match->fields != NULL;
    }
    for (size_t i = 0; i < count && is_good; i++)
        is_good = add_fields(match, &rules[i]) && add_names(match, &rules[i]);
    if (is_good && add_networks(match, rules, count) && add_users(match, rules, count))
        return match;
    service_match_free(match);
    return NULL;
}

void service_match_free(struct service_match *match)
{
    size_t              position = 0;
    struct match_field *field;

    if (match == NULL)
        return;
    while (match->fields != NULL && (field = hash_map_next(match->fields, &position)) != NULL)
        free(field);
    hash_map_free(match->fields);
    network_map_free(match->networks);
    free(match->users);
    free(match);
}

static bool add_fields(struct service_match *match, const struct service_match_rule *rule)
{
    if (rule->field_name.size == 0)
        return true;
    match->name_lengths |= length_bit(rule->field_name);
    return add_field(match, rule->field_name, (struct bytes){0}, SERVICE_MATCH_NONE) &&
           (rule->field_value.size == 0 ||
            add_field(match, rule->field_name, rule->field_value, rule->service));
}

static bool add_field(struct service_match *match, struct bytes name, struct bytes value,
                      uint32_t service)
{
    char key[SERVICE_MATCH_FIELD_MAX];

    return name.size + 1 + value.size <= sizeof key &&
           add_entry(match, make_field_key(key, name, value), service);
}

static bool add_names(struct service_match *match, const struct service_match_rule *rule)
{
    char key[SERVICE_MATCH_FIELD_MAX];

    if (rule->name.size > 0 &&
        !add_entry(match, make_name_key(key, 's', rule->name), rule->service))
        return false;
    for (size_t i = 0; i < rule->key_count; i++)
        if (!add_entry(match, make_name_key(key, 'k', bytes_of(rule->keys[i])), rule->service))
            return false;
    return true;
}

/* Nothing changes if it is there. */
static bool add_entry(struct service_match *match, struct bytes key, uint32_t service)
{
    struct match_field *field;

    if (hash_map_get(match->fields, key) != NULL)
        return true;
    field = malloc(sizeof *field + key.size);
    if (field == NULL)
        return false;
    field->service = service;
    memcpy(field->key, key.data, key.size);
    key.data = field->key;
    if (hash_map_put(match->fields, key, field) == STATUS_OK)
        return true;
    free(field);
    return false;
}

/* A longer name is cut: none of ours is. */
static struct bytes make_name_key(char *out, char kind, struct bytes name)
{
    if (name.size > SERVICE_MATCH_FIELD_MAX - 2)
        name.size = SERVICE_MATCH_FIELD_MAX - 2;
    out[0] = ':';
    out[1] = kind;
    memcpy(out + 2, name.data, name.size);
    return (struct bytes){out, name.size + 2};
}

/* Names in lower case; no name has a colon. An empty value stands for the name alone. */
static struct bytes make_field_key(char *out, struct bytes name, struct bytes value)
{
    for (size_t i = 0; i < name.size; i++)
        out[i] = (char)(name.data[i] >= 'A' && name.data[i] <= 'Z' ? name.data[i] - 'A' + 'a'
                                                                   : name.data[i]);
    if (value.size == 0)
        return (struct bytes){out, name.size};
    out[name.size] = ':';
    memcpy(out + name.size + 1, value.data, value.size);
    return (struct bytes){out, name.size + 1 + value.size};
}

static uint64_t length_bit(struct bytes name)
{
    return UINT64_C(1) << (name.size < 63 ? name.size : 63);
}

static bool add_networks(struct service_match *match, const struct service_match_rule *rules,
                         size_t count)
{
    struct network_entry *entries;

    for (size_t i = 0; i < count; i++)
        match->network_count += rules[i].network_count;
    entries = calloc(match->network_count + 1, sizeof *entries);
    if (entries == NULL)
        return false;
    for (size_t i = 0, used = 0; i < count; i++)
        for (size_t j = 0; j < rules[i].network_count; j++)
            entries[used++] =
                (struct network_entry){.network = rules[i].networks[j], .value = rules[i].service};
    match->networks = network_map_new(entries, match->network_count);
    free(entries);
    return match->networks != NULL;
}

static bool add_users(struct service_match *match, const struct service_match_rule *rules,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        match->user_count += rules[i].uid_count;
    match->users = calloc(match->user_count + 1, sizeof *match->users);
    if (match->users == NULL)
        return false;
    for (size_t i = 0, used = 0; i < count; i++)
        for (size_t j = 0; j < rules[i].uid_count; j++)
            match->users[used++] = (struct match_user){
                .uid = rules[i].uids[j], .service = rules[i].service, .rule = i};
    qsort(match->users, match->user_count, sizeof *match->users, compare_users);
    return true;
}

static int compare_users(const void *left, const void *right)
{
    const struct match_user *a = left, *b = right;

    if (a->uid != b->uid)
        return a->uid < b->uid ? -1 : 1;
    return a->rule < b->rule ? -1 : a->rule > b->rule;
}

bool service_match_is_field(const struct service_match *match, struct bytes name)
{
    char key[SERVICE_MATCH_FIELD_MAX];

    return (match->name_lengths & length_bit(name)) != 0 && name.size <= sizeof key &&
           hash_map_get(match->fields, make_field_key(key, name, (struct bytes){0})) != NULL;
}

bool service_match_has_fields(const struct service_match *match)
{
    return match->name_lengths != 0;
}

bool service_match_has_uids(const struct service_match *match)
{
    return match->user_count > 0;
}

bool service_match_has_networks(const struct service_match *match)
{
    return match->network_count > 0;
}

uint32_t service_match_by_field(const struct service_match *match, struct bytes name,
                                struct bytes value)
{
    char key[SERVICE_MATCH_FIELD_MAX];

    if (value.size == 0 || name.size + 1 + value.size > sizeof key)
        return SERVICE_MATCH_NONE;
    return find_entry_service(match, make_field_key(key, name, value));
}

static uint32_t find_entry_service(const struct service_match *match, struct bytes key)
{
    const struct match_field *entry = hash_map_get(match->fields, key);

    return entry == NULL ? SERVICE_MATCH_NONE : entry->service;
}

uint32_t service_match_by_key(const struct service_match *match, struct bytes name)
{
    char key[SERVICE_MATCH_FIELD_MAX];

    return find_entry_service(match, make_name_key(key, 'k', name));
}

uint32_t service_match_by_name(const struct service_match *match, struct bytes name)
{
    char key[SERVICE_MATCH_FIELD_MAX];

    return find_entry_service(match, make_name_key(key, 's', name));
}

/* Of equal users the first rule's is the first. */
uint32_t service_match_by_uid(const struct service_match *match, uint32_t uid)
{
    size_t low = 0, high = match->user_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (match->users[middle].uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < match->user_count && match->users[low].uid == uid ? match->users[low].service
                                                                   : SERVICE_MATCH_NONE;
}

uint32_t service_match_by_address(const struct service_match   *match,
                                  const struct network_address *address)
{
    return network_map_find(match->networks, address);
}
