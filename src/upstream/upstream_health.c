#include "upstream/upstream_health.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_buffer.h"

enum { failures_to_be_down = 2, answer_bytes_max = 4096 };

/* What is being asked. */
enum question { QUESTION_HEARTBEAT, QUESTION_VERSION, QUESTION_LIMITS };
static const char *const question_paths[] = {[QUESTION_HEARTBEAT] = "/api/v2/heartbeat",
                                             [QUESTION_VERSION] = "/api/v2/version",
                                             [QUESTION_LIMITS] = "/api/v2/pre-flight-checks"};

struct upstream_health {
    struct loop                   *loop;
    struct upstream_pool          *pool;
    struct upstream_health_options options;
    upstream_health_fn             on_change;
    void                          *ctx;
    CURLM                         *multi;
    CURL                          *easy;
    struct loop_timer             *check_timer, *curl_timer;
    bool                           busy;
    enum question                  question;
    struct byte_buffer             answer;
    enum upstream_health_state     state;
    unsigned                       failures; /* in a row */
    uint64_t                       batch_records_max;
    bool                           is_rust;
    char                           problem[CURL_ERROR_SIZE + 32];
    char                           curl_problem[CURL_ERROR_SIZE];
    struct upstream_health_stats   stats;
};

/* A socket of libcurl's that is watched. */
struct curl_socket {
    struct upstream_health *health;
    curl_socket_t           fd;
    struct loop_watch      *watch;
};

const struct metric_desc upstream_health_metrics[] = {
    METRIC(GAUGE, upstream_health_stats, up, "chromabouncer_backend_up",
           "1 while the backend answers its heartbeat."),
    METRIC(COUNTER, upstream_health_stats, checks, "chromabouncer_backend_checks_total",
           "Health checks made."),
    METRIC(COUNTER, upstream_health_stats, failures, "chromabouncer_backend_check_failures_total",
           "Health checks without a good answer."),
};
const size_t upstream_health_metric_count = COUNT_OF(upstream_health_metrics);

static bool   set_up(struct upstream_health *health);
static void   ask(struct upstream_health *health, enum question question);
static int    on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx);
static void   on_socket_ready(unsigned ready, void *ctx);
static int    on_curl_timeout(CURLM *multi, long wait_ms, void *ctx);
static void   on_curl_timer(void *ctx);
static void   on_check_timer(void *ctx);
static size_t on_answer_bytes(char *data, size_t size, size_t count, void *ctx);
static void   collect(struct upstream_health *health);
static void   on_done(struct upstream_health *health, CURLcode result);
static void   on_heartbeat(struct upstream_health *health, bool ok);
static void   on_version(struct upstream_health *health);
static void   on_limits(struct upstream_health *health);

struct upstream_health *upstream_health_new(struct loop *loop, struct upstream_pool *pool,
                                            const struct upstream_health_options *options,
                                            upstream_health_fn on_change, void *ctx)
{
    struct upstream_health *health = calloc(1, sizeof *health);

    if (health == NULL)
        return NULL;
    health->loop = loop;
    health->pool = pool;
    health->options = *options;
    health->on_change = on_change;
    health->ctx = ctx;
    health->check_timer = loop_timer_new(loop, on_check_timer, health);
    health->curl_timer = loop_timer_new(loop, on_curl_timer, health);
    health->multi = curl_multi_init();
    health->easy = curl_easy_init();
    if (health->check_timer == NULL || health->curl_timer == NULL || !set_up(health)) {
        upstream_health_free(health);
        return NULL;
    }
    loop_timer_set(health->check_timer, 0);
    return health;
}

static bool set_up(struct upstream_health *health)
{
    CURLM *multi = health->multi;
    CURL  *easy = health->easy;

    if (multi == NULL || easy == NULL)
        return false;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, health);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_curl_timeout);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, health);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not by way of http_proxy */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "chromabouncer-health");
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, health->curl_problem);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(health->options.timeout_us / 1000));
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L); /* its place is given back after each */
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, health);
    if (health->options.backend.kind == ADDRESS_UNIX)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, health->options.backend.path);
    return true;
}

