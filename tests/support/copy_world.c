#include "support/copy_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "mirror/mirror_copy.h"

enum { WORLD_IDS = 9, WORLD_ENTRIES_MAX = 4, WORLD_KEYS = 2, WORLD_TELLS_MAX = 64, EVENTS = 120 };

/* 0: there is none, of values in metadata and numbers of texts. */
struct world_record {
    bool     is_there;
    uint64_t place;
    int      values[WORLD_KEYS], document, uri;
    float    vector;
};

struct world_records {
    struct world_record records[WORLD_IDS];
    uint64_t            next_place;
};

/* What a write says of one record: 0 is nothing, as a value -1 takes it away. */
struct world_entry {
    int   id, values[WORLD_KEYS], document, uri;
    bool  has_vector;
    float vector;
};

struct world_write {
    enum chroma_operation operation;
    struct world_entry    entries[WORLD_ENTRIES_MAX]; /* of a delete: its ids */
    int                   count;
    int                   key, value, limit; /* of a delete; value 0: no filter; limit -1: none */
    struct mirror_moments moments;
    int                   deleted;
};

enum world_step { STEP_NONE, STEP_MADE, STEP_SENT, STEP_READ, STEP_READ_AGAIN };

enum world_tell_kind { TELL_LIST, TELL_PAGE, TELL_NO_PAGE, TELL_WRITE };

struct world_tell {
    enum world_tell_kind  kind;
    struct mirror_moments moments;
    struct world_write    write;
    char                  answer[2048];
};

struct world {
    uint64_t            seed;
    struct rng          rng;
    uint64_t            clock;
    const char         *path;
    struct mirror_copy *copy;

    struct world_records now, known; /* known: without the write that is under way */
    enum world_step      write_step, list_step, page_step;
    struct world_write   write;
    uint64_t             list_sent, page_sent, last_known;
    bool                 is_listed, is_page_failing;
    bool                 asked[WORLD_IDS];
    struct world_records seen, seen_again; /* by a list or a page */
    struct world_tell    tells[WORLD_TELLS_MAX];
    int                  tell_count;

    int pages, wholes, restarts, hollowed;
};

/* As JSON: some have what must be escaped. */
static const char *const  id_texts[WORLD_IDS] = {"\"a\"",        "\"b\"",        "\"c\\\"c\"",
                                                 "\"\xc3\xa9\"", "\"e\\n\"",     "\"f\"",
                                                 "\"g\\\\\"",    "\"h\\u0001\"", "\"i i\""};
static const struct bytes id_bytes[WORLD_IDS] = {
    BYTES_INIT("a"),        BYTES_INIT("b"),   BYTES_INIT("c\"c"),
    BYTES_INIT("\xc3\xa9"), BYTES_INIT("e\n"), BYTES_INIT("f"),
    BYTES_INIT("g\\"),      BYTES_INIT("h\1"), BYTES_INIT("i i")};
static const char keys[WORLD_KEYS] = "kl";

struct text {
    char   data[2048];
    size_t size;
};

static void PRINTF_LIKE(2, 3) put(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    text->size +=
        (size_t)vsnprintf(text->data + text->size, sizeof text->data - text->size, format, args);
    va_end(args);
    if (text->size >= sizeof text->data)
        ck_abort_msg("a text that is too long");
}

static unsigned draw(struct world *world, unsigned below)
{
    return (unsigned)rng_below(&world->rng, below);
}

static void world_begin(struct world *world, uint64_t seed, const char *path)
{
    struct mirror_records_options options = {.path = path, .space = COLLECTION_SPACE_L2};

    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->path = path;
    rng_init(&world->rng, seed);
    for (int i = 0; i < WORLD_IDS; i++)
        if (draw(world, 2) == 0)
            world->now.records[i] = (struct world_record){.is_there = true,
                                                          .place = ++world->now.next_place,
                                                          .values = {i % 3, 0},
                                                          .document = 1000 + i,
                                                          .vector = (float)(2000 + i)};
    world->known = world->now;
    ck_assert_int_eq(mirror_copy_new(&options, &world->copy, NULL), STATUS_OK);
}

