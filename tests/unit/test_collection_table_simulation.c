/* What must hold: whatever crosses whatever, what the table says is true of Chroma.
 *
 * A model of Chroma with two databases, few names and a number for each collection's records is
 * written to, read, renamed, deleted, lost and swapped by requests that take effect at a random
 * moment between being sent and being answered, or, if their outcome is unknown, later. Answers to
 * reads are kept by their stamps. After every step: an answer whose stamp still stands is what
 * Chroma would answer; a name, a dimension, an existence that is told is Chroma's. So for
 * descriptions, which the metadata keys of writes change; a write that is lost may leave its keys
 * to be applied by the next write, or by the first read of the next process, if there is a
 * dimension.
 *
 * COLLECTION_TABLE_SEEDS=20000 runs so many seeds, COLLECTION_TABLE_SEED=17 one of them. */
#include <stdio.h>

#include "base/compiler.h"
#include "base/rng.h"
#include "chroma/collection_table.h"
#include "support/check_main.h"

enum {
    SEEDS = 1500,
    STEPS = 250,
    SCOPES = 2,
    NAMES = 3,
    COLLECTIONS = 200, /* that a run can make */
    REQUESTS = 8,
    KEPT = 12,
    KEYS = 6,
    LOST_US = 40
};

struct real {
    bool     is_there;
    unsigned scope, name;
    unsigned version; /* of its records and description; every effect moves it */
    unsigned dimension;
    unsigned keys;       /* bits: in its schema */
    unsigned taken_keys; /* of writes that were taken and not applied */
    bool     was_read;   /* by this process, which first applies what is taken */
};

enum kind { WRITE, CREATE, RENAME, DELETE, DROP, RESET, STRANGE, READ, DESCRIBE, DESCRIBE_ID };

struct request {
    bool                       is_used, has_effect, is_refused, is_unknown, is_half;
    enum kind                  kind;
    unsigned                   scope, name, collection, dimension, version, key;
    uint64_t                   description_stamp;
    struct real                described;
    char                       body[100];
    uint64_t                   stamp;
    struct collection_question question;
    char                       path[200], answer[400];
    struct chroma_route        route;
    struct write_notice        notice;
};

/* A write of which nobody will hear. */
struct lost {
    struct request request;
    uint64_t       until_us;
};

struct kept {
    uint64_t stamp;
    unsigned collection, version;
};

struct kept_description {
    uint64_t stamp;
    unsigned collection, keys, dimension, name;
};

static struct sim {
    struct rng               rng;
    struct collection_table *table;
    struct write_observers   observers;
    struct real              real[COLLECTIONS];
    unsigned                 made;
    bool                     is_calm; /* mostly writes and descriptions of few collections */
    struct request           requests[REQUESTS];
    struct lost              lost[REQUESTS];
    struct kept              kept[KEPT];
    struct kept_description  kept_descriptions[KEPT];
    uint64_t                 now_us;
} sim;

/* What was told at all: a table that knows nothing is always right. */
static unsigned long long hits, description_hits, writes_left, names_told, standing_names_told,
    dimensions_told, existences_told;

static unsigned below(unsigned bound)
{
    return (unsigned)rng_below(&sim.rng, bound);
}

static const uint8_t *sim_uuid(unsigned collection)
{
    static uint8_t uuid[16];

    uuid[14] = (uint8_t)(collection >> 8);
    uuid[15] = (uint8_t)collection;
    return uuid;
}

static const char *sim_uuid_text(unsigned collection)
{
    static char text[40];

    snprintf(text, sizeof text, "00000000-0000-0000-0000-%012x", collection);
    return text;
}

static struct scope sim_scope(unsigned scope)
{
    static const struct bytes databases[SCOPES] = {BYTES_INIT("d0"), BYTES_INIT("d1")};

    return (struct scope){BYTES_LITERAL("t"), databases[scope]};
}

/* The collection of that name; COLLECTIONS: there is none. */
static unsigned find_real(unsigned scope, unsigned name)
{
    for (unsigned i = 0; i < sim.made; i++)
        if (sim.real[i].is_there && sim.real[i].scope == scope && sim.real[i].name == name)
            return i;
    return COLLECTIONS;
}

