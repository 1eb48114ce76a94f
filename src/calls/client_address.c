#include "calls/client_address.h"

static struct bytes take_last(struct bytes *list);
static bool         read_entry_address(struct bytes entry, struct network_address *ret);

bool client_address_is_in(const struct network_address *address, const struct network *networks,
                          size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (network_contains(&networks[i], address))
            return true;
    return false;
}

struct network_address client_address_forwarded(const struct http_head       *head,
                                                const struct network_address *peer,
                                                const struct network *trusted, size_t count)
{
    static const struct bytes name = BYTES_INIT("x-forwarded-for");
    struct network_address    client = *peer;

    for (size_t i = head->field_count; i-- > 0;) {
        struct bytes rest = head->fields[i].value;

        if (!bytes_equal_nocase(head->fields[i].name, name))
            continue;
        while (rest.size > 0) {
            struct network_address before;

            if (!read_entry_address(take_last(&rest), &before))
                return client;
            client = before;
            if (!client_address_is_in(&client, trusted, count))
                return client;
        }
    }
    return client;
}

/* Cut what is behind the last comma off, without the spaces around it. */
static struct bytes take_last(struct bytes *list)
{
    const char  *comma = memrchr(list->data, ',', list->size);
    struct bytes last = *list;

    if (comma == NULL) {
        list->size = 0;
    } else {
        list->size = (size_t)(comma - list->data);
        last = bytes_skip(last, list->size + 1);
    }
    while (last.size > 0 && (last.data[0] == ' ' || last.data[0] == '\t'))
        last = bytes_skip(last, 1);
    while (last.size > 0 && (last.data[last.size - 1] == ' ' || last.data[last.size - 1] == '\t'))
        last.size--;
    return last;
}

/* Some proxies add the port: "10.0.0.1:5000", "[::1]:5000". */
static bool read_entry_address(struct bytes entry, struct network_address *ret)
{
    const char *colon = entry.size == 0 ? NULL : memchr(entry.data, ':', entry.size);

    if (entry.size > 0 && entry.data[0] == '[') {
        const char *end = memchr(entry.data, ']', entry.size);

        if (end == NULL)
            return false;
        entry = (struct bytes){entry.data + 1, (size_t)(end - entry.data) - 1};
    } else if (colon != NULL && colon == memrchr(entry.data, ':', entry.size)) {
        entry.size = (size_t)(colon - entry.data);
    }
    return network_address_parse(entry, ret);
}
