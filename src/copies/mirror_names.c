#include "copies/mirror_names.h"

#include <string.h>

#include "copies/mirror_entry.h"

static bool names_are(const struct mirror_entry *entry, struct bytes text);
static bool names_hold(const struct mirror_entry *entry, struct scope *ret_scope,
                       struct bytes *ret_name);

bool mirror_names_of(const struct mirror_keeper *keeper, const uint8_t uuid[16],
                     struct scope *ret_scope, struct bytes *ret_name)
{
    const struct mirror_entry *entry = keeper == NULL ? NULL : mirror_entry_find(keeper, uuid);

    return entry != NULL && names_hold(entry, ret_scope, ret_name);
}

bool mirror_names_find(const struct mirror_keeper *keeper, struct bytes text, uint8_t ret_uuid[16])
{
    size_t found = 0;

    if (keeper == NULL)
        return false;
    LIST_FOR_EACH(node, &keeper->entries)
    {
        const struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        if (entry->name == NULL || !names_are(entry, text))
            continue;
        memcpy(ret_uuid, entry->uuid, sizeof entry->uuid);
        found++;
    }
    return found == 1;
}

static bool names_are(const struct mirror_entry *entry, struct bytes text)
{
    const char *parts[] = {entry->tenant, "/", entry->database, "/", entry->name};
    bool        is_short = strcmp(entry->tenant, "default_tenant") == 0 &&
                    strcmp(entry->database, "default_database") == 0;

    if (is_short && bytes_equal(text, bytes_of(entry->name)))
        return true;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        struct bytes part = bytes_of(parts[i]);

        if (text.size < part.size ||
            !bytes_equal((struct bytes){.data = text.data, .size = part.size}, part))
            return false;
        text = bytes_skip(text, part.size);
    }
    return text.size == 0;
}

bool mirror_names_was_read(const struct mirror_keeper *keeper, const struct chroma_route *route)
{
    const struct mirror_entry *entry = mirror_entry_find(keeper, route->uuid);

    return entry != NULL && entry->state == MIRROR_ENTRY_COMPLETE &&
           bytes_equal(bytes_of(entry->tenant), route->tenant) &&
           bytes_equal(bytes_of(entry->database), route->database);
}

static bool names_hold(const struct mirror_entry *entry, struct scope *ret_scope,
                       struct bytes *ret_name)
{
    if (entry->state != MIRROR_ENTRY_COMPLETE || !entry->is_placed || entry->name == NULL ||
        !entry->keeper->is_gateway)
        return false;
    *ret_scope =
        (struct scope){.tenant = bytes_of(entry->tenant), .database = bytes_of(entry->database)};
    *ret_name = bytes_of(entry->name);
    return true;
}
