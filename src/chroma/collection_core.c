#include "chroma/collection_core.h"

#include <string.h>

static const struct change_mark *wide_mark(const struct collection_table *table,
                                           const struct collection       *collection)
{
    return collection->scope == NULL ? &table->any_records : &collection->scope->records;
}

struct id_stamps_moment collection_core_moment(const struct collection_table *table,
                                               const struct collection       *collection)
{
    if (collection == NULL)
        return (struct id_stamps_moment){0};
    return (struct id_stamps_moment){
        .records = collection->records.stamp,
        .around = id_stamps_later(wide_mark(table, collection)->stamp, table->records.stamp)};
}

uint64_t collection_core_stamp(const struct collection_table *table,
                               const struct collection *collection, const struct change_mark *mark,
                               uint64_t now_us)
{
    const struct change_mark *wide = wide_mark(table, collection);

    if (now_us < table->store.options.settled_us || !collection_store_is_quiet(mark, now_us) ||
        !collection_store_is_quiet(wide, now_us) ||
        !collection_store_is_quiet(&table->records, now_us))
        return 0;
    return id_stamps_later(mark->stamp, id_stamps_later(wide->stamp, table->records.stamp));
}

uint64_t collection_core_breaks_stamp(const struct collection_table *table,
                                      const struct collection_scope *scope, uint64_t now_us)
{
    if (scope == NULL || !collection_store_is_quiet(&scope->breaks, now_us) ||
        !collection_store_is_quiet(&table->breaks, now_us))
        return 0;
    return id_stamps_later(scope->breaks.stamp, table->breaks.stamp);
}

bool collection_core_read_scope(const struct chroma_route   *route,
                                struct collection_core_text *tenant,
                                struct collection_core_text *database, struct scope *ret_scope)
{
    if (route->tenant.size == 0 || route->database.size == 0 ||
        !chroma_route_decode(route->tenant, tenant->data, sizeof tenant->data, &tenant->size) ||
        !chroma_route_decode(route->database, database->data, sizeof database->data,
                             &database->size))
        return false;
    ret_scope->tenant = (struct bytes){.data = tenant->data, .size = tenant->size};
    ret_scope->database = (struct bytes){.data = database->data, .size = database->size};
    return true;
}

void collection_core_learn(struct collection_table *table, const struct collection_answer *answer,
                           const struct collection_scope *asked, uint64_t names_stamp,
                           uint64_t now_us)
{
    struct collection       *collection = collection_store_get(&table->store, answer->uuid);
    struct collection_scope *scope;

    if (collection == NULL)
        return;
    if (answer->dimension != 0)
        collection->dimension = answer->dimension;
    if (answer->space != COLLECTION_SPACE_UNKNOWN)
        collection->space = answer->space;
    collection_store_pin(collection);
    scope = collection_store_get_scope(
        &table->store, (struct scope){.tenant = {answer->tenant.data, answer->tenant.size},
                                      .database = {answer->database.data, answer->database.size}});
    if (scope != NULL)
        collection_store_settle_in(&table->store, collection, scope);
    if (scope != NULL && scope == asked && names_stamp != 0 &&
        names_stamp == collection_core_breaks_stamp(table, scope, now_us)) {
        collection->existence = COLLECTION_EXISTS;
        collection->seen_at = collection_store_tick(&table->store);
        collection_store_name(&table->store, collection,
                              (struct bytes){answer->name.data, answer->name.size});
        collection->named_us = now_us;
    }
    collection_store_unpin(&table->store, collection);
}

bool collection_core_uuid(struct collection_table *table, struct scope scope, struct bytes name,
                          uint64_t now_us, uint8_t ret_uuid[16])
{
    struct collection_scope *found = collection_store_find_scope(&table->store, scope);

    return found != NULL && collection_store_is_quiet(&found->names, now_us) &&
           collection_store_is_quiet(&table->names, now_us) &&
           collection_core_find_uuid(table, found, name, ret_uuid);
}

bool collection_core_find_uuid(struct collection_table *table, const struct collection_scope *scope,
                               struct bytes name, uint8_t ret_uuid[16])
{
    const struct collection *collection = collection_store_named(&table->store, scope, name);

    if (collection == NULL || collection->named_at <= table->names_void)
        return false;
    memcpy(ret_uuid, collection->uuid, sizeof collection->uuid);
    return true;
}
