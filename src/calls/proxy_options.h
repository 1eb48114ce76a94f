/* proxy_options - what an operator can choose about the path of requests
 *
 * The settings behind these values are explained in conf/chromabouncer.yaml.
 */
#ifndef CALLS_PROXY_OPTIONS_H
#define CALLS_PROXY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum proxy_access_log { PROXY_LOG_ALL, PROXY_LOG_ERRORS, PROXY_LOG_OFF };

/* Which answers are kept; see cache_path.h. */
struct proxy_cache_options {
    bool     is_enabled;
    size_t   bytes_max;         /* when the proxy is made; 0: none */
    uint64_t max_staleness_us;  /* 0: in role gateway as old as it may be, else nothing is kept */
    uint64_t trust_us;          /* of an answer to who may show credentials */
    uint64_t stale_if_error_us; /* beyond max_staleness_us, while Chroma is down and others write */
    uint32_t verify_per_million; /* of the hits; see cache_verify.h */
};

/* When reads are answered from a copy of the collection; each does what the one before it does. */
enum proxy_mirror_mode {
    PROXY_MIRROR_OFF,
    PROXY_MIRROR_FALLBACK, /* when Chroma does not answer */
    PROXY_MIRROR_HEDGE,    /* when it is late */
    PROXY_MIRROR_PREFER    /* whenever the copy holds what Chroma holds */
};

/* Copies of collections; see mirror_keeper.h. */
struct proxy_mirror_options {
    enum proxy_mirror_mode mode;
    const char *const     *collections;      /* patterns (guard_rules.h) */
    size_t                 collection_count; /* 0: those that are read most, as they fit */
    uint64_t               memory_max;       /* of all copies together */
    uint64_t               disk_max;         /* likewise */
    const char            *directory;        /* exists; for files that go with the process */
    uint64_t               max_age_us;       /* of a copy that others may have outdated */
    uint64_t trust_us;          /* after Chroma has served it to the same credentials; 0: never */
    bool     allows_incomplete; /* while Chroma does not answer, a copy that may lack something */
};

/* proxy_options.reads_max: what Chroma is seen to take. */
#define PROXY_READS_ADAPTIVE SIZE_MAX

struct proxy_options {
    size_t                connections_max;   /* to Chroma; never exceeded */
    bool                  is_unwatched;      /* they leave none that would notice another Chroma */
    uint64_t              body_bytes_max;    /* of a write; 0: what Chroma itself takes */
    size_t                requests_max;      /* held at once; more wait unread */
    uint64_t              queue_wait_max_us; /* of a read, for room and for its turn */
    size_t                reads_max;         /* at Chroma at a time; 0: what connections allow */
    bool                  sheds;             /* reads are refused early rather than wait */
    uint64_t              deadline_read_us;  /* last byte of the request to first of the answer */
    uint64_t              deadline_write_us;
    uint64_t              settle_time_us; /* after the start, for what a process before it sent */
    bool                  adds_headers;
    enum proxy_access_log access_log;
    bool                  takes_client_deadlines; /* see client_deadline.h */
    bool                  breaker_refuses_reads;  /* see backend_breaker.h */
    struct proxy_cache_options cache;
};

/* How writes are merged; see coalescer.h. */
struct proxy_write_options {
    bool     is_coalescing;     /* false: each write goes by itself, as it came */
    bool     is_supervised;     /* we run Chroma: proxy_backend_ended() will be told */
    bool     is_gateway;        /* every write to this Chroma comes through here */
    uint32_t in_flight_max;     /* calls at once; 0: by what the backend is */
    uint32_t batch_records_max; /* 0: by measured cost */
    size_t   batch_bytes_max;
    uint64_t patience_us;
    bool     split_oversize;
};

#endif
