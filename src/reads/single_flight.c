#include "reads/single_flight.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash_map.h"

enum { MARKS = 64, FAILURES_MAX = 2 };

struct flight {
    struct single_flight  *table;
    struct list_node       node; /* in table->flights */
    struct flight_question question;
    struct query_validity  asked;
    struct flight_member  *leader;
    struct list            waiters; /* the first has waited for longest */
    size_t                 waiter_count;
    unsigned               failures;
    bool                   is_listed; /* others may join */
};

/* A question that each asks for itself. */
struct mark {
    struct flight_question question;
    uint64_t               until_us;
};

struct single_flight {
    struct single_flight_options options;
    struct hash_map             *listed;  /* by question */
    struct list                  flights; /* listed or not */
    size_t                       flight_count;
    struct mark                  marks[MARKS];
    size_t                       next_mark;
    uint64_t                     marked_until_us; /* no mark holds longer */
};

/* Questions are hashed and compared as bytes. */
_Static_assert(sizeof(struct flight_question) == sizeof(struct query_cache_key) + sizeof(uint32_t),
               "a question has no holes");

static bool is_kept_apart(const struct single_flight *table, const struct flight_question *question,
                          uint64_t now_us);
static bool may_join(const struct flight *flight, const struct query_validity *now,
                     bool joins_sent);
static void unlist(struct flight *flight);
static void add_mark(struct single_flight *table, const struct flight_question *question,
                     uint64_t now_us);
static void end_all(struct flight *flight, enum flight_end end, const void *answer);
static void pass_on_lead(struct flight *flight);
static void free_flight(struct flight *flight);

static struct bytes question_bytes(const struct flight_question *question)
{
    return (struct bytes){.data = (const char *)question, .size = sizeof *question};
}

static bool leads(const struct flight_member *member)
{
    return member->flight != NULL && member->flight->leader == member;
}

struct single_flight *single_flight_new(const struct single_flight_options *options,
                                        const unsigned char secret[SIPHASH_KEY_SIZE])
{
    struct single_flight *table = calloc(1, sizeof *table);

    if (table == NULL)
        return NULL;
    table->options = *options;
    list_init(&table->flights);
    table->listed = hash_map_new(secret, options->flights_max);
    if (table->listed == NULL) {
        free(table);
        return NULL;
    }
    return table;
}

void single_flight_free(struct single_flight *table)
{
    struct list_node *node;

    if (table == NULL)
        return;
    while ((node = list_first(&table->flights)) != NULL)
        free_flight(LIST_ITEM(node, struct flight, node));
    hash_map_free(table->listed);
    free(table);
}

bool single_flight_join(struct single_flight *table, const struct flight_question *question,
                        const struct query_validity *now, bool joins_sent, uint64_t now_us,
                        struct flight_member *member)
{
    struct flight *flight;

    if (leads(member)) {
        member->flight->asked = *now;
        return false;
    }
    assert(member->flight == NULL);
    if (member->is_apart || is_kept_apart(table, question, now_us))
        return false;
    flight = hash_map_get(table->listed, question_bytes(question));
    if (flight == NULL || flight->waiter_count == table->options.waiters_max ||
        !may_join(flight, now, joins_sent))
        return false;
    member->flight = flight;
    list_push_back(&flight->waiters, &member->node);
    flight->waiter_count++;
    return true;
}

static bool is_kept_apart(const struct single_flight *table, const struct flight_question *question,
                          uint64_t now_us)
{
    if (now_us >= table->marked_until_us)
        return false;
    for (size_t i = 0; i < MARKS; i++)
        if (table->marks[i].until_us > now_us &&
            memcmp(&table->marks[i].question, question, sizeof *question) == 0)
            return true;
    return false;
}

static bool may_join(const struct flight *flight, const struct query_validity *now, bool joins_sent)
{
    return !flight->table->options.is_sent(flight->leader) ||
           (joins_sent && query_validity_holds(&flight->asked, now));
}

/* It may be that a flight of this question is under way which could not be joined: this one takes
 * its place, and who waits for the other goes on waiting. */
void single_flight_lead(struct single_flight *table, const struct flight_question *question,
                        const struct query_validity *asked, uint64_t now_us,
                        struct flight_member *member)
{
    struct flight *flight, *former;

