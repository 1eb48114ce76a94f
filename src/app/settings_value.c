#include "app/settings_value.h"

#include <assert.h>
#include <stdio.h>

#include "base/text.h"
#include "limits/guard_rules.h"

static enum status settings_value_read_text(const struct settings_rule *rule, struct bytes text,
                                            char *field, struct error *error);
static enum status read_choice(const struct settings_rule *rule, struct bytes text, unsigned *field,
                               struct error *error);
static enum status read_number(const struct settings_rule *rule, struct bytes text, uint64_t *field,
                               struct error *error);
static enum status settings_value_read_limit(const struct settings_rule *rule, struct bytes text,
                                             uint64_t *field, struct error *error);
static enum status read_addresses(const struct settings_rule *rule, struct bytes text,
                                  struct settings_addresses *field, struct error *error);
static enum status read_networks(const struct settings_rule *rule, struct bytes text,
                                 struct settings_networks *field, struct error *error);
static enum status read_names(const struct settings_rule *rule, struct bytes text,
                              struct settings_names *field, struct error *error);
static enum status read_users(const struct settings_rule *rule, struct bytes text,
                              struct settings_users *field, struct error *error);
static enum status read_rate(const struct settings_rule *rule, struct bytes text,
                             struct settings_rate *field, struct error *error);
static enum status read_bytes_rate(const struct settings_rule *rule, struct bytes text,
                                   uint64_t *field, struct error *error);
static bool        cut_per_second(struct bytes *text);
static uint64_t    most_of(const struct settings_rule *rule);
static bool        number_of(enum settings_kind kind, struct bytes text, uint64_t *ret_value);
static bool        may_be_auto(enum settings_kind kind);
static enum status not_allowed(const struct settings_rule *rule, struct bytes text,
                               struct error *error);
static struct bytes settings_value_next_item(struct bytes *rest, char separator);
static struct bytes next_trimmed(struct bytes *text);
static void         print_choice(const struct settings_rule *rule, unsigned index, char *out);
static void         print_number(const struct settings_rule *rule, uint64_t value, char *out);
static void         print_networks(const struct settings_networks *networks, char *out);
static void         print_names(const struct settings_names *names, char *out);
static void         print_users(const struct settings_users *users, char *out);
static void         print_rate(const struct settings_rate *rate, char *out);
static void         print_addresses(const struct settings_addresses *addresses, char *out);

static const struct {
    const char *word;
    uint64_t    value;
} limit_words[] = {{"none", SETTINGS_LIMIT_NONE}, {"adaptive", SETTINGS_LIMIT_ADAPTIVE}};

_Static_assert(SETTINGS_NETWORKS_MAX *NETWORK_TEXT_SIZE <= (int)SETTINGS_VALUE_SIZE,
               "networks as text");

