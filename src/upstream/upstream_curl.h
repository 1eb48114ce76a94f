/* upstream_curl - libcurl's transfers on the event loop
 *
 * One multi handle: libcurl says which sockets and which time it waits for, the loop tells it.
 *
 * Thread: event loop only.
 */
#ifndef UPSTREAM_UPSTREAM_CURL_H
#define UPSTREAM_UPSTREAM_CURL_H

#include <curl/curl.h>
#include <stdbool.h>

#include "io/loop.h"

struct upstream_curl; /* opaque */

/* The transfer of `easy` is over; it may be started again. From the loop. */
typedef void (*upstream_curl_fn)(CURL *easy, CURLcode result, void *ctx);

/* NULL when out of memory. */
struct upstream_curl *upstream_curl_new(struct loop *loop, upstream_curl_fn on_done, void *ctx);

/* Closes the connections that are kept; no transfer may be running. NULL is a no-op. */
void upstream_curl_free(struct upstream_curl *curl);

/* False: out of memory, nothing was started. */
bool upstream_curl_start(struct upstream_curl *curl, CURL *easy);

/* Stop a transfer that runs; on_done is not called, its connection is closed. */
void upstream_curl_cancel(struct upstream_curl *curl, CURL *easy);

#endif
