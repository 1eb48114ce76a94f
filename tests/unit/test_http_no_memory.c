/* What must hold: without memory the reader and the writer say so, and lose nothing.
 *
 * The address space is limited to nothing, so what malloc cannot take from its free lists fails. */
#include <sys/resource.h>

#include "http/http_reader.h"
#include "http/http_writer.h"
#include "support/check_main.h"

/* A sanitizer's malloc does not return NULL, it ends the program. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MALLOC_FAILS 0
#elif defined(__has_feature)
#define MALLOC_FAILS (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define MALLOC_FAILS 1
#endif

/* More than malloc keeps. */
enum { large = 8 << 20 };

static const struct http_reader_limits limits = {
    .start_line_bytes_max = 2 * large, .head_bytes_max = 2 * large, .body_bytes_max = 0};

static struct rlimit saved;

static void deny_memory(void)
{
    struct rlimit denied;

    ck_assert_int_eq(getrlimit(RLIMIT_AS, &saved), 0);
    denied = saved;
    denied.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &denied), 0);
}

static void grant_memory(void)
{
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &saved), 0);
}

static void check_reader(enum http_reader_kind kind)
{
    struct http_reader    *reader = http_reader_new(kind, &limits);
    char                  *line = malloc(large);
    struct bytes           input = {.data = line, .size = large}, body;
    enum http_reader_event event;

    memset(line, 'H', large);
    deny_memory();
    event = http_reader_feed(reader, &input, &body);
    grant_memory();
    ck_assert_int_eq(event, HTTP_READER_ERROR);
    ck_assert_int_eq(http_reader_error(reader)->status, STATUS_NO_MEMORY);
    free(line);
    http_reader_free(reader);
}

START_TEST(reader_says_that_memory_is_gone)
{
    check_reader(HTTP_READER_REQUEST);
    check_reader(HTTP_READER_RESPONSE);
}
END_TEST

START_TEST(no_reader_comes_without_memory)
{
    enum { readers_max = 10000 };
    static struct http_reader *readers[readers_max];
    size_t                     count = 0;

    deny_memory();
    do
        readers[count] = http_reader_new(HTTP_READER_REQUEST, &limits);
    while (readers[count] != NULL && ++count < readers_max);
    grant_memory();
    ck_assert_uint_lt(count, readers_max);
    for (size_t i = 0; i < count; i++)
        http_reader_free(readers[i]);
}
END_TEST

START_TEST(writer_leaves_its_output_alone)
{
    static const struct http_head head = {.status = 200};
    char                         *extra = calloc(1, large);
    struct http_writer_options    options = {.extra = {.data = extra, .size = large}};
    struct byte_buffer            out = {0};
    enum status                   statuses[3];

    ck_assert_int_eq(byte_buffer_append(&out, BYTES_LITERAL("before"), SIZE_MAX), STATUS_OK);
    deny_memory();
    statuses[0] = http_writer_request(&out, &head, (struct bytes){0}, &options);
    statuses[1] = http_writer_response(&out, &head, &options);
    statuses[2] = http_writer_own_response(&out, 200, (struct bytes){0}, &options);
    grant_memory();
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        ck_assert_int_eq(statuses[i], STATUS_NO_MEMORY);
    ck_assert(bytes_equal(byte_buffer_bytes(&out), BYTES_LITERAL("before")));
    byte_buffer_done(&out);
    free(extra);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_no_memory");

    if (MALLOC_FAILS) {
        tcase_add_test(tcase, reader_says_that_memory_is_gone);
        tcase_add_test(tcase, no_reader_comes_without_memory);
        tcase_add_test(tcase, writer_leaves_its_output_alone);
    }
    return check_main("http_no_memory", tcase);
}