enum status settings_value_read(const struct settings_rule *rule, struct bytes text, void *field,
                                struct error *error)
{
    switch (rule->kind) {
    case SETTINGS_KIND_TEXT:
        return settings_value_read_text(rule, text, field, error);
    case SETTINGS_KIND_SOCKET:
        if (!bytes_begin_with(text, BYTES_LITERAL("/")) &&
            !bytes_equal(text, BYTES_LITERAL("auto")) && !bytes_equal(text, BYTES_LITERAL("off")))
            return not_allowed(rule, text, error);
        return settings_value_read_text(rule, text, field, error);
    case SETTINGS_KIND_PATTERNS:
        if (guard_rules_check(text, error) != STATUS_OK)
            return STATUS_INVALID;
        return settings_value_read_text(rule, text, field, error);
    case SETTINGS_KIND_SWITCH:
        if (!bytes_equal(text, BYTES_LITERAL("true")) && !bytes_equal(text, BYTES_LITERAL("false")))
            return not_allowed(rule, text, error);
        *(bool *)field = text.size == strlen("true");
        return STATUS_OK;
    case SETTINGS_KIND_CHOICE:
        return read_choice(rule, text, field, error);
    case SETTINGS_KIND_URL:
        return address_parse_url(text, field, error);
    case SETTINGS_KIND_ADDRESS_OR_OFF:
        if (!bytes_equal(text, BYTES_LITERAL("off")))
            return address_parse(text, field, error);
        *(struct address *)field = (struct address){.kind = ADDRESS_NONE};
        return STATUS_OK;
    case SETTINGS_KIND_ADDRESSES:
        return read_addresses(rule, text, field, error);
    case SETTINGS_KIND_NETWORKS:
        return read_networks(rule, text, field, error);
    case SETTINGS_KIND_USERS:
        return read_users(rule, text, field, error);
    case SETTINGS_KIND_NAMES:
        return read_names(rule, text, field, error);
    case SETTINGS_KIND_RATE:
        return read_rate(rule, text, field, error);
    case SETTINGS_KIND_BYTES_RATE:
        return read_bytes_rate(rule, text, field, error);
    case SETTINGS_KIND_LIMIT:
        return settings_value_read_limit(rule, text, field, error);
    case SETTINGS_KIND_COUNT:
    case SETTINGS_KIND_COUNT_OR_AUTO:
    case SETTINGS_KIND_DURATION:
    case SETTINGS_KIND_SHARE:
    case SETTINGS_KIND_SIZE:
    case SETTINGS_KIND_SIZE_OR_AUTO:
        break;
    }
    return read_number(rule, text, field, error);
}

static enum status settings_value_read_text(const struct settings_rule *rule, struct bytes text,
                                            char *field, struct error *error)
{
    uint64_t longest = 0;
    bool     row_is_good = text_to_number(bytes_of(rule->max), &longest);

    assert(row_is_good && longest < SETTINGS_TEXT_SIZE);
    if (text.size > longest)
        return error_set(error, STATUS_INVALID, "the text is longer than %s bytes", rule->max);
    for (struct bytes rest = text; rest.size > 0; rest = bytes_skip(rest, text_character(rest)))
        if (text_character(rest) == 0)
            return error_set(error, STATUS_INVALID,
                             "a control character or invalid UTF-8 is not allowed");
    memset(field, 0, SETTINGS_TEXT_SIZE);
    if (text.size > 0)
        memcpy(field, text.data, text.size);
    return STATUS_OK;
}

static enum status read_choice(const struct settings_rule *rule, struct bytes text, unsigned *field,
                               struct error *error)
{
    struct bytes words = bytes_of(rule->min);

    for (unsigned i = 0; words.size > 0; i++) {
        if (bytes_equal(text, settings_value_next_item(&words, '|'))) {
            *field = i;
            return STATUS_OK;
        }
    }
    return not_allowed(rule, text, error);
}

static enum status read_number(const struct settings_rule *rule, struct bytes text, uint64_t *field,
                               struct error *error)
{
    uint64_t value, min = 0, max = 0;
    bool     row_is_good = number_of(rule->kind, bytes_of(rule->min), &min) &&
                       number_of(rule->kind, bytes_of(rule->max), &max);

    assert(row_is_good && (min > 0 || !may_be_auto(rule->kind))); /* 0 stands for auto */
    if (may_be_auto(rule->kind) && bytes_equal(text, BYTES_LITERAL("auto"))) {
        *field = 0;
        return STATUS_OK;
    }
    if (!number_of(rule->kind, text, &value) || value < min || value > max)
        return not_allowed(rule, text, error);
    *field = value;
    return STATUS_OK;
}

static enum status settings_value_read_limit(const struct settings_rule *rule, struct bytes text,
                                             uint64_t *field, struct error *error)
{
    for (size_t i = 0; i < COUNT_OF(limit_words); i++) {
        if (bytes_equal(text, bytes_of(limit_words[i].word))) {
            *field = limit_words[i].value;
            return STATUS_OK;
        }
    }
    return read_number(rule, text, field, error);
}

