/* What must hold: rule by rule, what a write may change is not used while it may change it, and
 * nothing else is lost. test_collection_table_simulation.c tries all of it together. */
#include "chroma/collection_table.h"

#include <stdio.h>

#include "support/check_main.h"

#define T     "/api/v2/tenants/t"
#define D     T "/databases/d"
#define OTHER T "/databases/other"

enum { LOST_US = 1000 };

static const struct scope       scope_d = {BYTES_INIT("t"), BYTES_INIT("d")};
static struct collection_table *table;
static struct write_observers   observers;
static uint64_t                 now_us;

/* Two ids, and whether writes name the second one and no other. */
static const struct record_ids id_a = {.count = 1, .places = {1}};
static const struct record_ids id_b = {.count = 1, .places = {2}};
static bool                    names_b;

/* A request on its way. */
struct request {
    char                path[200];
    struct chroma_route route;
    struct write_notice notice;
};

static void start_with(size_t collections_max, uint64_t settled_us)
{
    static const unsigned char      secret[SIPHASH_KEY_SIZE] = {7};
    struct collection_table_options options = {.collections_max = collections_max,
                                               .bytes_max = 1 << 20,
                                               .lost_us = LOST_US,
                                               .settled_us = settled_us};

    now_us = 1;
    names_b = false;
    table = collection_table_new(&options, secret);
    write_observer_init(&observers);
    write_observer_add(&observers, collection_table_observer(table));
}

static void start(void)
{
    start_with(100, 0);
}

static void stop(void)
{
    collection_table_free(table);
}

static const uint8_t *uuid_of(unsigned number)
{
    static uint8_t uuid[16];

    uuid[15] = (uint8_t)number;
    return uuid;
}

static uint64_t stamp_of(unsigned number)
{
    return collection_table_stamp(table, uuid_of(number), now_us);
}

/* In the path '@' stands for the UUID of the collection. */
static void send_to(struct request *request, const char *method, const char *path, unsigned number)
{
    size_t before = strcspn(path, "@");

    *request =
        (struct request){.notice = {.route = &request->route, .names_ids = names_b, .ids = id_b}};
    if (path[before] == '\0')
        snprintf(request->path, sizeof request->path, "%s", path);
    else
        snprintf(request->path, sizeof request->path, "%.*s00000000-0000-0000-0000-%012x%s",
                 (int)before, path, number, path + before + 1);
    chroma_route_find(bytes_of(method), bytes_of(request->path), &request->route);
    write_observer_sent(&observers, &request->notice, now_us);
}

static void answer_with(struct request *request, enum write_outcome outcome, const char *body)
{
    write_observer_known(&observers, &request->notice, outcome, bytes_of(body), now_us);
}

static void answer(struct request *request)
{
    answer_with(request, WRITE_OUTCOME_APPLIED, "");
}

static const char *describe(unsigned number, const char *name, const char *database,
                            const char *dimension)
{
    static char text[400];

    snprintf(text, sizeof text,
             "{\"id\":\"00000000-0000-0000-0000-%012x\",\"name\":\"%s\",\"tenant\":\"t\","
             "\"database\":\"%s\",\"dimension\":%s,\"metadata\":{\"hnsw:space\":\"ip\"}}",
             number, name, database, dimension);
    return text;
}

/* Ask for the collection by its name and be answered. */
static void look_up(unsigned number, const char *name, const char *dimension)
{
    struct chroma_route        route;
    char                       path[100];
    struct collection_question question;

    snprintf(path, sizeof path, D "/collections/%s", name);
    chroma_route_find(BYTES_LITERAL("GET"), bytes_of(path), &route);
    question = collection_table_ask(table, &route, now_us);
    collection_table_learn(table, &route, question,
                           bytes_of(describe(number, name, "d", dimension)), now_us);
}

/* The number of the collection of this name; 0: it is not known. The other way round says the same
 * of the first ones, where it is known; a creation that is under way takes no name away. */
static unsigned named(const char *name)
{
    uint8_t      uuid[16];
    struct scope scope;
    struct bytes found;
    unsigned     number =
        collection_table_uuid(table, scope_d, bytes_of(name), now_us, uuid) ? uuid[15] : 0;

    for (unsigned i = 1; i < 10; i++) {
        bool is_named = collection_table_names(table, uuid_of(i), 0, now_us, &scope, &found) &&
                        bytes_equal(found, bytes_of(name)) &&
                        bytes_equal(scope.tenant, scope_d.tenant) &&
                        bytes_equal(scope.database, scope_d.database);

        ck_assert(number == 0 || is_named == (i == number));
    }
    return number;
}

/* Whatever else is being created. */
static unsigned standing(const char *name)
{
    uint8_t uuid[16];

    return collection_table_standing_uuid(table, scope_d, bytes_of(name), now_us, uuid) ? uuid[15]
                                                                                        : 0;
}

static enum collection_existence existence(unsigned number)
{
    struct collection_facts facts;

    return collection_table_facts(table, uuid_of(number), &facts) ? facts.existence
                                                                  : COLLECTION_EXISTENCE_UNKNOWN;
}

START_TEST(a_description_is_learned)
{
    struct collection_facts facts;

    ck_assert(!collection_table_facts(table, uuid_of(1), &facts));
    ck_assert_uint_eq(named("a"), 0);
    look_up(1, "a", "null");
    ck_assert_uint_eq(named("a"), 1);
    ck_assert_uint_eq(collection_table_dimension(table, uuid_of(1)), 0);
    look_up(1, "a", "7");
    ck_assert_uint_eq(collection_table_dimension(table, uuid_of(1)), 7);
    look_up(1, "a", "null"); /* an answer that was late */
    ck_assert(collection_table_facts(table, uuid_of(1), &facts));
    ck_assert_uint_eq(facts.dimension, 7);
    ck_assert_int_eq(facts.space, COLLECTION_SPACE_IP);
    ck_assert_int_eq(facts.existence, COLLECTION_EXISTS);
    ck_assert_uint_eq(named("A"), 0);
    ck_assert(!collection_table_uuid(table, (struct scope){scope_d.tenant, BYTES_LITERAL("e")},
                                     BYTES_LITERAL("a"), now_us, (uint8_t[16]){0}));
}
END_TEST

