/* tiny_chroma - a tiny_backend with routes, and the parts that ask it, on a real loop */
#ifndef SUPPORT_TINY_CHROMA_H
#define SUPPORT_TINY_CHROMA_H

#include "base/memory_account.h"
#include "io/worker_pool.h"
#include "support/loop_drive.h"
#include "support/plain_budget.h"
#include "support/tiny_backend.h"
#include "upstream/upstream_control.h"
#include "upstream/upstream_incarnation.h"
#include "upstream/upstream_pool.h"

enum { TINY_CHROMA_ROUTES = 8 };

struct tiny_chroma_route {
    const char *path;
    char        answer[256]; /* "": none is given */
    unsigned    asked;
};

struct tiny_chroma {
    struct tiny_backend          backend;
    struct tiny_chroma_route     routes[TINY_CHROMA_ROUTES]; /* others are 404 */
    struct memory_account_budget budget;
    struct loop                 *loop;
    struct worker_pool          *workers;
    struct upstream_pool        *pool;
    struct upstream_incarnation *incarnation;
    struct upstream_control     *control;
};

static struct tiny_chroma tiny;

static inline struct tiny_chroma_route *tiny_chroma_route(const char *path)
{
    for (size_t i = 0; i < TINY_CHROMA_ROUTES; i++) {
        struct tiny_chroma_route *route = &tiny.routes[i];

        if (route->path == NULL)
            route->path = path;
        if (strcmp(route->path, path) == 0)
            return route;
    }
    ck_abort_msg("too many routes");
    return NULL;
}

/* What `path` is answered from now on; `code` 0: nothing. */
static inline void tiny_chroma_answer(const char *path, unsigned code, const char *body)
{
    struct tiny_chroma_route *route = tiny_chroma_route(path);

    route->answer[0] = '\0';
    if (code != 0)
        snprintf(route->answer, sizeof route->answer,
                 "HTTP/1.1 %u Said\r\nContent-Length: %zu\r\n\r\n%s", code, strlen(body), body);
}

static inline unsigned tiny_chroma_asked(const char *path)
{
    return tiny_chroma_route(path)->asked;
}

static inline const char *tiny_chroma_on_request(const char *request, void *ctx)
{
    const char *path = strchr(request, ' ');
    size_t      size;

    (void)ctx;
    ck_assert_ptr_nonnull(path);
    path++;
    size = strcspn(path, " ");
    for (size_t i = 0; i < TINY_CHROMA_ROUTES && tiny.routes[i].path != NULL; i++) {
        struct tiny_chroma_route *route = &tiny.routes[i];

        if (strlen(route->path) != size || memcmp(route->path, path, size) != 0)
            continue;
        route->asked++;
        return route->answer[0] == '\0' ? NULL : route->answer;
    }
    return "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
}

/* The parts, of `connections_max` connections to `backend`. */
static inline void tiny_chroma_init_at(const struct address *backend, size_t connections_max)
{
    struct upstream_pool_options    options = {.backend = *backend,
                                               .connections_max = connections_max,
                                               .connect_timeout_us = 1000000,
                                               .idle_timeout_us = 60000000,
                                               .resolve_interval_us = 60000000,
                                               .head_bytes_max = 4096};
    struct upstream_control_options control = {.backend = *backend,
                                               .connect_timeout_us = 1000000,
                                               .keeps_connection = connections_max >= 4};

    plain_budget_init(&tiny.budget, 1 << 30);
    tiny.loop = loop_new();
    tiny.workers = worker_pool_new(
        tiny.loop, &(struct worker_pool_options){.threads = {[WORKER_POOL_NAME] = 1}});
    tiny.pool = upstream_pool_new(tiny.loop, tiny.workers, &tiny.budget, &options);
    ck_assert_ptr_nonnull(tiny.pool);
    tiny.incarnation = upstream_incarnation_new(tiny.loop);
    tiny.control = upstream_control_new(tiny.loop, tiny.pool, tiny.incarnation, &control);
    ck_assert_ptr_nonnull(tiny.control);
}

/* A backend that listens, of `connections_max` connections. */
static inline void tiny_chroma_init(size_t connections_max)
{
    struct address address;

    memset(&tiny, 0, sizeof tiny);
    tiny_backend_init(&tiny.backend);
    tiny.backend.answer_to = tiny_chroma_on_request;
    tiny_backend_listen(&tiny.backend);
    address = tiny_backend_address(&tiny.backend);
    tiny_chroma_init_at(&address, connections_max);
}

static inline void tiny_chroma_done_parts(void)
{
    upstream_control_free(tiny.control);
    upstream_incarnation_free(tiny.incarnation);
    worker_pool_free(tiny.workers);
    upstream_pool_free(tiny.pool);
    loop_free(tiny.loop);
}

static inline void tiny_chroma_done(void)
{
    tiny_chroma_done_parts();
    tiny_backend_done(&tiny.backend);
}

/* Close all connections and listen no more, as when the process ends. */
static inline void tiny_chroma_stop(void)
{
    close(tiny.backend.listener);
    tiny.backend.listener = -1;
    for (size_t i = 0; i < tiny.backend.count; i++)
        tiny_backend_close(&tiny.backend, i);
    unlink(tiny.backend.path);
}

static inline uint64_t tiny_chroma_number(void)
{
    return upstream_incarnation_number(tiny.incarnation);
}

#endif
