/* service_admission - may this request go on, by the limits of its service?
 *
 * Asked before anything else is: a request that is refused takes no room, and one that is delayed
 * waits with its body unread. A small body of a refused request is read, so that its connection can
 * be used again.
 *
 * Private to proxy/. Thread: event loop only. Memory: a timer for each request that is delayed.
 */
#ifndef PROXY_SERVICE_ADMISSION_H
#define PROXY_SERVICE_ADMISSION_H

struct exchange;

/* Begin the path of the exchange, at once, later, or not at all. At once where services are not
 * told apart. */
void service_admission_begin(struct exchange *exchange);

#endif
