/* What must hold: the columns take the rows that filter_matches() takes, whatever the records hold
 * and however they came to hold it; documents are asked for only where nothing else decides; every
 * byte is counted; what fails changes nothing. */
#include "mirror/mirror_columns.h"

#include <inttypes.h>
#include <string.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/rng.h"
#include "index/index_memory.h"
#include "mirror/filter.h"
#include "support/check_main.h"
#include "support/sim_seeds.h"

enum { ROWS_MAX = 700, WORDS_MAX = ROWS_MAX / 64 + 1, TEXT_MAX = 1 << 16 };

static const unsigned char secret[SIPHASH_KEY_SIZE] = "a secret of test";

struct model_row {
    struct mirror_metadata *metadata;
    char                    document[256];
    size_t                  document_size;
    bool                    has_document, is_live;
};

struct world {
    uint64_t               seed;
    struct rng             rng;
    struct index_memory    memory;
    struct mirror_columns *columns;
    struct byte_buffer     json;
    uint32_t               row_count, key_count, asked;
    enum status            answer; /* of documents */
    struct model_row       rows[ROWS_MAX];
};

static void world_init(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    world->seed = seed;
    rng_init(&world->rng, seed);
    index_memory_init(&world->memory, 0);
    ck_assert_int_eq(mirror_columns_new(&world->memory, secret, &world->columns), STATUS_OK);
}

static void world_done(struct world *world)
{
    for (uint32_t i = 0; i < ROWS_MAX; i++)
        mirror_metadata_free(world->rows[i].metadata);
    mirror_columns_free(world->columns);
    SIM_CHECK(world->seed, world->memory.used == 0);
    byte_buffer_done(&world->json);
}

static uint32_t pick(struct world *world, uint32_t bound)
{
    return (uint32_t)rng_below(&world->rng, bound);
}

