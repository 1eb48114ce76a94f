/* The reader on any input. The first four bytes choose, the rest is what is read:
 *
 *   0  bit 0: response; bit 1: it answers HEAD
 *   1  limit of the start line, 4 bytes a step
 *   2  limit of the head, 8 bytes a step
 *   3  seed of the cuts; its low half is the body limit, 16 bytes a step, 15: none
 *
 * What must hold: the transcript is the same for the whole input, byte by byte, and in random
 * pieces; and a request that was accepted means the same to us after we wrote it. */
#include <stdio.h>

#include "http/http_writer.h"
#include "support/http_transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_reader_limits no_limits = {
    .start_line_bytes_max = 1 << 20, .head_bytes_max = 1 << 20, .body_bytes_max = UINT64_MAX};

static struct byte_buffer read_all(struct http_transcript *transcript, struct bytes input,
                                   http_transcript_cut_fn *is_cut, void *ctx);
static void check_same(const struct byte_buffer *left, const struct byte_buffer *right);
static void check_round_trip(const struct http_reader_limits *limits, struct bytes input);
static void check_equal_heads(const struct http_head *sent, const struct http_head *received);
static const struct http_field *next_end_to_end(const struct http_head *head, size_t *at);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_reader_limits limits;
    struct http_transcript    transcript = {0};
    struct bytes              input;
    struct byte_buffer        whole, bytewise, randomly;
    unsigned                  seed;

    if (size < 4)
        return 0;
    limits = (struct http_reader_limits){
        .start_line_bytes_max = (size_t)data[1] * 4,
        .head_bytes_max = 3 + (size_t)data[2] * 8,
        .body_bytes_max = data[3] % 16 == 15 ? UINT64_MAX : (uint64_t)(data[3] % 16) * 16};
    seed = data[3];
    input = (struct bytes){.data = (const char *)data + 4, .size = size - 4};
    transcript.reader =
        http_reader_new(data[0] & 1 ? HTTP_READER_RESPONSE : HTTP_READER_REQUEST, &limits);
    transcript.answers_head = data[0] & 2;

    whole = read_all(&transcript, input, http_transcript_cut_never, NULL);
    bytewise = read_all(&transcript, input, http_transcript_cut_always, NULL);
    randomly = read_all(&transcript, input, http_transcript_cut_randomly, &seed);
    check_same(&whole, &bytewise);
    check_same(&whole, &randomly);
    if (!(data[0] & 1))
        check_round_trip(&limits, input);

    byte_buffer_done(&whole);
    byte_buffer_done(&bytewise);
    byte_buffer_done(&randomly);
    http_reader_free(transcript.reader);
    return 0;
}

/* The transcript, which is the caller's. */
static struct byte_buffer read_all(struct http_transcript *transcript, struct bytes input,
                                   http_transcript_cut_fn *is_cut, void *ctx)
{
    struct byte_buffer text;

    http_transcript_read(transcript, input, is_cut, ctx);
    text = transcript->text;
    transcript->text = (struct byte_buffer){0};
    return text;
}

static void check_same(const struct byte_buffer *left, const struct byte_buffer *right)
{
    if (bytes_equal(byte_buffer_bytes(left), byte_buffer_bytes(right)))
        return;
    fprintf(stderr, "--- one way\n%s\n--- the other\n%s\n", left->data, right->data);
    abort();
}

/* Every accepted head, written as we would forward it and read again. */
static void check_round_trip(const struct http_reader_limits *limits, struct bytes input)
{
    struct http_reader    *reader = http_reader_new(HTTP_READER_REQUEST, limits);
    struct http_reader    *backend = http_reader_new(HTTP_READER_REQUEST, &no_limits);
    struct byte_buffer     out = {0};
    struct bytes           body;
    enum http_reader_event event = HTTP_READER_BODY;

    while (event != HTTP_READER_MORE && event != HTTP_READER_ERROR) {
        event = http_reader_feed(reader, &input, &body);
        if (event == HTTP_READER_HEAD) {
            const struct http_head    *head = http_reader_head(reader);
            struct http_writer_options options = {.framing = head->framing,
                                                  .content_length = head->content_length,
                                                  .close = !head->keep_alive};
            struct bytes               again;
            enum http_reader_event     again_event;

            byte_buffer_clear(&out);
            assert(http_writer_request(&out, head, BYTES_LITERAL("host"), &options) == STATUS_OK);
            again = byte_buffer_bytes(&out);
            again_event = http_reader_feed(backend, &again, &body);
            assert(again_event == HTTP_READER_HEAD && again.size == 0);
            check_equal_heads(head, http_reader_head(backend));
            http_reader_reset(backend, false);
        } else if (event == HTTP_READER_END) {
            http_reader_reset(reader, false);
        }
    }
    http_reader_free(reader);
    http_reader_free(backend);
    byte_buffer_done(&out);
}

static void check_equal_heads(const struct http_head *sent, const struct http_head *received)
{
    const struct http_field *left, *right;
    size_t                   left_at = 0, right_at = 0;

    assert(bytes_equal(sent->method, received->method));
    assert(bytes_equal(sent->target, received->target));
    assert(received->minor_version == 1);
    assert(sent->keep_alive == received->keep_alive);
    assert(sent->framing == received->framing);
    assert(sent->content_length == received->content_length);
    for (size_t i = 0; i < received->field_count; i++)
        assert(!received->fields[i].hop_by_hop ||
               received->fields[i].id == HTTP_FIELD_CONTENT_LENGTH ||
               received->fields[i].id == HTTP_FIELD_TRANSFER_ENCODING ||
               received->fields[i].id == HTTP_FIELD_CONNECTION);
    if (http_head_find(sent, HTTP_FIELD_HOST) == NULL)
        assert(next_end_to_end(received, &right_at)->id == HTTP_FIELD_HOST);
    do {
        left = next_end_to_end(sent, &left_at);
        right = next_end_to_end(received, &right_at);
        assert((left == NULL) == (right == NULL));
        assert(left == NULL ||
               (bytes_equal(left->name, right->name) && bytes_equal(left->value, right->value)));
    } while (left != NULL);
}

static const struct http_field *next_end_to_end(const struct http_head *head, size_t *at)
{
    while (*at < head->field_count)
        if (!head->fields[(*at)++].hop_by_hop)
            return &head->fields[*at - 1];
    return NULL;
}
