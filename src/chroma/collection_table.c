#include "chroma/collection_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "chroma/collection_change.h"
#include "chroma/collection_core.h"

static enum collection_existence existence_of(const struct collection_table *table,
                                              const struct collection       *collection);

struct collection_table *collection_table_new(const struct collection_table_options *options,
                                              const unsigned char secret[SIPHASH_KEY_SIZE])
{
    struct collection_table *table = calloc(1, sizeof *table);

    assert(options->collections_max > 0);
    if (table == NULL || !collection_store_init(&table->store, options, secret)) {
        free(table);
        return NULL;
    }
    collection_change_observe(table);
    memcpy(table->secret, secret, sizeof table->secret);
    collection_table_new_incarnation(table, true);
    return table;
}

void collection_table_free(struct collection_table *table)
{
    if (table == NULL)
        return;
    collection_store_done(&table->store);
    free(table);
}

struct write_observer *collection_table_observer(struct collection_table *table)
{
    return &table->observer;
}

void collection_table_new_incarnation(struct collection_table *table, bool is_old_gone)
{
    struct change_mark *marks[] = {&table->records, &table->names, &table->breaks, &table->tenants,
                                   &table->any_records};
    size_t              position = 0;
    struct collection  *collection;

    table->former = (struct collection_former){.stamp = table->any_records.stamp,
                                               .epoch = table->records.stamp,
                                               .incarnation = table->incarnation};
    table->incarnation = table->names_void = collection_store_tick(&table->store);
    for (size_t i = 0; i < COUNT_OF(marks); i++)
        marks[i]->stamp = table->incarnation;
    while ((collection = hash_map_next(table->store.by_uuid, &position)) != NULL) {
        collection->existence = COLLECTION_EXISTENCE_UNKNOWN;
        collection->space = COLLECTION_SPACE_UNKNOWN;
        collection->dimension = 0;
        collection->was_read = false;
        collection_store_undescribe(&table->store, collection);
        if (collection->catch_up == COLLECTION_CAUGHT_UP)
            collection->catch_up = COLLECTION_MAY_LAG;
    }
    if (is_old_gone) {
        for (size_t i = 0; i < COUNT_OF(marks); i++)
            collection_store_clear_lost(marks[i]);
        collection_store_clear_all_lost(&table->store);
    }
}

uint64_t collection_table_incarnation(const struct collection_table *table)
{
    return table->incarnation;
}

uint64_t collection_table_epoch(const struct collection_table *table)
{
    return table->records.stamp;
}

uint64_t collection_table_stamp_of(struct collection_table *table, const uint8_t uuid[16],
                                   const struct record_ids *ids, uint64_t now_us)
{
    struct collection      *collection = collection_store_get(&table->store, uuid);
    struct id_stamps_moment moment;
    struct change_mark      others; /* than a write that is followed */

    if (collection == NULL)
        return 0;
    moment = collection_core_moment(table, collection);
    others = collection->records;
    if (ids != NULL)
        collection_store_follow(&table->store, collection);
    if (ids != NULL && id_stamps_hold(collection->by_id, moment))
        others.in_flight -= collection->by_id->under_way != NULL;
    return collection_core_stamp(table, collection, &others, now_us) == 0
               ? 0
               : id_stamps_get(collection->by_id, ids, moment);
}

/* A mark that nothing has moved since the incarnation did is as it was before that. */
bool collection_table_is_quiet(struct collection_table *table, const uint8_t uuid[16],
                               uint64_t grace_us, uint64_t now_us)
{
    uint64_t lost_us = table->store.options.lost_us;

    return collection_table_stamp(table, uuid,
                                  now_us + (lost_us > grace_us ? lost_us - grace_us : 0)) != 0;
}

