/* A copy is found by the name that its collection has, and outlives no change but one of name or
 * metadata; over a fake copy. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "calls/proxy_state.h"
#include "copies/mirror_names.h"
#include "flow/fake_mirror_copy.h"
#include "flow/mirror_world.h"
#include "proxy/mirror_report.h"
#include "support/check_main.h"

/* ---- Names ----------------------------------------------------------------------------------- */

/* A path may say another place than Chroma: what is known by it then is nobody's to rely on. */
START_TEST(a_place_that_chroma_does_not_confirm_is_none)
{
    place = "other";
    fill(0);
    expect_same(0);
    ck_assert(!is_named(0, "docs-0"));
}
END_TEST

/* Nobody has asked for it yet. */
START_TEST(a_collection_is_known_by_name_when_it_was_created)
{
    struct error error;

    flow_world_run_ms(&world, SETTLE_MS);
    ck_assert_int_eq(mirror_report_drop(world.proxy, BYTES_LITERAL("t/d/docs-0"), &error),
                     STATUS_NOT_FOUND);
    create();
    ck_assert_int_eq(mirror_report_fill(world.proxy, BYTES_LITERAL("t/d/docs-0"), &error),
                     STATUS_OK);
    ck_assert(bytes_equal(look(0).name, BYTES_LITERAL("docs-0")));
    run_to_complete(0);
}
END_TEST

static enum status fill_by_name(const char *name)
{
    struct error error = {.text = ""};
    enum status  status = mirror_report_fill(world.proxy, bytes_of(name), &error);

    ck_assert(status == STATUS_OK || status == STATUS_AGAIN || error.text[0] != '\0');
    return status;
}

/* Of several that ask for names each hears of his. */
START_TEST(a_name_that_nobody_has_used_is_looked_up)
{
    names_are_read = true;
    flow_world_run_ms(&world, SETTLE_MS);
    proxy_pause(world.proxy, true);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(descriptions, 0);
    proxy_pause(world.proxy, false);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    ck_assert_int_eq(fill_by_name("t/d/docs-7"), STATUS_AGAIN);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(descriptions, 1);
    ck_assert_int_eq(fill_by_name("t/d/docs-7"), STATUS_AGAIN); /* the first was not told yet */
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_OK);
    ck_assert_int_eq(fill_by_name("t/d/docs-7"), STATUS_AGAIN);
    flow_world_run_ms(&world, 2000);
    ck_assert_int_eq(fill_by_name("t/d/docs-7"), STATUS_AGAIN); /* once more, for it is long ago */
    flow_world_run_ms(&world, 100);
    ck_assert_int_eq(fill_by_name("t/d/docs-7"), STATUS_NOT_FOUND);
    names_are_read = false;
    run_to_complete(0);
    expect_same(0);
}
END_TEST

START_TEST(why_a_name_is_not_known_is_said)
{
    names_are_read = true;
    ck_assert_int_eq(fill_by_name("t/docs-0"), STATUS_NOT_FOUND);
    ck_assert_int_eq(fill_by_name("t/d/e/docs-0"), STATUS_NOT_FOUND);
    chroma_wants_credentials = true;
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    flow_world_run_ms(&world, 100);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_NOT_IMPLEMENTED);
    chroma_wants_credentials = false;
    read_fault = FLOW_FAULT_RESET_BEFORE;
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    flow_world_run_ms(&world, 100);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_NOT_IMPLEMENTED);
    options.mode = PROXY_MIRROR_OFF;
    set_options();
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_INVALID);
    ck_assert_int_eq(fill_by_name("t/d/docs-1"), STATUS_INVALID);
    ck_assert_uint_eq(descriptions, 0);
}
END_TEST

/* It is looked up again when it is asked for the next time. */
START_TEST(a_name_that_changes_while_it_is_looked_up_is_not_believed)
{
    names_are_read = true;
    read_delay_us = 50000;
    flow_world_run_ms(&world, SETTLE_MS);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    flow_world_run_ms(&world, 10);
    flow_client_printf(writer,
                       "PUT " PATH "%s HTTP/1.1\r\nHost: chroma\r\nContent-Length: 21\r\n\r\n"
                       "{\"new_name\":\"docs-9\"}",
                       chroma[0].uuid);
    flow_world_run_ms(&world, 200);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_AGAIN);
    flow_world_run_ms(&world, 200);
    ck_assert_int_eq(fill_by_name("t/d/docs-0"), STATUS_OK);
}
END_TEST