START_TEST(a_list_and_a_creation_are_learned)
{
    struct chroma_route route;
    struct request      create;
    char                list[1000];

    snprintf(list, sizeof list, "[%s,", describe(1, "a", "d", "3"));
    strcat(list, describe(2, "b", "d", "null"));
    strcat(list, "]");
    chroma_route_find(BYTES_LITERAL("GET"), BYTES_LITERAL(D "/collections"), &route);
    collection_table_learn(table, &route, collection_table_ask(table, &route, now_us),
                           bytes_of(list), now_us);
    ck_assert(named("a") == 1 && named("b") == 2);
    send_to(&create, "POST", D "/collections", 0);
    answer_with(&create, WRITE_OUTCOME_APPLIED, describe(3, "c", "d", "null"));
    ck_assert(named("a") == 1 && named("c") == 3);
    send_to(&create, "POST", D "/collections", 0);
    answer_with(&create, WRITE_OUTCOME_REFUSED, describe(4, "e", "d", "null"));
    ck_assert(named("e") == 0 && existence(3) == COLLECTION_EXISTS);
}
END_TEST

START_TEST(a_dimension_is_learned_from_what_was_applied_and_had_vectors)
{
    static const struct {
        const char        *tail;
        enum write_outcome outcome;
        uint32_t           dimension, learned;
    } cases[] = {
        {"/add", WRITE_OUTCOME_APPLIED, 3, 3},    {"/upsert", WRITE_OUTCOME_APPLIED, 3, 3},
        {"/add", WRITE_OUTCOME_REFUSED, 3, 0},    {"/add", WRITE_OUTCOME_UNKNOWN, 3, 0},
        {"/update", WRITE_OUTCOME_APPLIED, 3, 0}, {"/upsert", WRITE_OUTCOME_APPLIED, 0, 0}};

    for (unsigned i = 0; i < COUNT_OF(cases); i++) {
        struct request write;
        char           path[100];

        snprintf(path, sizeof path, D "/collections/@%s", cases[i].tail);
        send_to(&write, "POST", path, i + 1);
        write.notice.dimension = cases[i].dimension;
        ck_assert_uint_eq(collection_table_dimension(table, uuid_of(i + 1)), 0);
        answer_with(&write, cases[i].outcome, "{}");
        if (cases[i].outcome == WRITE_OUTCOME_UNKNOWN)
            write_observer_settled(&observers, &write.notice, now_us);
        ck_assert_uint_eq(collection_table_dimension(table, uuid_of(i + 1)), cases[i].learned);
    }
}
END_TEST

START_TEST(a_write_moves_the_stamp_of_its_collection_alone)
{
    uint64_t                before = stamp_of(1), other = stamp_of(2);
    struct request          first, second;
    struct collection_facts facts;

    ck_assert(before != 0 && before == stamp_of(1));
    send_to(&first, "POST", D "/collections/@/upsert", 1);
    ck_assert_int_eq(first.notice.change.reach, CHROMA_REACH_RECORDS);
    ck_assert(stamp_of(1) == 0 && stamp_of(2) == other);
    send_to(&second, "POST", D "/collections/@/delete", 1);
    answer(&first);
    ck_assert(stamp_of(1) == 0);
    ck_assert(collection_table_facts(table, uuid_of(1), &facts) && facts.writes_in_flight == 1);
    answer_with(&second, WRITE_OUTCOME_REFUSED, "");
    ck_assert(stamp_of(1) > before && stamp_of(2) == other);
}
END_TEST

START_TEST(an_unknown_outcome_lasts_until_it_is_settled_or_the_time_of_the_lost)
{
    struct request write;
    uint64_t       before = stamp_of(1), late;

    for (int is_lost = 0; is_lost < 2; is_lost++) {
        send_to(&write, "POST", D "/collections/@/add", 1);
        answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
        ck_assert_int_eq(write.notice.state, WRITE_NOTICE_UNKNOWN);
        now_us += 10 * LOST_US;
        ck_assert(stamp_of(1) == 0 && stamp_of(2) != 0);
        if (is_lost == 0) {
            write_observer_settled(&observers, &write.notice, now_us);
        } else {
            write_observer_lost(&observers, &write.notice, now_us);
            now_us += LOST_US - 1;
            ck_assert(stamp_of(1) == 0);
            now_us++;
        }
        late = stamp_of(1);
        ck_assert(late > before);
        before = late;
    }
    send_to(&write, "POST", D "/collections/@/add", 1);
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &write.notice, now_us);
    collection_table_new_incarnation(table, false);
    ck_assert(stamp_of(1) == 0);
    collection_table_new_incarnation(table, true);
    ck_assert(stamp_of(1) > before);
}
END_TEST

static const struct {
    const char       *method, *path;
    enum chroma_reach reach;
} wide[] = {
    {"POST", "/api/v2/reset", CHROMA_REACH_EVERYTHING},
    {"POST", "/api/v1/reset", CHROMA_REACH_EVERYTHING},
    {"POST", "/something/new", CHROMA_REACH_EVERYTHING},
    {"PATCH", D "/collections/00000000-0000-0000-0000-000000000001", CHROMA_REACH_EVERYTHING},
    {"POST", D "/collections/not-a-uuid/upsert", CHROMA_REACH_EVERYTHING},
    {"PUT", "/api/v1/collections/00000000-0000-0000-0000-000000000001", CHROMA_REACH_EVERYTHING},
    {"DELETE", "/api/v1/collections/a", CHROMA_REACH_EVERYTHING},
    {"POST", "/api/v1/collections", CHROMA_REACH_EVERYTHING},
    {"PUT", OTHER "/collections/00000000-0000-0000-0000-000000000001", CHROMA_REACH_EVERYTHING},
    {"PUT", D "/collections/00000000-0000-0000-0000-000000000003", CHROMA_REACH_EVERYTHING},
    {"DELETE", D, CHROMA_REACH_SCOPE},
    {"DELETE", D "/collections/unknown", CHROMA_REACH_SCOPE},
};