static enum status read_addresses(const struct settings_rule *rule, struct bytes text,
                                  struct settings_addresses *field, struct error *error)
{
    struct settings_addresses addresses = {0};
    uint64_t                  most = most_of(rule);

    assert(most <= SETTINGS_ADDRESSES_MAX);
    do {
        struct bytes item = next_trimmed(&text);
        enum status  status;

        if (addresses.count == most)
            return error_set(error, STATUS_INVALID, "at most %s addresses", rule->max);
        status = address_parse(item, &addresses.items[addresses.count++], error);
        if (status != STATUS_OK)
            return status;
    } while (text.size > 0);
    *field = addresses;
    return STATUS_OK;
}

/* The next item of a list with commas, without the spaces around it. */
static struct bytes next_trimmed(struct bytes *text)
{
    struct bytes item = settings_value_next_item(text, ',');

    while (item.size > 0 && item.data[0] == ' ')
        item = bytes_skip(item, 1);
    while (item.size > 0 && item.data[item.size - 1] == ' ')
        item.size--;
    return item;
}

static uint64_t most_of(const struct settings_rule *rule)
{
    uint64_t most = 0;
    bool     row_is_good = text_to_number(bytes_of(rule->max), &most);

    assert(row_is_good);
    (void)row_is_good;
    return most;
}

static enum status read_networks(const struct settings_rule *rule, struct bytes text,
                                 struct settings_networks *field, struct error *error)
{
    struct settings_networks networks = {0};
    uint64_t                 most = most_of(rule);

    assert(most <= SETTINGS_NETWORKS_MAX);
    while (text.size > 0) {
        struct bytes item = next_trimmed(&text);
        char         quoted[80];

        if (networks.count == most)
            return error_set(error, STATUS_INVALID, "at most %s ranges of addresses", rule->max);
        if (!network_parse(item, &networks.items[networks.count++]))
            return error_set(error, STATUS_INVALID,
                             "%s is no IP address and no range of them; write 10.0.0.7, "
                             "10.1.0.0/16 or fd00::/8, without bits behind the prefix",
                             text_quote(item, quoted, sizeof quoted));
    }
    *field = networks;
    return STATUS_OK;
}

static enum status read_users(const struct settings_rule *rule, struct bytes text,
                              struct settings_users *field, struct error *error)
{
    struct settings_users users = {0};
    uint64_t              most = most_of(rule), uid;

    assert(most <= SETTINGS_USERS_MAX);
    while (text.size > 0) {
        struct bytes item = next_trimmed(&text);
        char         quoted[80];

        if (users.count == most)
            return error_set(error, STATUS_INVALID, "at most %s users", rule->max);
        if (!text_to_number(item, &uid) || uid >= UINT32_MAX)
            return error_set(error, STATUS_INVALID, "%s is not the number of a user, such as 1001",
                             text_quote(item, quoted, sizeof quoted));
        users.items[users.count++] = (uint32_t)uid;
    }
    *field = users;
    return STATUS_OK;
}

static enum status read_names(const struct settings_rule *rule, struct bytes text,
                              struct settings_names *field, struct error *error)
{
    struct settings_names names = {0};
    uint64_t              most = most_of(rule);

    assert(most <= SETTINGS_NAMES_MAX);
    while (text.size > 0) {
        struct bytes item = next_trimmed(&text);
        char         quoted[80];

        if (names.count == most)
            return error_set(error, STATUS_INVALID, "at most %s names", rule->max);
        if (item.size == 0 || item.size >= SETTINGS_NAMES_SIZE ||
            memchr(item.data, ' ', item.size) != NULL)
            return error_set(error, STATUS_INVALID, "%s is not a name of up to %d characters",
                             text_quote(item, quoted, sizeof quoted), SETTINGS_NAMES_SIZE - 1);
        memcpy(names.items[names.count++], item.data, item.size);
    }
    *field = names;
    return STATUS_OK;
}