struct collection_former collection_table_former(struct collection_table *table,
                                                 const uint8_t            uuid[16],
                                                 const struct record_ids *ids, uint64_t now_us)
{
    const struct collection *collection = collection_store_find(&table->store, uuid);
    struct collection_former former = table->former;

    if (collection == NULL ||
        collection_core_stamp(table, collection, &collection->records, now_us) == 0)
        return (struct collection_former){0};
    if (table->records.stamp != table->incarnation)
        former.epoch = table->records.stamp;
    if (collection->scope != NULL)
        former.stamp = collection->scope->records.stamp;
    else if (table->any_records.stamp != table->incarnation)
        former.stamp = table->any_records.stamp;
    former.stamp =
        id_stamps_get(collection->by_id, ids,
                      (struct id_stamps_moment){collection->records.stamp,
                                                id_stamps_later(former.stamp, former.epoch)});
    return former;
}

uint64_t collection_table_description_stamp(struct collection_table *table, const uint8_t uuid[16],
                                            uint64_t now_us)
{
    struct collection *collection = collection_store_get(&table->store, uuid);

    if (collection == NULL || collection->catch_up == COLLECTION_LAGS ||
        (collection->catch_up == COLLECTION_MAY_LAG && !collection->was_read))
        return 0;
    return collection_core_stamp(table, collection, &collection->description, now_us);
}

bool collection_table_describe(struct collection_table *table, const uint8_t uuid[16],
                               struct bytes body)
{
    struct collection            *collection = collection_store_find(&table->store, uuid);
    struct collection_description description;

    return collection != NULL && collection_description_read(body, table->secret, &description) &&
           memcmp(description.uuid, uuid, sizeof description.uuid) == 0 &&
           collection_store_describe(&table->store, collection, &description);
}

bool collection_table_is_left(struct collection_table *table, const struct chroma_route *route,
                              const struct chroma_records *records)
{
    struct collection *collection =
        route->has_uuid ? collection_store_find(&table->store, route->uuid) : NULL;

    if (collection == NULL || collection->catch_up != COLLECTION_CAUGHT_UP)
        return false;
    switch (route->operation) {
    case CHROMA_OPERATION_DELETE:
        return true;
    case CHROMA_OPERATION_ADD:
    case CHROMA_OPERATION_UPSERT:
    case CHROMA_OPERATION_UPDATE:
        return records != NULL && collection->described != NULL &&
               collection_description_covers(collection->described, table->secret, records);
    default:
        return false;
    }
}

void collection_table_distrust(struct collection_table *table, const uint8_t uuid[16])
{
    struct collection *collection = collection_store_find(&table->store, uuid);

    if (collection == NULL)
        return; /* when it becomes known, its stamps are new */
    collection->records.stamp = collection_store_tick(&table->store);
    collection->description.stamp = collection_store_tick(&table->store);
}

void collection_table_note_read(struct collection_table *table, const uint8_t uuid[16])
{
    struct collection *collection = collection_store_find(&table->store, uuid);

    if (collection != NULL)
        collection->was_read = true;
}

uint64_t collection_table_tenants_stamp(const struct collection_table *table, uint64_t now_us)
{
    return now_us >= table->store.options.settled_us &&
                   collection_store_is_quiet(&table->tenants, now_us)
               ? table->tenants.stamp
               : 0;
}

uint64_t collection_table_names_stamp(struct collection_table *table, struct scope scope,
                                      uint64_t now_us)
{
    return collection_core_breaks_stamp(table, collection_store_get_scope(&table->store, scope),
                                        now_us);
}

bool collection_table_uuid(struct collection_table *table, struct scope scope, struct bytes name,
                           uint64_t now_us, uint8_t ret_uuid[16])
{
    return collection_core_uuid(table, scope, name, now_us, ret_uuid);
}

bool collection_table_standing_uuid(struct collection_table *table, struct scope scope,
                                    struct bytes name, uint64_t now_us, uint8_t ret_uuid[16])
{
    struct collection_scope *found = collection_store_find_scope(&table->store, scope);

    return collection_core_breaks_stamp(table, found, now_us) != 0 &&
           collection_core_find_uuid(table, found, name, ret_uuid);
}

bool collection_table_names(struct collection_table *table, const uint8_t uuid[16],
                            uint64_t oldest_us, uint64_t now_us, struct scope *ret_scope,
                            struct bytes *ret_name)
{
    struct collection *collection = collection_store_find(&table->store, uuid);

