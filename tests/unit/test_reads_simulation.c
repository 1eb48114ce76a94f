/* What must hold: an answer that was kept or shared is one that Chroma could have given to the
 * question itself, and it is never older than the last write that was acknowledged, through here
 * or, where answers are not kept, through another proxy.
 *
 * A model of Chroma has a few collections of a few records, which are numbers that writes move on.
 * Clients ask for all of a collection or for some records by id, and write at random: some records
 * of which the ids are known, some of which they are not, or something that may be anywhere. Calls
 * take effect at a random moment between being sent and answered, or later, if their outcome is
 * unknown. What Chroma has taken it may hide until the next write to the collection: of what was
 * lost, of what it answered with an error, and of what a former process of the proxy had sent. What
 * it says while a write is under way it may never say again. Reads go the way that they go in
 * proxy/: cache, flight, turn, call. In a third of the runs another proxy writes too; there nothing
 * is kept and nobody joins what was sent. After every answer: it says of each record what it was at
 * a moment between the question and the answer, for this asker.
 *
 * SIM_SEEDS=1:100000 runs so many seeds. */
#include <stdio.h>

#include "base/compiler.h"
#include "base/rng.h"
#include "chroma/collection_table.h"
#include "reads/single_flight.h"
#include "support/check_main.h"
#include "support/plain_budget.h"
#include "support/sim_seeds.h"

enum {
    SEEDS = 3000,
    STEPS = 300,
    COLLECTIONS = 3,
    IDENTITIES = 2,
    IDS = 4,
    QUESTIONS = 4,
    CLIENTS = 8,
    WRITES = 6,
    LOST_US = 40,
    BEGIN_US = 1000,
    SETTLED_US = BEGIN_US + 60,
    CACHE_BYTES = 600 << 10
};

/* An answer, as kept. */
struct answer {
    unsigned collection, identity, question;
    unsigned versions[IDS];
    bool     is_passing; /* it was said while a write was under way */
    uint64_t fill;       /* when it was asked for */
    char     rest[1500]; /* so that entries are evicted now and then */
};

enum client_state { IDLE, WAITS_FOR_TURN, SENT, JOINED, ASKS_AGAIN };

struct client {
    struct flight_member   member;
    enum client_state      state;
    struct flight_question asks;
    unsigned               collection, identity, question;
    unsigned               least[IDS]; /* versions that the answer must have at least */
    struct query_validity  asked;
    uint64_t               fill; /* the stamp of the whole collection then */
    struct answer          said; /* if `was_read` */
    bool                   was_read;
};

struct write {
    bool                is_used, has_effect, is_unknown, is_foreign;
    bool                is_lost;
    unsigned            collection, ids; /* a bit for each */
    char                path[160];
    struct chroma_route route;
    struct write_notice notice;
    uint64_t            until_us; /* of one that is lost: when it has taken effect or never will */
};

static struct sim {
    struct rng                   rng;
    uint64_t                     seed, now_us;
    bool                         is_gateway;
    bool                         is_calm; /* writes go one at a time, and mostly well */
    unsigned                     versions[COLLECTIONS][IDS];
    unsigned                     hidden[COLLECTIONS]; /* ids that the next write moves on, too */
    struct client                clients[CLIENTS];
    struct write                 writes[WRITES];
    struct collection_table     *table;
    struct write_observers       observers;
    struct query_cache          *cache;
    struct single_flight        *flights;
    struct memory_account_budget budget;
} sim;

static const unsigned char secret[SIPHASH_KEY_SIZE] = "secret";

/* Which records the questions are about. */
static const unsigned questions[QUESTIONS] = {0xf, 0xf, 0x1, 0x6};

/* What was shared at all: a proxy that asks every time is always right. */
static unsigned long long hits, hits_of_ids, hits_after_writes, misses, joins, joins_sent;

static unsigned below(unsigned bound)
{
    return (unsigned)rng_below(&sim.rng, bound);
}

