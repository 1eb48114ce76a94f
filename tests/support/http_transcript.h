/* http_transcript - what http_reader makes of an input, as text
 *
 *   GET /a?b=c HTTP/1.1          or  HTTP/1.1 200 OK
 *   Host: a                      a field
 *   -Connection: close           a hop-by-hop field
 *   close LENGTH 3 continue      keep or close, framing, what Max-Forwards leaves, and whether
 *                                100 is waited for
 *   |abc|                        the body, if there is any
 *   END                          or ERROR and the status
 *
 * Message after message until the input ends, which is told to the reader when a message has
 * begun. So two ways to cut an input are compared by comparing texts.
 */
#ifndef SUPPORT_HTTP_TRANSCRIPT_H
#define SUPPORT_HTTP_TRANSCRIPT_H

#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/byte_buffer.h"
#include "http/http_reader.h"

struct http_transcript {
    struct http_reader *reader;
    bool                answers_head; /* for every response */
    bool                ended;        /* by an ERROR */
    bool                in_body;
    struct byte_buffer  text;
};

#define HTTP_TRANSCRIPT_ADD(transcript, ...)                                                       \
    do {                                                                                           \
        enum status add_status = byte_buffer_printf(&(transcript)->text, SIZE_MAX, __VA_ARGS__);   \
        assert(add_status == STATUS_OK);                                                           \
    } while (0)

static inline void http_transcript_add_bytes(struct http_transcript *transcript, struct bytes bytes)
{
    enum status status = byte_buffer_append(&transcript->text, bytes, SIZE_MAX);

    assert(status == STATUS_OK);
    (void)status;
}

static inline void http_transcript_add_head(struct http_transcript *transcript)
{
    static const char *const framing_names[] = {"NONE", "LENGTH", "CHUNKED", "UNTIL_CLOSE"};
    const struct http_head  *head = http_reader_head(transcript->reader);

    if (head->method.size > 0) {
        http_transcript_add_bytes(transcript, head->method);
        HTTP_TRANSCRIPT_ADD(transcript, " ");
        http_transcript_add_bytes(transcript, head->path);
        if (head->path.size < head->target.size) {
            HTTP_TRANSCRIPT_ADD(transcript, "?");
            http_transcript_add_bytes(transcript, head->query);
        }
        HTTP_TRANSCRIPT_ADD(transcript, " HTTP/1.%u\n", head->minor_version);
    } else {
        HTTP_TRANSCRIPT_ADD(transcript, "HTTP/1.%u %u ", head->minor_version, head->status);
        http_transcript_add_bytes(transcript, head->reason);
        HTTP_TRANSCRIPT_ADD(transcript, "\n");
    }
    for (size_t i = 0; i < head->field_count; i++) {
        HTTP_TRANSCRIPT_ADD(transcript, "%s", head->fields[i].hop_by_hop ? "-" : "");
        http_transcript_add_bytes(transcript, head->fields[i].name);
        HTTP_TRANSCRIPT_ADD(transcript, ": ");
        http_transcript_add_bytes(transcript, head->fields[i].value);
        HTTP_TRANSCRIPT_ADD(transcript, "\n");
    }
    HTTP_TRANSCRIPT_ADD(transcript, "%s %s", head->keep_alive ? "keep" : "close",
                        framing_names[head->framing]);
    if (head->has_content_length)
        HTTP_TRANSCRIPT_ADD(transcript, " %" PRIu64, head->content_length);
    if (head->has_forwards_left)
        HTTP_TRANSCRIPT_ADD(transcript, " forwards %" PRIu32, head->forwards_left);
    HTTP_TRANSCRIPT_ADD(transcript, "%s%s\n", head->is_last_hop ? " last" : "",
                        head->expects_continue ? " continue" : "");
}

static inline void http_transcript_add_end(struct http_transcript *transcript,
                                           enum http_reader_event  event)
{
    if (transcript->in_body)
        HTTP_TRANSCRIPT_ADD(transcript, "|\n");
    transcript->in_body = false;
    if (event == HTTP_READER_END) {
        HTTP_TRANSCRIPT_ADD(transcript, "END\n");
        http_reader_reset(transcript->reader, transcript->answers_head);
    } else {
        HTTP_TRANSCRIPT_ADD(transcript, "ERROR %s\n",
                            status_name(http_reader_error(transcript->reader)->status));
        transcript->ended = true;
    }
}

/* Feed one piece, from memory that ends where the piece ends. */
static inline void http_transcript_feed(struct http_transcript *transcript, struct bytes piece)
{
    char                  *copy = malloc(piece.size == 0 ? 1 : piece.size);
    struct bytes           input = {.data = copy, .size = piece.size}, body;
    enum http_reader_event event = HTTP_READER_END;

    assert(copy != NULL);
    if (piece.size > 0)
        memcpy(copy, piece.data, piece.size);
    while (!transcript->ended && event != HTTP_READER_MORE &&
           !(event == HTTP_READER_END && input.size == 0)) {
        event = http_reader_feed(transcript->reader, &input, &body);
        if (event == HTTP_READER_HEAD) {
            http_transcript_add_head(transcript);
        } else if (event == HTTP_READER_BODY) {
            assert(body.size > 0 && body.data >= copy && body.data + body.size <= input.data);
            if (!transcript->in_body)
                HTTP_TRANSCRIPT_ADD(transcript, "|");
            transcript->in_body = true;
            http_transcript_add_bytes(transcript, body);
        } else if (event == HTTP_READER_MORE) {
            assert(input.size == 0);
        } else {
            http_transcript_add_end(transcript, event);
        }
    }
    free(copy);
}

/* Is there a cut behind the byte at `index`? */
typedef bool http_transcript_cut_fn(size_t index, void *ctx);

/* Read `input` cut behind the bytes whose index `is_cut` says; the transcript is left in
 * `transcript->text`, NUL-terminated. */
static inline const char *http_transcript_read(struct http_transcript *transcript,
                                               struct bytes input, http_transcript_cut_fn *is_cut,
                                               void *ctx)
{
    size_t begin = 0;

    byte_buffer_clear(&transcript->text);
    transcript->ended = transcript->in_body = false;
    http_reader_reset(transcript->reader, transcript->answers_head);
    for (size_t i = 0; i < input.size && !transcript->ended; i++)
        if (i + 1 == input.size || is_cut(i, ctx)) {
            http_transcript_feed(transcript,
                                 (struct bytes){.data = input.data + begin, .size = i + 1 - begin});
            begin = i + 1;
        }
    if (!transcript->ended && http_reader_has_begun(transcript->reader))
        http_transcript_add_end(transcript, http_reader_end_of_input(transcript->reader));
    http_transcript_add_bytes(transcript, (struct bytes){.data = "", .size = 1});
    return byte_buffer_bytes(&transcript->text).data;
}

static inline bool http_transcript_cut_never(size_t index, void *ctx)
{
    (void)index;
    (void)ctx;
    return false;
}

static inline bool http_transcript_cut_always(size_t index, void *ctx)
{
    (void)index;
    (void)ctx;
    return true;
}

/* ctx is a `const size_t *`: the only place. */
static inline bool http_transcript_cut_at(size_t index, void *ctx)
{
    return index == *(const size_t *)ctx;
}

/* ctx is an `unsigned *`: the seed, which moves on. About every third place. */
static inline bool http_transcript_cut_randomly(size_t index, void *ctx)
{
    unsigned *seed = ctx;

    (void)index;
    *seed = *seed * 1103515245U + 12345U;
    return (*seed >> 16) % 3 == 0;
}

#endif
