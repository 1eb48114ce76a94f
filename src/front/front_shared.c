#include "front/front_shared.h"

static void set_limits(struct front_shared *shared);

bool front_shared_init(struct front_shared *shared, struct loop *loop,
                       struct memory_account_budget *budget, const struct front_options *options,
                       const struct front_handler *handler, void *handler_ctx)
{
    *shared = (struct front_shared){.loop = loop,
                                    .budget = budget,
                                    .options = *options,
                                    .handler = handler,
                                    .handler_ctx = handler_ctx};
    set_limits(shared);
    list_init(&shared->connections);
    list_init(&shared->idle);
    shared->addresses = front_addresses_new();
    return shared->addresses != NULL;
}

static void set_limits(struct front_shared *shared)
{
    shared->limits = (struct http_reader_limits){
        .start_line_bytes_max = shared->options.start_line_bytes_max,
        .head_bytes_max = shared->options.head_bytes_max,
        .body_bytes_max = UINT64_MAX, /* the handler knows what Chroma answers then */
        .account = &shared->budget->accounts[MEMORY_ACCOUNT_OTHER]};
}

void front_shared_done(struct front_shared *shared)
{
    while (shared->spare_reader_count > 0)
        http_reader_free(shared->spare_readers[--shared->spare_reader_count]);
    timeout_queue_free(shared->idle_timeouts);
    timeout_queue_free(shared->head_timeouts);
    timeout_queue_free(shared->body_timeouts);
    timeout_queue_free(shared->send_timeouts);
    timeout_queue_free(shared->linger_timeouts);
    timeout_queue_free(shared->probe_timeouts);
    front_addresses_free(shared->addresses);
}

void front_shared_set_options(struct front_shared *shared, const struct front_options *options)
{
    shared->options = *options;
    set_limits(shared);
    timeout_queue_set_duration(shared->idle_timeouts, options->idle_timeout_us);
    timeout_queue_set_duration(shared->head_timeouts, options->head_timeout_us);
    timeout_queue_set_duration(shared->body_timeouts, options->body_timeout_us);
    timeout_queue_set_duration(shared->send_timeouts, options->send_timeout_us);
}

struct http_reader *front_shared_take_reader(struct front_shared *shared)
{
    if (shared->spare_reader_count > 0)
        return shared->spare_readers[--shared->spare_reader_count];
    return http_reader_new(HTTP_READER_REQUEST, &shared->limits);
}

void front_shared_put_reader(struct front_shared *shared, struct http_reader *reader)
{
    if (reader == NULL)
        return;
    if (shared->spare_reader_count == FRONT_SHARED_SPARE_READERS_MAX) {
        http_reader_free(reader);
        return;
    }
    http_reader_reset(reader, false);
    shared->spare_readers[shared->spare_reader_count++] = reader;
}
