/* bench_mirror_columns - how fast are filters on the records of a copy, and what do they take?
 *
 * Usage: bench_mirror_columns [RECORDS], 100000 by default. Documents of 120 to 1000 bytes are made
 * of words that are as frequent as those of a language. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/rng.h"
#include "index/index_memory.h"
#include "mirror/filter.h"
#include "mirror/mirror_columns.h"
#include "mirror/mirror_metadata.h"

enum { WORDS = 20000, WORD_MAX = 12, DOCUMENT_MAX = 1000, ROUNDS = 20, FILTER_MAX = 60000 };

static const unsigned char secret[SIPHASH_KEY_SIZE] = "a secret of test";

static struct rng             rng;
static struct index_memory    memory;
static struct mirror_columns *columns;
static char                   words[WORDS][WORD_MAX];
static struct bytes          *documents;
static uint64_t              *live, *bitmap;
static uint32_t               records, asked;

/* Of processor time: other work on the machine does not count. */
static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void must(enum status status)
{
    if (status != STATUS_OK)
        abort();
}

/* Letters are as frequent as in English. */
static void make_words(void)
{
    static const char letters[] =
        "eeeeeeeeeeeetttttttttaaaaaaaaooooooooiiiiiiinnnnnnnsssssshhhhhhrrr"
        "rrrddddllllcccuuummmwwffggyyppbbvk";

    for (uint32_t i = 0; i < WORDS; i++) {
        size_t size = 3 + rng_below(&rng, WORD_MAX - 4);

        for (size_t at = 0; at < size; at++)
            words[i][at] = letters[rng_below(&rng, sizeof letters - 1)];
    }
}

/* Of the words the n-th is about 1/n as frequent as the first. */
static const char *random_word(void)
{
    double rank = 1;

    for (double left = rng_double(&rng); left > 0.07; left -= 0.07)
        rank *= 2;
    rank *= 1 + rng_double(&rng);
    return words[rank < WORDS ? (uint32_t)rank : rng_below(&rng, WORDS)];
}

static struct bytes make_document(void)
{
    size_t size = 0, wanted = 120 + rng_below(&rng, DOCUMENT_MAX - 120 - WORD_MAX);
    char  *text = malloc(DOCUMENT_MAX);

    if (text == NULL)
        abort();
    while (size < wanted)
        size += (size_t)sprintf(text + size, "%s ", random_word());
    return (struct bytes){.data = text, .size = size};
}

static double set_row(uint32_t row)
{
    struct filter_subject   subject = {.document = documents[row], .has_document = true};
    struct mirror_metadata *metadata;
    const char             *reason;
    char                    json[400];
    double                  start;
    int                     size = snprintf(json, sizeof json,
                                            "{\"tenth\":%u,\"source\":\"folder/file-%u.md\",\"chunk\":%u,\"time\":%u,"
                                                                "\"score\":%.6f,\"id\":\"document-%u\",\"tags\":[\"tag %u\",\"tag %u\"]}",
                                            row % 10, row / 20, row % 20, 1700000000 + row * 7, rng_double(&rng), row,
                                            row % 50, row % 7);

    must(mirror_metadata_read((struct bytes){.data = json, .size = (size_t)size},
                              MIRROR_SOURCE_ANSWER, &metadata, &reason));
    subject.metadata = metadata;
    start = now();
    must(mirror_columns_set(columns, row, &subject));
    start = now() - start;
    mirror_metadata_free(metadata);
    return start;
}

static enum status give_document(void *ctx, uint32_t row, struct bytes *ret_document)
{
    (void)ctx;
    asked++;
    *ret_document = documents[row];
    return STATUS_OK;
}

static void measure(const char *name, const char *where, const char *where_document)
{
    struct mirror_columns_documents source = {.get = give_document};
    struct bytes                    none = {.data = NULL};
    struct filter                  *filter;
    const char                     *reason;
    uint32_t                        count = 0;
    double                          start;

    must(filter_new(where == NULL ? none : bytes_of(where),
                    where_document == NULL ? none : bytes_of(where_document), &filter, &reason));
    asked = 0;
    start = now();
    for (int i = 0; i < ROUNDS; i++)
        must(mirror_columns_filter(columns, filter, live, records, &source, bitmap, &count));
    printf("%-34s %9.3f ms %8u match %8u documents\n", name, (now() - start) * 1e3 / ROUNDS, count,
           asked / ROUNDS);
    filter_free(filter);
}