static void say(struct world *world, const char *text)
{
    ck_assert_int_eq(byte_buffer_append(&world->json, bytes_of(text), TEXT_MAX), STATUS_OK);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static const char *const numbers[] = {"0",
                                      "1",
                                      "-1",
                                      "2",
                                      "7",
                                      "9007199254740993",
                                      "9223372036854775807",
                                      "-0.0",
                                      "0.0",
                                      "1.0",
                                      "1.5",
                                      "-1.5",
                                      "9007199254740992.0",
                                      "-9223372036854775808",
                                      "2.0",
                                      "1e300",
                                      "-1e300",
                                      "0.1",
                                      "9223372036854775806",
                                      "9.3e18",
                                      "9007199254740992"};
static const char *const texts[] = {"\"\"",          "\"a\"",
                                    "\"b\"",         "\"ab\"",
                                    "\"a\\u0000b\"", "\"\xe4\xb8\xad\xe6\x96\x87\"",
                                    "\"1\"",         "\"\xf0\x9f\x98\x80\"",
                                    "\"A\"",         "\"true\"",
                                    "\"12345678\"",  "\"\\u0001\\u0000\\u0000\\u0000\""};

static void say_scalar(struct world *world, uint32_t kind)
{
    char text[40];

    switch (kind) {
    case 0:
        say(world, pick(world, 2) == 0 ? "true" : "false");
        break;
    case 1:
    case 2:
        say(world, numbers[pick(world, COUNT_OF(numbers))]);
        break;
    case 3:
        say(world, texts[pick(world, COUNT_OF(texts))]);
        break;
    case 4:
        snprintf(text, sizeof text, "%u", pick(world, 500));
        say(world, text);
        break;
    default:
        snprintf(text, sizeof text, "\"text %u\"", pick(world, 500));
        say(world, text);
    }
}

/* Of one type: an integer and a float in one list are refused. */
static void say_list(struct world *world)
{
    static const char *const integers[] = {"1", "2", "9007199254740993", "-1", "0"};
    static const char *const reals[] = {"1.0", "-0.0", "0.0", "1.5", "9007199254740992.0"};
    uint32_t                 kind = pick(world, 4), count = 1 + pick(world, 4);

    say(world, "[");
    for (uint32_t i = 0; i < count; i++) {
        say(world, i == 0 ? "" : ",");
        if (kind == 0)
            say_scalar(world, 0);
        else if (kind == 1)
            say(world, integers[pick(world, COUNT_OF(integers))]);
        else if (kind == 2)
            say(world, reals[pick(world, COUNT_OF(reals))]);
        else
            say(world, texts[pick(world, COUNT_OF(texts))]);
    }
    say(world, "]");
}

static void say_key(struct world *world)
{
    char     text[40];
    uint32_t key = pick(world, world->key_count);

    /* The first ones are in most records, the others in few. */
    if (pick(world, 3) > 0)
        key = pick(world, 3);
    snprintf(text, sizeof text, "\"key %u\":", key);
    say(world, text);
}

static struct mirror_metadata *random_metadata(struct world *world)
{
    struct mirror_metadata *metadata = NULL;
    const char             *reason;
    uint32_t                count = pick(world, 6);

    byte_buffer_clear(&world->json);
    say(world, "{");
    for (uint32_t i = 0; i < count; i++) {
        say(world, i == 0 ? "" : ",");
        say_key(world);
        if (pick(world, 5) == 0)
            say_list(world);
        else
            say_scalar(world, pick(world, 6));
    }
    say(world, "}");
    ck_assert_int_eq(mirror_metadata_read(byte_buffer_bytes(&world->json), MIRROR_SOURCE_ANSWER,
                                          &metadata, &reason),
                     STATUS_OK);
    return metadata;
}

static void say_condition(struct world *world)
{
    static const char *const orders[] = {"$lt", "$lte", "$gt", "$gte"};
    static const char *const equals[] = {"$eq", "$ne", "$contains", "$not_contains"};
    uint32_t                 kind = pick(world, 4), type = pick(world, 6);

    say_key(world);
    say(world, "{\"");
    if (kind == 0) {
        say(world, orders[pick(world, COUNT_OF(orders))]);
        say(world, "\":");
        say_scalar(world, pick(world, 2) == 0 ? 1 : 4);
    } else if (kind <= 2) {
        say(world, equals[pick(world, COUNT_OF(equals))]);
        say(world, "\":");
        say_scalar(world, type);
    } else {
        say(world, pick(world, 2) == 0 ? "$in" : "$nin");
        say(world, "\":[");
        for (uint32_t i = 0, count = 1 + pick(world, 30); i < count; i++) {
            say(world, i == 0 ? "" : ",");
            say_scalar(world, type);
        }
        say(world, "]");
    }
    say(world, "}");
}

static const char *const words[] = {"a",
                                    "ab",
                                    "abc",
                                    "the ",
                                    "word",
                                    "The word",
                                    "\xe4\xb8\xad\xe6\x96\x87",
                                    "\xe4\xb8\xad",
                                    "\xe6\x96\x87\xe5\xad\x97",
                                    "\xf0\x9f\x98\x80",
                                    "\xf0\x9f\x98\x81 ",
                                    " ",
                                    "\xc3\xa9t\xc3\xa9",
                                    "zebra"};

static void say_needle(struct world *world)
{
    uint32_t count = pick(world, 4);

    say(world, pick(world, 3) == 0 ? "\"$not_contains\":\"" : "\"$contains\":\"");
    for (uint32_t i = 0; i < count; i++)
        say(world, words[pick(world, COUNT_OF(words))]);
    if (pick(world, 8) == 0)
        say(world, "\\u0000");
    say(world, "\"");
}

/* `what`: 0 metadata, 1 documents, 2 both, in `where`. */
static void say_clause(struct world *world, uint32_t depth, uint32_t what)
{
    say(world, "{");
    if (depth < 4 && pick(world, 2) == 0) {
        say(world, pick(world, 2) == 0 ? "\"$and\":[" : "\"$or\":[");
        for (uint32_t i = 0, count = pick(world, 4); i < count; i++) {
            say(world, i == 0 ? "" : ",");
            say_clause(world, depth + 1, what);
        }
        say(world, "]");
    } else if (what == 1)
        say_needle(world);
    else if (what == 2 && pick(world, 3) == 0) {
        say(world, "\"#document\":{");
        say_needle(world);
        say(world, "}");
    } else
        say_condition(world);
    say(world, "}");
}

/* NULL: Chroma would have refused it. */
static struct filter *random_filter(struct world *world)
{
    struct bytes   where = {.data = NULL}, where_document = {.data = NULL};
    struct filter *filter = NULL;
    const char    *reason;
    size_t         size;
    enum status    status;

    byte_buffer_clear(&world->json);
    say_clause(world, 0, pick(world, 2) * 2);
    size = byte_buffer_size(&world->json);
    say_clause(world, 0, 1);
    if (pick(world, 4) > 0)
        where = (struct bytes){.data = world->json.data, .size = size};
    if (pick(world, 3) == 0)
        where_document = bytes_skip(byte_buffer_bytes(&world->json), size);
    status = filter_new(where, where_document, &filter, &reason);
    return status == STATUS_OK ? filter : NULL;
}

/* ---- The model ------------------------------------------------------------------------------ */

static struct filter_subject model_subject(const struct model_row *row)
{
    return (struct filter_subject){
        .metadata = row->metadata,
        .document = {.data = row->document_size == 0 ? NULL : row->document,
                     .size = row->document_size},
        .has_document = row->has_document};
}

static void random_document(struct world *world, struct model_row *row)
{
    uint32_t count = pick(world, 12);

    row->has_document = pick(world, 5) > 0;
    row->document_size = 0;
    for (uint32_t i = 0; row->has_document && i < count; i++) {
        const char *word = words[pick(world, COUNT_OF(words))];
        size_t      size = strlen(word);

        memcpy(row->document + row->document_size, word, size);
        row->document_size += size;
        if (pick(world, 40) == 0)
            row->document[row->document_size++] = '\0';
    }
}

static void change_row(struct world *world)
{
    uint32_t              place = pick(world, world->row_count);
    struct model_row     *row = &world->rows[place];
    struct filter_subject subject;

    mirror_metadata_free(row->metadata);
    row->metadata = NULL;
    row->has_document = false;
    row->document_size = 0;
    row->is_live = pick(world, 5) > 0;
    if (!row->is_live) {
        mirror_columns_clear(world->columns, place);
        return;
    }
    if (pick(world, 10) > 0)
        row->metadata = random_metadata(world);
    random_document(world, row);
    subject = model_subject(row);
    ck_assert_int_eq(mirror_columns_set(world->columns, place, &subject), STATUS_OK);
}

static enum status give_document(void *ctx, uint32_t row, struct bytes *ret_document)
{
    struct world *world = ctx;

    SIM_CHECK(world->seed, world->rows[row].has_document);
    world->asked++;
    *ret_document = model_subject(&world->rows[row]).document;
    return world->answer;
}

/* The rows that the columns take. */
static uint32_t take_rows(struct world *world, const struct filter *filter, uint64_t *bitmap)
{
    struct mirror_columns_documents documents = {.get = give_document, .ctx = world};
    uint64_t                        live[WORDS_MAX + 1] = {0};
    uint64_t                        used = world->memory.used;
    uint32_t                        count;

    for (uint32_t i = 0; i < world->row_count; i++)
        live[i / 64] |= (uint64_t)world->rows[i].is_live << i % 64;
    live[world->row_count / 64] |= ~(uint64_t)0 << world->row_count % 64; /* is left out */
    ck_assert_int_eq(mirror_columns_filter(world->columns, filter, live, world->row_count,
                                           &documents, bitmap, &count),
                     STATUS_OK);
    SIM_CHECK(world->seed, world->memory.used == used);
    return count;
}

/* Returns how many rows match. */
static uint32_t compare(struct world *world, const struct filter *filter)
{
    uint64_t bitmap[WORDS_MAX + 1];
    uint32_t wanted = 0, count = take_rows(world, filter, bitmap);

    for (uint32_t i = 0; i < (world->row_count + 63) / 64 * 64; i++) {
        bool is_taken = (bitmap[i / 64] >> i % 64 & 1) != 0, is_match = false;

        if (i < world->row_count && world->rows[i].is_live) {
            struct filter_subject subject = model_subject(&world->rows[i]);

            is_match = filter_matches(filter, &subject);
        }
        wanted += is_match;
        SIM_CHECK(world->seed, is_taken == is_match);
    }
    SIM_CHECK(world->seed, count == wanted);
    return count;
}

static void check_usage(const struct world *world)
{
    struct mirror_columns_usage usage;

    mirror_columns_usage(world->columns, &usage);
    SIM_CHECK(world->seed, usage.memory == world->memory.used);
    SIM_CHECK(world->seed, usage.signatures < usage.memory);
}

/* Without rows nothing is left of any key. */
static void check_empties(struct world *world)
{
    struct mirror_columns_usage usage;

    for (uint32_t i = 0; i < world->row_count; i++)
        mirror_columns_clear(world->columns, i);
    mirror_columns_usage(world->columns, &usage);
    SIM_CHECK(world->seed, usage.keys == 0);
    check_usage(world);
}

static struct filter *new_filter(const char *where, const char *where_document)
{
    struct filter *filter = NULL;
    const char    *reason;

    ck_assert_int_eq(
        filter_new(where == NULL ? (struct bytes){.data = NULL} : bytes_of(where),
                   where_document == NULL ? (struct bytes){.data = NULL} : bytes_of(where_document),
                   &filter, &reason),
        STATUS_OK);
    return filter;
}

static void set_row(struct world *world, uint32_t place, const char *json, const char *document)
{
    struct model_row     *row = &world->rows[place];
    struct filter_subject subject;
    const char           *reason;

    mirror_metadata_free(row->metadata);
    row->metadata = NULL;
    ck_assert_int_eq(
        mirror_metadata_read(bytes_of(json), MIRROR_SOURCE_ANSWER, &row->metadata, &reason),
        STATUS_OK);
    row->has_document = document != NULL;
    row->document_size = document == NULL ? 0 : strlen(document);
    if (document != NULL)
        memcpy(row->document, document, row->document_size);
    row->is_live = true;
    if (place >= world->row_count)
        world->row_count = place + 1;
    subject = model_subject(row);
    ck_assert_int_eq(mirror_columns_set(world->columns, place, &subject), STATUS_OK);
}

/* ---- Tests ---------------------------------------------------------------------------------- */

START_TEST(columns_take_what_the_filter_matches)
{
    struct sim_seeds seeds = sim_seeds_get(30);
    uint32_t         matched = 0, compared = 0;

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) {
        static struct world world;

        world_init(&world, seed);
        world.row_count = 1 + pick(&world, pick(&world, 3) == 0 ? ROWS_MAX : 100);
        world.key_count = 4 + pick(&world, 20);
        for (uint32_t round = 0; round < 8; round++) {
            for (uint32_t i = 0, count = pick(&world, 2 * world.row_count); i < count; i++)
                change_row(&world);
            check_usage(&world);
            if (round == 6 && pick(&world, 2) == 0)
                mirror_columns_drop_signatures(world.columns);
            for (uint32_t i = 0; i < 12; i++) {
                struct filter *filter = random_filter(&world);

                if (filter == NULL)
                    continue;
                matched += compare(&world, filter) > 0;
                compared++;
                filter_free(filter);
            }
        }
        check_empties(&world);
        world_done(&world);
    }
    ck_assert_uint_gt(compared, (seeds.last - seeds.first + 1) * 50);
    ck_assert_uint_gt(matched, compared / 4);
}
END_TEST

