#include "limits/guard_rules.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "limits/name_pattern.h"

enum part { TENANT, DATABASE, COLLECTION, PARTS };

struct opening {
    char     name[GUARD_RULES_NAME_SIZE]; /* "": none */
    uint64_t until_us;
};

struct guard_rules {
    char                 *text;
    size_t                count;
    struct guard_pattern *patterns; /* they point into `text` */
    struct opening        openings[GUARD_RULES_OPENINGS_MAX];
};

static size_t cut_parts(struct bytes text, struct bytes parts[PARTS]);
static bool   part_fits(struct bytes pattern, struct bytes part);
static bool   names_target(struct bytes text, const struct guard_target *target, bool is_own);
static bool   names_collection(struct bytes text, const struct guard_target *target);
static bool   is_part(struct bytes part, struct bytes known);
static bool   is_word(struct bytes text);
static struct opening *find_opening(struct guard_rules *rules, struct bytes name);

static const struct bytes reset = BYTES_INIT("reset"), unknown = BYTES_INIT("unknown");

bool guard_rules_next_pattern(struct bytes *rest, struct guard_pattern *ret)
{
    struct bytes text = *rest, parts[PARTS];
    const char  *comma = rest->size == 0 ? NULL : memchr(rest->data, ',', rest->size);
    size_t       count;

    *ret = (struct guard_pattern){0};
    if (rest->size == 0)
        return false;
    if (comma != NULL)
        text.size = (size_t)(comma - rest->data);
    *rest = bytes_skip(*rest, text.size + (comma != NULL));
    while (text.size > 0 && text.data[0] == ' ')
        text = bytes_skip(text, 1);
    while (text.size > 0 && text.data[text.size - 1] == ' ')
        text.size--;
    count = cut_parts(text, parts);
    *ret = (struct guard_pattern){.text = text, .collection = text};
    if (count == PARTS)
        *ret = (struct guard_pattern){text, parts[TENANT], parts[DATABASE], parts[COLLECTION]};
    return (count == 1 || (count == PARTS && ret->tenant.size > 0 && ret->database.size > 0)) &&
           ret->collection.size > 0;
}

enum status guard_rules_check(struct bytes patterns, struct error *error)
{
    struct guard_pattern pattern;
    char                 quoted[80];

    while (patterns.size > 0)
        if (!guard_rules_next_pattern(&patterns, &pattern))
            return error_set(error, STATUS_INVALID,
                             "%s is no pattern; write NAME or TENANT/DATABASE/NAME, with * for any "
                             "run of characters",
                             text_quote(pattern.text, quoted, sizeof quoted));
    return STATUS_OK;
}

/* At the slashes. Returns how many there are; 0: more than there are parts. */
static size_t cut_parts(struct bytes text, struct bytes parts[PARTS])
{
    size_t count = 0;

    for (;;) {
        const char *slash = text.size == 0 ? NULL : memchr(text.data, '/', text.size);

        if (count == PARTS)
            return 0;
        parts[count] = text;
        if (slash == NULL)
            return count + 1;
        parts[count].size = (size_t)(slash - text.data);
        text = bytes_skip(text, parts[count++].size + 1);
    }
}

struct guard_rules *guard_rules_new(void)
{
    return calloc(1, sizeof(struct guard_rules));
}

void guard_rules_free(struct guard_rules *rules)
{
    if (rules == NULL)
        return;
    free(rules->text);
    free(rules->patterns);
    free(rules);
}

enum status guard_rules_set(struct guard_rules *rules, struct bytes patterns)
{
    size_t                room = patterns.size / 2 + 1, count = 0; /* each takes a comma */
    char                 *text = calloc(1, patterns.size + 1);
    struct guard_pattern *parsed = calloc(room, sizeof *parsed);
    struct bytes          rest = {.data = text, .size = patterns.size};

    if (text == NULL || parsed == NULL) {
        free(text);
        free(parsed);
        return STATUS_NO_MEMORY;
    }
    if (patterns.size > 0)
        memcpy(text, patterns.data, patterns.size);
    while (count < room && guard_rules_next_pattern(&rest, &parsed[count]))
        count++;
    assert(rest.size == 0);
    free(rules->text);
    free(rules->patterns);
    rules->text = text;
    rules->patterns = parsed;
    rules->count = count;
    return STATUS_OK;
}

const char *guard_rules_patterns(const struct guard_rules *rules)
{
    return rules->text == NULL ? "" : rules->text;
}

bool guard_rules_are_on(const struct guard_rules *rules)
{
    return rules->count > 0;
}

