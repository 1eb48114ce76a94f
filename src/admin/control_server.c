#include "admin/control_server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/list.h"
#include "io/socket.h"
#include "io/socket_stream.h"
#include "io/timeout_queue.h"

struct control_server {
    struct loop           *loop;
    struct memory_account *account;
    control_server_fn     *answer;
    void                  *ctx;
    char                  *path;
    int                    fd; /* -1: not listening */
    struct loop_watch     *watch;
    struct timeout_queue  *timeouts;
    struct list            clients;
    size_t                 client_count;
};

struct control_client {
    struct list_node       node;
    struct control_server *server;
    struct socket_stream  *stream;
    int                    fd; /* the stream's */
    struct timeout         timeout;
    bool                   answered, has_ended; /* the line was, the peer's side has */
    size_t                 size;                /* of the line so far */
    char                   line[CONTROL_SERVER_LINE_MAX + 1];
};

static enum status listen_privately(struct control_server *server, struct error *error);
static void        on_control_client(unsigned ready, void *ctx);
static bool        is_allowed(int fd);
static void        add_client(struct control_server *server, int fd);
static size_t      on_line_bytes(struct bytes data, void *ctx);
static void        answer_line(struct control_client *client);
static size_t      split(char *line, const char **words);
static void        send_answer(struct control_client *client, json_t *answer);
static void        control_server_on_end(enum status status, void *ctx);
static void        control_server_on_drained(void *ctx);
static void        on_client_timeout(struct timeout *timeout);
static void        drop_client(struct control_client *client);

static const struct socket_stream_events client_events = {.on_data = on_line_bytes,
                                                          .on_end = control_server_on_end,
                                                          .on_drained = control_server_on_drained};

enum status control_server_new(struct loop *loop, struct memory_account *account, const char *path,
                               control_server_fn *answer, void *ctx, struct control_server **ret,
                               struct error *error)
{
    struct control_server *server = calloc(1, sizeof *server);
    enum status            status = STATUS_NO_MEMORY;

    if (server != NULL) {
        *server = (struct control_server){
            .loop = loop, .account = account, .answer = answer, .ctx = ctx, .fd = -1};
        list_init(&server->clients);
        server->path = strdup(path);
        server->timeouts =
            timeout_queue_new(loop, CONTROL_SERVER_SECONDS * 1000000ull, on_client_timeout);
    }
    if (server == NULL || server->path == NULL || server->timeouts == NULL)
        error_set(error, status, "control.path: out of memory");
    else
        status = listen_privately(server, error);
    if (status != STATUS_OK) {
        control_server_free(server);
        return status;
    }
    *ret = server;
    return STATUS_OK;
}

/* The mask, not a chmod() behind it: nobody gets in meanwhile. */
static enum status listen_privately(struct control_server *server, struct error *error)
{
    struct socket_address address, bound;
    mode_t                mask;
    enum status           status;

    if (!socket_address_from_path(server->path, &address))
        return error_set(error, STATUS_IO_FAILED, "control.path: %s is too long", server->path);
    mask = umask(S_IRWXG | S_IRWXO | S_IXUSR);
    status = socket_listen(&address, &server->fd, &bound, error);
    umask(mask);
    if (status != STATUS_OK)
        return status;
    server->watch = loop_watch_new(server->loop, server->fd, on_control_client, server);
    if (server->watch == NULL)
        return error_set(error, STATUS_NO_MEMORY, "control.path: out of memory");
    loop_watch_set(server->watch, LOOP_READ);
    return STATUS_OK;
}

void control_server_free(struct control_server *server)
{
    struct list_node *node;

    if (server == NULL)
        return;
    while ((node = list_first(&server->clients)) != NULL)
        drop_client(LIST_ITEM(node, struct control_client, node));
    loop_free_pending(server->loop);
    loop_watch_free(server->watch);
    if (server->fd >= 0) {
        unlink(server->path);
        socket_close(server->fd);
    }
    timeout_queue_free(server->timeouts);
    free(server->path);
    free(server);
}

static void on_control_client(unsigned ready, void *ctx)
{
    struct control_server *server = ctx;
    int                    fd;

    (void)ready;
    if (socket_accept(server->fd, &fd, NULL) != STATUS_OK)
        return;
    if (server->client_count == CONTROL_SERVER_CLIENTS_MAX || !is_allowed(fd))
        socket_close(fd);
    else
        add_client(server, fd);
}