START_TEST(what_may_change_more_moves_the_stamps_of_all_of_it)
{
    uint64_t       known, unscoped, epoch = collection_table_epoch(table);
    struct request write;

    look_up(1, "a", "3");
    known = stamp_of(1);
    unscoped = stamp_of(2);
    send_to(&write, wide[_i].method, wide[_i].path, 0);
    ck_assert_msg(write.notice.change.reach == wide[_i].reach, "%s", wide[_i].path);
    ck_assert(stamp_of(1) == 0 && stamp_of(2) == 0 && named("a") == 0);
    ck_assert_int_ne(existence(1), COLLECTION_EXISTS);
    ck_assert_int_eq(collection_table_epoch(table) > epoch,
                     wide[_i].reach == CHROMA_REACH_EVERYTHING);
    epoch = collection_table_epoch(table);
    answer(&write);
    ck_assert(stamp_of(1) > known && stamp_of(2) > unscoped && named("a") == 0);
    ck_assert_int_ne(existence(1), COLLECTION_EXISTS);
    ck_assert_int_eq(collection_table_epoch(table) > epoch,
                     wide[_i].reach == CHROMA_REACH_EVERYTHING);
}
END_TEST

START_TEST(another_database_is_not_touched)
{
    struct request write;
    uint64_t       stamp;

    look_up(1, "a", "3");
    stamp = stamp_of(1);
    send_to(&write, "DELETE", OTHER, 0);
    ck_assert(stamp_of(1) == stamp && named("a") == 1 && stamp_of(2) == 0);
    answer(&write);
    send_to(&write, "POST", "/api/v2/tenants", 0);
    ck_assert_int_eq(write.notice.change.reach, CHROMA_REACH_TENANTS);
    send_to(&write, "POST", T "/databases", 0);
    ck_assert(stamp_of(1) == stamp && named("a") == 1);
}
END_TEST

START_TEST(a_creation_hides_names_and_leaves_records_alone)
{
    struct request create;
    uint64_t       stamp;

    look_up(1, "a", "3");
    stamp = stamp_of(1);
    send_to(&create, "POST", D "/collections", 0);
    ck_assert(named("a") == 0 && stamp_of(1) == stamp && standing("a") == 1);
    ck_assert_uint_eq(standing("b"), 0);
    answer_with(&create, WRITE_OUTCOME_REFUSED, "");
    ck_assert(named("a") == 1 && stamp_of(1) == stamp);
    send_to(&create, "POST", D "/collections", 0);
    answer_with(&create, WRITE_OUTCOME_UNKNOWN, "");
    ck_assert_int_eq(create.notice.change.reach, CHROMA_REACH_SCOPE);
    ck_assert(named("a") == 0 && stamp_of(1) == 0 && standing("a") == 0);
    write_observer_settled(&observers, &create.notice, now_us);
    ck_assert(named("a") == 0 && stamp_of(1) > stamp);
    look_up(1, "a", "3");
    ck_assert(named("a") == 1);
}
END_TEST

START_TEST(creations_at_the_same_time_are_both_learned)
{
    struct request first, second;

    send_to(&first, "POST", D "/collections", 0);
    send_to(&second, "POST", D "/collections", 0);
    answer_with(&first, WRITE_OUTCOME_APPLIED, describe(1, "a", "d", "null"));
    ck_assert_uint_eq(named("a"), 0);
    answer_with(&second, WRITE_OUTCOME_APPLIED, describe(2, "b", "d", "null"));
    ck_assert(named("a") == 1 && named("b") == 2);
}
END_TEST

START_TEST(a_deletion_by_a_known_name_is_one_of_its_collection)
{
    struct request delete;
    uint64_t other;

    look_up(1, "a", "3");
    look_up(2, "b", "3");
    other = stamp_of(2);
    send_to(&delete, "DELETE", D "/collections/%61", 0);
    ck_assert_int_eq(delete.notice.change.reach, CHROMA_REACH_COLLECTION);
    ck_assert(delete.notice.change.has_uuid && delete.notice.change.uuid[15] == 1);
    ck_assert(stamp_of(1) == 0 && stamp_of(2) == other && named("b") == 0);
    answer(&delete);
    ck_assert(stamp_of(2) == other && named("a") == 0 && named("b") == 2);
    ck_assert_int_eq(existence(1), COLLECTION_GONE);
    ck_assert_int_eq(existence(2), COLLECTION_EXISTS);
}
END_TEST

START_TEST(a_refused_deletion_leaves_everything)
{
    struct request delete;

    look_up(1, "a", "3");
    send_to(&delete, "DELETE", D "/collections/a", 0);
    answer_with(&delete, WRITE_OUTCOME_REFUSED, "");
    ck_assert(named("a") == 1 && existence(1) == COLLECTION_EXISTS && stamp_of(1) != 0);
}
END_TEST

START_TEST(a_deletion_that_crosses_a_renaming_may_have_met_another)
{
    struct request delete, rename;
    uint64_t other;

    look_up(1, "a", "3");
    look_up(2, "b", "3");
    send_to(&delete, "DELETE", D "/collections/a", 0);
    send_to(&rename, "PUT", D "/collections/@", 2);
    ck_assert_int_eq(rename.notice.change.reach, CHROMA_REACH_COLLECTION);
    answer(&rename);
    other = stamp_of(2);
    answer(&delete);
    ck_assert_int_eq(delete.notice.change.reach, CHROMA_REACH_SCOPE);
    ck_assert(stamp_of(2) != other && existence(1) != COLLECTION_GONE);
}
END_TEST

