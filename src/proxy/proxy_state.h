/* proxy_state - the struct behind proxy.h; private to proxy/ */
#ifndef PROXY_PROXY_STATE_H
#define PROXY_PROXY_STATE_H

#include "base/list.h"
#include "io/timeout_queue.h"
#include "proxy/body_gate.h"
#include "proxy/lane_gates.h"
#include "proxy/proxy.h"
#include "proxy/request_metrics.h"

struct proxy {
    struct loop           *loop;
    struct memory_budget  *budget;
    struct upstream_pool  *pool;
    struct proxy_options   options;
    struct write_lanes    *lanes;        /* NULL: writes are not coalesced */
    unsigned char          secret[16];   /* random; keys the hashes of what clients choose */
    uint64_t               trace_prefix; /* random; of the trace contexts of merged calls */
    struct body_gate       bodies;       /* bounds the request bodies that are held */
    struct lane_gates     *lane_gates;   /* ... and of them, those of one collection's writes */
    struct timeout_queue  *read_deadlines, *write_deadlines, *wait_limits;
    struct request_metrics metrics;
    size_t                 exchange_count;
    struct list            exchanges; /* all that are not spare */
    struct list            spare_exchanges;
    size_t                 spare_count;
};

#endif
