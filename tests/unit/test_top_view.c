/* What must hold: a screen has exactly its size or less, looks as it did (tests/unit/golden/), and
 * shows nothing that could move the cursor.
 *
 * CHROMABOUNCER_TEST_UPDATE=1 writes the golden files anew. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/top_view.h"
#include "support/check_main.h"

static struct top_digest  digest;
static struct byte_buffer screen;

static void setup(void)
{
    static const struct top_digest_op ops[] = {
        {"query", 812.4, 0, 812.4, 0.0021, 0.0187, 0.0019},
        {"upsert", 402, 1.5, 49.2, 0.0113, 0.0421, 0.0094},
        {"get", 12.25, 0, 12.25, 0.00081, 0.0031, 0.00062},
        {"admin", 1, 0, 1, 0.0002, 0.0002, 0.00012},
    };
    static const double buckets[TOP_DIGEST_BUCKETS] = {0,  0,  0, 4, 22, 60, 95, 310, 402, 250,
                                                       61, 20, 9, 2, 0,  0,  0,  0,   1};

    digest = (struct top_digest){.version = "0.1.0",
                                 .backend = "http://127.0.0.1:8000",
                                 .backend_up = true,
                                 .interval = 1,
                                 .uptime = 7990,
                                 .cpu = 0.134,
                                 .resident_bytes = 14.2 * 1024 * 1024,
                                 .buffered_bytes = 3 << 20,
                                 .buffered_max_bytes = 256 << 20,
                                 .clients = 37,
                                 .per_second = {1225.4, 2.25},
                                 .aborted_per_second = 0.5,
                                 .p50 = 0.0024,
                                 .p99 = 0.0312,
                                 .overhead_p50 = 0.00009,
                                 .overhead_p99 = 0.00041,
                                 .queue_p99 = 0.012,
                                 .busy = 12,
                                 .idle = 3,
                                 .connections_max = 64,
                                 .waiting = {0, 4, 11},
                                 .writes_waiting = 11,
                                 .records_waiting = 13,
                                 .write_calls = 1,
                                 .oldest_call = 0.0094,
                                 .batches_per_second = 49.2,
                                 .requests_per_batch = 8.2,
                                 .records_per_batch = 8.6,
                                 .copies = 3,
                                 .copies_complete = 2,
                                 .copied_records = 120034,
                                 .hollow_records = 2100,
                                 .copies_left_s = 12,
                                 .copies_bytes = 81.5 * 1024 * 1024,
                                 .copies_per_second = 8123.4,
                                 .op_count = COUNT_OF(ops)};
    memcpy(digest.ops, ops, sizeof ops);
    memcpy(digest.buckets, buckets, sizeof buckets);
    screen = (struct byte_buffer){0};
}

static void teardown(void)
{
    byte_buffer_done(&screen);
}

static const struct {
    const char *file;
    unsigned    width, height;
    bool        is_ascii;
} golden[] = {
    {"top_80x24.txt", 80, 24, false},
    {"top_120x40.txt", 120, 40, false},
    {"top_80x24_ascii.txt", 80, 24, true},
};

static void draw(const struct top_view *view)
{
    byte_buffer_clear(&screen);
    ck_assert_int_eq(top_view_draw(view, &digest, &screen), STATUS_OK);
}

START_TEST(screen_looks_as_it_did)
{
    const struct top_view view = {
        .width = golden[_i].width, .height = golden[_i].height, .is_ascii = golden[_i].is_ascii};
    const char *root = getenv("top_srcdir");
    char        path[500], want[20000];
    FILE       *file;
    size_t      size;

    draw(&view);
    snprintf(path, sizeof path, "%s/tests/unit/golden/%s", root == NULL ? "." : root,
             golden[_i].file);
    if (getenv("CHROMABOUNCER_TEST_UPDATE") != NULL) {
        file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        fwrite(byte_buffer_bytes(&screen).data, 1, byte_buffer_size(&screen), file);
        ck_assert_int_eq(fclose(file), 0);
    }
    file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    size = fread(want, 1, sizeof want, file);
    fclose(file);
    ck_assert_msg(bytes_equal(byte_buffer_bytes(&screen), (struct bytes){want, size}), "%.*s",
                  (int)byte_buffer_size(&screen), byte_buffer_bytes(&screen).data);
}
END_TEST

/* Characters, not bytes; colours count nothing. */
static unsigned columns_of(struct bytes text)
{
    unsigned columns = 0;

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\x1b')
            while (text.data[i] != 'm')
                i++;
        else
            columns += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    }
    return columns;
}

START_TEST(screen_fits_whatever_its_size)
{
    for (unsigned height = 5; height < 60; height += 3) {
        for (unsigned width = 20; width < 320; width += 7) {
            struct top_view view = {.width = width,
                                    .height = height,
                                    .is_ascii = width % 2 == 0,
                                    .has_color = height % 2 == 0,
                                    .is_interactive = width % 3 == 0,
                                    .shows_help = width % 5 == 0};
            struct bytes    rest;
            unsigned        lines = 0;

            draw(&view);
            rest = byte_buffer_bytes(&screen);
            while (rest.size > 0) {
                const char *end = memchr(rest.data, '\n', rest.size);
                size_t      size = (size_t)(end - rest.data);

                ck_assert_uint_le(columns_of((struct bytes){rest.data, size}), width);
                rest = bytes_skip(rest, size + 1);
                lines++;
            }
            ck_assert_uint_le(lines, height);
            if (view.is_interactive)
                ck_assert_uint_eq(lines, height);
        }
    }
}
END_TEST

START_TEST(what_others_say_does_not_move_the_cursor)
{
    const struct top_view view = {.width = 80, .height = 24, .is_ascii = true};

    digest.backend_up = false;
    strcpy(digest.problem, "bad\x1b[2J\r\nname");
    draw(&view);
    for (size_t i = 0; i < byte_buffer_size(&screen); i++) {
        unsigned char c = (unsigned char)byte_buffer_bytes(&screen).data[i];

        ck_assert(c == '\n' || (c >= ' ' && c < 0x7f));
    }
    ck_assert_ptr_nonnull(
        memmem(byte_buffer_bytes(&screen).data, byte_buffer_size(&screen), "bad?[2J??name", 13));
    ck_assert_ptr_nonnull(
        memmem(byte_buffer_bytes(&screen).data, byte_buffer_size(&screen), "DOWN", 4));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("top_view");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, screen_looks_as_it_did, 0, COUNT_OF(golden));
    tcase_add_test(tcase, screen_fits_whatever_its_size);
    tcase_add_test(tcase, what_others_say_does_not_move_the_cursor);
    return check_main("top_view", tcase);
}