    if (member->flight != NULL || member->is_apart || is_kept_apart(table, question, now_us) ||
        table->flight_count >= table->options.flights_max)
        return;
    flight = calloc(1, sizeof *flight);
    if (flight == NULL)
        return;
    *flight =
        (struct flight){.table = table, .question = *question, .asked = *asked, .leader = member};
    list_init(&flight->waiters);
    former = hash_map_get(table->listed, question_bytes(question));
    if (former != NULL)
        unlist(former);
    if (hash_map_put(table->listed, question_bytes(&flight->question), flight) != STATUS_OK) {
        free(flight);
        return;
    }
    flight->is_listed = true;
    list_push_back(&table->flights, &flight->node);
    table->flight_count++;
    member->flight = flight;
}

/* It may be joined no longer. */
static void unlist(struct flight *flight)
{
    if (flight->is_listed)
        hash_map_remove(flight->table->listed, question_bytes(&flight->question));
    flight->is_listed = false;
}

struct flight_member *single_flight_leader(const struct flight_member *member)
{
    return member->flight == NULL ? NULL : member->flight->leader;
}

size_t single_flight_waiters(const struct flight_member *member)
{
    return leads(member) ? member->flight->waiter_count : 0;
}

void single_flight_answer(struct flight_member *leader, const void *answer)
{
    if (leads(leader))
        end_all(leader->flight, FLIGHT_ANSWERED, answer);
}

void single_flight_mark(struct single_flight *table, const struct flight_question *question,
                        uint64_t now_us, struct flight_member *member)
{
    add_mark(table, question, now_us);
    single_flight_part(member);
}

/* In the place of one for the same question, or of the oldest. */
static void add_mark(struct single_flight *table, const struct flight_question *question,
                     uint64_t now_us)
{
    size_t at = table->next_mark;

    for (size_t i = 0; i < MARKS && now_us < table->marked_until_us; i++)
        if (memcmp(&table->marks[i].question, question, sizeof *question) == 0)
            at = i;
    if (at == table->next_mark)
        table->next_mark = (at + 1) % MARKS;
    table->marks[at] =
        (struct mark){.question = *question, .until_us = now_us + table->options.apart_us};
    table->marked_until_us = now_us + table->options.apart_us;
}

/* Who is told may ask again at once: it finds the flight gone. */
static void end_all(struct flight *flight, enum flight_end end, const void *answer)
{
    struct single_flight *table = flight->table;

    unlist(flight);
    flight->leader->flight = NULL;
    while (!list_is_empty(&flight->waiters)) {
        struct flight_member *member =
            LIST_ITEM(list_first(&flight->waiters), struct flight_member, node);

        list_remove(&member->node);
        member->flight = NULL;
        member->is_apart = end == FLIGHT_APART;
        table->options.on_end(member, end, answer);
    }
    free_flight(flight);
}

void single_flight_leave(struct flight_member *member)
{
    struct flight *flight = member->flight;
    bool           led = leads(member);

    if (flight == NULL)
        return;
    member->flight = NULL;
    if (led) {
        pass_on_lead(flight);
    } else {
        list_remove(&member->node);
        flight->waiter_count--;
    }
}

/* What the next one asks has not been sent, so others may join again. */
static void pass_on_lead(struct flight *flight)
{
    struct flight_member *next;

    if (list_is_empty(&flight->waiters)) {
        free_flight(flight);
        return;
    }
    next = LIST_ITEM(list_first(&flight->waiters), struct flight_member, node);
    list_remove(&next->node);
    flight->waiter_count--;
    flight->leader = next;
    flight->table->options.on_end(next, FLIGHT_LEAD, NULL);
}

void single_flight_fail(struct flight_member *member)
{
    if (leads(member) && ++member->flight->failures == FAILURES_MAX)
        single_flight_part(member);
    else
        single_flight_leave(member);
}

void single_flight_part(struct flight_member *member)
{
    if (leads(member))
        end_all(member->flight, FLIGHT_APART, NULL);
    else
        single_flight_leave(member);
}

static void free_flight(struct flight *flight)
{
    unlist(flight);
    list_remove(&flight->node);
    flight->table->flight_count--;
    free(flight);
}
