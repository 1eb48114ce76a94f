/* What must hold: what may be guarded counts as guarded, only its own name confirms or opens it,
 * and an opening ends. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "limits/guard_rules.h"
#include "limits/name_pattern.h"
#include "support/check_main.h"

enum { second_us = 1000000 };

static struct guard_rules *rules;

static void begin(void)
{
    rules = guard_rules_new();
    ck_assert_ptr_nonnull(rules);
}

static void end(void)
{
    guard_rules_free(rules);
}

static void guard(const char *patterns)
{
    struct error error;

    ck_assert_int_eq(guard_rules_check(bytes_of(patterns), &error), STATUS_OK);
    ck_assert_int_eq(guard_rules_set(rules, bytes_of(patterns)), STATUS_OK);
    ck_assert_str_eq(guard_rules_patterns(rules), patterns);
}

/* NULL: not known. */
static struct bytes part(const char *text)
{
    return text == NULL ? (struct bytes){0} : bytes_of(text);
}

static struct guard_target collection(const char *tenant, const char *database, const char *name)
{
    return (struct guard_target){.kind = GUARD_TARGET_COLLECTION,
                                 .tenant = part(tenant),
                                 .database = part(database),
                                 .collection = part(name),
                                 .uuid = bytes_of("11111111-2222-3333-4444-555555555555")};
}

static struct guard_target database(const char *tenant, const char *name)
{
    return (struct guard_target){
        .kind = GUARD_TARGET_DATABASE, .tenant = part(tenant), .database = part(name)};
}

static const struct {
    const char *pattern, *name;
    bool        fits;
} names[] = {
    {"docs", "docs", true},
    {"docs", "docs2", false},
    {"docs", "doc", false},
    {"docs*", "docs", true},
    {"docs*", "docs-2026", true},
    {"docs*", "adocs", false},
    {"*", "", true},
    {"*docs", "my-docs", true},
    {"*docs", "my-docs2", false},
    {"a*b*c", "a-b-b-c", true},
    {"a*b*c", "a-b-b-d", false},
    {"**", "x", true},
    {"", "x", false},
    {"a*", "", false},
};

START_TEST(a_star_stands_for_any_run)
{
    ck_assert_int_eq(name_pattern_fits(bytes_of(names[_i].pattern), bytes_of(names[_i].name)),
                     names[_i].fits);
}
END_TEST

START_TEST(patterns_are_names_or_whole_paths)
{
    static const char *const good[] = {"", "a", "*", "a,b", " a , t/d/a ", "t/*/x*", "*/*/*"};
    static const char *const bad[] = {"a,,b", "a/b", "a/b/c/d", "/b/c", "a//c", "a/b/", ",a", " "};
    struct error             error;

    for (size_t i = 0; i < COUNT_OF(good); i++)
        ck_assert_int_eq(guard_rules_check(bytes_of(good[i]), &error), STATUS_OK);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        ck_assert_int_eq(guard_rules_check(bytes_of(bad[i]), &error), STATUS_INVALID);
}
END_TEST

START_TEST(collections_are_held_by_name_or_path)
{
    struct guard_target docs = collection("t", "d", "docs"), other = collection("t", "d", "other");
    struct guard_target wide = {.kind = GUARD_TARGET_EVERYTHING};

    ck_assert(!guard_rules_are_on(rules) && !guard_rules_hold(rules, &docs) &&
              !guard_rules_hold(rules, &wide));
    guard("x, doc*");
    ck_assert(guard_rules_are_on(rules) && guard_rules_hold(rules, &docs) &&
              !guard_rules_hold(rules, &other) && guard_rules_hold(rules, &wide));
    wide.kind = GUARD_TARGET_UNKNOWN;
    ck_assert(guard_rules_hold(rules, &wide));
    guard("t2/d/docs,t/d2/docs,t/d/docs2");
    ck_assert(!guard_rules_hold(rules, &docs));
    guard("t/d/docs");
    ck_assert(guard_rules_hold(rules, &docs) && !guard_rules_hold(rules, &other));
    guard("");
    ck_assert(!guard_rules_are_on(rules) && !guard_rules_hold(rules, &docs));
}
END_TEST

