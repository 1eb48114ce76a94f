#include "admin/advice.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/repeat_table.h"
#include "base/metric.h"
#include "base/siphash.h"
#include "base/text.h"

/* N_RESULTS_COMMON_MAX: thirty times the default, and the most that Chroma's own cloud gives; who
 * ranks results again takes fewer. HABIT: once or twice is somebody who looks. */
enum {
    ENOUGH = 20,
    HABIT = 3,
    CONSTRUCTIONS_PER_MINUTE = 6,
    GET_BYTES_COMMON_MAX = 4 << 20,
    N_RESULTS_COMMON_MAX = 300
};
static const uint64_t minute_us = 60000000;

/* Beside what advice_client shows. */
struct record {
    struct advice_client client;
    uint64_t             last_write_us;            /* when the latest of its writes ended */
    uint64_t             minute;                   /* the number of the minute that is counted */
    uint64_t             this_minute, last_minute; /* constructions */
};

struct advice {
    uint64_t            keys[ADVICE_CLIENTS_MAX]; /* of address and agent; 0: free */
    struct record       records[ADVICE_CLIENTS_MAX];
    struct repeat_table repeats;
    struct embedded_use embedded;
};

static const struct advice_rule rules[ADVICE_RULES] = {
#define RULE(id, name_, meaning_, remedy_, here_)                                                  \
    [ADVICE_##id] = {.name = (name_), .meaning = (meaning_), .remedy = (remedy_), .here = (here_)},
#include "admin/advice.def"
#undef RULE
};

static struct record *record_of(struct advice *advice, const struct advice_request *request);
static uint64_t       key_of(const struct advice_request *request);
static void           copy_text(char *out, size_t size, struct bytes text);
static void           note_construction(struct record *record, uint64_t now_us);
static void           turn_minute(struct record *record, uint64_t now_us);
static void           note_write(struct record *record, const struct advice_request *request);
static void           note_get(struct advice_client *client, const struct advice_request *request);
static void           note_question(struct advice *advice, struct record *record,
                                    const struct advice_request *request);
static int            advice_by_time(const void *left, const void *right);
static bool           finds_in_reads(const struct advice_client *client, enum advice_rule_id rule,
                                     uint64_t *ret_count, char *evidence, size_t size);
static uint64_t       per_minute(const struct advice_client *client, uint64_t now_us);
static void           advice_say(char *out, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);
static bool           is_share(uint64_t part, uint64_t whole, uint64_t tenths);

const struct advice_rule *advice_rule(enum advice_rule_id id)
{
    assert(id < ADVICE_RULES);
    return &rules[id];
}

const char *advice_here(enum advice_rule_id id, bool keeps_answers)
{
    if (id == ADVICE_REPEATED_READS && !keeps_answers)
        return "nothing at present, the cache is off: leave cache.enabled on in role gateway, or "
               "let "
               "cache.max_staleness say how old an answer may be";
    return advice_rule(id)->here;
}

struct advice *advice_new(void)
{
    return calloc(1, sizeof(struct advice));
}

void advice_free(struct advice *advice)
{
    free(advice);
}

void advice_note(struct advice *advice, const struct advice_request *request)
{
    struct record        *record = record_of(advice, request);
    struct advice_client *client = &record->client;

    client->requests++;
    client->errors += request->status >= 400;
    if (request->ended_us > client->last_us)
        client->last_us = request->ended_us;
    switch (request->what) {
    case ADVICE_CONSTRUCTION:
        note_construction(record, request->ended_us);
        break;
    case ADVICE_WRITE:
        note_write(record, request);
        break;
    case ADVICE_GET:
        note_get(client, request);
        note_question(advice, record, request);
        break;
    case ADVICE_QUERY:
        client->queries++;
        client->known_queries += request->question != 0;
        client->wide_queries += request->n_results > N_RESULTS_COMMON_MAX;
        if (request->n_results > client->n_results_max)
            client->n_results_max = request->n_results;
        note_question(advice, record, request);
        break;
    case ADVICE_OTHER:
        break;
    }
}

/* The client's, or a fresh one in the place of who was quiet for longest. */
static struct record *record_of(struct advice *advice, const struct advice_request *request)
{
    uint64_t       key = key_of(request);
    size_t         oldest = 0;
    struct record *record;

    for (size_t i = 0; i < ADVICE_CLIENTS_MAX; i++)
        if (advice->keys[i] == key)
            return &advice->records[i];
    for (size_t i = 1; i < ADVICE_CLIENTS_MAX; i++)
        if (advice->records[i].client.last_us < advice->records[oldest].client.last_us)
            oldest = i;
    record = &advice->records[oldest];
    *record =
        (struct record){.client.first_us = request->ended_us, .client.last_us = request->ended_us};
    copy_text(record->client.address, sizeof record->client.address, request->address);
    copy_text(record->client.agent, sizeof record->client.agent, request->user_agent);
    advice->keys[oldest] = key;
    return record;
}

/* Under a key that everybody knows: who wants to be taken for another client gains nothing here. */
static uint64_t key_of(const struct advice_request *request)
{
    static const unsigned char keys[2][SIPHASH_KEY_SIZE] = {{1}, {2}};
    uint64_t                   key =
        siphash_1_3(keys[0], request->address) ^ siphash_1_3(keys[1], request->user_agent);

    return key == 0 ? 1 : key;
}

/* As much as fits, whole characters; what is no text becomes ?. */
static void copy_text(char *out, size_t size, struct bytes text)
{
    size_t used = 0;

    while (text.size > 0) {
        size_t character = text_character(text);

        if (used + (character == 0 ? 1 : character) >= size)
            break;
        if (character == 0)
            out[used++] = '?';
        for (size_t i = 0; i < character; i++)
            out[used++] = text.data[i];
        text = bytes_skip(text, character == 0 ? 1 : character);
    }
    out[used] = '\0';
}

static void note_construction(struct record *record, uint64_t now_us)
{
    turn_minute(record, now_us);
    record->client.constructions++;
    record->this_minute++;
}

static void turn_minute(struct record *record, uint64_t now_us)
{
    uint64_t minute = now_us / minute_us;

    if (minute <= record->minute)
        return;
    record->last_minute = minute == record->minute + 1 ? record->this_minute : 0;
    record->this_minute = 0;
    record->minute = minute;
}

static void note_write(struct record *record, const struct advice_request *request)
{
    struct advice_client *client = &record->client;

    client->writes++;
    client->counted_writes += request->records > 0;
    client->single_writes += request->records == 1;
    client->concurrent_writes += request->began_us < record->last_write_us;
    if (request->ended_us > record->last_write_us)
        record->last_write_us = request->ended_us;
    if (request->status >= 400 && request->status < 500) {
        client->refused_writes++;
        client->refused_status = request->status;
    }
}

static void note_get(struct advice_client *client, const struct advice_request *request)
{
    client->gets++;
    client->large_gets += request->answer_bytes > GET_BYTES_COMMON_MAX;
    if (request->answer_bytes > client->get_bytes_max)
        client->get_bytes_max = request->answer_bytes;
    if (!request->is_unfiltered_get)
        return;
    client->unfiltered_gets++;
    if (request->answer_bytes > client->unfiltered_bytes_max)
        client->unfiltered_bytes_max = request->answer_bytes;
}

static void note_question(struct advice *advice, struct record *record,
                          const struct advice_request *request)
{
    struct advice_client    *client = &record->client;
    enum repeat_table_result result;

    if (request->question == 0)
        return;
    result = repeat_table_note(&advice->repeats, request->question,
                               advice->keys[record - advice->records], request->ended_us);
    client->known_reads++;
    if (result == REPEAT_TABLE_NEW)
        return;
    client->repeated_reads++;
    client->repeated_own += result == REPEAT_TABLE_OWN;
    client->repeated_cached += request->is_from_cache;
}

size_t advice_clients(const struct advice *advice, const struct advice_client **out)
{
    size_t count = 0;

    for (size_t i = 0; i < ADVICE_CLIENTS_MAX; i++)
        if (advice->keys[i] != 0)
            out[count++] = &advice->records[i].client;
    qsort(out, count, sizeof *out, advice_by_time);
    return count;
}

static int advice_by_time(const void *left, const void *right)
{
    const struct advice_client *a = *(const struct advice_client *const *)left;
    const struct advice_client *b = *(const struct advice_client *const *)right;

    return (a->last_us < b->last_us) - (a->last_us > b->last_us);
}

bool advice_finds(const struct advice_client *client, enum advice_rule_id rule, uint64_t now_us,
                  uint64_t *ret_count, char *evidence, size_t size)
{
    uint64_t count = 0, of = 0;
    bool     found = false;

    switch (rule) {
    case ADVICE_CONSTRUCTIONS:
        count = per_minute(client, now_us);
        found = count >= CONSTRUCTIONS_PER_MINUTE;
        advice_say(evidence, size, "%" PRIu64 " in a minute, %" PRIu64 " in all", count,
                   client->constructions);
        break;
    case ADVICE_SINGLE_RECORDS:
        count = client->single_writes;
        of = client->counted_writes;
        found = is_share(count, of, 9);
        advice_say(evidence, size, "%" PRIu64 " of %" PRIu64 " writes", count, of);
        break;
    case ADVICE_CONCURRENT_WRITES:
        count = client->concurrent_writes;
        of = client->writes;
        found = is_share(count, of, 2);
        advice_say(evidence, size, "%" PRIu64 " of %" PRIu64 " writes began before another ended",
                   count, of);
        break;
    case ADVICE_LARGE_GETS:
    case ADVICE_UNFILTERED_GETS:
    case ADVICE_WIDE_QUERIES:
    case ADVICE_REPEATED_READS:
        return finds_in_reads(client, rule, ret_count, evidence, size);
    case ADVICE_REFUSED_WRITES:
        count = client->refused_writes;
        found = count > 0;
        advice_say(evidence, size, "%" PRIu64 " of %" PRIu64 " writes, the last with status %u",
                   count, client->writes, client->refused_status);
        break;
    case ADVICE_EMBEDDED:
    case ADVICE_RULES:
        break;
    }
    *ret_count = count;
    return found;
}

static bool finds_in_reads(const struct advice_client *client, enum advice_rule_id rule,
                           uint64_t *ret_count, char *evidence, size_t size)
{
    switch (rule) {
    case ADVICE_LARGE_GETS:
        *ret_count = client->large_gets;
        advice_say(evidence, size, "%" PRIu64 " of %" PRIu64 " gets, up to %" PRIu64 " MiB",
                   client->large_gets, client->gets, client->get_bytes_max >> 20);
        return client->large_gets > 0;
    case ADVICE_UNFILTERED_GETS:
        *ret_count = client->unfiltered_gets;
        advice_say(evidence, size, "%" PRIu64 " of %" PRIu64 " gets, up to %" PRIu64 " KiB",
                   client->unfiltered_gets, client->gets, client->unfiltered_bytes_max >> 10);
        return client->unfiltered_gets >= HABIT;
    case ADVICE_WIDE_QUERIES:
        *ret_count = client->wide_queries;
        advice_say(evidence, size,
                   "%" PRIu64 " of %" PRIu64 " queries looked at, n_results up to %" PRIu64,
                   client->wide_queries, client->known_queries, client->n_results_max);
        return client->wide_queries >= HABIT;
    default:
        *ret_count = client->repeated_reads;
        advice_say(evidence, size,
                   "%" PRIu64 " of %" PRIu64 " reads looked at, %" PRIu64
                   " of them asked by itself before; the cache answered %" PRIu64,
                   client->repeated_reads, client->known_reads, client->repeated_own,
                   client->repeated_cached);
        return is_share(client->repeated_reads, client->known_reads, 2);
    }
}

/* The fuller one of this minute and the last. */
static uint64_t per_minute(const struct advice_client *client, uint64_t now_us)
{
    const struct record *record = CONTAINER_OF(client, const struct record, client);
    uint64_t             passed = now_us / minute_us - record->minute;

    if (passed > 1)
        return 0;
    return passed == 1 || record->this_minute > record->last_minute ? record->this_minute
                                                                    : record->last_minute;
}

static void advice_say(char *out, size_t size, const char *format, ...)
{
    va_list args;

    if (size == 0)
        return;
    va_start(args, format);
    vsnprintf(out, size, format, args);
    va_end(args);
}

/* Of enough of them, `tenths` tenths? */
static bool is_share(uint64_t part, uint64_t whole, uint64_t tenths)
{
    return whole >= ENOUGH && 10 * part >= tenths * whole;
}

struct embedded_use *advice_embedded(struct advice *advice)
{
    return &advice->embedded;
}

enum status advice_print_metrics(const struct advice *advice, uint64_t now_us,
                                 struct byte_buffer *out)
{
    const struct advice_client *clients[ADVICE_CLIENTS_MAX];
    size_t                      count = advice_clients(advice, clients);
    enum status                 status =
        metric_print_header(out, "chromabouncer_advice_clients", "gauge",
                            "Clients that `chromabouncer advice` has something to say about.");

    for (unsigned id = 0; id < ADVICE_RULES && status == STATUS_OK; id++) {
        uint64_t found = id == ADVICE_EMBEDDED ? embedded_use_processes(&advice->embedded) : 0,
                 times;

        for (size_t i = 0; i < count; i++)
            found += advice_finds(clients[i], (enum advice_rule_id)id, now_us, &times, NULL, 0);
        status = byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                                    "chromabouncer_advice_clients{rule=\"%s\"} %" PRIu64 "\n",
                                    rules[id].name, found);
    }
    return status;
}
