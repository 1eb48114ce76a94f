/* upstream_pool_options - what is set about connections to Chroma, and what is counted */
#ifndef UPSTREAM_UPSTREAM_POOL_OPTIONS_H
#define UPSTREAM_UPSTREAM_POOL_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct upstream_pool_options {
    struct address backend;
    size_t         connections_max;     /* >= 1; never exceeded */
    uint64_t       connect_timeout_us;  /* per address */
    uint64_t       idle_timeout_us;     /* below the backend's own */
    uint64_t       resolve_interval_us; /* how old the addresses of a name may be */
    size_t         head_bytes_max;      /* of an answer */
};

struct upstream_pool_stats {
    uint64_t idle, busy, connecting; /* connections now */
    uint64_t opened, reused;         /* connections opened, requests sent on a used one */
    uint64_t connect_failures;       /* addresses that refused or did not answer */
    uint64_t unsolicited;            /* idle connections on which bytes arrived */
    uint64_t retries;                /* reads sent again on a fresh connection */
    uint64_t garbled;                /* answers that are not HTTP */
};

#endif