START_TEST(what_no_row_holds_any_more_takes_no_memory)
{
    static struct world         world;
    struct mirror_columns_usage usage;

    world_init(&world, 1);
    set_row(&world, 3, "{\"a\":1,\"b\":\"text\",\"c\":[1,2]}", NULL);
    set_row(&world, 4, "{\"a\":2,\"d\":true}", NULL);
    mirror_columns_usage(world.columns, &usage);
    ck_assert_uint_eq(usage.keys, 4);
    set_row(&world, 4, "{\"a\":2}", NULL);
    mirror_columns_usage(world.columns, &usage);
    ck_assert_uint_eq(usage.keys, 3);
    mirror_columns_clear(world.columns, 3);
    mirror_columns_clear(world.columns, 4);
    mirror_columns_clear(world.columns, 999999);
    mirror_columns_usage(world.columns, &usage);
    ck_assert_uint_eq(usage.keys, 0);
    check_usage(&world);
    world_done(&world);
}
END_TEST

/* A value that changes all the time, as a counter does, leaves nothing behind. */
START_TEST(changes_do_not_add_up)
{
    static struct world         world;
    struct mirror_columns_usage usage;
    char                        json[100];

    world_init(&world, 1);
    for (uint32_t i = 0; i < 20000; i++) {
        snprintf(json, sizeof json, "{\"count\":%u,\"text\":\"the number %u\",\"same\":1}", i, i);
        set_row(&world, i % 10, json, NULL);
    }
    mirror_columns_usage(world.columns, &usage);
    ck_assert_uint_lt(usage.memory, 50000);
    world_done(&world);
}
END_TEST

