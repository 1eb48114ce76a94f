/* tiny_backend - a server on a unix socket that says what a test tells it to
 *
 * Driven by tiny_backend_turn() from within a test's conditions: no thread, no loop of its own.
 */
#ifndef SUPPORT_TINY_BACKEND_H
#define SUPPORT_TINY_BACKEND_H

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"

enum { TINY_BACKEND_CONNECTIONS = 256 };

struct tiny_backend {
    char        directory[40], path[60];
    int         listener;
    int         fds[TINY_BACKEND_CONNECTIONS]; /* in the order of arrival; -1: closed */
    char        got[TINY_BACKEND_CONNECTIONS][4096];
    int         ends[TINY_BACKEND_CONNECTIONS]; /* did the client close it? */
    size_t      count;
    const char *answer;   /* to each request that ends with an empty line, or NULL: none */
    size_t      requests; /* answered so */

    /* Instead of `answer`: what to say to the request, or NULL; it is forgotten afterwards. */
    const char *(*answer_to)(const char *request, void *ctx);
    void *ctx;
};

/* The path exists, but nobody listens yet. */
static inline void tiny_backend_init(struct tiny_backend *backend)
{
    memset(backend, 0, sizeof *backend);
    strcpy(backend->directory, "/tmp/tiny_backend.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(backend->directory));
    snprintf(backend->path, sizeof backend->path, "%s/s", backend->directory);
    backend->listener = -1;
}

static inline struct address tiny_backend_address(const struct tiny_backend *backend)
{
    struct address address = {.kind = ADDRESS_UNIX};

    snprintf(address.path, sizeof address.path, "%s", backend->path);
    return address;
}

static inline void tiny_backend_listen(struct tiny_backend *backend)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    snprintf(at.sun_path, sizeof at.sun_path, "%s", backend->path);
    unlink(backend->path);
    backend->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(backend->listener, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(backend->listener, 64), 0);
}

static inline void tiny_backend_say(struct tiny_backend *backend, size_t i, const char *text)
{
    ck_assert_int_eq(send(backend->fds[i], text, strlen(text), MSG_NOSIGNAL),
                     (ssize_t)strlen(text));
}

static inline void tiny_backend_close(struct tiny_backend *backend, size_t i)
{
    if (backend->fds[i] >= 0)
        close(backend->fds[i]);
    backend->fds[i] = -1;
}

static inline void tiny_backend_hear(struct tiny_backend *backend, size_t i)
{
    struct pollfd ready = {.fd = backend->fds[i], .events = POLLIN};
    size_t        size = strlen(backend->got[i]);
    ssize_t       more;

    if (backend->fds[i] < 0 || backend->ends[i] || poll(&ready, 1, 0) <= 0)
        return;
    more = recv(backend->fds[i], backend->got[i] + size, sizeof backend->got[i] - 1 - size, 0);
    if (more <= 0) {
        backend->ends[i] = 1;
    } else if (backend->answer_to != NULL) {
        const char *answer = backend->answer_to(backend->got[i], backend->ctx);

        memset(backend->got[i], 0, sizeof backend->got[i]);
        if (answer != NULL)
            tiny_backend_say(backend, i, answer);
    } else if (backend->answer != NULL && size + (size_t)more >= 4 &&
               memcmp(backend->got[i] + size + more - 4, "\r\n\r\n", 4) == 0) {
        backend->requests++;
        tiny_backend_say(backend, i, backend->answer);
    }
}

/* Accept who comes, hear what they say. */
static inline void tiny_backend_turn(struct tiny_backend *backend)
{
    int fd;

    while (backend->listener >= 0 &&
           (fd = accept4(backend->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        ck_assert_uint_lt(backend->count, TINY_BACKEND_CONNECTIONS);
        backend->fds[backend->count++] = fd;
    }
    for (size_t i = 0; i < backend->count; i++)
        tiny_backend_hear(backend, i);
}

static inline void tiny_backend_done(struct tiny_backend *backend)
{
    for (size_t i = 0; i < backend->count; i++)
        tiny_backend_close(backend, i);
    if (backend->listener >= 0)
        close(backend->listener);
    unlink(backend->path);
    rmdir(backend->directory);
}

#endif
