#include "flow/mirror_world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "calls/proxy_state.h"
#include "copies/mirror_names.h"
#include "flow/fake_mirror_copy.h"
#include "io/clock.h"

struct chroma_collection chroma[COLLECTIONS];
bool                     chroma_wants_credentials, chroma_is_old, reads_at_arrival;
bool                     names_are_read;
uint64_t                 read_delay_us, write_delay_us;
unsigned                 delay_random_us;
enum flow_fault          write_fault, read_fault;
size_t                   padding;
unsigned                 write_status;
unsigned                 lists, pages, descriptions, settles, asks, counts;
const char              *between;
const char              *schema, *place, *space;
const char              *distance;

struct flow_world           world;
size_t                      world_connections;
struct flow_client         *writer;
struct proxy_mirror_options options;

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

void on_request(struct flow_backend *backend, const char *target, struct bytes body, bool is_due,
                struct flow_plan *plan, struct byte_buffer *answer, void *ctx)
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

struct chroma_route route_of(size_t collection)
{
    static char         target[COLLECTIONS][200];
    struct chroma_route route;

    snprintf(target[collection], sizeof target[collection], PATH "%s/get", chroma[collection].uuid);
    chroma_route_find(BYTES_LITERAL("POST"), bytes_of(target[collection]), &route);
    ck_assert(route.has_uuid);
    return route;
}

void note_read(size_t collection)
{
    struct chroma_route route = route_of(collection);

    mirror_keeper_note_read(world.proxy->mirror, &route);
}

void set_backend(uint64_t incarnation)
{
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = world.family,
                                                           .batch_records_max = 5461,
                                                           .incarnation = incarnation});
}

void set_options(void)
{
    ck_assert_int_eq(proxy_set_mirror(world.proxy, &options), STATUS_OK);
}

void start_as(uint64_t seed, bool is_gateway, bool is_supervised)
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

void start(uint64_t seed, bool is_gateway)
{
    start_as(seed, is_gateway, false);
}

void begin(void)
{
    start(1, true);
}

void end(void)
{
    flow_world_end(&world);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
}

void send_write(struct flow_client *client, size_t collection, const char *operation,
                const char *body)
{
    flow_client_printf(client,
                       "POST " PATH "%s/%s HTTP/1.1\r\nHost: chroma\r\nContent-Type: "
                       "application/json\r\nContent-Length: %zu\r\n\r\n",
                       chroma[collection].uuid, operation, strlen(body));
    flow_client_send(client, body);
}

void do_write(size_t collection, const char *operation, const char *body, unsigned status)
{
    size_t answers = writer->answer_count;

    send_write(writer, collection, operation, body);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    ck_assert_uint_eq(writer->answers[answers].status, status);
}

void upsert(size_t collection, const char *id, const char *document)
{
    char body[200];

    snprintf(body, sizeof body, "{\"ids\":[\"%s\"],\"embeddings\":[[1,2]],\"documents\":[\"%s\"]}",
             id, document);
    do_write(collection, "upsert", body, 200);
}

void create(void)
{
    size_t answers = writer->answer_count;

    flow_client_send(writer, "POST /api/v2/tenants/t/databases/d/collections HTTP/1.1\r\nHost: "
                             "chroma\r\nContent-Length: 17\r\n\r\n{\"name\":\"docs-0\"}");
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    ck_assert_uint_eq(writer->answers[answers].status, 200);
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

struct mirror_entry_info look(size_t collection)
{
    struct looked looked = {.is_there = false};

    ck_assert(chroma_route_parse_uuid(bytes_of(chroma[collection].uuid), looked.uuid));
    mirror_keeper_each(world.proxy->mirror, look_at, &looked);
    return looked.info;
}

enum mirror_entry_state state_of(size_t collection)
{
    return look(collection).state;
}

bool is_named(size_t collection, const char *name)
{
    uint8_t      uuid[16];
    struct scope found;
    struct bytes called;

    ck_assert(chroma_route_parse_uuid(bytes_of(chroma[collection].uuid), uuid));
    return mirror_names_of(world.proxy->mirror, uuid, &found, &called) &&
           bytes_equal(called, bytes_of(name)) && bytes_equal(found.tenant, BYTES_LITERAL("t")) &&
           bytes_equal(found.database, BYTES_LITERAL("d"));
}

static bool is_complete(void *ctx)
{
    return state_of(*(size_t *)ctx) == MIRROR_ENTRY_COMPLETE;
}

void run_to_complete(size_t collection)
{
    ck_assert(fake_loop_run_until(world.loop, is_complete, &collection,
                                  clock_now_us() + 300 * UINT64_C(1000000)));
}

void fill(size_t collection)
{
    note_read(collection);
    run_to_complete(collection);
}

static void on_ready(struct mirror_hold *hold, bool may_read)
{
    struct reader *reader = CONTAINER_OF(hold, struct reader, hold);

    reader->is_told = true;
    reader->may_read = may_read;
}

void arrive(struct reader *reader, size_t collection, bool is_fallback)
{
    struct chroma_route route = route_of(collection);

    *reader = (struct reader){.hold.on_ready = on_ready};
    reader->status = mirror_keeper_hold(world.proxy->mirror, route.uuid, is_fallback, &reader->hold,
                                        &reader->reason);
    reader->may_read = reader->status == STATUS_OK;
}

void arrive_for_long(struct reader *reader)
{
    *reader = (struct reader){.hold = {.is_long = true, .on_ready = on_ready}};
    reader->status = mirror_keeper_hold(world.proxy->mirror, route_of(0).uuid, false, &reader->hold,
                                        &reader->reason);
    reader->may_read = reader->status == STATUS_OK;
}

bool may_read(struct reader *reader)
{
    if (reader->status == STATUS_AGAIN && !reader->is_told)
        flow_world_run_ms(&world, 50);
    return reader->may_read;
}

void expect_same(size_t collection)
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

void expect_none(size_t collection, bool is_fallback, const char *reason)
{
    struct reader reader;

    arrive(&reader, collection, is_fallback);
    ck_assert_int_eq(reader.status, STATUS_NOT_FOUND);
    ck_assert_str_eq(reader.reason, reason);
    ck_assert_ptr_null(reader.hold.queue);
}
