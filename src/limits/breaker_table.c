#include "limits/breaker_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash_map.h"
#include "base/list.h"

struct collection_breaker {
    struct list_node node; /* the one that failed last is first */
    uint8_t          collection[16];
    struct breaker   breaker;
};

struct breaker_table {
    struct breaker             of[2];                        /* reads and writes */
    struct breaker             groups[BREAKER_TABLE_GROUPS]; /* that have only seen successes */
    struct hash_map           *collections;
    struct list                by_failure;
    struct rng                 rng;
    breaker_view_fn            on_change;
    void                      *ctx;
    struct breaker_table_stats stats;
};

static struct bytes               table_key(const uint8_t *collection);
static struct collection_breaker *table_find(const struct breaker_table *table,
                                             const uint8_t              *collection);
static struct collection_breaker *table_add(struct breaker_table *table, const uint8_t *collection);
static struct breaker *table_group(struct breaker_table *table, const uint8_t *collection);
static void table_report_collection(struct breaker_table *table, const uint8_t *collection,
                                    enum breaker_outcome outcome, uint64_t began_us,
                                    uint64_t now_us);
static void table_drop(struct breaker_table *table, struct collection_breaker *entry);
static void table_note(struct breaker_table *table, const struct breaker_view *view,
                       enum breaker_state before);
static struct breaker_view view_of(const struct breaker_table *table, enum breaker_of of);
static struct breaker_view view_of_entry(const struct collection_breaker *entry);

struct breaker_table *breaker_table_new(const unsigned char secret[SIPHASH_KEY_SIZE],
                                        breaker_view_fn on_change, void *ctx)
{
    struct breaker_table *table = calloc(1, sizeof *table);

    if (table == NULL)
        return NULL;
    list_init(&table->by_failure);
    rng_init(&table->rng, siphash_1_3(secret, BYTES_LITERAL("breakers")));
    table->on_change = on_change;
    table->ctx = ctx;
    table->collections = hash_map_new(secret, BREAKER_TABLE_COLLECTIONS);
    if (table->collections != NULL)
        return table;
    breaker_table_free(table);
    return NULL;
}

void breaker_table_free(struct breaker_table *table)
{
    struct list_node *node;

    if (table == NULL)
        return;
    while (table->collections != NULL && (node = list_first(&table->by_failure)) != NULL)
        table_drop(table, LIST_ITEM(node, struct collection_breaker, node));
    hash_map_free(table->collections);
    free(table);
}

bool breaker_table_pass(struct breaker_table *table, const uint8_t *collection,
                        struct breaker_view *ret_by)
{
    struct breaker            *reads = &table->of[BREAKER_OF_READS];
    struct collection_breaker *entry = table_find(table, collection);

    if (!breaker_may_pass(reads)) {
        *ret_by = view_of(table, BREAKER_OF_READS);
        return false;
    }
    if (entry != NULL && !breaker_pass(&entry->breaker)) {
        *ret_by = view_of_entry(entry);
        return false;
    }
    return breaker_pass(reads);
}

static struct bytes table_key(const uint8_t *collection)
{
    return (struct bytes){.data = (const char *)collection, .size = 16};
}

static struct collection_breaker *table_find(const struct breaker_table *table,
                                             const uint8_t              *collection)
{
    if (collection == NULL || list_is_empty(&table->by_failure))
        return NULL;
    return hash_map_get(table->collections, table_key(collection));
}

void breaker_table_report(struct breaker_table *table, bool is_write, const uint8_t *collection,
                          enum breaker_outcome outcome, uint64_t began_us, uint64_t now_us)
{
    enum breaker_of     of = is_write ? BREAKER_OF_WRITES : BREAKER_OF_READS;
    enum breaker_state  before = table->of[of].state;
    struct breaker_view view = view_of(table, of);

    breaker_report(&table->of[of], outcome, began_us, now_us, &table->rng);
    table_note(table, &view, before);
    if (!is_write && collection != NULL)
        table_report_collection(table, collection, outcome, began_us, now_us);
}

static void table_report_collection(struct breaker_table *table, const uint8_t *collection,
                                    enum breaker_outcome outcome, uint64_t began_us,
                                    uint64_t now_us)
{
    struct collection_breaker *entry = table_find(table, collection);
    struct breaker_view        view;
    enum breaker_state         before;

    if (outcome == BREAKER_SUCCESS)
        breaker_report(table_group(table, collection), outcome, began_us, now_us, &table->rng);
    if (entry == NULL && outcome == BREAKER_FAILURE)
        entry = table_add(table, collection);
    if (entry == NULL)
        return;
    if (outcome == BREAKER_FAILURE) {
        list_remove(&entry->node);
        list_push_front(&table->by_failure, &entry->node);
    }
    view = view_of_entry(entry);
    before = entry->breaker.state;
    breaker_report(&entry->breaker, outcome == BREAKER_CONNECT_FAILURE ? BREAKER_NOTHING : outcome,
                   began_us, now_us, &table->rng);
    table_note(table, &view, before);
    if (entry->breaker.state == BREAKER_CLOSED && !breaker_has_failures(&entry->breaker, now_us))
        table_drop(table, entry);
}

/* NULL when out of memory: it counts as closed. */
static struct collection_breaker *table_add(struct breaker_table *table, const uint8_t *collection)
{
    struct collection_breaker *entry = calloc(1, sizeof *entry);

