#include "flow/auth_world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "io/sha256.h"

struct flow_world         world;
struct flow_client       *client;
struct proxy_auth_options options;
char                      key_of[5][KEY_TEXT_SIZE];
unsigned                  looks, lists;
unsigned                  listed;
unsigned                  look_status;
enum flow_fault           first_fault, every_fault;
bool                      is_fault_of_writes;
uint64_t                  delay_us;
const char               *name_of_uuid;
static char               page[12000];

static const char *const scopes[] = {[READER] = "read:t/d/docs*",
                                     [WRITER] = "*:t/d/*",
                                     [ADMIN] = "admin,read,write:*/*/*",
                                     [EDITOR] = "write:t/d/docs*"};

static void describe(char *out, size_t size, const char *uuid, const char *name)
{
    snprintf(
        out, size,
        "{\"id\":\"%s\",\"name\":\"%s\",\"tenant\":\"t\",\"database\":\"d\",\"dimension\":null,"
        "\"metadata\":null}",
        uuid, name);
}

/* Collections, each third of which is called docs-N. */
static void make_page(const char *head)
{
    unsigned limit = 1000, offset = 0;
    size_t   used = 1;

    if (strstr(head, "limit=") != NULL)
        sscanf(strstr(head, "limit="), "limit=%u&offset=%u", &limit, &offset);
    strcpy(page, "[");
    for (unsigned i = offset; i < listed && i < offset + limit; i++)
        used +=
            (size_t)snprintf(page + used, sizeof page - used,
                             "%s{\"id\":\"%08x-2222-4333-8444-555555555555\",\"name\":\"%s-%u\"}",
                             used > 1 ? "," : "", i, i % 3 == 0 ? "docs" : "other", i);
    strcat(page, "]");
}

static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    static char description[300];
    const char *head = flow_backend_last_head(backend);
    bool        is_look = strstr(head, "/by-id/") != NULL;
    bool        is_list = strncmp(head, "GET " C "?", strlen("GET " C "?")) == 0;
    bool        is_gone = strstr(head, GONE) != NULL || strstr(head, "/docs-missing") != NULL;

    (void)id;
    (void)ctx;
    looks += is_look;
    lists += is_list;
    *ret_plan = (struct flow_plan){.status = 200,
                                   .delay_us = delay_us,
                                   .fields = "Content-Type: application/json\r\n",
                                   .is_bare = strstr(head, "/upsert") == NULL,
                                   .body = "{}"};
    if (is_look || is_list || (is_fault_of_writes && strstr(head, "/upsert") != NULL)) {
        ret_plan->fault = first_fault != FLOW_FAULT_NONE ? first_fault : every_fault;
        first_fault = FLOW_FAULT_NONE;
    }
    if (is_look && look_status != 0)
        ret_plan->status = look_status;
    describe(description, sizeof description, strstr(head, OTHER) != NULL ? OTHER : UUID,
             strstr(head, OTHER) != NULL ? "other" : name_of_uuid);
    if (is_look || strncmp(head, "GET " C "/docs", strlen("GET " C "/docs")) == 0)
        ret_plan->body = description;
    if (is_gone) {
        ret_plan->status = 404;
        ret_plan->body = "{\"error\":\"NotFoundError\",\"message\":\"none\"}";
    }
    if (is_list) {
        make_page(head);
        ret_plan->body = page;
    }
}

/* Of all keys but one, and the one that is never known. */
static struct key_ring *make_ring_without(unsigned char revoked)
{
    struct key_ring *ring = key_ring_new();
    struct sha256   *sha256 = sha256_new();

    for (unsigned char i = 0; i < COUNT_OF(key_of); i++) {
        unsigned char         random[KEY_TEXT_RANDOM_BYTES] = {i};
        struct bytes          scope = bytes_of(i < NOBODY ? scopes[i] : "");
        struct key_ring_entry entry = {.id = i,
                                       .name = bytes_of(i == READER ? "reader" : "other"),
                                       .service = i == WRITER ? bytes_of("batch") : bytes_of(""),
                                       .scopes = &scope,
                                       .scope_count = 1};

        key_text_format(random, key_of[i]);
        ck_assert(sha256_digest(sha256, bytes_of(key_of[i]), entry.digest));
        if (i < NOBODY && i != revoked)
            ck_assert_int_eq(key_ring_add(ring, &entry, NULL), STATUS_OK);
    }
    sha256_free(sha256);
    return ring;
}

struct key_ring *revoke(unsigned char key)
{
    struct key_ring *before = options.keys;

    options.keys = make_ring_without(key);
    ck_assert_int_eq(proxy_set_auth(world.proxy, &options), STATUS_OK);
    return before;
}

void set_auth(void)
{
    ck_assert_int_eq(proxy_set_auth(world.proxy, &options), STATUS_OK);
}

void auth_world_begin(void)
{
    flow_world_begin(&world, 1);
    options = (struct proxy_auth_options){.keys = make_ring_without(NOBODY), .is_required = true};
    looks = lists = look_status = 0;
    first_fault = every_fault = FLOW_FAULT_NONE;
    is_fault_of_writes = false;
    delay_us = 1000;
    listed = 150;
    name_of_uuid = "docs";
    world.backend.on_plan = plan;
    world.write_options.is_coalescing = true;
}

void start(void)
{
    flow_world_start(&world);
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = CHROMA_FAMILY_RUST,
                                                           .batch_records_max = 5461,
                                                           .incarnation = 1});
    set_auth();
    client = flow_world_client(&world);
}

void auth_world_end(void)
{
    key_ring_drop(options.keys);
    flow_world_end(&world);
}

void send_to(struct flow_client *to, int key, const char *method, const char *target,
             const char *body)
{
    flow_client_printf(to, "%s %s HTTP/1.1\r\nHost: chroma\r\n", method, target);
    if (key >= 0)
        flow_client_printf(to, "Authorization: Bearer %s\r\n", key_of[key]);
    if (body[0] != '\0')
        flow_client_printf(to, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                           strlen(body));
    flow_client_printf(to, "\r\n%s", body);
}

unsigned ask(int key, const char *method, const char *target, const char *body)
{
    size_t answers = client->answer_count;

    send_to(client, key, method, target, body);
    ck_assert(flow_world_run_to_answers(&world, client, answers + 1));
    return client->answers[answers].status;
}

const char *last_body(void)
{
    return flow_client_body(client, client->answer_count - 1);
}

struct auth_state state(void)
{
    struct auth_state ret;

    ck_assert(proxy_tell_auth(world.proxy, &ret));
    return ret;
}
