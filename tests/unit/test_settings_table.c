/* What must hold: a setting that is a list of records has the errors, origins, documents and reload
 * that every other setting has, and each column of a record can be named by itself. The settings
 * are compiled with the tables of tests/unit/tables/. */
#include <stdio.h>
#include <unistd.h>

#include "app/settings_docs.h"
#include "app/settings_file.h"
#include "app/settings_services.h"
#include "app/settings_sources.h"
#include "support/check_main.h"

static const struct machine machine = {
    .memory_bytes = (uint64_t)8 << 30, .cpus = 4, .descriptors_max = 1 << 20};

/* There is no table of services among those of the test. */
enum status settings_services_check(const struct settings *checked, struct error *error)
{
    (void)checked;
    (void)error;
    return STATUS_OK;
}

static struct settings settings;
static char            path[] = "/tmp/test_settings_table.XXXXXX";
static char            changes[1000];

enum { PRINTED_SIZE = 64 * 1024 };
static char printed[2][PRINTED_SIZE];

static void setup(void)
{
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    changes[0] = '\0';
}

static void teardown(void)
{
    unlink(path);
    strcpy(path + strlen(path) - 6, "XXXXXX");
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static enum status load(const char *text, struct error *error)
{
    write_file(text);
    settings_init(&settings);
    return settings_file_load(&settings, path, error);
}

static const char two_guests[] = "guests:\n"
                                 "  - name: ann\n"
                                 "    stay: 7s\n"
                                 "    doors: {front: [unix:/a, unix:/b]}\n"
                                 "  - weight: 9\n"
                                 "    name: bo-2\n"
                                 "    doors:\n"
                                 "      open: false\n";

static const struct {
    const char *text, *complaint;
} refused[] = {
    {"guest:\n", ":1:1: unknown setting 'guest'; did you mean guests?"},
    {"guests: 1\n", ":1:9: guests is a list: begin each of its records with `- name: `"},
    {"guests: {name: a}\n", ":1:9: guests is a list"},
    {"guests: [a]\n", ":1:10: a record of guests is written as `- name: ...`"},
    {"guests:\n  - name: a\n    wieght: 1\n", ":3:5: there is no 'wieght' in guests; did you mean "
                                              "weight?"},
    {"guests:\n  - name: a\n    doors: {opne: true}\n", ":3:13: there is no 'doors.opne' in "
                                                        "guests; did you mean doors.open?"},
    {"guests:\n  - name: a\n    colour: x\n", "`chromabouncer config init` prints what there is"},
    {"guests:\n  - name: a\n    weight: 0\n", ":3:13: guests.weight: '0' is not allowed; write "
                                              "1..100, such as 1"},
    {"guests:\n  - name: a\n    weight: 1\n    weight: 2\n", ":4:5: weight is set a second time"},
    {"guests:\n  - name: a\n    doors: {}\n    doors: {}\n", ":4:5: section doors is here a "
                                                             "second time"},
    {"guests:\n  - name: a\n    doors: x\n", ":3:12: doors is a section"},
    {"guests:\n  - name: a\n    weight:\n", "weight has no value"},
    {"guests:\n  - name: a\n    weight: [1]\n", ":3:13: weight takes one value, not a list"},
    {"guests:\n  - name: a\n  - weight: 2\n", ":3:5: a record of guests needs a name"},
    {"guests:\n  - name: a\n  - name: a\n", ":3:5: guests has a second record named a"},
    {"guests:\n  - name: A\n", ":2:11: guests.name: a name has 1 to 63 letters a to z"},
    {"guests:\n  - name: a.b\n", ":2:11: guests.name: a name has"},
    {"guests:\n  - name: ''\n", ":2:11: guests.name: a name has"},
    {"guests:\n  - name: &a a\n", ":2:11: anchors and aliases"},
    {"guests:\n  - {name: a}\nguests:\n  - {name: b}\n", ":3:1: guests is here a second time"},
    {"guests:\n  - name: a\n  - name: b\n  - name: c\n  - name: d\n", ":5:5: guests: at most 3 "
                                                                      "records"},
    {"guests.ann.weight: 2\n", ":1:1: unknown setting"},
};

START_TEST(error_names_the_place)
{
    struct error error;

    ck_assert_int_eq(load(refused[_i].text, &error), STATUS_INVALID);
    ck_assert_msg(strncmp(error.text, path, strlen(path)) == 0, "%s", error.text);
    ck_assert_msg(strstr(error.text, refused[_i].complaint) != NULL, "%s", error.text);
}
END_TEST

START_TEST(records_are_read_with_defaults_and_lines)
{
    const struct settings_guests_record *bo = &settings.guests[1];
    char                                 origin[100], want[100];

    ck_assert_int_eq(load(two_guests, NULL), STATUS_OK);
    ck_assert_uint_eq(settings.record_counts[SETTINGS_TABLE_guests], 2);
    ck_assert_uint_eq(settings.record_counts[SETTINGS_TABLE_rooms], 0);
    ck_assert_str_eq(settings.guests[0].name, "ann");
    ck_assert_uint_eq(settings.guests[0].weight, 1);
    ck_assert_uint_eq(settings.guests[0].stay_us, 7000000);
    ck_assert_uint_eq(settings.guests[0].doors_front.count, 2);
    ck_assert(settings.guests[0].doors_open);
    ck_assert_str_eq(bo->name, "bo-2");
    ck_assert_uint_eq(bo->weight, 9);
    ck_assert(!bo->doors_open);
    ck_assert_str_eq(bo->doors_front.items[0].path, "/front");
    snprintf(want, sizeof want, "%s:8", path);
    ck_assert_str_eq(settings_print_cell_origin(&settings, SETTINGS_TABLE_guests, 1,
                                                SETTINGS_COLUMN_guests_doors_open, origin,
                                                sizeof origin),
                     want);
    ck_assert_str_eq(settings_print_cell_origin(&settings, SETTINGS_TABLE_guests, 1,
                                                SETTINGS_COLUMN_guests_stay, origin, sizeof origin),
                     "default");
}
END_TEST

START_TEST(list_without_records_is_none)
{
    ck_assert_int_eq(load("guests:\nrooms: []\n", NULL), STATUS_OK);
    ck_assert_uint_eq(settings.record_counts[SETTINGS_TABLE_guests], 0);
}
END_TEST

static char *print_to(char *text, void (*print)(FILE *out))
{
    FILE *out = fmemopen(text, PRINTED_SIZE, "w");

    print(out);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

static void print_settings(FILE *out)
{
    settings_docs_show(out, &settings);
}

START_TEST(what_is_shown_is_read_back_as_it_was)
{
    char *shown, *again;

    ck_assert_int_eq(load(two_guests, NULL), STATUS_OK);
    shown = print_to(printed[0], print_settings);
    ck_assert_ptr_nonnull(strstr(shown, "guests:\n  - name: ann "));
    ck_assert_ptr_nonnull(strstr(shown, "    doors:\n      front: unix:/a,unix:/b "));
    ck_assert_int_eq(load(shown, NULL), STATUS_OK);
    again = print_to(printed[1], print_settings);
    for (char *line = shown, *other = again; *line != '\0';
         line = strchr(line, '\n') + 1, other = strchr(other, '\n') + 1)
        ck_assert_int_eq(strncmp(line, other, strcspn(line, "#")), 0);
}
END_TEST

/* Taken out of its comments, the sample's record is one that is at its defaults. */
START_TEST(sample_explains_every_column_and_is_valid)
{
    char *sample = print_to(printed[0], settings_docs_sample);
    char *table = strstr(sample, "\n# Who may come.");

    ck_assert_ptr_nonnull(table);
    ck_assert_ptr_nonnull(strstr(table, "# A list of at most 3; HUP changes it\n#guests:\n"));
    ck_assert_ptr_nonnull(strstr(table, "# A list of at most 2; takes a restart\n#rooms:\n"));
    ck_assert_ptr_nonnull(strstr(table, "    # Turns, beside those of others.\n    # 1..100\n"));
    for (char *line = table; *line != '\0'; line += strcspn(line + 1, "\n") + 1)
        if (line[1] == '#' && (line[2] != ' ' || line[3] == ' ')) /* not the help's */
            memmove(line + 1, line + 2, strlen(line + 1));
    for (char *name = table; (name = strstr(name, "NAME")) != NULL;)
        memcpy(name, "name", 4);
    ck_assert_int_eq(load(table, NULL), STATUS_OK);
    ck_assert_uint_eq(settings.record_counts[SETTINGS_TABLE_guests], 1);
    ck_assert_uint_eq(settings.guests[0].stay_us, 5000000);
    ck_assert_uint_eq(settings.record_counts[SETTINGS_TABLE_rooms], 1);
}
END_TEST

static const struct {
    const char *key, *value, *complaint; /* NULL: it is taken */
    bool        at_load;
} assigned[] = {
    {"guests.ann.weight", "3", NULL, false},
    {"guests.bo-2.doors.open", "true", NULL, false},
    {"guests.ann.weight", "101", "guests.weight: '101' is not allowed", false},
    {"guests.ann.wieght", "1", "there is no 'wieght' in guests; did you mean weight?", false},
    {"guests.ann", "1", "there is no '' in guests", false},
    {"guests.ann.name", "bo", "the name of a record is not changed", false},
    {"guests.Ann.weight", "1", "a name has 1 to 63 letters", false},
    {"guests..weight", "1", "a name has 1 to 63 letters", false},
    {"guests", "1", "'guests' is a list; write guests.NAME.SETTING", false},
    {"gests.ann.weight", "1", "unknown setting 'gests.ann.weight'", false},
    {"guests.nobody.weight", "1", "guests has no record named 'nobody'", true},
};

START_TEST(column_of_a_record_is_set_by_the_command_line)
{
    struct settings_sources sources = {.file = path};
    struct error            error = {.text = ""};
    enum status             status =
        settings_sources_assign(&sources, bytes_of(assigned[_i].key), assigned[_i].value, &error);

    write_file(two_guests);
    if (status == STATUS_OK)
        status = settings_sources_load(&sources, &settings, &error);
    else
        ck_assert(!assigned[_i].at_load);
    ck_assert_int_eq(status, assigned[_i].complaint == NULL ? STATUS_OK : STATUS_INVALID);
    if (assigned[_i].complaint != NULL)
        ck_assert_msg(strstr(error.text, assigned[_i].complaint) != NULL, "%s", error.text);
}
END_TEST

START_TEST(command_line_wins_and_is_the_origin)
{
    struct settings_sources sources = {.file = path};
    struct error            error;
    char                    origin[100];

    write_file(two_guests);
    ck_assert_int_eq(
        settings_sources_assign(&sources, BYTES_LITERAL("guests.bo-2.weight"), "4", NULL),
        STATUS_OK);
    ck_assert_int_eq(
        settings_sources_assign(&sources, BYTES_LITERAL("guests.bo-2.weight"), "5", &error),
        STATUS_INVALID);
    ck_assert_str_eq(error.text, "guests.bo-2.weight is given twice; keep one");
    ck_assert_int_eq(settings_sources_load(&sources, &settings, NULL), STATUS_OK);
    ck_assert_uint_eq(settings.guests[1].weight, 4);
    ck_assert_uint_eq(settings.guests[0].weight, 1);
    ck_assert_str_eq(settings_print_cell_origin(&settings, SETTINGS_TABLE_guests, 1,
                                                SETTINGS_COLUMN_guests_weight, origin,
                                                sizeof origin),
                     "command line");
}
END_TEST

static void note_change(void *ctx, const char *key, const char *from, const char *to, bool live)
{
    size_t used = strlen(changes);

    (void)ctx;
    snprintf(changes + used, sizeof changes - used, "%s:%s>%s%s;", key, from, to, live ? "" : "!");
}

START_TEST(reload_takes_a_live_table_whole_and_tells_each_difference)
{
    struct settings_sources sources = {.file = path};

    write_file("guests: [{name: ann, weight: 2}, {name: bo}]\nrooms: [{name: hall}]\n");
    ck_assert_int_eq(settings_sources_load(&sources, &settings, NULL), STATUS_OK);
    settings_resolve(&settings, &machine);
    write_file("guests: [{name: cy, stay: 9s}, {name: ann, weight: 3}]\n"
               "rooms: [{name: hall, size: 2KiB}]\n");
    ck_assert_int_eq(
        settings_sources_reload(&sources, &machine, &settings, NULL, note_change, NULL), STATUS_OK);
    ck_assert_str_eq(changes, "guests.cy:gone>there;guests.cy.stay:5s>9s;guests.ann.weight:2>3;"
                              "guests.bo:there>gone;rooms.hall.size:auto>2KiB!;");
    ck_assert_uint_eq(settings.record_counts[SETTINGS_TABLE_guests], 2);
    ck_assert_str_eq(settings.guests[0].name, "cy");
    ck_assert_uint_eq(settings.guests[1].weight, 3);
    ck_assert_uint_eq(settings.rooms[0].size_bytes, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("settings_table");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, error_names_the_place, 0, COUNT_OF(refused));
    tcase_add_test(tcase, records_are_read_with_defaults_and_lines);
    tcase_add_test(tcase, list_without_records_is_none);
    tcase_add_test(tcase, what_is_shown_is_read_back_as_it_was);
    tcase_add_test(tcase, sample_explains_every_column_and_is_valid);
    tcase_add_loop_test(tcase, column_of_a_record_is_set_by_the_command_line, 0,
                        COUNT_OF(assigned));
    tcase_add_test(tcase, command_line_wins_and_is_the_origin);
    tcase_add_test(tcase, reload_takes_a_live_table_whole_and_tells_each_difference);
    return check_main("settings_table", tcase);
}