/* What breaks a row of writes that go well is rare in a calm run. */
static bool one_in(unsigned bound)
{
    return below(sim.is_calm ? 8 * bound : bound) == 0;
}

static const uint8_t *uuid_of(unsigned collection)
{
    static uint8_t uuid[16];

    memset(uuid, 0x11, sizeof uuid);
    uuid[15] = (uint8_t)(0x10 + collection);
    return uuid;
}

static struct record_ids ids_of(unsigned set)
{
    static const char *const    names[IDS] = {"a", "b", "c", "d"};
    struct bytes                ids[IDS];
    const struct chroma_records records = {.count = 1, .ids = ids};
    struct record_ids           found = {0};

    for (unsigned i = 0; i < IDS; i++) {
        ids[0] = bytes_of(names[i]);
        if ((set >> i & 1) != 0)
            SIM_CHECK(sim.seed, record_ids_add(&found, secret, &records));
    }
    return found;
}

static bool is_by_id(const struct client *client)
{
    return questions[client->question] != 0xf;
}

/* As in cache_path.c. */
static struct query_validity validity_of(const struct client *client)
{
    struct record_ids ids = ids_of(questions[client->question]);

    return (struct query_validity){
        .stamp = collection_table_stamp_of(sim.table, uuid_of(client->collection),
                                           is_by_id(client) ? &ids : NULL, sim.now_us),
        .epoch = collection_table_epoch(sim.table),
        .incarnation = collection_table_incarnation(sim.table)};
}

static uint64_t fill_stamp(const struct client *client)
{
    return is_by_id(client)
               ? collection_table_stamp(sim.table, uuid_of(client->collection), sim.now_us)
               : 1;
}

static void make_key(struct client *client)
{
    uint64_t half = rng_mix(client->question + 1);

    memset(&client->asks, 0, sizeof client->asks);
    memcpy(client->asks.key.collection, uuid_of(client->collection), 16);
    memcpy(client->asks.key.identity, &client->identity, sizeof client->identity);
    memcpy(client->asks.key.digest, &half, sizeof half);
}

/* ---- Reads, as in proxy/ --------------------------------------------------------------------- */

static void check_answer(struct client *client, const struct answer *answer)
{
    SIM_CHECK(sim.seed, answer->collection == client->collection);
    SIM_CHECK(sim.seed, answer->identity == client->identity);
    SIM_CHECK(sim.seed, answer->question == client->question);
    for (unsigned i = 0; i < IDS; i++) {
        if ((questions[client->question] >> i & 1) == 0)
            continue;
        SIM_CHECK(sim.seed, answer->versions[i] >= client->least[i]);
        SIM_CHECK(sim.seed, answer->versions[i] <= sim.versions[client->collection][i]);
    }
    client->state = IDLE;
}

static bool is_written(unsigned collection)
{
    for (size_t i = 0; i < WRITES; i++) {
        const struct write *write = &sim.writes[i];

        if (write->is_used && write->collection == collection && !write->is_unknown)
            return true;
    }
    return false;
}

/* What Chroma says now. */
static struct answer answer_of(const struct client *client)
{
    struct answer answer = {.fill = client->fill,
                            .collection = client->collection,
                            .identity = client->identity,
                            .question = client->question,
                            .is_passing = is_written(client->collection)};

    memcpy(answer.versions, sim.versions[client->collection], sizeof answer.versions);
    memset(answer.rest, (int)answer.versions[0], sizeof answer.rest);
    return answer;
}

static bool answer_from_cache(struct client *client, const struct query_validity *now)
{
    struct query_cache_hit hit;
    struct answer          answer;
    struct bytes           part;
    size_t                 at = 0;

    if (!sim.is_gateway || query_cache_find(sim.cache, &client->asks.key, now, UINT64_MAX,
                                            sim.now_us, &hit) != QUERY_CACHE_HIT)
        return false;
    while (query_cache_read(&hit, &part)) {
        memcpy((char *)&answer + at, part.data, part.size);
        at += part.size;
    }
    SIM_CHECK(sim.seed, at == sizeof answer);
    SIM_CHECK(sim.seed, !answer.is_passing);
    hits++;
    hits_of_ids += is_by_id(client);
    hits_after_writes += answer.fill != fill_stamp(client);
    check_answer(client, &answer);
    return true;
}

