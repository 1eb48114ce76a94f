/* What must hold: requests that Chroma, or what stands before it, can tell apart have different
 * identities, and what belongs to the connection or the client's make makes none. */
#include "chroma/request_identity.h"

#include <stdio.h>

#include "http/http_reader.h"
#include "support/check_main.h"

static bool is_ageless;

/* The identity of a request with these fields. Given. */
static struct byte_buffer identity_of(const char *fields)
{
    static const struct http_reader_limits limits = {
        .start_line_bytes_max = 1000, .head_bytes_max = 10000, .body_bytes_max = 100};
    struct http_reader *reader = http_reader_new(HTTP_READER_REQUEST, &limits);
    struct byte_buffer  identity = {0};
    char                text[2000];
    struct bytes        input = {.data = text}, body;

    input.size =
        (size_t)snprintf(text, sizeof text, "POST /x HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);
    ck_assert_int_eq(http_reader_feed(reader, &input, &body), HTTP_READER_HEAD);
    ck_assert_int_eq(is_ageless
                         ? request_identity_write_ageless(http_reader_head(reader), &identity)
                         : request_identity_write(http_reader_head(reader), &identity),
                     STATUS_OK);
    http_reader_free(reader);
    return identity;
}

static const struct {
    const char *left, *right;
    bool        is_same;
} pairs[] = {
    {"", "", true},
    {"Authorization: a\r\n", "authorization: a\r\n", true},
    {"Authorization: a\r\n", "Authorization: b\r\n", false},
    {"Authorization: a\r\n", "Authorization: A\r\n", false},
    {"Authorization: a\r\n", "", false},
    {"X-Chroma-Token: a\r\n", "X-Chroma-Token: b\r\n", false},
    {"Cookie: a\r\n", "Cookie: b\r\n", false},
    {"X-Api-Key: a\r\n", "X-Api-Key: b\r\n", false},
    {"X-Api-Key: a\r\n", "X-Api-Keya: \r\n", false},
    {"X-Forwarded-User: a\r\n", "X-Forwarded-User: b\r\n", false},
    {"Content-Type: application/json\r\n", "", false},
    {"Content-Encoding: gzip\r\n", "", false},
    {"A: 1\r\nB: 2\r\n", "A: 1\r\nB: 3\r\n", false},
    {"A: 1\r\nA: 2\r\n", "A: 1\r\n", false},
    {"A: 1\r\nA: 2\r\n", "A: 2\r\nA: 1\r\n", false},
    {"User-Agent: a\r\n", "User-Agent: b\r\n", true},
    {"Accept: a\r\n", "Accept: b\r\n", true},
    {"Accept-Encoding: gzip\r\n", "", true},
    {"Accept-Language: de\r\n", "", true},
    {"Content-Length: 5\r\n", "Content-Length: 6\r\n", true},
    {"Connection: close\r\n", "", true},
    {"Connection: x-hop\r\nX-Hop: 1\r\n", "", true},
    {"X-Hop: 1\r\n", "", false},
    {"Keep-Alive: 5\r\n", "", true},
    {"Traceparent: a\r\nTracestate: b\r\n", "Traceparent: c\r\n", true},
    {"X-Request-Id: a\r\n", "X-Request-Id: b\r\n", true},
    {"Chroma-Trace-Id: a\r\n", "", true},
    {"Via: 1.1 a\r\n", "", true},
};

START_TEST(only_what_tells_requests_apart_counts)
{
    static const unsigned char key[REQUEST_IDENTITY_KEY_SIZE] = {1, 2, 3, [16] = 4, 5, 6};
    unsigned char              digests[2][REQUEST_IDENTITY_DIGEST_SIZE];
    struct byte_buffer         left = identity_of(pairs[_i].left);
    struct byte_buffer         right = identity_of(pairs[_i].right);

    ck_assert_int_eq(bytes_equal(byte_buffer_bytes(&left), byte_buffer_bytes(&right)),
                     pairs[_i].is_same);
    request_identity_digest(byte_buffer_bytes(&left), key, digests[0]);
    request_identity_digest(byte_buffer_bytes(&right), key, digests[1]);
    for (size_t half = 0; half < 2; half++)
        ck_assert_int_eq(memcmp(digests[0] + 8 * half, digests[1] + 8 * half, 8) == 0,
                         pairs[_i].is_same);
    byte_buffer_done(&left);
    byte_buffer_done(&right);
}
END_TEST

START_TEST(what_is_of_age_counts_only_where_it_is_wanted)
{
    static const char *const fields[] = {"X-Api-Key: a\r\n",
                                         "Cache-Control: max-age=1\r\nX-Api-Key: a\r\n",
                                         "X-Api-Key: a\r\nPRAGMA: no-cache\r\n"};

    for (int ageless = 0; ageless < 2; ageless++) {
        is_ageless = ageless == 1;
        for (size_t i = 0; i < COUNT_OF(fields); i++) {
            struct byte_buffer first = identity_of(fields[0]), other = identity_of(fields[i]);

            ck_assert_int_eq(bytes_equal(byte_buffer_bytes(&first), byte_buffer_bytes(&other)),
                             ageless || i == 0);
            ck_assert(byte_buffer_size(&first) > 0);
            byte_buffer_done(&first);
            byte_buffer_done(&other);
        }
    }
}
END_TEST

START_TEST(each_half_of_the_digest_has_a_key_of_its_own)
{
    unsigned char key[REQUEST_IDENTITY_KEY_SIZE] = {0};
    unsigned char digests[3][REQUEST_IDENTITY_DIGEST_SIZE];
    struct bytes  identity = BYTES_LITERAL("host: h\r\n");

    request_identity_digest(identity, key, digests[0]);
    key[0] = 1;
    request_identity_digest(identity, key, digests[1]);
    key[SIPHASH_KEY_SIZE] = 2;
    request_identity_digest(identity, key, digests[2]);
    ck_assert_int_ne(memcmp(digests[0], digests[1], 8), 0);
    ck_assert_int_eq(memcmp(digests[0] + 8, digests[1] + 8, 8), 0);
    ck_assert_int_eq(memcmp(digests[1], digests[2], 8), 0);
    ck_assert_int_ne(memcmp(digests[1] + 8, digests[2] + 8, 8), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("request_identity");

    tcase_add_loop_test(tcase, only_what_tells_requests_apart_counts, 0, COUNT_OF(pairs));
    tcase_add_test(tcase, what_is_of_age_counts_only_where_it_is_wanted);
    tcase_add_test(tcase, each_half_of_the_digest_has_a_key_of_its_own);
    return check_main("request_identity", tcase);
}
