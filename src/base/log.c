#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

/* Callers fill one half while the writer empties the other. */
enum { HALF_SIZE = 512 * 1024 };

static const long     rest_ms = 10;        /* between two looks at the buffer under load */
static const long     retry_ms = 1000;     /* after the file refused */
static const long     done_wait_ms = 1000; /* for the last lines at exit */
static const unsigned level_off = UINT_MAX;

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static atomic_uint           least_level = UINT_MAX; /* level_off: there is no log */
static atomic_uint_least64_t dropped;
static enum log_format       format;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t  wake;     /* to the writer: a line, reopen or stop */
    pthread_cond_t  finished; /* from the writer */
    pthread_t       thread;
    char           *fill, *drain; /* the halves; swapped under the lock */
    size_t          filled;
    bool            idle;    /* the writer sleeps until it is woken */
    bool            hurry;   /* no rest: stop or reopen */
    bool            reopen;  /* requested */
    bool            stop;    /* requested */
    bool            stopped; /* the writer is gone */
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The writer's own. */
static struct {
    int      fd;
    char     path[PATH_MAX];
    uint64_t dropped_reported;
    bool     torn;    /* the last write ended inside a line */
    bool     failing; /* the last write failed */
} out;

static int             open_path(const char *path);
static enum status     start_writer(struct error *error);
static void           *run_writer(void *ctx);
static void            wait_for_work(void);
static void            rest(void);
static void            reopen(void);
static void            drain(size_t size);
static bool            mend(void);
static bool            log_write_all(const char *data, size_t size, size_t *ret_written);
static void            report_dropped(void);
static bool            hand_over(const char *text, size_t size);
static void            log_finish(struct log_line *line);
static void            put_time(struct log_line *line);
static void            log_put(struct log_line *line, const char *data, size_t size);
static void            put_key(struct log_line *line, const char *key);
static void            put_value(struct log_line *line, struct bytes value);
static void            put_escaped(struct log_line *line, struct bytes value);
static void            put_escape(struct log_line *line, unsigned char c);
static void            put_number(struct log_line *line, uint64_t value, unsigned digits_min);
static bool            is_bare(struct bytes value);
static inline bool     is_plain(char c);
static bool            field_begin(struct log_line *line, const char *key, char **ret_start);
static void            field_end(struct log_line *line, char *start);
static inline size_t   room(const struct log_line *line);
static struct timespec in_ms(long ms);

enum status log_init(const struct log_options *options, struct error *error)
{
    const char *path = options->path == NULL ? "" : options->path;
    enum status status;

    if (strlen(path) >= sizeof out.path)
        return error_set(error, STATUS_IO_FAILED, "log.file: the path is too long");
    out.fd = path[0] == '\0' ? STDERR_FILENO : open_path(path);
    if (out.fd < 0)
        return error_set(error, errno == EACCES ? STATUS_NOT_PERMITTED : STATUS_IO_FAILED,
                         "log.file: cannot open %s: %s", path, strerror(errno));
    strcpy(out.path, path);
    out.torn = out.failing = false;
    out.dropped_reported = 0;
    format = options->format != LOG_AUTO ? options->format : isatty(out.fd) ? LOG_TEXT : LOG_JSON;
    atomic_store(&dropped, 0);
    status = start_writer(error);
    if (status == STATUS_OK)
        log_set_level(options->level);
    else if (path[0] != '\0')
        close(out.fd);
    return status;
}

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

static enum status start_writer(struct error *error)
{
    pthread_condattr_t attributes;
    sigset_t           all, before;
    int                failed;

