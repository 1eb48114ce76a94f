#include "cli/top_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One line may hold blocks of three bytes in each column. */
enum { LINE_SIZE = 2048, WIDTH_MAX = 500 };

struct canvas {
    const struct top_view *view;
    struct byte_buffer    *out;
    enum status            status;
    unsigned               lines; /* so far */
};

static void draw_title(struct canvas *canvas, const struct top_digest *digest);
static void draw_numbers(struct canvas *canvas, const struct top_digest *digest);
static void draw_help(struct canvas *canvas);
static void draw_operations(struct canvas *canvas, const struct top_digest *digest, unsigned count);
static void draw_latency(struct canvas *canvas, const struct top_digest *digest, unsigned height);
static void draw_keys(struct canvas *canvas);
static void line(struct canvas *canvas, const char *color, const char *format, ...)
    PRINTF_LIKE(3, 4);
static size_t      cut(char *text, unsigned width);
static const char *bar(const struct top_view *view, double share, unsigned cells, char *out);
static const char *duration(double seconds, char *out);
static const char *bytes_text(double bytes, char *out);
static const char *top_view_span(double seconds, char *out);
static unsigned    at_least(unsigned value, unsigned least);

enum { SHORT_SIZE = 24 };

/* Eighths of a cell, from the bottom. */
static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const ascii_blocks[] = {" ", ".", ".", ":", ":", "+", "+", "#", "#"};

enum status top_view_draw(const struct top_view *view, const struct top_digest *digest,
                          struct byte_buffer *out)
{
    struct canvas canvas = {.view = view, .out = out};
    unsigned      operations, left;

    draw_title(&canvas, digest);
    if (view->shows_help) {
        draw_help(&canvas);
    } else {
        draw_numbers(&canvas, digest);
        /* Behind the operations: a blank line, heading, chart, axis, and the keys. */
        left = view->height > canvas.lines + 2 ? view->height - canvas.lines - 2 : 0;
        operations = (unsigned)digest->op_count;
        if (operations > 0 && left > 5 && operations > left - 5)
            operations = left - 5;
        draw_operations(&canvas, digest, operations);
        left = view->height > canvas.lines + 3 + view->is_interactive
                   ? view->height - canvas.lines - 3 - view->is_interactive
                   : 0;
        draw_latency(&canvas, digest, left > 12 ? 12 : left);
    }
    while (view->is_interactive && canvas.lines + 1 < view->height)
        line(&canvas, "", "%s", "");
    if (view->is_interactive)
        draw_keys(&canvas);
    return canvas.status;
}

static void draw_title(struct canvas *canvas, const struct top_digest *digest)
{
    const struct top_view *view = canvas->view;
    char                   uptime[SHORT_SIZE], resident[SHORT_SIZE], right[100], left[300];
    int                    room;

    snprintf(right, sizeof right, "up %s  rss %s  cpu %.0f%%",
             top_view_span(digest->uptime, uptime), bytes_text(digest->resident_bytes, resident),
             100 * digest->cpu);
    snprintf(left, sizeof left, "chromabouncer %s  %s%s%s  %s", digest->version,
             digest->backend_up ? "up" : "DOWN", digest->draining ? "  DRAINING" : "",
             view->is_paused ? "  PAUSED" : "", digest->backend);
    room = (int)view->width - (int)strlen(right) - 2;
    line(canvas, digest->backend_up ? "\x1b[1m" : "\x1b[1;31m", "%-*.*s  %s", room > 0 ? room : 0,
         room > 0 ? room : 0, left, right);
    line(canvas, "\x1b[31m", "%s", digest->problem);
}

