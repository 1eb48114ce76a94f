/* What must hold: the digest is that of sizes and sums, whatever a text is aligned to; and what is
 * different anywhere has another one. */
#include "base/block_digest.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/rng.h"
#include "support/check_main.h"

__extension__ typedef unsigned __int128 product;

enum { TEXT_MAX = 12000, DIGESTS_MAX = 150000, PAIR = 16 };

static struct block_digest_key key;
static struct rng              rng;
static char                    text[TEXT_MAX + PAIR];
static unsigned char (*seen)[KEYED_DIGEST_SIZE];
static size_t seen_count;

static void fill_with(void *to, size_t size)
{
    unsigned char *at = to;

    for (size_t i = 0; i < size; i++)
        at[i] = (unsigned char)rng_next(&rng);
}

static void begin(void)
{
    rng_init(&rng, 1);
    fill_with(&key, sizeof key);
    fill_with(text, sizeof text);
    seen = malloc(DIGESTS_MAX * sizeof *seen);
    seen_count = 0;
}

static void end(void)
{
    free(seen);
}

static struct bytes text_of(size_t size)
{
    return (struct bytes){.data = text, .size = size};
}

static void note(const struct bytes *texts, size_t count)
{
    ck_assert_uint_lt(seen_count, DIGESTS_MAX);
    block_digest(&key, texts, count, seen[seen_count++]);
}

static void note_text(struct bytes one)
{
    note(&one, 1);
}

static int compare(const void *left, const void *right)
{
    return memcmp(left, right, sizeof *seen);
}

static void expect_all_different(void)
{
    qsort(seen, seen_count, sizeof *seen, compare);
    for (size_t i = 1; i < seen_count; i++)
        ck_assert(compare(seen[i - 1], seen[i]) != 0);
}

/* As the header says it: word by word, with the text copied into zeros. */
static void digest_slowly(struct bytes input, unsigned char ret_digest[KEYED_DIGEST_SIZE])
{
    static unsigned char stream[TEXT_MAX];
    uint64_t             size = input.size, halves[2];
    size_t               stream_size = sizeof size;

    memcpy(stream, &size, sizeof size);
    for (size_t at = 0; at < input.size; at += BLOCK_DIGEST_BLOCK_SIZE) {
        size_t   left = input.size - at;
        size_t   taken = left < BLOCK_DIGEST_BLOCK_SIZE ? left : BLOCK_DIGEST_BLOCK_SIZE;
        uint64_t words[BLOCK_DIGEST_BLOCK_SIZE / 8] = {0};

        memcpy(words, input.data + at, taken);
        for (size_t shift = 0; shift <= 2; shift += 2) {
            product sum = 0;

            for (size_t i = 0; i < (taken + PAIR - 1) / PAIR * 2; i += 2)
                sum += (product)(words[i] + key.words[i + shift]) *
                       (words[i + 1] + key.words[i + 1 + shift]);
            memcpy(stream + stream_size, &sum, sizeof sum);
            stream_size += sizeof sum;
        }
    }
    for (size_t half = 0; half < 2; half++)
        halves[half] =
            siphash_2_4(key.end + half * SIPHASH_KEY_SIZE,
                        (struct bytes){.data = (const char *)stream, .size = stream_size});
    memcpy(ret_digest, halves, sizeof halves);
}

START_TEST(a_digest_is_one_of_sizes_and_sums)
{
    unsigned char got[KEYED_DIGEST_SIZE], want[KEYED_DIGEST_SIZE];

    for (size_t size = 0; size <= TEXT_MAX; size += 1 + rng_below(&rng, 7)) {
        struct bytes input = {.data = text + rng_below(&rng, PAIR), .size = size};

        block_digest(&key, &input, 1, got);
        digest_slowly(input, want);
        ck_assert_mem_eq(got, want, sizeof want);
    }
}
END_TEST

START_TEST(every_bit_counts)
{
    static const size_t sizes[] = {1,
                                   15,
                                   16,
                                   17,
                                   1023,
                                   BLOCK_DIGEST_BLOCK_SIZE - 1,
                                   BLOCK_DIGEST_BLOCK_SIZE,
                                   BLOCK_DIGEST_BLOCK_SIZE + 1,
                                   BLOCK_DIGEST_BLOCK_SIZE + 1036};

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        note_text(text_of(sizes[i]));
        for (size_t bit = 0; bit < 8 * sizes[i]; bit++) {
            text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
            note_text(text_of(sizes[i]));
            text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        }
    }
    expect_all_different();
}
END_TEST

START_TEST(order_and_length_count)
{
    char zeros[3 * BLOCK_DIGEST_BLOCK_SIZE] = {0};

    for (size_t size = 0; size <= sizeof zeros; size++)
        note_text((struct bytes){.data = zeros, .size = size});
    for (size_t from = 0; from + 8 <= 2048; from += 8)
        for (size_t to = from + 8; to + 8 <= 2048; to += 8) {
            char word[8];

            memcpy(word, text + from, 8);
            memcpy(text + from, text + to, 8);
            memcpy(text + to, word, 8);
            if (seen_count < DIGESTS_MAX - 1)
                note_text(text_of(2048));
            memcpy(word, text + from, 8);
            memcpy(text + from, text + to, 8);
            memcpy(text + to, word, 8);
        }
    expect_all_different();
}
END_TEST

START_TEST(where_one_text_ends_counts)
{
    for (size_t size = 0; size <= 2100; size++) {
        struct bytes parts[] = {text_of(size), bytes_skip(text_of(2100), size)};

        note(parts, 2);
    }
    note_text(text_of(2100));
    note((struct bytes[]){text_of(2100), {0}, {0}}, 3);
    note(NULL, 0);
    expect_all_different();
}
END_TEST

START_TEST(another_key_gives_another_digest)
{
    size_t bits = 8 * (BLOCK_DIGEST_BLOCK_SIZE + PAIR);

    note_text(text_of(BLOCK_DIGEST_BLOCK_SIZE));
    for (size_t bit = 0; bit < bits; bit++) {
        key.words[bit / 64] ^= UINT64_C(1) << bit % 64;
        note_text(text_of(BLOCK_DIGEST_BLOCK_SIZE));
        key.words[bit / 64] ^= UINT64_C(1) << bit % 64;
    }
    key.end[0] ^= 1;
    note_text(text_of(BLOCK_DIGEST_BLOCK_SIZE));
    expect_all_different();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("block_digest");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_digest_is_one_of_sizes_and_sums);
    tcase_add_test(tcase, every_bit_counts);
    tcase_add_test(tcase, order_and_length_count);
    tcase_add_test(tcase, where_one_text_ends_counts);
    tcase_add_test(tcase, another_key_gives_another_digest);
    return check_main("block_digest", tcase);
}