/* By row while most rows have the key, then by pairs, then by row again. */
START_TEST(a_column_changes_its_form)
{
    static struct world world;
    struct filter      *filter = new_filter("{\"k\":{\"$ne\":1}}", NULL);
    struct filter      *positive = new_filter("{\"k\":{\"$gte\":0}}", NULL);

    world_init(&world, 1);
    for (uint32_t i = 0; i < 5; i++)
        set_row(&world, i, i % 2 == 0 ? "{\"k\":1}" : "{}", NULL);
    ck_assert_uint_eq(compare(&world, filter), 2);
    for (uint32_t i = 5; i < 300; i++)
        set_row(&world, i, "{}", NULL);
    ck_assert_uint_eq(compare(&world, positive), 3);
    ck_assert_uint_eq(compare(&world, filter), 297);
    set_row(&world, 300, "{\"k\":1}", NULL);
    ck_assert_uint_eq(compare(&world, filter), 297);
    ck_assert_uint_eq(compare(&world, positive), 4);
    check_usage(&world);
    for (uint32_t i = 299; i > 4; i--)
        set_row(&world, i, "{\"k\":2}", NULL);
    ck_assert_uint_eq(compare(&world, filter), 297);
    ck_assert_uint_eq(compare(&world, positive), 299);
    check_usage(&world);
    filter_free(filter);
    filter_free(positive);
    world_done(&world);
}
END_TEST

