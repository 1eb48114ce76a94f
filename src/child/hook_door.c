#include "child/hook_door.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/byte_buffer.h"
#include "base/list.h"
#include "io/socket.h"

/* From connecting to the end of the line; a hook sends it at once. */
static const uint64_t line_timeout_us = 10000000;
static const uint64_t patrol_us = 1000000;

struct hook_door {
    struct loop                   *loop;
    const struct hook_door_events *events;
    void                          *ctx;
    int                            fd;
    struct loop_watch             *watch;
    struct loop_timer             *patrol; /* for those who say nothing */
    struct list                    visitors;
    size_t                         count;
};

struct hook_visitor {
    struct hook_door  *door;
    struct list_node   node;
    int                fd;
    struct loop_watch *watch;
    struct byte_buffer line;
    uint64_t           came_us;
    pid_t              process;
    bool               has_asked; /* on_request was told */
};

static void   on_knock(unsigned ready, void *ctx);
static bool   is_own_user(int fd, pid_t *ret_process);
static void   let_in(struct hook_door *door, int fd, pid_t process);
static void   on_visitor_says(unsigned ready, void *ctx);
static size_t find_line_end(const struct hook_visitor *visitor);
static void   hear_out(struct hook_visitor *visitor, size_t size);
static void   leave(struct hook_visitor *visitor);
static void   free_visitor(void *object);
static void   on_patrol(void *ctx);

enum status hook_door_new(struct loop *loop, const char *path,
                          const struct hook_door_events *events, void *ctx,
                          struct hook_door **ret_door, struct error *error)
{
    struct socket_address address, bound;
    struct hook_door     *door;
    enum status           status;

