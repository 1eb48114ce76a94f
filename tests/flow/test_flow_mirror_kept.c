/* Copies that outlast their process are what Chroma holds, or they are filled anew; over a fake
 * copy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "calls/proxy_state.h"
#include "copies/mirror_keeper.h"
#include "copies/mirror_kept.h"
#include "flow/fake_mirror_copy.h"
#include "flow/flow_world.h"
#include "io/clock.h"
#include "support/check_main.h"

#define UUID "11111111-2222-3333-4444-555555555555"
#define PATH "/api/v2/tenants/t/databases/d/collections/"

/* The Chroma of these tests. */
static struct fake_records records;
static const char         *space, *place;
static bool                is_gone, wants_credentials;
static unsigned            lists, descriptions;
static uint64_t            description_delay_us;
static enum flow_fault     write_fault;

static struct flow_world           world;
static struct flow_client         *writer;
static struct proxy_mirror_options options;
static char                        folder[64];
static uint8_t                     uuid[16];

/* What was saved, as the manifest has it. */
static struct mirror_kept kept;
static char               kept_texts[3][20];
static const char        *not_saved;
static unsigned           saves;

static void append(struct byte_buffer *out, const char *text)
{
    ck_assert_int_eq(byte_buffer_append(out, bytes_of(text), SIZE_MAX), STATUS_OK);
}

static void describe(struct byte_buffer *out)
{
    char text[400];

    descriptions++;
    snprintf(
        text, sizeof text,
        "{\"id\":\"%s\",\"name\":\"docs\",\"configuration_json\":{\"hnsw\":{\"space\":\"%s\"}},"
        "\"schema\":null,\"metadata\":null,\"dimension\":2,\"tenant\":\"%s\",\"database\":"
        "\"d\",\"log_position\":0,\"version\":0}",
        UUID, space, place);
    append(out, text);
}

static void on_request(struct flow_backend *backend, const char *target, struct bytes body,
                       bool is_due, struct flow_plan *plan, struct byte_buffer *answer, void *ctx)
{
    const char *operation = strrchr(target, '/') + 1;
    bool        is_description = strstr(target, "/by-id/") != NULL;
    bool        is_get = strcmp(operation, "get") == 0;

    (void)backend;
    (void)ctx;
    plan->is_bare = true;
    plan->fields = "Content-Type: application/json\r\n";
    if (!is_due) {
        plan->delay_us = is_description ? description_delay_us : 1000;
        plan->fault = is_description || is_get ? FLOW_FAULT_NONE : write_fault;
    }
    if (is_gone) {
        plan->status = 404;
        plan->body = "{\"error\":\"NotFoundError\",\"message\":\"Collection [x] does not exist\"}";
    } else if (wants_credentials && is_description) {
        plan->status = 401;
    } else if (is_due && is_description) {
        describe(answer);
    } else if (is_due && is_get) {
        lists += body.size > 0 && memmem(body.data, body.size, "\"ids\"", 5) == NULL;
        fake_records_get(&records, body, answer);
    } else if (is_due) {
        fake_records_write(&records, operation, body);
        append(answer, "{}");
    }
}

static void set_backend(uint64_t incarnation)
{
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = world.family,
                                                           .batch_records_max = 5461,
                                                           .incarnation = incarnation});
}

/* As exec does: nobody is reached yet. */
static void start_as(bool is_gateway)
{
    static const char *const names[] = {"docs*"};

    flow_world_begin(&world, 1);
    world.write_options.is_gateway = is_gateway;
    world.write_options.is_supervised = true;
    world.backend.on_request = on_request;
    memset(&fake_mirror_copies, 0, sizeof fake_mirror_copies);
    fake_mirror_copies.page_records = 100;
    fake_mirror_copies.record_memory = 100;
    lists = descriptions = 0;
    options = (struct proxy_mirror_options){.mode = PROXY_MIRROR_PREFER,
                                            .collections = names,
                                            .collection_count = 1,
                                            .memory_max = 1 << 20,
                                            .disk_max = 1 << 20,
                                            .directory = folder,
                                            .max_age_us = 30000000};
    flow_world_start(&world);
    proxy_hold(world.proxy, true);
    ck_assert_int_eq(proxy_set_mirror(world.proxy, &options), STATUS_OK);
    writer = flow_world_client(&world);
}

