#include "bench/bench_corpus.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/byte_buffer.h"
#include "bench/bench_random.h"

/* So many different documents and metadata objects; embeddings differ in every variant. */
enum { TEXTS = 256 };

static const size_t vectors_bytes_max = (size_t)128 << 20;
static const size_t variants_max = 16384;
static const size_t number_bytes_max = 24; /* ",-0.01234567890123456e-05" fits */

struct bench_corpus {
    struct bench_corpus_options options;
    float                      *vectors; /* variants x dimension */
    struct byte_buffer          text;    /* all pieces */
    size_t                     *pieces;  /* start of each in `text`, and the end of the last */
    size_t                      encodings[BENCH_CORPUS_ENCODINGS]; /* first piece of each */
    size_t                      documents, metadatas;              /* first piece of each */
    size_t                      piece_count;
};

static bool         write_vectors(struct bench_corpus *corpus, uint64_t *rng);
static bool         bench_corpus_write_arrays(struct bench_corpus *corpus);
static bool         write_base64(struct bench_corpus *corpus);
static void         encode_base64(const unsigned char *bytes, size_t size, char *out);
static bool         write_texts(struct bench_corpus *corpus, uint64_t *rng);
static bool         write_document(struct bench_corpus *corpus, uint64_t *rng);
static bool         write_metadata(struct bench_corpus *corpus, uint64_t *rng);
static bool         bench_corpus_append(struct bench_corpus *corpus, struct bytes bytes);
static void         end_piece(struct bench_corpus *corpus);
static struct bytes piece(const struct bench_corpus *corpus, size_t i);
static uint64_t     hash_bytes(uint64_t hash, const void *data, size_t size);

struct bench_corpus *bench_corpus_new(const struct bench_corpus_options *options)
{
    struct bench_corpus *corpus = calloc(1, sizeof(*corpus));
    size_t               number_bytes =
        options->has[BENCH_CORPUS_ARRAYS] ? number_bytes_max : sizeof(float) * 4 / 3 + 1;
    uint64_t rng = options->seed;

    if (corpus == NULL)
        return NULL;
    corpus->options = *options;
    if (options->variants == 0)
        corpus->options.variants = vectors_bytes_max / number_bytes / options->dimension;
    if (corpus->options.variants > variants_max)
        corpus->options.variants = variants_max;
    if (corpus->options.variants < 1)
        corpus->options.variants = 1;
    corpus->vectors = calloc(corpus->options.variants * options->dimension, sizeof(float));
    corpus->pieces = calloc(2 * corpus->options.variants + 2 * TEXTS + 1, sizeof(size_t));
    if (corpus->vectors == NULL || corpus->pieces == NULL || !write_vectors(corpus, &rng) ||
        !write_texts(corpus, &rng)) {
        bench_corpus_free(corpus);
        return NULL;
    }
    return corpus;
}

void bench_corpus_free(struct bench_corpus *corpus)
{
    if (corpus == NULL)
        return;
    byte_buffer_done(&corpus->text);
    free(corpus->vectors);
    free(corpus->pieces);
    free(corpus);
}

/* Unit vectors: what most embedding models give. */
static bool write_vectors(struct bench_corpus *corpus, uint64_t *rng)
{
    size_t dimension = corpus->options.dimension;

    for (size_t v = 0; v < corpus->options.variants; v++) {
        float *vector = corpus->vectors + v * dimension;
        double squares = 0;

        for (size_t i = 0; i < dimension; i++) {
            vector[i] = (float)(2 * bench_random_fraction(rng) - 1);
            squares += (double)vector[i] * (double)vector[i];
        }
        for (size_t i = 0; i < dimension; i++)
            vector[i] = (float)((double)vector[i] / sqrt(squares + 1e-30));
    }
    if (corpus->options.has[BENCH_CORPUS_BASE64] && !write_base64(corpus))
        return false;
    return !corpus->options.has[BENCH_CORPUS_ARRAYS] || bench_corpus_write_arrays(corpus);
}

static bool write_base64(struct bench_corpus *corpus)
{
    size_t size = corpus->options.dimension * sizeof(float), encoded = (size + 2) / 3 * 4;
    char  *text = malloc(encoded + 3);
    bool   is_ok = text != NULL;

    corpus->encodings[BENCH_CORPUS_BASE64] = corpus->piece_count;
    for (size_t v = 0; is_ok && v < corpus->options.variants; v++) {
        memcpy(text, ",\"", 2);
        encode_base64((const unsigned char *)(corpus->vectors + v * corpus->options.dimension),
                      size, text + 2);
        text[encoded + 2] = '"';
        is_ok = bench_corpus_append(corpus, (struct bytes){.data = text, .size = encoded + 3});
        end_piece(corpus);
    }
    free(text);
    return is_ok;
}

static void encode_base64(const unsigned char *bytes, size_t size, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < size; i += 3) {
        size_t   left = size - i;
        unsigned group = (unsigned)bytes[i] << 16;

        group |= left > 1 ? (unsigned)bytes[i + 1] << 8 : 0;
        group |= left > 2 ? bytes[i + 2] : 0;
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[group & 63] : '=';
    }
}

