#include "reads/single_flight.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash_map.h"

enum { MARKS = 64 };

struct flight {
    struct single_flight  *table;
    struct query_cache_key key;
    struct query_validity  sent;
    struct flight_member  *leader;
    struct list            waiters; /* the first has waited for longest */
    size_t                 waiter_count;
    bool                   is_sent, is_listed; /* in the table: others may join */
};

/* A question that is asked by each alone. */
struct mark {
    struct query_cache_key key;
    uint64_t               until_us;
};

struct single_flight {
    struct single_flight_options options;
    struct hash_map             *flights;
    size_t                       flight_count; /* listed or not */
    struct mark                  marks[MARKS];
    size_t                       next_mark;
    uint64_t                     marked_until_us; /* no mark holds longer */
};

static bool is_apart(const struct single_flight *table, const struct query_cache_key *key,
                     uint64_t now_us);
static bool may_join(const struct flight *flight, const struct query_validity *now);
static enum flight_role lead(struct single_flight *table, const struct query_cache_key *key,
                             struct flight_member *member);
static void             unlist(struct flight *flight);
static void             end_all(struct flight *flight, enum flight_end end, const void *answer);
static void             follow(struct flight *flight);

static struct bytes key_bytes(const struct query_cache_key *key)
{
    return (struct bytes){.data = (const char *)key, .size = sizeof *key};
}

struct single_flight *single_flight_new(const struct single_flight_options *options,
                                        const unsigned char secret[SIPHASH_KEY_SIZE])
{
    struct single_flight *table = calloc(1, sizeof *table);

    if (table == NULL)
        return NULL;
    table->options = *options;
    table->flights = hash_map_new(secret, options->flights_max);
    if (table->flights == NULL) {
        free(table);
        return NULL;
    }
    return table;
}

void single_flight_free(struct single_flight *table)
{
    if (table == NULL)
        return;
    assert(table->flight_count == 0);
    hash_map_free(table->flights);
    free(table);
}

enum flight_role single_flight_join(struct single_flight *table, const struct query_cache_key *key,
                                    const struct query_validity *now, uint64_t now_us,
                                    struct flight_member *member)
{
    struct flight *flight = hash_map_get(table->flights, key_bytes(key));

    assert(member->flight == NULL);
    if (is_apart(table, key, now_us))
        return FLIGHT_ALONE;
    if (flight == NULL)
        return lead(table, key, member);
    if (!may_join(flight, now)) {
        unlist(flight);
        return lead(table, key, member);
    }
    if (flight->waiter_count == table->options.waiters_max)
        return FLIGHT_ALONE;
    member->flight = flight;
    list_push_back(&flight->waiters, &member->node);
    flight->waiter_count++;
    return FLIGHT_JOINED;
}

static bool is_apart(const struct single_flight *table, const struct query_cache_key *key,
                     uint64_t now_us)
{
    if (now_us >= table->marked_until_us)
        return false;
    for (size_t i = 0; i < MARKS; i++)
        if (table->marks[i].until_us > now_us &&
            memcmp(&table->marks[i].key, key, sizeof *key) == 0)
            return true;
    return false;
}

static bool may_join(const struct flight *flight, const struct query_validity *now)
{
    return !flight->is_sent ||
           (flight->table->options.joins_sent && query_validity_holds(&flight->sent, now));
}

static enum flight_role lead(struct single_flight *table, const struct query_cache_key *key,
                             struct flight_member *member)
{
    struct flight *flight;

    if (table->flight_count >= table->options.flights_max)
        return FLIGHT_ALONE;
    flight = calloc(1, sizeof *flight);
    if (flight == NULL)
        return FLIGHT_ALONE;
    *flight = (struct flight){.table = table, .key = *key, .leader = member, .is_listed = true};
    list_init(&flight->waiters);
    if (hash_map_put(table->flights, key_bytes(&flight->key), flight) != STATUS_OK) {
        free(flight);
        return FLIGHT_ALONE;
    }
    table->flight_count++;
    member->flight = flight;
    return FLIGHT_LEADS;
}

/* It may be joined no longer; who waits goes on waiting. */
static void unlist(struct flight *flight)
{
    if (flight->is_listed)
        hash_map_remove(flight->table->flights, key_bytes(&flight->key));
    flight->is_listed = false;
}

bool single_flight_is_awaited(const struct flight_member *leader)
{
    return leader->flight != NULL && leader->flight->waiter_count > 0;
}

void single_flight_sent(struct flight_member *leader, const struct query_validity *sent)
{
    struct flight *flight = leader->flight;

    assert(flight != NULL && flight->leader == leader);
    flight->is_sent = true;
    flight->sent = *sent;
}

void single_flight_answer(struct flight_member *leader, const void *answer)
{
    assert(leader->flight != NULL && leader->flight->leader == leader);
    end_all(leader->flight, FLIGHT_ANSWERED, answer);
}

void single_flight_part(struct flight_member *leader, uint64_t now_us)
{
    struct flight        *flight = leader->flight;
    struct single_flight *table = flight->table;

    assert(flight->leader == leader);
    table->marks[table->next_mark] =
        (struct mark){.key = flight->key, .until_us = now_us + table->options.apart_us};
    table->next_mark = (table->next_mark + 1) % MARKS;
    table->marked_until_us = now_us + table->options.apart_us;
    end_all(flight, FLIGHT_APART, NULL);
}

static void end_all(struct flight *flight, enum flight_end end, const void *answer)
{
    unlist(flight);
    flight->leader->flight = NULL;
    while (!list_is_empty(&flight->waiters)) {
        struct flight_member *member =
            LIST_ITEM(list_first(&flight->waiters), struct flight_member, node);

        list_remove(&member->node);
        member->flight = NULL;
        member->on_end(member, end, answer);
    }
    flight->table->flight_count--;
    free(flight);
}

void single_flight_leave(struct flight_member *member)
{
    struct flight *flight = member->flight;

    if (flight == NULL)
        return;
    member->flight = NULL;
    if (flight->leader == member) {
        follow(flight);
    } else {
        list_remove(&member->node);
        flight->waiter_count--;
    }
}

/* The leader is gone. What the next one asks has not been sent, so others may join again. */
static void follow(struct flight *flight)
{
    struct flight_member *next;

    if (list_is_empty(&flight->waiters)) {
        unlist(flight);
        flight->table->flight_count--;
        free(flight);
        return;
    }
    next = LIST_ITEM(list_first(&flight->waiters), struct flight_member, node);
    list_remove(&next->node);
    flight->waiter_count--;
    flight->leader = next;
    flight->is_sent = false;
    next->on_end(next, FLIGHT_LEAD, NULL);
}