static bool is_called(unsigned number, const char *name, uint64_t oldest_us)
{
    struct scope where;
    struct bytes found;

    return collection_table_names(table, uuid_of(number), oldest_us, now_us, &where, &found) &&
           bytes_equal(where.tenant, scope_d.tenant) &&
           bytes_equal(where.database, scope_d.database) && bytes_equal(found, bytes_of(name));
}

START_TEST(whose_uuid_it_is_holds_until_it_may_have_changed)
{
    struct request request;
    uint64_t       first_us = now_us;

    ck_assert(!is_called(1, "a", 0));
    look_up(1, "a", "3");
    look_up(2, "b", "3");
    ck_assert(is_called(1, "a", 0) && is_called(2, "b", 0));
    now_us += 5000000;
    ck_assert(is_called(1, "a", first_us));
    ck_assert(!is_called(1, "a", first_us + 1));
    send_to(&request, "POST", D "/collections", 0); /* creates another one */
    ck_assert(is_called(1, "a", 0));
    answer(&request);
    ck_assert(is_called(1, "a", 0));
    send_to(&request, "PUT", D "/collections/@", 1);
    ck_assert(!is_called(1, "a", 0));
    answer(&request);
    ck_assert(!is_called(1, "a", 0));
    look_up(1, "c", "3");
    ck_assert(is_called(1, "c", now_us) && is_called(2, "b", 0));
    send_to(&request, "DELETE", D "/collections/c", 0);
    answer(&request);
    ck_assert(!is_called(1, "c", 0));
    collection_table_new_incarnation(table, true);
    ck_assert(!is_called(2, "b", 0));
}
END_TEST

START_TEST(a_renamed_collection_has_no_name_until_it_is_seen_again)
{
    struct request rename;

    look_up(1, "a", "3");
    look_up(2, "b", "3");
    send_to(&rename, "PUT", D "/collections/@", 1);
    answer(&rename);
    ck_assert(named("a") == 0 && named("b") == 2);
    look_up(1, "c", "3");
    ck_assert(named("a") == 0 && named("c") == 1);
    look_up(3, "c", "3"); /* somebody else's change */
    ck_assert(named("c") == 3);
}
END_TEST

START_TEST(an_answer_that_crossed_a_deletion_teaches_no_name)
{
    struct chroma_route        route;
    struct collection_question before, between, after;
    struct request delete;

    chroma_route_find(BYTES_LITERAL("GET"), BYTES_LITERAL(D "/collections/a"), &route);
    before = collection_table_ask(table, &route, now_us);
    send_to(&delete, "DELETE", D "/collections/a", 0);
    between = collection_table_ask(table, &route, now_us);
    collection_table_learn(table, &route, before, bytes_of(describe(1, "a", "d", "3")), now_us);
    ck_assert_int_ne(existence(1), COLLECTION_EXISTS);
    answer(&delete);
    after = collection_table_ask(table, &route, now_us);
    collection_table_learn(table, &route, before, bytes_of(describe(1, "a", "d", "3")), now_us);
    ck_assert_uint_eq(named("a"), 0);
    collection_table_learn(table, &route, between, bytes_of(describe(1, "a", "d", "3")), now_us);
    ck_assert_uint_eq(named("a"), 0);
    ck_assert_uint_eq(collection_table_dimension(table, uuid_of(1)), 3); /* that never changes */
    collection_table_learn(table, &route, after, bytes_of(describe(1, "a", "d", "3")), now_us);
    ck_assert_uint_eq(named("a"), 1);
}
END_TEST

START_TEST(another_incarnation_voids_everything)
{
    uint64_t                   incarnation = collection_table_incarnation(table), stamp;
    struct collection_question question;
    struct chroma_route        route;
    struct request             write;

    look_up(1, "a", "3");
    stamp = stamp_of(1);
    chroma_route_find(BYTES_LITERAL("GET"), BYTES_LITERAL(D "/collections/a"), &route);
    question = collection_table_ask(table, &route, now_us);
    send_to(&write, "POST", D "/collections/@/add", 2);
    write.notice.dimension = 5;
    collection_table_new_incarnation(table, false);
    ck_assert(collection_table_incarnation(table) > incarnation);
    ck_assert(stamp_of(1) > stamp && stamp_of(2) == 0 && named("a") == 0);
    ck_assert_uint_eq(collection_table_dimension(table, uuid_of(1)), 0);
    ck_assert_int_eq(existence(1), COLLECTION_EXISTENCE_UNKNOWN);
    collection_table_learn(table, &route, question, bytes_of(describe(1, "a", "d", "3")), now_us);
    ck_assert_uint_eq(collection_table_dimension(table, uuid_of(1)), 0);
    answer(&write);
    ck_assert_uint_eq(collection_table_dimension(table, uuid_of(2)), 0);
    ck_assert(stamp_of(2) != 0);
}
END_TEST

static struct collection_former held_now(unsigned number)
{
    return (struct collection_former){.stamp = stamp_of(number),
                                      .epoch = collection_table_epoch(table),
                                      .incarnation = collection_table_incarnation(table)};
}

static bool is_former(unsigned number, struct collection_former held)
{
    struct collection_former former = collection_table_former(table, uuid_of(number), NULL, now_us);

    return former.stamp != 0 && memcmp(&former, &held, sizeof held) == 0;
}

