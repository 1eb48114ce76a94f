#include "bench/bench_request.h"

#include <stdlib.h>

#include "bench/bench_random.h"

static const char *const op_names[BENCH_REQUEST_OPS] = {"add", "upsert", "update", "delete",
                                                        "get", "query",  "count",  "raw"};

enum { HEAD_BYTES_MAX = 8192, PARTS_PER_RECORD = 3, PARTS_FIXED = 8 };

static enum bench_request_op choose_op(const struct bench_request_mix *mix, uint64_t *rng);
static bool                  bench_request_reserve(struct bench_request *request, size_t records);
static void   choose_records(struct bench_request *request, struct bench_request_source *source);
static void   list_body(struct bench_request *request, struct bench_request_source *source);
static void   list_column(struct bench_request *request, const struct bench_request_source *source,
                          struct bytes open,
                          struct bytes (*piece)(const struct bench_corpus *, size_t));
static void   list_vectors(struct bench_request *request, const struct bench_request_source *source,
                           struct bytes open, enum bench_corpus_encoding encoding);
static void   list_query(struct bench_request *request, struct bench_request_source *source);
static void   add_part(struct bench_request *request, struct bytes bytes);
static bool   bench_request_write_head(struct bench_request              *request,
                                       const struct bench_request_source *source, size_t collection);
static bool   write_ids(struct bench_request *request, const struct bench_request_source *source);
static size_t ids_size(const struct bench_request *request);
static bool   is_write(enum bench_request_op op);

/* The bytes of a raw POST's body. */
static const char *raw_body(size_t size)
{
    static char  *body;
    static size_t body_size;

    if (size > body_size) {
        free(body);
        body = malloc(size);
        body_size = body == NULL ? 0 : size;
        if (body != NULL)
            memset(body, 'x', size);
    }
    return body;
}

const char *bench_request_op_name(enum bench_request_op op)
{
    return op_names[op];
}

bool bench_request_parse_mix(struct bench_request_mix *mix, const char *text)
{
    memset(mix->weights, 0, sizeof(mix->weights));
    mix->total = 0;
    while (*text != '\0') {
        size_t   size = strcspn(text, ":+");
        unsigned weight = 1, op = 0;

        while (op < BENCH_REQUEST_RAW &&
               (strlen(op_names[op]) != size || memcmp(op_names[op], text, size) != 0))
            op++;
        if (op == BENCH_REQUEST_RAW)
            return false;
        text += size;
        if (*text == ':') {
            char         *end;
            unsigned long number = strtoul(text + 1, &end, 10);

            if (end == text + 1 || number > 1000000)
                return false;
            weight = (unsigned)number;
            text = end;
        }
        if (*text == '+')
            text++;
        else if (*text != '\0')
            return false;
        mix->weights[op] += weight;
        mix->total += weight;
    }
    return mix->total > 0;
}

void bench_request_done(struct bench_request *request)
{
    byte_buffer_done(&request->text);
    free(request->parts);
    free(request->numbers);
    free(request->variants);
    *request = (struct bench_request){0};
}

bool bench_request_build(struct bench_request *request, struct bench_request_source *source,
                         const struct bench_request_mix *mix, size_t collection)
{
    request->op = choose_op(mix, &source->rng);
    request->records = request->op <= BENCH_REQUEST_GET ? mix->batch : 0;
    byte_buffer_clear(&request->text);
    if (!bench_request_reserve(request, request->records))
        return false;
    choose_records(request, source);
    request->part_count = 1; /* the first is the text, known at the end */
    list_body(request, source);
    if (!bench_request_write_head(request, source, collection) || !write_ids(request, source))
        return false;
    request->parts[0] = (struct iovec){.iov_base = request->text.data + request->text.start,
                                       .iov_len = byte_buffer_size(&request->text)};
    return true;
}

static enum bench_request_op choose_op(const struct bench_request_mix *mix, uint64_t *rng)
{
    unsigned              at = (unsigned)(bench_random_next(rng) % mix->total);
    enum bench_request_op op = 0;

    while (at >= mix->weights[op])
        at -= mix->weights[op++];
    return op;
}

static bool bench_request_reserve(struct bench_request *request, size_t records)
{
    size_t        parts = PARTS_FIXED + records * PARTS_PER_RECORD;
    struct iovec *new_parts;

    if (request->part_capacity >= parts)
        return true;
    new_parts = realloc(request->parts, parts * sizeof(*new_parts));
    if (new_parts == NULL)
        return false;
    request->parts = new_parts;
    free(request->numbers);
    free(request->variants);
    request->numbers = calloc(records + 1, sizeof(*request->numbers));
    request->variants = calloc(records + 1, sizeof(*request->variants));
    if (request->numbers == NULL || request->variants == NULL)
        return false;
    request->part_capacity = parts;
    return true;
}

/* New ids count up; earlier ones are chosen at random. Inside one request ids are consecutive, so
 * they do not repeat. */
static void choose_records(struct bench_request *request, struct bench_request_source *source)
{
    bool     is_new = request->op == BENCH_REQUEST_ADD || request->op == BENCH_REQUEST_UPSERT;
    uint64_t first = source->next_number;

    if (is_new && source->reuse > 0 && bench_random_fraction(&source->rng) < source->reuse)
        is_new = false;
    if (!is_new && source->next_number > request->records)
        first = bench_random_next(&source->rng) % (source->next_number - request->records + 1);
    if (is_new)
        source->next_number += request->records;
    for (size_t i = 0; i < request->records; i++) {
        request->numbers[i] = first + i;
        if (is_write(request->op)) {
            request->variants[i] = source->next_variant;
            source->next_variant =
                (source->next_variant + 1) % bench_corpus_variants(source->corpus);
        }
    }
}

