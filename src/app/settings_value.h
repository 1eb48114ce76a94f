/* settings_value - one value of a setting: from text, within its bounds, and back to text
 *
 * What a text means depends on the kind of the setting alone, never on how the text looks: `off`
 * is a word where a CHOICE has that word, and an error for a SWITCH.
 */
#ifndef APP_SETTINGS_VALUE_H
#define APP_SETTINGS_VALUE_H

#include <stdint.h>

#include "base/address.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/network.h"

enum {
    SETTINGS_TEXT_SIZE = 512,   /* a TEXT with its NUL */
    SETTINGS_ADDRESSES_MAX = 8, /* in one ADDRESSES */
    SETTINGS_NETWORKS_MAX = 16, /* in one NETWORKS */
    SETTINGS_USERS_MAX = 8,     /* in one USERS */
    SETTINGS_NAMES_MAX = 16,    /* in one NAMES */
    SETTINGS_NAMES_SIZE = 64,   /* of each, with its NUL */
    SETTINGS_VALUE_SIZE = SETTINGS_ADDRESSES_MAX * (ADDRESS_TEXT_SIZE + 1), /* any value as text */
};

struct settings_addresses {
    size_t         count;
    struct address items[SETTINGS_ADDRESSES_MAX];
};

struct settings_networks {
    size_t         count;
    struct network items[SETTINGS_NETWORKS_MAX];
};

struct settings_users {
    size_t   count;
    uint32_t items[SETTINGS_USERS_MAX];
};

/* A LIMIT that is no number. */
#define SETTINGS_LIMIT_NONE     UINT64_C(0)
#define SETTINGS_LIMIT_ADAPTIVE UINT64_MAX

struct settings_names {
    size_t count;
    char   items[SETTINGS_NAMES_MAX][SETTINGS_NAMES_SIZE];
};

struct settings_rate {
    uint64_t per_s;   /* 0: no limit */
    bool     is_time; /* microseconds of somebody's time, else a number */
};

enum settings_kind {
    SETTINGS_KIND_TEXT,           /* char[SETTINGS_TEXT_SIZE] */
    SETTINGS_KIND_SOCKET,         /* likewise: a path, "auto" or "off" */
    SETTINGS_KIND_PATTERNS,       /* likewise: see guard_rules.h; may be empty */
    SETTINGS_KIND_SWITCH,         /* bool */
    SETTINGS_KIND_CHOICE,         /* an enum: the index of the word */
    SETTINGS_KIND_COUNT,          /* uint64_t; so all below but the addresses */
    SETTINGS_KIND_COUNT_OR_AUTO,  /* 0 is auto */
    SETTINGS_KIND_LIMIT,          /* a number, or one of SETTINGS_LIMIT_... */
    SETTINGS_KIND_DURATION,       /* microseconds */
    SETTINGS_KIND_SHARE,          /* parts of a million: 0.1% */
    SETTINGS_KIND_SIZE,           /* bytes */
    SETTINGS_KIND_SIZE_OR_AUTO,   /* bytes, 0 is auto */
    SETTINGS_KIND_URL,            /* struct address */
    SETTINGS_KIND_ADDRESS_OR_OFF, /* struct address, ADDRESS_NONE is off */
    SETTINGS_KIND_ADDRESSES,      /* struct settings_addresses */
    SETTINGS_KIND_NETWORKS,       /* struct settings_networks; may be empty, as USERS */
    SETTINGS_KIND_USERS,          /* struct settings_users: numbers of users */
    SETTINGS_KIND_NAMES,          /* struct settings_names: without commas or spaces */
    SETTINGS_KIND_RATE,           /* struct settings_rate: 50/s or 200ms/s */
    SETTINGS_KIND_BYTES_RATE,     /* uint64_t: bytes per second */
};

/* What settings_value must know of a row of the table: see settings.def. */
struct settings_rule {
    enum settings_kind kind;
    const char        *min, *max;
    const char        *example; /* shown when a text cannot be read */
};

/* Read `text` into the field of the rule's kind at `field`.
 * STATUS_INVALID  not such a value, or out of bounds: `error` says what is allowed, without the
 *                 name of the setting; the field is unchanged. */
MUST_CHECK enum status settings_value_read(const struct settings_rule *rule, struct bytes text,
                                           void *field, struct error *error);

/* Write the value at `field` so that settings_value_read() reads it back. `out` has
 * SETTINGS_VALUE_SIZE bytes and is returned. */
const char *settings_value_print(const struct settings_rule *rule, const void *field, char *out);

/* May it be written as a list in a file? */
bool settings_value_is_list(enum settings_kind kind);

/* Write what is allowed, for a reader: "1..65535", "auto, or 1KiB..4GiB", "true or false". `out`
 * has SETTINGS_VALUE_SIZE bytes and is returned. */
const char *settings_value_allowed(const struct settings_rule *rule, char *out);

#endif