/* Of a collection in a database that is known, and of one of which it is not known where it is. */
START_TEST(what_held_when_a_chroma_was_lost_is_known_until_something_is_sent)
{
    static const char *const others[] = {D, "/api/v2/reset"};
    struct collection_former known, unknown;
    struct request           write;

    look_up(1, "a", "3");
    send_to(&write, "POST", D "/collections/@/add", 1);
    answer(&write);
    stamp_of(2);
    send_to(&write, "POST", D "/collections/@/add", 2);
    answer(&write);
    for (size_t i = 0; i <= COUNT_OF(others); i++) {
        known = held_now(1);
        unknown = held_now(2);
        ck_assert(!is_former(1, known));
        collection_table_new_incarnation(table, false);
        ck_assert(is_former(1, known) && is_former(2, unknown));
        if (i == COUNT_OF(others)) {
            send_to(&write, "POST", D "/collections/@/add", 1);
            ck_assert(!is_former(1, known) && is_former(2, unknown));
            ck_assert_uint_eq(collection_table_former(table, uuid_of(1), NULL, now_us).stamp, 0);
        } else {
            send_to(&write, i == 0 ? "DELETE" : "POST", others[i], 0);
            ck_assert(!is_former(1, known) && !is_former(2, unknown));
        }
        answer_with(&write, WRITE_OUTCOME_REFUSED, "");
        ck_assert(!is_former(1, known));
        look_up(1, "a", "3");
    }
    collection_table_new_incarnation(table, false); /* of the one before only */
    ck_assert(!is_former(2, unknown));
    ck_assert_uint_eq(collection_table_former(table, uuid_of(77), NULL, now_us).stamp, 0);
}
END_TEST

static uint64_t stamp_of_a(unsigned number)
{
    return collection_table_stamp_of(table, uuid_of(number), &id_a, now_us);
}

static void write_b(unsigned number)
{
    struct request write;

    names_b = true;
    send_to(&write, "POST", D "/collections/@/upsert", number);
    answer(&write);
    names_b = false;
}

START_TEST(a_record_keeps_its_stamp_under_writes_of_others)
{
    struct request first, second;
    uint64_t       before = stamp_of_a(1), held;

    write_b(1);
    ck_assert(stamp_of_a(1) > before);
    before = stamp_of_a(1);
    names_b = true;
    send_to(&first, "POST", D "/collections/@/upsert", 1);
    ck_assert(stamp_of_a(1) == before && stamp_of(1) == 0);
    answer(&first);
    ck_assert(stamp_of_a(1) == before && stamp_of(1) > before);
    send_to(&first, "POST", D "/collections/@/upsert", 1);
    send_to(&second, "POST", D "/collections/@/upsert", 1);
    ck_assert(stamp_of_a(1) == 0);
    answer(&second);
    ck_assert(stamp_of_a(1) == 0);
    answer(&first);
    held = stamp_of_a(1);
    ck_assert(held > before && held == stamp_of(1));
    write_b(1);
    held = stamp_of_a(1);
    write_b(1);
    collection_table_new_incarnation(table, false);
    ck_assert(stamp_of_a(1) > held);
    ck_assert_uint_eq(collection_table_former(table, uuid_of(1), &id_a, now_us).stamp, held);
}
END_TEST

/* Chroma may take it yet, and hide it until the write after next. */
START_TEST(beside_a_lost_write_no_other_shows_all)
{
    struct request lost;
    uint64_t       before;

    stamp_of_a(1);
    send_to(&lost, "POST", D "/collections/@/upsert", 1);
    answer_with(&lost, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &lost.notice, now_us);
    write_b(1);
    now_us += LOST_US;
    before = stamp_of_a(1);
    ck_assert_uint_ne(before, 0);
    write_b(1);
    ck_assert(stamp_of_a(1) > before);
    before = stamp_of_a(1);
    write_b(1);
    ck_assert_uint_eq(stamp_of_a(1), before);
}
END_TEST

START_TEST(of_very_many_collections_some_are_told_by_id)
{
    unsigned kept = 0;

    stop();
    start_with(250, 0);
    for (unsigned i = 1; i <= 250; i++) {
        uint64_t before;

        stamp_of_a(i);
        write_b(i);
        before = stamp_of_a(i);
        write_b(i);
        kept += stamp_of_a(i) == before;
    }
    ck_assert(kept > 64 && kept < 128);
}
END_TEST

START_TEST(what_is_distrusted_has_another_stamp)
{
    uint64_t first = stamp_of(1), other = stamp_of(2), description;

    collection_table_note_read(table, uuid_of(1));
    description = collection_table_description_stamp(table, uuid_of(1), now_us);
    collection_table_distrust(table, uuid_of(1));
    collection_table_distrust(table, uuid_of(3));
    ck_assert_uint_ne(stamp_of(1), 0);
    ck_assert_uint_ne(stamp_of(1), first);
    ck_assert_uint_ne(collection_table_description_stamp(table, uuid_of(1), now_us), description);
    ck_assert_uint_eq(stamp_of(2), other);
}
END_TEST

START_TEST(what_was_lost_is_quiet_before_it_has_a_stamp)
{
    struct request write;

    stamp_of(1);
    ck_assert(collection_table_is_quiet(table, uuid_of(1), LOST_US / 4, now_us));
    send_to(&write, "POST", D "/collections/@/add", 1);
    ck_assert(!collection_table_is_quiet(table, uuid_of(1), 0, now_us));
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    ck_assert(!collection_table_is_quiet(table, uuid_of(1), 0, now_us));
    write_observer_lost(&observers, &write.notice, now_us);
    now_us += LOST_US / 4 - 1;
    ck_assert(!collection_table_is_quiet(table, uuid_of(1), LOST_US / 4, now_us));
    now_us++;
    ck_assert(collection_table_is_quiet(table, uuid_of(1), LOST_US / 4, now_us));
    ck_assert_uint_eq(stamp_of(1), 0);
}
END_TEST

START_TEST(a_forgotten_collection_has_another_stamp)
{
    uint64_t       stamp;
    struct request write;

    stop();
    start_with(3, 0);
    stamp = stamp_of(1);
    for (unsigned number = 2; number < 9; number++)
        ck_assert(stamp_of(number) > stamp);
    ck_assert(stamp_of(1) > stamp);
    send_to(&write, "POST", D "/collections/@/add", 1);
    for (unsigned number = 2; number < 9; number++)
        stamp_of(number);
    ck_assert_uint_eq(stamp_of(1), 0); /* in flight: not forgotten */
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &write.notice, now_us);
    for (unsigned number = 2; number < 9; number++)
        stamp_of(number);
    ck_assert_uint_eq(stamp_of(1), 0); /* lost: forgotten, but not that */
    now_us += LOST_US;
    ck_assert_uint_ne(stamp_of(1), 0);
}
END_TEST

