/* What must hold: each server is taken for what it is, whoever refuses to tell stays unknown until
 * a write's answer tells, and nothing that was known outlives the incarnation it was known of. */
#include "support/check_main.h"
#include "support/tiny_chroma.h"
#include "upstream/upstream_identity.h"

static const char version[] = "/api/v2/version", old_version[] = "/api/v1/version",
                  limits[] = "/api/v2/pre-flight-checks",
                  old_limits[] = "/api/v1/pre-flight-checks", description[] = "/openapi.json";

static struct upstream_identity *identity;
static int                       changes;

static void on_change(void *ctx)
{
    ck_assert_ptr_eq(ctx, &changes);
    changes++;
}

static void begin(enum chroma_family family)
{
    struct upstream_identity_options options = {.family = family, .timeout_us = 1000000};

    identity = upstream_identity_new(tiny.control, tiny.incarnation, &options, on_change, &changes);
    ck_assert_ptr_nonnull(identity);
    changes = 0;
}

static void setup(void)
{
    tiny_chroma_init(4);
}

static void teardown(void)
{
    upstream_identity_free(identity);
    tiny_chroma_done();
}

static bool is_settled(void)
{
    tiny_backend_turn(&tiny.backend);
    if (upstream_identity_is_settled(identity))
        return true;
    upstream_identity_ask(identity, false, loop_now_us(tiny.loop)); /* as heartbeats do */
    return false;
}

static void ask_all(void)
{
    loop_drive_until(tiny.loop, is_settled);
}

static const struct {
    const char *name;
    struct {
        const char *path;
        unsigned    code;
        const char *body;
    } answers[5];
    enum chroma_family family;
    unsigned           version;
    uint64_t           records;
    bool               base64;
} servers[] = {
    {"1.5.9",
     {{version, 200, "\"1.0.0\""},
      {old_version, 410, "{}"},
      {description, 200, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"chroma-frontend\"}}"},
      {limits, 200, "{\"max_batch_size\":5461,\"supports_base64_encoding\":true}"}},
     CHROMA_FAMILY_RUST,
     10000,
     5461,
     true},
    {"1.x behind something that hides the description",
     {{version, 200, "\"1.0.0\"\n"}, {description, 403, ""}, {limits, 404, ""}},
     CHROMA_FAMILY_RUST,
     10000,
     0,
     false},
    {"the Python application of 1.x",
     {{version, 200, "\"1.5.9\""},
      {description, 200, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Chroma\"}}"},
      {limits, 200, "{\"max_batch_size\": 5461}"}},
     CHROMA_FAMILY_UNKNOWN,
     10509,
     5461,
     false},
    {"0.6.3",
     {{version, 200, "\"0.6.3\""}, {limits, 200, "{\"max_batch_size\":41666}"}},
     CHROMA_FAMILY_PYTHON,
     603,
     41666,
     false},
    {"0.4.24",
     {{old_version, 200, "\"0.4.24\""}, {old_limits, 200, "{\"max_batch_size\":41666}"}},
     CHROMA_FAMILY_PYTHON_OLD,
     424,
     41666,
     false},
    {"0.5.0.dev1", {{version, 200, "\"0.5.0.dev1\""}}, CHROMA_FAMILY_PYTHON_OLD, 500, 0, false},
    {"1.x where no Rust server answers",
     {{old_version, 200, "\"1.0.0\""}},
     CHROMA_FAMILY_UNKNOWN,
     10000,
     0,
     false},
    {"not Chroma", {{version, 200, "<html>1.0.0"}}, CHROMA_FAMILY_UNKNOWN, 0, 0, false},
    {"a number", {{version, 200, "1"}}, CHROMA_FAMILY_UNKNOWN, 0, 0, false},
    {"half a version", {{version, 200, "\"1\""}}, CHROMA_FAMILY_UNKNOWN, 0, 0, false},
    {"an empty text", {{version, 200, "\"\""}}, CHROMA_FAMILY_UNKNOWN, 0, 0, false},
    {"one that asks for credentials",
     {{version, 401, "\"1.0.0\""}, {limits, 401, "{\"max_batch_size\":1}"}},
     CHROMA_FAMILY_UNKNOWN,
     0,
     0,
     false},
    {"one that is absurd",
     {{version, 200, "\"99999999999.0\""},
      {limits, 200, "{\"max_batch_size\":99999999999999999999999}"}},
     CHROMA_FAMILY_UNKNOWN,
     0,
     42949672959u,
     false},
};

