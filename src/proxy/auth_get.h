/* auth_get - a get_or_create of who may not create: a GET of what is there
 *
 * Libraries send it always. The exchange becomes one that gets the collection by its name; if there
 * is none, creating it is what the key does not allow.
 *
 * Private to proxy/. Thread: event loop only. Memory: a head, 8 KiB, as long as the exchange lives.
 */
#ifndef PROXY_AUTH_GET_H
#define PROXY_AUTH_GET_H

struct exchange;

/* The exchange, whose body is complete and was judged, goes on as a GET. */
void auth_get_begin(struct exchange *exchange);

#endif
