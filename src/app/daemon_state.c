#include "app/daemon_state.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "upstream/upstream_control.h"

struct upstream_pool_options daemon_state_pool_options(const struct settings *settings)
{
    return (struct upstream_pool_options){
        .backend = settings->backend_url,
        .connections_max = settings->backend_connections_max,
        .connect_timeout_us = settings->backend_connect_timeout_us,
        .idle_timeout_us = settings->backend_idle_timeout_us,
        .resolve_interval_us = settings->backend_resolve_interval_us,
        .head_bytes_max = 1 << 20,
    };
}

/* Others must not wait for room that answers hold. */
static size_t cache_bytes(const struct settings *settings)
{
    uint64_t quarter = settings->memory_max_bytes / 4;

    return (size_t)(settings->cache_bytes_max_bytes < quarter ? settings->cache_bytes_max_bytes
                                                              : quarter);
}

/* Shares are small: they keep each kind of buffer alive while others fill the rest. */
void daemon_state_memory_options(const struct settings        *settings,
                                 struct memory_account_options ret_accounts[MEMORY_ACCOUNT_COUNT])
{
    uint64_t bodies_max = settings->queue_bytes_max_bytes;

    for (size_t i = 0; i < MEMORY_ACCOUNT_COUNT; i++)
        ret_accounts[i] = (struct memory_account_options){.max = UINT64_MAX};
    ret_accounts[MEMORY_ACCOUNT_READS] =
        (struct memory_account_options){.share_percent = 5, .max = bodies_max};
    ret_accounts[MEMORY_ACCOUNT_WRITES] =
        (struct memory_account_options){.share_percent = 10, .max = bodies_max};
    ret_accounts[MEMORY_ACCOUNT_ANSWERS].share_percent = 10;
    ret_accounts[MEMORY_ACCOUNT_OTHER].share_percent = 5;
    if (settings->mirror_mode != SETTINGS_MIRROR_MODE_OFF) /* from the start, filled or not */
        ret_accounts[MEMORY_ACCOUNT_MIRROR].share_percent =
            (unsigned)((settings_mirror_memory(settings) * 100 + settings->memory_max_bytes - 1) /
                       settings->memory_max_bytes);
}

struct proxy_options daemon_state_proxy_options(const struct settings *settings)
{
    return (struct proxy_options){
        .connections_max = settings->backend_connections_max,
        .is_unwatched = settings->backend_connections_max < UPSTREAM_CONTROL_KEPT_FROM,
        .body_bytes_max = settings->body_max_bytes,
        .requests_max = settings->queue_requests_max,
        .queue_wait_max_us = settings->queue_wait_max_us,
        .reads_max = settings->reads_limit == SETTINGS_LIMIT_ADAPTIVE
                         ? PROXY_READS_ADAPTIVE
                         : (size_t)settings->reads_limit,
        .sheds = settings->overload == SETTINGS_OVERLOAD_SHED,
        .deadline_read_us = settings->deadline_read_us,
        .settle_time_us = settings->backend_settle_time_us,
        .deadline_write_us = settings->deadline_write_us,
        .adds_headers = settings->headers == SETTINGS_HEADERS_ON,
        .access_log = settings->log_access == SETTINGS_LOG_ACCESS_ALL      ? PROXY_LOG_ALL
                      : settings->log_access == SETTINGS_LOG_ACCESS_ERRORS ? PROXY_LOG_ERRORS
                                                                           : PROXY_LOG_OFF,
        .takes_client_deadlines = settings->deadline_from_client,
        .breaker_refuses_reads = settings->breaker_reads == SETTINGS_BREAKER_READS_REFUSE,
        .cache = {.is_enabled = settings->cache_enabled != SETTINGS_CACHE_ENABLED_FALSE,
                  .bytes_max = cache_bytes(settings),
                  .max_staleness_us = settings->cache_max_staleness_us,
                  .trust_us = settings->cache_trust_us,
                  .stale_if_error_us = settings->cache_stale_if_error_us,
                  .verify_per_million = (uint32_t)settings->cache_verify_per_million},
    };
}

struct proxy_write_options daemon_state_write_options(const struct settings *settings)
{
    return (struct proxy_write_options){
        .is_coalescing = settings->writes_coalesce,
        .is_gateway = settings->role == SETTINGS_ROLE_GATEWAY,
        .in_flight_max = (uint32_t)settings->writes_in_flight_max,
        .batch_records_max = (uint32_t)settings->writes_batch_records_max,
        .batch_bytes_max = settings->writes_batch_bytes_max_bytes,
        .patience_us = settings->writes_patience_us,
        .split_oversize = settings->writes_split_oversize,
    };
}

struct front_options daemon_state_front_options(const struct settings *settings)
{
    return (struct front_options){
        .connections_max = settings->listen_connections_max,
        .connections_per_address_max = settings->listen_connections_per_address_max,
        .reclaim_after_us = FRONT_RECLAIM_AFTER_US,
        .idle_timeout_us = settings->listen_idle_timeout_us,
        .head_timeout_us = settings->listen_head_timeout_us,
        .body_timeout_us = settings->listen_body_timeout_us,
        .send_timeout_us = settings->listen_send_timeout_us,
        .start_line_bytes_max = settings->listen_start_line_max_bytes,
        .head_bytes_max = settings->listen_head_max_bytes,
        .is_plain = settings->headers == SETTINGS_HEADERS_OFF,
    };
}

/* Few clients, whatever many the others may be: who looks is not who uses. */
struct front_options daemon_state_status_options(const struct settings *settings)
{
    struct front_options options = daemon_state_front_options(settings);

    options.connections_max = 64;
    return options;
}

void daemon_state_apply(struct daemon *daemon)
{
    const struct settings        *settings = daemon->settings;
    struct upstream_pool_options  pool = daemon_state_pool_options(settings);
    struct proxy_options          proxy = daemon_state_proxy_options(settings);
    struct front_options          front = daemon_state_front_options(settings);
    struct front_options          status = daemon_state_status_options(settings);
    struct memory_account_options accounts[MEMORY_ACCOUNT_COUNT];

    log_set_level((enum log_level)settings->log_level);
    daemon_state_memory_options(settings, accounts);
    memory_account_budget_set(&daemon->budget, settings->memory_max_bytes, accounts);
    upstream_pool_set_options(daemon->pool, &pool);
    backend_watch_apply(&daemon->backend);
    proxy_set_options(daemon->proxy, &proxy);
    front_set_options(daemon->front, &front);
    if (daemon->status_front != NULL)
        front_set_options(daemon->status_front, &status);
}

enum status daemon_state_resolve(const struct address *address, struct socket_address *ret,
                                 struct error *error)
{
    struct addrinfo  hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    char             port[8], text[ADDRESS_TEXT_SIZE];
    int              failure;

    if (address->kind == ADDRESS_UNIX && socket_address_from_path(address->path, ret))
        return STATUS_OK;
    if (socket_address_from_literal(address->host, address->port, ret))
        return STATUS_OK;
    snprintf(port, sizeof port, "%u", address->port);
    failure = getaddrinfo(address->host, port, &hints, &list);
    if (failure != 0 || list->ai_addrlen > sizeof ret->storage) {
        if (failure == 0)
            freeaddrinfo(list);
        return error_set(error, STATUS_INVALID, "cannot listen on %s: %s",
                         address_format(address, text, sizeof text), gai_strerror(failure));
    }
    memcpy(ret->storage, list->ai_addr, list->ai_addrlen);
    ret->size = list->ai_addrlen;
    freeaddrinfo(list);
    return STATUS_OK;
}