START_TEST(what_is_not_known_may_be_held)
{
    struct guard_target nameless = collection("t", "d", NULL), lost = collection(NULL, NULL, NULL);
    struct guard_target homeless = collection(NULL, NULL, "docs");

    guard("t/d/docs");
    ck_assert(guard_rules_hold(rules, &nameless) && guard_rules_hold(rules, &lost) &&
              guard_rules_hold(rules, &homeless));
    guard("t2/d/docs");
    ck_assert(!guard_rules_hold(rules, &nameless) && guard_rules_hold(rules, &lost) &&
              guard_rules_hold(rules, &homeless));
    guard("other");
    ck_assert(guard_rules_hold(rules, &nameless) && !guard_rules_hold(rules, &homeless));
}
END_TEST

START_TEST(a_database_is_held_if_it_may_hold_a_guarded_one)
{
    struct guard_target here = database("t", "d"), there = database("t", "e");

    guard("t/d/docs");
    ck_assert(guard_rules_hold(rules, &here) && !guard_rules_hold(rules, &there));
    guard("docs");
    ck_assert(guard_rules_hold(rules, &here) && guard_rules_hold(rules, &there));
}
END_TEST

START_TEST(a_request_is_confirmed_by_its_own_target)
{
    struct guard_target docs = collection("t", "d", "docs"), nameless = collection("t", "d", NULL);
    struct guard_target here = database("t", "d"), reset = {.kind = GUARD_TARGET_EVERYTHING};
    struct guard_target unknown = {.kind = GUARD_TARGET_UNKNOWN};
    const struct {
        const struct guard_target *target;
        const char                *text;
        bool                       is_confirmed;
    } cases[] = {
        {&docs, "docs", true},
        {&docs, "t/d/docs", true},
        {&docs, "11111111-2222-3333-4444-555555555555", true},
        {&docs, "Docs", false},
        {&docs, "docs2", false},
        {&docs, "doc*", false},
        {&docs, "*", false},
        {&docs, "", false},
        {&docs, "x/d/docs", false},
        {&docs, "t/x/docs", false},
        {&docs, "t/d/x", false},
        {&docs, "d/docs", false},
        {&docs, "t/d", false},
        {&docs, "reset", false},
        {&docs, "yes", false},
        {&nameless, "11111111-2222-3333-4444-555555555555", true},
        {&nameless, "docs", false},
        {&nameless, "t/d/", false},
        {&here, "t/d", true},
        {&here, "d", true},
        {&here, "t", false},
        {&here, "x/d", false},
        {&here, "t/d/docs", false},
        {&here, "reset", false},
        {&reset, "reset", true},
        {&reset, "t/d", false},
        {&reset, "unknown", false},
        {&unknown, "unknown", true},
        {&unknown, "reset", false},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        ck_assert_msg(guard_rules_is_confirmed(cases[i].target, bytes_of(cases[i].text)) ==
                          cases[i].is_confirmed,
                      "case %zu, %s", i, cases[i].text);
}
END_TEST

static enum status open_for(const char *name, uint64_t duration_us, uint64_t now_us)
{
    struct error error;

    return guard_rules_open(rules, bytes_of(name), duration_us, now_us, &error);
}

START_TEST(an_opening_ends)
{
    struct guard_target docs = collection("t", "d", "docs"), other = collection("t", "d", "other");
    uint64_t            until_us;

    guard("*");
    ck_assert(!guard_rules_is_open(rules, &docs, 0));
    ck_assert_int_eq(open_for("docs", 60 * second_us, 1000), STATUS_OK);
    ck_assert(guard_rules_is_open(rules, &docs, 1000 + 60 * second_us - 1) &&
              !guard_rules_is_open(rules, &docs, 1000 + 60 * second_us) &&
              !guard_rules_is_open(rules, &other, 1000));
    ck_assert_str_eq(guard_rules_opening(rules, 0, &until_us), "docs");
    ck_assert_uint_eq(until_us, 1000 + 60 * second_us);
    ck_assert_int_eq(open_for("docs", second_us, 2000), STATUS_OK); /* instead */
    ck_assert(!guard_rules_is_open(rules, &docs, 2000 + second_us));
    ck_assert_ptr_null(guard_rules_opening(rules, 1, &until_us));
    ck_assert(guard_rules_close(rules, bytes_of("docs")));
    ck_assert(!guard_rules_is_open(rules, &docs, 2000));
    ck_assert(!guard_rules_close(rules, bytes_of("docs")) &&
              !guard_rules_close(rules, (struct bytes){0}));
}
END_TEST

/* No name opens more than it says. */
START_TEST(an_opening_opens_what_it_names)
{
    struct guard_target docs = collection("t", "d", "docs"), reset = collection("t", "d", "reset");
    struct guard_target unknown = collection("t", "d", "unknown"), d = collection("t", "d", "d");
    struct guard_target here = database("t", "d"), all = {.kind = GUARD_TARGET_EVERYTHING};
    struct guard_target any = {.kind = GUARD_TARGET_UNKNOWN};
    const struct {
        const char                *name;
        const struct guard_target *open[2];
    } cases[] = {
        {"docs", {&docs}}, {"t/d/docs", {&docs}}, {"reset", {&all}}, {"unknown", {&any}},
        {"t/d", {&here}},  {"d", {&d}},           {"x/d", {NULL}},   {"t/d/reset", {&reset}},
    };
    const struct guard_target *targets[] = {&docs, &reset, &unknown, &d, &here, &all, &any};

    guard("*");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ck_assert_int_eq(open_for(cases[i].name, second_us, 0), STATUS_OK);
        for (size_t j = 0; j < COUNT_OF(targets); j++)
            ck_assert_msg(guard_rules_is_open(rules, targets[j], 0) ==
                              (targets[j] == cases[i].open[0]),
                          "%s, target %zu", cases[i].name, j);
        ck_assert(guard_rules_close(rules, bytes_of(cases[i].name)));
    }
}
END_TEST

