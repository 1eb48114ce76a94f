#include "flow/mirror_path_world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "calls/proxy_state.h"
#include "copies/mirror_keeper.h"
#include "flow/fake_mirror_copy.h"
#include "io/clock.h"
#include "proxy/mirror_delay.h"

struct fake_records    chroma;
bool                   exists;
unsigned               reads;
uint64_t               read_delay_us, write_delay_us;
enum flow_fault        read_fault;
static enum flow_fault write_fault;
unsigned               read_status;
size_t                 read_padding;
unsigned               other_status;

struct flow_world           world;
struct proxy_mirror_options options;

static void append(struct byte_buffer *out, const char *text)
{
    ck_assert_int_eq(byte_buffer_append(out, bytes_of(text), SIZE_MAX), STATUS_OK);
}

static bool is_client_s(struct bytes body)
{
    return body.size > 0 && memmem(body.data, body.size, "client", 6) != NULL;
}

static void answer_get(struct bytes body, struct byte_buffer *answer)
{
    fake_records_get(&chroma, body, answer);
    for (size_t i = 0; i < read_padding && is_client_s(body); i++)
        append(answer, " ");
}

static void on_request(struct flow_backend *backend, const char *target, struct bytes body,
                       bool is_due, struct flow_plan *plan, struct byte_buffer *answer, void *ctx)
{
    const char *operation = strrchr(target, '/') + 1;
    bool        is_read = strcmp(operation, "get") == 0;

    (void)backend;
    (void)ctx;
    plan->is_bare = true;
    plan->fields = "Content-Type: application/json\r\n";
    if (!is_due && is_client_s(body)) {
        plan->delay_us = is_read ? read_delay_us : write_delay_us;
        plan->fault = is_read ? read_fault : write_fault;
        plan->status = is_read ? read_status : 0;
        reads += is_read;
    }
    if (strstr(target, UUID) == NULL || !exists)
        plan->status = exists ? other_status : 404;
    else if (is_read && !is_due)
        answer_get(body, answer);
    else if (strstr(target, "/by-id/") != NULL && !is_due)
        append(answer, "{\"id\":\"" UUID "\",\"name\":\"docs\",\"configuration_json\":{\"hnsw\":{"
                       "\"space\":\"cosine\"}},\"schema\":null,\"metadata\":null,\"dimension\":2,"
                       "\"tenant\":\"t\",\"database\":\"d\",\"log_position\":0,\"version\":0}");
    else if (!is_read && is_due && strstr(target, "/by-id/") == NULL) {
        fake_records_write(&chroma, operation, body);
        append(answer, "{}");
    }
}

void set_mode(enum proxy_mirror_mode mode)
{
    options.mode = mode;
    ck_assert_int_eq(proxy_set_mirror(world.proxy, &options), STATUS_OK);
}

void prepare(void)
{
    static const char *const names[] = {"docs"};

    flow_world_begin(&world, 1);
    world.write_options.is_gateway = true;
    world.write_options.is_supervised = false;
    world.backend.on_request = on_request;
    memset(&chroma, 0, sizeof chroma);
    memset(&fake_mirror_copies, 0, sizeof fake_mirror_copies);
    fake_mirror_copies.page_records = 100;
    for (size_t i = 0; i < 3; i++) {
        char id[FAKE_RECORDS_TEXT];

        snprintf(id, sizeof id, "k%zu", i);
        fake_records_append(&chroma, id, "first");
    }
    exists = true;
    other_status = 404;
    read_delay_us = write_delay_us = 1000;
    read_fault = write_fault = FLOW_FAULT_NONE;
    reads = read_status = 0;
    read_padding = 0;
    options = (struct proxy_mirror_options){.collections = names,
                                            .collection_count = 1,
                                            .memory_max = 1 << 20,
                                            .disk_max = 1 << 20,
                                            .directory = "/nowhere",
                                            .max_age_us = 30000000,
                                            .trust_us = 300000000};
}

bool is_complete(void *ctx)
{
    struct mirror_keeper_usage usage = mirror_keeper_usage(world.proxy->mirror);

    (void)ctx;
    return usage.complete == 1;
}

