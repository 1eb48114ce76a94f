#include "chroma/collection_change.h"

#include <assert.h>
#include <string.h>

#include "chroma/collection_core.h"

static void note_sent(struct write_observer *observer, struct write_notice *notice,
                      uint64_t now_us);
static bool may_follow(const struct collection_table *table, const struct write_notice *notice,
                       uint64_t now_us);
static void find_change(struct collection_table *table, struct write_notice *notice,
                        uint64_t now_us);
static bool has_own_scope(const struct write_notice *notice);
static bool find_named(struct collection_table *table, struct write_notice *notice,
                       uint64_t now_us);
static void reach_everything(struct collection_table *table, struct write_notice *notice);
static void begin_marks(struct collection_table *table, struct write_notice *notice);
static void begin_mark(struct collection_table *table, struct write_notice *notice,
                       struct change_mark *mark);
static void note_known(struct write_observer *observer, struct write_notice *notice,
                       enum write_outcome outcome, struct bytes answer, uint64_t now_us);
static void note_lag(struct collection_table *table, const struct write_notice *notice);
static bool is_crossed(const struct collection_table *table, const struct write_notice *notice);
static void widen(struct collection_table *table, struct write_notice *notice);
static void learn_outcome(struct collection_table *table, struct write_notice *notice,
                          struct bytes answer, uint64_t now_us);
static void note_catch_up(const struct write_notice *notice);
static void void_names(struct collection_table *table, const struct write_notice *notice);
static void note_settled(struct write_observer *observer, struct write_notice *notice, bool is_lost,
                         uint64_t now_us);
static void let_go(struct collection_table *table, struct write_notice *notice);
static bool is_lasting(enum chroma_operation operation);
static bool is_of_records(const struct collection_table *table, const struct write_notice *notice,
                          const struct change_mark *mark);

static struct collection_table *table_of(struct write_observer *observer)
{
    return CONTAINER_OF(observer, struct collection_table, observer);
}

void collection_change_observe(struct collection_table *table)
{
    table->observer = (struct write_observer){
        .on_sent = note_sent, .on_known = note_known, .on_settled = note_settled};
    list_node_init(&table->observer.node);
}

static void note_sent(struct write_observer *observer, struct write_notice *notice, uint64_t now_us)
{
    struct collection_table *table = table_of(observer);
    const struct collection *collection;
    struct id_stamps_moment  before;

    find_change(table, notice, now_us);
    collection = notice->collection;
    notice->may_catch_up = collection != NULL && now_us >= table->store.options.settled_us &&
                           collection->description.unknown == 0 &&
                           now_us >= collection->description.lost_until_us &&
                           (notice->dimension != 0 || collection->dimension != 0);
    notice->is_followed = may_follow(table, notice, now_us);
    before = collection_core_moment(table, notice->is_followed ? collection : NULL);
    begin_marks(table, notice);
    if (notice->is_followed)
        id_stamps_sent(collection->by_id, &notice->ids, before,
                       collection_core_moment(table, collection), &notice->followed);
    notice->sent_at = collection_store_tick(&table->store);
    notice->incarnation = table->incarnation;
    notice->names_seen = notice->scope == NULL ? 0 : notice->scope->names.stamp;
}

/* It must show all that Chroma had taken before, so nothing of that may be under way. */
static bool may_follow(const struct collection_table *table, const struct write_notice *notice,
                       uint64_t now_us)
{
    const struct collection *collection = notice->collection;

    return notice->names_ids && notice->change.reach == CHROMA_REACH_RECORDS &&
           collection->by_id != NULL &&
           collection_core_stamp(table, collection, &collection->records, now_us) != 0;
}

/* What may this write change? Pins what it is about. */
static void find_change(struct collection_table *table, struct write_notice *notice,
                        uint64_t now_us)
{
    const struct chroma_route  *route = notice->route;
    struct collection_core_text tenant, database;
    struct scope                scope;

    notice->change = (struct write_change){.reach = route->info->reach};
    if (notice->change.reach == CHROMA_REACH_NOTHING ||
        notice->change.reach == CHROMA_REACH_TENANTS ||
        notice->change.reach == CHROMA_REACH_EVERYTHING)
        return;
    if (notice->change.reach != CHROMA_REACH_RECORDS) {
        if (collection_core_read_scope(route, &tenant, &database, &scope))
            notice->scope = collection_store_get_scope(&table->store, scope);
        if (notice->scope == NULL) {
            reach_everything(table, notice);
            return;
        }
        collection_store_pin_scope(notice->scope);
        notice->names_stamp = collection_core_breaks_stamp(table, notice->scope, now_us);
    }
    if (route->operation == CHROMA_OPERATION_COLLECTION_DELETE) {
        if (!find_named(table, notice, now_us))
            notice->change.reach = CHROMA_REACH_SCOPE;
    } else if (route->has_uuid) {
        notice->collection = collection_store_get(&table->store, route->uuid);
        if (notice->collection != NULL)
            collection_store_pin(notice->collection);
        notice->change.has_uuid = true;
        memcpy(notice->change.uuid, route->uuid, sizeof route->uuid);
        if (notice->collection == NULL || !has_own_scope(notice))
            reach_everything(table, notice);
    } else if (route->collection.size > 0) {
        reach_everything(table, notice); /* a spelling that the server may yet take */
    }
}

