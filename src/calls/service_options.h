/* service_options - what an operator can say about services; see services.h
 *
 * The settings behind these values are explained in conf/chromabouncer.yaml.
 */
#ifndef CALLS_SERVICE_OPTIONS_H
#define CALLS_SERVICE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/network.h"
#include "limits/rate_limit.h"

enum { PROXY_SERVICES_MAX = 64, PROXY_SERVICE_NAME_SIZE = 64 };

/* The service of all that belong to no other. */
#define PROXY_SERVICE_DEFAULT "default"

struct proxy_service_options {
    const char           *name;
    struct bytes          field_name, field_value; /* empty: none */
    const struct network *networks;
    size_t                network_count;
    const uint32_t       *uids;
    size_t                uid_count;
    const char (*keys)[PROXY_SERVICE_NAME_SIZE]; /* names of keys */
    size_t key_count;

    unsigned             weight, priority;
    uint64_t             rate;  /* requests or microseconds of Chroma's time per second; 0: none */
    uint64_t             burst; /* of the same; at least 1 */
    bool                 is_rate_in_time;
    uint64_t             bytes_rate; /* 0: none */
    enum rate_limit_over over;
    size_t               concurrency_max;                             /* 0: none */
    size_t               collection_reads_max, collection_writes_max; /* likewise, in each */
    uint32_t             batch_records_max;                           /* of a shared call */
};

struct proxy_services_options {
    const struct proxy_service_options *services;
    size_t                              count; /* 0: services are not told apart */
    const struct network               *trusted_proxies;
    size_t                              trusted_count;
    uint64_t                            delay_max_us;
};

#endif
