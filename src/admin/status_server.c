#include "admin/status_server.h"

#include <stdlib.h>

#include "http/http_writer.h"

/* One request; the answer is made when it is complete. */
struct status_request {
    struct front_connection           *connection;
    const struct http_head            *head;
    const struct status_server_source *source;
};

struct page {
    unsigned    status;
    const char *content_type;
    bool        says_allow; /* the methods there are */
};

static void       *status_server_on_request(struct front_connection *connection,
                                            const struct http_head *head, void *ctx);
static void        status_server_on_body(void *request, struct bytes data);
static void        status_server_on_body_end(void *ctx);
static struct page make_page(const struct status_request *request, struct byte_buffer *body);
static struct page make_ready(const struct status_request *request, struct byte_buffer *body);
static void        send_page(const struct status_request *request, const struct page *page,
                             struct bytes body);
static void        status_server_on_abort(void *request, enum status why);
static void        status_server_on_drained(void *request);
static void        status_server_on_refused(const struct front_connection *connection,
                                            const struct error *error, void *ctx);

const struct front_handler status_server_handler = {.on_request = status_server_on_request,
                                                    .on_body = status_server_on_body,
                                                    .on_body_end = status_server_on_body_end,
                                                    .on_abort = status_server_on_abort,
                                                    .on_drained = status_server_on_drained,
                                                    .on_refused = status_server_on_refused};

static const char text_type[] = "text/plain; charset=utf-8";
static const char metrics_type[] = "text/plain; version=0.0.4; charset=utf-8";

static void *status_server_on_request(struct front_connection *connection,
                                      const struct http_head *head, void *ctx)
{
    struct status_request *request = calloc(1, sizeof *request);

    if (request != NULL)
        *request = (struct status_request){.connection = connection, .head = head, .source = ctx};
    return request;
}

static void status_server_on_body(void *request, struct bytes data)
{
    (void)request;
    (void)data; /* no request here has a use for one */
}

static void status_server_on_body_end(void *ctx)
{
    struct status_request *request = ctx;
    struct byte_buffer     body = {0};
    struct page            page = make_page(request, &body);

    send_page(request, &page, byte_buffer_bytes(&body));
    front_connection_finish(request->connection);
    byte_buffer_done(&body);
    free(request);
}

static struct page make_page(const struct status_request *request, struct byte_buffer *body)
{
    const struct status_server_source *source = request->source;
    struct bytes                       path = request->head->path;
    struct page                        page = {.status = 200, .content_type = text_type};
    enum status                        status = STATUS_OK;

    if (!bytes_equal(request->head->method, BYTES_LITERAL("GET")) && !request->head->is_head)
        page = (struct page){.status = 405, .content_type = text_type, .says_allow = true};
    else if (bytes_equal(path, BYTES_LITERAL("/livez")) ||
             bytes_equal(path, BYTES_LITERAL("/startupz")))
        status = byte_buffer_append(body, BYTES_LITERAL("ok\n"), SIZE_MAX);
    else if (bytes_equal(path, BYTES_LITERAL("/readyz")))
        page = make_ready(request, body);
    else if (bytes_equal(path, BYTES_LITERAL("/"))) {
        status = source->print_page(source->ctx, body);
    } else if (bytes_equal(path, BYTES_LITERAL("/metrics"))) {
        page.content_type = metrics_type;
        status = source->print_metrics(source->ctx, body);
    } else {
        page.status = 404;
    }
    if (status != STATUS_OK) {
        byte_buffer_clear(body);
        page.status = 503;
    }
    return page;
}

static struct page make_ready(const struct status_request *request, struct byte_buffer *body)
{
    const struct status_server_source *source = request->source;
    bool strict = bytes_equal(request->head->query, BYTES_LITERAL("backend=1"));
    bool ready = source->is_ready(source->ctx, strict, body);

    return (struct page){.status = ready ? 200 : 503, .content_type = text_type};
}

static void send_page(const struct status_request *request, const struct page *page,
                      struct bytes body)
{
    struct byte_buffer         head = {0};
    struct http_writer_options options = {
        .framing = HTTP_FRAMING_LENGTH,
        .content_length = body.size,
        .close = front_connection_will_close(request->connection),
        .say_keep_alive = request->head->minor_version == 0,
        .date = front_connection_date(request->connection),
        .extra = page->says_allow ? BYTES_LITERAL("Allow: GET, HEAD\r\n")
                                  : BYTES_LITERAL("Cache-Control: no-store\r\n")};

    if (http_writer_own_response(&head, page->status, bytes_of(page->content_type), &options) ==
        STATUS_OK) {
        struct bytes parts[2] = {byte_buffer_bytes(&head), body};

        front_connection_send(request->connection, parts, request->head->is_head ? 1 : 2);
    } else {
        front_connection_set_close(request->connection);
    }
    byte_buffer_done(&head);
}

static void status_server_on_abort(void *request, enum status why)
{
    (void)why;
    free(request);
}

static void status_server_on_drained(void *request)
{
    (void)request;
}

static void status_server_on_refused(const struct front_connection *connection,
                                     const struct error *error, void *ctx)
{
    (void)connection;
    (void)error;
    (void)ctx;
}
