#include "reads/meaning_memo.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Where there is none the text is zeros, which no text gives but one of 2^128. */
struct meaning {
    unsigned char text[KEYED_DIGEST_SIZE], meaning[KEYED_DIGEST_SIZE];
};

/* The newer one first. */
struct meaning_set {
    struct meaning ways[2];
};

struct meaning_memo {
    struct memory_account *account;
    size_t                 set_mask;
    struct meaning_set     sets[];
};

static size_t memo_bytes(size_t set_count);
static size_t set_of(const struct meaning_memo *memo, const unsigned char *text);

struct meaning_memo *meaning_memo_new(size_t bytes_max, struct memory_account *account)
{
    struct meaning_memo *memo;
    size_t               set_count = 1;

    if (memo_bytes(set_count) > bytes_max)
        return NULL;
    while (memo_bytes(2 * set_count) <= bytes_max)
        set_count *= 2;
    memo = calloc(1, memo_bytes(set_count));
    if (memo == NULL)
        return NULL;
    memo->account = account;
    memo->set_mask = set_count - 1;
    memory_account_charge(account, memo_bytes(set_count));
    return memo;
}

static size_t memo_bytes(size_t set_count)
{
    return sizeof(struct meaning_memo) + set_count * sizeof(struct meaning_set);
}

void meaning_memo_free(struct meaning_memo *memo)
{
    if (memo == NULL)
        return;
    memory_account_release(memo->account, meaning_memo_bytes(memo));
    free(memo);
}

size_t meaning_memo_bytes(const struct meaning_memo *memo)
{
    return memo == NULL ? 0 : memo_bytes(memo->set_mask + 1);
}

bool meaning_memo_find(const struct meaning_memo *memo, const unsigned char text[KEYED_DIGEST_SIZE],
                       unsigned char ret_meaning[KEYED_DIGEST_SIZE])
{
    const struct meaning_set *set;

    if (memo == NULL)
        return false;
    set = &memo->sets[set_of(memo, text)];
    for (size_t i = 0; i < 2; i++)
        if (memcmp(set->ways[i].text, text, KEYED_DIGEST_SIZE) == 0) {
            memcpy(ret_meaning, set->ways[i].meaning, KEYED_DIGEST_SIZE);
            return true;
        }
    return false;
}

static size_t set_of(const struct meaning_memo *memo, const unsigned char *text)
{
    uint64_t hash;

    memcpy(&hash, text, sizeof hash);
    return hash & memo->set_mask;
}

void meaning_memo_put(struct meaning_memo *memo, const unsigned char text[KEYED_DIGEST_SIZE],
                      const unsigned char meaning[KEYED_DIGEST_SIZE])
{
    struct meaning_set *set;

    if (memo == NULL)
        return;
    set = &memo->sets[set_of(memo, text)];
    set->ways[1] = set->ways[0];
    memcpy(set->ways[0].text, text, KEYED_DIGEST_SIZE);
    memcpy(set->ways[0].meaning, meaning, KEYED_DIGEST_SIZE);
}