/* `min` and `max` bound both: numbers, and milliseconds. */
static enum status read_rate(const struct settings_rule *rule, struct bytes text,
                             struct settings_rate *field, struct error *error)
{
    struct settings_rate rate = {0};
    struct bytes         number = text;

    if (!cut_per_second(&number))
        return not_allowed(rule, text, error);
    if (!text_to_number(number, &rate.per_s)) {
        rate.is_time = true;
        if (number.size < 3 || memcmp(number.data + number.size - 2, "ms", 2) != 0 ||
            !text_to_duration(number, &rate.per_s) || rate.per_s % 1000 != 0)
            return not_allowed(rule, text, error);
    }
    if (rate.per_s / (rate.is_time ? 1000 : 1) > most_of(rule))
        return not_allowed(rule, text, error);
    *field = rate;
    return STATUS_OK;
}

static enum status read_bytes_rate(const struct settings_rule *rule, struct bytes text,
                                   uint64_t *field, struct error *error)
{
    struct bytes size = text;
    uint64_t     value, max = 0;
    bool         row_is_good = text_to_size(bytes_of(rule->max), &max);

    assert(row_is_good);
    (void)row_is_good;
    if (!cut_per_second(&size) || !text_to_size(size, &value) || value > max)
        return not_allowed(rule, text, error);
    *field = value;
    return STATUS_OK;
}

/* Take "/s" off the end. */
static bool cut_per_second(struct bytes *text)
{
    if (text->size < 2 || memcmp(text->data + text->size - 2, "/s", 2) != 0)
        return false;
    text->size -= 2;
    return true;
}

bool settings_value_is_list(enum settings_kind kind)
{
    return kind == SETTINGS_KIND_ADDRESSES || kind == SETTINGS_KIND_NETWORKS ||
           kind == SETTINGS_KIND_USERS || kind == SETTINGS_KIND_PATTERNS ||
           kind == SETTINGS_KIND_NAMES;
}

static bool number_of(enum settings_kind kind, struct bytes text, uint64_t *ret_value)
{
    if (kind == SETTINGS_KIND_DURATION)
        return text_to_duration(text, ret_value);
    if (kind == SETTINGS_KIND_SHARE)
        return text_to_share(text, ret_value);
    if (kind == SETTINGS_KIND_SIZE || kind == SETTINGS_KIND_SIZE_OR_AUTO)
        return text_to_size(text, ret_value);
    return text_to_number(text, ret_value);
}

static bool may_be_auto(enum settings_kind kind)
{
    return kind == SETTINGS_KIND_COUNT_OR_AUTO || kind == SETTINGS_KIND_SIZE_OR_AUTO;
}

static enum status not_allowed(const struct settings_rule *rule, struct bytes text,
                               struct error *error)
{
    bool words = rule->kind == SETTINGS_KIND_SWITCH || rule->kind == SETTINGS_KIND_CHOICE;
    char quoted[48], allowed[SETTINGS_VALUE_SIZE];

    return error_set(error, STATUS_INVALID, "%s is not allowed; write %s%s%s",
                     text_quote(text, quoted, sizeof quoted), settings_value_allowed(rule, allowed),
                     words ? "" : ", such as ", words ? "" : rule->example);
}

/* Cut the text before the first `separator` off the front of `rest`. */
static struct bytes settings_value_next_item(struct bytes *rest, char separator)
{
    const char  *end = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);
    struct bytes item = *rest;

    if (end == NULL) {
        *rest = bytes_skip(*rest, rest->size);
    } else {
        item.size = (size_t)(end - rest->data);
        *rest = bytes_skip(*rest, item.size + 1);
    }
    return item;
}

