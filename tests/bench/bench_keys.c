/* bench_keys - nanoseconds that a request is held up by its key, its scope and its service's limit,
 * with 1, 1000 and 100 000 keys, and what the keys take of memory
 *
 * Usage: bench_keys [rounds]   The best of 50 runs of `rounds` (20000) each is printed. */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "auth/auth_credentials.h"
#include "auth/auth_judge.h"
#include "base/rng.h"
#include "chroma/collection_table.h"
#include "http/http_reader.h"
#include "io/sha256.h"
#include "limits/key_ring.h"
#include "limits/key_text.h"
#include "limits/service_limits.h"
#include "limits/service_match.h"

enum { runs = 50, shown_keys = 64 };

#define PLACE      "/api/v2/tenants/default_tenant/databases/default_database/collections"
#define COLLECTION "0b5a0a4e-1b3c-4c5d-8e6f-7a8b9c0d1e2f"

struct bench {
    struct key_ring         *ring;
    struct sha256           *sha256;
    struct service_match    *match;
    struct service_limits   *limits;
    struct collection_table *table;
    char                     keys[shown_keys][KEY_TEXT_SIZE];
    struct http_head         heads[shown_keys];
    struct chroma_route      route;
};

static const unsigned char secret[16] = "secret";
static const char          target[] = PLACE "/" COLLECTION "/query";

static void     make_ring(struct bench *bench, size_t count);
static void     make_rest(struct bench *bench);
static void     teach_table(struct bench *bench);
static double   measure(struct bench *bench, unsigned rounds, bool with_limit);
static void     pass(struct bench *bench, const struct http_head *head, bool with_limit);
static uint64_t now_ns(void);

int main(int argc, char **argv)
{
    static const size_t counts[] = {1, 1000, 100000};
    unsigned            rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 20000;

    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        static struct bench bench;
        struct mallinfo2    before = mallinfo2(), after;
        double              key = 1e9, all = 1e9;

        make_ring(&bench, counts[i]);
        after = mallinfo2();
        make_rest(&bench);
        for (int run = 0; run < runs; run++) {
            double ns = measure(&bench, rounds, false);

            key = ns < key ? ns : key;
            ns = measure(&bench, rounds, true);
            all = ns < all ? ns : all;
        }
        printf(
            "%6zu keys: %6.0f ns for key and scope, %6.0f ns with the service's limit, %.1f MiB\n",
            counts[i], key, all,
            (double)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / 1048576);
        key_ring_drop(bench.ring);
        sha256_free(bench.sha256);
        service_match_free(bench.match);
        service_limits_free(bench.limits);
        collection_table_free(bench.table);
    }
    return EXIT_SUCCESS;
}

/* The first ones are those that are shown. */
static void make_ring(struct bench *bench, size_t count)
{
    const struct bytes scope = BYTES_LITERAL("read,write:default_tenant/default_database/docs-*");
    struct rng         rng;

    rng_init(&rng, 1);
    bench->ring = key_ring_new();
    bench->sha256 = sha256_new();
    for (size_t i = 0; i < count; i++) {
        unsigned char         random[KEY_TEXT_RANDOM_BYTES];
        char                  key[KEY_TEXT_SIZE], name[32];
        struct key_ring_entry entry = {.id = (uint32_t)i,
                                       .service = BYTES_LITERAL("chat"),
                                       .scopes = &scope,
                                       .scope_count = 1};

        for (size_t j = 0; j < sizeof random; j++)
            random[j] = (unsigned char)rng_next(&rng);
        key_text_format(random, key);
        snprintf(name, sizeof name, "key-%zu", i);
        entry.name = bytes_of(name);
        if (!sha256_digest(bench->sha256, bytes_of(key), entry.digest) ||
            key_ring_add(bench->ring, &entry, NULL) != STATUS_OK)
            abort();
        for (size_t j = i; j < shown_keys && i < shown_keys; j++)
            memcpy(bench->keys[j], key, sizeof key);
    }
}