/* As pass_path.c: of the cache, of another, or of Chroma. */
static void ask_or_wait(struct client *client)
{
    client->asked = validity_of(client);
    client->fill = fill_stamp(client);
    client->was_read = false;
    if (answer_from_cache(client, &client->asked)) {
        single_flight_part(&client->member);
        return;
    }
    misses++;
    if (single_flight_join(sim.flights, &client->asks, &client->asked, sim.is_gateway, sim.now_us,
                           &client->member)) {
        joins++;
        joins_sent +=
            CONTAINER_OF(single_flight_leader(&client->member), struct client, member)->state ==
            SENT;
        client->state = JOINED;
        return;
    }
    single_flight_lead(sim.flights, &client->asks, &client->asked, sim.now_us, &client->member);
    client->state = WAITS_FOR_TURN;
}

static bool is_sent(const struct flight_member *leader)
{
    return ((const struct client *)(const void *)leader)->state == SENT;
}

static void on_end(struct flight_member *member, enum flight_end end, const void *answer)
{
    struct client *client = CONTAINER_OF(member, struct client, member);

    SIM_CHECK(sim.seed, client->state == JOINED);
    if (end == FLIGHT_ANSWERED)
        check_answer(client, answer);
    else
        client->state = ASKS_AGAIN;
}

static void ask(struct client *client)
{
    client->member.is_apart = false;
    client->collection = below(COLLECTIONS);
    client->identity = below(IDENTITIES);
    client->question = below(QUESTIONS);
    memcpy(client->least, sim.versions[client->collection], sizeof client->least);
    make_key(client);
    ask_or_wait(client);
}

static void answer_read(struct client *client)
{
    struct answer             answer = client->was_read ? client->said : answer_of(client);
    struct query_validity     now = validity_of(client);
    struct query_cache_answer kept = {
        .body = {.data = (const char *)&answer, .size = sizeof answer}, .cost_us = 1};

    if (sim.is_gateway && query_validity_holds(&client->asked, &now) && client->fill != 0 &&
        client->fill == fill_stamp(client))
        (void)query_cache_put(sim.cache, &client->asks.key, &client->asked, &kept, sim.now_us);
    if (below(20) == 0)
        single_flight_mark(sim.flights, &client->asks, sim.now_us, &client->member);
    else
        single_flight_answer(&client->member, &answer);
    check_answer(client, &answer);
}

/* Its client goes away, or its call fails. */
static void leave(struct client *client)
{
    client->state = IDLE;
    if (below(2) == 0)
        single_flight_leave(&client->member);
    else
        single_flight_fail(&client->member);
}

static void step_client(struct client *client)
{
    switch (client->state) {
    case IDLE:
        ask(client);
        break;
    case ASKS_AGAIN:
        ask_or_wait(client);
        break;
    case WAITS_FOR_TURN:
        if (below(10) == 0)
            leave(client);
        else
            client->state = SENT;
        break;
    case JOINED:
        if (below(10) == 0)
            leave(client);
        break;
    case SENT:
        if (below(10) == 0) {
            leave(client);
        } else if (!client->was_read && below(2) == 0) {
            client->was_read = true;
            client->said = answer_of(client);
        } else {
            answer_read(client);
        }
        break;
    }
}

/* ---- Writes ---------------------------------------------------------------------------------- */

