#include "app/settings_services.h"

#include <stdio.h>

_Static_assert(PROXY_SERVICES_MAX >= sizeof(((struct settings *)NULL)->services) /
                                         sizeof(struct settings_services_record),
               "the proxy takes as many services as the settings");

_Static_assert((int)PROXY_SERVICE_NAME_SIZE == (int)SETTINGS_NAMES_SIZE, "names of keys fit");

typedef bool same_fn(const struct settings_services_record *left,
                     const struct settings_services_record *right);

static enum status check_record(const struct settings *settings, size_t index, struct error *error);
static enum status check_pair(const struct settings *settings, size_t index, size_t other,
                              struct error *error);
static enum status complain(const struct settings *settings, size_t index, size_t column,
                            struct error *error, const char *what);
static bool        is_default(const struct settings_services_record *record);
static bool        split_header(const char *text, struct bytes *ret_name, struct bytes *ret_value);
static bool        is_of_message(struct bytes name);
static bool        is_token(struct bytes text);
static bool        same_keys(const struct settings_services_record *left,
                             const struct settings_services_record *right);
static bool        same_header(const struct settings_services_record *left,
                               const struct settings_services_record *right);
static bool        same_addresses(const struct settings_services_record *left,
                                  const struct settings_services_record *right);
static bool        same_users(const struct settings_services_record *left,
                              const struct settings_services_record *right);
static uint64_t    burst_of(const struct settings_services_record *record);
static uint64_t    least_of(uint64_t first, uint64_t second, uint64_t third);

enum status settings_services_check(const struct settings *settings, struct error *error)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; i < settings->record_counts[SETTINGS_TABLE_services]; i++) {
        status = check_record(settings, i, error);
        for (size_t j = 0; j < i && status == STATUS_OK; j++)
            status = check_pair(settings, i, j, error);
        if (status != STATUS_OK)
            break;
    }
    return status;
}

static enum status check_record(const struct settings *settings, size_t index, struct error *error)
{
    const struct settings_services_record *record = &settings->services[index];
    bool has_match = record->match_header[0] != '\0' || record->match_addresses.count > 0 ||
                     record->match_unix_uid.count > 0 || record->keys.count > 0;
    struct bytes name, value;

    if (is_default(record) && has_match)
        return complain(settings, index, SETTINGS_COLUMN_services_name, error,
                        "is all that belong to no other service, so it has no match");
    if (!is_default(record) && !has_match)
        return complain(settings, index, SETTINGS_COLUMN_services_name, error,
                        "needs something to be recognised by: keys, or under match header, "
                        "addresses or unix_uid");
    if (record->match_header[0] != '\0' && !split_header(record->match_header, &name, &value))
        return complain(settings, index, SETTINGS_COLUMN_services_match_header, error,
                        "is written as NAME: VALUE, such as \"x-service: chat\"");
    if (record->match_header[0] != '\0' && is_of_message(name))
        return complain(settings, index, SETTINGS_COLUMN_services_match_header, error,
                        "names a field that belongs to each message; take one of your own");
    if (record->match_header[0] != '\0' && settings->listen_trusted_proxies.count == 0)
        return complain(settings, index, SETTINGS_COLUMN_services_match_header, error,
                        "is believed from listen.trusted_proxies only, and there are none: name "
                        "them");
    return STATUS_OK;
}

/* Two services that say the same: the second would never be recognised by it. */
static enum status check_pair(const struct settings *settings, size_t index, size_t other,
                              struct error *error)
{
    static const struct {
        same_fn *is_same;
        size_t   column;
    } rules[] = {{same_keys, SETTINGS_COLUMN_services_keys},
                 {same_header, SETTINGS_COLUMN_services_match_header},
                 {same_addresses, SETTINGS_COLUMN_services_match_addresses},
                 {same_users, SETTINGS_COLUMN_services_match_unix_uid}};

    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        char what[2 * SETTINGS_NAME_SIZE];

        if (!rules[i].is_same(&settings->services[index], &settings->services[other]))
            continue;
        snprintf(what, sizeof what, "says what that of %s says", settings->services[other].name);
        return complain(settings, index, rules[i].column, error, what);
    }
    return STATUS_OK;
}

static enum status complain(const struct settings *settings, size_t index, size_t column,
                            struct error *error, const char *what)
{
    const struct settings_table *table = settings_table(SETTINGS_TABLE_services);
    char                         origin[256];

    return error_set(error, STATUS_INVALID, "services.%s%s%s %s (%s)",
                     settings->services[index].name, column == 0 ? "" : ".",
                     column == 0 ? "" : table->columns[column].key, what,
                     settings_print_cell_origin(settings, SETTINGS_TABLE_services, index, column,
                                                origin, sizeof origin));
}

static bool is_default(const struct settings_services_record *record)
{
    return strcmp(record->name, PROXY_SERVICE_DEFAULT) == 0;
}