void run_to_complete(void)
{
    ck_assert(fake_loop_run_until(world.loop, is_complete, NULL,
                                  clock_now_us() + 60 * UINT64_C(1000000)));
}

void set_backend(uint64_t incarnation)
{
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = world.family,
                                                           .batch_records_max = 5461,
                                                           .incarnation = incarnation});
}

void send_get(struct flow_client *client, const char *fields)
{
    static const char body[] = "{\"client\":1}";

    flow_client_printf(client,
                       "POST " PATH "/get HTTP/1.1\r\nHost: chroma\r\n%sContent-Length: %zu\r\n\r\n"
                       "%s",
                       fields, sizeof body - 1, body);
}

void send_upsert(struct flow_client *client, const char *document)
{
    char body[200];

    snprintf(body, sizeof body,
             "{\"ids\":[\"k1\"],\"embeddings\":[[1,2]],\"documents\":[\"%s\"],\"client\":1}",
             document);
    flow_client_printf(client,
                       "POST " PATH "/upsert HTTP/1.1\r\nHost: chroma\r\n" JSON
                       "Content-Length: %zu\r\n\r\n%s",
                       strlen(body), body);
}

struct flow_client *ask(const char *fields)
{
    struct flow_client *client = flow_world_client(&world);

    send_get(client, fields);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    return client;
}

bool is_mirrored(struct flow_client *client)
{
    return client->answer_count == 1 &&
           strstr(flow_client_head(client, 0), "X-Chromabouncer-Source: mirror\r\n") != NULL;
}

void expect_body(struct flow_client *client)
{
    struct byte_buffer expected = {0};

    flow_world_expect(client, 200);
    fake_records_get(&chroma, BYTES_LITERAL("{\"client\":1}"), &expected);
    ck_assert(
        bytes_equal(byte_buffer_bytes(&client->answers[0].body), byte_buffer_bytes(&expected)));
    byte_buffer_done(&expected);
}

void expect_mirror(struct flow_client *client)
{
    const char *head = flow_client_head(client, 0);

    ck_assert(is_mirrored(client));
    ck_assert_ptr_nonnull(strstr(head, "X-Chromabouncer-Mirror: age=0; complete=yes\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "content-type: application/json\r\n"));
    ck_assert_ptr_null(strstr(head, "Cache-Status"));
    expect_body(client);
}

void expect_chroma(struct flow_client *client)
{
    flow_world_expect(client, 200);
    ck_assert_ptr_nonnull(
        strstr(flow_client_head(client, 0), "X-Chromabouncer-Source: backend\r\n"));
}

void start_in(enum proxy_mirror_mode mode)
{
    flow_world_start(&world);
    set_backend(1);
    set_mode(mode);
    flow_world_run_ms(&world, 10001);
    expect_chroma(ask(JSON));
    run_to_complete();
    reads = 0;
}

void learn_delay(void)
{
    for (unsigned i = 0; i < MIRROR_DELAY_COUNT_MIN + 20; i++)
        expect_chroma(ask(JSON));
    reads = 0;
}

void end(void)
{
    flow_world_end(&world);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
}

unsigned metric(const char *name)
{
    struct byte_buffer page = {0};
    const char        *at;
    unsigned           value = 0;

    ck_assert_int_eq(proxy_print_metrics(world.proxy, &page), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&page, (struct bytes){.data = "", .size = 1}, SIZE_MAX),
                     STATUS_OK);
    at = strstr(byte_buffer_bytes(&page).data, name);
    if (at != NULL)
        sscanf(at + strlen(name), " %u", &value);
    byte_buffer_done(&page);
    return value;
}

unsigned refusals(const char *reason)
{
    char name[100];

    snprintf(name, sizeof name, "\nchromabouncer_mirror_refusals_total{reason=\"%s\"}", reason);
    return metric(name);
}

unsigned answers(const char *mode)
{
    char name[100];

    snprintf(name, sizeof name, "\nchromabouncer_mirror_answers_total{mode=\"%s\"}", mode);
    return metric(name);
}