/* Released servers ignore the database in a path with a UUID: what changes names must be known to
 * change them there. */
static bool has_own_scope(const struct write_notice *notice)
{
    return notice->scope == NULL || notice->collection->scope == notice->scope;
}

/* The collection that the name in the path stands for. */
static bool find_named(struct collection_table *table, struct write_notice *notice, uint64_t now_us)
{
    struct collection_core_text tenant, database, name;
    struct scope                scope;
    struct collection          *collection;
    uint8_t                     uuid[16];

    if (!collection_core_read_scope(notice->route, &tenant, &database, &scope) ||
        !chroma_route_decode(notice->route->collection, name.data, sizeof name.data, &name.size) ||
        !collection_core_uuid(table, scope, (struct bytes){.data = name.data, .size = name.size},
                              now_us, uuid))
        return false;
    collection = collection_store_find(&table->store, uuid);
    collection_store_pin(collection);
    notice->collection = collection;
    notice->change.has_uuid = true;
    memcpy(notice->change.uuid, uuid, sizeof uuid);
    return true;
}

static void reach_everything(struct collection_table *table, struct write_notice *notice)
{
    let_go(table, notice);
    notice->change.reach = CHROMA_REACH_EVERYTHING;
}

static void begin_marks(struct collection_table *table, struct write_notice *notice)
{
    struct collection_scope *scope = notice->scope;

    switch (notice->change.reach) {
    case CHROMA_REACH_EVERYTHING:
        begin_mark(table, notice, &table->records);
        begin_mark(table, notice, &table->names);
        begin_mark(table, notice, &table->breaks);
        begin_mark(table, notice, &table->tenants);
        break;
    case CHROMA_REACH_SCOPE:
        begin_mark(table, notice, &table->tenants);
        begin_mark(table, notice, &scope->records);
        begin_mark(table, notice, &table->any_records);
        begin_mark(table, notice, &scope->names);
        begin_mark(table, notice, &scope->breaks);
        break;
    case CHROMA_REACH_NAMES:
        begin_mark(table, notice, &scope->names);
        break;
    case CHROMA_REACH_COLLECTION:
        begin_mark(table, notice, &notice->collection->records);
        begin_mark(table, notice, &notice->collection->description);
        begin_mark(table, notice, &scope->names);
        begin_mark(table, notice, &scope->breaks);
        break;
    case CHROMA_REACH_RECORDS:
        begin_mark(table, notice, &notice->collection->records);
        if (!notice->leaves_description)
            begin_mark(table, notice, &notice->collection->description);
        break;
    case CHROMA_REACH_TENANTS:
        begin_mark(table, notice, &table->tenants);
        break;
    case CHROMA_REACH_NOTHING:
        break;
    }
}

static void begin_mark(struct collection_table *table, struct write_notice *notice,
                       struct change_mark *mark)
{
    for (unsigned i = 0; i < notice->mark_count; i++)
        if (notice->marks[i] == mark)
            return;
    assert(notice->mark_count < WRITE_NOTICE_MARKS_MAX);
    notice->marks[notice->mark_count++] = mark;
    mark->in_flight++;
    mark->stamp = collection_store_tick(&table->store);
}

static void note_known(struct write_observer *observer, struct write_notice *notice,
                       enum write_outcome outcome, struct bytes answer, uint64_t now_us)
{
    struct collection_table *table = table_of(observer);
    bool                     is_unknown = outcome == WRITE_OUTCOME_UNKNOWN;
    const struct collection *followed = notice->is_followed ? notice->collection : NULL;
    struct id_stamps_moment  before = collection_core_moment(table, followed);

    if (outcome != WRITE_OUTCOME_REFUSED && notice->scope != NULL &&
        (is_unknown || is_crossed(table, notice)))
        widen(table, notice);
    for (unsigned i = 0; i < notice->mark_count; i++) {
        struct change_mark *mark = notice->marks[i];

        mark->in_flight--;
        mark->unknown += is_unknown;
        mark->stamp = collection_store_tick(&table->store);
        if (outcome != WRITE_OUTCOME_REFUSED && is_lasting(notice->route->operation) &&
            is_of_records(table, notice, mark))
            mark->lost_until_us = UINT64_MAX;
    }
    if (followed != NULL)
        id_stamps_known(followed->by_id, &notice->followed, outcome == WRITE_OUTCOME_APPLIED,
                        before, collection_core_moment(table, followed));
    if (is_unknown)
        note_lag(table, notice);
    if (outcome == WRITE_OUTCOME_APPLIED)
        learn_outcome(table, notice, answer, now_us);
    if (!is_unknown)
        let_go(table, notice);
}

