/* stub_server - listeners, connections and counters of the stub
 *
 * One libevent loop, one thread. The main listeners speak Chroma's API under the faults that are
 * set; the control listener speaks the same, but is never refused, counted or hurt, so that a test
 * can ask and steer at any time.
 */
#ifndef SUPPORT_STUB_SERVER_H
#define SUPPORT_STUB_SERVER_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/list.h"
#include "http/http_reader.h"
#include "support/stub_api.h"
#include "support/stub_fault.h"

struct stub_server_counters {
    uint64_t requests[STUB_OPS]; /* complete ones, and those answered early */
    uint64_t in_flight, in_flight_max;
    uint64_t writes_in_flight, writes_in_flight_max;
    uint64_t collection_writes_in_flight_max; /* most in one collection */
    uint64_t reads_in_flight, reads_in_flight_max;
    uint64_t connections, connections_max, connections_accepted, connections_refused;
    uint64_t abandoned;    /* connections that the client closed while we owed it an answer */
    uint64_t bad_requests; /* not HTTP as we read it */
    uint64_t body_bytes_in;
};

enum { STUB_SERVER_LISTENERS_MAX = 8, STUB_SERVER_SCRATCH_BYTES = 256 * 1024 };

struct stub_server_listener {
    struct stub_server *server;
    struct event        event;
    int                 fd; /* -1: closed */
    bool                is_control;
    char                address[128]; /* with the port that was bound */
};

struct stub_server {
    struct event_base          *base;
    struct stub_api             api;
    struct stub_fault_rules     faults;
    struct stub_server_counters counters;
    struct stub_server_listener listeners[STUB_SERVER_LISTENERS_MAX];
    size_t                      listener_count;
    struct list                 connections;     /* struct stub_connection */
    struct event                sweep_event;     /* closes idle connections */
    uint64_t                    idle_close_us;   /* 0: never */
    uint64_t                    connections_max; /* 0: no limit; beyond it: closed at once */
    size_t                      body_max;
    struct http_reader_limits   limits;
    char                       *scratch; /* what recv() fills */
};

/* Zeroed settings get their defaults; NULL base: out of memory, false. */
bool stub_server_init(struct stub_server *server);

/* Close everything and free all memory. */
void stub_server_done(struct stub_server *server);

/* Listen on host:port, [v6]:port or unix:/path. NULL when it works, else a complaint in static
 * storage. */
const char *stub_server_listen(struct stub_server *server, const char *address, bool is_control);

/* Obey one line: a fault rule, `clear` (no rules), `idle-close=D`, `close-idle` (now),
 * `refuse` (main listeners closed), `accept` (open again). NULL or a complaint in static storage.
 */
const char *stub_server_command(struct stub_server *server, struct bytes line);

/* The counters as JSON. Given: json_decref(). */
json_t *stub_server_stats(const struct stub_server *server);

/* Monotonic microseconds. */
uint64_t stub_server_now_us(void);

#endif
