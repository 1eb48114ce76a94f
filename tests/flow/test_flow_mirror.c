/* Copies of collections are filled, kept and given up as they must be, over a fake copy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "calls/backend_breaker.h"
#include "calls/proxy_state.h"
#include "copies/mirror_keeper.h"
#include "copies/mirror_names.h"
#include "flow/fake_mirror_copy.h"
#include "flow/flow_world.h"
#include "io/clock.h"
#include "mirror/mirror_estimate.h"
#include "proxy/mirror_report.h"
#include "support/check_main.h"

#define PATH "/api/v2/tenants/t/databases/d/collections/"

enum { COLLECTIONS = 3, SETTLE_MS = 10001 };

/* The Chroma of these tests. */
static struct chroma_collection {
    char                uuid[CHROMA_ROUTE_UUID_SIZE];
    struct fake_records records;
    bool                exists;
    const char         *unseen; /* the id of a record that the next write makes visible; NULL */
    const char         *name;   /* that it was given by a change; NULL: docs-N */
} chroma[COLLECTIONS];
static bool            chroma_wants_credentials, chroma_is_old, reads_at_arrival;
static bool            names_are_read; /* what is asked for by its name is, else deleted */
static uint64_t        read_delay_us, write_delay_us;
static unsigned        delay_random_us; /* more, at random */
static enum flow_fault write_fault, read_fault;
static size_t          padding; /* spaces behind the answers to gets */
static unsigned        write_status;
static unsigned        lists, pages, descriptions, settles, asks, counts;
static const char     *between; /* the id of a record of others' that a delete meets; NULL */
static const char     *schema, *place, *space; /* of all collections; their tenant */
static const char     *distance;               /* of the record that any query finds */

static struct flow_world           world;
static size_t                      world_connections; /* of the next one; 0: as ever */
static struct flow_client         *writer;
static struct proxy_mirror_options options;

static struct chroma_collection *find_collection(const char *target)
{
    for (size_t i = 0; i < COLLECTIONS; i++) {
        char name[20];

        snprintf(name, sizeof name, "/docs-%zu", i);
        if (chroma[i].exists &&
            (strstr(target, chroma[i].uuid) != NULL || strstr(target, name) != NULL))
            return &chroma[i];
    }
    return NULL;
}

static void append(struct byte_buffer *out, const char *text)
{
    ck_assert_int_eq(byte_buffer_append(out, bytes_of(text), SIZE_MAX), STATUS_OK);
}

static void describe(const struct chroma_collection *collection, struct byte_buffer *out)
{
    char name[20], text[400];

    snprintf(name, sizeof name, "docs-%d", (int)(collection - chroma));
    snprintf(text, sizeof text,
             "{\"id\":\"%s\",\"name\":\"%s\",\"configuration_json\":{\"hnsw\":{\"space\":"
             "\"%s\"}},\"schema\":%s,\"metadata\":null,\"dimension\":2,\"tenant\":\"%s\","
             "\"database\":\"d\",\"log_position\":0,\"version\":0}",
             collection->uuid, collection->name == NULL ? name : collection->name, space, schema,
             place);
    append(out, text);
}

static void answer_read(struct chroma_collection *collection, const char *target, struct bytes body,
                        struct byte_buffer *out)
{
    bool is_list = body.size > 0 && memmem(body.data, body.size, "\"ids\"", 5) == NULL;

    if (strstr(target, "/by-id/") != NULL || strstr(target, "/docs-") != NULL) {
        descriptions++;
        describe(collection, out);
        return;
    }
    if (strcmp(strrchr(target, '/'), "/query") == 0) {
        if (distance == NULL) {
            append(out, "{\"ids\":[[]],\"embeddings\":[[]],\"distances\":[[]]}");
            return;
        }
        append(out, "{\"ids\":[[\"k1\"]],\"embeddings\":[[[1,0]]],\"distances\":[[");
        append(out, distance);
        append(out, "]]}");
        return;
    }
    if (body.size > 0 && memmem(body.data, body.size, "\"where", 6) != NULL)
        asks++;
    else if (is_list)
        lists++;
    else
        pages++;
    fake_records_get(&collection->records, body, out);
    for (size_t i = 0; i < padding; i++)
        append(out, " ");
}

static void on_request(struct flow_backend *backend, const char *target, struct bytes body,
                       bool is_due, struct flow_plan *plan, struct byte_buffer *answer, void *ctx)
{
    struct chroma_collection *collection = find_collection(target);
    const char               *operation = strrchr(target, '/') + 1;
    bool is_read = strcmp(operation, "get") == 0 || strcmp(operation, "query") == 0 ||
                   strstr(target, "/by-id/") != NULL || names_are_read;
    bool is_count = strcmp(operation, "count") == 0;
    char text[80];

    (void)backend;
    (void)ctx;
    plan->is_bare = true;
    plan->fields = "Content-Type: application/json\r\n";
    if (!is_due) {
        plan->delay_us = is_read ? read_delay_us : write_delay_us;
        if (delay_random_us > 0)
            plan->delay_us += fake_loop_random(delay_random_us);
        plan->fault = is_read ? read_fault : write_fault;
    }
    if (strcmp(operation, "collections") == 0) {
        if (is_due)
            describe(&chroma[0], answer);
    } else if ((is_read || is_count) && chroma_wants_credentials) {
        plan->status = 401;
    } else if (is_read && chroma_is_old) {
        plan->status = 404;
    } else if (strcmp(operation, "reset") == 0) {
        plan->body = "true";
    } else if (strcmp(operation, "attach") == 0) {
        plan->body = "{}";
    } else if (collection == NULL) {
        plan->status = 404;
        plan->body = "{\"error\":\"NotFoundError\",\"message\":\"gone\"}";
    } else if (is_count) {
        counts += !is_due;
        snprintf(text, sizeof text, "%zu", collection->records.count);
        if (is_due)
            append(answer, text);
    } else if (is_read) {
        if (is_due != reads_at_arrival)
            answer_read(collection, target, body, answer);
    } else if (is_due && strncmp(operation, "docs-", 5) == 0) { /* by its name */
        collection->exists = false;
        append(answer, "{}");
    } else if (write_status != 200) {
        plan->status = write_status;
    } else if (is_due) {
        if (between != NULL && strcmp(operation, "delete") == 0)
            fake_records_append(&collection->records, between, "another's");
        settles += body.size > 0 && memmem(body.data, body.size, "settles", 7) != NULL;
        if (collection->unseen != NULL)
            fake_records_append(&collection->records, collection->unseen, "unseen");
        collection->unseen = NULL;
        snprintf(text, sizeof text, "{\"deleted\":%zu}",
                 fake_records_write(&collection->records, operation, body));
        append(answer, strcmp(operation, "delete") == 0 ? text : "{}");
    }
}

static struct chroma_route route_of(size_t collection)
{
    static char         target[COLLECTIONS][200];
    struct chroma_route route;

    snprintf(target[collection], sizeof target[collection], PATH "%s/get", chroma[collection].uuid);
    chroma_route_find(BYTES_LITERAL("POST"), bytes_of(target[collection]), &route);
    ck_assert(route.has_uuid);
    return route;
}

static void note_read(size_t collection)
{
    struct chroma_route route = route_of(collection);

    mirror_keeper_note_read(world.proxy->mirror, &route);
}

static void set_backend(uint64_t incarnation)
{
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = world.family,
                                                           .batch_records_max = 5461,
                                                           .incarnation = incarnation});
}

static void set_options(void)
{
    ck_assert_int_eq(proxy_set_mirror(world.proxy, &options), STATUS_OK);
}

static void start_as(uint64_t seed, bool is_gateway, bool is_supervised)
{
    flow_world_begin(&world, seed);
    world.write_options.is_gateway = is_gateway;
    world.write_options.is_supervised = is_supervised;
    world.backend.on_request = on_request;
    if (world_connections > 0)
        world.pool_options.connections_max = world_connections;
    memset(chroma, 0, sizeof chroma);
    memset(&fake_mirror_copies, 0, sizeof fake_mirror_copies);
    fake_mirror_copies.page_records = 3;
    fake_mirror_copies.record_memory = 100;
    for (size_t i = 0; i < COLLECTIONS; i++) {
        snprintf(chroma[i].uuid, sizeof chroma[i].uuid, "1111111%zu-2222-3333-4444-555555555555",
                 i);
        chroma[i].exists = true;
    }
    for (size_t i = 0; i < 10; i++) {
        char id[FAKE_RECORDS_TEXT];

        snprintf(id, sizeof id, "k%zu", i);
        fake_records_append(&chroma[0].records, id, "first");
    }
    chroma_wants_credentials = chroma_is_old = reads_at_arrival = names_are_read = false;
    read_delay_us = write_delay_us = 1000;
    delay_random_us = 0;
    write_fault = read_fault = FLOW_FAULT_NONE;
    lists = pages = descriptions = settles = asks = counts = 0;
    between = NULL;
    write_status = 200;
    schema = "null";
    place = "t";
    space = "cosine";
    distance = "0";
    padding = 0;
    static const char *const names[] = {"docs-*"};
    options = (struct proxy_mirror_options){.mode = PROXY_MIRROR_PREFER,
                                            .collections = names,
                                            .collection_count = 1,
                                            .memory_max = 1 << 20,
                                            .disk_max = 1 << 20,
                                            .directory = "/nowhere",
                                            .max_age_us = 30000000};
    flow_world_start(&world);
    set_backend(1);
    set_options();
    writer = flow_world_client(&world);
}

static void start(uint64_t seed, bool is_gateway)
{
    start_as(seed, is_gateway, false);
}

static void begin(void)
{
    start(1, true);
}

static void end(void)
{
    flow_world_end(&world);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
}

static void send_write(struct flow_client *client, size_t collection, const char *operation,
                       const char *body)
{
    flow_client_printf(client,
                       "POST " PATH "%s/%s HTTP/1.1\r\nHost: chroma\r\nContent-Type: "
                       "application/json\r\nContent-Length: %zu\r\n\r\n",
                       chroma[collection].uuid, operation, strlen(body));
    flow_client_send(client, body);
}

static void do_write(size_t collection, const char *operation, const char *body, unsigned status)
{
    size_t answers = writer->answer_count;

    send_write(writer, collection, operation, body);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    ck_assert_uint_eq(writer->answers[answers].status, status);
}

static void upsert(size_t collection, const char *id, const char *document)
{
    char body[200];

    snprintf(body, sizeof body, "{\"ids\":[\"%s\"],\"embeddings\":[[1,2]],\"documents\":[\"%s\"]}",
             id, document);
    do_write(collection, "upsert", body, 200);
}

/* ---- What is known of a copy ---------------------------------------------------------------- */

struct looked {
    struct mirror_entry_info info;
    bool                     is_there;
    uint8_t                  uuid[16];
};

static void look_at(const struct mirror_entry_info *info, void *ctx)
{
    struct looked *looked = ctx;

    if (memcmp(info->uuid, looked->uuid, sizeof looked->uuid) != 0)
        return;
    looked->info = *info;
    looked->is_there = true;
}

static struct mirror_entry_info look(size_t collection)
{
    struct looked looked = {.is_there = false};

