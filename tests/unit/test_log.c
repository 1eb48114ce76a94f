/* What must hold: a line is one line whatever is in it, logging never waits for the file, and what
 * was lost is said once writing works again. */
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "support/check_main.h"

static char path[64], other[80];
static char content[1 << 20];

static void setup(void)
{
    strcpy(path, "/tmp/test_log.XXXXXX");
    ck_assert_int_eq(close(mkstemp(path)), 0);
    snprintf(other, sizeof other, "%s.1", path);
}

static void teardown(void)
{
    unlink(path);
    unlink(other);
}

static void start(const char *where, enum log_format format)
{
    struct log_options options = {.level = LOG_INFO, .format = format, .path = where};

    ck_assert_int_eq(log_init(&options, NULL), STATUS_OK);
}

/* What the file holds, with every timestamp's digits as 0. */
static const char *read_file(const char *name)
{
    FILE *file = fopen(name, "r");

    ck_assert_ptr_nonnull(file);
    content[fread(content, 1, sizeof content - 1, file)] = '\0';
    fclose(file);
    for (char *at = content; (at = strstr(at, "20")) != NULL; at++)
        if (at[4] == '-' && at[10] == 'T')
            for (char *c = at; *c != 'Z'; c++)
                if (*c >= '0' && *c <= '9')
                    *c = '0';
    return content;
}

static void log_sample(void)
{
    struct log_line line;

    log_begin(&line, LOG_INFO, "request_done");
    log_text(&line, "op", "get");
    log_text(&line, "path", "/api/v2 x=\"1\"\n");
    log_bytes(&line, "utf8", BYTES_LITERAL("\xe4\xb8\xad\xff\xf0\x9f\x98\x80"));
    log_text(&line, "empty", "");
    log_number(&line, "bytes", UINT64_MAX);
    log_ms(&line, "total_ms", 1234567);
    log_ms(&line, "wait_ms", 5);
    log_flag(&line, "reused", true);
    log_end(&line);
}

START_TEST(text_line_quotes_what_needs_it)
{
    start(path, LOG_TEXT);
    log_sample();
    log_done();
    ck_assert_str_eq(read_file(path),
                     "0000-00-00T00:00:00.000Z info request_done op=get "
                     "path=\"/api/v2 x=\\\"1\\\"\\x0a\" "
                     "utf8=\"\xe4\xb8\xad\\xff\xf0\x9f\x98\x80\" empty=\"\" "
                     "bytes=18446744073709551615 total_ms=1234.567 wait_ms=0.005 reused=true\n");
}
END_TEST

START_TEST(json_line_is_an_object)
{
    start(path, LOG_AUTO); /* a file is no terminal */
    log_sample();
    log_event(LOG_ERROR, "plain", NULL, NULL);
    log_done();
    ck_assert_str_eq(read_file(path),
                     "{\"time\":\"0000-00-00T00:00:00.000Z\",\"level\":\"info\","
                     "\"event\":\"request_done\",\"op\":\"get\","
                     "\"path\":\"/api/v2 x=\\\"1\\\"\\u000a\","
                     "\"utf8\":\"\xe4\xb8\xad\\ufffd\xf0\x9f\x98\x80\",\"empty\":\"\","
                     "\"bytes\":18446744073709551615,\"total_ms\":1234.567,\"wait_ms\":0.005,"
                     "\"reused\":true}\n"
                     "{\"time\":\"0000-00-00T00:00:00.000Z\",\"level\":\"error\","
                     "\"event\":\"plain\"}\n");
}
END_TEST

START_TEST(line_is_bounded_and_stays_whole)
{
    static char     huge[LOG_VALUE_MAX + 1];
    struct log_line line;
    const char     *text;

    memset(huge, '\x01', sizeof huge); /* six bytes each in JSON */
    start(path, LOG_JSON);
    log_begin(&line, LOG_INFO, "big");
    log_bytes(&line, "kept", (struct bytes){"aaa", 3});
    log_bytes(&line, "too_big", (struct bytes){huge, sizeof huge});
    log_number(&line, "later", 1);
    log_end(&line);
    memset(huge, 'x', sizeof huge);
    log_begin(&line, LOG_INFO, "long");
    log_bytes(&line, "value", (struct bytes){huge, sizeof huge});
    log_end(&line);
    log_done();
    text = read_file(path);
    ck_assert_ptr_nonnull(strstr(text, "\"event\":\"big\",\"kept\":\"aaa\",\"cut\":true}\n"));
    ck_assert_ptr_nonnull(strstr(text, "xxx...\"}\n"));
    ck_assert_ptr_null(strstr(text, "later"));
}
END_TEST

START_TEST(level_decides_and_can_change)
{
    start(path, LOG_TEXT);
    ck_assert(!log_is_on(LOG_DEBUG));
    log_event(LOG_DEBUG, "one", NULL, NULL);
    log_set_level(LOG_DEBUG);
    log_event(LOG_DEBUG, "two", NULL, NULL);
    log_set_level(LOG_ERROR);
    log_event(LOG_WARNING, "three", NULL, NULL);
    log_event(LOG_ERROR, "four", NULL, NULL);
    log_done();
    ck_assert_str_eq(read_file(path), "0000-00-00T00:00:00.000Z debug two\n"
                                      "0000-00-00T00:00:00.000Z error four\n");
}
END_TEST

