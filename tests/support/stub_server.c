#include "support/stub_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "support/stub_connection.h"

static const struct timeval sweep_interval = {.tv_usec = 20000};

static const char *open_listener(struct stub_server_listener *listener);
static int         open_unix(const char *path);
static int         open_tcp(const char *address);
static void        name_listener(struct stub_server_listener *listener);
static void        on_accept(evutil_socket_t fd, short what, void *ctx);
static void        on_sweep(evutil_socket_t fd, short what, void *ctx);
static const char *set_idle_close(struct stub_server *server, const char *value);
static const char *refuse(struct stub_server *server, bool is_refusing);
static json_t     *count_json(uint64_t count);

bool stub_server_init(struct stub_server *server)
{
    struct event_config *config = event_config_new();

    list_init(&server->connections);
    server->scratch = malloc(STUB_SERVER_SCRATCH_BYTES);
    server->limits = (struct http_reader_limits){
        .start_line_bytes_max = 16384, .head_bytes_max = 131072, .body_bytes_max = UINT64_MAX};
    if (config != NULL) {
        event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NOLOCK);
        server->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (server->base == NULL || server->scratch == NULL)
        return false;
    event_assign(&server->sweep_event, server->base, -1, EV_PERSIST, on_sweep, server);
    return true;
}

void stub_server_done(struct stub_server *server)
{
    LIST_FOR_EACH(node, &server->connections)
    stub_connection_free((struct stub_connection *)(void *)node);
    for (size_t i = 0; i < server->listener_count; i++) {
        struct stub_server_listener *listener = &server->listeners[i];

        if (listener->fd < 0)
            continue;
        event_del(&listener->event);
        close(listener->fd);
        if (strncmp(listener->address, "unix:", 5) == 0)
            unlink(listener->address + 5);
    }
    event_del(&server->sweep_event);
    stub_store_done(&server->api.store);
    stub_log_done(&server->api.log);
    event_base_free(server->base);
    free(server->scratch);
}

const char *stub_server_listen(struct stub_server *server, const char *address, bool is_control)
{
    struct stub_server_listener *listener = &server->listeners[server->listener_count];
    const char                  *complaint;

    if (server->listener_count == STUB_SERVER_LISTENERS_MAX ||
        strlen(address) >= sizeof(listener->address))
        return "too many addresses, or one too long";
    *listener = (struct stub_server_listener){.server = server, .is_control = is_control};
    memcpy(listener->address, address, strlen(address) + 1);
    complaint = open_listener(listener);
    if (complaint == NULL)
        server->listener_count++;
    return complaint;
}

static const char *open_listener(struct stub_server_listener *listener)
{
    static char complaint[256];

    listener->fd = strncmp(listener->address, "unix:", 5) == 0 ? open_unix(listener->address + 5)
                                                               : open_tcp(listener->address);
    if (listener->fd < 0 || listen(listener->fd, 4096) != 0) {
        snprintf(complaint, sizeof(complaint), "%s: %s", listener->address, strerror(errno));
        return complaint;
    }
    name_listener(listener);
    event_assign(&listener->event, listener->server->base, listener->fd, EV_READ | EV_PERSIST,
                 on_accept, listener);
    event_add(&listener->event, NULL);
    return NULL;
}

static int open_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int                fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    unlink(path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_tcp(const char *address)
{
    struct addrinfo  hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const char      *port = strrchr(address, ':'), *host = address;
    char             copy[128];
    int              fd = -1, on = 1;
    size_t           size;

    errno = EINVAL;
    if (port == NULL)
        return -1;
    size = (size_t)(port - host);
    if (size >= 2 && host[0] == '[' && port[-1] == ']') {
        host++;
        size -= 2;
    }
    memcpy(copy, host, size);
    copy[size] = '\0';
    if (getaddrinfo(size == 0 ? NULL : copy, port + 1, &hints, &found) != 0)
        return -1;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
                    bind(fd, found->ai_addr, found->ai_addrlen) != 0)) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

/* Put the port that was bound into the address, so that it can be printed and bound again. */
static void name_listener(struct stub_server_listener *listener)
{
    struct sockaddr_storage address;
    socklen_t               size = sizeof(address);
    char                   *port = strrchr(listener->address, ':');
    in_port_t               number = 0;

    if (strncmp(listener->address, "unix:", 5) == 0 ||
        getsockname(listener->fd, (struct sockaddr *)&address, &size) != 0)
        return;
    if (address.ss_family == AF_INET)
        number = ((struct sockaddr_in *)&address)->sin_port;
    else
        number = ((struct sockaddr_in6 *)&address)->sin6_port;
    snprintf(port + 1, sizeof(listener->address) - (size_t)(port + 1 - listener->address), "%u",
             (unsigned)ntohs(number));
}