    ck_assert(chroma_route_parse_uuid(bytes_of(chroma[collection].uuid), looked.uuid));
    mirror_keeper_each(world.proxy->mirror, look_at, &looked);
    return looked.info;
}

static enum mirror_entry_state state_of(size_t collection)
{
    return look(collection).state;
}

static bool is_complete(void *ctx)
{
    return state_of(*(size_t *)ctx) == MIRROR_ENTRY_COMPLETE;
}

static void run_to_complete(size_t collection)
{
    ck_assert(fake_loop_run_until(world.loop, is_complete, &collection,
                                  clock_now_us() + 300 * UINT64_C(1000000)));
}

static void fill(size_t collection)
{
    note_read(collection);
    run_to_complete(collection);
}

struct reader {
    struct mirror_hold hold;
    bool               is_told, may_read;
    enum status        status;
    const char        *reason;
};

static void on_ready(struct mirror_hold *hold, bool may_read)
{
    struct reader *reader = CONTAINER_OF(hold, struct reader, hold);

    reader->is_told = true;
    reader->may_read = may_read;
}

static void arrive(struct reader *reader, size_t collection, bool is_fallback)
{
    struct chroma_route route = route_of(collection);

    *reader = (struct reader){.hold.on_ready = on_ready};
    reader->status = mirror_keeper_hold(world.proxy->mirror, route.uuid, is_fallback, &reader->hold,
                                        &reader->reason);
    reader->may_read = reader->status == STATUS_OK;
}

static bool may_read(struct reader *reader)
{
    if (reader->status == STATUS_AGAIN && !reader->is_told)
        flow_world_run_ms(&world, 50);
    return reader->may_read;
}

/* Does a reader who arrives now see what Chroma has? */
static void expect_same(size_t collection)
{
    struct reader reader;

    arrive(&reader, collection, false);
    ck_assert(may_read(&reader));
    ck_assert(mirror_hold_is_complete(&reader.hold));
    ck_assert_uint_eq(mirror_hold_age_us(&reader.hold), 0);
    ck_assert_uint_eq(mirror_hold_dimension(&reader.hold), 2);
    ck_assert(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[collection].records));
    mirror_hold_release(&reader.hold);
}

/* A reader gets nothing, for this reason. */
static void expect_none(size_t collection, bool is_fallback, const char *reason)
{
    struct reader reader;

    arrive(&reader, collection, is_fallback);
    ck_assert_int_eq(reader.status, STATUS_NOT_FOUND);
    ck_assert_str_eq(reader.reason, reason);
    ck_assert_ptr_null(reader.hold.queue);
}

/* ---- Tests ---------------------------------------------------------------------------------- */

START_TEST(a_copy_is_filled_and_kept)
{
    expect_none(0, true, "none");
    fill(0);
    ck_assert_uint_eq(descriptions, 1);
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_eq(pages, 4);
    expect_same(0);
    upsert(0, "k3", "changed");
    upsert(0, "new", "n");
    expect_same(0);
    do_write(0, "add", "{\"ids\":[\"k4\"],\"embeddings\":[[1,2]],\"documents\":[\"no\"]}", 200);
    do_write(0, "delete", "{\"ids\":[\"k5\",\"k6\",\"absent\"]}", 200);
    expect_same(0);
    ck_assert_uint_eq(look(0).records, 9);
    ck_assert_uint_eq(look(0).fills, 1);
    ck_assert_uint_eq(look(0).writes, 4);
    ck_assert_uint_eq(lists, 1);
}
END_TEST

/* Until then it is the worker's. */
START_TEST(what_a_worker_has_made_of_a_copy_is_known_when_it_is_done)
{
    fill(0);
    send_write(writer, 0, "add",
               "{\"ids\":[\"new\"],\"embeddings\":[[1,2]],\"documents\":[\"n\"]}");
    while (fake_mirror_copies.writes == 0)
        fake_loop_run_for(world.loop, 10);
    ck_assert_uint_eq(look(0).records, 10);
    flow_world_run_ms(&world, 10);
    ck_assert_uint_eq(look(0).records, 11);
}
END_TEST

/* What Chroma says that the collection is cannot change with the next write any more. */
static bool has_shown_all(size_t collection)
{
    return collection_table_description_stamp(world.proxy->collections, route_of(collection).uuid,
                                              clock_now_us()) != 0;
}

/* A write of a process before this one, which Chroma has and shows to nobody. */
START_TEST(what_only_the_next_write_shows_is_in_a_copy)
{
    chroma[0].unseen = "unseen";
    fill(0);
    ck_assert_uint_eq(settles, 1);
    ck_assert(has_shown_all(0));
    ck_assert_uint_eq(look(0).records, 11);
    upsert(0, "new", "n");
    expect_same(0);
}
END_TEST

START_TEST(a_write_that_settles_and_is_refused_has_shown_nothing)
{
    write_status = 500;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 100);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_ANSWER);
    ck_assert(!has_shown_all(0));
    write_status = 200;
    run_to_complete(0);
    ck_assert(has_shown_all(0));
}
END_TEST

START_TEST(a_copy_waits_for_the_write_that_settles)
{
    write_fault = FLOW_FAULT_RESET_AFTER;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 1000);
    ck_assert_uint_eq(lists, 0);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_WAITING);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNKNOWN_OUTCOME);
}
END_TEST

START_TEST(a_write_that_settles_and_hangs_is_not_waited_for)
{
    write_delay_us = UINT64_C(86400) * 1000000;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_LISTING);
    flow_world_run_ms(&world, 130 * 1000); /* deadline.write, and some turns more */
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNANSWERED], 1);
    ck_assert_uint_eq(world.backend.request_count - descriptions - counts, 1);
    ck_assert_uint_eq(lists, 0);
}
END_TEST

/* Else nothing would be answered from the cache while Chroma is busiest. */
START_TEST(a_write_that_settles_is_none_before_its_turn)
{
    end();
    world_connections = 4; /* of which two are left to writes */
    start(1, true);
    world_connections = 0;
    flow_world_run_ms(&world, SETTLE_MS - 100);
    write_delay_us = 5000000;
    for (size_t i = 1; i <= 2; i++)
        flow_client_printf(flow_world_client(&world),
                           "POST /api/v2/tenants/t/databases/d/collections HTTP/1.1\r\nHost: "
                           "chroma\r\nContent-Type: application/json\r\nContent-Length: "
                           "12\r\n\r\n{\"name\":\"%zu\"}",
                           i);
    flow_world_run_ms(&world, 10);
    ck_assert_uint_eq(turn_queue_stats(world.proxy->turns)->turns[TURN_WRITE], 2);
    write_delay_us = 1000;
    note_read(0);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(descriptions, 1);
    ck_assert_uint_eq(settles, 0);
    ck_assert(
        collection_table_is_quiet(world.proxy->collections, route_of(0).uuid, 0, clock_now_us()));
    run_to_complete(0);
    ck_assert_uint_eq(settles, 1);
    expect_same(0);
}
END_TEST

START_TEST(where_others_write_nothing_is_settled)
{
    end();
    start(1, false);
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 1000);
    ck_assert_uint_gt(pages, 0);
    ck_assert_uint_eq(settles, 0);
}
END_TEST

START_TEST(nothing_is_begun_while_writes_of_a_process_before_may_come)
{
    note_read(0);
    flow_world_run_ms(&world, 9900);
    ck_assert_uint_eq(world.backend.request_count, 0);
    flow_world_run_ms(&world, 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_COMPLETE);
}
END_TEST

/* A delete by a filter is evaluated by the copy, and counted. */
START_TEST(the_count_of_a_delete_decides)
{
    upsert(0, "x1", "a");
    fill(0);
    do_write(0, "delete", "{\"limit\":9}", 200);
    expect_same(0);
    ck_assert_uint_eq(look(0).writes, 1);
    fake_records_append(&chroma[0].records, "x2", "another's");
    do_write(0, "delete", "{\"limit\":9}", 200);
    flow_world_run_ms(&world, 10);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_WAITING);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNREADABLE);
    expect_none(0, true, "doubtful");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(a_reader_waits_for_what_was_answered_before_it_came)
{
    struct reader reader, late;

    fill(0);
    upsert(0, "k1", "second"); /* its answer has come, and a worker has it */
    arrive(&reader, 0, false);
    ck_assert_int_eq(reader.status, STATUS_AGAIN);
    arrive(&late, 0, false);
    mirror_hold_release(&late.hold);
    ck_assert(may_read(&reader));
    ck_assert(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[0].records));
    ck_assert(!late.is_told);
    mirror_hold_release(&reader.hold);
}
END_TEST

START_TEST(who_waits_for_a_copy_that_is_given_up_is_told)
{
    struct reader reader;

    fill(0);
    fake_mirror_copies.fails = STATUS_NOT_IMPLEMENTED;
    upsert(0, "k1", "second");
    arrive(&reader, 0, false);
    ck_assert_int_eq(reader.status, STATUS_AGAIN);
    ck_assert(!may_read(&reader));
    ck_assert(reader.is_told);
    ck_assert_ptr_null(reader.hold.queue);
}
END_TEST

START_TEST(what_is_read_stays_when_its_copy_is_given_up)
{
    struct reader reader;

    fill(0);
    arrive(&reader, 0, false);
    ck_assert(may_read(&reader));
    ck_assert_int_eq(mirror_keeper_drop(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(fake_mirror_copies.alive, 1);
    ck_assert(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[0].records));
    mirror_hold_release(&reader.hold);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
}
END_TEST

/* Who has seen a write in Chroma's answer does not miss it in the copy's. */
START_TEST(no_reader_sees_the_new_and_then_the_old)
{
    struct reader early, reader;
    size_t        answers;

    fill(0);
    write_delay_us = 100000;
    answers = writer->answer_count;
    send_write(writer, 0, "upsert",
               "{\"ids\":[\"k1\"],\"embeddings\":[[1,2]],\"documents\":[\"second\"]}");
    flow_world_run_ms(&world, 20);
    arrive(&early, 0, false);
    ck_assert_int_eq(early.status, STATUS_OK);
    mirror_hold_release(&early.hold);
    mirror_keeper_note_answer(world.proxy->mirror, route_of(0).uuid);
    arrive(&reader, 0, false);
    ck_assert_int_eq(reader.status, STATUS_AGAIN);
    ck_assert(!may_read(&reader)); /* 50 ms later */
    ck_assert(!reader.is_told);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    ck_assert(!reader.is_told);
    ck_assert(may_read(&reader));
    ck_assert(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[0].records));
    mirror_hold_release(&reader.hold);
    arrive(&early, 0, false);
    ck_assert_int_eq(early.status, STATUS_OK);
    mirror_hold_release(&early.hold);
}
END_TEST

START_TEST(a_list_that_a_delete_has_crossed_is_asked_again)
{
    size_t answers;

    read_delay_us = 50000;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 70); /* the list is under way */
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_LISTING);
    do_write(0, "delete", "{\"ids\":[\"k2\"]}", 200);
    run_to_complete(0);
    ck_assert_uint_eq(lists, 2);
    expect_same(0);
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    write_delay_us = 1000000; /* and none is asked while one is under way */
    answers = writer->answer_count;
    flow_world_run_ms(&world, 30); /* begun, and what it is asked */
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_LISTING);
    send_write(writer, 0, "delete", "{\"ids\":[\"k3\"]}");
    flow_world_run_ms(&world, 900);
    ck_assert_uint_eq(lists, 2);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    run_to_complete(0);
    ck_assert_uint_eq(lists, 3);
    expect_same(0);
}
END_TEST

