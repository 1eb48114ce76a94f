#include "upstream/upstream_resolver.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const uint64_t refresh_pause_us = 1000000;

struct upstream_resolver {
    struct loop          *loop;
    struct worker_pool   *workers;
    struct address        backend;
    uint64_t              interval_us;
    upstream_resolver_fn  on_answer;
    void                 *ctx;
    bool                  is_literal;
    bool                  busy;
    uint64_t              asked_us; /* when the last look-up began */
    struct socket_address addresses[UPSTREAM_RESOLVER_ADDRESSES_MAX];
    size_t                address_count;
    uint64_t              generation;
    struct list           watchers;
    char                  problem[256];

    /* The job's own: the worker writes them, the loop reads them in done(). */
    struct worker_job     job;
    struct socket_address found[UPSTREAM_RESOLVER_ADDRESSES_MAX];
    size_t                found_count;
    struct error          failure;
};

static bool from_literal(const struct address *backend, struct socket_address *ret);
static bool is_same_set(const struct upstream_resolver *resolver);
static void look_up(struct upstream_resolver *resolver);
static void run_look_up(struct worker_job *job);
static void on_looked_up(struct worker_job *job);

struct upstream_resolver *upstream_resolver_new(struct loop *loop, struct worker_pool *workers,
                                                const struct address *backend, uint64_t interval_us,
                                                upstream_resolver_fn on_answer, void *ctx)
{
    struct upstream_resolver *resolver = calloc(1, sizeof *resolver);

    if (resolver == NULL)
        return NULL;
    resolver->loop = loop;
    resolver->workers = workers;
    resolver->backend = *backend;
    resolver->interval_us = interval_us;
    resolver->on_answer = on_answer;
    resolver->ctx = ctx;
    list_init(&resolver->watchers);
    resolver->is_literal = from_literal(backend, &resolver->addresses[0]);
    if (resolver->is_literal)
        resolver->address_count = 1;
    else
        look_up(resolver);
    return resolver;
}

static bool from_literal(const struct address *backend, struct socket_address *ret)
{
    return backend->kind == ADDRESS_UNIX
               ? socket_address_from_path(backend->path, ret)
               : socket_address_from_literal(backend->host, backend->port, ret);
}

void upstream_resolver_set_interval(struct upstream_resolver *resolver, uint64_t interval_us)
{
    resolver->interval_us = interval_us;
}

void upstream_resolver_free(struct upstream_resolver *resolver)
{
    free(resolver);
}

size_t upstream_resolver_addresses(struct upstream_resolver     *resolver,
                                   const struct socket_address **ret_addresses)
{
    if (!resolver->is_literal && !resolver->busy &&
        loop_now_us(resolver->loop) - resolver->asked_us >= resolver->interval_us)
        look_up(resolver);
    *ret_addresses = resolver->addresses;
    return resolver->address_count;
}

bool upstream_resolver_is_busy(const struct upstream_resolver *resolver)
{
    return resolver->busy;
}

void upstream_resolver_refresh(struct upstream_resolver *resolver)
{
    if (!resolver->is_literal && !resolver->busy &&
        loop_now_us(resolver->loop) - resolver->asked_us >= refresh_pause_us)
        look_up(resolver);
}

void upstream_resolver_watch(struct upstream_resolver         *resolver,
                             struct upstream_resolver_watcher *watcher)
{
    list_push_back(&resolver->watchers, &watcher->node);
}

void upstream_resolver_unwatch(struct upstream_resolver_watcher *watcher)
{
    list_remove(&watcher->node);
}

uint64_t upstream_resolver_generation(const struct upstream_resolver *resolver)
{
    return resolver->generation;
}

const char *upstream_resolver_problem(const struct upstream_resolver *resolver)
{
    return resolver->problem;
}

static void look_up(struct upstream_resolver *resolver)
{
    resolver->busy = true;
    resolver->asked_us = loop_now_us(resolver->loop);
    resolver->job =
        (struct worker_job){.kind = WORKER_POOL_NAME, .run = run_look_up, .done = on_looked_up};
    worker_pool_submit(resolver->workers, &resolver->job);
}

/* On a worker: reads `backend`, writes only the job's own fields. */
static void run_look_up(struct worker_job *job)
{
    struct upstream_resolver *resolver = CONTAINER_OF(job, struct upstream_resolver, job);

    if (upstream_resolver_look_up(&resolver->backend, resolver->found, &resolver->found_count,
                                  &resolver->failure) != STATUS_OK)
        resolver->found_count = 0;
}

enum status upstream_resolver_look_up(const struct address  *backend,
                                      struct socket_address *ret_addresses, size_t *ret_count,
                                      struct error *error)
{
    struct addrinfo  hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    char             port[8];
    size_t           count = 0;
    int              failure;

    if (from_literal(backend, &ret_addresses[0])) {
        *ret_count = 1;
        return STATUS_OK;
    }
    snprintf(port, sizeof port, "%u", backend->port);
    failure = getaddrinfo(backend->host, port, &hints, &list);
    if (failure != 0)
        return error_set(error, STATUS_BACKEND_DOWN, "cannot resolve %.100s: %s", backend->host,
                         gai_strerror(failure));
    for (struct addrinfo *item = list; item != NULL; item = item->ai_next) {
        struct socket_address *address = &ret_addresses[count];

        if (count == UPSTREAM_RESOLVER_ADDRESSES_MAX || item->ai_addrlen > sizeof address->storage)
            continue;
        memcpy(address->storage, item->ai_addr, item->ai_addrlen);
        address->size = item->ai_addrlen;
        count++;
    }
    freeaddrinfo(list);
    if (count == 0)
        return error_set(error, STATUS_BACKEND_DOWN, "%.100s has no address", backend->host);
    *ret_count = count;
    return STATUS_OK;
}

static void on_looked_up(struct worker_job *job)
{
    struct upstream_resolver *resolver = CONTAINER_OF(job, struct upstream_resolver, job);

    resolver->busy = false;
    if (resolver->found_count > 0) {
        if (resolver->address_count > 0 && !is_same_set(resolver))
            resolver->generation++;
        memcpy(resolver->addresses, resolver->found,
               resolver->found_count * sizeof resolver->found[0]);
        resolver->address_count = resolver->found_count;
    } else {
        snprintf(resolver->problem, sizeof resolver->problem, "%s", resolver->failure.text);
    }
    resolver->on_answer(resolver->ctx);
    LIST_FOR_EACH(node, &resolver->watchers)
    {
        struct upstream_resolver_watcher *watcher =
            LIST_ITEM(node, struct upstream_resolver_watcher, node);

        watcher->on_answer(watcher->ctx);
    }
}

/* Has every address that was found been known, and the other way round? Names give none twice. */
static bool is_same_set(const struct upstream_resolver *resolver)
{
    if (resolver->found_count != resolver->address_count)
        return false;
    for (size_t i = 0; i < resolver->found_count; i++) {
        const struct socket_address *found = &resolver->found[i];
        size_t                       at = 0;

        while (at < resolver->address_count &&
               (resolver->addresses[at].size != found->size ||
                memcmp(resolver->addresses[at].storage, found->storage, found->size) != 0))
            at++;
        if (at == resolver->address_count)
            return false;
    }
    return true;
}
