#include "chroma/collection_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "chroma/collection_store.h"

struct collection_table {
    struct collection_store store;
    struct write_observer   observer;
    uint64_t                incarnation;
    struct change_mark      records, names, breaks; /* of everything */
    struct change_mark      tenants;                /* and databases, but not what is in them */
    struct change_mark      any_records; /* of a whole database, for collections of which it is not
                                            known where they are */
    struct collection_former former;     /* of everything; the stamp is that of `any_records` */
    uint64_t                 names_void; /* as in struct collection_scope, for all */
    unsigned char            secret[SIPHASH_KEY_SIZE];
};

/* Text of a path segment as it stands for a name. */
struct decoded {
    size_t size;
    char   data[COLLECTION_ANSWER_TEXT_MAX];
};

static bool read_route_scope(const struct chroma_route *route, struct decoded *tenant,
                             struct decoded *database, struct scope *ret_scope);
static bool find_uuid(struct collection_table *table, const struct collection_scope *scope,
                      struct bytes name, uint8_t ret_uuid[16]);
static enum collection_existence existence_of(const struct collection_table *table,
                                              const struct collection       *collection);
static void note_sent(struct write_observer *observer, struct write_notice *notice,
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
static bool is_crossed(const struct collection_table *table, const struct write_notice *notice);
static void widen(struct collection_table *table, struct write_notice *notice);
static void learn_outcome(struct collection_table *table, struct write_notice *notice,
                          struct bytes answer, uint64_t now_us);
static void void_names(struct collection_table *table, const struct write_notice *notice);
static void note_settled(struct write_observer *observer, struct write_notice *notice, bool is_lost,
                         uint64_t now_us);
static void let_go(struct collection_table *table, struct write_notice *notice);
static bool is_lasting(enum chroma_operation operation);
static bool is_of_records(const struct collection_table *table, const struct write_notice *notice,
                          const struct change_mark *mark);
static uint64_t stamp_with(const struct collection_table *table,
                           const struct collection *collection, const struct change_mark *mark,
                           uint64_t now_us);
static bool     may_follow(const struct collection_table *table, const struct write_notice *notice,
                           uint64_t now_us);
static void     note_lag(struct collection_table *table, const struct write_notice *notice);
static void     note_catch_up(const struct write_notice *notice);
static uint64_t breaks_stamp(const struct collection_table *table,
                             const struct collection_scope *scope, uint64_t now_us);
static void     learn_one(struct collection_table *table, const struct collection_answer *answer,
                          const struct collection_scope *asked, uint64_t names_stamp, uint64_t now_us);
static uint64_t larger(uint64_t left, uint64_t right);

static struct collection_table *table_of(struct write_observer *observer)
{
    return CONTAINER_OF(observer, struct collection_table, observer);
}

static const struct change_mark *wide_mark(const struct collection_table *table,
                                           const struct collection       *collection)
{
    return collection->scope == NULL ? &table->any_records : &collection->scope->records;
}

/* Of nothing: zeroes. */
static struct id_stamps_moment moment_of(const struct collection_table *table,
                                         const struct collection       *collection)
{
    if (collection == NULL)
        return (struct id_stamps_moment){0};
    return (struct id_stamps_moment){
        .records = collection->records.stamp,
        .around = larger(wide_mark(table, collection)->stamp, table->records.stamp)};
}

struct collection_table *collection_table_new(const struct collection_table_options *options,
                                              const unsigned char secret[SIPHASH_KEY_SIZE])
{
    struct collection_table *table = calloc(1, sizeof *table);

    assert(options->collections_max > 0);
    if (table == NULL || !collection_store_init(&table->store, options, secret)) {
        free(table);
        return NULL;
    }
    table->observer = (struct write_observer){
        .on_sent = note_sent, .on_known = note_known, .on_settled = note_settled};
    list_node_init(&table->observer.node);
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
    moment = moment_of(table, collection);
    others = collection->records;
    if (ids != NULL)
        collection_store_follow(&table->store, collection);
    if (ids != NULL && id_stamps_hold(collection->by_id, moment))
        others.in_flight -= collection->by_id->under_way != NULL;
    return stamp_with(table, collection, &others, now_us) == 0
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

    if (collection == NULL || stamp_with(table, collection, &collection->records, now_us) == 0)
        return (struct collection_former){0};
    if (table->records.stamp != table->incarnation)
        former.epoch = table->records.stamp;
    if (collection->scope != NULL)
        former.stamp = collection->scope->records.stamp;
    else if (table->any_records.stamp != table->incarnation)
        former.stamp = table->any_records.stamp;
    former.stamp = id_stamps_get(
        collection->by_id, ids,
        (struct id_stamps_moment){collection->records.stamp, larger(former.stamp, former.epoch)});
    return former;
}

uint64_t collection_table_description_stamp(struct collection_table *table, const uint8_t uuid[16],
                                            uint64_t now_us)
{
    struct collection *collection = collection_store_get(&table->store, uuid);

    if (collection == NULL || collection->catch_up == COLLECTION_LAGS ||
        (collection->catch_up == COLLECTION_MAY_LAG && !collection->was_read))
        return 0;
    return stamp_with(table, collection, &collection->description, now_us);
}

/* Of a mark of the collection and of all that is wider. */
static uint64_t stamp_with(const struct collection_table *table,
                           const struct collection *collection, const struct change_mark *mark,
                           uint64_t now_us)
{
    const struct change_mark *wide = wide_mark(table, collection);

    if (!collection_store_is_quiet(mark, now_us) || !collection_store_is_quiet(wide, now_us) ||
        !collection_store_is_quiet(&table->records, now_us))
        return 0;
    return larger(mark->stamp, larger(wide->stamp, table->records.stamp));
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
    return collection_store_is_quiet(&table->tenants, now_us) ? table->tenants.stamp : 0;
}

uint64_t collection_table_names_stamp(struct collection_table *table, struct scope scope,
                                      uint64_t now_us)
{
    return breaks_stamp(table, collection_store_get_scope(&table->store, scope), now_us);
}

static uint64_t breaks_stamp(const struct collection_table *table,
                             const struct collection_scope *scope, uint64_t now_us)
{
    if (scope == NULL || !collection_store_is_quiet(&scope->breaks, now_us) ||
        !collection_store_is_quiet(&table->breaks, now_us))
        return 0;
    return larger(scope->breaks.stamp, table->breaks.stamp);
}

bool collection_table_uuid(struct collection_table *table, struct scope scope, struct bytes name,
                           uint64_t now_us, uint8_t ret_uuid[16])
{
    struct collection_scope *found = collection_store_find_scope(&table->store, scope);

    return found != NULL && collection_store_is_quiet(&found->names, now_us) &&
           collection_store_is_quiet(&table->names, now_us) &&
           find_uuid(table, found, name, ret_uuid);
}

bool collection_table_standing_uuid(struct collection_table *table, struct scope scope,
                                    struct bytes name, uint64_t now_us, uint8_t ret_uuid[16])
{
    struct collection_scope *found = collection_store_find_scope(&table->store, scope);

    return breaks_stamp(table, found, now_us) != 0 && find_uuid(table, found, name, ret_uuid);
}

static bool find_uuid(struct collection_table *table, const struct collection_scope *scope,
                      struct bytes name, uint8_t ret_uuid[16])
{
    const struct collection *collection = collection_store_named(&table->store, scope, name);

    if (collection == NULL || collection->named_at <= table->names_void)
        return false;
    memcpy(ret_uuid, collection->uuid, sizeof collection->uuid);
    return true;
}

bool collection_table_names(struct collection_table *table, const uint8_t uuid[16],
                            uint64_t oldest_us, uint64_t now_us, struct scope *ret_scope,
                            struct bytes *ret_name)
{
    struct collection *collection = collection_store_find(&table->store, uuid);

    return collection != NULL && collection->scope != NULL && collection->named_us >= oldest_us &&
           breaks_stamp(table, collection->scope, now_us) != 0 &&
           existence_of(table, collection) == COLLECTION_EXISTS && /* seen, and named with it */
           collection_store_names(collection, ret_scope, ret_name);
}

bool collection_table_may_be_changing(struct collection_table *table, const uint8_t uuid[16],
                                      uint64_t now_us)
{
    struct collection *collection = collection_store_find(&table->store, uuid);

    return collection != NULL && collection->scope != NULL &&
           breaks_stamp(table, collection->scope, now_us) == 0;
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
    return scope != NULL && collection->seen_at > larger(scope->names_void, table->names_void) &&
                   scope->breaks.in_flight + scope->breaks.unknown == 0 &&
                   table->breaks.in_flight + table->breaks.unknown == 0
               ? COLLECTION_EXISTS
               : COLLECTION_EXISTENCE_UNKNOWN;
}

static void note_sent(struct write_observer *observer, struct write_notice *notice, uint64_t now_us)
{
    struct collection_table *table = table_of(observer);
    const struct collection *collection;
    struct id_stamps_moment  before;

    find_change(table, notice, now_us);
    collection = notice->collection;
    notice->may_catch_up = collection != NULL && collection->description.unknown == 0 &&
                           now_us >= collection->description.lost_until_us;
    notice->is_followed = may_follow(table, notice, now_us);
    before = moment_of(table, notice->is_followed ? collection : NULL);
    begin_marks(table, notice);
    if (notice->is_followed)
        id_stamps_sent(collection->by_id, &notice->ids, before, moment_of(table, collection),
                       &notice->followed);
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
           collection->by_id != NULL && now_us >= table->store.options.settled_us &&
           stamp_with(table, collection, &collection->records, now_us) != 0;
}

/* What may this write change? Pins what it is about. */
static void find_change(struct collection_table *table, struct write_notice *notice,
                        uint64_t now_us)
{
    const struct chroma_route *route = notice->route;
    struct decoded             tenant, database;
    struct scope               scope;

    notice->change = (struct write_change){.reach = route->info->reach};
    if (notice->change.reach == CHROMA_REACH_NOTHING ||
        notice->change.reach == CHROMA_REACH_TENANTS ||
        notice->change.reach == CHROMA_REACH_EVERYTHING)
        return;
    if (notice->change.reach != CHROMA_REACH_RECORDS) {
        if (read_route_scope(route, &tenant, &database, &scope))
            notice->scope = collection_store_get_scope(&table->store, scope);
        if (notice->scope == NULL) {
            reach_everything(table, notice);
            return;
        }
        collection_store_pin_scope(notice->scope);
        notice->names_stamp = breaks_stamp(table, notice->scope, now_us);
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
    struct decoded     tenant, database, name;
    struct scope       scope;
    struct collection *collection;
    uint8_t            uuid[16];

    if (!read_route_scope(notice->route, &tenant, &database, &scope) ||
        !chroma_route_decode(notice->route->collection, name.data, sizeof name.data, &name.size) ||
        !collection_table_uuid(table, scope, (struct bytes){.data = name.data, .size = name.size},
                               now_us, uuid))
        return false;
    collection = collection_store_find(&table->store, uuid);
    collection_store_pin(collection);
    notice->collection = collection;
    notice->change.has_uuid = true;
    memcpy(notice->change.uuid, uuid, sizeof uuid);
    return true;
}

/* False: the route names no database, or one that Chroma cannot have. */
static bool read_route_scope(const struct chroma_route *route, struct decoded *tenant,
                             struct decoded *database, struct scope *ret_scope)
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
    struct id_stamps_moment  before = moment_of(table, followed);

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
                        before, moment_of(table, followed));
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
    if (operation == CHROMA_OPERATION_ADD || operation == CHROMA_OPERATION_UPSERT) {
        if (collection != NULL && notice->dimension != 0) {
            collection->dimension = notice->dimension;
            note_catch_up(notice);
        }
    } else if (notice->change.reach == CHROMA_REACH_COLLECTION) {
        collection_store_unname(&table->store, collection);
        if (operation == CHROMA_OPERATION_COLLECTION_DELETE)
            collection->existence = COLLECTION_GONE;
    } else if (operation == CHROMA_OPERATION_COLLECTION_CREATE ||
               operation == CHROMA_OPERATION_COLLECTION_FORK) {
        json_scan_init(&scan, answer);
        if (collection_answer_take(&scan, &read) && json_scan_end(&scan))
            learn_one(table, &read, notice->scope, notice->names_stamp, now_us);
    }
}