START_TEST(an_unknown_outcome_gives_up_the_copy_until_it_is_settled)
{
    fill(0);
    write_fault = FLOW_FAULT_RESET_AFTER;
    do_write(0, "update", "{\"ids\":[\"k1\"],\"documents\":[\"maybe\"]}", 502);
    write_fault = FLOW_FAULT_NONE;
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNKNOWN_OUTCOME);
    expect_none(0, false, "waiting");
    expect_none(0, true, "doubtful");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
    flow_world_run_ms(&world, 100000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_WAITING); /* it may yet be applied */
    ck_assert_uint_eq(lists, 1);
    flow_world_run_ms(&world, 21000); /* after two minutes */
    note_read(0);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(what_may_lack_something_answers_only_where_that_is_allowed)
{
    struct reader reader;

    options.allows_incomplete = true;
    set_options();
    fill(0);
    write_fault = FLOW_FAULT_RESET_BEFORE;
    do_write(0, "update", "{\"ids\":[\"k1\"],\"documents\":[\"maybe\"]}", 502);
    expect_none(0, false, "waiting");
    flow_world_run_ms(&world, 2000);
    arrive(&reader, 0, true);
    ck_assert_int_eq(reader.status, STATUS_OK);
    ck_assert(!mirror_hold_is_complete(&reader.hold));
    ck_assert_uint_ge(mirror_hold_age_us(&reader.hold), 1900000);
    mirror_hold_release(&reader.hold);
}
END_TEST

/* It may have another database, and has been written to. */
START_TEST(nothing_of_another_chroma_answers_although_it_may_lack_something)
{
    options.allows_incomplete = true;
    set_options();
    fill(0);
    set_backend(2);
    expect_none(0, true, "doubtful");
    run_to_complete(0);
    write_fault = FLOW_FAULT_RESET_BEFORE;
    do_write(0, "update", "{\"ids\":[\"k1\"],\"documents\":[\"maybe\"]}", 502);
    set_backend(3);
    expect_none(0, true, "doubtful");
}
END_TEST

/* Of a collection that an old Chroma made, the new one may say l2 and search otherwise. */
START_TEST(only_a_collection_that_is_searched_as_it_says_is_copied)
{
    space = "l2";
    distance = "0.7126";
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_STOPPED);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNFIT);
    ck_assert_uint_eq(lists, 0);
    distance = "6.3125"; /* from 0.75, -2.5 */
    fill(1);
}
END_TEST

/* One that was emptied, and is filled again. */
START_TEST(the_space_of_an_empty_collection_is_asked_when_it_has_records)
{
    space = "l2";
    distance = NULL; /* nothing is found */
    chroma[0].records.count = 0;
    fill(0);
    expect_same(0);
    distance = "0.7126"; /* it is another space */
    upsert(0, "k1", "first");
    flow_world_run_ms(&world, 10);
    expect_none(0, false, "waiting");
    flow_world_run_ms(&world, 2000);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNFIT);
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    distance = NULL;
    chroma[0].records.count = 0;
    run_to_complete(0);
    distance = "6.3125"; /* it is not */
    upsert(0, "k1", "again");
    flow_world_run_ms(&world, 10);
    run_to_complete(0);
    expect_same(0);
    upsert(0, "k1", "and again");
    expect_same(0);
}
END_TEST

/* Each write goes by itself then, and two to a collection may be answered in any order. */
START_TEST(without_lanes_nothing_is_copied)
{
    end();
    start_as(1, true, false);
    world.proxy->write_options.is_coalescing = false;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 1000);
    ck_assert_uint_eq(descriptions, 0);
    ck_assert_ptr_nonnull(mirror_keeper_obstacle(world.proxy->mirror));
}
END_TEST

START_TEST(nothing_is_asked_in_a_pause)
{
    proxy_pause(world.proxy, true);
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 5000);
    ck_assert_uint_eq(world.backend.request_count, 0);
    proxy_pause(world.proxy, false);
    run_to_complete(0);
}
END_TEST

/* It may have been made, or not: either way no record of another is another. */
START_TEST(a_creation_of_unknown_outcome_leaves_the_copies)
{
    static const char head[] =
        "POST /api/v2/tenants/t/databases/d/collections HTTP/1.1\r\nHost: chroma\r\nContent-Type: "
        "application/json\r\nContent-Length: 14\r\n\r\n{\"name\":\"new\"}";

    fill(0);
    write_fault = FLOW_FAULT_RESET_AFTER;
    flow_client_send(writer, head);
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    ck_assert_uint_eq(writer->answers[0].status, 502);
    expect_same(0);
}
END_TEST

/* To who judges a key, while Chroma cannot be asked. */
static bool is_named(size_t collection, const char *name)
{
    uint8_t      uuid[16];
    struct scope found;
    struct bytes called;

    ck_assert(chroma_route_parse_uuid(bytes_of(chroma[collection].uuid), uuid));
    return mirror_names_of(world.proxy->mirror, uuid, &found, &called) &&
           bytes_equal(called, bytes_of(name)) && bytes_equal(found.tenant, BYTES_LITERAL("t")) &&
           bytes_equal(found.database, BYTES_LITERAL("d"));
}

/* A path may say another place than Chroma: what is known by it then is nobody's to rely on. */
START_TEST(a_place_that_chroma_does_not_confirm_is_none)
{
    place = "other";
    fill(0);
    expect_same(0);
    ck_assert(!is_named(0, "docs-0"));
}
END_TEST

/* Nothing can change while Chroma is down; another one may hold anything. */
START_TEST(a_complete_copy_outlives_its_chroma)
{
    uint64_t began_us;

    end();
    start_as(1, true, true);
    began_us = clock_now_us();
    fill(0);
    ck_assert_uint_lt(clock_now_us() - began_us, 1000000); /* it needs not settle */
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    proxy_backend_ended(world.proxy);
    flow_world_run_ms(&world, 5000);
    expect_same(0);
    ck_assert(is_named(0, "docs-0"));
    fake_net_set_mode(FAKE_NET_ACCEPT);
    strcpy(chroma[0].records.list[2].document, "of another one");
    set_backend(2);
    ck_assert(!is_named(0, "docs-0"));
    expect_none(0, false, "waiting");
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_INCARNATION);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* One of our own is known again while all still waits for it. */
START_TEST(a_chroma_that_was_started_again_is_another_one_before_it_answers)
{
    end();
    start_as(1, true, true);
    fill(0);
    flow_backend_kill(&world.backend);
    proxy_hold(world.proxy, true);
    proxy_backend_ended(world.proxy);
    set_backend(2);
    set_backend(3);
    expect_same(0);
    strcpy(chroma[0].records.list[2].document, "of another one");
    proxy_hold(world.proxy, false);
    expect_none(0, false, "waiting");
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_INCARNATION);
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_INCARNATION], 1);
}
END_TEST

START_TEST(off_costs_nothing)
{
    struct chroma_route route = route_of(0);
    struct reader       reader;

    end();
    flow_world_begin(&world, 1);
    world.backend.on_request = on_request;
    flow_world_start(&world);
    writer = flow_world_client(&world);
    options.mode = PROXY_MIRROR_OFF;
    set_options();
    ck_assert_ptr_null(world.proxy->mirror);
    mirror_keeper_note_read(NULL, &route);
    mirror_keeper_note_answer(NULL, route.uuid);
    arrive(&reader, 0, true);
    ck_assert_int_eq(reader.status, STATUS_NOT_FOUND);
    do_write(0, "update", "{\"ids\":[\"k1\"],\"documents\":[\"x\"]}", 200);
    ck_assert_uint_eq(world.budget.accounts[MEMORY_ACCOUNT_MIRROR].peak, 0);
    ck_assert_uint_eq(fake_mirror_copies.made, 0);
}
END_TEST

START_TEST(turned_off_all_copies_go)
{
    fill(0);
    options.mode = PROXY_MIRROR_OFF;
    set_options();
    upsert(0, "k1", "unseen");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
    ck_assert_uint_eq(world.budget.accounts[MEMORY_ACCOUNT_MIRROR].used, 0);
    note_read(0);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(lists, 1);
    options.mode = PROXY_MIRROR_FALLBACK;
    set_options();
    fill(0);
    expect_same(0);
}
END_TEST

static uint64_t memory_of_copy(size_t collection)
{
    return 1000 + chroma[collection].records.count * fake_mirror_copies.record_memory;
}

START_TEST(what_does_not_fit_is_stopped)
{
    options.memory_max = 1500;
    set_options();
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 2000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_STOPPED);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_TOO_LARGE);
    ck_assert_uint_eq(look(0).expected_records, chroma[0].records.count);
    ck_assert_uint_eq(look(0).expected_memory, memory_of_copy(0));
    ck_assert_uint_eq(lists, 1);
    expect_none(0, true, "doubtful");
    note_read(0);
    flow_world_run_ms(&world, 200000);
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
    options.memory_max = 1 << 20;
    set_options();
    fill(0);
    expect_same(0);
    ck_assert_uint_eq(look(0).expected_memory, 0); /* what it takes is there to see */
}
END_TEST

/* What dimension it has Chroma is asked only where nobody knows. */
START_TEST(what_would_be_taken_is_known_before_it_is_begun)
{
    options.memory_max = 0; /* nothing fits, so that it waits */
    set_options();
    if (_i == 1)
        upsert(0, "k0", "this says it");
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 100);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_WAITING);
    ck_assert_uint_eq(look(0).expected_records, 10);
    ck_assert_uint_eq(look(0).expected_memory, mirror_estimate_of_size(10, 2));
    ck_assert_uint_eq(look(0).expected_vectors, mirror_estimate_of_vectors(10, 2));
    ck_assert_uint_gt(look(0).expected_vectors, 0);
    ck_assert_uint_eq(descriptions, _i == 1 ? 0 : 1);
    ck_assert_uint_eq(lists + settles, 0);
    options.memory_max = 1 << 20;
    set_options();
    run_to_complete(0);
    ck_assert_uint_eq(counts, 1);
    ck_assert_uint_eq(look(0).expected_vectors, 0);
}
END_TEST

/* Chroma is not asked about it all the time if it does not say. */
START_TEST(what_is_not_known_is_asked_again_a_minute_later)
{
    options.memory_max = 0;
    set_options();
    chroma_wants_credentials = true;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 50000);
    ck_assert_uint_eq(look(0).expected_records, 0);
    ck_assert_uint_eq(world.backend.request_count, 2);
    chroma_wants_credentials = false;
    flow_world_run_ms(&world, 20000);
    ck_assert_uint_eq(look(0).expected_records, 10);
    ck_assert_uint_eq(world.backend.request_count, 4);
    flow_world_run_ms(&world, 200000);
    ck_assert_uint_eq(world.backend.request_count, 4);
}
END_TEST