START_TEST(without_room_a_write_may_change_everything)
{
    struct request writes[3];
    uint64_t       stamp;

    stop();
    start_with(2, 0);
    for (unsigned i = 0; i < 3; i++)
        send_to(&writes[i], "POST", D "/collections/@/add", i + 1);
    ck_assert_int_eq(writes[1].notice.change.reach, CHROMA_REACH_RECORDS);
    ck_assert_int_eq(writes[2].notice.change.reach, CHROMA_REACH_EVERYTHING);
    answer(&writes[0]);
    ck_assert_uint_eq(stamp_of(1), 0);
    answer(&writes[2]);
    stamp = stamp_of(1);
    ck_assert(stamp != 0);
    answer(&writes[1]);
    ck_assert(stamp_of(1) == stamp);
}
END_TEST

START_TEST(a_function_makes_its_database_unfit_for_good)
{
    struct request attach;

    look_up(1, "a", "3");
    send_to(&attach, "POST", D "/collections/@/functions/attach", 1);
    answer(&attach);
    now_us += 100 * LOST_US;
    ck_assert(stamp_of(1) == 0 && stamp_of(2) == 0);
    look_up(1, "a", "3");
    ck_assert_uint_eq(named("a"), 1);
}
END_TEST

static unsigned seen[3];

static void count_sent(struct write_observer *observer, struct write_notice *notice, uint64_t at_us)
{
    (void)observer;
    (void)at_us;
    ck_assert_int_eq(notice->change.reach, CHROMA_REACH_RECORDS); /* the table was first */
    seen[0]++;
}

static void count_known(struct write_observer *observer, struct write_notice *notice,
                        enum write_outcome outcome, struct bytes body, uint64_t at_us)
{
    (void)observer;
    (void)at_us;
    ck_assert_int_eq(outcome, WRITE_OUTCOME_UNKNOWN);
    ck_assert(bytes_equal(body, BYTES_LITERAL("x")) && notice->state == WRITE_NOTICE_UNKNOWN);
    seen[1]++;
}

static void count_settled(struct write_observer *observer, struct write_notice *notice,
                          bool is_lost, uint64_t at_us)
{
    (void)observer;
    (void)at_us;
    ck_assert(is_lost && notice->state == WRITE_NOTICE_OVER);
    seen[2]++;
}

static uint64_t description_stamp_of(unsigned number)
{
    return collection_table_description_stamp(table, uuid_of(number), now_us);
}

/* A write of one record with the metadata key `key`; "": none. */
static void write_key(struct request *request, unsigned number, const char *key)
{
    char                  body[200];
    struct chroma_records records;
    const char           *reason;

    snprintf(body, sizeof body, "{\"ids\":[\"r\"],\"embeddings\":[[1,2]],\"metadatas\":[{%s%s%s}]}",
             key[0] == '\0' ? "" : "\"", key, key[0] == '\0' ? "" : "\":1");
    ck_assert_int_eq(
        chroma_records_scan(CHROMA_OPERATION_UPSERT, bytes_of(body), 1, &records, &reason),
        STATUS_OK);
    *request = (struct request){.notice = {.route = &request->route, .dimension = 2}};
    snprintf(request->path, sizeof request->path,
             D "/collections/00000000-0000-0000-0000-%012x/upsert", number);
    chroma_route_find(BYTES_LITERAL("POST"), bytes_of(request->path), &request->route);
    request->notice.leaves_description = collection_table_is_left(table, &request->route, &records);
    write_observer_sent(&observers, &request->notice, now_us);
    chroma_records_done(&records);
}

/* Chroma has applied all, and the description has key a. */
static void keep_description(unsigned number)
{
    struct request write;

    look_up(number, "a", "2");
    write_key(&write, number, "");
    answer(&write);
    ck_assert_uint_ne(description_stamp_of(number), 0);
    ck_assert(collection_table_describe(
        table, uuid_of(number),
        bytes_of("{\"id\":\"00000000-0000-0000-0000-000000000001\",\"dimension\":2,"
                 "\"schema\":{\"keys\":{\"a\":{\"int\":{}}}}}")));
}

/* Chroma may apply what a process of ours before this one had sent, with a write of ours or by
 * itself. */
START_TEST(before_it_is_settled_there_are_no_stamps)
{
    struct request write;

    stop();
    start_with(100, 1000);
    look_up(1, "a", "2");
    write_key(&write, 1, "");
    answer(&write);
    now_us = 999;
    ck_assert_uint_eq(stamp_of(1), 0);
    ck_assert_uint_eq(description_stamp_of(1), 0);
    ck_assert_uint_eq(collection_table_tenants_stamp(table, now_us), 0);
    ck_assert_uint_eq(named("a"), 1);
    now_us = 1000;
    ck_assert_uint_ne(stamp_of(1), 0);
    ck_assert_uint_ne(collection_table_tenants_stamp(table, now_us), 0);
    ck_assert_uint_eq(description_stamp_of(1), 0); /* the write may have come before it */
    keep_description(1);
}
END_TEST

START_TEST(a_description_outlives_writes_that_leave_it)
{
    struct request write;
    uint64_t       stamp;

    keep_description(1);
    stamp = description_stamp_of(1);
    write_key(&write, 1, "a");
    ck_assert(description_stamp_of(1) == stamp && stamp_of(1) == 0);
    answer(&write);
    ck_assert(description_stamp_of(1) == stamp);
    write_key(&write, 1, "b");
    ck_assert_uint_eq(description_stamp_of(1), 0);
    answer(&write);
    ck_assert(description_stamp_of(1) > stamp);
}
END_TEST

