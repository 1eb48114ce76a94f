#include "upstream/upstream_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/byte_buffer.h"
#include "upstream/upstream_curl.h"

enum { target_bytes_max = 64 * 1024 };

/* A year: a connection that was kept is used however long it was idle. (0 does not mean that.) */
static const long age_max_s = 365L * 24 * 3600;

struct upstream_call {
    struct loop                       *loop;
    struct address                     backend;
    const struct upstream_call_events *events;
    void                              *ctx;
    struct upstream_curl              *curl;
    CURL                              *easy;
    struct curl_slist                 *fields, *connect_to;
    struct byte_buffer                 target, answer;
    size_t                             answer_max, dropped;
    bool                               is_running, has_opened; /* a socket */
    int                                fd; /* opened last, and not yet told to be closed; -1 */
    uint64_t                           began_us;
    char                               problem[CURL_ERROR_SIZE];
};

static void               set_call_options(struct upstream_call *call);
static curl_socket_t      open_call_socket(void *ctx, curlsocktype purpose,
                                           struct curl_sockaddr *address);
static int                close_call_socket(void *ctx, curl_socket_t fd);
static void               forget_socket(struct upstream_call *call);
static struct curl_slist *split_fields(struct bytes fields);
static bool   aim_call(struct upstream_call *call, const struct socket_address *address);
static size_t on_call_bytes(char *data, size_t size, size_t count, void *ctx);
static void   on_call_done(CURL *easy, CURLcode result, void *ctx);
static struct upstream_answer read_outcome(const struct upstream_call *call, CURLcode result);

struct upstream_call *upstream_call_new(struct loop *loop, const struct address *backend,
                                        const struct upstream_call_events *events, void *ctx)
{
    struct upstream_call *call = calloc(1, sizeof *call);

    if (call == NULL)
        return NULL;
    call->loop = loop;
    call->backend = *backend;
    call->events = events;
    call->ctx = ctx;
    call->fd = -1;
    call->easy = curl_easy_init();
    call->curl = upstream_curl_new(loop, on_call_done, call);
    if (call->easy == NULL || call->curl == NULL) {
        upstream_call_free(call);
        return NULL;
    }
    set_call_options(call);
    return call;
}

static void set_call_options(struct upstream_call *call)
{
    CURL *easy = call->easy;

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not by way of http_proxy */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "chromabouncer-health");
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->problem);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_call_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, age_max_s);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_call_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_call_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, call);
    if (call->backend.kind == ADDRESS_UNIX)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, call->backend.path);
}

/* As libcurl does it, but seen. */
static curl_socket_t open_call_socket(void *ctx, curlsocktype purpose,
                                      struct curl_sockaddr *address)
{
    struct upstream_call *call = ctx;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    call->has_opened = true;
    call->fd = fd;
    call->events->on_open(fd, call->ctx);
    return fd;
}

static int close_call_socket(void *ctx, curl_socket_t fd)
{
    struct upstream_call *call = ctx;

    if (fd == call->fd)
        call->fd = -1;
    call->events->on_close(fd, call->ctx);
    return close(fd);
}

/* libcurl 7.88 closes a socket that never was a connection without asking for it. */
static void forget_socket(struct upstream_call *call)
{
    int fd = call->fd;

    call->fd = -1;
    if (fd >= 0)
        call->events->on_close(fd, call->ctx);
}

void upstream_call_free(struct upstream_call *call)
{
    if (call == NULL)
        return;
    if (call->is_running)
        upstream_call_cancel(call);
    upstream_curl_free(call->curl);
    if (call->easy != NULL)
        curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->fields);
    curl_slist_free_all(call->connect_to);
    byte_buffer_done(&call->target);
    byte_buffer_done(&call->answer);
    free(call);
}

bool upstream_call_prepare(struct upstream_call *call, const struct upstream_question *question,
                           bool keeps_connection, uint64_t connect_timeout_us)
{
    char               url[ADDRESS_TEXT_SIZE + 8] = "http://localhost";
    struct curl_slist *fields = split_fields(question->fields);
    CURL              *easy = call->easy;

    byte_buffer_clear(&call->target);
    if (fields == NULL ||
        byte_buffer_append(&call->target, question->path, target_bytes_max) != STATUS_OK ||
        byte_buffer_append(&call->target, (struct bytes){.data = "", .size = 1},
                           target_bytes_max) != STATUS_OK) {
        curl_slist_free_all(fields);
        return false;
    }
    if (call->backend.kind != ADDRESS_UNIX)
        address_format_url(&call->backend, url, sizeof url);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
    curl_slist_free_all(call->fields);
    call->fields = fields;
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, keeps_connection ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_timeout_us / 1000));
    if (question->body.size > 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)question->body.size);
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, question->body.data);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    call->answer_max = question->answer_bytes_max;
    /* As it is: libcurl would tidy up the path of a URL. */
    return curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, byte_buffer_bytes(&call->target).data) ==
           CURLE_OK;
}