/* Vectors are answered after all that came before them was applied. */
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
            mark->lost_until_us = larger(mark->lost_until_us, until_us);
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

struct collection_question collection_table_ask(struct collection_table   *table,
                                                const struct chroma_route *route, uint64_t now_us)
{
    struct collection_question question = {.incarnation = table->incarnation};
    struct decoded             tenant, database;
    struct scope               scope;

    if (read_route_scope(route, &tenant, &database, &scope))
        question.names_stamp = collection_table_names_stamp(table, scope, now_us);
    return question;
}

void collection_table_learn(struct collection_table *table, const struct chroma_route *route,
                            struct collection_question question, struct bytes body, uint64_t now_us)
{
    bool                     is_list = route->operation == CHROMA_OPERATION_COLLECTION_LIST;
    struct decoded           tenant, database;
    struct scope             scope;
    struct collection_scope *asked = NULL;
    struct collection_answer read;
    struct json_scan         scan;

    if (question.incarnation != table->incarnation ||
        (!is_list && route->operation != CHROMA_OPERATION_COLLECTION_GET &&
         route->operation != CHROMA_OPERATION_COLLECTION_GET_ID) ||
        !json_scan_is_valid(body))
        return;
    if (read_route_scope(route, &tenant, &database, &scope))
        asked = collection_store_get_scope(&table->store, scope);
    if (asked != NULL)
        collection_store_pin_scope(asked);
    json_scan_init(&scan, body);
    if (!is_list) {
        if (collection_answer_take(&scan, &read))
            learn_one(table, &read, asked, question.names_stamp, now_us);
    } else if (json_scan_array(&scan)) {
        for (size_t i = 0; i < table->store.options.collections_max && json_scan_element(&scan) &&
                           collection_answer_take(&scan, &read);
             i++)
            learn_one(table, &read, asked, question.names_stamp, now_us);
    }
    if (asked != NULL)
        collection_store_unpin_scope(&table->store, asked);
}

/* What never changes is learned always; its name and that it is there only if nothing that might
 * have changed that was under way since `names_stamp`. */
static void learn_one(struct collection_table *table, const struct collection_answer *answer,
                      const struct collection_scope *asked, uint64_t names_stamp, uint64_t now_us)
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
        names_stamp == breaks_stamp(table, scope, now_us)) {
        collection->existence = COLLECTION_EXISTS;
        collection->seen_at = collection_store_tick(&table->store);
        collection_store_name(&table->store, collection,
                              (struct bytes){answer->name.data, answer->name.size});
        collection->named_us = now_us;
    }
    collection_store_unpin(&table->store, collection);
}

static uint64_t larger(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}