/* A sixteenth of what it may take is for those who read it. */
START_TEST(what_will_not_fit_is_not_filled)
{
    static const struct {
        uint64_t expected;
        bool     is_unsampled, fits;
    } cases[] = {{16000, false, false},
                 {15100, false, false},
                 {14900, false, true},
                 {16000, true, true}, /* it may be less */
                 {25000, true, false}};

    options.memory_max = 16000;
    fake_mirror_copies.expected = cases[_i].expected;
    fake_mirror_copies.is_unsampled = cases[_i].is_unsampled;
    set_options();
    note_read(0);
    if (cases[_i].fits) {
        run_to_complete(0);
        return;
    }
    flow_world_run_ms(&world, SETTLE_MS + 2000);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_TOO_LARGE);
    ck_assert_uint_eq(look(0).expected_records, chroma[0].records.count);
    ck_assert_uint_eq(look(0).expected_memory, cases[_i].expected);
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_eq(pages, 0);
}
END_TEST

static void read_often(size_t collection, unsigned times)
{
    while (times-- > 0)
        note_read(collection);
}

START_TEST(the_coldest_goes_when_not_all_fit)
{
    options.collection_count = 0;
    options.memory_max = 3500;
    set_options();
    chroma[1].records = chroma[2].records = chroma[0].records; /* 2000 bytes each */
    flow_world_run_ms(&world, SETTLE_MS + 2000);
    ck_assert_uint_eq(lists, 0); /* nobody has read it */
    read_often(0, 1);
    run_to_complete(0); /* there is room */
    read_often(0, 9);
    read_often(1, 11); /* hotter, but not clearly */
    flow_world_run_ms(&world, 5000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_COMPLETE);
    ck_assert_int_eq(state_of(1), MIRROR_ENTRY_WAITING);
    ck_assert_int_eq(look(1).reason, MIRROR_REASON_COLD);
    ck_assert_uint_le(lists, 2);
    flow_world_run_ms(&world, 100000);
    ck_assert_uint_le(lists, 2); /* it is not tried again in vain */
    read_often(1, 30);
    flow_world_run_ms(&world, 70000);
    ck_assert_int_eq(state_of(1), MIRROR_ENTRY_COMPLETE);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_WAITING);
    ck_assert_uint_le(fake_mirror_copies.alive, 1);
    ck_assert_uint_le(world.budget.accounts[MEMORY_ACCOUNT_MIRROR].used, 3500);
    expect_same(1);
}
END_TEST

START_TEST(several_are_kept_side_by_side)
{
    fake_records_append(&chroma[1].records, "a", "b");
    note_read(0);
    note_read(1);
    run_to_complete(0);
    run_to_complete(1);
    upsert(1, "c", "d");
    expect_same(0);
    expect_same(1);
    ck_assert_uint_eq(mirror_keeper_usage(world.proxy->mirror).complete, 2);
}
END_TEST

START_TEST(only_names_that_are_wanted_are_copied)
{
    static const char *const names[] = {"elsewhere/*/*", "t/d*/docs-1"};

    options.collections = names;
    options.collection_count = 2;
    set_options();
    read_often(0, 50);
    flow_world_run_ms(&world, SETTLE_MS + 2000);
    ck_assert_uint_eq(descriptions, 1);
    ck_assert_uint_eq(lists, 0);
    ck_assert_uint_eq(mirror_keeper_usage(world.proxy->mirror).entries, 0);
    read_often(0, 50);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(descriptions, 1);
    fill(1);
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

static void create(void)
{
    size_t answers = writer->answer_count;

    flow_client_send(writer, "POST /api/v2/tenants/t/databases/d/collections HTTP/1.1\r\nHost: "
                             "chroma\r\nContent-Length: 17\r\n\r\n{\"name\":\"docs-0\"}");
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    ck_assert_uint_eq(writer->answers[answers].status, 200);
}

/* It writes to a collection of its own in that database, which one its body says, whenever it
 * likes. */
START_TEST(where_a_function_is_attached_nothing_is_copied)
{
    fill(0);
    do_write(1, "functions/attach", "{\"name\":\"f\",\"output_collection\":\"docs-0\"}", 200);
    for (unsigned i = 0; i < 100; i++) {
        note_read(0);
        note_read(1);
        flow_world_run_ms(&world, 60000);
        ck_assert_int_eq(state_of(0), MIRROR_ENTRY_WAITING);
        ck_assert_int_ne(state_of(1), MIRROR_ENTRY_COMPLETE);
    }
}
END_TEST

/* Nobody has asked for it yet. */
START_TEST(a_collection_is_known_by_name_when_it_was_created)
{
    struct error error;

    flow_world_run_ms(&world, SETTLE_MS);
    ck_assert_int_eq(mirror_report_drop(world.proxy, BYTES_LITERAL("t/d/docs-0"), &error),
                     STATUS_NOT_FOUND);
    create();
    ck_assert_int_eq(mirror_report_fill(world.proxy, BYTES_LITERAL("t/d/docs-0"), &error),
                     STATUS_OK);
    ck_assert(bytes_equal(look(0).name, BYTES_LITERAL("docs-0")));
    run_to_complete(0);
}
END_TEST

static enum status fill_by_name(const char *name)
{
    struct error error = {.text = ""};
    enum status  status = mirror_report_fill(world.proxy, bytes_of(name), &error);

    ck_assert(status == STATUS_OK || status == STATUS_AGAIN || error.text[0] != '\0');
    return status;
}

/* Of several that ask for names each hears of his. */
START_TEST(a_name_that_nobody_has_used_is_looked_up)
{
    names_are_read = true;
    flow_world_run_ms(&world, SETTLE_MS);
    proxy_pause(world.proxy, true);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(descriptions, 0);
    proxy_pause(world.proxy, false);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    ck_assert_int_eq(fill_by_name("t/d/docs-7"), STATUS_AGAIN);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(descriptions, 1);
    ck_assert_int_eq(fill_by_name("t/d/docs-7"), STATUS_AGAIN); /* the first was not told yet */
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_OK);
    ck_assert_int_eq(fill_by_name("t/d/docs-7"), STATUS_AGAIN);
    flow_world_run_ms(&world, 2000);
    ck_assert_int_eq(fill_by_name("t/d/docs-7"), STATUS_AGAIN); /* once more, for it is long ago */
    flow_world_run_ms(&world, 100);
    ck_assert_int_eq(fill_by_name("t/d/docs-7"), STATUS_NOT_FOUND);
    names_are_read = false;
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(why_a_name_is_not_known_is_said)
{
    names_are_read = true;
    ck_assert_int_eq(fill_by_name("t/docs-0"), STATUS_NOT_FOUND);
    ck_assert_int_eq(fill_by_name("t/d/e/docs-0"), STATUS_NOT_FOUND);
    chroma_wants_credentials = true;
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    flow_world_run_ms(&world, 100);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_NOT_IMPLEMENTED);
    chroma_wants_credentials = false;
    read_fault = FLOW_FAULT_RESET_BEFORE;
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    flow_world_run_ms(&world, 100);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_NOT_IMPLEMENTED);
    options.mode = PROXY_MIRROR_OFF;
    set_options();
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_INVALID);
    ck_assert_int_eq(fill_by_name("t/d/docs-1"), STATUS_INVALID);
    ck_assert_uint_eq(descriptions, 0);
}
END_TEST

/* It is looked up again when it is asked for the next time. */
START_TEST(a_name_that_changes_while_it_is_looked_up_is_not_believed)
{
    names_are_read = true;
    read_delay_us = 50000;
    flow_world_run_ms(&world, SETTLE_MS);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    flow_world_run_ms(&world, 10);
    flow_client_printf(writer,
                       "PUT " PATH "%s HTTP/1.1\r\nHost: chroma\r\nContent-Length: 21\r\n\r\n"
                       "{\"new_name\":\"docs-9\"}",
                       chroma[0].uuid);
    flow_world_run_ms(&world, 200);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    flow_world_run_ms(&world, 200);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_OK);
}
END_TEST

START_TEST(chroma_is_not_asked_for_a_name_that_its_creation_said)
{
    static const char *const names[] = {"other-*"};

    options.collections = names;
    set_options();
    flow_world_run_ms(&world, SETTLE_MS);
    create();
    note_read(0);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(descriptions, 0);
    end();
    start(1, false); /* others may have given it another name */
    options.collections = names;
    set_options();
    flow_world_run_ms(&world, SETTLE_MS);
    create();
    note_read(0);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(descriptions, 1);
}
END_TEST

/* 1 s, 2 s, 4 s, ... */
START_TEST(beginning_again_backs_off)
{
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS);
    for (unsigned i = 0; i < 60; i++) {
        fake_mirror_copies.fails = STATUS_IO_FAILED;
        flow_world_run_ms(&world, 1000);
        note_read(0);
    }
    ck_assert_uint_ge(lists, 5);
    ck_assert_uint_le(lists, 7);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_STORE);
    fake_mirror_copies.fails = STATUS_OK;
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(a_page_without_an_answer_is_asked_again)
{
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 2);
    read_delay_us = 20000;
    while (pages < 2)
        flow_world_run_ms(&world, 5);
    read_fault = FLOW_FAULT_RESET_AFTER;
    flow_world_run_ms(&world, 100);
    read_fault = FLOW_FAULT_NONE;
    run_to_complete(0);
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_ge(fake_mirror_copies.pages_failed, 1);
    expect_same(0);
}
END_TEST

START_TEST(a_chroma_that_is_down_is_left_alone)
{
    size_t asked;

    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_backend_kill(&world.backend);
    flow_world_run_ms(&world, 120000);
    fake_net_set_mode(FAKE_NET_ACCEPT);
    proxy_heartbeat(world.proxy, true);
    note_read(0);
    for (unsigned i = 0; i < 5; i++) /* the breaker is closed by them */
        flow_world_ask(&world, "query", 1 + i, 100, 100);
    run_to_complete(0);
    expect_same(0);
    asked = world.backend.accepted;
    ck_assert_uint_le(asked, 20);
}
END_TEST

/* Where all that people ask is answered from the cache, or nobody asks anything. */
START_TEST(a_chroma_that_answers_again_is_asked_although_nobody_does)
{
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_backend_kill(&world.backend);
    for (unsigned i = 0; i < 10; i++)
        flow_world_ask(&world, "query", 1 + i, 100, 100);
    flow_world_run_ms(&world, 30000);
    ck_assert(backend_breaker_is_open(world.proxy->breaker));
    fake_net_set_mode(FAKE_NET_ACCEPT);
    proxy_heartbeat(world.proxy, true);
    run_to_complete(0);
    expect_same(0);
    ck_assert(backend_breaker_is_calm(world.proxy->breaker));
}
END_TEST