const char *settings_value_print(const struct settings_rule *rule, const void *field, char *out)
{
    char text[TEXT_NUMBER_SIZE];

    switch (rule->kind) {
    case SETTINGS_KIND_TEXT:
    case SETTINGS_KIND_SOCKET:
    case SETTINGS_KIND_PATTERNS:
        snprintf(out, SETTINGS_VALUE_SIZE, "%s", (const char *)field);
        return out;
    case SETTINGS_KIND_SWITCH:
        snprintf(out, SETTINGS_VALUE_SIZE, "%s", *(const bool *)field ? "true" : "false");
        return out;
    case SETTINGS_KIND_CHOICE:
        print_choice(rule, *(const unsigned *)field, out);
        return out;
    case SETTINGS_KIND_URL:
        return address_format_url(field, out, SETTINGS_VALUE_SIZE);
    case SETTINGS_KIND_ADDRESS_OR_OFF:
        return address_format(field, out, SETTINGS_VALUE_SIZE);
    case SETTINGS_KIND_ADDRESSES:
        print_addresses(field, out);
        return out;
    case SETTINGS_KIND_NETWORKS:
        print_networks(field, out);
        return out;
    case SETTINGS_KIND_USERS:
        print_users(field, out);
        return out;
    case SETTINGS_KIND_NAMES:
        print_names(field, out);
        return out;
    case SETTINGS_KIND_RATE:
        print_rate(field, out);
        return out;
    case SETTINGS_KIND_BYTES_RATE:
        strcat(strcpy(out, text_of_size(*(const uint64_t *)field, text)), "/s");
        return out;
    case SETTINGS_KIND_LIMIT:
    case SETTINGS_KIND_COUNT:
    case SETTINGS_KIND_COUNT_OR_AUTO:
    case SETTINGS_KIND_DURATION:
    case SETTINGS_KIND_SHARE:
    case SETTINGS_KIND_SIZE:
    case SETTINGS_KIND_SIZE_OR_AUTO:
        break;
    }
    print_number(rule, *(const uint64_t *)field, out);
    return out;
}

static void print_choice(const struct settings_rule *rule, unsigned index, char *out)
{
    struct bytes words = bytes_of(rule->min), word;

    do
        word = settings_value_next_item(&words, '|');
    while (index-- > 0);
    snprintf(out, SETTINGS_VALUE_SIZE, "%.*s", (int)word.size, word.data);
}

static void print_number(const struct settings_rule *rule, uint64_t value, char *out)
{
    for (size_t i = 0; i < COUNT_OF(limit_words) && rule->kind == SETTINGS_KIND_LIMIT; i++)
        if (value == limit_words[i].value) {
            snprintf(out, SETTINGS_VALUE_SIZE, "%s", limit_words[i].word);
            return;
        }
    if (value == 0 && may_be_auto(rule->kind))
        snprintf(out, SETTINGS_VALUE_SIZE, "auto");
    else if (rule->kind == SETTINGS_KIND_DURATION)
        text_of_duration(value, out);
    else if (rule->kind == SETTINGS_KIND_SHARE)
        text_of_share(value, out);
    else if (rule->kind == SETTINGS_KIND_SIZE || rule->kind == SETTINGS_KIND_SIZE_OR_AUTO)
        text_of_size(value, out);
    else
        snprintf(out, SETTINGS_VALUE_SIZE, "%llu", (unsigned long long)value);
}

static void print_addresses(const struct settings_addresses *addresses, char *out)
{
    size_t used = 0;

    for (size_t i = 0; i < addresses->count; i++) {
        if (i > 0)
            out[used++] = ',';
        address_format(&addresses->items[i], out + used, SETTINGS_VALUE_SIZE - used);
        used += strlen(out + used);
    }
}

static void print_networks(const struct settings_networks *networks, char *out)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < networks->count; i++) {
        if (i > 0)
            out[used++] = ',';
        used += strlen(network_format(&networks->items[i], out + used));
    }
}

static void print_users(const struct settings_users *users, char *out)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < users->count; i++)
        used += (size_t)snprintf(out + used, SETTINGS_VALUE_SIZE - used, "%s%u", i > 0 ? "," : "",
                                 users->items[i]);
}