START_TEST(what_describes_another_is_refused)
{
    look_up(2, "b", "2");
    ck_assert(!collection_table_describe(
        table, uuid_of(2),
        BYTES_LITERAL("{\"id\":\"00000000-0000-0000-0000-000000000001\",\"dimension\":2}")));
    ck_assert(!collection_table_describe(table, uuid_of(2), BYTES_LITERAL("{}")));
    ck_assert(!collection_table_describe(
        table, uuid_of(9),
        BYTES_LITERAL("{\"id\":\"00000000-0000-0000-0000-000000000009\",\"dimension\":2}")));
}
END_TEST

START_TEST(a_description_waits_until_what_was_lost_can_come_no_more)
{
    struct request write;

    keep_description(1);
    write_key(&write, 1, "b");
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &write.notice, now_us);
    write_key(&write, 1, "a");
    ck_assert(!write.notice.leaves_description);
    answer(&write);
    ck_assert_uint_eq(description_stamp_of(1), 0);
    now_us += LOST_US + 1;
    ck_assert_uint_eq(description_stamp_of(1), 0);
    write_key(&write, 1, "a");
    answer(&write);
    ck_assert_uint_ne(description_stamp_of(1), 0);
}
END_TEST

/* Its schema may be another: a write with a key that the old one had may bring it. */
START_TEST(another_incarnation_has_its_own_schema)
{
    struct request write;

    keep_description(1);
    collection_table_new_incarnation(table, true);
    write_key(&write, 1, "");
    answer(&write);
    ck_assert_uint_ne(description_stamp_of(1), 0);
    write_key(&write, 1, "a");
    ck_assert(!write.notice.leaves_description);
    answer(&write);
    keep_description(1);
    write_key(&write, 1, "a");
    ck_assert(write.notice.leaves_description);
    answer(&write);
}
END_TEST

START_TEST(a_write_beside_the_lost_one_does_not_bring_it)
{
    struct request lost, beside, after;

    keep_description(1);
    write_key(&lost, 1, "b");
    write_key(&beside, 1, "a");
    answer_with(&lost, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_settled(&observers, &lost.notice, now_us); /* a 500 */
    answer(&beside);
    ck_assert_uint_eq(description_stamp_of(1), 0);
    write_key(&after, 1, "a");
    answer(&after);
    ck_assert_uint_ne(description_stamp_of(1), 0);
}
END_TEST

START_TEST(what_was_lost_with_a_chroma_comes_with_the_next_write_to_another)
{
    struct request write;

    keep_description(1);
    write_key(&write, 1, "b");
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &write.notice, now_us);
    collection_table_new_incarnation(table, true);
    collection_table_note_read(table, uuid_of(1));
    ck_assert_uint_eq(description_stamp_of(1), 0);
    write_key(&write, 1, "");
    answer(&write);
    ck_assert_uint_ne(description_stamp_of(1), 0);
}
END_TEST

/* It makes visible what was taken, but where there is no dimension: then nothing is applied. */
START_TEST(an_update_brings_what_was_left)
{
    bool           is_empty = _i == 0;
    struct request update;

    look_up(1, "a", is_empty ? "null" : "2");
    send_to(&update, "POST", D "/collections/@/update", 1);
    answer(&update);
    ck_assert((description_stamp_of(1) != 0) == !is_empty);
    collection_table_note_read(table, uuid_of(1));
    ck_assert(collection_table_describe(
        table, uuid_of(1),
        bytes_of("{\"id\":\"00000000-0000-0000-0000-000000000001\",\"dimension\":2,"
                 "\"schema\":{\"keys\":{\"a\":{\"int\":{}}}}}")));
    write_key(&update, 1, "a");
    ck_assert(update.notice.leaves_description == !is_empty);
    answer(&update);
}
END_TEST

START_TEST(another_process_must_be_seen_to_read_or_write)
{
    uint64_t stamp;

    look_up(1, "a", "2");
    ck_assert_uint_eq(description_stamp_of(1), 0);
    collection_table_note_read(table, uuid_of(1));
    stamp = description_stamp_of(1);
    ck_assert_uint_ne(stamp, 0);
    collection_table_new_incarnation(table, true);
    ck_assert_uint_eq(description_stamp_of(1), 0);
    keep_description(1);
    ck_assert(description_stamp_of(1) > stamp);
    collection_table_new_incarnation(table, true);
    ck_assert_uint_eq(description_stamp_of(1), 0);
}
END_TEST

START_TEST(a_deletion_of_records_leaves_a_description)
{
    static const struct {
        const char *path;
        bool        is_left;
    } writes[] = {{D "/collections/00000000-0000-0000-0000-000000000001/delete", true},
                  {D "/collections/00000000-0000-0000-0000-000000000001/conditional/commit", false},
                  {D "/collections/00000000-0000-0000-0000-000000000001/upsert", false},
                  {D "/collections/00000000-0000-0000-0000-000000000001/fork", false},
                  {D "/collections/00000000-0000-0000-0000-000000000002/delete", false},
                  {D "/collections", false}};
    struct chroma_route route;

    keep_description(1);
    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        chroma_route_find(BYTES_LITERAL("POST"), bytes_of(writes[i].path), &route);
        ck_assert(collection_table_is_left(table, &route, NULL) == writes[i].is_left);
    }
}
END_TEST

START_TEST(a_forgotten_description_is_not_trusted)
{
    struct request write;
    uint64_t       stamp;

    stop();
    start_with(2, 0);
    keep_description(1);
    stamp = description_stamp_of(1);
    look_up(2, "b", "2");
    look_up(3, "c", "2"); /* now the first is forgotten */
    ck_assert_uint_eq(description_stamp_of(1), 0);
    collection_table_note_read(table, uuid_of(1));
    ck_assert(description_stamp_of(1) > stamp);
    write_key(&write, 1, "b");
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &write.notice, now_us);
    look_up(2, "b", "2");
    look_up(3, "c", "2");
    look_up(1, "a", "2");
    write_key(&write, 1, "");
    answer(&write);
    ck_assert_uint_eq(description_stamp_of(1), 0);
    now_us += LOST_US + 1;
    collection_table_note_read(table, uuid_of(1));
    ck_assert_uint_eq(description_stamp_of(1), 0);
    write_key(&write, 1, "");
    answer(&write);
    ck_assert_uint_ne(description_stamp_of(1), 0);
}
END_TEST