static void describe_real(struct request *request, unsigned collection)
{
    const struct real *real = &sim.real[collection];
    char               dimension[16] = "null", keys[200] = "";

    if (real->dimension != 0)
        snprintf(dimension, sizeof dimension, "%u", real->dimension);
    for (unsigned key = 0; key < KEYS; key++)
        if ((real->keys & 1U << key) != 0)
            sprintf(keys + strlen(keys), "%s\"k%u\":{\"int\":{}}", keys[0] == '\0' ? "" : ",", key);
    snprintf(request->answer, sizeof request->answer,
             "{\"id\":\"%s\",\"name\":\"n%u\",\"tenant\":\"t\",\"database\":\"d%u\","
             "\"dimension\":%s,\"schema\":{\"keys\":{%s}}}",
             sim_uuid_text(collection), real->name, real->scope, dimension, keys);
}

static void create_real(struct request *request)
{
    unsigned found = find_real(request->scope, request->name);

    if (found == COLLECTIONS && sim.made < COLLECTIONS) {
        found = sim.made++;
        sim.real[found] = (struct real){
            .is_there = true, .scope = request->scope, .name = request->name, .version = 1};
    }
    request->is_refused = found == COLLECTIONS;
    if (!request->is_refused)
        describe_real(request, found);
}

/* Of everything, in one database or (SCOPES) in all. */
static void change_all(unsigned scope, bool is_deletion)
{
    for (unsigned i = 0; i < sim.made; i++) {
        if (scope != SCOPES && sim.real[i].scope != scope)
            continue;
        sim.real[i].version++;
        sim.real[i].is_there = sim.real[i].is_there && !is_deletion;
    }
}

/* Without a dimension nothing is applied. */
static void apply_taken(struct real *real)
{
    if (real->dimension == 0)
        return;
    real->keys |= real->taken_keys;
    real->taken_keys = 0;
}

/* Chroma does it. Not `is_whole`: what is written is taken, to be applied later. */
static void take_effect(struct request *request, bool is_whole)
{
    unsigned     found = request->kind == DELETE || request->kind == DESCRIBE
                             ? find_real(request->scope, request->name)
                             : request->collection;
    struct real *real = found < sim.made ? &sim.real[found] : NULL;

    request->has_effect = true;
    switch (request->kind) {
    case CREATE:
        create_real(request);
        return;
    case DROP:
    case RESET:
        change_all(request->kind == DROP ? request->scope : SCOPES, true);
        return;
    case STRANGE:
        change_all(SCOPES, false);
        return;
    default:
        break;
    }
    request->is_refused = real == NULL || !real->is_there;
    if (request->is_refused)
        return;
    switch (request->kind) {
    case READ:
        if (!real->was_read)
            apply_taken(real);
        real->was_read = true;
        request->version = real->version;
        break;
    case DESCRIBE:
    case DESCRIBE_ID:
        describe_real(request, found);
        request->described = *real;
        request->collection = found;
        break;
    case WRITE:
        if (real->dimension == 0)
            real->dimension = request->dimension;
        request->is_refused = request->dimension != 0 && request->dimension != real->dimension;
        if (request->is_refused)
            break;
        real->taken_keys |= 1U << request->key;
        real->version++;
        request->is_half = !is_whole;
        if (is_whole)
            apply_taken(real);
        break;
    case RENAME:
        request->is_refused = find_real(real->scope, request->name) != COLLECTIONS;
        if (!request->is_refused)
            real->name = request->name;
        real->version += !request->is_refused;
        break;
    default:
        real->is_there = false;
        real->version++;
        break;
    }
}

static uint64_t description_stamp(unsigned collection)
{
    return collection_table_description_stamp(sim.table, sim_uuid(collection), sim.now_us);
}

static bool is_left(struct request *request)
{
    struct chroma_records records;
    const char           *reason;
    bool                  left;

    snprintf(request->body, sizeof request->body, "{\"ids\":[\"r\"],%s\"metadatas\":[{\"k%u\":1}]}",
             request->dimension == 0   ? ""
             : request->dimension == 1 ? "\"embeddings\":[[1]],"
                                       : "\"embeddings\":[[1,2]],",
             request->key);
    ck_assert_int_eq(chroma_records_scan(request->route.operation, bytes_of(request->body), 1,
                                         &records, &reason),
                     STATUS_OK);
    left = collection_table_is_left(sim.table, &request->route, &records);
    chroma_records_done(&records);
    writes_left += left;
    return left;
}

/* Under which stamp the answer may be kept; of which collection is learned by the name. */
static void ask_description(struct request *request)
{
    char    text[8];
    uint8_t uuid[16];

    request->description_stamp = 0;
    snprintf(text, sizeof text, "n%u", request->name);
    if (collection_table_standing_uuid(sim.table, sim_scope(request->scope), bytes_of(text),
                                       sim.now_us, uuid))
        request->description_stamp = description_stamp((unsigned)uuid[14] << 8 | uuid[15]);
}

