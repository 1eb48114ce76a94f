/* What must hold: each half is SipHash-2-4 of the words' bytes under its key, whatever the pieces
 * in which the words come. */
#include "base/keyed_digest.h"

#include "base/rng.h"
#include "support/check_main.h"

enum { WORDS = 64 };

START_TEST(halves_are_siphash_of_the_bytes)
{
    unsigned char       key[KEYED_DIGEST_KEY_SIZE], bytes[4 * WORDS], got[KEYED_DIGEST_SIZE];
    uint32_t            words[WORDS];
    struct keyed_digest digest;
    struct rng          rng;

    rng_init(&rng, 1);
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (unsigned char)rng_next(&rng);
    for (size_t i = 0; i < WORDS; i++) {
        words[i] = (uint32_t)rng_next(&rng);
        for (size_t j = 0; j < 4; j++)
            bytes[4 * i + j] = (unsigned char)(words[i] >> (8 * j));
    }
    for (size_t count = 0; count <= WORDS; count += 2) {
        struct bytes   input = {.data = (const char *)bytes, .size = 4 * count};
        const uint64_t want[] = {siphash_2_4(key, input),
                                 siphash_2_4(key + SIPHASH_KEY_SIZE, input)};
        size_t         at = 0;

        keyed_digest_begin(&digest, key);
        while (at < count) {
            size_t piece = 2 * (1 + rng_below(&rng, 8));

            piece = piece < count - at ? piece : count - at;
            keyed_digest_take(&digest, words + at, piece);
            at += piece;
        }
        keyed_digest_end(&digest, got);
        ck_assert_mem_eq(got, want, sizeof want);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("keyed_digest");

    tcase_add_test(tcase, halves_are_siphash_of_the_bytes);
    return check_main("keyed_digest", tcase);
}