START_TEST(each_server_is_taken_for_what_it_is)
{
    const struct upstream_identity_facts *facts;

    begin(CHROMA_FAMILY_UNKNOWN);
    for (size_t i = 0; i < COUNT_OF(servers[_i].answers) && servers[_i].answers[i].path; i++)
        tiny_chroma_answer(servers[_i].answers[i].path, servers[_i].answers[i].code,
                           servers[_i].answers[i].body);
    ask_all();
    facts = upstream_identity_facts(identity);
    ck_assert_msg(facts->family == servers[_i].family, "%s: %s", servers[_i].name,
                  chroma_family_info(facts->family)->name);
    ck_assert_uint_eq(facts->version, servers[_i].version);
    ck_assert_uint_le(facts->batch_records_max, servers[_i].records);
    if (servers[_i].records < UINT32_MAX)
        ck_assert_uint_eq(facts->batch_records_max, servers[_i].records);
    ck_assert_int_eq(facts->takes_base64, servers[_i].base64);
    ck_assert_uint_eq(facts->incarnation, tiny_chroma_number());
    ck_assert_str_ne(facts->reason, "");
    if (facts->version != 0 && facts->family == CHROMA_FAMILY_UNKNOWN) { /* nobody proved it */
        upstream_identity_learn_from_write_answer(identity, CHROMA_OPERATION_ADD, 200,
                                                  BYTES_LITERAL("{}"));
        ck_assert_int_eq(facts->family, CHROMA_FAMILY_UNKNOWN);
    }
}
END_TEST

static const struct {
    enum chroma_operation operation;
    unsigned              code;
    const char           *body;
    enum chroma_family    family;
} write_answers[] = {
    {CHROMA_OPERATION_ADD, 200, "{}", CHROMA_FAMILY_RUST},
    {CHROMA_OPERATION_UPDATE, 201, "true", CHROMA_FAMILY_PYTHON_OLD},
    {CHROMA_OPERATION_UPSERT, 200, "null", CHROMA_FAMILY_PYTHON_OLD},
    {CHROMA_OPERATION_DELETE, 200, "{}", CHROMA_FAMILY_UNKNOWN},
    {CHROMA_OPERATION_ADD, 200, "", CHROMA_FAMILY_UNKNOWN},
    {CHROMA_OPERATION_ADD, 200, "{\"a\":1}", CHROMA_FAMILY_UNKNOWN},
    {CHROMA_OPERATION_ADD, 400, "{}", CHROMA_FAMILY_UNKNOWN},
    {CHROMA_OPERATION_ADD, 200, "ok", CHROMA_FAMILY_UNKNOWN},
};

START_TEST(who_does_not_tell_is_known_by_its_answers_to_writes)
{
    const struct upstream_identity_facts *facts;

    begin(CHROMA_FAMILY_UNKNOWN);
    tiny_chroma_answer(version, 401, "");
    tiny_chroma_answer(limits, 401, "");
    ask_all();
    facts = upstream_identity_facts(identity);
    ck_assert_ptr_nonnull(strstr(facts->reason, "does not tell"));
    changes = 0;
    upstream_identity_learn_from_write_answer(identity, write_answers[_i].operation,
                                              write_answers[_i].code,
                                              bytes_of(write_answers[_i].body));
    ck_assert_int_eq(facts->family, write_answers[_i].family);
    ck_assert_int_eq(changes, write_answers[_i].family != CHROMA_FAMILY_UNKNOWN);
    upstream_identity_learn_from_write_answer(identity, CHROMA_OPERATION_ADD, 200,
                                              BYTES_LITERAL("true"));
    if (write_answers[_i].family != CHROMA_FAMILY_UNKNOWN) /* once known, it stays */
        ck_assert_int_eq(facts->family, write_answers[_i].family);
}
END_TEST

static void turn_for(uint64_t duration_us)
{
    for (uint64_t us = 0; us < duration_us; us += 500) {
        tiny_backend_turn(&tiny.backend);
        loop_drive_for(tiny.loop, 500);
    }
}