static void world_end(struct world *world)
{
    mirror_copy_free(world->copy);
}

/* ---- Chroma --------------------------------------------------------------------------------- */

static void apply_entry(struct world_records *to, enum chroma_operation operation,
                        const struct world_entry *entry)
{
    struct world_record *record = &to->records[entry->id];

    if (operation == CHROMA_OPERATION_ADD
            ? record->is_there
            : operation == CHROMA_OPERATION_UPDATE && !record->is_there)
        return;
    if (!record->is_there)
        *record = (struct world_record){.is_there = true, .place = ++to->next_place};
    for (int i = 0; i < WORLD_KEYS; i++)
        if (entry->values[i] != 0)
            record->values[i] = entry->values[i] > 0 ? entry->values[i] : 0;
    if (entry->document != 0)
        record->document = entry->document;
    if (entry->uri != 0)
        record->uri = entry->uri;
    if (entry->has_vector)
        record->vector = entry->vector;
}

static int next_in_order(const struct world_records *records, uint64_t place)
{
    int next = -1;

    for (int i = 0; i < WORLD_IDS; i++)
        if (records->records[i].is_there && records->records[i].place > place &&
            (next < 0 || records->records[i].place < records->records[next].place))
            next = i;
    return next;
}

static bool takes(const struct world_write *write, int id, const struct world_record *record)
{
    bool is_named = write->count == 0;

    for (int i = 0; i < write->count; i++)
        is_named = is_named || write->entries[i].id == id;
    return record->is_there && is_named &&
           (write->value == 0 || record->values[write->key] == write->value);
}

static void apply_write(struct world_records *to, struct world_write *write)
{
    uint64_t place = 0;
    int      found = 0;

    if (write->operation != CHROMA_OPERATION_DELETE) {
        for (int i = 0; i < write->count; i++)
            apply_entry(to, write->operation, &write->entries[i]);
        return;
    }
    for (int id; (id = next_in_order(to, place)) >= 0 && found != write->limit;) {
        place = to->records[id].place;
        if (takes(write, id, &to->records[id])) {
            to->records[id].is_there = false;
            found++;
        }
    }
    write->deleted = write->value == 0 ? write->count : found;
}

/* ---- Bodies and answers --------------------------------------------------------------------- */

static void put_values(struct text *text, const int values[WORLD_KEYS])
{
    bool is_first = true;

    put(text, "{");
    for (int i = 0; i < WORLD_KEYS; i++) {
        if (values[i] == 0)
            continue;
        put(text, "%s\"%c\":", is_first ? "" : ",", keys[i]);
        is_first = false;
        if (values[i] > 0)
            put(text, "%d", values[i]);
        else
            put(text, "null");
    }
    put(text, "}");
}

static void put_text(struct text *text, char kind, int number)
{
    if (number == 0)
        put(text, "null");
    else
        put(text, "\"%c%d\"", kind, number);
}

static void make_delete_body(const struct world_write *write, struct text *body)
{
    put(body, "{\"ids\":");
    for (int i = 0; i < write->count; i++)
        put(body, "%s%s", i == 0 ? "[" : ",", id_texts[write->entries[i].id]);
    put(body, write->count == 0 ? "null" : "]");
    if (write->value != 0)
        put(body, ",\"where\":{\"%c\":%d}", keys[write->key], write->value);
    if (write->limit >= 0)
        put(body, ",\"limit\":%d", write->limit);
    put(body, "}");
}

static void make_body(const struct world_write *write, struct text *body)
{
    const char *const names[] = {"metadatas", "documents", "uris", "embeddings"};

    put(body, "{\"ids\":[");
    for (int i = 0; i < write->count; i++)
        put(body, "%s%s", i == 0 ? "" : ",", id_texts[write->entries[i].id]);
    for (int column = 0; column < 4; column++) {
        put(body, "],\"%s\":[", names[column]);
        for (int i = 0; i < write->count; i++) {
            const struct world_entry *entry = &write->entries[i];

            put(body, i == 0 ? "" : ",");
            if (column == 0)
                put_values(body, entry->values);
            else if (column == 1 || column == 2)
                put_text(body, "du"[column - 1], column == 1 ? entry->document : entry->uri);
            else if (entry->has_vector)
                put(body, "[%g,-0.5]", (double)entry->vector);
            else
                put(body, "null");
        }
    }
    put(body, "]}");
}