/* Some ids, known or not, of a collection, or something unknown that turns out to be that. */
static void start_write(struct write *write)
{
    const uint8_t *uuid;
    char           text[33];
    unsigned       collection = below(COLLECTIONS);

    if (sim.is_calm && is_written(collection))
        return;
    *write = (struct write){.is_used = true,
                            .collection = collection,
                            .ids = 1 + below((1 << IDS) - 1),
                            .is_foreign = !sim.is_gateway && below(2)};
    if (write->is_foreign)
        return;
    uuid = uuid_of(write->collection);
    for (size_t i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", uuid[i]);
    snprintf(write->path, sizeof write->path, "/api/v2/tenants/t/databases/d/collections/%s/upsert",
             text);
    if (one_in(40))
        snprintf(write->path, sizeof write->path, "/api/v2/unknown");
    chroma_route_find(BYTES_LITERAL("POST"), bytes_of(write->path), &write->route);
    write->notice.route = &write->route;
    if (!one_in(4)) {
        write->ids &= 1U << below(IDS) | 1U << below(IDS);
        write->notice.ids = ids_of(write->ids);
        write->notice.names_ids = true;
    }
    write_observer_sent(&sim.observers, &write->notice, sim.now_us);
}

static void answer_write(struct write *write);

static void take_effect(struct write *write)
{
    unsigned *versions = sim.versions[write->collection];

    for (unsigned i = 0; i < IDS; i++)
        versions[i] += (sim.hidden[write->collection] >> i & 1) + (write->ids >> i & 1);
    sim.hidden[write->collection] = 0;
    write->has_effect = true;
}

static void hide_effect(struct write *write)
{
    sim.hidden[write->collection] |= write->ids;
    write->has_effect = true;
}

/* Acknowledged, answered with an error, cut off, or at last known to be over, or lost: then it has
 * taken effect soon, or never will. */
static void step_write(struct write *write)
{
    if (!write->is_used) {
        start_write(write);
    } else if (write->is_lost) {
        if (sim.now_us < write->until_us && below(3) == 0)
            hide_effect(write);
        else if (sim.now_us < write->until_us && below(2) == 0)
            take_effect(write);
        write->is_used = !write->has_effect && sim.now_us < write->until_us;
    } else if (!write->has_effect && below(2) == 0) {
        if (write->is_unknown && below(2) == 0)
            hide_effect(write);
        else
            take_effect(write);
    } else if (write->is_foreign) {
        write->is_used = !write->has_effect;
    } else if (write->is_unknown && below(4) == 0) {
        write_observer_lost(&sim.observers, &write->notice, sim.now_us);
        write->is_lost = true;
        write->until_us = sim.now_us + LOST_US;
        write->is_used = !write->has_effect;
    } else if (write->is_unknown) {
        /* It is told to be over only when it is. */
        if (write->has_effect) {
            write_observer_settled(&sim.observers, &write->notice, sim.now_us);
            write->is_used = false;
        }
    } else if (write->has_effect || one_in(3)) {
        answer_write(write);
    }
}

static void answer_write(struct write *write)
{
    const struct bytes no_answer = BYTES_LITERAL("");

    if (one_in(6)) {
        write->is_unknown = true;
        write_observer_known(&sim.observers, &write->notice, WRITE_OUTCOME_UNKNOWN, no_answer,
                             sim.now_us);
        return;
    }
    write->is_used = false;
    if (write->has_effect) {
        write_observer_known(&sim.observers, &write->notice, WRITE_OUTCOME_APPLIED, no_answer,
                             sim.now_us);
    } else if (below(4) == 0) {
        hide_effect(write);
        write_observer_known(&sim.observers, &write->notice, WRITE_OUTCOME_UNKNOWN, no_answer,
                             sim.now_us);
        write_observer_settled(&sim.observers, &write->notice, sim.now_us);
    } else {
        write_observer_known(&sim.observers, &write->notice, WRITE_OUTCOME_REFUSED, no_answer,
                             sim.now_us);
    }
}

/* Of a former process of the proxy, which was killed. */
static void step_former_write(void)
{
    if (sim.now_us < SETTLED_US)
        sim.hidden[below(COLLECTIONS)] |= below(1 << IDS);
}

/* Another Chroma, with other records: reads of the former one fail with it. */
static void restart(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (sim.clients[i].state == SENT)
            leave(&sim.clients[i]);
    for (size_t i = 0; i < COLLECTIONS; i++) {
        for (size_t k = 0; k < IDS; k++)
            sim.versions[i][k] += 1 + below(2);
        sim.hidden[i] = below(2) == 0 ? 0 : below(1 << IDS);
    }
    collection_table_new_incarnation(sim.table, false);
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static void begin(uint64_t seed)
{
    const struct collection_table_options known = {
        .collections_max = 100, .bytes_max = 1 << 20, .lost_us = LOST_US, .settled_us = SETTLED_US};

    memset(&sim, 0, sizeof sim);
    sim.seed = seed;
    sim.now_us = BEGIN_US;
    rng_init(&sim.rng, seed);
    sim.is_gateway = below(3) > 0;
    sim.is_calm = below(2);
    plain_budget_init(&sim.budget, 1 << 30);
    sim.table = collection_table_new(&known, secret);
    write_observer_init(&sim.observers);
    write_observer_add(&sim.observers, collection_table_observer(sim.table));
    sim.cache = query_cache_new(
        &(struct query_cache_options){.bytes_max = CACHE_BYTES, .object_bytes_max = 10000},
        &sim.budget.accounts[MEMORY_ACCOUNT_CACHE]);
    sim.flights = single_flight_new(&(struct single_flight_options){.flights_max = 5,
                                                                    .waiters_max = 4,
                                                                    .apart_us = 10,
                                                                    .is_sent = is_sent,
                                                                    .on_end = on_end},
                                    secret);
    ck_assert(sim.table != NULL && sim.cache != NULL && sim.flights != NULL);
}

static void finish(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        leave(&sim.clients[i]);
    single_flight_free(sim.flights);
    for (size_t i = 0; i < WRITES; i++) {
        struct write *write = &sim.writes[i];

        if (!write->is_used || write->is_foreign || write->is_lost)
            continue;
        if (!write->is_unknown)
            write_observer_known(&sim.observers, &write->notice, WRITE_OUTCOME_UNKNOWN,
                                 BYTES_LITERAL(""), sim.now_us);
        write_observer_lost(&sim.observers, &write->notice, sim.now_us);
    }
    query_cache_free(sim.cache);
    SIM_CHECK(sim.seed, sim.budget.used == 0);
    collection_table_free(sim.table);
}

/* In a calm run one that is under way comes to its end before another one begins, mostly. */
static struct write *pick_write(void)
{
    for (size_t i = 0; sim.is_calm && i < WRITES; i++)
        if (sim.writes[i].is_used && below(10) > 0)
            return &sim.writes[i];
    return &sim.writes[below(WRITES)];
}

static void run(uint64_t seed)
{
    unsigned writing;

    begin(seed);
    writing = 1 + below(20);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned what = below(100);

        sim.now_us += below(3);
        if (what < writing)
            step_write(pick_write());
        else if (what == 99 && below(4) == 0)
            restart();
        else if (what == 98 && below(2) == 0)
            step_former_write();
        else
            step_client(&sim.clients[below(CLIENTS)]);
    }
    finish();
}

START_TEST(no_answer_is_older_than_the_last_write_or_another_s)
{
    struct sim_seeds seeds = sim_seeds_get(SEEDS);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        run(seed);
    printf("# %llu hits, %llu by id, %llu after writes of other ids, %llu misses, %llu of them "
           "joined, %llu after sending\n",
           hits, hits_of_ids, hits_after_writes, misses, joins, joins_sent);
    fflush(stdout);
    if (seeds.last - seeds.first >= 100)
        ck_assert(hits > misses / 50 && hits_after_writes > hits_of_ids / 50 &&
                  joins > misses / 20 && joins_sent > joins / 20);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("reads_simulation");

    tcase_add_test(tcase, no_answer_is_older_than_the_last_write_or_another_s);
    return check_main("reads_simulation", tcase);
}