START_TEST(chroma_is_not_asked_for_a_name_that_its_creation_said)
{
    static const char *const names[] = {"other-*"};

    options.collections = names;
    set_options();
    flow_world_run_ms(&world, SETTLE_MS);
    create();
    note_read(0);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(descriptions, 0);
    end();
    start(1, false); /* others may have given it another name */
    options.collections = names;
    set_options();
    flow_world_run_ms(&world, SETTLE_MS);
    create();
    note_read(0);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(descriptions, 1);
}
END_TEST

/* ---- Changes --------------------------------------------------------------------------------- */

/* The same name, another UUID. */
START_TEST(a_collection_that_is_made_again_is_another_one)
{
    size_t answers = writer->answer_count;

    fill(0);
    flow_client_send(writer, "DELETE " PATH "docs-0 HTTP/1.1\r\nHost: chroma\r\n\r\n");
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    ck_assert_uint_eq(writer->answers[answers].status, 200);
    expect_none(0, true, "none");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
    snprintf(chroma[0].uuid, sizeof chroma[0].uuid, "99999999-2222-3333-4444-555555555555");
    chroma[0].exists = true;
    chroma[0].records.count = 1;
    fill(0);
    expect_same(0);
}
END_TEST

START_TEST(a_change_of_the_collection_gives_up_its_copy)
{
    size_t answers;

    chroma[1].records = chroma[0].records;
    fill(0);
    fill(1);
    answers = writer->answer_count;
    write_delay_us = 20000;
    flow_client_printf(writer,
                       "PUT " PATH "%s HTTP/1.1\r\nHost: chroma\r\nContent-Length: 24\r\n\r\n"
                       "{\"new_configuration\":{}}",
                       chroma[0].uuid);
    flow_world_run_ms(&world, 10);
    expect_none(0, false, "changing");
    expect_same(1);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    ck_assert_int_eq(look(0).reason, MIRROR_REASON_CHANGED);
    ck_assert_int_eq(state_of(1), MIRROR_ENTRY_COMPLETE);
    flow_client_send(writer, "POST /api/v2/reset HTTP/1.1\r\nHost: chroma\r\nContent-Length: "
                             "0\r\n\r\n");
    flow_world_run_ms(&world, 10);
    expect_none(1, false, "changing");
    flow_world_run_ms(&world, 30);
    ck_assert_int_eq(look(1).reason, MIRROR_REASON_CHANGED);
    ck_assert_uint_eq(look(1).refills[MIRROR_REASON_CHANGED], 1);
    run_to_complete(0);
    run_to_complete(1);
}
END_TEST

static void change(size_t collection, const char *body)
{
    flow_client_printf(writer,
                       "PUT " PATH "%s HTTP/1.1\r\nHost: chroma\r\nContent-Length: %zu\r\n\r\n%s",
                       chroma[collection].uuid, strlen(body), body);
}

static void do_change(size_t collection, const char *body)
{
    size_t answers = writer->answer_count;

    change(collection, body);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
}

START_TEST(a_change_of_name_or_metadata_leaves_the_copy)
{
    struct flow_client *other = flow_world_client(&world);
    uint8_t             uuid[16];

    chroma[1].records = chroma[0].records;
    fill(0);
    fill(1);
    write_delay_us = 20000;
    flow_client_printf(other,
                       "PUT " PATH "%s HTTP/1.1\r\nHost: chroma\r\nContent-Length: 2\r\n\r\n{}",
                       chroma[1].uuid);
    change(0, "{\"new_metadata\":{\"hnsw:space\":\"l2\"},\"new_name\":\"docs-9\","
              "\"new_configuration\":null}");
    for (unsigned i = 0; i < 2; i++) { /* one after the other */
        flow_world_run_ms(&world, 10 + 20 * i);
        expect_same(0);
        expect_same(1);
    }
    flow_world_run_ms(&world, 50);
    ck_assert_uint_eq(writer->answer_count, 1);
    ck_assert_uint_eq(other->answer_count, 1);
    expect_same(0);
    expect_same(1);
    ck_assert(bytes_equal(look(0).name, BYTES_LITERAL("docs-9")));
    ck_assert(bytes_equal(look(1).name, BYTES_LITERAL("docs-1")));
    ck_assert(mirror_names_find(world.proxy->mirror, BYTES_LITERAL("t/d/docs-9"), uuid));
    ck_assert_mem_eq(uuid, route_of(0).uuid, sizeof uuid);
    ck_assert(!mirror_names_find(world.proxy->mirror, BYTES_LITERAL("t/d/docs-0"), uuid));
    ck_assert(!mirror_names_find(world.proxy->mirror, BYTES_LITERAL("docs-9"), uuid));
    ck_assert(!mirror_names_find(world.proxy->mirror, BYTES_LITERAL("t/d/docs-90"), uuid));
    write_fault = FLOW_FAULT_RESET_AFTER;
    do_change(0, "{\"new_name\":\"docs-10\"}");
    expect_same(0);
    ck_assert_uint_eq(look(0).name.size, 0); /* it is not known which it has */
    ck_assert_uint_eq(lists, 2);
}
END_TEST

