#include "proxy/cache_keys.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/block_digest.h"
#include "chroma/chroma_query.h"
#include "chroma/request_identity.h"
#include "proxy/construct_question.h"
#include "proxy/exchange.h"
#include "reads/meaning_memo.h"

_Static_assert((int)REQUEST_IDENTITY_KEY_SIZE == (int)KEYED_DIGEST_KEY_SIZE, "two such keys");

/* Shorter ones are read as fast as they are looked up. */
enum { REMEMBERED_BODY_MIN = 512 };

/* What is digested under one key is never what is digested under another. */
enum digest_key {
    DIGEST_KEY_QUERY,
    DIGEST_KEY_IDENTITY,
    DIGEST_KEY_CONSTRUCT,
    DIGEST_KEY_TABLES,
    DIGEST_KEY_COUNT
};

/* All random. */
struct cache_secrets {
    unsigned char           keys[DIGEST_KEY_COUNT][KEYED_DIGEST_KEY_SIZE];
    struct block_digest_key texts;
};

struct cache_keys {
    struct cache_secrets secrets;
    struct meaning_memo *memo; /* NULL: nothing is remembered */
    struct byte_buffer   scratch;
};

static bool fill_with_random(void *to, size_t size);
static bool digest_query(struct cache_keys *keys, struct exchange *exchange);
static bool is_by_id(const struct proxy *proxy, const struct chroma_query *query,
                     struct record_ids *ret_ids);
static void digest_text(const struct cache_keys *keys, const struct exchange *exchange,
                        bool null_is_default, unsigned char ret_digest[KEYED_DIGEST_SIZE]);

/* Keys that could be guessed are no keys. */
struct cache_keys *cache_keys_new(void)
{
    struct cache_keys *keys = calloc(1, sizeof *keys);

    if (keys != NULL && !fill_with_random(&keys->secrets, sizeof keys->secrets)) {
        free(keys);
        return NULL;
    }
    return keys;
}

/* The kernel gives 256 bytes at a time, or none. */
static bool fill_with_random(void *to, size_t size)
{
    enum { PIECE = 256 };
    char *at = to;

    for (; size > 0; at += PIECE) {
        size_t piece = size < PIECE ? size : PIECE;

        if (getrandom(at, piece, GRND_NONBLOCK) != (ssize_t)piece)
            return false;
        size -= piece;
    }
    return true;
}

void cache_keys_free(struct cache_keys *keys)
{
    if (keys == NULL)
        return;
    cache_keys_forget(keys);
    byte_buffer_done(&keys->scratch);
    free(keys);
}

const unsigned char *cache_keys_secret(const struct cache_keys *keys)
{
    return keys->secrets.keys[DIGEST_KEY_TABLES];
}

size_t cache_keys_remember(struct cache_keys *keys, size_t bytes_max,
                           struct memory_account *account)
{
    keys->memo = meaning_memo_new(bytes_max, account);
    return meaning_memo_bytes(keys->memo);
}

void cache_keys_forget(struct cache_keys *keys)
{
    meaning_memo_free(keys->memo);
    keys->memo = NULL;
}

bool cache_keys_make(struct cache_keys *keys, struct exchange *exchange)
{
    struct query_cache_key *key = &exchange->question.key;

    exchange->question.has_ids = false;
    if (exchange->question.kind != CACHE_KIND_RECORDS) {
        if (!construct_question_read(exchange, keys->secrets.keys[DIGEST_KEY_CONSTRUCT],
                                     &keys->scratch, key))
            return false;
    } else {
        if (!digest_query(keys, exchange))
            return false;
        memcpy(key->collection, exchange->route.uuid, sizeof key->collection);
    }
    byte_buffer_clear(&keys->scratch);
    if (request_identity_write_ageless(exchange->head, &keys->scratch) != STATUS_OK)
        return false;
    request_identity_digest(byte_buffer_bytes(&keys->scratch),
                            keys->secrets.keys[DIGEST_KEY_IDENTITY], key->identity);
    return true;
}

static bool digest_query(struct cache_keys *keys, struct exchange *exchange)
{
    struct cache_question *question = &exchange->question;
    struct bytes           body = byte_buffer_bytes(&exchange->body);
    bool          null_is_default = chroma_family_info(exchange->proxy->family)->null_is_default;
    bool          is_remembered = keys->memo != NULL && body.size >= REMEMBERED_BODY_MIN;
    unsigned char text[KEYED_DIGEST_SIZE];
    struct chroma_query query;
    const char         *reason;

    if (is_remembered) {
        digest_text(keys, exchange, null_is_default, text);
        if (meaning_memo_find(keys->memo, text, question->key.digest))
            return true;
    }
    if (chroma_query_read(&exchange->route, null_is_default, body,
                          keys->secrets.keys[DIGEST_KEY_QUERY], &query, &reason) != STATUS_OK)
        return false;
    memcpy(question->key.digest, query.digest, sizeof query.digest);
    question->has_ids = is_by_id(exchange->proxy, &query, &question->ids);
    if (is_remembered && !question->has_ids)
        meaning_memo_put(keys->memo, text, question->key.digest);
    return true;
}

/* Only where it is known that other records have no part in it (doc/decisions/0026). */
static bool is_by_id(const struct proxy *proxy, const struct chroma_query *query,
                     struct record_ids *ret_ids)
{
    return proxy->is_single && chroma_family_info(proxy->family)->writes_are_local &&
           record_ids_of_get(query, proxy->secret, ret_ids);
}

/* All that the digest of the query is made of; which operation it is the path says. */
static void digest_text(const struct cache_keys *keys, const struct exchange *exchange,
                        bool null_is_default, unsigned char ret_digest[KEYED_DIGEST_SIZE])
{
    const char         family = (char)null_is_default;
    const struct bytes texts[] = {{.data = &family, .size = sizeof family},
                                  exchange->head->path,
                                  byte_buffer_bytes(&exchange->body)};

    block_digest(&keys->secrets.texts, texts, COUNT_OF(texts), ret_digest);
}
