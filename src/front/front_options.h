/* front_options - the bounds and timeouts of a front, and what it counts */
#ifndef FRONT_FRONT_OPTIONS_H
#define FRONT_FRONT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct front_options {
    size_t   connections_max;             /* beyond it: answered 503 and closed */
    size_t   connections_per_address_max; /* likewise, of one client address; 0: no limit */
    uint64_t reclaim_after_us;            /* see FRONT_RECLAIM_AFTER_US; 0: none is */
    uint64_t idle_timeout_us;             /* between requests */
    uint64_t head_timeout_us;             /* from a request's first byte to the end of its head */
    uint64_t body_timeout_us;             /* the span over which FRONT_BYTES_PER_SECOND_MIN holds */
    uint64_t send_timeout_us;             /* likewise for the bytes of an answer that are taken */
    size_t   start_line_bytes_max;        /* of a request */
    size_t   head_bytes_max;              /* of a request */
    bool     is_plain;                    /* add no fields of our own to errors (`headers: off`) */
};

/* A client slower than this for a whole timeout is cut off. Slower than any network, and than what
 * a client sends or reads while it works; yet 40 MiB at 1 KB/s would be eleven hours. */
enum { FRONT_BYTES_PER_SECOND_MIN = 1536 };

/* Where there is no place for a new connection, that which has been idle for longest makes room, if
 * it has been so for this long: a younger one may be about to bring a request. (Python clients
 * close theirs after as much.) */
enum { FRONT_RECLAIM_AFTER_US = 40000000 };

struct front_stats {
    uint64_t connections; /* now */
    uint64_t accepted;
    uint64_t reclaimed;           /* idle connections closed to make room */
    uint64_t refused_limit;       /* connections beyond connections_max */
    uint64_t refused_address;     /* connections beyond connections_per_address_max */
    uint64_t refused_descriptors; /* connections for which there was no descriptor */
    uint64_t refused_guard;       /* connections of whom the guard did not let in */
    uint64_t bad_requests;        /* refused as HTTP before anybody was asked */
    uint64_t timeouts;            /* connections closed by a timeout other than idle */
};

#endif