START_TEST(a_chroma_that_fails_is_left_alone)
{
    flow_world_run_ms(&world, SETTLE_MS);
    world.backend.plan.status = 500;
    for (unsigned i = 0; i < 60; i++)
        flow_world_ask(&world, "query", 1 + i, 100, 100);
    descriptions = 0; /* of the collection that those asked */
    note_read(0);
    flow_world_run_ms(&world, 3000);
    ck_assert_uint_eq(descriptions, 0);
    world.backend.plan.status = 200;
    proxy_heartbeat(world.proxy, true);
    for (unsigned i = 0; i < 5; i++)
        flow_world_ask(&world, "query", 101 + i, 100, 100);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(credentials_and_other_chromas_stop_it)
{
    chroma_wants_credentials = true;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 100);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_STOPPED);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_CREDENTIALS);
    chroma_wants_credentials = false;
    chroma_is_old = true;
    set_backend(2);
    flow_world_run_ms(&world, 100);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_STOPPED);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNFIT);
    ck_assert_ptr_nonnull(mirror_keeper_obstacle(world.proxy->mirror));
    note_read(1);
    flow_world_run_ms(&world, 5000);
    ck_assert_uint_eq(descriptions, 0);
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(1).uuid),
                     STATUS_NOT_IMPLEMENTED);
    chroma_is_old = false;
    set_backend(3);
    ck_assert_ptr_null(mirror_keeper_obstacle(world.proxy->mirror));
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(a_schema_of_the_user_s_is_not_copied)
{
    schema = "{\"defaults\":{\"int\":{\"int_inverted_index\":{\"enabled\":false}}}}";
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 100);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_STOPPED);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_UNFIT);
    ck_assert_ptr_null(mirror_keeper_obstacle(world.proxy->mirror)); /* others are */
    ck_assert_uint_eq(lists, 0);
}
END_TEST

/* What others delete while it is filled is listed and never there. */
START_TEST(what_was_listed_and_is_gone_ends_the_filling)
{
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS);
    while (lists == 0)
        fake_loop_run_for(world.loop, 100);
    fake_records_remove(&chroma[0].records, fake_records_find(&chroma[0].records, "k9"));
    flow_world_run_ms(&world, 500);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_ANSWER);
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_le(pages, 6);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* One after another, as fast as they come, so that there is no pause between them. */
START_TEST(writes_that_never_end_do_not_keep_a_copy_from_being_filled)
{
    struct flow_client *clients[2] = {flow_world_client(&world), flow_world_client(&world)};
    unsigned            sent = 0;
    char                body[200];

    flow_world_run_ms(&world, SETTLE_MS);
    note_read(0);
    while (state_of(0) != MIRROR_ENTRY_COMPLETE && sent < 2 * FLOW_CLIENT_ANSWERS_MAX) {
        snprintf(body, sizeof body,
                 "{\"ids\":[\"n%u\"],\"embeddings\":[[1,2]],\"documents\":[\"d\"]}", sent);
        send_write(clients[sent % 2], 0, "add", body); /* while the one before is under way */
        if (sent++ > 0)
            ck_assert(flow_world_run_to_answers(&world, clients[sent % 2], sent / 2));
    }
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_COMPLETE);
    ck_assert_uint_gt(look(0).writes, 10);
    ck_assert(flow_world_run_to_answers(&world, clients[0], (sent + 1) / 2));
    ck_assert(flow_world_run_to_answers(&world, clients[1], sent / 2));
    expect_same(0);
}
END_TEST

START_TEST(a_long_write_is_taken_over_and_not_copied)
{
    static const char start_of[] = "{\"ids\":[\"k1\"],\"documents\":[\"long\"]";
    size_t            size = 1 << 20, answers = writer->answer_count;
    char             *body = malloc(size);

    ck_assert_ptr_nonnull(body);
    fill(0);
    memset(body, ' ', size);
    memcpy(body, start_of, sizeof start_of - 1);
    strcpy(body + size - 2, "}");
    send_write(writer, 0, "update", body);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    expect_same(0);
    ck_assert_str_eq(fake_records_find(&chroma[0].records, "k1")->document, "long");
    ck_assert_uint_ge(world.budget.accounts[MEMORY_ACCOUNT_MIRROR].peak, size);
    ck_assert_uint_le(world.budget.accounts[MEMORY_ACCOUNT_MIRROR].used, 4096);
    ck_assert_uint_lt(world.budget.peak, 3 * size); /* it is there once, and as it comes */
    free(body);
}
END_TEST

/* A sanitizer has its own malloc, as has another C library. */
#if !defined(__GLIBC__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MALLOC_FAILS 0
#elif defined(__has_feature)
#define MALLOC_FAILS (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define MALLOC_FAILS 1
#endif

/* While it is set nobody gets so much at once. */
static size_t denied_size = SIZE_MAX;

#if MALLOC_FAILS
void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
    return size < denied_size ? __libc_malloc(size) : NULL;
}
#endif

static bool is_answer_coming(void *ctx)
{
    (void)ctx;
    return world.budget.accounts[MEMORY_ACCOUNT_MIRROR].used > 2000;
}

/* Once is no reason not to ask again. */
START_TEST(an_answer_for_which_memory_is_out_is_asked_for_again)
{
    padding = 20000;
    read_fault = FLOW_FAULT_IN_PIECES;
    note_read(0);
    ck_assert(fake_loop_run_until(world.loop, is_answer_coming, NULL,
                                  clock_now_us() + 60 * UINT64_C(1000000)));
    denied_size = padding / 2;
    flow_world_run_ms(&world, 200);
    denied_size = SIZE_MAX;
    ck_assert_int_ne(state_of(0), MIRROR_ENTRY_STOPPED);
    run_to_complete(0);
    ck_assert_uint_ge(lists, 1 + MALLOC_FAILS);
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_TOO_LARGE], 0);
    expect_same(0);
}
END_TEST

static size_t under_way(void)
{
    return proxy_under_way(world.proxy);
}

static bool is_asking(void *ctx)
{
    (void)ctx;
    return under_way() > 0;
}

/* Each question of a filling is waited for, the write that settles among them, and none begun. */
START_TEST(a_pause_waits_for_the_questions_of_a_filling)
{
    unsigned paused = 0;

    read_delay_us = write_delay_us = 300000;
    note_read(0);
    while (
        state_of(0) != MIRROR_ENTRY_COMPLETE &&
        fake_loop_run_until(world.loop, is_asking, NULL, clock_now_us() + 10 * UINT64_C(1000000))) {
        ck_assert_uint_eq(under_way(), 1);
        proxy_pause(world.proxy, true);
        flow_world_run_ms(&world, 250);
        ck_assert_uint_eq(under_way(), 1);
        flow_world_run_ms(&world, 100);
        for (unsigned i = 0; i < 20; i++) {
            ck_assert_uint_eq(under_way(), 0);
            flow_world_run_ms(&world, 100);
        }
        proxy_pause(world.proxy, false);
        paused++;
    }
    ck_assert_uint_ge(paused, 4); /* what it is, what settles it, the list, the records */
    ck_assert_uint_eq(settles, 1);
    expect_same(0);
}
END_TEST

START_TEST(a_pause_waits_for_a_page_that_is_verified)
{
    uint8_t uuid[16];

    fill(0);
    read_delay_us = 300000;
    ck_assert(chroma_route_parse_uuid(bytes_of(chroma[0].uuid), uuid));
    world.proxy->mirror_verify = mirror_verify_new(world.proxy->mirror);
    ck_assert_int_eq(mirror_verify_begin(world.proxy->mirror_verify, uuid, NULL), STATUS_OK);
    flow_world_run_ms(&world, 100);
    proxy_pause(world.proxy, true);
    ck_assert_uint_eq(under_way(), 1);
    flow_world_run_ms(&world, 400);
    ck_assert_uint_eq(under_way(), 0);
    ck_assert_int_eq(mirror_report_verified(world.proxy).state, MIRROR_VERIFY_SAME);
    ck_assert_int_eq(mirror_verify_begin(world.proxy->mirror_verify, uuid, NULL), STATUS_OK);
    for (unsigned i = 0; i < 700; i++) {
        flow_world_run_ms(&world, 100);
        ck_assert_uint_eq(under_way(), 0);
    }
    ck_assert_int_eq(mirror_report_verified(world.proxy).state, MIRROR_VERIFY_RUNNING);
    proxy_pause(world.proxy, false);
    flow_world_run_ms(&world, 1000);
    ck_assert_int_eq(mirror_report_verified(world.proxy).state, MIRROR_VERIFY_SAME);
}
END_TEST

/* Also if nobody reads it: somebody has asked for it. */
START_TEST(a_copy_that_differs_is_made_anew)
{
    struct chroma_route route = route_of(0);

    flow_world_run_ms(&world, SETTLE_MS);
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route.uuid), STATUS_NOT_FOUND);
    note_read(0); /* now it is known where it is */
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route.uuid), STATUS_OK);
    run_to_complete(0);
    flow_world_run_ms(&world, 3600000); /* that read is long ago */
    fake_records_append(&chroma[0].records, "past", "the proxy");
    world.proxy->mirror_verify = mirror_verify_new(world.proxy->mirror);
    ck_assert_int_eq(mirror_verify_begin(world.proxy->mirror_verify, route.uuid, NULL), STATUS_OK);
    flow_world_run_ms(&world, 500);
    ck_assert_int_eq(mirror_report_verified(world.proxy).state, MIRROR_VERIFY_DIFFERENT);
    ck_assert_uint_eq(mirror_report_verified(world.proxy).records, 11);
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_DIFFERS);
    expect_none(0, true, "doubtful");
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* The same name, another UUID. */
START_TEST(a_collection_that_is_made_again_is_another_one)
{
    size_t answers = writer->answer_count;

    fill(0);
    flow_client_send(writer, "DELETE " PATH "docs-0 HTTP/1.1\r\nHost: chroma\r\n\r\n");
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    ck_assert_uint_eq(writer->answers[answers].status, 200);
    expect_none(0, true, "none");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
    snprintf(chroma[0].uuid, sizeof chroma[0].uuid, "99999999-2222-3333-4444-555555555555");
    chroma[0].exists = true;
    chroma[0].records.count = 1;
    fill(0);
    expect_same(0);
}
END_TEST

START_TEST(a_change_of_the_collection_gives_up_its_copy)
{
    size_t answers;

    chroma[1].records = chroma[0].records;
    fill(0);
    fill(1);
    answers = writer->answer_count;
    write_delay_us = 20000;
    flow_client_printf(writer,
                       "PUT " PATH "%s HTTP/1.1\r\nHost: chroma\r\nContent-Length: 24\r\n\r\n"
                       "{\"new_configuration\":{}}",
                       chroma[0].uuid);
    flow_world_run_ms(&world, 10);
    expect_none(0, false, "changing");
    expect_same(1);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_CHANGED);
    ck_assert_int_eq(state_of(1), MIRROR_ENTRY_COMPLETE);
    flow_client_send(writer, "POST /api/v2/reset HTTP/1.1\r\nHost: chroma\r\nContent-Length: "
                             "0\r\n\r\n");
    flow_world_run_ms(&world, 10);
    expect_none(1, false, "changing");
    flow_world_run_ms(&world, 30);
    ck_assert_int_eq(look(1).reason, MIRROR_REASON_CHANGED);
    ck_assert_uint_eq(look(1).refills[MIRROR_REASON_CHANGED], 1);
    run_to_complete(0);
    run_to_complete(1);
}
END_TEST

static void change(size_t collection, const char *body)
{
    flow_client_printf(writer,
                       "PUT " PATH "%s HTTP/1.1\r\nHost: chroma\r\nContent-Length: %zu\r\n\r\n%s",
                       chroma[collection].uuid, strlen(body), body);
}