START_TEST(documents_are_asked_for_only_where_nothing_else_decides)
{
    static struct world world;
    static const struct {
        const char *where, *where_document;
        uint32_t    asked, taken;
    } rows[] = {
        {"{\"k\":1}", "{\"$contains\":\"zebra\"}", 1, 1},
        {"{\"k\":5}", "{\"$contains\":\"zebra\"}", 0, 0},
        {"{\"k\":2}", "{\"$contains\":\"zebra\"}", 0, 0},
        {"{\"k\":2}", "{\"$not_contains\":\"zebra\"}", 0, 100},
        {"{\"$or\":[{\"#document\":{\"$contains\":\"zebra\"}},{\"k\":1}]}", NULL, 0, 1},
        {"{\"$and\":[{\"#document\":{\"$contains\":\"horse\"}},{\"k\":1}]}", NULL, 0, 0},
        {NULL, "{\"$contains\":\"zebra\"}", 1, 1},
        {NULL, "{\"$contains\":\"\"}", 0, 101},
        {NULL, "{\"$contains\":\"eb\"}", 101, 1},
        {NULL, "{\"$contains\":\"ebr\"}", 1, 1},
        {NULL, "{\"$contains\":\"horse\"}", 100, 100},
        {NULL, NULL, 0, 102},
    };

    world_init(&world, 1);
    for (uint32_t i = 0; i < 100; i++)
        set_row(&world, i, "{\"k\":2}", "a horse");
    set_row(&world, 100, "{\"k\":1}", "a zebra");
    set_row(&world, 101, "{\"k\":3}", NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct filter *filter = new_filter(rows[i].where, rows[i].where_document);

        world.asked = 0;
        ck_assert_uint_eq(compare(&world, filter), rows[i].taken);
        ck_assert_msg(world.asked == rows[i].asked, "row %zu: asked for %u", i, world.asked);
        filter_free(filter);
    }
    world_done(&world);
}
END_TEST

