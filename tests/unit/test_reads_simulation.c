/* What must hold: an answer that was kept is one that Chroma could have given to the question
 * itself, and it is never older than the last write that was acknowledged through here.
 *
 * A model of Chroma has a few collections whose records are numbers that writes move on. Clients
 * ask and write at random; calls take effect at a random moment between being sent and answered, or
 * later, unseen, if their outcome is unknown. Reads go the way that they go in proxy/: cache, turn,
 * call. After every answer: it says what the collection held at a moment between the question and
 * the answer, for this asker.
 *
 * SIM_SEEDS=1:100000 runs so many seeds. */
#include <stdio.h>

#include "base/compiler.h"
#include "base/rng.h"
#include "chroma/collection_table.h"
#include "reads/query_cache.h"
#include "support/check_main.h"
#include "support/plain_budget.h"
#include "support/sim_seeds.h"

enum {
    SEEDS = 3000,
    STEPS = 300,
    COLLECTIONS = 3,
    IDENTITIES = 2,
    QUESTIONS = 2,
    CLIENTS = 8,
    WRITES = 6,
    LOST_US = 40,
    CACHE_BYTES = 600 << 10
};

/* An answer, as kept. */
struct answer {
    unsigned collection, version, identity, question;
    char     rest[1500]; /* so that entries are evicted now and then */
};

enum client_state { IDLE, WAITS_FOR_TURN, SENT };

struct client {
    enum client_state      state;
    struct query_cache_key key;
    unsigned               collection, identity, question;
    unsigned               least; /* version that the answer must have at least */
    struct query_validity  asked;
    unsigned               seen; /* version when Chroma read it; valid if `was_read` */
    bool                   was_read;
};

struct write {
    bool                is_used, has_effect, is_unknown;
    unsigned            collection;
    char                path[160];
    struct chroma_route route;
    struct write_notice notice;
    uint64_t            until_us; /* of one that is lost: when it has taken effect or never will */
};

static struct sim {
    struct rng                   rng;
    uint64_t                     seed, now_us;
    unsigned                     version[COLLECTIONS];
    struct client                clients[CLIENTS];
    struct write                 writes[WRITES];
    struct collection_table     *table;
    struct write_observers       observers;
    struct query_cache          *cache;
    struct memory_account_budget budget;
} sim;

/* What came from the cache at all: a proxy that asks every time is always right. */
static unsigned long long hits, misses;

static unsigned below(unsigned bound)
{
    return (unsigned)rng_below(&sim.rng, bound);
}

static const uint8_t *uuid_of(unsigned collection)
{
    static uint8_t uuid[16];

    memset(uuid, 0x11, sizeof uuid);
    uuid[15] = (uint8_t)(0x10 + collection);
    return uuid;
}

static struct query_validity validity_of(unsigned collection)
{
    return (struct query_validity){
        .stamp = collection_table_stamp(sim.table, uuid_of(collection), sim.now_us),
        .epoch = collection_table_epoch(sim.table),
        .incarnation = collection_table_incarnation(sim.table)};
}

static void make_key(struct client *client)
{
    uint64_t half = rng_mix(client->question + 1);

    memset(&client->key, 0, sizeof client->key);
    memcpy(client->key.collection, uuid_of(client->collection), 16);
    memcpy(client->key.identity, &client->identity, sizeof client->identity);
    memcpy(client->key.digest, &half, sizeof half);
}

/* ---- Reads, as in proxy/ --------------------------------------------------------------------- */

static void check_answer(struct client *client, const struct answer *answer)
{
    SIM_CHECK(sim.seed, answer->collection == client->collection);
    SIM_CHECK(sim.seed, answer->identity == client->identity);
    SIM_CHECK(sim.seed, answer->question == client->question);
    SIM_CHECK(sim.seed, answer->version >= client->least);
    SIM_CHECK(sim.seed, answer->version <= sim.version[client->collection]);
    client->state = IDLE;
}

static struct answer answer_of(const struct client *client, unsigned version)
{
    struct answer answer = {.collection = client->collection,
                            .version = version,
                            .identity = client->identity,
                            .question = client->question};

    memset(answer.rest, (int)version, sizeof answer.rest);
    return answer;
}

static bool answer_from_cache(struct client *client, const struct query_validity *now)
{
    struct query_cache_hit hit;
    struct answer          answer;
    struct bytes           part;
    size_t                 at = 0;

    if (query_cache_find(sim.cache, &client->key, now, UINT64_MAX, sim.now_us, &hit) !=
        QUERY_CACHE_HIT)
        return false;
    while (query_cache_read(&hit, &part)) {
        memcpy((char *)&answer + at, part.data, part.size);
        at += part.size;
    }
    SIM_CHECK(sim.seed, at == sizeof answer);
    hits++;
    check_answer(client, &answer);
    return true;
}

static void ask(struct client *client)
{
    client->collection = below(COLLECTIONS);
    client->identity = below(IDENTITIES);
    client->question = below(QUESTIONS);
    client->least = sim.version[client->collection];
    client->was_read = false;
    make_key(client);
    client->asked = validity_of(client->collection);
    if (answer_from_cache(client, &client->asked))
        return;
    misses++;
    client->state = WAITS_FOR_TURN;
}