/* Never empty; NULL when out of memory. */
static struct curl_slist *split_fields(struct bytes fields)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no 100-continue */
    char              *copy = malloc(fields.size + 1), *next = copy;

    if (copy == NULL) {
        curl_slist_free_all(list);
        return NULL;
    }
    if (fields.size > 0)
        memcpy(copy, fields.data, fields.size);
    copy[fields.size] = '\0';
    while (list != NULL && *next != '\0') {
        char              *end = strstr(next, "\r\n");
        struct curl_slist *longer;

        if (end != NULL)
            *end = '\0';
        longer = curl_slist_append(list, next);
        if (longer == NULL)
            curl_slist_free_all(list);
        list = longer;
        next = end == NULL ? next + strlen(next) : end + 2;
    }
    free(copy);
    return list;
}

bool upstream_call_start(struct upstream_call *call, const struct socket_address *address,
                         uint64_t patience_us)
{
    call->problem[0] = '\0';
    call->dropped = 0;
    call->has_opened = false;
    call->began_us = loop_now_us(call->loop);
    byte_buffer_clear(&call->answer);
    curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)(patience_us / 1000));
    call->is_running = aim_call(call, address) && upstream_curl_start(call->curl, call->easy);
    return call->is_running;
}

static bool aim_call(struct upstream_call *call, const struct socket_address *address)
{
    char text[SOCKET_ADDRESS_TEXT_MAX + 2] = "::"; /* for every host and port */

    if (call->backend.kind == ADDRESS_UNIX)
        return true;
    socket_address_format(address, text + 2);
    curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, NULL);
    curl_slist_free_all(call->connect_to);
    call->connect_to = curl_slist_append(NULL, text);
    curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
    return call->connect_to != NULL;
}

void upstream_call_ignore_answer(struct upstream_call *call)
{
    call->answer_max = 0;
}

void upstream_call_cancel(struct upstream_call *call)
{
    call->is_running = false;
    upstream_curl_cancel(call->curl, call->easy);
    if (call->has_opened) /* else an older connection, which stays when it was not taken yet */
        forget_socket(call);
}

static size_t on_call_bytes(char *data, size_t size, size_t count, void *ctx)
{
    struct upstream_call *call = ctx;
    size_t                have = byte_buffer_size(&call->answer), total = size * count;
    size_t                room = call->answer_max > have ? call->answer_max - have : 0;
    struct bytes          keep = {.data = data, .size = total < room ? total : room};

    call->dropped += total - keep.size;
    if (call->dropped > UPSTREAM_CALL_DROPPED_MAX)
        return 0;
    if (keep.size > 0 && byte_buffer_append(&call->answer, keep, call->answer_max) != STATUS_OK)
        return 0;
    return total;
}

static void on_call_done(CURL *easy, CURLcode result, void *ctx)
{
    struct upstream_call  *call = ctx;
    struct upstream_answer answer = read_outcome(call, result);
    curl_off_t             connected_us = 0;
    bool                   was_connecting;

    call->is_running = false;
    curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    was_connecting = result != CURLE_OK && call->has_opened && connected_us == 0;
    if (was_connecting)
        forget_socket(call);
    if (result == CURLE_COULDNT_CONNECT || (result == CURLE_OPERATION_TIMEDOUT && was_connecting))
        call->events->on_unreachable(answer.problem, call->ctx);
    else
        call->events->on_answer(&answer, call->ctx);
}

static struct upstream_answer read_outcome(const struct upstream_call *call, CURLcode result)
{
    bool ok = result == CURLE_OK;
    long code = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &code);
    return (struct upstream_answer){
        .status = ok                                   ? STATUS_OK
                  : result == CURLE_OPERATION_TIMEDOUT ? STATUS_TIMED_OUT
                  : result == CURLE_OUT_OF_MEMORY      ? STATUS_NO_MEMORY
                                                       : STATUS_BACKEND_RESET,
        .code = ok ? (unsigned)code : 0,
        .body = byte_buffer_bytes(&call->answer),
        .is_cut = call->dropped > 0,
        .is_new_connection = call->has_opened,
        .began_us = call->began_us,
        .problem = ok                         ? ""
                   : call->problem[0] != '\0' ? call->problem
                                              : curl_easy_strerror(result)};
}