START_TEST(a_document_that_is_replaced_leaves_no_signature)
{
    static struct world world;
    struct filter      *filter = new_filter(NULL, "{\"$contains\":\"zebra\"}");

    world_init(&world, 1);
    set_row(&world, 0, "{}", "a zebra");
    set_row(&world, 1, "{}", "a horse");
    ck_assert_uint_eq(compare(&world, filter), 1);
    set_row(&world, 0, "{}", "a horse");
    set_row(&world, 1, "{}", "a zebra");
    world.asked = 0;
    ck_assert_uint_eq(compare(&world, filter), 1);
    ck_assert_uint_eq(world.asked, 1);
    filter_free(filter);
    world_done(&world);
}
END_TEST

START_TEST(what_documents_say_ends_the_evaluation)
{
    static struct world             world;
    struct mirror_columns_documents documents = {.get = give_document, .ctx = &world};
    struct filter                  *filter =
        new_filter("{\"$or\":[{\"k\":1},{\"#document\":{\"$contains\":\"a\"}}]}", NULL);
    uint64_t live = 3, bitmap;
    uint32_t count;

    world_init(&world, 1);
    set_row(&world, 0, "{}", "a zebra");
    set_row(&world, 1, "{}", "a horse");
    world.answer = STATUS_CORRUPT;
    ck_assert_int_eq(
        mirror_columns_filter(world.columns, filter, &live, 2, &documents, &bitmap, &count),
        STATUS_CORRUPT);
    ck_assert_uint_eq(world.asked, 1);
    check_usage(&world);
    filter_free(filter);
    world_done(&world);
}
END_TEST

/* Every allocation fails once, in every change. */
START_TEST(what_fails_changes_nothing)
{
    struct sim_seeds seeds = sim_seeds_get(6);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) {
        static struct world world;
        uint32_t            failed = 0;

        world_init(&world, seed);
        world.row_count = 150;
        world.key_count = 30;
        for (uint32_t i = 0; i < 300; i++) {
            uint32_t                place = pick(&world, world.row_count);
            struct mirror_metadata *metadata = random_metadata(&world);
            struct model_row        changed = {.metadata = metadata, .is_live = true};
            struct filter_subject   subject;
            struct filter          *filter = random_filter(&world);
            enum status             status = STATUS_NO_MEMORY;

            random_document(&world, &changed);
            subject = model_subject(&changed);
            for (int64_t good = pick(&world, 2) * 1000; status != STATUS_OK; good++) {
                atomic_store(&world.memory.countdown, good);
                status = mirror_columns_set(world.columns, place, &subject);
                atomic_store(&world.memory.countdown, -1);
                check_usage(&world);
                if (status == STATUS_OK)
                    break;
                ck_assert_int_eq(status, STATUS_NO_MEMORY);
                failed++;
                if (filter != NULL)
                    compare(&world, filter);
            }
            mirror_metadata_free(world.rows[place].metadata);
            world.rows[place] = changed;
            if (filter != NULL)
                compare(&world, filter);
            filter_free(filter);
        }
        ck_assert_uint_gt(failed, 50);
        check_empties(&world);
        world_done(&world);
    }
}
END_TEST

START_TEST(an_evaluation_that_fails_keeps_no_memory)
{
    static struct world             world;
    struct mirror_columns_documents documents = {.get = give_document, .ctx = &world};
    struct filter                  *filter = new_filter(
                         "{\"$or\":[{\"k\":1},{\"$and\":[{\"$or\":[{\"k\":2},{\"k\":3}]},{\"k\":{\"$gt\":2}}]}]}",
                         "{\"$contains\":\"zebra\"}");
    uint64_t    live = 7, bitmap, used;
    uint32_t    count;
    enum status status = STATUS_NO_MEMORY;

    world_init(&world, 1);
    set_row(&world, 0, "{\"k\":1}", "a zebra");
    set_row(&world, 1, "{\"k\":2}", "a zebra");
    set_row(&world, 2, "{\"k\":3}", "a zebra");
    used = world.memory.used;
    for (int64_t good = 0; status != STATUS_OK; good++) {
        atomic_store(&world.memory.countdown, good);
        status =
            mirror_columns_filter(world.columns, filter, &live, 3, &documents, &bitmap, &count);
        atomic_store(&world.memory.countdown, -1);
        ck_assert_uint_eq(world.memory.used, used);
        ck_assert_int_lt(good, 20);
    }
    ck_assert_uint_eq(count, 2);
    filter_free(filter);
    world_done(&world);
}
END_TEST