static void draw_numbers(struct canvas *canvas, const struct top_digest *digest)
{
    const struct top_view *view = canvas->view;
    unsigned               cells = at_least(view->width / 4, 10);
    char room[LINE_SIZE], a[SHORT_SIZE], b[SHORT_SIZE], c[SHORT_SIZE], d[SHORT_SIZE];

    line(canvas, "", "requests   %8.1f/s   by the backend %.1f   by the proxy %.1f   aborted %.1f",
         digest->per_second[0] + digest->per_second[1], digest->per_second[0],
         digest->per_second[1], digest->aborted_per_second);
    line(canvas, "", "latency    p50 %s  p99 %s   of it here p50 %s  p99 %s",
         duration(digest->p50, a), duration(digest->p99, b), duration(digest->overhead_p50, c),
         duration(digest->overhead_p99, d));
    line(canvas, "", "clients    %8.0f connections", digest->clients);
    line(canvas, "", "backend    %s %.0f busy of %.0f   %.0f idle   %.0f connecting",
         bar(view, digest->connections_max > 0 ? digest->busy / digest->connections_max : 0, cells,
             room),
         digest->busy, digest->connections_max, digest->idle, digest->connecting);
    line(canvas, "", "buffered   %s %s of %s",
         bar(view,
             digest->buffered_max_bytes > 0 ? digest->buffered_bytes / digest->buffered_max_bytes
                                            : 0,
             cells, room),
         bytes_text(digest->buffered_bytes, a), bytes_text(digest->buffered_max_bytes, b));
    line(canvas, "", "waiting    read %.0f   write %.0f   other %.0f   p99 of all waits %s",
         digest->waiting[1], digest->waiting[2], digest->waiting[0],
         duration(digest->queue_p99, a));
    line(canvas, digest->writes_hung > 0 ? "\x1b[33m" : "",
         "writes     %.0f waiting (%.0f records)   %.0f calls under way, oldest %s   %.0f hung",
         digest->writes_waiting, digest->records_waiting, digest->write_calls,
         duration(digest->oldest_call, a), digest->writes_hung);
    line(canvas, "", "batches    %8.1f/s   %.1f requests and %.1f records in each   %.1f splits/s",
         digest->batches_per_second, digest->requests_per_batch, digest->records_per_batch,
         digest->splits_per_second);
    if (digest->copies > 0)
        line(canvas, "",
             "copies     %8.1f/s  %.0f of %.0f complete  %.0f records, %.0f left, %.0fs  %s",
             digest->copies_per_second, digest->copies_complete, digest->copies,
             digest->copied_records, digest->hollow_records, digest->copies_left_s,
             bytes_text(digest->copies_bytes, a));
    line(canvas, "", "%s", "");
}

static void draw_help(struct canvas *canvas)
{
    static const char *const text[] = {
        "Rates and quantiles are those of the last interval, the rest is now.",
        "",
        "requests    answered by Chroma, and errors of our own; aborted: the client left",
        "latency     from a request's first byte to its answer's last; here: our part",
        "backend     connections that serve a request, of backend.connections_max",
        "buffered    bytes of requests and answers that are held, of memory_max",
        "waiting     requests without a turn at Chroma, and how long they waited",
        "writes      hung: calls without an answer for longer than writes.patience",
        "batches     calls of Chroma that carry writes",
        "copies      answers from copies of collections, and what these hold",
        "operations  errors: answers of 400 and above; calls: of Chroma, fewer than",
        "            requests where those are merged",
        "",
        "q quit   p pause   s sort by rate, p99, errors   ? back"};

    for (size_t i = 0; i < COUNT_OF(text) && canvas->lines + 1 < canvas->view->height; i++)
        line(canvas, "", "%s", text[i]);
}

static void draw_operations(struct canvas *canvas, const struct top_digest *digest, unsigned count)
{
    char p50[SHORT_SIZE], p99[SHORT_SIZE], backend[SHORT_SIZE];

    line(canvas, "\x1b[7m", "%-11s %10s %10s %10s %10s %10s %12s", "operation", "requests/s", "p50",
         "p99", "errors/s", "calls/s", "Chroma's p50");
    for (unsigned i = 0; i < count; i++) {
        const struct top_digest_op *op = &digest->ops[i];

        line(canvas, op->errors_per_second > 0 ? "\x1b[33m" : "",
             "%-11s %10.1f %10s %10s %10.1f %10.1f %12s", op->name, op->per_second,
             duration(op->p50, p50), duration(op->p99, p99), op->errors_per_second,
             op->backend_per_second, duration(op->backend_p50, backend));
    }
}

/* A column for each bucket, `height` lines high; the highest fills it. */
static void draw_latency(struct canvas *canvas, const struct top_digest *digest, unsigned height)
{
    const struct top_view   *view = canvas->view;
    const char *const       *steps = view->is_ascii ? ascii_blocks : blocks;
    static const char *const marks[TOP_DIGEST_BUCKETS] = {
        [0] = "10us",   [3] = "100us", [6] = "1ms", [9] = "10ms",
        [12] = "100ms", [15] = "1s",   [17] = "10s"};
    unsigned cells = at_least((view->width - 2) / TOP_DIGEST_BUCKETS, 1);
    double   most = 0;
    char     text[LINE_SIZE];

    if (height == 0)
        return;
    for (size_t i = 0; i < TOP_DIGEST_BUCKETS; i++)
        most = digest->buckets[i] > most ? digest->buckets[i] : most;
    line(canvas, "", "%s", "");
    line(canvas, "", "requests by latency");
    for (unsigned row = height; row-- > 0;) {
        size_t used = 0;

        for (size_t i = 0; i < TOP_DIGEST_BUCKETS; i++) {
            double   eighths = most > 0 ? digest->buckets[i] / most * height * 8 : 0;
            double   here = eighths - row * 8.0;
            unsigned step = here >= 8 ? 8 : here > 0 ? (unsigned)here : 0;

            if (row == 0 && step == 0 && digest->buckets[i] > 0)
                step = 1; /* few are not none */
            for (unsigned j = 0; j + 1 < cells || j < 1; j++)
                used += (size_t)snprintf(text + used, sizeof text - used, "%s", steps[step]);
            if (cells > 1)
                used += (size_t)snprintf(text + used, sizeof text - used, " ");
        }
        line(canvas, "\x1b[36m", "%s", text);
    }
    text[0] = '\0';
    for (size_t i = 0, used = 0; i < TOP_DIGEST_BUCKETS; i++)
        if (marks[i] != NULL && used <= i * cells)
            used += (size_t)snprintf(text + used, sizeof text - used, "%*s%s",
                                     (int)(i * cells - used), "", marks[i]);
    line(canvas, "", "%s", text);
}