static void make_list(const struct world_records *seen, struct text *answer)
{
    put(answer, "{\"ids\":[");
    for (int id = next_in_order(seen, 0), i = 0; id >= 0;
         id = next_in_order(seen, seen->records[id].place), i++)
        put(answer, "%s%s", i == 0 ? "" : ",", id_texts[id]);
    put(answer, "],\"embeddings\":null,\"documents\":null,\"include\":[]}");
}

/* Texts as they were seen first, vectors as they were seen later. */
static void make_page(const struct world *world, struct text *answer)
{
    const char *const           names[] = {"ids", "metadatas", "documents", "uris", "embeddings"};
    const struct world_records *seen = &world->seen;

    for (int column = 0; column < 5; column++) {
        int count = 0;

        put(answer, "%s\"%s\":[", column == 0 ? "{" : "],", names[column]);
        for (int id = next_in_order(seen, 0); id >= 0;
             id = next_in_order(seen, seen->records[id].place)) {
            const struct world_record *record = &seen->records[id];
            bool                       has_values = record->values[0] + record->values[1] > 0;

            if (!world->asked[id])
                continue;
            put(answer, count++ == 0 ? "" : ",");
            if (column == 0)
                put(answer, "%s", id_texts[id]);
            else if (column == 1 && has_values)
                put_values(answer, record->values);
            else if (column == 1)
                put(answer, "null");
            else if (column < 4)
                put_text(answer, "du"[column - 2], column == 2 ? record->document : record->uri);
            else
                put(answer, "[%.1f,-0.5]", (double)world->seen_again.records[id].vector);
        }
    }
    put(answer, "],\"include\":[\"documents\",\"metadatas\",\"embeddings\",\"uris\"]}");
}

/* ---- Telling the copy ----------------------------------------------------------------------- */

static struct world_tell *add_tell(struct world *world, enum world_tell_kind kind)
{
    struct world_tell *tell = &world->tells[world->tell_count];

    SIM_CHECK(world->seed, world->tell_count < WORLD_TELLS_MAX);
    world->tell_count++;
    *tell = (struct world_tell){.kind = kind};
    return tell;
}

static enum status tell_write(struct world *world, const struct world_tell *tell,
                              const char **ret_reason)
{
    struct text body = {.size = 0}, answer = {.size = 0};

    if (tell->write.operation == CHROMA_OPERATION_DELETE) {
        make_delete_body(&tell->write, &body);
        put(&answer, "{\"deleted\":%d}", tell->write.deleted);
    } else {
        make_body(&tell->write, &body);
        put(&answer, "{}");
    }
    return mirror_copy_write(world->copy, tell->write.operation,
                             (struct bytes){body.data, body.size},
                             (struct bytes){answer.data, answer.size}, &tell->moments, ret_reason);
}

/* The copy is made anew. What is under way goes on; nobody tells it of that page. */
static void restart(struct world *world)
{
    struct mirror_records_options options = {.path = world->path, .space = COLLECTION_SPACE_L2};

    mirror_copy_free(world->copy);
    ck_assert_int_eq(mirror_copy_new(&options, &world->copy, NULL), STATUS_OK);
    world->tell_count = 0;
    world->is_listed = false;
    world->list_step = world->page_step = STEP_NONE;
    world->last_known = 0;
    world->restarts++;
}