void upstream_health_set_times(struct upstream_health *health, uint64_t interval_us,
                               uint64_t timeout_us)
{
    health->options.interval_us = interval_us;
    health->options.timeout_us = timeout_us;
    curl_easy_setopt(health->easy, CURLOPT_TIMEOUT_MS, (long)(timeout_us / 1000));
    loop_timer_set(health->check_timer, 0); /* it may be set as far off as the interval was long */
}

void upstream_health_free(struct upstream_health *health)
{
    if (health == NULL)
        return;
    if (health->busy)
        curl_multi_remove_handle(health->multi, health->easy);
    if (health->easy != NULL)
        curl_easy_cleanup(health->easy);
    if (health->multi != NULL)
        curl_multi_cleanup(health->multi);
    loop_timer_free(health->check_timer);
    loop_timer_free(health->curl_timer);
    byte_buffer_done(&health->answer);
    free(health);
}

static void on_check_timer(void *ctx)
{
    struct upstream_health *health = ctx;

    loop_timer_set(health->check_timer, loop_now_us(health->loop) + health->options.interval_us);
    if (health->busy || !upstream_pool_take_place(health->pool))
        return;
    health->stats.checks++;
    ask(health, QUESTION_HEARTBEAT);
    if (!health->busy)
        upstream_pool_give_place(health->pool);
}

static void ask(struct upstream_health *health, enum question question)
{
    const struct address *backend = &health->options.backend;
    char                  url[ADDRESS_TEXT_SIZE + 64], where[ADDRESS_TEXT_SIZE + 8];

    snprintf(url, sizeof url, "%s%s",
             backend->kind == ADDRESS_UNIX ? "http://localhost"
                                           : address_format_url(backend, where, sizeof where),
             question_paths[question]);
    health->question = question;
    health->curl_problem[0] = '\0';
    byte_buffer_clear(&health->answer);
    curl_easy_setopt(health->easy, CURLOPT_URL, url);
    health->busy = curl_multi_add_handle(health->multi, health->easy) == CURLM_OK;
}