static void draw_keys(struct canvas *canvas)
{
    static const char *const sorts[] = {"rate", "p99", "errors"};

    line(canvas, "\x1b[2m", "q quit   ? help   p %s   s sort: %s",
         canvas->view->is_paused ? "go on" : "pause", sorts[canvas->view->sort]);
}

/* One line, cut to the width, without blanks at its end; beyond the height nothing. */
static void line(struct canvas *canvas, const char *color, const char *format, ...)
{
    bool    colors = canvas->view->has_color && color[0] != '\0';
    char    text[LINE_SIZE];
    size_t  size;
    va_list args;

    if (canvas->status != STATUS_OK || canvas->lines == canvas->view->height)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size = cut(text, canvas->view->width);
    canvas->status = byte_buffer_printf(canvas->out, SIZE_MAX, "%s%.*s%s\n", colors ? color : "",
                                        (int)size, text, colors ? "\x1b[0m" : "");
    canvas->lines++;
}

/* The bytes of the first `width` characters, without the blanks at their end. What others have
 * said must not move the cursor: control characters become ?. */
static size_t cut(char *text, unsigned width)
{
    size_t   size = 0;
    unsigned columns = 0;

    while (text[size] != '\0') {
        unsigned char c = (unsigned char)text[size];

        if ((c & 0xc0) != 0x80 && ++columns > width)
            break;
        if (c < ' ' || c == 0x7f)
            text[size] = '?';
        size++;
    }
    while (size > 0 && text[size - 1] == ' ')
        size--;
    return size;
}

/* "[|||||.....]" of `cells` cells. */
static const char *bar(const struct top_view *view, double share, unsigned cells, char *out)
{
    const char *full = view->is_ascii ? "#" : "█", *empty = view->is_ascii ? "." : "░";
    unsigned    filled = (unsigned)(share * cells + 0.5);
    size_t      used = 0;

    if (cells > WIDTH_MAX)
        cells = WIDTH_MAX;
    if (share > 0 && filled == 0)
        filled = 1;
    for (unsigned i = 0; i < cells; i++)
        used += (size_t)snprintf(out + used, LINE_SIZE - used, "%s", i < filled ? full : empty);
    return out;
}

/* Three digits and the unit. `out` has SHORT_SIZE bytes and is returned, as below. */
static const char *duration(double seconds, char *out)
{
    if (seconds <= 0)
        snprintf(out, SHORT_SIZE, "-");
    else if (seconds < 999.5e-6)
        snprintf(out, SHORT_SIZE, "%.0fus", seconds * 1e6);
    else if (seconds < 0.9995)
        snprintf(out, SHORT_SIZE, "%.*fms", seconds < 0.00995 ? 1 : 0, seconds * 1e3);
    else
        snprintf(out, SHORT_SIZE, "%.*fs", seconds < 99.5 ? 1 : 0, seconds);
    return out;
}

static const char *bytes_text(double bytes, char *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t                   unit = 0;

    while (bytes >= 1000 && unit + 1 < COUNT_OF(units)) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, SHORT_SIZE, "%.*f%s", unit > 0 && bytes < 99.5 ? 1 : 0, bytes, units[unit]);
    return out;
}

static const char *top_view_span(double seconds, char *out)
{
    unsigned long long whole = (unsigned long long)seconds;

    if (whole < 60)
        snprintf(out, SHORT_SIZE, "%llus", whole);
    else if (whole < 3600)
        snprintf(out, SHORT_SIZE, "%llum%02llus", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(out, SHORT_SIZE, "%lluh%02llum", whole / 3600, whole / 60 % 60);
    else
        snprintf(out, SHORT_SIZE, "%llud%02lluh", whole / 86400, whole / 3600 % 24);
    return out;
}

static unsigned at_least(unsigned value, unsigned least)
{
    return value < least ? least : value;
}