static void tell_one(struct world *world)
{
    struct world_tell        tell = world->tells[0];
    struct mirror_copy_state before, after;
    const char              *reason = "";
    enum status              status = STATUS_OK;

    memmove(world->tells, world->tells + 1, (size_t)--world->tell_count * sizeof *world->tells);
    mirror_copy_state(world->copy, &before);
    if (tell.kind == TELL_LIST)
        status = mirror_copy_list(world->copy, bytes_of(tell.answer), &tell.moments, &reason);
    else if (tell.kind == TELL_PAGE)
        status = mirror_copy_page(world->copy, bytes_of(tell.answer), &tell.moments, &reason);
    else if (tell.kind == TELL_NO_PAGE)
        mirror_copy_page_failed(world->copy);
    else
        status = tell_write(world, &tell, &reason);
    if (status == STATUS_OK) {
        mirror_copy_state(world->copy, &after);
        world->hollowed += tell.kind == TELL_WRITE && after.hollow > before.hollow;
        return;
    }
    /* The one thing that it may not know. */
    if (status != STATUS_NOT_IMPLEMENTED || tell.kind != TELL_WRITE ||
        tell.write.operation != CHROMA_OPERATION_DELETE || tell.write.value == 0 ||
        before.hollow == 0)
        ck_abort_msg("seed %" PRIu64 ": %s, %s", world->seed, status_name(status), reason);
    restart(world);
}

/* ---- Events --------------------------------------------------------------------------------- */

static void send_write(struct world *world)
{
    static const enum chroma_operation operations[] = {
        CHROMA_OPERATION_ADD, CHROMA_OPERATION_UPSERT, CHROMA_OPERATION_UPSERT,
        CHROMA_OPERATION_UPDATE, CHROMA_OPERATION_DELETE};
    struct world_write *write = &world->write;
    int                 version = (int)++world->clock;

    *write = (struct world_write){.operation = operations[draw(world, 5)], .limit = -1};
    /* A list does not overlap a delete. */
    if (write->operation == CHROMA_OPERATION_DELETE && world->list_step >= STEP_SENT)
        write->operation = CHROMA_OPERATION_UPDATE;
    write->count = 1 + (int)draw(world, WORLD_ENTRIES_MAX);
    if (write->operation == CHROMA_OPERATION_DELETE && draw(world, 3) == 0) {
        write->value = 1 + (int)draw(world, 2);
        write->key = (int)draw(world, WORLD_KEYS);
        if (draw(world, 2) == 0)
            write->count = 0;
        if (write->count == 0 && draw(world, 2) == 0)
            write->limit = (int)draw(world, 3);
    }
    for (int i = 0; i < write->count; i++) {
        struct world_entry *entry = &write->entries[i];
        bool                may_be_null = write->operation == CHROMA_OPERATION_UPDATE;

        entry->id = (int)draw(world, WORLD_IDS);
        for (int j = 0; j < WORLD_KEYS; j++)
            entry->values[j] = (int)draw(world, 4) - 1;
        if (write->operation == CHROMA_OPERATION_ADD)
            for (int j = 0; j < WORLD_KEYS; j++)
                entry->values[j] = abs(entry->values[j]);
        entry->document = draw(world, 2) == 0 ? 0 : version * 8 + i;
        entry->uri = draw(world, 3) > 0 ? 0 : version * 8 + i;
        entry->has_vector = !may_be_null || draw(world, 2) == 0;
        entry->vector = (float)(version * 8 + i);
    }
    write->moments.sent = (uint64_t)version;
    world->write_step = STEP_SENT;
}

static void know_write(struct world *world)
{
    struct world_tell *tell;

    world->known = world->now;
    world->write_step = STEP_NONE;
    world->write.moments.known = ++world->clock;
    /* What was known before the list was sent is in it: it may be told or not. */
    if (!world->is_listed && world->list_step < STEP_SENT)
        return;
    tell = add_tell(world, TELL_WRITE);
    tell->moments = world->write.moments;
    tell->write = world->write;
}

static void step_write(struct world *world, bool writes)
{
    if (world->write_step == STEP_NONE && writes) {
        send_write(world);
    } else if (world->write_step == STEP_SENT) {
        apply_write(&world->now, &world->write);
        world->write_step = STEP_READ;
    } else if (world->write_step == STEP_READ) {
        know_write(world);
    }
}