static void do_change(size_t collection, const char *body)
{
    size_t answers = writer->answer_count;

    change(collection, body);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
}

START_TEST(a_change_of_name_or_metadata_leaves_the_copy)
{
    struct flow_client *other = flow_world_client(&world);
    uint8_t             uuid[16];

    chroma[1].records = chroma[0].records;
    fill(0);
    fill(1);
    write_delay_us = 20000;
    flow_client_printf(other,
                       "PUT " PATH "%s HTTP/1.1\r\nHost: chroma\r\nContent-Length: 2\r\n\r\n{}",
                       chroma[1].uuid);
    change(0, "{\"new_metadata\":{\"hnsw:space\":\"l2\"},\"new_name\":\"docs-9\","
              "\"new_configuration\":null}");
    for (unsigned i = 0; i < 2; i++) { /* one after the other */
        flow_world_run_ms(&world, 10 + 20 * i);
        expect_same(0);
        expect_same(1);
    }
    flow_world_run_ms(&world, 50);
    ck_assert_uint_eq(writer->answer_count, 1);
    ck_assert_uint_eq(other->answer_count, 1);
    expect_same(0);
    expect_same(1);
    ck_assert(bytes_equal(look(0).name, BYTES_LITERAL("docs-9")));
    ck_assert(bytes_equal(look(1).name, BYTES_LITERAL("docs-1")));
    ck_assert(mirror_names_find(world.proxy->mirror, BYTES_LITERAL("t/d/docs-9"), uuid));
    ck_assert_mem_eq(uuid, route_of(0).uuid, sizeof uuid);
    ck_assert(!mirror_names_find(world.proxy->mirror, BYTES_LITERAL("t/d/docs-0"), uuid));
    ck_assert(!mirror_names_find(world.proxy->mirror, BYTES_LITERAL("docs-9"), uuid));
    ck_assert(!mirror_names_find(world.proxy->mirror, BYTES_LITERAL("t/d/docs-90"), uuid));
    write_fault = FLOW_FAULT_RESET_AFTER;
    do_change(0, "{\"new_name\":\"docs-10\"}");
    expect_same(0);
    ck_assert_uint_eq(look(0).name.size, 0); /* it is not known which it has */
    ck_assert_uint_eq(lists, 2);
}
END_TEST

START_TEST(what_may_change_more_gives_up_the_copy)
{
    static const char *const bodies[] = {
        "{\"new_name\":\"docs-9\",\"new_configuration\":{}}", "{\"new_thing\":null}", "[]",
        "{\"new_metadata\":{\"x\":1}} 2", "{\"new_metadata\":{\"x\":01}}"};

    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        fill(0);
        do_change(0, bodies[i]);
        ck_assert_uint_eq(look(0).refills[MIRROR_REASON_CHANGED], i + 1);
    }
}
END_TEST

START_TEST(a_copy_goes_when_its_new_name_is_not_wanted)
{
    fill(0);
    do_change(0, "{\"new_name\":\"other\"}");
    chroma[0].name = "other";
    expect_none(0, true, "doubtful");
    note_read(0);
    flow_world_run_ms(&world, 5000);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
    ck_assert_uint_eq(descriptions, 1);
    do_change(0, "{\"new_name\":\"docs-\\u0039\"}");
    chroma[0].name = "docs-9";
    ck_assert(bytes_equal(look(0).name, BYTES_LITERAL("docs-9")));
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* The description was made before the change, and comes after it. */
START_TEST(a_description_does_not_bring_back_the_old_name)
{
    read_delay_us = 20000;
    reads_at_arrival = true;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS);
    while (descriptions == 0)
        flow_world_run_ms(&world, 1);
    do_change(0, "{\"new_name\":\"docs-9\"}");
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_LISTING);
    ck_assert_uint_eq(lists, 0);
    run_to_complete(0);
    ck_assert(bytes_equal(look(0).name, BYTES_LITERAL("docs-9")));
}
END_TEST

/* A renaming that was lost before the description is asked for may be applied after it. */
START_TEST(a_description_says_no_name_while_a_renaming_may_be_applied)
{
    upsert(0, "k0", "of a known dimension");
    read_fault = FLOW_FAULT_RESET_BEFORE;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 100); /* it has no answer, and waits */
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_LISTING);
    ck_assert_uint_eq(descriptions, 0);
    write_fault = FLOW_FAULT_RESET_BEFORE;
    do_change(0, "{\"new_name\":\"docs-late\"}");
    write_fault = read_fault = FLOW_FAULT_NONE;
    flow_world_run_ms(&world, 60000);
    ck_assert_uint_eq(descriptions, 0);
    chroma[0].name = "docs-late";
    run_to_complete(0);
    ck_assert(is_named(0, "docs-late"));
}
END_TEST

START_TEST(changes_do_not_make_the_pause_longer)
{
    for (unsigned i = 0; i < 5; i++) {
        fill(0);
        do_change(0, "{\"new_configuration\":{\"hnsw\":{\"ef_search\":200}}}");
        ck_assert_uint_le(look(0).retry_us, 1000000);
    }
}
END_TEST

START_TEST(others_may_have_written_beside_a_sidecar)
{
    struct reader reader;
    uint64_t      age_us;

    end();
    start(1, false);
    fill(0);
    expect_none(0, false, "sidecar");
    arrive(&reader, 0, true);
    ck_assert_int_eq(reader.status, STATUS_OK);
    ck_assert(!mirror_hold_is_complete(&reader.hold));
    age_us = mirror_hold_age_us(&reader.hold);
    ck_assert_uint_gt(age_us, 0);
    mirror_hold_release(&reader.hold);
    strcpy(chroma[0].records.list[2].document, "another's");
    for (unsigned i = 0; i < 20; i++) { /* it is made anew while it is read */
        flow_world_run_ms(&world, 1000);
        note_read(0);
        arrive(&reader, 0, true);
        ck_assert_int_eq(reader.status, STATUS_OK);
        ck_assert_uint_le(mirror_hold_age_us(&reader.hold), 17000000);
        if (i == 19)
            ck_assert(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[0].records));
        mirror_hold_release(&reader.hold);
    }
    ck_assert_uint_le(fake_mirror_copies.alive_peak, 2);
    read_fault = FLOW_FAULT_RESET_BEFORE; /* now it cannot be */
    flow_world_run_ms(&world, 31000);
    expect_none(0, true, "old");
}
END_TEST

START_TEST(what_nobody_reads_any_more_is_not_made_anew_beside_others)
{
    unsigned filled;

    end();
    start(1, false);
    fill(0);
    flow_world_run_ms(&world, 200 * 1000);
    ck_assert_uint_gt(lists, 5);
    flow_world_run_ms(&world, 200 * 1000); /* now it was read half a time in five minutes */
    filled = lists;
    flow_world_run_ms(&world, 200 * 1000);
    ck_assert_uint_eq(lists, filled);
    note_read(0);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(lists, filled + 1);
}
END_TEST

/* Milliseconds that a filling of twelve questions of 10 ms takes beside a reader that rests 20 ms
 * after each question, of others_us. */
static uint64_t fill_beside(uint64_t others_us)
{
    static const char *const names[] = {"docs-0"};
    struct flow_client      *reader = flow_world_client(&world);
    uint64_t                 began_us;

    options.collections = names;
    set_options();
    create();
    note_read(1); /* which is not copied */
    read_delay_us = 10000;
    write_delay_us = others_us; /* of what is no get, too */
    fake_mirror_copies.page_records = 1;
    flow_world_run_ms(&world, 60000);
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    began_us = clock_now_us();
    lists = pages = descriptions = 0;
    while (state_of(0) != MIRROR_ENTRY_COMPLETE) {
        size_t answers = reader->answer_count;

        flow_client_printf(reader, "GET " PATH "%s/count HTTP/1.1\r\nHost: chroma\r\n\r\n",
                           chroma[1].uuid);
        ck_assert(flow_world_run_to_answers(&world, reader, answers + 1));
        flow_world_run_ms(&world, 20);
        if (clock_now_us() - began_us < 200000) /* it is not known yet how much others do */
            ck_assert_uint_le(lists + pages + descriptions, 3);
    }
    return (clock_now_us() - began_us) / 1000;
}

/* All of its time where nobody uses it. */
START_TEST(filling_takes_no_rest_where_chroma_is_idle)
{
    uint64_t began_us;

    read_delay_us = 10000;
    note_read(0);
    began_us = clock_now_us() + SETTLE_MS * UINT64_C(1000);
    run_to_complete(0);
    ck_assert_uint_lt(clock_now_us() - began_us, 200000);
}
END_TEST

/* A tenth where others use it much. */
START_TEST(filling_leaves_chroma_to_others)
{
    ck_assert_uint_ge(fill_beside(20000), 1100);
    ck_assert_uint_le(fill_beside(20000), 1600);
}
END_TEST

START_TEST(filling_takes_half_of_what_others_leave_idle)
{
    ck_assert_uint_le(fill_beside(1000), 550);
}
END_TEST

/* Which take 10 ms each, whatever they hold: too long beside others, and just right without. */
START_TEST(pages_are_short_beside_others)
{
    (void)fill_beside(1000);
    ck_assert_uint_eq(fake_mirror_copies.page_bytes, 64 << 10);
    ck_assert_int_eq(mirror_keeper_drop(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    flow_world_run_ms(&world, 60000);
    read_delay_us = _i == 0 ? 10000 : 9000;
    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    run_to_complete(0);
    ck_assert_uint_eq(fake_mirror_copies.page_bytes, _i == 0 ? 64 << 10 : 1 << 20);
}
END_TEST

/* Nobody knows how long it will be. */
START_TEST(filling_leaves_chroma_to_a_long_call)
{
    struct flow_client *client = flow_world_client(&world);
    uint64_t            began_us;

    read_delay_us = 10000;
    fake_mirror_copies.page_records = 1;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS - 200);
    write_delay_us = 20000000;
    flow_client_printf(client,
                       "GET " PATH "%s/count HTTP/1.1\r\nHost: chroma\r\n"
                       "Cache-Control: no-store\r\n\r\n", /* no copy overtakes it */
                       chroma[1].uuid);
    flow_world_run_ms(&world, 100);
    write_delay_us = 1000;
    began_us = clock_now_us();
    run_to_complete(0);
    ck_assert_uint_eq(client->answer_count, 0);
    ck_assert_uint_ge(clock_now_us() - began_us, 1100000);
}
END_TEST

/* ---- Deletes by a filter -------------------------------------------------------------------- */

/* Of twenty records, ten of which a filter takes, some are not read yet. */
static void begin_to_fill(void)
{
    char id[20];

    for (unsigned i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "x%u", i);
        fake_records_append(&chroma[0].records, id, "first");
    }
    fake_mirror_copies.page_records = 1;
    read_delay_us = 5000;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS);
    for (unsigned i = 0; pages < 3 && i < 1000; i++)
        flow_world_run_ms(&world, 1);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_FILLING);
    ck_assert_uint_gt(look(0).hollow, 10);
}

static const char by_filter[] = "{\"where\":{\"a\":1}}";

