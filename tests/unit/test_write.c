/* What must hold: the coalescer is told of every write by whom it is sent and with whom it may
 * share a call, from the head of its request and the address of its client; all that a write keeps
 * is charged, and no more is kept than it needs. */
#include "lanes/write.h"

#include <stdio.h>

#include "http/http_reader.h"
#include "support/check_main.h"
#include "support/plain_budget.h"

static struct memory_account_budget budget;
static struct proxy                 proxy;
static int                          connection; /* the sender is only compared */

static void begin(void)
{
    static const unsigned char secret[16] = "secret";

    plain_budget_init(&budget, 1 << 20);
    proxy = (struct proxy){.budget = &budget, .write_options = {.is_coalescing = true}};
    list_init(&proxy.writes);
    proxy.lane_rooms = lane_rooms_new(NULL, secret, &budget.accounts[MEMORY_ACCOUNT_WRITES]);
}

static void end(void)
{
    lane_rooms_free(proxy.lane_rooms);
}

/* A write of one record with these field lines from this address. */
static struct write *write_to(const char *operation, const char *fields, const char *host,
                              uint16_t port)
{
    static const struct http_reader_limits limits = {
        .start_line_bytes_max = 1000, .head_bytes_max = 10000, .body_bytes_max = 1000};
    static const char     json[] = "{\"ids\":[\"a\"],\"embeddings\":[[1,2]]}";
    struct http_reader   *reader = http_reader_new(HTTP_READER_REQUEST, &limits);
    struct byte_buffer    body = {0};
    struct chroma_route   route;
    struct socket_address peer;
    struct memory_claim   room;
    struct lane_ticket    lane_room;
    char                  text[2000];
    struct bytes          input = {.data = text}, unused;
    struct write_request  request = {.route = &route,
                                     .peer = &peer,
                                     .sender = &connection,
                                     .body = &body,
                                     .room = &room,
                                     .lane_room = &lane_room};
    struct write         *write;

    input.size = (size_t)snprintf(text, sizeof text,
                                  "POST /api/v2/tenants/t/databases/d/collections/"
                                  "11111111-2222-3333-4444-555555555555/%s HTTP/1.1\r\n"
                                  "Host: h\r\nContent-Length: %zu\r\n%s\r\n",
                                  operation, sizeof json - 1, fields);
    ck_assert_int_eq(http_reader_feed(reader, &input, &unused), HTTP_READER_HEAD);
    request.head = http_reader_head(reader);
    chroma_route_find(request.head->method, request.head->path, &route);
    ck_assert(socket_address_from_literal(host, port, &peer));
    ck_assert_int_eq(byte_buffer_append(&body, BYTES_LITERAL(json), SIZE_MAX), STATUS_OK);
    lane_rooms_init_ticket(&lane_room, NULL);
    memory_account_claim_init(&room, &budget.accounts[MEMORY_ACCOUNT_WRITES], NULL);
    ck_assert_int_eq(memory_account_claim(&room, sizeof json - 1), STATUS_OK);
    write = write_new(&proxy, &request, NULL);
    ck_assert_ptr_nonnull(write);
    write_scan(write);
    http_reader_free(reader);
    return write;
}

static struct write *write_of(const char *fields, const char *host, uint16_t port)
{
    return write_to("add", fields, host, port);
}

static const struct {
    const char *fields[2], *hosts[2];
    bool        is_same_address, may_share;
} pairs[] = {
    {{"", ""}, {"10.0.0.1", "10.0.0.1"}, true, true},
    {{"", ""}, {"10.0.0.1", "10.0.0.2"}, false, true},
    {{"", ""}, {"::1", "10.0.0.2"}, false, true},
    {{"User-Agent: a\r\n", "User-Agent: b\r\n"}, {"10.0.0.1", "10.0.0.1"}, true, true},
    /* Who has credentials is known by them, wherever he is. */
    {{"Authorization: a\r\n", "Authorization: a\r\n"}, {"10.0.0.1", "10.0.0.2"}, true, true},
    {{"Authorization: a\r\n", "Authorization: b\r\n"}, {"10.0.0.1", "10.0.0.1"}, false, false},
    {{"X-Chroma-Token: a\r\n", "X-Chroma-Token: b\r\n"}, {"10.0.0.1", "10.0.0.1"}, false, false},
    {{"Cookie: a\r\n", "Cookie: b\r\n"}, {"10.0.0.1", "10.0.0.1"}, false, false},
    {{"Authorization: a\r\n", ""}, {"10.0.0.1", "10.0.0.1"}, false, false},
    {{"X-User: a\r\n", "X-User: b\r\n"}, {"10.0.0.1", "10.0.0.1"}, true, false},
};