/* "NAME: VALUE", as a field is written. */
static bool split_header(const char *text, struct bytes *ret_name, struct bytes *ret_value)
{
    const char *colon = strchr(text, ':');

    if (colon == NULL)
        return false;
    *ret_name = (struct bytes){text, (size_t)(colon - text)};
    for (colon++; *colon == ' '; colon++)
        continue;
    *ret_value = bytes_of(colon);
    while (ret_value->size > 0 && ret_value->data[ret_value->size - 1] == ' ')
        ret_value->size--;
    return is_token(*ret_name) && ret_value->size > 0;
}

/* Who is not believed has the field taken from his requests, and none can do without these. */
static bool is_of_message(struct bytes name)
{
    static const struct bytes fields[] = {BYTES_INIT("connection"),
                                          BYTES_INIT("content-encoding"),
                                          BYTES_INIT("content-length"),
                                          BYTES_INIT("content-type"),
                                          BYTES_INIT("expect"),
                                          BYTES_INIT("host"),
                                          BYTES_INIT("te"),
                                          BYTES_INIT("transfer-encoding"),
                                          BYTES_INIT("upgrade")};

    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (bytes_equal_nocase(name, fields[i]))
            return true;
    return false;
}

/* A field's name (RFC 9110 section 5.6.2). */
static bool is_token(struct bytes text)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (size_t i = 0; i < text.size; i++)
        if (strchr(token, text.data[i]) == NULL)
            return false;
    return text.size > 0;
}

static bool same_header(const struct settings_services_record *left,
                        const struct settings_services_record *right)
{
    struct bytes names[2], values[2];

    return split_header(left->match_header, &names[0], &values[0]) &&
           split_header(right->match_header, &names[1], &values[1]) &&
           bytes_equal_nocase(names[0], names[1]) && bytes_equal(values[0], values[1]);
}

static bool same_keys(const struct settings_services_record *left,
                      const struct settings_services_record *right)
{
    for (size_t i = 0; i < left->keys.count; i++)
        for (size_t j = 0; j < right->keys.count; j++)
            if (strcmp(left->keys.items[i], right->keys.items[j]) == 0)
                return true;
    return false;
}

static bool same_addresses(const struct settings_services_record *left,
                           const struct settings_services_record *right)
{
    for (size_t i = 0; i < left->match_addresses.count; i++)
        for (size_t j = 0; j < right->match_addresses.count; j++)
            if (network_equal(&left->match_addresses.items[i], &right->match_addresses.items[j]))
                return true;
    return false;
}

static bool same_users(const struct settings_services_record *left,
                       const struct settings_services_record *right)
{
    for (size_t i = 0; i < left->match_unix_uid.count; i++)
        for (size_t j = 0; j < right->match_unix_uid.count; j++)
            if (left->match_unix_uid.items[i] == right->match_unix_uid.items[j])
                return true;
    return false;
}

struct proxy_services_options settings_services_options(const struct settings        *settings,
                                                        struct proxy_service_options *room)
{
    size_t count = settings->record_counts[SETTINGS_TABLE_services];

    for (size_t i = 0; i < count; i++) {
        const struct settings_services_record *record = &settings->services[i];

        room[i] = (struct proxy_service_options){
            .name = record->name,
            .keys = record->keys.items,
            .key_count = record->keys.count,
            .networks = record->match_addresses.items,
            .network_count = record->match_addresses.count,
            .uids = record->match_unix_uid.items,
            .uid_count = record->match_unix_uid.count,
            .weight = (unsigned)record->weight,
            .priority = (unsigned)record->priority,
            .rate = record->rate.per_s,
            .burst = burst_of(record),
            .is_rate_in_time = record->rate.is_time,
            .bytes_rate = record->bytes_rate_bytes,
            .over = (enum rate_limit_over)record->over,
            .concurrency_max = record->concurrency_max,
            .collection_reads_max = record->collection_concurrency_reads_max,
            .collection_writes_max = record->collection_concurrency_writes_max,
            .batch_records_max = (uint32_t)record->collection_batch_records_max};
        if (record->match_header[0] != '\0')
            (void)split_header(record->match_header, &room[i].field_name, &room[i].field_value);
    }
    return (struct proxy_services_options){
        .services = room,
        .count = count,
        .trusted_proxies = settings->listen_trusted_proxies.items,
        .trusted_count = settings->listen_trusted_proxies.count,
        .delay_max_us = least_of(settings->queue_wait_max_us, settings->deadline_read_us,
                                 settings->deadline_write_us)};
}

static uint64_t burst_of(const struct settings_services_record *record)
{
    if (record->burst > 0)
        return record->burst * (record->rate.is_time ? 1000 : 1);
    return record->rate.per_s > 0 ? record->rate.per_s : 1;
}

static uint64_t least_of(uint64_t first, uint64_t second, uint64_t third)
{
    uint64_t least = first < second ? first : second;

    return least < third ? least : third;
}