/* Beside memmem() in all documents. */
static void measure_word(const char *name, const char *word)
{
    char     where_document[100];
    uint32_t count = 0;
    double   start = now();

    for (uint32_t i = 0; i < records; i++)
        count += memmem(documents[i].data, documents[i].size, word, strlen(word)) != NULL;
    printf("%-34s %9.3f ms %8u match (memmem of all)\n", name, (now() - start) * 1e3, count);
    snprintf(where_document, sizeof where_document, "{\"$contains\":\"%s\"}", word);
    measure(name, NULL, where_document);
}

static void measure_in(uint32_t count)
{
    struct byte_buffer json = {.data = NULL};

    must(byte_buffer_printf(&json, FILTER_MAX, "{\"id\":{\"$in\":["));
    for (uint32_t i = 0; i < count; i++)
        must(byte_buffer_printf(&json, FILTER_MAX, "%s\"document-%u\"", i == 0 ? "" : ",",
                                (uint32_t)rng_below(&rng, records)));
    must(byte_buffer_append(&json, BYTES_LITERAL("]}}\0"), FILTER_MAX));
    measure("$in of 1000 strings", json.data, NULL);
    byte_buffer_done(&json);
}

static void report_memory(void)
{
    struct mirror_columns_usage usage;

    mirror_columns_usage(columns, &usage);
    printf("memory for each record: %.1f bytes of 7 keys, %.1f of signatures\n",
           (double)(usage.memory - usage.signatures) / records, (double)usage.signatures / records);
}

int main(int argc, char **argv)
{
    double spent = 0;

    records = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
    documents = calloc(records + 1, sizeof *documents);
    live = calloc(records / 64 + 1, sizeof *live);
    bitmap = calloc(records / 64 + 1, sizeof *bitmap);
    if (records == 0 || documents == NULL || live == NULL || bitmap == NULL)
        return EXIT_FAILURE;
    memset(live, 0xff, (records / 64 + 1) * sizeof *live);
    rng_init(&rng, 1);
    make_words();
    for (uint32_t i = 0; i < records; i++)
        documents[i] = make_document();
    index_memory_init(&memory, 0);
    must(mirror_columns_new(&memory, secret, &columns));
    for (uint32_t i = 0; i < records; i++)
        spent += set_row(i);
    printf("%u records, set in %.1f us each\n", records, spent * 1e6 / records);
    report_memory();
    measure("$eq, a tenth", "{\"tenth\":3}", NULL);
    measure("$ne, nine tenths", "{\"tenth\":{\"$ne\":3}}", NULL);
    measure("$lt of different integers, a tenth", "{\"chunk\":{\"$lt\":2}}", NULL);
    measure("$lt, all floats differ, a tenth", "{\"score\":{\"$lt\":0.1}}", NULL);
    measure("$contains on lists", "{\"tags\":{\"$contains\":\"tag 3\"}}", NULL);
    measure("$and of $or, two keys each",
            "{\"$and\":[{\"$or\":[{\"tenth\":1},{\"tenth\":2}]},{\"$or\":[{\"chunk\":1},"
            "{\"score\":{\"$gt\":0.5}}]}]}",
            NULL);
    measure_in(1000);
    measure_word("a rare word", words[WORDS - 10]);
    measure_word("a word of 1 in 20", words[200]);
    measure_word("a frequent word", words[1]);
    measure_word("two bytes", "ev");
    measure("a frequent word in a tenth", "{\"tenth\":3}", "{\"$contains\":\"e\"}");
    mirror_columns_drop_signatures(columns);
    measure_word("a rare word, no signatures", words[WORDS - 10]);
    mirror_columns_free(columns);
    return EXIT_SUCCESS;
}
