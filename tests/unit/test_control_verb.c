/* What must hold: a verb is found with the words it takes; anything else is explained. */
#include "admin/control_verb.h"
#include "support/check_main.h"

static const struct {
    const char *words[3];
    size_t      count;
    const char *complaint; /* NULL: it is found */
} asked[] = {
    {{"stats"}, 1, NULL},
    {{"set", "a=b"}, 2, NULL},
    {{"set"}, 1, "write set KEY=VALUE"},
    {{"set", "a=b", "c=d"}, 3, "write set KEY=VALUE"},
    {{"stats", "now"}, 2, "write stats"},
    {{"stast"}, 1, "unknown verb 'stast'; did you mean stats?"},
    {{"explode"}, 1, "unknown verb 'explode'; `chromabouncer ctl --help` lists all"},
    {{"STATS"}, 1, "did you mean stats?"},
};

START_TEST(verb_is_found_or_explained)
{
    enum control_verb_id id = CONTROL_VERB_COUNT;
    struct error         error;
    enum status          status = control_verb_find(asked[_i].count, asked[_i].words, &id, &error);

    ck_assert_int_eq(status, asked[_i].complaint == NULL ? STATUS_OK : STATUS_INVALID);
    if (asked[_i].complaint == NULL)
        ck_assert_str_eq(control_verb(id)->name, asked[_i].words[0]);
    else
        ck_assert_msg(strstr(error.text, asked[_i].complaint) != NULL, "%s", error.text);
}
END_TEST

START_TEST(names_are_single_words_and_differ)
{
    for (enum control_verb_id id = 0; id < CONTROL_VERB_COUNT; id++) {
        const char *name = control_verb(id)->name;

        ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        for (enum control_verb_id other = 0; other < id; other++)
            ck_assert_str_ne(control_verb(other)->name, name);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("control_verb");

    tcase_add_loop_test(tcase, verb_is_found_or_explained, 0, COUNT_OF(asked));
    tcase_add_test(tcase, names_are_single_words_and_differ);
    return check_main("control_verb", tcase);
}