    if (!socket_address_from_path(path, &address))
        return error_set(error, STATUS_IO_FAILED, "%s is too long for a unix socket", path);
    door = calloc(1, sizeof *door);
    if (door == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    *door = (struct hook_door){.loop = loop, .events = events, .ctx = ctx, .fd = -1};
    list_init(&door->visitors);
    status = socket_listen(&address, &door->fd, &bound, error);
    if (status == STATUS_OK) {
        door->watch = loop_watch_new(loop, door->fd, on_knock, door);
        door->patrol = loop_timer_new(loop, on_patrol, door);
        if (door->watch == NULL || door->patrol == NULL)
            status = error_set(error, STATUS_NO_MEMORY, "out of memory");
    }
    if (status != STATUS_OK) {
        hook_door_free(door);
        return status;
    }
    loop_watch_set(door->watch, LOOP_READ);
    *ret_door = door;
    return STATUS_OK;
}

void hook_door_free(struct hook_door *door)
{
    struct list_node *node;

    if (door == NULL)
        return;
    while ((node = list_first(&door->visitors)) != NULL)
        leave(LIST_ITEM(node, struct hook_visitor, node));
    loop_free_pending(door->loop);
    loop_watch_free(door->watch);
    loop_timer_free(door->patrol);
    if (door->fd >= 0)
        socket_close(door->fd);
    free(door);
}

static void on_knock(unsigned ready, void *ctx)
{
    struct hook_door *door = ctx;
    pid_t             process;
    int               fd;

    (void)ready;
    if (door->count == HOOK_DOOR_VISITORS_MAX || socket_accept(door->fd, &fd, NULL) != STATUS_OK)
        return;
    if (is_own_user(fd, &process))
        let_in(door, fd, process);
    else
        socket_close(fd);
    if (door->count == HOOK_DOOR_VISITORS_MAX)
        loop_watch_set(door->watch, 0);
}

static bool is_own_user(int fd, pid_t *ret_process)
{
    struct ucred credentials;
    socklen_t    size = sizeof credentials;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return false;
    *ret_process = credentials.pid;
    return credentials.uid == geteuid();
}

static void let_in(struct hook_door *door, int fd, pid_t process)
{
    struct hook_visitor *visitor = calloc(1, sizeof *visitor);

    if (visitor != NULL)
        visitor->watch = loop_watch_new(door->loop, fd, on_visitor_says, visitor);
    if (visitor == NULL || visitor->watch == NULL) {
        free(visitor);
        socket_close(fd);
        return;
    }
    visitor->door = door;
    visitor->fd = fd;
    visitor->process = process;
    visitor->came_us = loop_now_us(door->loop);
    list_push_back(&door->visitors, &visitor->node);
    door->count++;
    loop_watch_set(visitor->watch, LOOP_READ);
    loop_timer_set(door->patrol, visitor->came_us + patrol_us);
}

static void on_visitor_says(unsigned ready, void *ctx)
{
    struct hook_visitor *visitor = ctx;
    struct hook_door    *door = visitor->door;
    char                 data[4096];
    size_t               size, end;
    enum status          status = socket_recv(visitor->fd, data, sizeof data, &size);

    (void)ready;
    if (status == STATUS_AGAIN)
        return;
    if (status == STATUS_OK && !visitor->has_asked)
        status = byte_buffer_append(&visitor->line, (struct bytes){.data = data, .size = size},
                                    HOOK_REQUEST_LINE_MAX);
    if (status != STATUS_OK) { /* it has left, or says too much */
        if (visitor->has_asked)
            door->events->on_gone(visitor, door->ctx);
        leave(visitor);
        return;
    }
    end = find_line_end(visitor);
    if (!visitor->has_asked && end != SIZE_MAX)
        hear_out(visitor, end);
}

/* SIZE_MAX: not there yet. */
static size_t find_line_end(const struct hook_visitor *visitor)
{
    struct bytes said = byte_buffer_bytes(&visitor->line);
    const char  *end = said.size == 0 ? NULL : memchr(said.data, '\n', said.size);

    return end == NULL ? SIZE_MAX : (size_t)(end - said.data);
}

static void hear_out(struct hook_visitor *visitor, size_t size)
{
    struct hook_door   *door = visitor->door;
    struct bytes        line = {.data = byte_buffer_bytes(&visitor->line).data, .size = size};
    struct hook_request request;
    struct error        error;

    visitor->has_asked = true;
    if (hook_request_parse(line, &request, &error) == STATUS_OK) {
        byte_buffer_done(&visitor->line);
        door->events->on_request(visitor, &request, visitor->process, door->ctx);
        return;
    }
    byte_buffer_clear(&visitor->line);
    if (hook_request_answer_no(&visitor->line, error.text, HOOK_REFUSED) == STATUS_OK)
        hook_door_answer(visitor, byte_buffer_bytes(&visitor->line));
    else
        leave(visitor);
}

/* A line fits into the buffer of any socket. */
void hook_door_answer(struct hook_visitor *visitor, struct bytes answer)
{
    size_t sent;

    (void)!socket_send(visitor->fd, &answer, 1, &sent);
    leave(visitor);
}

static void leave(struct hook_visitor *visitor)
{
    struct hook_door *door = visitor->door;

    loop_watch_free(visitor->watch);
    visitor->watch = NULL;
    socket_close(visitor->fd);
    list_remove(&visitor->node);
    door->count--;
    if (door->watch != NULL)
        loop_watch_set(door->watch, LOOP_READ);
    loop_free_later(door->loop, visitor, free_visitor);
}

static void free_visitor(void *object)
{
    struct hook_visitor *visitor = object;

    byte_buffer_done(&visitor->line);
    free(visitor);
}

static void on_patrol(void *ctx)
{
    struct hook_door *door = ctx;
    uint64_t          now_us = loop_now_us(door->loop);

    LIST_FOR_EACH(node, &door->visitors)
    {
        struct hook_visitor *visitor = LIST_ITEM(node, struct hook_visitor, node);

        if (!visitor->has_asked && now_us - visitor->came_us >= line_timeout_us)
            leave(visitor);
    }
    if (door->count > 0)
        loop_timer_set(door->patrol, now_us + patrol_us);
}