    shared.fill = malloc(HALF_SIZE);
    shared.drain = malloc(HALF_SIZE);
    shared.filled = 0;
    shared.idle = shared.hurry = shared.reopen = shared.stop = shared.stopped = false;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&shared.wake, &attributes);
    pthread_cond_init(&shared.finished, &attributes);
    pthread_condattr_destroy(&attributes);
    /* Signals are the main thread's; a broken pipe is an error code here. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = shared.fill == NULL || shared.drain == NULL ||
             pthread_create(&shared.thread, NULL, run_writer, NULL) != 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        return STATUS_OK;
    free(shared.fill);
    free(shared.drain);
    return error_set(error, STATUS_NO_MEMORY, "cannot start the thread that writes the log");
}

static void *run_writer(void *ctx)
{
    size_t size;
    bool   must_reopen, stop;

    (void)ctx;
    do {
        char *full;

        pthread_mutex_lock(&shared.lock);
        wait_for_work();
        full = shared.fill;
        size = shared.filled;
        shared.fill = shared.drain;
        shared.drain = full;
        shared.filled = 0;
        must_reopen = shared.reopen;
        stop = shared.stop;
        shared.reopen = shared.hurry = false;
        pthread_mutex_unlock(&shared.lock);
        drain(size);
        if (must_reopen)
            reopen();
        report_dropped();
        if (!stop)
            rest();
    } while (!stop);
    pthread_mutex_lock(&shared.lock);
    shared.stopped = true;
    pthread_cond_signal(&shared.finished);
    pthread_mutex_unlock(&shared.lock);
    return NULL;
}

/* Under the lock. */
static void wait_for_work(void)
{
    while (shared.filled == 0 && !shared.hurry && atomic_load(&dropped) == out.dropped_reported) {
        shared.idle = true;
        pthread_cond_wait(&shared.wake, &shared.lock);
    }
    shared.idle = false;
}

/* Callers that log meanwhile need not wake anybody. */
static void rest(void)
{
    struct timespec end = in_ms(out.failing ? retry_ms : rest_ms);

    pthread_mutex_lock(&shared.lock);
    while (!shared.hurry && pthread_cond_timedwait(&shared.wake, &shared.lock, &end) == 0)
        continue;
    pthread_mutex_unlock(&shared.lock);
}

static void reopen(void)
{
    struct log_line line;
    int             fd, old = out.fd;

    if (out.path[0] == '\0')
        return;
    fd = open_path(out.path);
    if (fd >= 0) {
        out.fd = fd;
        out.torn = out.failing = false;
        close(old);
        return;
    }
    log_begin(&line, LOG_ERROR, "log_reopen_failed");
    log_text(&line, "path", out.path);
    log_text(&line, "reason", strerror(errno));
    log_end(&line);
}

/* Write the half that the writer holds; what the file refuses is dropped. */
static void drain(size_t size)
{
    size_t written = 0, lines = 0;

    if (size == 0)
        return;
    out.failing = !mend() || !log_write_all(shared.drain, size, &written);
    if (!out.failing)
        return;
    out.torn = out.torn || (written > 0 && shared.drain[written - 1] != '\n');
    for (size_t i = written; i < size; i++)
        lines += shared.drain[i] == '\n';
    atomic_fetch_add(&dropped, lines);
}

/* End the line that a failed write left half. False: that failed, too. */
static bool mend(void)
{
    size_t written;

    if (out.torn && log_write_all("\n", 1, &written))
        out.torn = false;
    return !out.torn;
}

