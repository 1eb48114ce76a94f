#include "upstream/upstream_curl.h"

#include <stdlib.h>

struct upstream_curl {
    struct loop       *loop;
    CURLM             *multi;
    struct loop_timer *timer;
    upstream_curl_fn   on_done;
    void              *ctx;
};

/* A socket of libcurl's that is watched. */
struct curl_socket {
    struct upstream_curl *curl;
    curl_socket_t         fd;
    struct loop_watch    *watch;
};

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx);
static struct curl_socket *watch_socket(struct upstream_curl *curl, curl_socket_t fd);
static void                on_socket_ready(unsigned ready, void *ctx);
static int                 on_curl_timeout(CURLM *multi, long wait_ms, void *ctx);
static void                on_curl_timer(void *ctx);
static void                collect(struct upstream_curl *curl);

struct upstream_curl *upstream_curl_new(struct loop *loop, upstream_curl_fn on_done, void *ctx)
{
    struct upstream_curl *curl = calloc(1, sizeof *curl);

    if (curl == NULL)
        return NULL;
    curl->loop = loop;
    curl->on_done = on_done;
    curl->ctx = ctx;
    curl->timer = loop_timer_new(loop, on_curl_timer, curl);
    curl->multi = curl_multi_init();
    if (curl->timer == NULL || curl->multi == NULL) {
        upstream_curl_free(curl);
        return NULL;
    }
    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
    curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, on_curl_timeout);
    curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
    curl_multi_setopt(curl->multi, CURLMOPT_MAXCONNECTS, 1L);
    return curl;
}

void upstream_curl_free(struct upstream_curl *curl)
{
    if (curl == NULL)
        return;
    if (curl->multi != NULL)
        curl_multi_cleanup(curl->multi);
    loop_timer_free(curl->timer);
    free(curl);
}

bool upstream_curl_start(struct upstream_curl *curl, CURL *easy)
{
    return curl_multi_add_handle(curl->multi, easy) == CURLM_OK;
}

void upstream_curl_cancel(struct upstream_curl *curl, CURL *easy)
{
    curl_multi_remove_handle(curl->multi, easy);
}

/* libcurl says which sockets it wants to hear of. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct upstream_curl *curl = ctx;
    struct curl_socket   *watched = socket_ctx;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched != NULL) {
            loop_watch_free(watched->watch);
            loop_free_later(curl->loop, watched, free);
        }
        curl_multi_assign(curl->multi, fd, NULL);
        return 0;
    }
    if (watched == NULL)
        watched = watch_socket(curl, fd);
    if (watched == NULL)
        return -1;
    loop_watch_set(watched->watch, ((what & CURL_POLL_IN) ? LOOP_READ : 0u) |
                                       ((what & CURL_POLL_OUT) ? LOOP_WRITE : 0u));
    return 0;
}

static struct curl_socket *watch_socket(struct upstream_curl *curl, curl_socket_t fd)
{
    struct curl_socket *watched = calloc(1, sizeof *watched);

    if (watched == NULL)
        return NULL;
    *watched = (struct curl_socket){.curl = curl, .fd = fd};
    watched->watch = loop_watch_new(curl->loop, fd, on_socket_ready, watched);
    if (watched->watch == NULL) {
        free(watched);
        return NULL;
    }
    curl_multi_assign(curl->multi, fd, watched);
    return watched;
}

static void on_socket_ready(unsigned ready, void *ctx)
{
    struct curl_socket   *watched = ctx;
    struct upstream_curl *curl = watched->curl;
    int                   running;

    curl_multi_socket_action(curl->multi, watched->fd,
                             (ready & LOOP_WRITE) ? CURL_CSELECT_OUT : CURL_CSELECT_IN, &running);
    collect(curl);
}

static int on_curl_timeout(CURLM *multi, long wait_ms, void *ctx)
{
    struct upstream_curl *curl = ctx;

    (void)multi;
    if (wait_ms < 0)
        loop_timer_clear(curl->timer);
    else
        loop_timer_set(curl->timer, loop_now_us(curl->loop) + (uint64_t)wait_ms * 1000u);
    return 0;
}

static void on_curl_timer(void *ctx)
{
    struct upstream_curl *curl = ctx;
    int                   running;

    curl_multi_socket_action(curl->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(curl);
}

static void collect(struct upstream_curl *curl)
{
    CURLMsg *message;
    int      left;

    while ((message = curl_multi_info_read(curl->multi, &left)) != NULL) {
        CURL    *easy = message->easy_handle;
        CURLcode result = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_multi_remove_handle(curl->multi, easy);
        curl->on_done(easy, result, curl->ctx);
    }
}