START_TEST(a_delete_by_a_filter_does_not_begin_a_filling_anew)
{
    begin_to_fill();
    do_write(0, "delete", by_filter, 200);
    ck_assert_uint_eq(asks, 1);
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(look(0).records, 10);
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_eq(fake_mirror_copies.deletes_found, 1);
    upsert(0, "x1", "again"); /* and one that is whole knows by itself */
    do_write(0, "delete", by_filter, 200);
    expect_same(0);
    ck_assert_uint_eq(asks, 1);
    ck_assert_uint_eq(look(0).fills, 1);
}
END_TEST

START_TEST(a_filter_that_a_copy_does_not_read_is_asked)
{
    upsert(0, "x1", "a");
    fill(0);
    do_write(0, "delete", "{\"where_document\":{\"$regex\":\"x\"}}", 200);
    expect_same(0);
    ck_assert_uint_eq(asks, 1);
    ck_assert_uint_eq(look(0).records, 10);
    do_write(0, "delete", "{\"ids\":[\"k1\"]}", 200);
    expect_same(0);
    ck_assert_uint_eq(asks, 1);
}
END_TEST

START_TEST(what_a_delete_takes_beside_what_was_found_gives_up_the_copy)
{
    begin_to_fill();
    between = "x-other";
    do_write(0, "delete", by_filter, 200);
    between = NULL;
    flow_world_run_ms(&world, 50);
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNREADABLE], 1);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* It waits for a second, and is Chroma's whatever the copy knows. */
START_TEST(a_delete_is_sent_if_nobody_says_what_it_takes)
{
    uint64_t began_us;

    begin_to_fill();
    read_delay_us = 30000000;
    began_us = clock_now_us();
    do_write(0, "delete", by_filter, 200);
    ck_assert_uint_ge(clock_now_us() - began_us, 1000000);
    ck_assert_uint_le(clock_now_us() - began_us, 1200000);
    ck_assert_uint_eq(chroma[0].records.count, 10);
    read_delay_us = 1000;
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNREADABLE], 1);
}
END_TEST

START_TEST(a_delete_is_sent_if_chroma_does_not_say_what_it_takes)
{
    begin_to_fill();
    chroma_wants_credentials = true;
    do_write(0, "delete", by_filter, 200);
    ck_assert_uint_eq(chroma[0].records.count, 10);
}
END_TEST

/* Its client's deadline is not spent on a question. */
START_TEST(a_delete_whose_deadline_is_near_is_sent_at_once)
{
    begin_to_fill();
    world.proxy->options.deadline_write_us = 1500000;
    do_write(0, "delete", by_filter, 200);
    ck_assert_uint_eq(asks, 0);
    ck_assert_uint_eq(chroma[0].records.count, 10);
}
END_TEST

/* Many collections may have one at a time, with an answer of megabytes each. */
START_TEST(where_memory_is_short_a_delete_is_sent_at_once)
{
    struct memory_account *account = &world.proxy->budget->accounts[MEMORY_ACCOUNT_MIRROR];
    size_t                 rest;

    begin_to_fill();
    rest = (size_t)(world.proxy->budget->max - world.proxy->budget->used) - (4 << 20);
    memory_account_charge(account, rest);
    do_write(0, "delete", by_filter, 200);
    ck_assert_uint_eq(asks, 0);
    ck_assert_uint_eq(chroma[0].records.count, 10);
    memory_account_release(account, rest);
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* What comes after it stays after it. */
START_TEST(writes_behind_a_delete_wait_for_its_question)
{
    struct flow_client *other = flow_world_client(&world);

    begin_to_fill();
    read_delay_us = 50000;
    send_write(writer, 0, "delete", by_filter);
    flow_world_run_ms(&world, 10);
    send_write(other, 0, "upsert",
               "{\"ids\":[\"x1\"],\"embeddings\":[[1,2]],\"documents\":[\"after\"]}");
    ck_assert(flow_world_run_to_answers(&world, other, 1));
    ck_assert_uint_eq(writer->answer_count, 1);
    ck_assert_uint_eq(asks, 1);
    ck_assert_ptr_nonnull(fake_records_find(&chroma[0].records, "x1"));
    ck_assert_uint_eq(chroma[0].records.count, 11);
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(lists, 1);
}
END_TEST

/* Without a word on what it would have taken. */
START_TEST(a_delete_that_takes_nothing_changes_nothing)
{
    begin_to_fill();
    do_write(0, "delete", by_filter, 200);
    run_to_complete(0);
    chroma_wants_credentials = true; /* it cannot be asked */
    do_write(0, "delete", "{\"where_document\":{\"$regex\":\"x\"}}", 200);
    expect_same(0);
}
END_TEST

/* Fill it anew, until its ids are being listed. */
static void begin_to_list(void)
{
    unsigned settled = settles + 1;

    ck_assert_int_eq(mirror_keeper_fill(world.proxy->mirror, route_of(0).uuid), STATUS_OK);
    read_delay_us = 100000;
    lists = 0;
    for (unsigned i = 0; i < 2000 && (settles < settled || world.backend.busy == 0); i++)
        flow_world_run_ms(&world, 1);
    ck_assert_uint_eq(settles, settled);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_LISTING);
}

START_TEST(a_delete_that_takes_nothing_does_not_cross_a_list)
{
    fill(0);
    begin_to_list();
    do_write(0, "delete", "{\"limit\":9}", 200);
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(lists, 1);
}
END_TEST

START_TEST(a_delete_that_ends_after_a_list_crosses_it)
{
    fill(0);
    begin_to_list();
    write_delay_us = 500000;
    do_write(0, "delete", "{\"ids\":[\"k2\"]}", 200);
    ck_assert_uint_eq(lists, 1);
    run_to_complete(0);
    expect_same(0);
    ck_assert_uint_eq(lists, 2);
}
END_TEST

/* ---- The last records ----------------------------------------------------------------------- */

/* The same records are written without a pause: two clients, of which always one has a write under
 * way. Until the copy is complete, or so many pages were asked for. The longest time that a write
 * took, and how many took longer than 200 ms. */
static struct {
    uint64_t longest_us;
    unsigned long_ones, writes;
} without_pause;

/* Until the write of `other`, its `count`th, is answered. */
static void write_one_of_two(struct flow_client *client, struct flow_client *other, size_t count)
{
    uint64_t began_us = clock_now_us();
    char     body[200];

    snprintf(
        body, sizeof body,
        "{\"ids\":[\"k2\",\"k5\"],\"embeddings\":[[1,2],[3,4]],\"documents\":[\"a%u\",\"b%u\"]}",
        without_pause.writes, without_pause.writes);
    without_pause.writes++;
    send_write(client, 0, "update", body);
    ck_assert(flow_world_run_to_answers(&world, other, count));
    if (clock_now_us() - began_us > without_pause.longest_us)
        without_pause.longest_us = clock_now_us() - began_us;
    without_pause.long_ones += clock_now_us() - began_us > 200000;
}

static void write_without_pause(unsigned pages_most, unsigned writes_most)
{
    unsigned asked = pages;

    memset(&without_pause, 0, sizeof without_pause);
    while (state_of(0) != MIRROR_ENTRY_COMPLETE && pages < asked + pages_most &&
           without_pause.writes < writes_most) {
        struct flow_client *one = flow_world_client(&world), *two = flow_world_client(&world);

        send_write(two, 0, "update",
                   "{\"ids\":[\"k2\"],\"embeddings\":[[1,2]],\"documents\":[\"first\"]}");
        for (size_t i = 1; i < FLOW_CLIENT_ANSWERS_MAX - 2; i++) {
            write_one_of_two(one, two, i);
            write_one_of_two(two, one, i);
            if (state_of(0) == MIRROR_ENTRY_COMPLETE || pages >= asked + pages_most) {
                ck_assert(flow_world_run_to_answers(&world, two, i + 1));
                break;
            }
        }
    }
}

START_TEST(writes_to_the_same_records_do_not_keep_a_copy_from_being_filled)
{
    flow_world_run_ms(&world, SETTLE_MS);
    note_read(0);
    write_without_pause(100, 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_COMPLETE);
    ck_assert_uint_lt(without_pause.longest_us, 10000);
    expect_same(0);
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNREADABLE], 0);
    ck_assert_uint_eq(lists, 1);
}
END_TEST

/* Beside so many pages was a write; the next one is asked for in the lane. */
enum { PAGES_IN_VAIN = 3 };

START_TEST(a_write_waits_for_the_last_records_for_a_moment)
{
    flow_world_run_ms(&world, SETTLE_MS);
    note_read(0);
    write_without_pause(PAGES_IN_VAIN, 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_FILLING);
    read_delay_us = 5000000;
    write_without_pause(100, 2000);
    ck_assert_uint_ge(without_pause.longest_us, 250000);
    ck_assert_uint_le(without_pause.longest_us, 300000);
    ck_assert_uint_eq(without_pause.long_ones, 1);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_FILLING);
    read_delay_us = 1000;
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(the_last_records_do_not_wait_for_a_write)
{
    flow_world_run_ms(&world, SETTLE_MS);
    note_read(0);
    write_without_pause(PAGES_IN_VAIN, 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_FILLING);
    flow_world_run_ms(&world, 1000);
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_COMPLETE);
    expect_same(0);
}
END_TEST

/* ---- Writes while it is filled -------------------------------------------------------------- */

enum { WRITERS = 4, writes_before = 40, writes_after = 20 };

static struct writing {
    struct flow_client *client;
    size_t              sent, number;
} writings[WRITERS];

/* Ids of each writer, so that it knows what it has written. */
static void write_at_random(struct writing *writing)
{
    static const char *const operations[] = {"add", "upsert", "upsert", "update", "delete"};
    const char              *operation = operations[fake_loop_random(COUNT_OF(operations))];
    char                     body[200];
    unsigned                 id = fake_loop_random(6);

    writing->number = (size_t)(writing - writings);
    if (strcmp(operation, "delete") == 0 && fake_loop_chance(50))
        snprintf(body, sizeof body, "%s", by_filter);
    else if (strcmp(operation, "delete") == 0)
        snprintf(body, sizeof body, "{\"ids\":[\"k%u\",\"c%zu-%u\"]}", fake_loop_random(10),
                 writing->number, id);
    else
        snprintf(body, sizeof body,
                 "{\"ids\":[\"%c%zu-%u\",\"k%u\"],\"embeddings\":[[1,2],[3,4]],\"documents\":"
                 "[\"v%u\",\"v%u\"]}",
                 fake_loop_chance(30) ? 'x' : 'c', writing->number, id, fake_loop_random(10),
                 fake_loop_random(1000000), fake_loop_random(1000000));
    send_write(writing->client, 0, operation, body);
    writing->sent++;
}