static void step_list(struct world *world)
{
    struct text        answer = {.size = 0};
    struct world_tell *tell;

    if (world->list_step == STEP_NONE) {
        if (world->write_step != STEP_NONE && world->write.operation == CHROMA_OPERATION_DELETE)
            return;
        world->list_sent = ++world->clock;
        world->list_step = STEP_SENT;
    } else if (world->list_step == STEP_SENT) {
        world->seen = world->now;
        world->list_step = STEP_READ;
    } else {
        tell = add_tell(world, TELL_LIST);
        tell->moments = (struct mirror_moments){world->list_sent, ++world->clock};
        world->last_known = world->clock;
        make_list(&world->seen, &answer);
        memcpy(tell->answer, answer.data, answer.size + 1);
        /* The writes that it overlaps come after it. */
        struct world_tell list = *tell;
        memmove(world->tells + 1, world->tells,
                (size_t)(world->tell_count - 1) * sizeof *world->tells);
        world->tells[0] = list;
        world->is_listed = true;
        world->list_step = STEP_NONE;
    }
}

static void make_request(struct world *world)
{
    struct byte_buffer body = {.data = NULL};
    enum status status = mirror_copy_page_request(world->copy, 200 + draw(world, 1000), &body);

    if (status == STATUS_OK) {
        SIM_CHECK(world->seed,
                  byte_buffer_append(&body, BYTES_LITERAL("\0"), SIZE_MAX) == STATUS_OK);
        for (int i = 0; i < WORLD_IDS; i++)
            world->asked[i] = strstr(body.data, id_texts[i]) != NULL;
        world->page_step = STEP_MADE;
    } else {
        SIM_CHECK(world->seed, status == STATUS_NOT_FOUND);
    }
    byte_buffer_done(&body);
}

/* A record that was not there any more when its vector was read: Chroma fails. */
static bool is_torn_off(const struct world *world)
{
    for (int i = 0; i < WORLD_IDS; i++)
        if (world->asked[i] && world->seen.records[i].is_there &&
            !world->seen_again.records[i].is_there)
            return true;
    return false;
}

static bool has_page_tell(const struct world *world)
{
    for (int i = 0; i < world->tell_count; i++)
        if (world->tells[i].kind != TELL_WRITE)
            return true;
    return false;
}

static void step_page(struct world *world, bool may_fail)
{
    struct text        answer = {.size = 0};
    struct world_tell *tell;

    switch (world->page_step) {
    case STEP_NONE: /* the next is made when the last is told */
        if (!has_page_tell(world))
            make_request(world);
        break;
    case STEP_MADE:
        world->page_sent = ++world->clock;
        world->page_step = STEP_SENT;
        break;
    case STEP_SENT:
        world->seen = world->now;
        world->page_step = STEP_READ;
        break;
    case STEP_READ:
        world->seen_again = world->now;
        world->page_step = STEP_READ_AGAIN;
        break;
    case STEP_READ_AGAIN:
        world->pages++;
        world->page_step = STEP_NONE;
        if (is_torn_off(world) || (may_fail && draw(world, 8) == 0)) {
            add_tell(world, TELL_NO_PAGE);
            return;
        }
        tell = add_tell(world, TELL_PAGE);
        tell->moments = (struct mirror_moments){world->page_sent, ++world->clock};
        world->last_known = world->clock;
        make_page(world, &answer);
        memcpy(tell->answer, answer.data, answer.size + 1);
        break;
    }
}

/* One event, any that is legal. `writes`: new ones may begin, and pages fail. */
static void world_step(struct world *world, bool writes)
{
    unsigned choice = draw(world, 8);

    if (choice < 3)
        step_write(world, writes);
    else if (choice < 6 && world->is_listed)
        step_page(world, writes);
    else if (choice < 6)
        step_list(world);
    else if (world->is_listed && world->tell_count > 0)
        tell_one(world);
}

/* ---- The proof ------------------------------------------------------------------------------ */