static bool is_write(enum bench_request_op op)
{
    return op <= BENCH_REQUEST_UPDATE;
}

/* List what follows the ids. */
static void list_body(struct bench_request *request, struct bench_request_source *source)
{
    enum bench_corpus_encoding encoding =
        source->has[BENCH_CORPUS_BASE64] ? BENCH_CORPUS_BASE64 : BENCH_CORPUS_ARRAYS;

    if (source->has[BENCH_CORPUS_BASE64] && source->has[BENCH_CORPUS_ARRAYS])
        encoding =
            (enum bench_corpus_encoding)(bench_random_next(&source->rng) % BENCH_CORPUS_ENCODINGS);
    if (is_write(request->op)) {
        list_vectors(request, source, BYTES_LITERAL(",\"embeddings\":["), encoding);
        if (source->has_documents)
            list_column(request, source, BYTES_LITERAL("],\"documents\":["), bench_corpus_document);
        if (source->has_metadatas)
            list_column(request, source, BYTES_LITERAL("],\"metadatas\":["), bench_corpus_metadata);
        add_part(request, BYTES_LITERAL("]}"));
    } else if (request->op == BENCH_REQUEST_QUERY) {
        list_query(request, source);
    } else if (request->op == BENCH_REQUEST_GET || request->op == BENCH_REQUEST_DELETE) {
        add_part(request, BYTES_LITERAL("}"));
    } else if (request->op == BENCH_REQUEST_RAW && source->raw_body_bytes > 0) {
        add_part(request, (struct bytes){.data = raw_body(source->raw_body_bytes),
                                         .size = source->raw_body_bytes});
    }
}

static void list_vectors(struct bench_request *request, const struct bench_request_source *source,
                         struct bytes open, enum bench_corpus_encoding encoding)
{
    add_part(request, open);
    for (size_t i = 0; i < request->records; i++) {
        struct bytes piece = bench_corpus_vector(source->corpus, request->variants[i], encoding);

        add_part(request, bytes_skip(piece, i == 0 ? 1 : 0)); /* no comma before the first */
    }
}

static void list_column(struct bench_request *request, const struct bench_request_source *source,
                        struct bytes open,
                        struct bytes (*piece)(const struct bench_corpus *, size_t))
{
    add_part(request, open);
    for (size_t i = 0; i < request->records; i++)
        add_part(request, bytes_skip(piece(source->corpus, request->variants[i]), i == 0 ? 1 : 0));
}

/* Queries are always arrays of numbers: Chroma takes nothing else there. */
static void list_query(struct bench_request *request, struct bench_request_source *source)
{
    size_t variant = 0;

    if (!source->repeat_query)
        variant = (size_t)(bench_random_next(&source->rng) % bench_corpus_variants(source->corpus));
    add_part(request, BYTES_LITERAL("{\"query_embeddings\":["));
    add_part(request,
             bytes_skip(bench_corpus_vector(source->corpus, variant, BENCH_CORPUS_ARRAYS), 1));
    add_part(request, bytes_of(source->query_tail));
}

static void add_part(struct bench_request *request, struct bytes bytes)
{
    request->parts[request->part_count++] =
        (struct iovec){.iov_base = (void *)(uintptr_t)bytes.data, .iov_len = bytes.size};
}

static bool bench_request_write_head(struct bench_request              *request,
                                     const struct bench_request_source *source, size_t collection)
{
    bool   is_raw = request->op == BENCH_REQUEST_RAW;
    bool   is_get = request->op == BENCH_REQUEST_COUNT || (is_raw && source->raw_body_bytes == 0);
    size_t length = ids_size(request);
    enum status status;

    for (size_t i = 1; i < request->part_count; i++)
        length += request->parts[i].iov_len;
    status = byte_buffer_printf(
        &request->text, HEAD_BYTES_MAX, "%s %s%s%s HTTP/1.1\r\nHost: %s\r\n%s",
        is_get ? "GET" : "POST",
        is_raw ? source->raw_path : source->collections[collection % source->collection_count],
        is_raw ? "" : "/", is_raw ? "" : op_names[request->op], source->host, source->headers);
    if (status == STATUS_OK && is_get)
        status = byte_buffer_append(&request->text, BYTES_LITERAL("\r\n"), HEAD_BYTES_MAX);
    else if (status == STATUS_OK)
        status = byte_buffer_printf(&request->text, HEAD_BYTES_MAX,
                                    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                                    length);
    return status == STATUS_OK;
}

/* `{"ids":["...","..."]`, for operations that have ids */
static size_t ids_size(const struct bench_request *request)
{
    return request->records == 0 ? 0 : 8 + request->records * (BENCH_REQUEST_ID_SIZE + 3);
}

static bool write_ids(struct bench_request *request, const struct bench_request_source *source)
{
    size_t      size = ids_size(request);
    enum status status;
    char       *out;

    if (size == 0)
        return true;
    status = byte_buffer_reserve(&request->text, size, SIZE_MAX);
    if (status != STATUS_OK)
        return false;
    out = request->text.data + request->text.end;
    memcpy(out, "{\"ids\":[", 8);
    out += 8;
    for (size_t i = 0; i < request->records; i++) {
        *out++ = '"';
        bench_request_write_id(source, request->numbers[i], out);
        out += BENCH_REQUEST_ID_SIZE;
        *out++ = '"';
        *out++ = i + 1 < request->records ? ',' : ']';
    }
    request->text.end += size;
    return true;
}

void bench_request_write_id(const struct bench_request_source *source, uint64_t number, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < 8; i++)
        out[i] = digits[source->id_prefix >> (28 - 4 * i) & 15];
    out[8] = '-';
    for (int i = 0; i < 12; i++)
        out[9 + i] = digits[number >> (44 - 4 * i) & 15];
}