static void print_names(const struct settings_names *names, char *out)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < names->count; i++)
        used += (size_t)snprintf(out + used, SETTINGS_VALUE_SIZE - used, "%s%s", i > 0 ? "," : "",
                                 names->items[i]);
}

static void print_rate(const struct settings_rate *rate, char *out)
{
    char text[TEXT_NUMBER_SIZE];

    if (rate->is_time)
        snprintf(out, SETTINGS_VALUE_SIZE, "%s/s", text_of_duration(rate->per_s, text));
    else
        snprintf(out, SETTINGS_VALUE_SIZE, "%llu/s", (unsigned long long)rate->per_s);
}

const char *settings_value_allowed(const struct settings_rule *rule, char *out)
{
    const char *what = "";

    switch (rule->kind) {
    case SETTINGS_KIND_SOCKET:
        snprintf(out, SETTINGS_VALUE_SIZE, "auto, off or /PATH of at most %s bytes", rule->max);
        return out;
    case SETTINGS_KIND_TEXT:
        snprintf(out, SETTINGS_VALUE_SIZE, "text of at most %s bytes", rule->max);
        return out;
    case SETTINGS_KIND_PATTERNS:
        snprintf(out, SETTINGS_VALUE_SIZE, "NAME or TENANT/DATABASE/NAME, with * and commas");
        return out;
    case SETTINGS_KIND_SWITCH:
        snprintf(out, SETTINGS_VALUE_SIZE, "true or false");
        return out;
    case SETTINGS_KIND_CHOICE:
        snprintf(out, SETTINGS_VALUE_SIZE, "%s", rule->min);
        return out;
    case SETTINGS_KIND_URL:
        snprintf(out, SETTINGS_VALUE_SIZE, "http://HOST:PORT or unix:/PATH");
        return out;
    case SETTINGS_KIND_ADDRESS_OR_OFF:
        snprintf(out, SETTINGS_VALUE_SIZE, "off, HOST:PORT, [V6]:PORT or unix:/PATH");
        return out;
    case SETTINGS_KIND_ADDRESSES:
        snprintf(out, SETTINGS_VALUE_SIZE, "up to %s of HOST:PORT, [V6]:PORT or unix:/PATH",
                 rule->max);
        return out;
    case SETTINGS_KIND_NETWORKS:
        snprintf(out, SETTINGS_VALUE_SIZE, "up to %s of ADDRESS or ADDRESS/BITS", rule->max);
        return out;
    case SETTINGS_KIND_USERS:
        snprintf(out, SETTINGS_VALUE_SIZE, "up to %s numbers of users", rule->max);
        return out;
    case SETTINGS_KIND_NAMES:
        snprintf(out, SETTINGS_VALUE_SIZE, "up to %s names", rule->max);
        return out;
    case SETTINGS_KIND_RATE:
        snprintf(out, SETTINGS_VALUE_SIZE, "0..%s/s, or 0..%sms/s", rule->max, rule->max);
        return out;
    case SETTINGS_KIND_BYTES_RATE:
        snprintf(out, SETTINGS_VALUE_SIZE, "0B..%s/s", rule->max);
        return out;
    case SETTINGS_KIND_LIMIT:
        snprintf(out, SETTINGS_VALUE_SIZE, "none, adaptive, or %s..%s", rule->min, rule->max);
        return out;
    case SETTINGS_KIND_COUNT:
    case SETTINGS_KIND_COUNT_OR_AUTO:
    case SETTINGS_KIND_DURATION:
    case SETTINGS_KIND_SHARE:
    case SETTINGS_KIND_SIZE:
    case SETTINGS_KIND_SIZE_OR_AUTO:
        break;
    }
    what = may_be_auto(rule->kind) ? "auto, or " : "";
    snprintf(out, SETTINGS_VALUE_SIZE, "%s%s..%s", what, rule->min, rule->max);
    return out;
}