    return collection != NULL && collection->scope != NULL && collection->named_us >= oldest_us &&
           collection_core_breaks_stamp(table, collection->scope, now_us) != 0 &&
           existence_of(table, collection) == COLLECTION_EXISTS && /* seen, and named with it */
           collection_store_names(collection, ret_scope, ret_name);
}

bool collection_table_may_be_changing(struct collection_table *table, const uint8_t uuid[16],
                                      uint64_t now_us)
{
    struct collection *collection = collection_store_find(&table->store, uuid);

    return collection != NULL && collection->scope != NULL &&
           collection_core_breaks_stamp(table, collection->scope, now_us) == 0;
}

uint32_t collection_table_dimension(struct collection_table *table, const uint8_t uuid[16])
{
    struct collection *collection = collection_store_find(&table->store, uuid);

    return collection == NULL ? 0 : collection->dimension;
}

bool collection_table_facts(struct collection_table *table, const uint8_t uuid[16],
                            struct collection_facts *ret_facts)
{
    struct collection *collection = collection_store_find(&table->store, uuid);

    if (collection == NULL)
        return false;
    *ret_facts = (struct collection_facts){.existence = existence_of(table, collection),
                                           .space = collection->space,
                                           .dimension = collection->dimension,
                                           .writes_in_flight = collection->records.in_flight,
                                           .writes_unknown = collection->records.unknown};
    return true;
}

/* It was seen, and since then nothing was under way that may have been its deletion. */
static enum collection_existence existence_of(const struct collection_table *table,
                                              const struct collection       *collection)
{
    const struct collection_scope *scope = collection->scope;

    if (collection->existence != COLLECTION_EXISTS)
        return collection->existence;
    return scope != NULL &&
                   collection->seen_at > id_stamps_later(scope->names_void, table->names_void) &&
                   scope->breaks.in_flight + scope->breaks.unknown == 0 &&
                   table->breaks.in_flight + table->breaks.unknown == 0
               ? COLLECTION_EXISTS
               : COLLECTION_EXISTENCE_UNKNOWN;
}

struct collection_question collection_table_ask(struct collection_table   *table,
                                                const struct chroma_route *route, uint64_t now_us)
{
    struct collection_question  question = {.incarnation = table->incarnation};
    struct collection_core_text tenant, database;
    struct scope                scope;

    if (collection_core_read_scope(route, &tenant, &database, &scope))
        question.names_stamp = collection_table_names_stamp(table, scope, now_us);
    return question;
}

void collection_table_learn(struct collection_table *table, const struct chroma_route *route,
                            struct collection_question question, struct bytes body, uint64_t now_us)
{
    bool                        is_list = route->operation == CHROMA_OPERATION_COLLECTION_LIST;
    struct collection_core_text tenant, database;
    struct scope                scope;
    struct collection_scope    *asked = NULL;
    struct collection_answer    read;
    struct json_scan            scan;

    if (question.incarnation != table->incarnation ||
        (!is_list && route->operation != CHROMA_OPERATION_COLLECTION_GET &&
         route->operation != CHROMA_OPERATION_COLLECTION_GET_ID) ||
        !json_scan_is_valid(body))
        return;
    if (collection_core_read_scope(route, &tenant, &database, &scope))
        asked = collection_store_get_scope(&table->store, scope);
    if (asked != NULL)
        collection_store_pin_scope(asked);
    json_scan_init(&scan, body);
    if (!is_list) {
        if (collection_answer_take(&scan, &read))
            collection_core_learn(table, &read, asked, question.names_stamp, now_us);
    } else if (json_scan_array(&scan)) {
        for (size_t i = 0; i < table->store.options.collections_max && json_scan_element(&scan) &&
                           collection_answer_take(&scan, &read);
             i++)
            collection_core_learn(table, &read, asked, question.names_stamp, now_us);
    }
    if (asked != NULL)
        collection_store_unpin_scope(&table->store, asked);
}
