#include "limits/key_ring.h"

#include <assert.h>
#include <stdlib.h>

struct entry {
    struct entry       *next; /* of all, to be freed */
    struct key_ring_key key;
    struct key_scope    scopes[]; /* and after them their text and the name */
};

/* Open addressing by the first bytes of the digest, which are as good as random. */
struct key_ring {
    size_t         holders;
    struct entry **table;
    size_t         size, count;
    struct entry  *all;
};

static const size_t table_size_min = 64;

static struct entry  *find_entry(const struct key_ring *ring, const unsigned char *digest);
static struct entry **place_of(const struct key_ring *ring, const unsigned char *digest);
static bool           is_equal(const unsigned char *left, const unsigned char *right);
static bool           grow(struct key_ring *ring);
static struct entry  *entry_new(const struct key_ring_entry *asked);
static const char    *key_ring_copy_text(char **at, struct bytes text);
static enum status    parse_scopes(struct entry *entry, const struct bytes *scopes,
                                   struct error *error);

struct key_ring *key_ring_new(void)
{
    struct key_ring *ring = calloc(1, sizeof *ring);

    if (ring != NULL)
        ring->holders = 1;
    return ring;
}

struct key_ring *key_ring_hold(struct key_ring *ring)
{
    ring->holders++;
    return ring;
}

void key_ring_drop(struct key_ring *ring)
{
    struct entry *next;

    if (ring == NULL || --ring->holders > 0)
        return;
    for (struct entry *entry = ring->all; entry != NULL; entry = next) {
        next = entry->next;
        free(entry);
    }
    free(ring->table);
    free(ring);
}

enum status key_ring_add(struct key_ring *ring, const struct key_ring_entry *asked,
                         struct error *error)
{
    struct entry *entry;
    enum status   status;

    if (asked->name.size == 0)
        return error_set(error, STATUS_INVALID, "a key has a name");
    if (asked->scope_count > KEY_RING_SCOPES_MAX || ring->count >= KEY_RING_KEYS_MAX)
        return error_set(error, STATUS_LIMIT_REACHED, "%d keys with %d scopes each at most",
                         KEY_RING_KEYS_MAX, KEY_RING_SCOPES_MAX);
    if (find_entry(ring, asked->digest) != NULL)
        return error_set(error, STATUS_INVALID, "the key of '%.*s' is there already",
                         (int)asked->name.size, asked->name.data);
    if (ring->count * 2 >= ring->size && !grow(ring))
        return STATUS_NO_MEMORY;
    entry = entry_new(asked);
    if (entry == NULL)
        return STATUS_NO_MEMORY;
    status = parse_scopes(entry, asked->scopes, error);
    if (status != STATUS_OK) {
        free(entry);
        return status;
    }
    entry->next = ring->all;
    ring->all = entry;
    *place_of(ring, asked->digest) = entry;
    ring->count++;
    return STATUS_OK;
}

static bool grow(struct key_ring *ring)
{
    size_t         size = ring->size == 0 ? table_size_min : ring->size * 2;
    struct entry **table = calloc(size, sizeof(struct entry *));

    if (table == NULL)
        return false;
    free(ring->table);
    ring->table = table;
    ring->size = size;
    for (struct entry *entry = ring->all; entry != NULL; entry = entry->next)
        *place_of(ring, entry->key.digest) = entry;
    return true;
}

/* One block: the key, its scopes, the text of its scopes, its name and its service. */
static struct entry *entry_new(const struct key_ring_entry *asked)
{
    size_t        size = sizeof(struct entry) + asked->scope_count * sizeof(struct key_scope);
    size_t        text = 0;
    struct entry *entry;
    char         *at;

    for (size_t i = 0; i < asked->scope_count; i++)
        text += asked->scopes[i].size;
    entry = calloc(1, size + text + asked->name.size + 1 + asked->service.size + 1);
    if (entry == NULL)
        return NULL;
    at = (char *)entry + size + text;
    memcpy(entry->key.digest, asked->digest, KEY_RING_DIGEST_SIZE);
    entry->key.id = asked->id;
    entry->key.name = key_ring_copy_text(&at, asked->name);
    entry->key.service = key_ring_copy_text(&at, asked->service);
    entry->key.scopes = entry->scopes;
    entry->key.scope_count = (uint32_t)asked->scope_count;
    return entry;
}

/* With a NUL, which is there already. */
static const char *key_ring_copy_text(char **at, struct bytes text)
{
    const char *copy = *at;

    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    *at += text.size + 1;
    return copy;
}

static enum status parse_scopes(struct entry *entry, const struct bytes *scopes,
                                struct error *error)
{
    char *at = (char *)&entry->scopes[entry->key.scope_count];

    for (size_t i = 0; i < entry->key.scope_count; i++) {
        struct bytes copy = {.data = at, .size = scopes[i].size};
        enum status  status;

        memcpy(at, scopes[i].data, scopes[i].size);
        status = key_scope_parse(copy, &entry->scopes[i], error);
        if (status != STATUS_OK)
            return status;
        at += scopes[i].size;
    }
    return STATUS_OK;
}

const struct key_ring_key *key_ring_find(struct key_ring    *ring,
                                         const unsigned char digest[KEY_RING_DIGEST_SIZE])
{
    struct entry *entry = find_entry(ring, digest);

    if (entry == NULL)
        return NULL;
    entry->key.used++;
    return &entry->key;
}

static struct entry *find_entry(const struct key_ring *ring, const unsigned char *digest)
{
    return ring->size == 0 ? NULL : *place_of(ring, digest);
}

/* Where it is, or would be. */
static struct entry **place_of(const struct key_ring *ring, const unsigned char *digest)
{
    uint64_t hash;

    memcpy(&hash, digest, sizeof hash);
    for (size_t i = (size_t)hash & (ring->size - 1);; i = (i + 1) & (ring->size - 1))
        if (ring->table[i] == NULL || is_equal(ring->table[i]->key.digest, digest))
            return &ring->table[i];
}

/* In the same time wherever they differ. */
static bool is_equal(const unsigned char *left, const unsigned char *right)
{
    unsigned difference = 0;

    for (size_t i = 0; i < KEY_RING_DIGEST_SIZE; i++)
        difference |= (unsigned)(left[i] ^ right[i]);
    return difference == 0;
}

size_t key_ring_count(const struct key_ring *ring)
{
    return ring->count;
}

const struct key_ring_key *key_ring_next(const struct key_ring *ring, size_t *position)
{
    while (*position < ring->size) {
        const struct entry *entry = ring->table[(*position)++];

        if (entry != NULL)
            return &entry->key;
    }
    return NULL;
}