START_TEST(a_sender_is_known_by_credentials_or_address_and_shares_with_its_like)
{
    struct write          *writes[2];
    struct coalescer_write described[2];

    for (uint16_t i = 0; i < 2; i++) {
        writes[i] = write_of(pairs[_i].fields[i], pairs[_i].hosts[i], 1000 + i);
        write_describe(writes[i], 0, &described[i]);
        ck_assert_int_eq(described[i].kind, COALESCER_MERGEABLE);
        ck_assert_uint_gt(described[i].address.size, 0);
        ck_assert_ptr_eq(*(void *const *)described[i].sender.data, &connection);
    }
    ck_assert_int_eq(bytes_equal(described[0].address, described[1].address),
                     pairs[_i].is_same_address);
    ck_assert_int_eq(bytes_equal(described[0].batch_key, described[1].batch_key),
                     pairs[_i].may_share);
    write_free(writes[0]);
    write_free(writes[1]);
}
END_TEST

/* What only a call shared with others would need is not made where there is none. */
START_TEST(what_it_keeps_is_charged_and_made_only_where_it_is_needed)
{
    static const struct {
        const char *operation;
        bool        is_coalescing, may_share;
    } cases[] = {{"add", true, true},
                 {"upsert", true, true},
                 {"update", true, true},
                 {"delete", true, false},
                 {"add", false, false}};
    const struct memory_account *account = &budget.accounts[MEMORY_ACCOUNT_WRITES];
    struct write                *write;
    size_t                       kept;

    proxy.write_options.is_coalescing = cases[_i].is_coalescing;
    write = write_to(cases[_i].operation, "Authorization: a\r\n", "10.0.0.1", 1000);
    kept = write->head.capacity + write->shared_head.capacity + write->identity.capacity;
    ck_assert_uint_gt(write->head.capacity, 0);
    ck_assert_int_eq(write->shared_head.capacity > 0, cases[_i].may_share);
    ck_assert_int_eq(write->identity.capacity > 0, cases[_i].may_share);
    ck_assert_uint_eq(account->used, byte_buffer_size(&write->body) + kept);
    write_charge(write, 100);
    ck_assert_uint_eq(account->used, byte_buffer_size(&write->body) + kept + 100);
    write_free(write);
    ck_assert_uint_eq(account->used, 0);
}
END_TEST

/* The request's own head is gone by then. */
START_TEST(its_route_is_in_its_own_head)
{
    struct write *write = write_to("add", "", "10.0.0.1", 1000);
    struct bytes  head = byte_buffer_bytes(&write->head);

    ck_assert(bytes_equal(write->route.tenant, BYTES_LITERAL("t")));
    ck_assert(bytes_equal(write->route.database, BYTES_LITERAL("d")));
    ck_assert(bytes_equal(write->route.collection,
                          BYTES_LITERAL("11111111-2222-3333-4444-555555555555")));
    ck_assert(write->route.tenant.data > head.data &&
              write->route.collection.data < head.data + head.size);
    write_free(write);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("write");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, a_sender_is_known_by_credentials_or_address_and_shares_with_its_like,
                        0, COUNT_OF(pairs));
    tcase_add_loop_test(tcase, what_it_keeps_is_charged_and_made_only_where_it_is_needed, 0, 5);
    tcase_add_test(tcase, its_route_is_in_its_own_head);
    return check_main("write", tcase);
}