/* Numbers as JSON libraries print a float that was widened to a double: 17 digits. */
static bool bench_corpus_write_arrays(struct bench_corpus *corpus)
{
    size_t dimension = corpus->options.dimension;

    corpus->encodings[BENCH_CORPUS_ARRAYS] = corpus->piece_count;
    for (size_t v = 0; v < corpus->options.variants; v++) {
        for (size_t i = 0; i < dimension; i++) {
            if (byte_buffer_printf(&corpus->text, SIZE_MAX, "%s%.17g", i == 0 ? ",[" : ",",
                                   (double)corpus->vectors[v * dimension + i]) != STATUS_OK)
                return false;
        }
        if (!bench_corpus_append(corpus, BYTES_LITERAL("]")))
            return false;
        end_piece(corpus);
    }
    return true;
}

static bool write_texts(struct bench_corpus *corpus, uint64_t *rng)
{
    corpus->documents = corpus->piece_count;
    for (size_t i = 0; i < TEXTS; i++) {
        if (!write_document(corpus, rng))
            return false;
        end_piece(corpus);
    }
    corpus->metadatas = corpus->piece_count;
    for (size_t i = 0; i < TEXTS; i++) {
        if (!write_metadata(corpus, rng))
            return false;
        end_piece(corpus);
    }
    return true;
}

static bool write_document(struct bench_corpus *corpus, uint64_t *rng)
{
    static const char *const words[] = {
        "the",     "of",    "library", "provides", "for",     "files",   "network",
        "and",     "tools", "with",    "server",   "package", "runtime", "module",
        "support", "data",  "to",      "a",        "client",  "fast",    "contains"};
    size_t left = corpus->options.document_bytes;

    if (!bench_corpus_append(corpus, BYTES_LITERAL(",\"")))
        return false;
    while (left > 0) {
        struct bytes word = bytes_of(words[bench_random_next(rng) % COUNT_OF(words)]);

        if (word.size >= left)
            word.size = left;
        left -= word.size;
        if (!bench_corpus_append(corpus, word))
            return false;
        if (left > 0 && left-- > 0 && !bench_corpus_append(corpus, BYTES_LITERAL(" ")))
            return false;
    }
    return bench_corpus_append(corpus, BYTES_LITERAL("\""));
}

/* Texts and numbers by turns; keys in sorted order. */
static bool write_metadata(struct bench_corpus *corpus, uint64_t *rng)
{
    enum status status = byte_buffer_append(&corpus->text, BYTES_LITERAL(",{"), SIZE_MAX);

    for (unsigned key = 0; key < corpus->options.metadata_keys && status == STATUS_OK; key++) {
        unsigned value = (unsigned)(bench_random_next(rng) % 1000);

        status =
            byte_buffer_printf(&corpus->text, SIZE_MAX,
                               key % 2 == 0 ? "%s\"key%02u\":\"value %u\"" : "%s\"key%02u\":%u",
                               key == 0 ? "" : ",", key, value);
    }
    return status == STATUS_OK && bench_corpus_append(corpus, BYTES_LITERAL("}"));
}

static bool bench_corpus_append(struct bench_corpus *corpus, struct bytes bytes)
{
    return byte_buffer_append(&corpus->text, bytes, SIZE_MAX) == STATUS_OK;
}

static void end_piece(struct bench_corpus *corpus)
{
    corpus->pieces[++corpus->piece_count] = byte_buffer_size(&corpus->text);
}

size_t bench_corpus_variants(const struct bench_corpus *corpus)
{
    return corpus->options.variants;
}

struct bytes bench_corpus_vector(const struct bench_corpus *corpus, size_t variant,
                                 enum bench_corpus_encoding encoding)
{
    return piece(corpus, corpus->encodings[encoding] + variant);
}

struct bytes bench_corpus_document(const struct bench_corpus *corpus, size_t variant)
{
    return piece(corpus, corpus->documents + variant % TEXTS);
}

struct bytes bench_corpus_metadata(const struct bench_corpus *corpus, size_t variant)
{
    return piece(corpus, corpus->metadatas + variant % TEXTS);
}

static struct bytes piece(const struct bench_corpus *corpus, size_t i)
{
    struct bytes text = byte_buffer_bytes(&corpus->text);

    return (struct bytes){.data = text.data + corpus->pieces[i],
                          .size = corpus->pieces[i + 1] - corpus->pieces[i]};
}

uint64_t bench_corpus_sum(const struct bench_corpus *corpus, size_t variant)
{
    size_t       dimension = corpus->options.dimension;
    struct bytes document = bench_corpus_document(corpus, variant);
    struct bytes metadata = bench_corpus_metadata(corpus, variant);
    uint64_t     hash = hash_bytes(0xcbf29ce484222325, "v", 1);

    hash = hash_bytes(hash, corpus->vectors + variant * dimension, dimension * sizeof(float));
    if (corpus->options.document_bytes > 0) {
        hash = hash_bytes(hash, "d", 1);
        hash = hash_bytes(hash, document.data + 2, document.size - 3); /* without ," and " */
    }
    if (corpus->options.metadata_keys > 0) {
        hash = hash_bytes(hash, "m", 1);
        hash = hash_bytes(hash, metadata.data + 1, metadata.size - 1);
    }
    return hash;
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}