START_TEST(signatures_go_before_anything_is_refused)
{
    static struct world         world;
    struct mirror_columns_usage usage;
    struct filter              *filter = new_filter("{\"k\":3}", "{\"$contains\":\"horse\"}");
    struct filter_subject       subject;
    char                        json[100];
    enum status                 status = STATUS_OK;
    uint32_t                    row = 0;
    bool                        were_gone = false;

    world_init(&world, 1);
    world.memory.limit = 400000;
    for (; status == STATUS_OK && row < ROWS_MAX; row++) {
        snprintf(json, sizeof json, "{\"k\":%u,\"text\":\"%050u\",\"more %u\":1}", row % 10, row,
                 row);
        mirror_columns_usage(world.columns, &usage);
        ck_assert(!were_gone || usage.signatures == 0);
        were_gone = row > 0 && usage.signatures == 0;
        set_row(&world, row, json, "a horse");
        ck_assert_uint_le(world.memory.used, world.memory.limit);
    }
    ck_assert_uint_gt(compare(&world, filter), 50);
    ck_assert(were_gone);
    world.memory.limit = world.memory.used;
    subject = (struct filter_subject){.has_document = true, .document = BYTES_LITERAL("a horse")};
    ck_assert_int_eq(mirror_columns_set(world.columns, 100000, &subject), STATUS_LIMIT_REACHED);
    world.memory.limit = 0;
    ck_assert_uint_gt(compare(&world, filter), 50);
    filter_free(filter);
    world_done(&world);
}
END_TEST

START_TEST(keys_are_bounded)
{
    static struct world    world;
    union mirror_scalar    value = {.integer = 1};
    char                   key[20];
    struct mirror_field    field = {.type = MIRROR_TYPE_INTEGER, .count = 1, .items = &value};
    struct mirror_metadata metadata = {.count = 1, .fields = &field};
    struct filter_subject  subject = {.metadata = &metadata};

    world_init(&world, 1);
    for (uint32_t i = 0; i <= MIRROR_COLUMNS_KEYS_MAX; i++) {
        snprintf(key, sizeof key, "%u", i);
        field.key = bytes_of(key);
        ck_assert_int_eq(mirror_columns_set(world.columns, i % 300, &subject), STATUS_OK);
    }
    for (uint32_t i = 0; i < MIRROR_COLUMNS_KEYS_MAX; i++) {
        snprintf(key, sizeof key, "%u", i);
        field.key = bytes_of(key);
        ck_assert_int_eq(mirror_columns_set(world.columns, i, &subject), STATUS_OK);
    }
    field.key = BYTES_LITERAL("one more");
    ck_assert_int_eq(mirror_columns_set(world.columns, MIRROR_COLUMNS_KEYS_MAX, &subject),
                     STATUS_LIMIT_REACHED);
    check_usage(&world);
    world_done(&world);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("columns");

    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, columns_take_what_the_filter_matches);
    tcase_add_test(tcase, what_no_row_holds_any_more_takes_no_memory);
    tcase_add_test(tcase, changes_do_not_add_up);
    tcase_add_test(tcase, a_column_changes_its_form);
    tcase_add_test(tcase, documents_are_asked_for_only_where_nothing_else_decides);
    tcase_add_test(tcase, a_document_that_is_replaced_leaves_no_signature);
    tcase_add_test(tcase, what_documents_say_ends_the_evaluation);
    tcase_add_test(tcase, what_fails_changes_nothing);
    tcase_add_test(tcase, an_evaluation_that_fails_keeps_no_memory);
    tcase_add_test(tcase, signatures_go_before_anything_is_refused);
    tcase_add_test(tcase, keys_are_bounded);
    return check_main("mirror_columns", tcase);
}