START_TEST(without_a_log_nothing_happens)
{
    log_event(LOG_ERROR, "early", "key", "value");
    log_reopen();
    log_done();
    start(path, LOG_TEXT);
    log_done();
    log_event(LOG_ERROR, "late", "key", "value");
    ck_assert_str_eq(read_file(path), "");
}
END_TEST

START_TEST(file_that_cannot_be_opened_is_explained)
{
    struct log_options options = {.path = "/nonexistent/x.log"};
    struct error       error;

    ck_assert_int_eq(log_init(&options, &error), STATUS_IO_FAILED);
    ck_assert_str_eq(error.text,
                     "log.file: cannot open /nonexistent/x.log: No such file or directory");
    ck_assert(!log_is_on(LOG_ERROR));
}
END_TEST

START_TEST(reopen_follows_a_rotation)
{
    struct timespec pause = {.tv_nsec = 1000000};
    struct stat     info;

    start(path, LOG_TEXT);
    log_event(LOG_INFO, "before", NULL, NULL);
    while (stat(path, &info) == 0 && info.st_size == 0)
        nanosleep(&pause, NULL);
    ck_assert_int_eq(rename(path, other), 0);
    log_event(LOG_INFO, "between", NULL, NULL);
    log_reopen();
    while (stat(path, &info) != 0)
        nanosleep(&pause, NULL);
    log_event(LOG_INFO, "after", NULL, NULL);
    log_done();
    ck_assert_str_eq(read_file(other), "0000-00-00T00:00:00.000Z info before\n"
                                       "0000-00-00T00:00:00.000Z info between\n");
    ck_assert_str_eq(read_file(path), "0000-00-00T00:00:00.000Z info after\n");
}
END_TEST

START_TEST(full_disk_loses_lines_and_counts_them)
{
    struct timespec pause = {.tv_nsec = 1000000};

    start("/dev/full", LOG_JSON);
    for (int i = 0; i < 10; i++)
        log_event(LOG_INFO, "lost", NULL, NULL);
    while (log_dropped() < 10)
        nanosleep(&pause, NULL);
    log_done();
    ck_assert_uint_eq(log_dropped(), 10);
}
END_TEST

/* Nobody reads a pipe: logging goes on, and later the reader learns how many lines it missed. */
START_TEST(full_pipe_stops_nobody_and_the_loss_is_said)
{
    enum { LINES = 20000 };
    static char text[LINES * 100];
    char        name[40];
    int         ends[2];
    size_t      used = 0, lines = 0;
    ssize_t     got;

    ck_assert_int_eq(pipe(ends), 0);
    snprintf(name, sizeof name, "/proc/self/fd/%d", ends[1]);
    start(name, LOG_JSON);
    close(ends[1]);
    for (int i = 0; i < LINES; i++)
        log_event(LOG_INFO, "line", "filler", "123456789012345678901234567890");
    ck_assert_uint_gt(log_dropped(), 0);
    while (lines + log_dropped() < LINES + 1) { /* and the line that says so */
        got = read(ends[0], text + used, sizeof text - 1 - used);
        ck_assert_int_gt(got, 0);
        for (ssize_t i = 0; i < got; i++)
            lines += text[used++] == '\n';
    }
    log_done();
    ck_assert_uint_eq(lines + log_dropped(), LINES + 1);
    snprintf(name, sizeof name, "\"count\":%lu}", (unsigned long)log_dropped());
    ck_assert_ptr_nonnull(strstr(text, name));
}
END_TEST

START_TEST(end_of_the_program_is_not_held_up)
{
    static char     filler[1000];
    char            name[40];
    int             ends[2];
    struct timespec before, after;

    ck_assert_int_eq(pipe(ends), 0);
    snprintf(name, sizeof name, "/proc/self/fd/%d", ends[1]);
    start(name, LOG_JSON);
    memset(filler, 'x', sizeof filler - 1);
    for (int i = 0; i < 200; i++)
        log_event(LOG_INFO, "line", "filler", filler);
    clock_gettime(CLOCK_MONOTONIC, &before);
    log_done();
    clock_gettime(CLOCK_MONOTONIC, &after);
    ck_assert_int_le(after.tv_sec - before.tv_sec, 2);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("log");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, text_line_quotes_what_needs_it);
    tcase_add_test(tcase, json_line_is_an_object);
    tcase_add_test(tcase, line_is_bounded_and_stays_whole);
    tcase_add_test(tcase, level_decides_and_can_change);
    tcase_add_test(tcase, without_a_log_nothing_happens);
    tcase_add_test(tcase, file_that_cannot_be_opened_is_explained);
    tcase_add_test(tcase, reopen_follows_a_rotation);
    tcase_add_test(tcase, full_disk_loses_lines_and_counts_them);
    tcase_add_test(tcase, full_pipe_stops_nobody_and_the_loss_is_said);
    tcase_add_test(tcase, end_of_the_program_is_not_held_up);
    return check_main("log", tcase);
}