static void make_rest(struct bench *bench)
{
    static const struct service_limits_options limits[2] = {
        {.rate = {.rate = 1000000, .burst = 1000000000}, .bytes = {.burst = 1}},
        {.rate = {.rate = 1000000, .burst = 1000000000}, .bytes = {.burst = 1}}};
    const struct service_match_rule       rule = {.service = 1, .name = BYTES_LITERAL("chat")};
    const struct collection_table_options table = {
        .collections_max = 1000, .bytes_max = 1 << 20, .lost_us = 1};
    static char values[shown_keys][KEY_TEXT_SIZE + 8];

    bench->match = service_match_new(&rule, 1, secret);
    bench->limits = service_limits_new(2, limits, secret);
    bench->table = collection_table_new(&table, secret);
    for (size_t i = 0; i < shown_keys; i++) {
        struct http_head *head = &bench->heads[i];
        const char *const fields[][2] = {{"Host", "127.0.0.1:8000"},
                                         {"Accept", "*/*"},
                                         {"Accept-Encoding", "gzip, deflate, br, zstd"},
                                         {"Connection", "keep-alive"},
                                         {"User-Agent", "Chroma Python Client v1.5.9"},
                                         {"Content-Type", "application/json"},
                                         {"Authorization", values[i]},
                                         {"Content-Length", "4096"}};

        snprintf(values[i], sizeof values[i], "Bearer %s", bench->keys[i]);
        *head = (struct http_head){.method = BYTES_LITERAL("POST"),
                                   .target = BYTES_LITERAL(target),
                                   .path = BYTES_LITERAL(target)};
        for (size_t j = 0; j < COUNT_OF(fields); j++)
            head->fields[head->field_count++] =
                (struct http_field){.name = bytes_of(fields[j][0]),
                                    .value = bytes_of(fields[j][1]),
                                    .id = http_field_identify(bytes_of(fields[j][0]))};
    }
    chroma_route_find(BYTES_LITERAL("POST"), BYTES_LITERAL(target), &bench->route);
    teach_table(bench);
}

static void teach_table(struct bench *bench)
{
    const struct bytes answer = BYTES_LITERAL(
        "{\"id\":\"" COLLECTION "\",\"name\":\"docs-1\",\"tenant\":\"default_tenant\","
        "\"database\":\"default_database\",\"dimension\":384,\"metadata\":null}");
    struct chroma_route        route;
    struct collection_question question;

    chroma_route_find(BYTES_LITERAL("GET"), BYTES_LITERAL(PLACE "/by-id/" COLLECTION), &route);
    question = collection_table_ask(bench->table, &route, 1);
    collection_table_learn(bench->table, &route, question, answer, 1);
}

static double measure(struct bench *bench, unsigned rounds, bool with_limit)
{
    uint64_t began_ns = now_ns();

    for (unsigned i = 0; i < rounds; i++)
        pass(bench, &bench->heads[i % shown_keys], with_limit);
    return (double)(now_ns() - began_ns) / rounds;
}

/* What auth_gate and service_admission do for a request that goes on at once. */
static void pass(struct bench *bench, const struct http_head *head, bool with_limit)
{
    struct auth_question          question = {.head = head, .route = &bench->route};
    struct auth_names             names = {.exists = true};
    struct auth_credentials       shown;
    struct service_limits_verdict verdict;
    unsigned char                 digest[SHA256_DIGEST_SIZE];
    const struct key_ring_key    *key = NULL;
    struct scope                  scope;
    char                          why[AUTH_JUDGE_WHY_SIZE];

    auth_credentials_read(head, &shown);
    if (key_text_is_valid(shown.text) && sha256_digest(bench->sha256, shown.text, digest))
        key = key_ring_find(bench->ring, digest);
    if (key == NULL ||
        !collection_table_names(bench->table, bench->route.uuid, 0, 1, &scope, &names.name))
        abort();
    names.tenant = scope.tenant;
    names.database = scope.database;
    question.scopes = key->scopes;
    question.scope_count = key->scope_count;
    question.names = &names;
    if (auth_judge(&question, why) != AUTH_ALLOWED)
        abort();
    if (!with_limit)
        return;
    if (service_match_by_key(bench->match, bytes_of(key->name)) != SERVICE_MATCH_NONE ||
        service_match_by_name(bench->match, bytes_of(key->service)) != 1 ||
        service_limits_admit(bench->limits, 1, 4096, 1000, 1000000, &verdict) != STATUS_OK)
        abort();
    service_limits_settle(bench->limits, 1, &verdict, true, 1000, 1000000);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