/* Whatever it was about to put into the description may come with any later write. */
static void note_lag(struct collection_table *table, const struct write_notice *notice)
{
    struct collection *collection = notice->collection;

    if (collection == NULL || notice->leaves_description)
        return;
    collection->catch_up = COLLECTION_LAGS;
    collection->lags_since = collection_store_tick(&table->store);
}

/* A deletion or renaming that was under way together with another change of names may have met
 * another collection than the one that bore the name when it was sent. */
static bool is_crossed(const struct collection_table *table, const struct write_notice *notice)
{
    return notice->change.reach == CHROMA_REACH_COLLECTION &&
           (notice->scope->names.stamp != notice->names_seen ||
            table->names.stamp > notice->names_seen);
}

/* From a collection or from names to all in the database. */
static void widen(struct collection_table *table, struct write_notice *notice)
{
    if (notice->change.reach != CHROMA_REACH_NAMES &&
        notice->change.reach != CHROMA_REACH_COLLECTION)
        return;
    notice->change.reach = CHROMA_REACH_SCOPE;
    begin_marks(table, notice);
}

static void learn_outcome(struct collection_table *table, struct write_notice *notice,
                          struct bytes answer, uint64_t now_us)
{
    enum chroma_operation    operation = notice->route->operation;
    struct collection       *collection = notice->collection;
    struct collection_answer read;
    struct json_scan         scan;

    if (notice->change.reach == CHROMA_REACH_SCOPE ||
        notice->change.reach == CHROMA_REACH_EVERYTHING)
        void_names(table, notice);
    if (notice->incarnation != table->incarnation)
        return;
    if (operation == CHROMA_OPERATION_ADD || operation == CHROMA_OPERATION_UPSERT ||
        operation == CHROMA_OPERATION_UPDATE) {
        note_catch_up(notice);
        if (collection != NULL && notice->dimension != 0 && operation != CHROMA_OPERATION_UPDATE)
            collection->dimension = notice->dimension;
    } else if (notice->change.reach == CHROMA_REACH_COLLECTION) {
        collection_store_unname(&table->store, collection);
        if (operation == CHROMA_OPERATION_COLLECTION_DELETE)
            collection->existence = COLLECTION_GONE;
    } else if (operation == CHROMA_OPERATION_COLLECTION_CREATE ||
               operation == CHROMA_OPERATION_COLLECTION_FORK) {
        json_scan_init(&scan, answer);
        if (collection_answer_take(&scan, &read) && json_scan_end(&scan))
            collection_core_learn(table, &read, notice->scope, notice->names_stamp, now_us);
    }
}

/* It is answered after all before it was applied; without a dimension Chroma applies nothing. */
static void note_catch_up(const struct write_notice *notice)
{
    struct collection *collection = notice->collection;

    if (notice->may_catch_up && collection->description.unknown == 0 &&
        notice->sent_at > collection->lags_since)
        collection->catch_up = COLLECTION_CAUGHT_UP;
}

static void void_names(struct collection_table *table, const struct write_notice *notice)
{
    if (notice->change.reach == CHROMA_REACH_EVERYTHING)
        table->names_void = collection_store_tick(&table->store);
    else if (notice->scope != NULL)
        notice->scope->names_void = collection_store_tick(&table->store);
}

static void note_settled(struct write_observer *observer, struct write_notice *notice, bool is_lost,
                         uint64_t now_us)
{
    struct collection_table *table = table_of(observer);
    uint64_t                 until_us = now_us + table->store.options.lost_us;

    for (unsigned i = 0; i < notice->mark_count; i++) {
        struct change_mark *mark = notice->marks[i];

        mark->unknown--;
        mark->stamp = collection_store_tick(&table->store);
        if (is_lost)
            mark->lost_until_us = id_stamps_later(mark->lost_until_us, until_us);
    }
    void_names(table, notice);
    let_go(table, notice);
}

/* The notice is done with what it pinned, and with its marks. */
static void let_go(struct collection_table *table, struct write_notice *notice)
{
    notice->mark_count = 0;
    if (notice->collection != NULL)
        collection_store_unpin(&table->store, notice->collection);
    if (notice->scope != NULL)
        collection_store_unpin_scope(&table->store, notice->scope);
    notice->collection = NULL;
    notice->scope = NULL;
}

/* An attached function writes to a collection of its own whenever it likes. */
static bool is_lasting(enum chroma_operation operation)
{
    return operation == CHROMA_OPERATION_FUNCTION_ATTACH ||
           operation == CHROMA_OPERATION_FUNCTION_ADD_INPUT;
}

static bool is_of_records(const struct collection_table *table, const struct write_notice *notice,
                          const struct change_mark *mark)
{
    return mark == &table->records || mark == &table->any_records ||
           (notice->scope != NULL && mark == &notice->scope->records);
}