static void send_request(struct request *request)
{
    static const struct {
        const char *method, *path; /* @: the UUID, #: the database, =: the name */
    } forms[] = {
        [WRITE] = {"POST", "/api/v2/tenants/t/databases/#/collections/@/upsert"},
        [CREATE] = {"POST", "/api/v2/tenants/t/databases/#/collections"},
        [RENAME] = {"PUT", "/api/v2/tenants/t/databases/#/collections/@"},
        [DELETE] = {"DELETE", "/api/v2/tenants/t/databases/#/collections/="},
        [DROP] = {"DELETE", "/api/v2/tenants/t/databases/#"},
        [RESET] = {"POST", "/api/v2/reset"},
        [STRANGE] = {"POST", "/api/v2/tenants/t/databases/#/collections/@/strange"},
        [READ] = {"POST", "/api/v2/tenants/t/databases/#/collections/@/query"},
        [DESCRIBE] = {"GET", "/api/v2/tenants/t/databases/#/collections/="},
        [DESCRIBE_ID] = {"GET", "/api/v2/tenants/t/databases/#/collections/by-id/@"},
    };
    static const char update[] = "/api/v2/tenants/t/databases/#/collections/@/update";
    bool              is_update = request->kind == WRITE && request->dimension == 0;
    char             *at = request->path;

    for (const char *form = is_update ? update : forms[request->kind].path; *form != '\0'; form++) {
        if (*form == '@')
            at += sprintf(at, "%s", sim_uuid_text(request->collection));
        else if (*form == '#')
            at += sprintf(at, "d%u", request->scope);
        else if (*form == '=')
            at += sprintf(at, "n%u", request->name);
        else
            *at++ = *form;
    }
    *at = '\0';
    chroma_route_find(bytes_of(forms[request->kind].method), bytes_of(request->path),
                      &request->route);
    request->notice =
        (struct write_notice){.route = &request->route, .dimension = request->dimension};
    if (request->kind == WRITE)
        request->notice.leaves_description = is_left(request);
    if (request->kind == DESCRIBE)
        ask_description(request);
    else if (request->kind == DESCRIBE_ID)
        request->description_stamp = description_stamp(request->collection);
    if (request->route.info->is_write)
        write_observer_sent(&sim.observers, &request->notice, sim.now_us);
    else if (request->kind == READ)
        request->stamp =
            collection_table_stamp(sim.table, sim_uuid(request->collection), sim.now_us);
    else
        request->question = collection_table_ask(sim.table, &request->route, sim.now_us);
}

static void begin_request(struct request *request)
{
    static const unsigned char kinds[] = {
        WRITE,    WRITE,    WRITE,    WRITE,    CREATE,      CREATE,      RENAME,      DELETE,
        DELETE,   READ,     READ,     READ,     READ,        READ,        READ,        READ,
        DESCRIBE, DESCRIBE, DESCRIBE, DESCRIBE, DESCRIBE_ID, DESCRIBE_ID, DESCRIBE_ID, DESCRIBE_ID};
    static const unsigned char calm_kinds[] = {
        WRITE, WRITE, WRITE, WRITE, READ, READ, DESCRIBE_ID, DESCRIBE_ID, DESCRIBE_ID, DESCRIBE};
    unsigned recent = sim.made > 6 ? sim.made - 6 : 0;

    *request = (struct request){.is_used = true,
                                .kind = sim.is_calm && sim.made > 1
                                            ? calm_kinds[below(COUNT_OF(calm_kinds))]
                                            : kinds[below(COUNT_OF(kinds))],
                                .scope = below(SCOPES),
                                .name = below(NAMES),
                                .collection = recent + below(sim.made - recent + 1),
                                .dimension = 0};
    if (below(sim.is_calm ? 500 : 60) == 0)
        request->kind = DROP + below(3);
    if (request->kind == WRITE) {
        request->dimension = below(4) == 0 ? 0 : 1 + below(below(4) == 0 ? 2 : 1);
        request->key = below(below(3) == 0 ? KEYS : 2);
    }
    if (request->collection < sim.made && below(8) != 0) /* mostly the path that it is at */
        request->scope = request->kind == RENAME || request->kind == WRITE
                             ? sim.real[request->collection].scope
                             : request->scope;
    send_request(request);
}