START_TEST(what_may_change_more_gives_up_the_copy)
{
    static const char *const bodies[] = {
        "{\"new_name\":\"docs-9\",\"new_configuration\":{}}", "{\"new_thing\":null}", "[]",
        "{\"new_metadata\":{\"x\":1}} 2", "{\"new_metadata\":{\"x\":01}}"};

    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        fill(0);
        do_change(0, bodies[i]);
        ck_assert_uint_eq(look(0).refills[MIRROR_REASON_CHANGED], i + 1);
    }
}
END_TEST

START_TEST(a_copy_goes_when_its_new_name_is_not_wanted)
{
    fill(0);
    do_change(0, "{\"new_name\":\"other\"}");
    chroma[0].name = "other";
    expect_none(0, true, "doubtful");
    note_read(0);
    flow_world_run_ms(&world, 5000);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
    ck_assert_uint_eq(descriptions, 1);
    do_change(0, "{\"new_name\":\"docs-\\u0039\"}");
    chroma[0].name = "docs-9";
    ck_assert(bytes_equal(look(0).name, BYTES_LITERAL("docs-9")));
    run_to_complete(0);
    expect_same(0);
}
END_TEST

/* The description was made before the change, and comes after it. */
START_TEST(a_description_does_not_bring_back_the_old_name)
{
    read_delay_us = 20000;
    reads_at_arrival = true;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS);
    while (descriptions == 0)
        flow_world_run_ms(&world, 1);
    do_change(0, "{\"new_name\":\"docs-9\"}");
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_LISTING);
    ck_assert_uint_eq(lists, 0);
    run_to_complete(0);
    ck_assert(bytes_equal(look(0).name, BYTES_LITERAL("docs-9")));
}
END_TEST

/* A renaming that was lost before the description is asked for may be applied after it. */
START_TEST(a_description_says_no_name_while_a_renaming_may_be_applied)
{
    upsert(0, "k0", "of a known dimension");
    read_fault = FLOW_FAULT_RESET_BEFORE;
    note_read(0);
    flow_world_run_ms(&world, SETTLE_MS + 100); /* it has no answer, and waits */
    ck_assert_int_eq(state_of(0), MIRROR_ENTRY_LISTING);
    ck_assert_uint_eq(descriptions, 0);
    write_fault = FLOW_FAULT_RESET_BEFORE;
    do_change(0, "{\"new_name\":\"docs-late\"}");
    write_fault = read_fault = FLOW_FAULT_NONE;
    flow_world_run_ms(&world, 60000);
    ck_assert_uint_eq(descriptions, 0);
    chroma[0].name = "docs-late";
    run_to_complete(0);
    ck_assert(is_named(0, "docs-late"));
}
END_TEST

START_TEST(changes_do_not_make_the_pause_longer)
{
    for (unsigned i = 0; i < 5; i++) {
        fill(0);
        do_change(0, "{\"new_configuration\":{\"hnsw\":{\"ef_search\":200}}}");
        ck_assert_uint_le(look(0).retry_us, 1000000);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_names");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_place_that_chroma_does_not_confirm_is_none);
    tcase_add_test(tcase, a_collection_is_known_by_name_when_it_was_created);
    tcase_add_test(tcase, a_name_that_nobody_has_used_is_looked_up);
    tcase_add_test(tcase, why_a_name_is_not_known_is_said);
    tcase_add_test(tcase, a_name_that_changes_while_it_is_looked_up_is_not_believed);
    tcase_add_test(tcase, chroma_is_not_asked_for_a_name_that_its_creation_said);
    tcase_add_test(tcase, a_collection_that_is_made_again_is_another_one);
    tcase_add_test(tcase, a_change_of_the_collection_gives_up_its_copy);
    tcase_add_test(tcase, a_change_of_name_or_metadata_leaves_the_copy);
    tcase_add_test(tcase, what_may_change_more_gives_up_the_copy);
    tcase_add_test(tcase, a_copy_goes_when_its_new_name_is_not_wanted);
    tcase_add_test(tcase, a_description_does_not_bring_back_the_old_name);
    tcase_add_test(tcase, a_description_says_no_name_while_a_renaming_may_be_applied);
    tcase_add_test(tcase, changes_do_not_make_the_pause_longer);
    return check_main("flow_mirror_names", tcase);
}