static void on_accept(evutil_socket_t fd, short what, void *ctx)
{
    struct stub_server_listener *listener = ctx;
    struct stub_server          *server = listener->server;
    int                          client, on = 1;

    (void)what;
    while ((client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (!listener->is_control && server->connections_max > 0 &&
            server->counters.connections >= server->connections_max) {
            server->counters.connections_refused++;
            close(client);
            continue;
        }
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        stub_connection_new(server, client, listener->is_control);
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *ctx)
{
    struct stub_server *server = ctx;

    (void)fd;
    (void)what;
    stub_connection_close_idle(server, server->idle_close_us);
}

const char *stub_server_command(struct stub_server *server, struct bytes line)
{
    char text[64];

    if (line.size >= sizeof(text))
        return stub_fault_add(&server->faults, line);
    memcpy(text, line.data, line.size);
    text[line.size] = '\0';
    if (strcmp(text, "clear") == 0)
        server->faults.count = 0;
    else if (strcmp(text, "close-idle") == 0)
        stub_connection_close_idle(server, 0);
    else if (strcmp(text, "refuse") == 0)
        return refuse(server, true);
    else if (strcmp(text, "accept") == 0)
        return refuse(server, false);
    else if (strncmp(text, "idle-close=", 11) == 0)
        return set_idle_close(server, text + 11);
    else
        return stub_fault_add(&server->faults, line);
    return NULL;
}

static const char *set_idle_close(struct stub_server *server, const char *value)
{
    if (!stub_fault_parse_duration(value, &server->idle_close_us))
        return "idle-close: not a duration";
    if (server->idle_close_us > 0)
        event_add(&server->sweep_event, &sweep_interval);
    else
        event_del(&server->sweep_event);
    return NULL;
}

static const char *refuse(struct stub_server *server, bool is_refusing)
{
    const char *complaint = NULL;

    for (size_t i = 0; i < server->listener_count; i++) {
        struct stub_server_listener *listener = &server->listeners[i];

        if (listener->is_control || is_refusing == (listener->fd < 0))
            continue;
        if (is_refusing) {
            event_del(&listener->event);
            close(listener->fd);
            listener->fd = -1;
        } else {
            complaint = open_listener(listener);
        }
    }
    return complaint;
}

json_t *stub_server_stats(const struct stub_server *server)
{
    const struct stub_server_counters *counters = &server->counters;
    const struct stub_log             *log = &server->api.log;
    json_t                            *stats = json_object(), *requests = json_object();
    const struct {
        const char *name;
        uint64_t    count;
    } rows[] = {
        {"in_flight", counters->in_flight},
        {"in_flight_max", counters->in_flight_max},
        {"writes_in_flight", counters->writes_in_flight},
        {"writes_in_flight_max", counters->writes_in_flight_max},
        {"collection_writes_in_flight_max", counters->collection_writes_in_flight_max},
        {"reads_in_flight", counters->reads_in_flight},
        {"reads_in_flight_max", counters->reads_in_flight_max},
        {"connections", counters->connections},
        {"connections_max", counters->connections_max},
        {"connections_accepted", counters->connections_accepted},
        {"connections_refused", counters->connections_refused},
        {"abandoned", counters->abandoned},
        {"bad_requests", counters->bad_requests},
        {"body_bytes_in", counters->body_bytes_in},
        {"faults", server->faults.fired},
        {"records", server->api.store.record_count},
        {"log_operations", log->operations},
        {"log_records", log->records},
        {"log_bytes", byte_buffer_size(&log->text)},
        {"log_dropped", log->dropped},
    };

    for (enum stub_op op = 0; op < STUB_OPS; op++)
        json_object_set_new(requests, stub_route_op_name(op), count_json(counters->requests[op]));
    json_object_set_new(stats, "requests", requests);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        json_object_set_new(stats, rows[i].name, count_json(rows[i].count));
    return stats;
}

static json_t *count_json(uint64_t count)
{
    return json_integer((json_int_t)count);
}

uint64_t stub_server_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