bool guard_rules_hold(const struct guard_rules *rules, const struct guard_target *target)
{
    for (size_t i = 0; i < rules->count; i++) {
        const struct guard_pattern *pattern = &rules->patterns[i];

        if (part_fits(pattern->tenant, target->tenant) &&
            part_fits(pattern->database, target->database) &&
            part_fits(pattern->collection, target->collection))
            return true;
    }
    return false;
}

static bool part_fits(struct bytes pattern, struct bytes part)
{
    return pattern.data == NULL || part.data == NULL || name_pattern_fits(pattern, part);
}

bool guard_rules_is_confirmed(const struct guard_target *target, struct bytes text)
{
    return names_target(text, target, true);
}

/* `is_own`: of the request itself. */
static bool names_target(struct bytes text, const struct guard_target *target, bool is_own)
{
    struct bytes parts[PARTS];

    switch (target->kind) {
    case GUARD_TARGET_COLLECTION:
        return (is_own || !is_word(text)) && names_collection(text, target);
    case GUARD_TARGET_DATABASE:
        return (is_own && is_part(text, target->database)) ||
               (cut_parts(text, parts) == 2 && is_part(parts[0], target->tenant) &&
                is_part(parts[1], target->database));
    case GUARD_TARGET_EVERYTHING:
        return bytes_equal(text, reset);
    case GUARD_TARGET_UNKNOWN:
        return bytes_equal(text, unknown);
    }
    return false;
}

static bool names_collection(struct bytes text, const struct guard_target *target)
{
    struct bytes parts[PARTS];

    return is_part(text, target->collection) || is_part(text, target->uuid) ||
           (cut_parts(text, parts) == PARTS && is_part(parts[TENANT], target->tenant) &&
            is_part(parts[DATABASE], target->database) &&
            is_part(parts[COLLECTION], target->collection));
}

/* What is not known is not named. */
static bool is_part(struct bytes part, struct bytes known)
{
    return known.data != NULL && part.size > 0 && bytes_equal(part, known);
}

static bool is_word(struct bytes text)
{
    return bytes_equal(text, reset) || bytes_equal(text, unknown);
}

bool guard_rules_is_open(const struct guard_rules *rules, const struct guard_target *target,
                         uint64_t now_us)
{
    for (size_t i = 0; i < GUARD_RULES_OPENINGS_MAX; i++) {
        const struct opening *opening = &rules->openings[i];

        if (opening->name[0] != '\0' && now_us < opening->until_us &&
            names_target(bytes_of(opening->name), target, false))
            return true;
    }
    return false;
}

enum status guard_rules_open(struct guard_rules *rules, struct bytes name, uint64_t duration_us,
                             uint64_t now_us, struct error *error)
{
    struct bytes    parts[PARTS];
    size_t          count = cut_parts(name, parts);
    struct opening *opening = find_opening(rules, name);
    char            quoted[80];

    text_quote(name, quoted, sizeof quoted);
    if (count == 0 || parts[0].size == 0 || parts[count - 1].size == 0 ||
        name.size >= GUARD_RULES_NAME_SIZE || memchr(name.data, '*', name.size) != NULL)
        return error_set(error, STATUS_INVALID,
                         "%s names nothing that can be open; write NAME or TENANT/DATABASE/NAME of "
                         "a collection, TENANT/DATABASE, reset or unknown",
                         quoted);
    if (duration_us == 0 || duration_us > GUARD_RULES_OPEN_MAX_US)
        return error_set(error, STATUS_INVALID, "a guard is open for an hour (3600s) at most");
    if (opening == NULL)
        opening = find_opening(rules, (struct bytes){0});
    if (opening == NULL)
        return error_set(error, STATUS_LIMIT_REACHED, "%d are open already; close one of them",
                         GUARD_RULES_OPENINGS_MAX);
    memset(opening->name, 0, sizeof opening->name);
    memcpy(opening->name, name.data, name.size);
    opening->until_us = now_us + duration_us;
    return STATUS_OK;
}

/* Without a name: a free one. */
static struct opening *find_opening(struct guard_rules *rules, struct bytes name)
{
    for (size_t i = 0; i < GUARD_RULES_OPENINGS_MAX; i++)
        if (bytes_equal(bytes_of(rules->openings[i].name), name))
            return &rules->openings[i];
    return NULL;
}

bool guard_rules_close(struct guard_rules *rules, struct bytes name)
{
    struct opening *opening = name.size == 0 ? NULL : find_opening(rules, name);

    if (opening != NULL)
        opening->name[0] = '\0';
    return opening != NULL;
}

const char *guard_rules_opening(const struct guard_rules *rules, size_t index,
                                uint64_t *ret_until_us)
{
    const struct opening *opening = &rules->openings[index];

    if (opening->name[0] == '\0')
        return NULL;
    *ret_until_us = opening->until_us;
    return opening->name;
}
