/* bench_target - the server under load: where it is and how to connect to it */
#ifndef BENCH_BENCH_TARGET_H
#define BENCH_BENCH_TARGET_H

#include <sys/socket.h>

#include "base/address.h"

struct bench_target {
    struct address          address;
    struct sockaddr_storage socket_address; /* resolved once */
    socklen_t               socket_address_size;
    char                    url[ADDRESS_TEXT_SIZE + 7]; /* for messages and libcurl */
    char                    host[ADDRESS_TEXT_SIZE];    /* value of the Host field */
    bool                    is_loopback;                /* or a unix socket */
};

/* Parse and resolve `url`, which is borrowed.
 * STATUS_INVALID, STATUS_NOT_FOUND  `error` says why. */
MUST_CHECK enum status bench_target_init(struct bench_target *target, const char *url,
                                         struct error *error);

/* Begin to connect. Returns a non-blocking socket, given, that is writable when connected; or -1
 * and errno. */
MUST_CHECK int bench_target_connect(const struct bench_target *target);

#endif
