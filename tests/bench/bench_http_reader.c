/* bench_http_reader - nanoseconds to read and to write a head of ten fields, and to read bodies
 *
 * Usage: bench_http_reader [rounds]   The best of 200 runs of `rounds` (500) each is printed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "http/http_reader.h"
#include "http/http_writer.h"

/* As Chroma's Python client sends it, with the length of a one-record write. */
static const char request[] =
    "POST /api/v2/tenants/default_tenant/databases/default_database/collections/"
    "0b5a0a4e-1b3c-4c5d-8e6f-7a8b9c0d1e2f/upsert HTTP/1.1\r\n"
    "Host: 127.0.0.1:8000\r\n"
    "Accept: */*\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection: keep-alive\r\n"
    "User-Agent: Chroma Python Client v1.5.9 (https://github.com/chroma-core/chroma)\r\n"
    "Content-Type: application/json\r\n"
    "X-Chroma-Token: 0123456789abcdef0123456789abcdef\r\n"
    "X-Request-Id: 0b5a0a4e-1b3c-4c5d-8e6f-7a8b9c0d1e2f\r\n"
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
    "Content-Length: 4096\r\n"
    "\r\n";

enum { body_bytes = 4096, chunk_bytes = 4096, chunks = 16, runs = 200 };

static const struct http_reader_limits limits = {
    .start_line_bytes_max = 8192, .head_bytes_max = 65536, .body_bytes_max = UINT64_MAX};

static void     bench(const char *name, double (*run)(unsigned rounds), unsigned rounds);
static double   run_heads(unsigned rounds);
static double   run_heads_written(unsigned rounds);
static double   run_chunked(unsigned rounds);
static uint64_t now_ns(void);
static void     read_message(struct http_reader *reader, struct bytes input);

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 500;

    bench("ns per request head of 10 fields and its body", run_heads, rounds);
    bench("ns per head written", run_heads_written, rounds);
    bench("ns per KiB of a body in chunks of 4 KiB", run_chunked, rounds / 16);
    return EXIT_SUCCESS;
}

static void bench(const char *name, double (*run)(unsigned rounds), unsigned rounds)
{
    double best = run(rounds);

    for (int i = 1; i < runs; i++) {
        double ns = run(rounds);

        if (ns < best)
            best = ns;
    }
    printf("%-48s %8.1f\n", name, best);
}

static double run_heads(unsigned rounds)
{
    struct http_reader *reader = http_reader_new(HTTP_READER_REQUEST, &limits);
    char                message[sizeof request - 1 + body_bytes] = {0};
    uint64_t            begin_ns;

    memcpy(message, request, sizeof request - 1);
    begin_ns = now_ns();
    for (unsigned i = 0; i < rounds; i++)
        read_message(reader, (struct bytes){.data = message, .size = sizeof message});
    begin_ns = now_ns() - begin_ns;
    http_reader_free(reader);
    return (double)begin_ns / rounds;
}

static double run_heads_written(unsigned rounds)
{
    struct http_reader        *reader = http_reader_new(HTTP_READER_REQUEST, &limits);
    struct http_writer_options options = {.framing = HTTP_FRAMING_LENGTH,
                                          .content_length = body_bytes,
                                          .received_by = BYTES_LITERAL("chromabouncer")};
    struct byte_buffer         out = {0};
    struct bytes               input = BYTES_LITERAL(request), body;
    uint64_t                   begin_ns;

    if (http_reader_feed(reader, &input, &body) != HTTP_READER_HEAD)
        abort();
    begin_ns = now_ns();
    for (unsigned i = 0; i < rounds; i++) {
        byte_buffer_clear(&out);
        if (http_writer_request(&out, http_reader_head(reader), (struct bytes){0}, &options) !=
            STATUS_OK)
            abort();
    }
    begin_ns = now_ns() - begin_ns;
    byte_buffer_done(&out);
    http_reader_free(reader);
    return (double)begin_ns / rounds;
}

static double run_chunked(unsigned rounds)
{
    static const char   head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    static char         chunk[chunk_bytes];
    struct http_reader *reader = http_reader_new(HTTP_READER_RESPONSE, &limits);
    struct byte_buffer  message = {0};
    uint64_t            begin_ns;
    bool                good;

    good = byte_buffer_append(&message, BYTES_LITERAL(head), SIZE_MAX) == STATUS_OK;
    for (int i = 0; i < chunks && good; i++)
        good = byte_buffer_printf(&message, SIZE_MAX, "%x\r\n", chunk_bytes) == STATUS_OK &&
               byte_buffer_append(&message, (struct bytes){.data = chunk, .size = sizeof chunk},
                                  SIZE_MAX) == STATUS_OK &&
               byte_buffer_append(&message, BYTES_LITERAL("\r\n"), SIZE_MAX) == STATUS_OK;
    if (!good || byte_buffer_append(&message, http_writer_last_chunk, SIZE_MAX) != STATUS_OK)
        abort();
    begin_ns = now_ns();
    for (unsigned i = 0; i < rounds; i++)
        read_message(reader, byte_buffer_bytes(&message));
    begin_ns = now_ns() - begin_ns;
    byte_buffer_done(&message);
    http_reader_free(reader);
    return (double)begin_ns / rounds / (chunks * chunk_bytes / 1024.0);
}

static void read_message(struct http_reader *reader, struct bytes input)
{
    struct bytes           body;
    enum http_reader_event event;

    http_reader_reset(reader, false);
    do {
        event = http_reader_feed(reader, &input, &body);
        if (event == HTTP_READER_MORE || event == HTTP_READER_ERROR)
            abort();
    } while (event != HTTP_READER_END);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}