START_TEST(openings_are_bounded)
{
    static const char *const bad[] = {"", "*", "doc*", "/", "a/", "/a", "a/b/c/d"};
    char                     name[GUARD_RULES_NAME_SIZE + 1];

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        ck_assert_int_eq(open_for(bad[i], second_us, 0), STATUS_INVALID);
    ck_assert_int_eq(open_for("a", 0, 0), STATUS_INVALID);
    ck_assert_int_eq(open_for("a", GUARD_RULES_OPEN_MAX_US + 1, 0), STATUS_INVALID);
    memset(name, 'a', sizeof name);
    name[GUARD_RULES_NAME_SIZE] = '\0';
    ck_assert_int_eq(open_for(name, second_us, 0), STATUS_INVALID);
    name[GUARD_RULES_NAME_SIZE - 1] = '\0';
    ck_assert_int_eq(open_for(name, GUARD_RULES_OPEN_MAX_US, 0), STATUS_OK);
    for (int i = 1; i < GUARD_RULES_OPENINGS_MAX; i++) {
        snprintf(name, sizeof name, "docs-%d", i);
        ck_assert_int_eq(open_for(name, second_us, 0), STATUS_OK);
    }
    ck_assert_int_eq(open_for("more", second_us, 0), STATUS_LIMIT_REACHED);
    ck_assert_int_eq(open_for("docs-1", second_us, 0), STATUS_OK);
    ck_assert(guard_rules_close(rules, bytes_of("docs-2")));
    ck_assert_int_eq(open_for("more", second_us, 0), STATUS_OK);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("guard_rules");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, a_star_stands_for_any_run, 0, COUNT_OF(names));
    tcase_add_test(tcase, patterns_are_names_or_whole_paths);
    tcase_add_test(tcase, collections_are_held_by_name_or_path);
    tcase_add_test(tcase, what_is_not_known_may_be_held);
    tcase_add_test(tcase, a_database_is_held_if_it_may_hold_a_guarded_one);
    tcase_add_test(tcase, a_request_is_confirmed_by_its_own_target);
    tcase_add_test(tcase, an_opening_ends);
    tcase_add_test(tcase, an_opening_opens_what_it_names);
    tcase_add_test(tcase, openings_are_bounded);
    return check_main("guard_rules", tcase);
}