START_TEST(who_refuses_is_not_asked_again_at_once)
{
    unsigned asked;

    begin(CHROMA_FAMILY_UNKNOWN);
    tiny_chroma_answer(version, 403, "");
    tiny_chroma_answer(limits, 403, "");
    ask_all();
    asked = tiny_chroma_asked(version);
    upstream_identity_ask(identity, false, loop_now_us(tiny.loop));
    turn_for(5000);
    ck_assert_uint_eq(tiny_chroma_asked(version), asked);
    upstream_identity_ask(identity, false, loop_now_us(tiny.loop) + 61000000);
    turn_for(5000);
    ck_assert_uint_eq(tiny_chroma_asked(version), asked + 1);
}
END_TEST

static bool knows_nothing(void)
{
    tiny_backend_turn(&tiny.backend);
    return upstream_identity_facts(identity)->family == CHROMA_FAMILY_UNKNOWN;
}

/* The data folder, or the server, was exchanged. */
START_TEST(facts_are_void_with_the_incarnation_they_were_learned_of)
{
    begin(CHROMA_FAMILY_UNKNOWN);
    tiny_chroma_answer(version, 200, "\"1.0.0\"");
    tiny_chroma_answer(limits, 200, "{\"max_batch_size\":5461}");
    ask_all();
    ck_assert_int_eq(upstream_identity_facts(identity)->family, CHROMA_FAMILY_RUST);
    tiny_chroma_stop();
    loop_drive_until(tiny.loop, knows_nothing);
    ck_assert_uint_eq(upstream_identity_facts(identity)->batch_records_max, 0);
    ck_assert(!upstream_identity_is_settled(identity));
    tiny_backend_listen(&tiny.backend);
    tiny_chroma_answer(version, 200, "\"0.6.3\"");
    ask_all();
    ck_assert_int_eq(upstream_identity_facts(identity)->family, CHROMA_FAMILY_PYTHON);
    upstream_incarnation_void(tiny.incarnation, "somebody says so");
    loop_drive_until(tiny.loop, knows_nothing);
}
END_TEST

START_TEST(the_setting_wins_and_limits_are_asked_all_the_same)
{
    struct upstream_identity_options options = {.timeout_us = 1000000};

    begin(CHROMA_FAMILY_PYTHON);
    ck_assert_int_eq(upstream_identity_facts(identity)->family, CHROMA_FAMILY_PYTHON);
    tiny_chroma_answer(version, 200, "\"1.0.0\"");
    tiny_chroma_answer(limits, 200, "{\"max_batch_size\":5461}");
    ask_all();
    ck_assert_int_eq(upstream_identity_facts(identity)->family, CHROMA_FAMILY_PYTHON);
    ck_assert_uint_eq(upstream_identity_facts(identity)->batch_records_max, 5461);
    upstream_identity_set_options(identity, &options);
    ck_assert_int_eq(upstream_identity_facts(identity)->family, CHROMA_FAMILY_UNKNOWN);
    ask_all();
    ck_assert_int_eq(upstream_identity_facts(identity)->family, CHROMA_FAMILY_RUST);
}
END_TEST

START_TEST(what_fails_is_asked_again)
{
    begin(CHROMA_FAMILY_UNKNOWN);
    tiny_chroma_answer(version, 500, "");
    upstream_identity_ask(identity, false, loop_now_us(tiny.loop));
    while (tiny_chroma_asked(version) == 0) {
        tiny_backend_turn(&tiny.backend);
        loop_drive_for(tiny.loop, 500);
    }
    loop_drive_for(tiny.loop, 3000);
    ck_assert(!upstream_identity_is_settled(identity));
    tiny_chroma_answer(version, 200, "\"1.0.0\"");
    ask_all();
    ck_assert_int_eq(upstream_identity_facts(identity)->family, CHROMA_FAMILY_RUST);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("upstream_identity");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, each_server_is_taken_for_what_it_is, 0, COUNT_OF(servers));
    tcase_add_loop_test(tcase, who_does_not_tell_is_known_by_its_answers_to_writes, 0,
                        COUNT_OF(write_answers));
    tcase_add_test(tcase, who_refuses_is_not_asked_again_at_once);
    tcase_add_test(tcase, facts_are_void_with_the_incarnation_they_were_learned_of);
    tcase_add_test(tcase, the_setting_wins_and_limits_are_asked_all_the_same);
    tcase_add_test(tcase, what_fails_is_asked_again);
    return check_main("upstream_identity", tcase);
}