static void keep_description(const struct request *request)
{
    if (request->description_stamp != 0 &&
        request->description_stamp == description_stamp(request->collection) &&
        collection_table_describe(sim.table, sim_uuid(request->collection),
                                  bytes_of(request->answer)))
        sim.kept_descriptions[below(KEPT)] = (struct kept_description){
            request->description_stamp, request->collection, request->described.keys,
            request->described.dimension, request->described.name};
}

static void keep_read(const struct request *request)
{
    if (request->stamp != 0 && !request->is_refused &&
        request->stamp ==
            collection_table_stamp(sim.table, sim_uuid(request->collection), sim.now_us))
        sim.kept[below(KEPT)] =
            (struct kept){request->stamp, request->collection, request->version};
}

/* Taken and not applied: Chroma does not answer it, or with an error. */
static bool is_half_done(const struct request *request)
{
    return request->kind == WRITE && request->is_half;
}

static void end_write(struct request *request)
{
    enum write_outcome outcome =
        !request->has_effect || is_half_done(request) || below(sim.is_calm ? 50 : 6) == 0
            ? WRITE_OUTCOME_UNKNOWN
        : request->is_refused ? WRITE_OUTCOME_REFUSED
                              : WRITE_OUTCOME_APPLIED;
    struct bytes body = bytes_of(outcome == WRITE_OUTCOME_APPLIED ? request->answer : "");

    if (request->is_unknown) {
        struct lost *lost = &sim.lost[request - sim.requests];

        if (request->has_effect) {
            write_observer_settled(&sim.observers, &request->notice, sim.now_us);
        } else {
            write_observer_lost(&sim.observers, &request->notice, sim.now_us);
            *lost = (struct lost){.request = *request, .until_us = sim.now_us + LOST_US};
        }
    } else {
        write_observer_known(&sim.observers, &request->notice, outcome, body, sim.now_us);
        request->is_unknown = outcome == WRITE_OUTCOME_UNKNOWN;
        if (request->is_unknown)
            return;
    }
    request->is_used = false;
}

static void end_request(struct request *request)
{
    if (request->route.info->is_write) {
        end_write(request);
        return;
    }
    if (!request->has_effect)
        take_effect(request, true);
    if (request->kind == READ) {
        keep_read(request);
        if (!request->is_refused)
            collection_table_note_read(sim.table, sim_uuid(request->collection));
    } else if (!request->is_refused) {
        keep_description(request);
        collection_table_learn(sim.table, &request->route, request->question,
                               bytes_of(request->answer), sim.now_us);
    }
    request->is_used = false;
}

/* Another Chroma: all is there under the same names, and other. */
static void swap_chroma(void)
{
    for (unsigned i = 0; i < sim.made; i++) {
        sim.real[i].version++;
        if (sim.real[i].dimension != 0)
            sim.real[i].dimension = 3 - sim.real[i].dimension;
        sim.real[i].is_there = sim.real[i].is_there && below(4) != 0;
        sim.real[i].was_read = false;
        if (below(4) == 0)
            sim.real[i].keys = below(1U << KEYS);
    }
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct request *request = &sim.requests[i];

        if (request->is_used && request->route.info->is_write && !request->is_unknown)
            write_observer_known(&sim.observers, &request->notice, WRITE_OUTCOME_UNKNOWN,
                                 BYTES_LITERAL(""), sim.now_us);
        if (request->is_used && request->route.info->is_write)
            write_observer_settled(&sim.observers, &request->notice, sim.now_us);
        request->is_used = request->is_used && !request->route.info->is_write;
        sim.lost[i].until_us = 0;
    }
    collection_table_new_incarnation(sim.table, true);
}

static void check_kept(void)
{
    for (unsigned i = 0; i < KEPT; i++) {
        const struct kept *kept = &sim.kept[i];

        if (kept->stamp == 0 ||
            kept->stamp !=
                collection_table_stamp(sim.table, sim_uuid(kept->collection), sim.now_us))
            continue;
        hits++;
        ck_assert_msg(sim.real[kept->collection].version == kept->version,
                      "an old answer for %u at %llu", kept->collection,
                      (unsigned long long)sim.now_us);
    }
}

static void check_descriptions(void)
{
    for (unsigned i = 0; i < KEPT; i++) {
        const struct kept_description *kept = &sim.kept_descriptions[i];
        const struct real             *real = &sim.real[kept->collection];

        if (kept->stamp == 0 || kept->stamp != description_stamp(kept->collection))
            continue;
        description_hits++;
        ck_assert_msg(real->is_there && real->keys == kept->keys &&
                          real->dimension == kept->dimension && real->name == kept->name,
                      "an old description of %u at %llu", kept->collection,
                      (unsigned long long)sim.now_us);
    }
}