static void end_world(void)
{
    flow_world_end(&world);
    ck_assert_uint_eq(fake_mirror_copies.alive, 0);
}

static void reach(uint64_t incarnation)
{
    set_backend(incarnation);
    proxy_hold(world.proxy, false);
}

static void send_upsert(const char *id, const char *document)
{
    char body[200];

    snprintf(body, sizeof body, "{\"ids\":[\"%s\"],\"embeddings\":[[1,2]],\"documents\":[\"%s\"]}",
             id, document);
    flow_client_printf(writer,
                       "POST " PATH UUID "/upsert HTTP/1.1\r\nHost: chroma\r\nContent-Type: "
                       "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       strlen(body), body);
}

static void upsert(const char *id, const char *document)
{
    size_t answers = writer->answer_count;

    send_upsert(id, document);
    ck_assert(flow_world_run_to_answers(&world, writer, answers + 1));
    ck_assert_uint_eq(writer->answers[answers].status, 200);
}

static void look_at(const struct mirror_entry_info *info, void *ctx)
{
    *(struct mirror_entry_info *)ctx = *info;
}

static struct mirror_entry_info look(void)
{
    struct mirror_entry_info info = {.state = MIRROR_ENTRY_STATES};

    mirror_keeper_each(world.proxy->mirror, look_at, &info);
    return info;
}

static bool is_complete(void *ctx)
{
    (void)ctx;
    return look().state == MIRROR_ENTRY_COMPLETE;
}

static void run_to_complete(void)
{
    ck_assert(fake_loop_run_until(world.loop, is_complete, NULL,
                                  clock_now_us() + 300 * UINT64_C(1000000)));
}

/* What a reader gets is what Chroma has. */
static void expect_same(void)
{
    struct mirror_hold hold = {0};
    const char        *reason;

    ck_assert_int_eq(mirror_keeper_hold(world.proxy->mirror, uuid, false, &hold, &reason),
                     STATUS_OK);
    ck_assert(mirror_hold_is_complete(&hold));
    ck_assert(fake_mirror_copy_is(mirror_hold_copy(&hold), &records));
    mirror_hold_release(&hold);
}

static void expect_none(void)
{
    struct mirror_hold hold = {0};
    const char        *reason;

    ck_assert_int_eq(mirror_keeper_hold(world.proxy->mirror, uuid, false, &hold, &reason),
                     STATUS_NOT_FOUND);
}

static void note_read(void)
{
    struct chroma_route route;

    chroma_route_find(BYTES_LITERAL("POST"), BYTES_LITERAL(PATH UUID "/get"), &route);
    mirror_keeper_note_read(world.proxy->mirror, &route);
}

static bool may(const uint8_t of[16], uint64_t count, void *ctx)
{
    (void)ctx;
    ck_assert_mem_eq(of, uuid, sizeof uuid);
    ck_assert_uint_eq(count, records.count);
    return true;
}

static void on_saved(const struct mirror_kept *copy, const char *reason, void *ctx)
{
    (void)ctx;
    saves++;
    not_saved = reason;
    if (reason != NULL)
        return;
    kept = *copy;
    snprintf(kept_texts[0], sizeof kept_texts[0], "%s", copy->tenant);
    snprintf(kept_texts[1], sizeof kept_texts[1], "%s", copy->database);
    snprintf(kept_texts[2], sizeof kept_texts[2], "%s", copy->name);
    kept.tenant = kept_texts[0];
    kept.database = kept_texts[1];
    kept.name = kept_texts[2];
}

static void save(void)
{
    const struct mirror_kept_saver saver = {.may = may, .saved = on_saved};

    saves = 0;
    mirror_kept_save(world.proxy, folder, &saver);
}

/* A run that leaves a copy, and the beginning of the next. */
static void setup(void)
{
    strcpy(folder, "/tmp/flow_kept.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert(chroma_route_parse_uuid(BYTES_LITERAL(UUID), uuid));
    memset(&records, 0, sizeof records);
    for (size_t i = 0; i < 10; i++) {
        char id[FAKE_RECORDS_TEXT];

        snprintf(id, sizeof id, "k%zu", i);
        fake_records_append(&records, id, "first");
    }
    space = "cosine";
    place = "t";
    is_gone = wants_credentials = false;
    description_delay_us = 1000;
    write_fault = FLOW_FAULT_NONE;
    start_as(true);
    reach(11);
    note_read();
    run_to_complete();
    upsert("k3", "changed");
    upsert("new", "n");
    flow_world_run_ms(&world, 100);
    save();
    ck_assert_ptr_null(not_saved);
    ck_assert_uint_eq(kept.seal.records, 11);
    end_world();
    start_as(true);
}

static void teardown(void)
{
    char command[100];

    end_world();
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void open_kept(void)
{
    ck_assert_int_eq(mirror_kept_open(world.proxy, folder, &kept), STATUS_OK);
    ck_assert_int_eq(look().state, MIRROR_ENTRY_LOADING);
}

static void expect_filled(enum mirror_reason reason)
{
    run_to_complete();
    ck_assert_uint_eq(lists, 1);
    ck_assert(!look().is_kept);
    ck_assert_uint_eq(look().refills[reason], 1);
    expect_same();
}

/* ---- Kept ------------------------------------------------------------------------------------ */

START_TEST(a_kept_copy_is_complete_without_being_filled)
{
    open_kept();
    flow_world_run_ms(&world, 100);
    expect_none(); /* nobody is reached */
    mirror_kept_let(world.proxy, true);
    flow_world_run_ms(&world, 100);
    expect_none();
    reach(11);
    flow_world_run_ms(&world, 100);
    ck_assert(is_complete(NULL));
    ck_assert(look().is_kept);
    ck_assert_uint_eq(look().fills, 0);
    ck_assert_uint_eq(lists, 0);
    ck_assert_uint_eq(descriptions, 1);
    expect_same();
    upsert("k4", "later");
    upsert("another", "a");
    flow_world_run_ms(&world, 100);
    expect_same();
}
END_TEST

START_TEST(it_waits_until_it_is_known_which_chroma_it_is)
{
    open_kept();
    reach(11);
    flow_world_run_ms(&world, 5000);
    expect_none();
    ck_assert_uint_eq(lists, 0);
    mirror_kept_let(world.proxy, true);
    flow_world_run_ms(&world, 100);
    ck_assert(is_complete(NULL));
    expect_same();
}
END_TEST

/* It is known, and all still waits for it: it may be gone before it is reached. */
START_TEST(it_waits_until_all_is_let_go)
{
    open_kept();
    set_backend(11);
    mirror_kept_let(world.proxy, true);
    flow_world_run_ms(&world, 5000);
    ck_assert_int_eq(look().state, MIRROR_ENTRY_LOADING);
    proxy_hold(world.proxy, false);
    flow_world_run_ms(&world, 100);
    ck_assert(is_complete(NULL));
    ck_assert(look().is_kept);
    expect_same();
}
END_TEST

/* The first bytes that Chroma sees may be those of a write. */
START_TEST(writes_that_pass_before_it_is_complete_are_in_it)
{
    open_kept();
    mirror_kept_let(world.proxy, true);
    description_delay_us = 300000;
    reach(11);
    upsert("k5", "early");
    upsert("early", "e");
    expect_none();
    send_upsert("k6", "still under way");
    run_to_complete();
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(lists, 0);
    expect_same();
}
END_TEST

START_TEST(a_write_of_unknown_outcome_before_it_is_complete_gives_it_up)
{
    open_kept();
    mirror_kept_let(world.proxy, true);
    description_delay_us = 300000;
    write_fault = FLOW_FAULT_RESET_AFTER;
    reach(11);
    send_upsert("k5", "who knows");
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(look().refills[MIRROR_REASON_UNKNOWN_OUTCOME], 1);
    expect_none();
}
END_TEST

START_TEST(what_is_read_before_it_is_loaded_is_loaded)
{
    note_read();
    open_kept();
    mirror_kept_let(world.proxy, true);
    reach(11);
    flow_world_run_ms(&world, 100);
    ck_assert(look().is_kept);
    expect_same();
}
END_TEST

/* ---- Not kept -------------------------------------------------------------------------------- */

START_TEST(another_chroma_is_not_what_it_was_kept_of)
{
    open_kept();
    note_read();
    strcpy(records.list[2].document, "of another one");
    reach(11);
    mirror_kept_let(world.proxy, false);
    expect_filled(MIRROR_REASON_INCARNATION);
}
END_TEST

START_TEST(the_second_chroma_is_not_what_it_was_kept_of)
{
    open_kept();
    note_read();
    reach(11);
    strcpy(records.list[2].document, "of another one");
    reach(12);
    mirror_kept_let(world.proxy, true);
    expect_filled(MIRROR_REASON_INCARNATION);
}
END_TEST

START_TEST(a_chroma_that_ends_before_it_is_reached_takes_it_along)
{
    open_kept();
    note_read();
    mirror_kept_let(world.proxy, true);
    mirror_kept_let(world.proxy, false); /* it has ended */
    strcpy(records.list[2].document, "who knows");
    mirror_kept_let(world.proxy, true);
    reach(11);
    expect_filled(MIRROR_REASON_INCARNATION);
}
END_TEST

START_TEST(what_is_damaged_is_filled)
{
    fake_mirror_copies.fails = STATUS_CORRUPT;
    open_kept();
    note_read();
    mirror_kept_let(world.proxy, true);
    reach(11);
    expect_filled(MIRROR_REASON_KEPT);
}
END_TEST

START_TEST(what_is_described_otherwise_is_filled)
{
    open_kept();
    note_read();
    space = "ip";
    mirror_kept_let(world.proxy, true);
    reach(11);
    expect_filled(MIRROR_REASON_KEPT);
}
END_TEST

START_TEST(where_chroma_wants_credentials_now_nobody_gets_it)
{
    open_kept();
    wants_credentials = true;
    mirror_kept_let(world.proxy, true);
    reach(11);
    flow_world_run_ms(&world, 1000);
    ck_assert_int_eq(look().state, MIRROR_ENTRY_STOPPED);
    ck_assert_int_eq(look().reason, MIRROR_REASON_CREDENTIALS);
    expect_none();
}
END_TEST

START_TEST(what_chroma_does_not_have_any_more_goes)
{
    open_kept();
    is_gone = true;
    mirror_kept_let(world.proxy, true);
    reach(11);
    flow_world_run_ms(&world, 1000);
    ck_assert_int_eq(look().state, MIRROR_ENTRY_STATES);
}
END_TEST

START_TEST(what_is_not_wanted_any_more_is_not_loaded)
{
    static const char *const others[] = {"other"};

    options.collections = others;
    ck_assert_int_eq(proxy_set_mirror(world.proxy, &options), STATUS_OK);
    ck_assert_int_eq(mirror_kept_open(world.proxy, folder, &kept), STATUS_NOT_FOUND);
    kept.is_asked_for = true; /* whatever its name is */
    open_kept();
    options.mode = PROXY_MIRROR_OFF;
    ck_assert_int_eq(proxy_set_mirror(world.proxy, &options), STATUS_OK);
    ck_assert_int_eq(mirror_kept_open(world.proxy, folder, &kept), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(a_sidecar_and_one_that_has_answered_load_nothing)
{
    proxy_set_gateway(world.proxy, false);
    ck_assert_int_eq(mirror_kept_open(world.proxy, folder, &kept), STATUS_NOT_FOUND);
    proxy_set_gateway(world.proxy, true);
    reach(11);
    ck_assert_int_eq(mirror_kept_open(world.proxy, folder, &kept), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(files_that_are_gone_load_nothing)
{
    char path[200];

    snprintf(path, sizeof path, "%s/" UUID ".records", folder);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mirror_kept_open(world.proxy, folder, &kept), STATUS_NOT_FOUND);
    note_read();
    reach(11);
    run_to_complete();
    expect_same();
}
END_TEST

START_TEST(the_end_comes_while_it_is_loaded)
{
    open_kept();
    mirror_kept_let(world.proxy, true);
    reach(11);
    save();
    ck_assert_uint_eq(saves, 0);
}
END_TEST

/* ---- What may be saved ----------------------------------------------------------------------- */

static void fill(void)
{
    reach(11);
    note_read();
    run_to_complete();
}

START_TEST(what_is_not_complete_is_not_saved)
{
    save();
    ck_assert_uint_eq(saves, 0);
    reach(11);
    note_read();
    flow_world_run_ms(&world, 2);
    save();
    ck_assert_uint_eq(saves, 0);
}
END_TEST

START_TEST(nothing_is_saved_while_a_write_is_under_way)
{
    fill();
    send_upsert("k1", "under way");
    ck_assert(flow_world_run_to_requests(&world, world.backend.request_count + 1));
    save();
    ck_assert_uint_eq(saves, 1);
    ck_assert_str_eq(not_saved, "a write is under way");
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    save(); /* it was answered, and a worker has not applied it */
    ck_assert_str_eq(not_saved, "a write was not applied");
    flow_world_run_ms(&world, 100);
    save();
    ck_assert_ptr_null(not_saved);
}
END_TEST

/* It may have been applied, and is to be sent again, of which nothing will come. */
START_TEST(a_write_that_chroma_took_along_is_under_way)
{
    fill();
    send_upsert("k1", "taken along");
    ck_assert(flow_world_run_to_requests(&world, world.backend.request_count + 1));
    flow_backend_kill(&world.backend);
    proxy_hold(world.proxy, true);
    proxy_backend_ended(world.proxy);
    flow_world_run_ms(&world, 1000);
    save();
    ck_assert(saves == 0 || not_saved != NULL);
}
END_TEST

START_TEST(after_an_unknown_outcome_nothing_is_saved)
{
    fill();
    write_fault = FLOW_FAULT_RESET_AFTER;
    send_upsert("k1", "who knows");
    flow_world_run_ms(&world, 100);
    save();
    ck_assert_uint_eq(saves, 0);
}
END_TEST

START_TEST(nothing_is_saved_beside_others)
{
    proxy_set_gateway(world.proxy, false);
    fill();
    save();
    ck_assert_uint_eq(saves, 0);
}
END_TEST

START_TEST(what_has_no_place_is_not_saved)
{
    place = "elsewhere";
    fill();
    save();
    ck_assert_str_eq(not_saved, "its name is not known");
}
END_TEST

START_TEST(what_the_disk_does_not_hold_is_not_saved)
{
    options.disk_max = 1000;
    ck_assert_int_eq(proxy_set_mirror(world.proxy, &options), STATUS_OK);
    fill();
    save();
    ck_assert_str_eq(not_saved, status_text(STATUS_LIMIT_REACHED));
}
END_TEST

/* There was no record to tell its space by. */
START_TEST(what_is_searched_nobody_knows_how_is_not_saved)
{
    space = "l2";
    records.count = 0;
    fill();
    save();
    ck_assert_str_eq(not_saved, "it is not known yet how Chroma searches it");
}
END_TEST

/* ---- Carried over ---------------------------------------------------------------------------- */

/* As daemon_child does when Chroma has ended. */
static void end_chroma(bool is_in_order)
{
    flow_backend_kill(&world.backend);
    proxy_hold(world.proxy, true);
    mirror_kept_let(world.proxy, false);
    mirror_kept_carry(world.proxy, is_in_order);
    proxy_backend_ended(world.proxy);
    flow_world_run_ms(&world, 100);
}

START_TEST(what_is_complete_is_carried_over_to_the_next_chroma)
{
    fill();
    upsert("k4", "before");
    flow_world_run_ms(&world, 100);
    for (uint64_t incarnation = 12; incarnation < 15; incarnation++) {
        unsigned described = descriptions;

        end_chroma(true);
        expect_same();
        reach(incarnation);
        flow_world_run_ms(&world, 100);
        expect_none(); /* it is not known which Chroma it is */
        mirror_kept_let(world.proxy, true);
        flow_world_run_ms(&world, 100);
        ck_assert(is_complete(NULL));
        ck_assert_uint_eq(descriptions, described + 1);
        expect_same();
        upsert("k4", incarnation == 12 ? "first" : "later");
        flow_world_run_ms(&world, 100);
        expect_same();
    }
    ck_assert_uint_eq(lists, 1);
    ck_assert_uint_eq(look().fills, 1);
    ck_assert(look().is_kept);
    set_backend(20); /* somebody paused it, and may have changed it */
    run_to_complete();
    ck_assert_uint_eq(lists, 2);
}
END_TEST

START_TEST(a_write_that_comes_at_once_is_in_it)
{
    fill();
    end_chroma(true);
    send_upsert("k4", "at once");
    flow_world_run_ms(&world, 10);
    mirror_kept_let(world.proxy, true);
    reach(12);
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    flow_world_run_ms(&world, 100);
    run_to_complete();
    expect_same();
    ck_assert_uint_eq(lists, 1);
}
END_TEST

START_TEST(what_may_have_changed_is_not_carried_over)
{
    fill();
    flow_world_run_ms(&world, 100);
    if (_i == 2) {
        send_upsert("k1", "under way");
        ck_assert(flow_world_run_to_requests(&world, world.backend.request_count + 1));
    }
    if (_i == 3)
        proxy_set_gateway(world.proxy, false);
    if (_i == 7)
        upsert("k1", "not applied");
    end_chroma(_i != 0);
    if (_i == 1)
        mirror_kept_carry(world.proxy, false);
    if (_i == 4)
        space = "ip";
    if (_i == 5) { /* the next one ends before it is known which it is */
        reach(12);
        flow_world_run_ms(&world, 100);
        end_chroma(true);
    }
    reach(13);
    if (_i == 3)
        proxy_set_gateway(world.proxy, true);
    mirror_kept_let(world.proxy, _i != 6);
    flow_world_run_ms(&world, 100);
    run_to_complete();
    ck_assert_uint_eq(lists, 2);
    expect_same();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_mirror_kept");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_kept_copy_is_complete_without_being_filled);
    tcase_add_test(tcase, it_waits_until_it_is_known_which_chroma_it_is);
    tcase_add_test(tcase, it_waits_until_all_is_let_go);
    tcase_add_test(tcase, writes_that_pass_before_it_is_complete_are_in_it);
    tcase_add_test(tcase, a_write_of_unknown_outcome_before_it_is_complete_gives_it_up);
    tcase_add_test(tcase, what_is_read_before_it_is_loaded_is_loaded);
    tcase_add_test(tcase, another_chroma_is_not_what_it_was_kept_of);
    tcase_add_test(tcase, the_second_chroma_is_not_what_it_was_kept_of);
    tcase_add_test(tcase, a_chroma_that_ends_before_it_is_reached_takes_it_along);
    tcase_add_test(tcase, what_is_damaged_is_filled);
    tcase_add_test(tcase, what_is_described_otherwise_is_filled);
    tcase_add_test(tcase, where_chroma_wants_credentials_now_nobody_gets_it);
    tcase_add_test(tcase, what_chroma_does_not_have_any_more_goes);
    tcase_add_test(tcase, what_is_not_wanted_any_more_is_not_loaded);
    tcase_add_test(tcase, a_sidecar_and_one_that_has_answered_load_nothing);
    tcase_add_test(tcase, files_that_are_gone_load_nothing);
    tcase_add_test(tcase, the_end_comes_while_it_is_loaded);
    tcase_add_test(tcase, what_is_not_complete_is_not_saved);
    tcase_add_test(tcase, nothing_is_saved_while_a_write_is_under_way);
    tcase_add_test(tcase, a_write_that_chroma_took_along_is_under_way);
    tcase_add_test(tcase, after_an_unknown_outcome_nothing_is_saved);
    tcase_add_test(tcase, nothing_is_saved_beside_others);
    tcase_add_test(tcase, what_has_no_place_is_not_saved);
    tcase_add_test(tcase, what_the_disk_does_not_hold_is_not_saved);
    tcase_add_test(tcase, what_is_searched_nobody_knows_how_is_not_saved);
    tcase_add_test(tcase, what_is_complete_is_carried_over_to_the_next_chroma);
    tcase_add_test(tcase, a_write_that_comes_at_once_is_in_it);
    tcase_add_loop_test(tcase, what_may_have_changed_is_not_carried_over, 0, 8);
    return check_main("flow_mirror_kept", tcase);
}