static void answer_read(struct client *client)
{
    unsigned                  version = sim.version[client->collection];
    struct answer             answer = answer_of(client, client->was_read ? client->seen : version);
    struct query_validity     now = validity_of(client->collection);
    struct query_cache_answer kept = {
        .body = {.data = (const char *)&answer, .size = sizeof answer}, .cost_us = 1};

    if (query_validity_holds(&client->asked, &now))
        (void)query_cache_put(sim.cache, &client->key, &client->asked, &kept, sim.now_us);
    check_answer(client, &answer);
}

static void step_client(struct client *client)
{
    switch (client->state) {
    case IDLE:
        ask(client);
        break;
    case WAITS_FOR_TURN:
        client->state = below(10) == 0 ? IDLE : SENT; /* the client may have gone */
        break;
    case SENT:
        if (below(10) == 0) {
            client->state = IDLE;
        } else if (!client->was_read && below(2) == 0) {
            client->was_read = true;
            client->seen = sim.version[client->collection];
        } else {
            answer_read(client);
        }
        break;
    }
}

/* ---- Writes ---------------------------------------------------------------------------------- */

static void start_write(struct write *write)
{
    const uint8_t *uuid;
    char           text[33];

    *write = (struct write){.is_used = true, .collection = below(COLLECTIONS)};
    uuid = uuid_of(write->collection);
    for (size_t i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", uuid[i]);
    snprintf(write->path, sizeof write->path, "/api/v2/tenants/t/databases/d/collections/%s/upsert",
             text);
    chroma_route_find(BYTES_LITERAL("POST"), bytes_of(write->path), &write->route);
    write->notice.route = &write->route;
    write_observer_sent(&sim.observers, &write->notice, sim.now_us);
}

static void take_effect(struct write *write)
{
    sim.version[write->collection]++;
    write->has_effect = true;
}

/* Acknowledged, cut off, or at last known to be over. */
static void step_write(struct write *write)
{
    if (!write->is_used) {
        start_write(write);
    } else if (!write->has_effect && below(2) == 0) {
        take_effect(write);
    } else if (write->is_unknown) {
        /* It is told to be over only when it is. */
        if (write->has_effect) {
            write_observer_settled(&sim.observers, &write->notice, sim.now_us);
            write->is_used = false;
        }
    } else if (below(3) == 0) {
        write->is_unknown = true;
        write_observer_known(&sim.observers, &write->notice, WRITE_OUTCOME_UNKNOWN,
                             BYTES_LITERAL(""), sim.now_us);
    } else if (write->has_effect) {
        write_observer_known(&sim.observers, &write->notice, WRITE_OUTCOME_APPLIED,
                             BYTES_LITERAL(""), sim.now_us);
        write->is_used = false;
    } else {
        write_observer_known(&sim.observers, &write->notice, WRITE_OUTCOME_REFUSED,
                             BYTES_LITERAL(""), sim.now_us);
        write->is_used = false;
    }
}

/* Another Chroma, with other records: reads of the former one fail with it. */
static void restart(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (sim.clients[i].state == SENT)
            sim.clients[i].state = IDLE;
    for (size_t i = 0; i < COLLECTIONS; i++)
        sim.version[i] += 1 + below(2);
    collection_table_new_incarnation(sim.table, false);
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static void begin(uint64_t seed)
{
    static const unsigned char            secret[SIPHASH_KEY_SIZE] = "secret";
    const struct collection_table_options known = {
        .collections_max = 100, .bytes_max = 1 << 20, .lost_us = LOST_US};

    memset(&sim, 0, sizeof sim);
    sim.seed = seed;
    sim.now_us = 1000;
    rng_init(&sim.rng, seed);
    plain_budget_init(&sim.budget, 1 << 30);
    sim.table = collection_table_new(&known, secret);
    write_observer_init(&sim.observers);
    write_observer_add(&sim.observers, collection_table_observer(sim.table));
    sim.cache = query_cache_new(
        &(struct query_cache_options){.bytes_max = CACHE_BYTES, .object_bytes_max = 10000},
        &sim.budget.accounts[MEMORY_ACCOUNT_CACHE]);
    ck_assert(sim.table != NULL && sim.cache != NULL);
}

static void finish(void)
{
    for (size_t i = 0; i < WRITES; i++) {
        struct write *write = &sim.writes[i];

        if (!write->is_used)
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

static void run(uint64_t seed)
{
    unsigned writing;

    begin(seed);
    writing = 1 + below(30);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned what = below(100);

        sim.now_us += below(3);
        if (what < writing)
            step_write(&sim.writes[below(WRITES)]);
        else if (what == 99 && below(4) == 0)
            restart();
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
    printf("# %llu hits, %llu misses\n", hits, misses);
    if (seeds.last - seeds.first >= 100)
        ck_assert(hits > misses / 20);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("reads_simulation");

    tcase_add_test(tcase, no_answer_is_older_than_the_last_write_or_another_s);
    return check_main("reads_simulation", tcase);
}