static void check_facts(void)
{
    for (unsigned i = 0; i < sim.made; i++) {
        struct collection_facts facts;

        if (!collection_table_facts(sim.table, sim_uuid(i), &facts))
            continue;
        if (facts.dimension != 0) {
            dimensions_told++;
            ck_assert_uint_eq(facts.dimension, sim.real[i].dimension);
        }
        if (facts.existence != COLLECTION_EXISTENCE_UNKNOWN) {
            existences_told++;
            ck_assert_int_eq(facts.existence == COLLECTION_EXISTS, sim.real[i].is_there);
        }
    }
}

static void check_names(void)
{
    for (unsigned scope = 0; scope < SCOPES; scope++) {
        for (unsigned name = 0; name < NAMES; name++) {
            char    text[8];
            uint8_t uuid[16], standing[16];

            snprintf(text, sizeof text, "n%u", name);
            if (!collection_table_standing_uuid(sim.table, sim_scope(scope), bytes_of(text),
                                                sim.now_us, standing)) {
                ck_assert(!collection_table_uuid(sim.table, sim_scope(scope), bytes_of(text),
                                                 sim.now_us, uuid));
                continue;
            }
            standing_names_told++;
            ck_assert_uint_eq((unsigned)standing[14] << 8 | standing[15], find_real(scope, name));
            if (!collection_table_uuid(sim.table, sim_scope(scope), bytes_of(text), sim.now_us,
                                       uuid))
                continue;
            names_told++;
            ck_assert_uint_eq((unsigned)uuid[14] << 8 | uuid[15], find_real(scope, name));
        }
    }
}

static void step(void)
{
    struct request *request = &sim.requests[below(sim.is_calm ? 3 : REQUESTS)];

    sim.now_us++;
    for (unsigned i = 0; i < REQUESTS; i++)
        if (sim.lost[i].until_us > sim.now_us && below(LOST_US) == 0) {
            take_effect(&sim.lost[i].request, below(2) == 0);
            sim.lost[i].until_us = 0;
        }
    if (!request->is_used)
        begin_request(request);
    else if (!request->has_effect && below(3) != 0)
        take_effect(request, request->kind != WRITE || below(sim.is_calm ? 50 : 4) != 0);
    else
        end_request(request);
    if (below(sim.is_calm ? 100 : 200) == 0)
        swap_chroma();
    check_kept();
    check_descriptions();
    check_names();
    check_facts();
}

static void run_seed(uint64_t seed)
{
    static const unsigned char      secret[SIPHASH_KEY_SIZE] = {3};
    struct collection_table_options options = {.bytes_max = 1 << 20, .lost_us = LOST_US};

    sim = (struct sim){0};
    rng_init(&sim.rng, seed);
    sim.is_calm = seed % 2 == 0;
    options.collections_max = seed % 3 == 0 ? 3 : 50; /* forgetting is part of it */
    if (seed % 7 == 0)
        options.bytes_max = 1500;
    sim.table = collection_table_new(&options, secret);
    write_observer_init(&sim.observers);
    write_observer_add(&sim.observers, collection_table_observer(sim.table));
    for (unsigned i = 0; i < STEPS; i++)
        step();
    swap_chroma();
    collection_table_free(sim.table);
}

START_TEST(what_is_told_is_true)
{
    const char *one = getenv("COLLECTION_TABLE_SEED"), *many = getenv("COLLECTION_TABLE_SEEDS");
    uint64_t    first = one != NULL ? strtoull(one, NULL, 10) : 1;
    uint64_t    count = one != NULL ? 1 : many != NULL ? strtoull(many, NULL, 10) : SEEDS;

    for (uint64_t seed = first; seed < first + count; seed++) {
        mark_point();
        run_seed(seed);
    }
    printf(
        "# told: %llu answers, %llu descriptions beside %llu writes, %llu names (%llu while others "
        "are created), %llu dimensions, %llu existences\n",
        hits, description_hits, writes_left, names_told, standing_names_told - names_told,
        dimensions_told, existences_told);
    if (one == NULL)
        ck_assert(hits > 20 * count && description_hits > 2 * count && writes_left > count / 10 &&
                  names_told > 20 * count && standing_names_told - names_told > count &&
                  dimensions_told > 20 * count && existences_told > 20 * count);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("collection_table_simulation");

    tcase_add_test(tcase, what_is_told_is_true);
    tcase_set_timeout(tcase, 600);
    return check_main("collection_table_simulation", tcase);
}