static bool log_write_all(const char *data, size_t size, size_t *ret_written)
{
    size_t done = 0;

    *ret_written = 0;
    while (done < size) {
        ssize_t count = write(out.fd, data + done, size - done);

        if (count >= 0) {
            done += (size_t)count;
            *ret_written = done;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            /* Somebody else made the terminal or pipe non-blocking. */
            struct pollfd ready = {.fd = out.fd, .events = POLLOUT};
            poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static void report_dropped(void)
{
    struct log_line line;
    uint64_t        total = atomic_load(&dropped);
    size_t          written;

    if (total == out.dropped_reported || atomic_load(&least_level) == level_off)
        return;
    if (!mend())
        return;
    log_begin(&line, LOG_WARNING, "log_lines_dropped");
    if (line.end == NULL) {
        out.dropped_reported = total; /* the level says that nobody wants to know */
        return;
    }
    log_number(&line, "count", total - out.dropped_reported);
    log_finish(&line);
    out.failing = !log_write_all(line.text, (size_t)(line.end - line.text), &written);
    if (!out.failing)
        out.dropped_reported = total;
    else
        out.torn = written > 0;
}

void log_done(void)
{
    struct timespec end = in_ms(done_wait_ms);
    bool            stopped;

    if (atomic_exchange(&least_level, level_off) == level_off)
        return;
    pthread_mutex_lock(&shared.lock);
    shared.stop = shared.hurry = true;
    pthread_cond_signal(&shared.wake);
    while (!shared.stopped &&
           pthread_cond_timedwait(&shared.finished, &shared.lock, &end) != ETIMEDOUT)
        continue;
    stopped = shared.stopped;
    pthread_mutex_unlock(&shared.lock);
    if (!stopped) { /* stuck in write(): leave it its memory, the process is about to end */
        pthread_detach(shared.thread);
        return;
    }
    pthread_join(shared.thread, NULL);
    pthread_cond_destroy(&shared.wake);
    pthread_cond_destroy(&shared.finished);
    free(shared.fill);
    free(shared.drain);
    if (out.path[0] != '\0')
        close(out.fd);
}

void log_set_level(enum log_level level)
{
    atomic_store(&least_level, level);
}

void log_reopen(void)
{
    if (atomic_load(&least_level) == level_off)
        return;
    pthread_mutex_lock(&shared.lock);
    shared.reopen = shared.hurry = true;
    pthread_cond_signal(&shared.wake);
    pthread_mutex_unlock(&shared.lock);
}

bool log_is_on(enum log_level level)
{
    unsigned least = atomic_load_explicit(&least_level, memory_order_acquire);

    return least != level_off && (unsigned)level <= least;
}

uint64_t log_dropped(void)
{
    return atomic_load(&dropped);
}

void log_begin(struct log_line *line, enum log_level level, const char *event)
{
    line->end = NULL;
    if (!log_is_on(level))
        return;
    line->end = line->text;
    line->json = format == LOG_JSON;
    line->cut = false;
    log_put(line, "{\"time\":\"", line->json ? 9 : 0);
    put_time(line);
    log_put(line, line->json ? "\",\"level\":\"" : " ", line->json ? 11 : 1);
    log_put(line, level_names[level], strlen(level_names[level]));
    log_put(line, line->json ? "\",\"event\":\"" : " ", line->json ? 11 : 1);
    log_put(line, event, strlen(event));
    log_put(line, "\"", line->json);
}

/* RFC 3339 in UTC with milliseconds; all but those is made once per second and thread. */
static void put_time(struct log_line *line)
{
    static _Thread_local time_t second = -1;
    static _Thread_local char   text[sizeof "-2147481748-12-31T23:59:59."];
    struct timespec             now;
    struct tm                   parts;

    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != second) {
        second = now.tv_sec;
        gmtime_r(&second, &parts);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.", &parts);
    }
    log_put(line, text, strlen(text));
    put_number(line, (uint64_t)now.tv_nsec / 1000000, 3);
    log_put(line, "Z", 1);
}

void log_bytes(struct log_line *line, const char *key, struct bytes value)
{
    char *start;

    if (!field_begin(line, key, &start))
        return;
    put_value(line, value);
    field_end(line, start);
}

void log_text(struct log_line *line, const char *key, const char *value)
{
    log_bytes(line, key, bytes_of(value));
}

void log_number(struct log_line *line, const char *key, uint64_t value)
{
    char *start;

    if (!field_begin(line, key, &start))
        return;
    put_number(line, value, 1);
    field_end(line, start);
}

void log_flag(struct log_line *line, const char *key, bool value)
{
    char *start;

    if (!field_begin(line, key, &start))
        return;
    log_put(line, value ? "true" : "false", value ? 4 : 5);
    field_end(line, start);
}

void log_ms(struct log_line *line, const char *key, uint64_t value_us)
{
    char *start;

    if (!field_begin(line, key, &start))
        return;
    put_number(line, value_us / 1000, 1);
    log_put(line, ".", 1);
    put_number(line, value_us % 1000, 3);
    field_end(line, start);
}

void log_end(struct log_line *line)
{
    if (line->end == NULL)
        return;
    log_finish(line);
    if (!hand_over(line->text, (size_t)(line->end - line->text)))
        atomic_fetch_add(&dropped, 1);
    line->end = NULL;
}

void log_event(enum log_level level, const char *event, const char *key, const char *value)
{
    struct log_line line;

    log_begin(&line, level, event);
    if (key != NULL)
        log_text(&line, key, value);
    log_end(&line);
}

/* False: no room. */
static bool hand_over(const char *text, size_t size)
{
    bool fits, wake;

    pthread_mutex_lock(&shared.lock);
    fits = size <= HALF_SIZE - shared.filled;
    if (fits) {
        memcpy(shared.fill + shared.filled, text, size);
        shared.filled += size;
    }
    wake = shared.idle;
    shared.idle = false;
    pthread_mutex_unlock(&shared.lock);
    if (wake)
        pthread_cond_signal(&shared.wake);
    return fits;
}

/* The room for this was kept free by log_put(). */
static void log_finish(struct log_line *line)
{
    const char *cut = line->json ? ",\"cut\":true" : " cut=true";
    const char *end = line->json ? "}\n" : "\n";

    if (line->cut)
        line->end = stpcpy(line->end, cut);
    line->end = stpcpy(line->end, end);
}

/* False: nothing to do. */
static bool field_begin(struct log_line *line, const char *key, char **ret_start)
{
    if (line->end == NULL || line->cut)
        return false;
    *ret_start = line->end;
    put_key(line, key);
    return true;
}

/* A field that did not fit is taken back. */
static void field_end(struct log_line *line, char *start)
{
    if (line->cut)
        line->end = start;
}

static void put_key(struct log_line *line, const char *key)
{
    size_t size = strlen(key);
    char  *end = line->end;

    if (size + 4 > room(line)) {
        line->cut = true;
        return;
    }
    *end++ = line->json ? ',' : ' ';
    if (line->json)
        *end++ = '"';
    memcpy(end, key, size);
    end += size;
    if (line->json)
        *end++ = '"';
    *end++ = line->json ? ':' : '=';
    line->end = end;
}

static void put_value(struct log_line *line, struct bytes value)
{
    bool too_long = value.size > LOG_VALUE_MAX;

    if (!line->json && !too_long && is_bare(value)) {
        log_put(line, value.data, value.size);
        return;
    }
    if (too_long)
        value.size = LOG_VALUE_MAX;
    log_put(line, "\"", 1);
    put_escaped(line, value);
    log_put(line, too_long ? "...\"" : "\"", too_long ? 4 : 1);
}

/* Can a reader tell where the value ends without quotes? */
static bool is_bare(struct bytes value)
{
    for (size_t i = 0; i < value.size; i++)
        if (!is_plain(value.data[i]) || value.data[i] == ' ' || value.data[i] == '=')
            return false;
    return value.size > 0;
}

/* Printable ASCII that needs no escape within quotes. */
static inline bool is_plain(char c)
{
    return c >= ' ' && c < 127 && c != '"' && c != '\\';
}

static void put_escaped(struct log_line *line, struct bytes value)
{
    while (value.size > 0) {
        size_t plain = 0;

        while (plain < value.size && is_plain(value.data[plain]))
            plain++;
        if (plain == 0 && (unsigned char)value.data[0] >= 128)
            plain = text_character(value);
        log_put(line, value.data, plain);
        if (plain == 0)
            put_escape(line, (unsigned char)value.data[0]);
        value = bytes_skip(value, plain == 0 ? 1 : plain);
    }
}

/* Bytes that are no UTF-8 become U+FFFD in JSON, which has no way to write them. */
static void put_escape(struct log_line *line, unsigned char c)
{
    char text[8];
    int  size;

    if (c == '"' || c == '\\')
        size = snprintf(text, sizeof text, "\\%c", c);
    else if (!line->json)
        size = snprintf(text, sizeof text, "\\x%02x", c);
    else
        size = snprintf(text, sizeof text, "\\u%04x", c >= 128 ? 0xfffd : c);
    log_put(line, text, (size_t)size);
}

static void put_number(struct log_line *line, uint64_t value, unsigned digits_min)
{
    char  text[20];
    char *start = text + sizeof text;

    do {
        *--start = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 || text + sizeof text - start < (ptrdiff_t)digits_min);
    log_put(line, start, (size_t)(text + sizeof text - start));
}

static void log_put(struct log_line *line, const char *data, size_t size)
{
    if (line->cut || size > room(line)) {
        line->cut = true;
        return;
    }
    if (size > 0)
        memcpy(line->end, data, size);
    line->end += size;
}

/* Bytes that may still be put before the end of the line. */
static inline size_t room(const struct log_line *line)
{
    return (size_t)(line->text + sizeof line->text - line->end) - LOG_LINE_RESERVE;
}

/* A point in time for a wait on the monotonic clock. */
static struct timespec in_ms(long ms)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += ms % 1000 * 1000000;
    time.tv_sec += ms / 1000 + time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}
