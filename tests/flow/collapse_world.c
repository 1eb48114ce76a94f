#include "flow/collapse_world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

struct flow_world world;
struct flow_plan  read_plan;
unsigned          faulty;
enum flow_fault   fault;
uint64_t          write_delay_us;
char              large[TOO_LARGE + 1];

static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    (void)id;
    (void)ctx;
    if (strstr(flow_backend_last_head(backend), "/upsert") != NULL) {
        ret_plan->delay_us = write_delay_us;
        return;
    }
    *ret_plan = read_plan;
    if (faulty > 0) {
        faulty--;
        ret_plan->fault = fault;
    }
}

void collapse_world_begin(void)
{
    flow_world_begin(&world, 1);
    flow_world_keep_answers(&world);
    world.backend.on_plan = plan;
    read_plan = (struct flow_plan){
        .delay_us = 50000, .fields = JSON, .is_bare = true, .status = 200, .body = "\"old\""};
    write_delay_us = 1000;
    faulty = 0;
    fault = FLOW_FAULT_RESET_AFTER;
    memset(large, 'x', sizeof large - 1);
}

void collapse_world_end(void)
{
    flow_world_end(&world);
}

void be_a_sidecar(void)
{
    world.write_options.is_gateway = false;
}

void send_body(struct flow_client *client, const char *body, const char *fields)
{
    flow_client_printf(client,
                       "POST " COLLECTION "get HTTP/1.1\r\nHost: chroma\r\n%s"
                       "Content-Length: %zu\r\n\r\n%s",
                       fields, strlen(body), body);
}

struct flow_client *asker(const char *body, const char *fields)
{
    struct flow_client *client = flow_world_client(&world);

    send_body(client, body, fields);
    flow_world_run_ms(&world, 1);
    return client;
}

struct flow_client *ask(void)
{
    return asker("{}", "");
}

bool is_collapsed(struct flow_client *client)
{
    const char *head = flow_client_head(client, client->answer_count - 1);
    bool        is = strstr(head, "Cache-Status: chromabouncer; fwd=miss; collapsed\r\n") != NULL;

    ck_assert(!is || strstr(head, "X-Chromabouncer-Source: backend\r\n") != NULL);
    ck_assert(!is || strstr(head, "content-type: application/json\r\n") != NULL);
    return is;
}

void expect(struct flow_client *client, const char *body, bool collapsed)
{
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert_uint_eq(client->answers[0].status, 200);
    ck_assert_str_eq(flow_client_body(client, 0), body);
    ck_assert_int_eq(is_collapsed(client), collapsed);
}

void expect_error(struct flow_client *client, unsigned status)
{
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, status);
}

void expect_calls(size_t count)
{
    ck_assert_uint_eq(world.backend.request_count, count);
}

void write_record(void)
{
    struct flow_client *client = flow_world_client(&world);

    flow_world_request_record(client, "upsert", 1);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 200);
}

uint64_t metric(const char *series)
{
    struct byte_buffer page = {0};
    unsigned long long value = 0;
    const char        *at;

    ck_assert_int_eq(proxy_print_metrics(world.proxy, &page), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&page, (struct bytes){.data = "", .size = 1}, SIZE_MAX),
                     STATUS_OK);
    at = strstr(byte_buffer_bytes(&page).data, series);
    if (at != NULL)
        ck_assert_int_eq(sscanf(at + strlen(series), " %llu", &value), 1);
    byte_buffer_done(&page);
    return value;
}