static const struct {
    const char *method, *path;
    bool        reaches_tenants;
} catalogue[] = {{"POST", "/api/v2/tenants", true},
                 {"PATCH", T, true},
                 {"POST", T "/databases", true},
                 {"DELETE", D, true},
                 {"POST", "/api/v2/reset", true},
                 {"DELETE", "/api/v2/unknown", true},
                 {"POST", D "/collections", false},
                 {"DELETE", D "/collections/a", true}, /* of whatever is called so */
                 {"POST", D "/collections/@/upsert", false}};

START_TEST(what_changes_tenants_moves_their_stamp)
{
    uint64_t       before = collection_table_tenants_stamp(table, now_us), at_send, after;
    struct request write;

    ck_assert_uint_ne(before, 0);
    send_to(&write, catalogue[_i].method, catalogue[_i].path, 1);
    at_send = collection_table_tenants_stamp(table, now_us);
    answer(&write);
    after = collection_table_tenants_stamp(table, now_us);
    ck_assert_uint_eq(at_send, catalogue[_i].reaches_tenants ? 0 : before);
    ck_assert((after > before) == catalogue[_i].reaches_tenants);
    send_to(&write, catalogue[_i].method, catalogue[_i].path, 1);
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "");
    write_observer_lost(&observers, &write.notice, now_us);
    if (catalogue[_i].reaches_tenants)
        ck_assert_uint_eq(collection_table_tenants_stamp(table, now_us), 0);
    collection_table_new_incarnation(table, true);
    ck_assert(collection_table_tenants_stamp(table, now_us) > after);
}
END_TEST

START_TEST(those_behind_the_table_are_told)
{
    struct write_observer counter = {
        .on_sent = count_sent, .on_known = count_known, .on_settled = count_settled};
    struct write_observer deaf = {0};
    struct request        write;

    write_observer_add(&observers, &deaf);
    write_observer_add(&observers, &counter);
    send_to(&write, "POST", D "/collections/@/add", 1);
    answer_with(&write, WRITE_OUTCOME_UNKNOWN, "x");
    write_observer_lost(&observers, &write.notice, now_us);
    write_observer_remove(&counter);
    send_to(&write, "POST", D "/collections/@/add", 1);
    answer(&write);
    ck_assert(seen[0] == 1 && seen[1] == 1 && seen[2] == 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("collection_table");

    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, a_description_is_learned);
    tcase_add_test(tcase, a_list_and_a_creation_are_learned);
    tcase_add_test(tcase, a_dimension_is_learned_from_what_was_applied_and_had_vectors);
    tcase_add_test(tcase, a_write_moves_the_stamp_of_its_collection_alone);
    tcase_add_test(tcase, an_unknown_outcome_lasts_until_it_is_settled_or_the_time_of_the_lost);
    tcase_add_loop_test(tcase, what_may_change_more_moves_the_stamps_of_all_of_it, 0,
                        COUNT_OF(wide));
    tcase_add_test(tcase, another_database_is_not_touched);
    tcase_add_test(tcase, a_creation_hides_names_and_leaves_records_alone);
    tcase_add_test(tcase, creations_at_the_same_time_are_both_learned);
    tcase_add_test(tcase, a_deletion_by_a_known_name_is_one_of_its_collection);
    tcase_add_test(tcase, a_refused_deletion_leaves_everything);
    tcase_add_test(tcase, a_deletion_that_crosses_a_renaming_may_have_met_another);
    tcase_add_test(tcase, whose_uuid_it_is_holds_until_it_may_have_changed);
    tcase_add_test(tcase, a_renamed_collection_has_no_name_until_it_is_seen_again);
    tcase_add_test(tcase, an_answer_that_crossed_a_deletion_teaches_no_name);
    tcase_add_test(tcase, another_incarnation_voids_everything);
    tcase_add_test(tcase, what_held_when_a_chroma_was_lost_is_known_until_something_is_sent);
    tcase_add_test(tcase, a_record_keeps_its_stamp_under_writes_of_others);
    tcase_add_test(tcase, beside_a_lost_write_no_other_shows_all);
    tcase_add_test(tcase, of_very_many_collections_some_are_told_by_id);
    tcase_add_test(tcase, what_is_distrusted_has_another_stamp);
    tcase_add_test(tcase, what_was_lost_is_quiet_before_it_has_a_stamp);
    tcase_add_test(tcase, a_forgotten_collection_has_another_stamp);
    tcase_add_test(tcase, without_room_a_write_may_change_everything);
    tcase_add_test(tcase, a_function_makes_its_database_unfit_for_good);
    tcase_add_test(tcase, a_description_outlives_writes_that_leave_it);
    tcase_add_test(tcase, before_it_is_settled_there_are_no_stamps);
    tcase_add_test(tcase, what_describes_another_is_refused);
    tcase_add_test(tcase, a_description_waits_until_what_was_lost_can_come_no_more);
    tcase_add_test(tcase, another_incarnation_has_its_own_schema);
    tcase_add_test(tcase, a_write_beside_the_lost_one_does_not_bring_it);
    tcase_add_test(tcase, what_was_lost_with_a_chroma_comes_with_the_next_write_to_another);
    tcase_add_loop_test(tcase, an_update_brings_what_was_left, 0, 2);
    tcase_add_test(tcase, another_process_must_be_seen_to_read_or_write);
    tcase_add_test(tcase, a_deletion_of_records_leaves_a_description);
    tcase_add_test(tcase, a_forgotten_description_is_not_trusted);
    tcase_add_loop_test(tcase, what_changes_tenants_moves_their_stamp, 0, COUNT_OF(catalogue));
    tcase_add_test(tcase, those_behind_the_table_are_told);
    return check_main("collection_table", tcase);
}
