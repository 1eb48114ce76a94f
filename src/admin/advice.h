/* advice - what applications could do better, as numbers per client
 *
 * A client is a User-Agent at an address. advice_note() is told of each finished request, in plain
 * data: no header but those two, no body. What was asked is told of some reads only, and counts of
 * it say of how many. The rules are in advice.def; who opens Chroma's directory itself is no client
 * and noted apart (embedded_use.h).
 *
 * Pure: time is an argument. Bound: ADVICE_CLIENTS_MAX clients, of which the one that was quiet for
 * longest makes room, and what embedded_use.h and repeat_table.h say; 250 KiB in all.
 */
#ifndef ADMIN_ADVICE_H
#define ADMIN_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/embedded_use.h"
#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"

struct advice; /* opaque */

enum {
    ADVICE_CLIENTS_MAX = 256,
    ADVICE_AGENT_SIZE = 96, /* longer names are cut */
    ADVICE_ADDRESS_SIZE = 64
};

enum advice_rule_id {
#define RULE(id, name, meaning, remedy, here) ADVICE_##id,
#include "admin/advice.def"
#undef RULE
    ADVICE_RULES
};

/* All strings are static. */
struct advice_rule {
    const char *name, *meaning, *remedy, *here;
};

const struct advice_rule *advice_rule(enum advice_rule_id id);

/* What the proxy does about it, where that depends on whether answers are kept. Static storage. */
const char *advice_here(enum advice_rule_id id, bool keeps_answers);

enum advice_what {
    ADVICE_OTHER,
    ADVICE_CONSTRUCTION, /* what only the construction of a client asks: its identity */
    ADVICE_WRITE,
    ADVICE_GET,
    ADVICE_QUERY
};

/* One finished request; what is not known is 0. */
struct advice_request {
    struct bytes     address, user_agent; /* borrowed */
    enum advice_what what;
    uint64_t         began_us, ended_us;
    unsigned         status;  /* of the answer */
    uint64_t         records; /* written */
    uint64_t         answer_bytes;
    uint64_t         question; /* of a get or query: a hash of it; 0: nobody has looked */
    bool             is_unfiltered_get, is_from_cache;
    uint64_t         n_results; /* wanted by a query */
};

/* Counts since the client was first seen. */
struct advice_client {
    char     address[ADVICE_ADDRESS_SIZE], agent[ADVICE_AGENT_SIZE];
    uint64_t first_us, last_us; /* when a request ended */
    uint64_t requests, errors;  /* errors: answers of 400 and above */
    uint64_t constructions;
    uint64_t writes, single_writes, counted_writes, concurrent_writes, refused_writes;
    unsigned refused_status; /* of the last */
    uint64_t queries, gets, large_gets, get_bytes_max;
    uint64_t unfiltered_gets, unfiltered_bytes_max;
    uint64_t known_queries, wide_queries, n_results_max; /* known: somebody has looked */
    uint64_t known_reads, repeated_reads, repeated_own, repeated_cached;
};

/* NULL when out of memory. */
struct advice *advice_new(void);
void           advice_free(struct advice *advice);

void advice_note(struct advice *advice, const struct advice_request *request);

/* The clients, the one that was seen last first. `out` (borrowed) has room for ADVICE_CLIENTS_MAX.
 * Returns how many there are. */
size_t advice_clients(const struct advice *advice, const struct advice_client **out);

/* Does the rule say something about a client of advice_clients() at `now_us`? Then *ret_count is
 * of what, and `evidence`, of `size` bytes (0: it is not wanted), says how that is known. */
bool advice_finds(const struct advice_client *client, enum advice_rule_id rule, uint64_t now_us,
                  uint64_t *ret_count, char *evidence, size_t size);

/* Who opens Chroma's directory itself: to be noted there, and asked for. */
struct embedded_use *advice_embedded(struct advice *advice);

/* Append, for each rule, the number of clients it says something about; for EMBEDDED, of processes.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  `out` holds a part. */
MUST_CHECK enum status advice_print_metrics(const struct advice *advice, uint64_t now_us,
                                            struct byte_buffer *out);

#endif
