/* client_address - where a request came from: the peer, or what a proxy that is believed says
 *
 * X-Forwarded-For is read from its end: each proxy adds the address that it saw, so the last one
 * that none of the trusted proxies has is the client's. What stands before it anybody may have
 * written.
 *
 * Thread: event loop only. Memory: none.
 */
#ifndef CALLS_CLIENT_ADDRESS_H
#define CALLS_CLIENT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/network.h"
#include "http/http_head.h"

/* Is the address in one of the networks? */
bool client_address_is_in(const struct network_address *address, const struct network *networks,
                          size_t count);

/* The client of a request that the trusted proxy `peer` passed on: `peer` itself if it names none,
 * and the first proxy of the chain if all are trusted. */
struct network_address client_address_forwarded(const struct http_head       *head,
                                                const struct network_address *peer,
                                                const struct network *trusted, size_t count);

#endif