/* libcurl says which sockets it wants to hear of. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct upstream_health *health = ctx;
    struct curl_socket     *watched = socket_ctx;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched != NULL) {
            loop_watch_free(watched->watch);
            loop_free_later(health->loop, watched, free);
        }
        curl_multi_assign(health->multi, fd, NULL);
        return 0;
    }
    if (watched == NULL) {
        watched = calloc(1, sizeof *watched);
        if (watched == NULL)
            return -1;
        *watched = (struct curl_socket){.health = health, .fd = fd};
        watched->watch = loop_watch_new(health->loop, fd, on_socket_ready, watched);
        if (watched->watch == NULL) {
            free(watched);
            return -1;
        }
        curl_multi_assign(health->multi, fd, watched);
    }
    loop_watch_set(watched->watch, ((what & CURL_POLL_IN) ? LOOP_READ : 0u) |
                                       ((what & CURL_POLL_OUT) ? LOOP_WRITE : 0u));
    return 0;
}

static void on_socket_ready(unsigned ready, void *ctx)
{
    struct curl_socket     *watched = ctx;
    struct upstream_health *health = watched->health;
    int                     running;

    curl_multi_socket_action(health->multi, watched->fd,
                             (ready & LOOP_WRITE) ? CURL_CSELECT_OUT : CURL_CSELECT_IN, &running);
    collect(health);
}

static int on_curl_timeout(CURLM *multi, long wait_ms, void *ctx)
{
    struct upstream_health *health = ctx;

    (void)multi;
    if (wait_ms < 0)
        loop_timer_clear(health->curl_timer);
    else
        loop_timer_set(health->curl_timer, loop_now_us(health->loop) + (uint64_t)wait_ms * 1000u);
    return 0;
}

static void on_curl_timer(void *ctx)
{
    struct upstream_health *health = ctx;
    int                     running;

    curl_multi_socket_action(health->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(health);
}

static size_t on_answer_bytes(char *data, size_t size, size_t count, void *ctx)
{
    struct upstream_health *health = ctx;
    struct bytes            bytes = {.data = data, .size = size * count};

    return byte_buffer_append(&health->answer, bytes, answer_bytes_max) == STATUS_OK ? bytes.size
                                                                                     : 0;
}

static void collect(struct upstream_health *health)
{
    CURLMsg *message;
    int      left;

    while (health->busy && (message = curl_multi_info_read(health->multi, &left)) != NULL) {
        CURLcode result = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_multi_remove_handle(health->multi, health->easy);
        health->busy = false;
        on_done(health, result);
        if (!health->busy)
            upstream_pool_give_place(health->pool);
    }
}

static void on_done(struct upstream_health *health, CURLcode result)
{
    long code = 0;

    curl_easy_getinfo(health->easy, CURLINFO_RESPONSE_CODE, &code);
    if (health->question == QUESTION_VERSION) {
        if (result == CURLE_OK && code == 200)
            on_version(health);
        ask(health, QUESTION_LIMITS);
        return;
    }
    if (health->question == QUESTION_LIMITS) {
        if (result == CURLE_OK && code == 200)
            on_limits(health);
        return;
    }
    if (result != CURLE_OK)
        snprintf(health->problem, sizeof health->problem, "%s",
                 health->curl_problem[0] != '\0' ? health->curl_problem
                                                 : curl_easy_strerror(result));
    else if (code >= 500)
        snprintf(health->problem, sizeof health->problem, "the heartbeat was answered %ld", code);
    on_heartbeat(health, result == CURLE_OK && code < 500);
}

static void on_heartbeat(struct upstream_health *health, bool ok)
{
    enum upstream_health_state before = health->state;

    if (ok) {
        health->failures = 0;
        health->problem[0] = '\0';
        health->state = UPSTREAM_HEALTH_UP;
        upstream_pool_clear_problem(health->pool, loop_now_us(health->loop));
    } else {
        health->stats.failures++;
        health->failures++;
        if (health->failures >= failures_to_be_down || before == UPSTREAM_HEALTH_UNKNOWN)
            health->state = UPSTREAM_HEALTH_DOWN;
    }
    health->stats.up = health->state == UPSTREAM_HEALTH_UP;
    if (health->state == UPSTREAM_HEALTH_DOWN)
        health->is_rust = false; /* another one may come up */
    if (ok && (health->state != before || health->batch_records_max == 0 || !health->is_rust))
        ask(health, QUESTION_VERSION);
    if (health->state != before)
        health->on_change(health->ctx);
}

/* "1.0.0": what every server since 1.0 says of itself; older ones say their own version, 0.6.3. */
static void on_version(struct upstream_health *health)
{
    struct bytes answer = byte_buffer_bytes(&health->answer);

    health->is_rust =
        answer.size > 2 && answer.data[0] == '"' && answer.data[1] >= '1' && answer.data[1] <= '9';
    health->on_change(health->ctx);
}

/* {"max_batch_size":5461,...}: a number behind a known name, in an answer of some bytes. */
static void on_limits(struct upstream_health *health)
{
    static const char name[] = "\"max_batch_size\":";
    char              text[answer_bytes_max + 1];
    struct bytes      answer = byte_buffer_bytes(&health->answer);
    const char       *at;

    if (answer.size > 0)
        memcpy(text, answer.data, answer.size);
    text[answer.size] = '\0';
    at = strstr(text, name);
    if (at == NULL)
        return;
    health->batch_records_max = strtoull(at + sizeof name - 1, NULL, 10);
    health->on_change(health->ctx);
}

enum upstream_health_state upstream_health_state(const struct upstream_health *health)
{
    return health->state;
}

const char *upstream_health_problem(const struct upstream_health *health)
{
    return health->problem;
}

uint64_t upstream_health_batch_records_max(const struct upstream_health *health)
{
    return health->batch_records_max;
}

bool upstream_health_is_rust(const struct upstream_health *health)
{
    return health->is_rust;
}

const struct upstream_health_stats *upstream_health_stats(const struct upstream_health *health)
{
    return &health->stats;
}