static bool is_allowed(int fd)
{
    struct ucred peer;
    socklen_t    size = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           control_server_may_ask(geteuid(), peer.uid);
}

bool control_server_may_ask(unsigned own_uid, unsigned peer_uid)
{
    return peer_uid == own_uid || peer_uid == 0;
}

static void add_client(struct control_server *server, int fd)
{
    struct control_client *client = calloc(1, sizeof *client);

    if (client != NULL)
        client->stream =
            socket_stream_new(server->loop, server->account, fd, &client_events, client);
    if (client == NULL || client->stream == NULL) {
        free(client);
        socket_close(fd);
        return;
    }
    client->server = server;
    client->fd = fd;
    timeout_queue_init_node(&client->timeout);
    timeout_queue_start(server->timeouts, &client->timeout);
    list_push_back(&server->clients, &client->node);
    server->client_count++;
    socket_stream_resume(client->stream);
}

static size_t on_line_bytes(struct bytes data, void *ctx)
{
    struct control_client *client = ctx;
    const char            *end = memchr(data.data, '\n', data.size);
    size_t                 take = end == NULL ? data.size : (size_t)(end - data.data);

    if (client->answered) /* one line is all that is asked */
        return data.size;
    if (take > CONTROL_SERVER_LINE_MAX - client->size) {
        drop_client(client);
        return 0;
    }
    memcpy(client->line + client->size, data.data, take);
    client->size += take;
    if (end != NULL && socket_probe(client->fd) == STATUS_RESET)
        drop_client(client); /* it has given up */
    else if (end != NULL)
        answer_line(client);
    return data.size;
}

static void answer_line(struct control_client *client)
{
    struct control_server *server = client->server;
    const char            *words[CONTROL_SERVER_WORDS_MAX] = {0};
    struct error           error = {.text = "out of memory"};
    json_t                *answer = json_object();
    int                    exit_status = answer == NULL ? EX_OSERR : EX_OK;
    size_t                 count;

    client->answered = true;
    client->line[client->size] = '\0';
    count = strlen(client->line) == client->size ? split(client->line, words) : 0;
    if (exit_status == EX_OK && count == 0) {
        exit_status = EX_USAGE;
        error_set(&error, STATUS_INVALID, "a request is a line of 1 to %d words",
                  CONTROL_SERVER_WORDS_MAX);
    } else if (exit_status == EX_OK) {
        exit_status = server->answer(server->ctx, count, words, answer, &error);
    }
    if (exit_status != EX_OK) {
        json_decref(answer);
        answer = json_pack("{s:s, s:i}", "error", error.text, "exit", exit_status);
    }
    send_answer(client, answer);
}

/* 0: none, or too many. */
static size_t split(char *line, const char **words)
{
    size_t count = 0;

    for (char *rest, *word = strtok_r(line, " \t\r", &rest); word != NULL;
         word = strtok_r(NULL, " \t\r", &rest)) {
        if (count == CONTROL_SERVER_WORDS_MAX)
            return 0;
        words[count++] = word;
    }
    return count;
}

static void send_answer(struct control_client *client, json_t *answer)
{
    char        *text = answer == NULL ? NULL : json_dumps(answer, JSON_COMPACT);
    struct bytes parts[2] = {{0}, BYTES_LITERAL("\n")};

    json_decref(answer);
    if (text == NULL) {
        drop_client(client);
        return;
    }
    parts[0] = bytes_of(text);
    if (socket_stream_send(client->stream, parts, 2) == STATUS_OK)
        socket_stream_shutdown(client->stream);
    free(text);
}

/* It has closed its side: after its line it may still wait for the answer; before, there is nobody
 * to answer. */
static void control_server_on_end(enum status status, void *ctx)
{
    struct control_client *client = ctx;

    client->has_ended = true;
    if (status != STATUS_CLOSED || !client->answered || socket_stream_queued(client->stream) == 0)
        drop_client(client);
}

/* Who has not closed its side reads to the end and does so; else the timeout ends it. */
static void control_server_on_drained(void *ctx)
{
    struct control_client *client = ctx;

    if (client->has_ended && socket_stream_queued(client->stream) == 0)
        drop_client(client);
}

static void on_client_timeout(struct timeout *timeout)
{
    drop_client(CONTAINER_OF(timeout, struct control_client, timeout));
}

static void drop_client(struct control_client *client)
{
    timeout_queue_stop(&client->timeout);
    list_remove(&client->node);
    client->server->client_count--;
    socket_stream_free(client->stream);
    loop_free_later(client->server->loop, client, free);
}