static bool is_text(bool has, struct bytes text, char kind, int number)
{
    char expected[32];

    if (number == 0)
        return !has;
    snprintf(expected, sizeof expected, "%c%d", kind, number);
    return has && bytes_equal(text, bytes_of(expected));
}

static void check_world_record(struct world *world, struct mirror_reader *reader, uint32_t row,
                               int id)
{
    const struct world_record *record = &world->known.records[id];
    struct text                metadata = {.size = 0};
    struct mirror_value        value;
    float                      vector[4];

    SIM_CHECK(world->seed,
              bytes_equal(mirror_records_id(mirror_copy_records(world->copy), row), id_bytes[id]));
    SIM_CHECK(world->seed, mirror_reader_value(reader, row, &value) == STATUS_OK);
    SIM_CHECK(world->seed, is_text(value.has_document, value.document, 'd', record->document));
    SIM_CHECK(world->seed, is_text(value.has_uri, value.uri, 'u', record->uri));
    if (record->values[0] + record->values[1] > 0)
        put_values(&metadata, record->values);
    SIM_CHECK(world->seed,
              bytes_equal(value.metadata, (struct bytes){metadata.data, metadata.size}));
    SIM_CHECK(world->seed, mirror_reader_vector(reader, row, vector) == STATUS_OK);
    SIM_CHECK(world->seed, vector[0] == record->vector && vector[1] == -0.5F);
}

/* If the copy is whole it must be as Chroma is; returns whether it is. */
static bool world_check(struct world *world)
{
    struct mirror_records   *records = mirror_copy_records(world->copy);
    struct mirror_copy_state state;
    struct mirror_reader    *reader;
    size_t                   position = 0;
    uint32_t                 row;
    int                      id = next_in_order(&world->known, 0);

    mirror_copy_state(world->copy, &state);
    if (!world->is_listed || !state.is_listed || state.hollow > 0 || world->tell_count > 0 ||
        world->page_step != STEP_NONE ||
        (world->write_step != STEP_NONE && world->write.moments.sent < world->last_known))
        return false;
    SIM_CHECK(world->seed, mirror_reader_new(records, &reader) == STATUS_OK);
    SIM_CHECK(world->seed, mirror_reader_begin(reader) == STATUS_OK);
    while (mirror_records_next(records, &position, &row)) {
        SIM_CHECK(world->seed, id >= 0);
        check_world_record(world, reader, row, id);
        id = next_in_order(&world->known, world->known.records[id].place);
    }
    SIM_CHECK(world->seed, id < 0);
    mirror_reader_end(reader);
    mirror_reader_free(reader);
    world->wholes++;
    return true;
}

static void run_seed(struct world *world, uint64_t seed, const char *path)
{
    int pages, events = 0;

    world_begin(world, seed, path);
    for (int i = 0; i < EVENTS; i++) {
        world_step(world, true);
        world_check(world);
    }
    pages = world->pages;
    while (!world_check(world)) {
        world_step(world, false);
        SIM_CHECK(seed, events++ < 10000);
    }
    /* The last pages may have been of one record each. */
    SIM_CHECK(seed, world->pages - pages <= 2 * WORLD_IDS);
    world_end(world);
}

void world_run_seeds(struct sim_seeds seeds, const char *path)
{
    static struct world world;
    uint64_t            count = seeds.last - seeds.first + 1;
    uint64_t            wholes = 0, restarts = 0, hollowed = 0;

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) {
        run_seed(&world, seed, path);
        wholes += (uint64_t)world.wholes;
        restarts += (uint64_t)world.restarts;
        hollowed += (uint64_t)world.hollowed;
    }
    /* All of it has happened. */
    ck_assert_uint_ge(wholes, count);
    if (count > 100) {
        ck_assert_uint_gt(wholes, 3 * count);
        ck_assert_uint_gt(restarts, count / 100);
        ck_assert_uint_gt(hollowed, count / 100);
    }
    if (getenv("SIM_SEEDS") != NULL)
        printf("whole %" PRIu64 ", made anew %" PRIu64 ", hollow again %" PRIu64 "\n", wholes,
               restarts, hollowed);
}