static void random_run(uint64_t seed)
{
    struct reader reader;

    start(seed, true);
    fake_mirror_copies.page_records = 1 + fake_loop_random(4);
    delay_random_us = 1 + fake_loop_random(8000);
    reads_at_arrival = fake_loop_chance(50);
    if (fake_loop_chance(50))
        world.proxy->options.deadline_read_us = 2000000;
    flow_world_run_ms(&world, SETTLE_MS);
    for (size_t i = 0; i < WRITERS; i++)
        writings[i] = (struct writing){.client = flow_world_client(&world)};
    for (unsigned i = 0; i < 400; i++) {
        struct writing *writing = &writings[fake_loop_random(WRITERS)];

        if (i % 10 == 0)
            note_read(0);
        if (writing->client->answer_count == writing->sent && writing->sent < writes_before)
            write_at_random(writing);
        flow_world_run_ms(&world, fake_loop_random(8));
        if (fake_loop_chance(5))
            mirror_keeper_note_answer(world.proxy->mirror, route_of(0).uuid);
    }
    for (size_t i = 0; i < WRITERS; i++)
        ck_assert(flow_world_run_to_answers(&world, writings[i].client, writings[i].sent));
    run_to_complete(0);
    arrive(&reader, 0, false);
    ck_assert(may_read(&reader));
    ck_assert_msg(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[0].records),
                  "seed %llu", (unsigned long long)seed);
    mirror_hold_release(&reader.hold);
    for (unsigned i = 0; i < writes_after; i++) { /* and as it is kept */
        struct writing *writing = &writings[i % WRITERS];

        write_at_random(writing);
        ck_assert(flow_world_run_to_answers(&world, writing->client, writing->sent));
        arrive(&reader, 0, false);
        ck_assert(may_read(&reader));
        ck_assert_msg(fake_mirror_copy_is(mirror_hold_copy(&reader.hold), &chroma[0].records),
                      "seed %llu", (unsigned long long)seed);
        mirror_hold_release(&reader.hold);
    }
    ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNREADABLE], 0);
    end();
}

/* It was sent after the list, and is known when the page is under way, or is applied, or is. */
START_TEST(a_write_beside_the_last_page_is_in_the_copy_before_it_is_complete)
{
    for (uint64_t write_us = 500; write_us < 20000; write_us += 500) {
        end();
        start(write_us, true);
        fake_mirror_copies.page_records = 10;
        note_read(0);
        flow_world_run_ms(&world, SETTLE_MS - 10);
        while (lists == 0)
            fake_loop_run_for(world.loop, 100);
        write_delay_us = write_us;
        send_write(writer, 0, "update",
                   "{\"ids\":[\"k9\"],\"embeddings\":[[1,2]],\"documents\":[\"second\"]}");
        run_to_complete(0);
        ck_assert(flow_world_run_to_answers(&world, writer, 1));
        expect_same(0);
        ck_assert_uint_eq(look(0).refills[MIRROR_REASON_UNREADABLE], 0);
        ck_assert_uint_eq(look(0).refills[MIRROR_REASON_ANSWER], 0);
        ck_assert_uint_eq(lists, 1);
    }
}
END_TEST

START_TEST(a_copy_that_is_filled_while_writes_pass_is_what_chroma_holds)
{
    const char *more = getenv("FLOW_MIRROR_SEEDS");
    unsigned    seeds = more == NULL ? 30 : (unsigned)atoi(more);

    end();
    for (unsigned seed = 1; seed <= seeds; seed++)
        random_run(seed);
    begin();
}
END_TEST

/* Wherever it is, nothing is left. */
START_TEST(the_end_comes_at_any_time)
{
    for (uint64_t seed = 1; seed < 80; seed++) {
        end();
        start(seed, true);
        delay_random_us = 5000;
        note_read(0);
        flow_world_run_ms(&world, SETTLE_MS);
        send_write(writer, 0, "upsert",
                   "{\"ids\":[\"k1\"],\"embeddings\":[[1,2]],\"documents\":[\"second\"]}");
        fake_loop_run_for(world.loop, fake_loop_random(40000));
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_copy_is_filled_and_kept);
    tcase_add_test(tcase, what_a_worker_has_made_of_a_copy_is_known_when_it_is_done);
    tcase_add_test(tcase, what_only_the_next_write_shows_is_in_a_copy);
    tcase_add_test(tcase, a_write_that_settles_and_is_refused_has_shown_nothing);
    tcase_add_test(tcase, a_copy_waits_for_the_write_that_settles);
    tcase_add_test(tcase, a_write_that_settles_and_hangs_is_not_waited_for);
    tcase_add_test(tcase, a_write_that_settles_is_none_before_its_turn);
    tcase_add_test(tcase, where_others_write_nothing_is_settled);
    tcase_add_test(tcase, nothing_is_begun_while_writes_of_a_process_before_may_come);
    tcase_add_test(tcase, the_count_of_a_delete_decides);
    tcase_add_test(tcase, a_reader_waits_for_what_was_answered_before_it_came);
    tcase_add_test(tcase, who_waits_for_a_copy_that_is_given_up_is_told);
    tcase_add_test(tcase, what_is_read_stays_when_its_copy_is_given_up);
    tcase_add_test(tcase, no_reader_sees_the_new_and_then_the_old);
    tcase_add_test(tcase, a_list_that_a_delete_has_crossed_is_asked_again);
    tcase_add_test(tcase, an_unknown_outcome_gives_up_the_copy_until_it_is_settled);
    tcase_add_test(tcase, what_may_lack_something_answers_only_where_that_is_allowed);
    tcase_add_test(tcase, nothing_of_another_chroma_answers_although_it_may_lack_something);
    tcase_add_test(tcase, only_a_collection_that_is_searched_as_it_says_is_copied);
    tcase_add_test(tcase, the_space_of_an_empty_collection_is_asked_when_it_has_records);
    tcase_add_test(tcase, without_lanes_nothing_is_copied);
    tcase_add_test(tcase, nothing_is_asked_in_a_pause);
    tcase_add_test(tcase, a_creation_of_unknown_outcome_leaves_the_copies);
    tcase_add_test(tcase, a_place_that_chroma_does_not_confirm_is_none);
    tcase_add_test(tcase, a_complete_copy_outlives_its_chroma);
    tcase_add_test(tcase, a_chroma_that_was_started_again_is_another_one_before_it_answers);
    tcase_add_test(tcase, off_costs_nothing);
    tcase_add_test(tcase, turned_off_all_copies_go);
    tcase_add_test(tcase, what_does_not_fit_is_stopped);
    tcase_add_loop_test(tcase, what_would_be_taken_is_known_before_it_is_begun, 0, 2);
    tcase_add_test(tcase, what_is_not_known_is_asked_again_a_minute_later);
    tcase_add_loop_test(tcase, what_will_not_fit_is_not_filled, 0, 5);
    tcase_add_test(tcase, the_coldest_goes_when_not_all_fit);
    tcase_add_test(tcase, several_are_kept_side_by_side);
    tcase_add_test(tcase, only_names_that_are_wanted_are_copied);
    tcase_add_test(tcase, where_a_function_is_attached_nothing_is_copied);
    tcase_add_test(tcase, a_collection_is_known_by_name_when_it_was_created);
    tcase_add_test(tcase, a_name_that_nobody_has_used_is_looked_up);
    tcase_add_test(tcase, why_a_name_is_not_known_is_said);
    tcase_add_test(tcase, a_name_that_changes_while_it_is_looked_up_is_not_believed);
    tcase_add_test(tcase, chroma_is_not_asked_for_a_name_that_its_creation_said);
    tcase_add_test(tcase, beginning_again_backs_off);
    tcase_add_test(tcase, a_page_without_an_answer_is_asked_again);
    tcase_add_test(tcase, a_chroma_that_is_down_is_left_alone);
    tcase_add_test(tcase, a_chroma_that_answers_again_is_asked_although_nobody_does);
    tcase_add_test(tcase, a_chroma_that_fails_is_left_alone);
    tcase_add_test(tcase, credentials_and_other_chromas_stop_it);
    tcase_add_test(tcase, a_schema_of_the_user_s_is_not_copied);
    tcase_add_test(tcase, what_was_listed_and_is_gone_ends_the_filling);
    tcase_add_test(tcase, writes_that_never_end_do_not_keep_a_copy_from_being_filled);
    tcase_add_test(tcase, a_long_write_is_taken_over_and_not_copied);
    tcase_add_test(tcase, an_answer_for_which_memory_is_out_is_asked_for_again);
    tcase_add_test(tcase, a_pause_waits_for_the_questions_of_a_filling);
    tcase_add_test(tcase, a_pause_waits_for_a_page_that_is_verified);
    tcase_add_test(tcase, a_copy_that_differs_is_made_anew);
    tcase_add_test(tcase, a_collection_that_is_made_again_is_another_one);
    tcase_add_test(tcase, a_change_of_the_collection_gives_up_its_copy);
    tcase_add_test(tcase, a_change_of_name_or_metadata_leaves_the_copy);
    tcase_add_test(tcase, what_may_change_more_gives_up_the_copy);
    tcase_add_test(tcase, a_copy_goes_when_its_new_name_is_not_wanted);
    tcase_add_test(tcase, a_description_does_not_bring_back_the_old_name);
    tcase_add_test(tcase, a_description_says_no_name_while_a_renaming_may_be_applied);
    tcase_add_test(tcase, changes_do_not_make_the_pause_longer);
    tcase_add_test(tcase, others_may_have_written_beside_a_sidecar);
    tcase_add_test(tcase, what_nobody_reads_any_more_is_not_made_anew_beside_others);
    tcase_add_test(tcase, filling_takes_no_rest_where_chroma_is_idle);
    tcase_add_test(tcase, filling_leaves_chroma_to_others);
    tcase_add_test(tcase, filling_takes_half_of_what_others_leave_idle);
    tcase_add_loop_test(tcase, pages_are_short_beside_others, 0, 2);
    tcase_add_test(tcase, filling_leaves_chroma_to_a_long_call);
    tcase_add_test(tcase, a_delete_by_a_filter_does_not_begin_a_filling_anew);
    tcase_add_test(tcase, a_filter_that_a_copy_does_not_read_is_asked);
    tcase_add_test(tcase, what_a_delete_takes_beside_what_was_found_gives_up_the_copy);
    tcase_add_test(tcase, a_delete_is_sent_if_nobody_says_what_it_takes);
    tcase_add_test(tcase, a_delete_is_sent_if_chroma_does_not_say_what_it_takes);
    tcase_add_test(tcase, a_delete_whose_deadline_is_near_is_sent_at_once);
    tcase_add_test(tcase, where_memory_is_short_a_delete_is_sent_at_once);
    tcase_add_test(tcase, writes_behind_a_delete_wait_for_its_question);
    tcase_add_test(tcase, a_delete_that_takes_nothing_changes_nothing);
    tcase_add_test(tcase, a_delete_that_takes_nothing_does_not_cross_a_list);
    tcase_add_test(tcase, a_delete_that_ends_after_a_list_crosses_it);
    tcase_add_test(tcase, writes_to_the_same_records_do_not_keep_a_copy_from_being_filled);
    tcase_add_test(tcase, a_write_waits_for_the_last_records_for_a_moment);
    tcase_add_test(tcase, the_last_records_do_not_wait_for_a_write);
    tcase_add_test(tcase, a_write_beside_the_last_page_is_in_the_copy_before_it_is_complete);
    tcase_add_test(tcase, a_copy_that_is_filled_while_writes_pass_is_what_chroma_holds);
    tcase_add_test(tcase, the_end_comes_at_any_time);
    return check_main("flow_mirror", tcase);
}