    if (entry == NULL)
        return NULL;
    if (hash_map_count(table->collections) >= BREAKER_TABLE_COLLECTIONS)
        table_drop(table,
                   LIST_ITEM(list_last(&table->by_failure), struct collection_breaker, node));
    memcpy(entry->collection, collection, sizeof entry->collection);
    entry->breaker = *table_group(table, collection);
    if (hash_map_put(table->collections, table_key(entry->collection), entry) != STATUS_OK) {
        free(entry);
        return NULL;
    }
    list_push_front(&table->by_failure, &entry->node);
    return entry;
}

/* UUIDs are random where Chroma makes them; who asks for others only makes a breaker slower. */
static struct breaker *table_group(struct breaker_table *table, const uint8_t *collection)
{
    return &table->groups[collection[0] % BREAKER_TABLE_GROUPS];
}

static void table_drop(struct breaker_table *table, struct collection_breaker *entry)
{
    table->stats.open_collections -= entry->breaker.state != BREAKER_CLOSED;
    hash_map_remove(table->collections, table_key(entry->collection));
    list_remove(&entry->node);
    free(entry);
}

static void table_note(struct breaker_table *table, const struct breaker_view *view,
                       enum breaker_state before)
{
    enum breaker_state now = view->breaker->state;

    if (now == before)
        return;
    table->stats.opened[view->of] += now == BREAKER_OPEN;
    if (view->of == BREAKER_OF_COLLECTION) {
        table->stats.open_collections += before == BREAKER_CLOSED;
        table->stats.open_collections -= now == BREAKER_CLOSED;
    }
    table->on_change(table->ctx, view);
}

void breaker_table_heartbeat(struct breaker_table *table, bool is_answered, uint64_t now_us)
{
    for (enum breaker_of of = BREAKER_OF_READS; of <= BREAKER_OF_WRITES; of++) {
        struct breaker_view view = view_of(table, of);
        enum breaker_state  before = table->of[of].state;

        breaker_heartbeat(&table->of[of], is_answered, now_us, &table->rng);
        table_note(table, &view, before);
    }
    LIST_FOR_EACH(node, &table->by_failure)
    {
        struct collection_breaker *entry = LIST_ITEM(node, struct collection_breaker, node);
        struct breaker_view        view = view_of_entry(entry);
        enum breaker_state         before = entry->breaker.state;

        breaker_heartbeat(&entry->breaker, is_answered, now_us, &table->rng);
        table_note(table, &view, before);
    }
}

uint64_t breaker_table_wake_us(const struct breaker_table *table)
{
    uint64_t wake_us = UINT64_MAX;

    for (enum breaker_of of = BREAKER_OF_READS; of <= BREAKER_OF_WRITES; of++)
        if (table->of[of].state == BREAKER_OPEN && table->of[of].next_us < wake_us)
            wake_us = table->of[of].next_us;
    LIST_FOR_EACH(node, &table->by_failure)
    {
        const struct breaker *breaker = &LIST_ITEM(node, struct collection_breaker, node)->breaker;

        if (breaker->state == BREAKER_OPEN && breaker->next_us < wake_us)
            wake_us = breaker->next_us;
    }
    return wake_us;
}

bool breaker_table_is_calm(const struct breaker_table *table)
{
    return table->of[BREAKER_OF_READS].state == BREAKER_CLOSED;
}

bool breaker_table_is_open(const struct breaker_table *table)
{
    return table->of[BREAKER_OF_READS].state == BREAKER_OPEN;
}

void breaker_table_new_incarnation(struct breaker_table *table, uint64_t now_us)
{
    struct list_node *node;

    breaker_forget(&table->of[BREAKER_OF_READS]);
    breaker_forget(&table->of[BREAKER_OF_WRITES]);
    for (size_t i = 0; i < BREAKER_TABLE_GROUPS; i++)
        breaker_forget(&table->groups[i]);
    while ((node = list_first(&table->by_failure)) != NULL) {
        struct collection_breaker *entry = LIST_ITEM(node, struct collection_breaker, node);
        struct breaker_view        view = view_of_entry(entry);
        enum breaker_state         before = entry->breaker.state;

        entry->breaker = (struct breaker){.changed_us = now_us};
        table_note(table, &view, before);
        table_drop(table, entry);
    }
}

void breaker_table_each(const struct breaker_table *table, breaker_view_fn fn, void *ctx)
{
    for (enum breaker_of of = BREAKER_OF_READS; of <= BREAKER_OF_WRITES; of++) {
        struct breaker_view view = view_of(table, of);

        fn(ctx, &view);
    }
    LIST_FOR_EACH(node, &table->by_failure)
    {
        struct breaker_view view = view_of_entry(LIST_ITEM(node, struct collection_breaker, node));

        if (view.breaker->state != BREAKER_CLOSED)
            fn(ctx, &view);
    }
}

static struct breaker_view view_of(const struct breaker_table *table, enum breaker_of of)
{
    return (struct breaker_view){.of = of, .breaker = &table->of[of]};
}

static struct breaker_view view_of_entry(const struct collection_breaker *entry)
{
    return (struct breaker_view){
        .of = BREAKER_OF_COLLECTION, .collection = entry->collection, .breaker = &entry->breaker};
}

const struct breaker_table_stats *breaker_table_stats(const struct breaker_table *table)
{
    return &table->stats;
}
