/* What must hold: a key is what it looks like, only the digests that were entered are found, scopes
 * allow what they say and nothing else, wrong keys are slowed down and right ones are not. */
#include <malloc.h>

#include "base/rng.h"
#include "limits/key_ring.h"
#include "limits/key_slowdown.h"
#include "limits/key_text.h"
#include "support/check_main.h"

#define SECOND UINT64_C(1000000)

/* ---- Text ----------------------------------------------------------------------------------- */

START_TEST(a_key_has_a_prefix_and_a_checksum)
{
    unsigned char random[KEY_TEXT_RANDOM_BYTES] = {0};
    char          key[KEY_TEXT_SIZE], other[KEY_TEXT_SIZE];

    key_text_format(random, key);
    ck_assert_str_eq(key, "cbk_00000000000000000000000000000000000000000004ZjULr");
    ck_assert(key_text_is_valid(bytes_of(key)));
    random[31] = 1;
    key_text_format(random, other);
    ck_assert(key_text_is_valid(bytes_of(other)));
    ck_assert_str_ne(key, other);
    ck_assert_int_eq(other[46], '1');
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = 255;
    key_text_format(random, other);
    ck_assert(key_text_is_valid(bytes_of(other)));
}
END_TEST

START_TEST(every_changed_letter_is_noticed)
{
    unsigned char random[KEY_TEXT_RANDOM_BYTES];
    char          key[KEY_TEXT_SIZE];
    struct rng    rng;

    rng_init(&rng, 7);
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (unsigned char)rng_next(&rng);
    key_text_format(random, key);
    for (size_t i = 0; i < KEY_TEXT_LENGTH; i++) {
        char kept = key[i];

        key[i] = kept == 'a' ? 'b' : 'a';
        ck_assert(!key_text_is_valid(bytes_of(key)));
        key[i] = kept;
    }
    ck_assert(!key_text_is_valid((struct bytes){.data = key, .size = KEY_TEXT_LENGTH - 1}));
    ck_assert(!key_text_is_valid((struct bytes){.data = key, .size = KEY_TEXT_LENGTH + 1}));
    ck_assert(!key_text_is_valid((struct bytes){0}));
}
END_TEST

/* ---- Scopes --------------------------------------------------------------------------------- */

START_TEST(a_scope_allows_what_it_says)
{
    static const struct {
        const char   *scope;
        enum key_verb verb;
        const char   *tenant, *database, *collection; /* NULL: all */
        bool          is_allowed;
    } cases[] = {
        {"read:t/d/docs", KEY_VERB_READ, "t", "d", "docs", true},
        {"read:t/d/docs", KEY_VERB_WRITE, "t", "d", "docs", false},
        {"read:t/d/docs", KEY_VERB_READ, "t", "d", "docs2", false},
        {"read:t/d/docs", KEY_VERB_READ, "t", "d", "doc", false},
        {"read:t/d/docs", KEY_VERB_READ, "t", "e", "docs", false},
        {"read:t/d/docs", KEY_VERB_READ, "u", "d", "docs", false},
        {"read:t/d/docs", KEY_VERB_READ, "t", "d", NULL, false},
        {"read,delete:t/d/*", KEY_VERB_DELETE, "t", "d", NULL, true},
        {"read,delete:t/d/*", KEY_VERB_DELETE, "t", NULL, NULL, false},
        {"read,delete:t/d/**", KEY_VERB_DELETE, "t", "d", NULL, false},
        {"admin:*/*/*", KEY_VERB_ADMIN, NULL, NULL, NULL, true},
        {"*:*/*/*", KEY_VERB_ADMIN, "t", "d", "c", false},
        {"*:*/*/*", KEY_VERB_CREATE, "t", "d", "c", true},
        {"write:t/d/docs-*", KEY_VERB_WRITE, "t", "d", "docs-", true},
        {"write:t/d/docs-*", KEY_VERB_WRITE, "t", "d", "docs-a-b", true},
        {"write:t/d/docs-*", KEY_VERB_WRITE, "t", "d", "my-docs-a", false},
        {"write:t/d/*a*b", KEY_VERB_WRITE, "t", "d", "xaxbxab", true},
        {"write:t/d/*a*b", KEY_VERB_WRITE, "t", "d", "xaxbxabx", false},
        {"write:t*/d/c", KEY_VERB_WRITE, "team", "d", "c", true},
        {"read:t/d/c:x", KEY_VERB_READ, "t", "d", "c:x", true}, /* only the first colon cuts */
        {"read:t/d/do?s", KEY_VERB_READ, "t", "d", "docs", false},
        {"read:t/d/DOCS", KEY_VERB_READ, "t", "d", "docs", false},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct key_scope  scope;
        struct key_target target = {
            .tenant = cases[i].tenant == NULL ? (struct bytes){0} : bytes_of(cases[i].tenant),
            .database = cases[i].database == NULL ? (struct bytes){0} : bytes_of(cases[i].database),
            .collection =
                cases[i].collection == NULL ? (struct bytes){0} : bytes_of(cases[i].collection)};

        ck_assert_int_eq(key_scope_parse(bytes_of(cases[i].scope), &scope, NULL), STATUS_OK);
        ck_assert_msg(key_scope_allows(&scope, 1, cases[i].verb, &target) == cases[i].is_allowed,
                      "%s, case %zu", cases[i].scope, i);
    }
}
END_TEST

START_TEST(what_is_no_scope_is_told)
{
    static const char *const wrong[] = {"",
                                        "read",
                                        "read:",
                                        "read:t",
                                        "read:t/d",
                                        "read:t/d/",
                                        "read:/d/c",
                                        "read:t//c",
                                        "read:t/d/c/e",
                                        ":t/d/c",
                                        "see:t/d/c",
                                        "read,:t/d/c",
                                        ",read:t/d/c",
                                        "read,,write:t/d/c",
                                        "Read:t/d/c",
                                        "read :t/d/c"};
    struct key_scope         scope;
    struct error             error;
    char                     long_text[KEY_SCOPE_TEXT_MAX + 2] = "read:t/d/";

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        error.text[0] = '\0';
        ck_assert_msg(key_scope_parse(bytes_of(wrong[i]), &scope, &error) == STATUS_INVALID, "'%s'",
                      wrong[i]);
        ck_assert_str_ne(error.text, "");
    }
    memset(long_text + strlen(long_text), 'x', KEY_SCOPE_TEXT_MAX + 1 - strlen(long_text));
    ck_assert_int_eq(key_scope_parse(bytes_of(long_text), &scope, NULL), STATUS_INVALID);
}
END_TEST

START_TEST(a_list_may_be_asked_for_where_something_could_be_seen)
{
    struct key_scope scope;

    ck_assert_int_eq(key_scope_parse(BYTES_LITERAL("read:t/d/docs-*"), &scope, NULL), STATUS_OK);
    ck_assert(key_scope_reaches(&scope, 1, KEY_VERB_READ, bytes_of("t"), bytes_of("d")));
    ck_assert(!key_scope_reaches(&scope, 1, KEY_VERB_READ, bytes_of("t"), bytes_of("e")));
    ck_assert(!key_scope_reaches(&scope, 1, KEY_VERB_WRITE, bytes_of("t"), bytes_of("d")));
    ck_assert(!key_scope_reaches(&scope, 0, KEY_VERB_READ, bytes_of("t"), bytes_of("d")));
}
END_TEST

START_TEST(where_something_may_be_touched_is_no_secret)
{
    struct key_scope scope;
    struct bytes     database = bytes_of("d"), other = bytes_of("e");

    ck_assert_int_eq(key_scope_parse(BYTES_LITERAL("delete:t*/d/x"), &scope, NULL), STATUS_OK);
    ck_assert(key_scope_enters(&scope, 1, bytes_of("team"), NULL));
    ck_assert(!key_scope_enters(&scope, 1, bytes_of("a"), NULL));
    ck_assert(key_scope_enters(&scope, 1, bytes_of("t"), &database));
    ck_assert(!key_scope_enters(&scope, 1, bytes_of("t"), &other));
}
END_TEST

START_TEST(a_scope_is_printed_as_it_is_read)
{
    static const char *const texts[][2] = {{"read:t/d/c", "read:t/d/c"},
                                           {"*:a/b*/*", "read,write,create,delete:a/b*/*"},
                                           {"admin,read:*/*/*", "read,admin:*/*/*"}};
    struct key_scope         scope;
    char                     out[80];

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        ck_assert_int_eq(key_scope_parse(bytes_of(texts[i][0]), &scope, NULL), STATUS_OK);
        ck_assert_str_eq(key_scope_print(&scope, out, sizeof out), texts[i][1]);
    }
    ck_assert_str_eq(key_scope_print(&scope, out, 8), "read,ad");
}
END_TEST

START_TEST(a_pattern_made_to_be_slow_is_not)
{
    char              text[KEY_SCOPE_TEXT_MAX], name[512];
    struct key_scope  scope;
    struct key_target target = {bytes_of("t"), bytes_of("d"), {name, sizeof name}};

    memcpy(text, "read:t/d/", 9);
    for (size_t i = 9; i < sizeof text; i++)
        text[i] = i % 2 == 0 ? '*' : 'a';
    text[sizeof text - 1] = 'b';
    memset(name, 'a', sizeof name);
    ck_assert_int_eq(
        key_scope_parse((struct bytes){.data = text, .size = sizeof text}, &scope, NULL),
        STATUS_OK);
    for (int i = 0; i < 1000; i++)
        ck_assert(!key_scope_allows(&scope, 1, KEY_VERB_READ, &target));
}
END_TEST

/* ---- Ring ----------------------------------------------------------------------------------- */

static void digest_of(uint64_t number, unsigned char digest[KEY_RING_DIGEST_SIZE])
{
    for (size_t i = 0; i < KEY_RING_DIGEST_SIZE; i += 8) {
        uint64_t part = rng_mix(number * 4 + i / 8 + 1);

        memcpy(digest + i, &part, 8);
    }
}

static enum status add_key(struct key_ring *ring, uint64_t number, const char *scope)
{
    struct bytes          scopes[1] = {bytes_of(scope)};
    char                  name[32];
    struct key_ring_entry entry = {.id = (uint32_t)number,
                                   .service =
                                       number % 2 == 0 ? (struct bytes){0} : BYTES_LITERAL("chat"),
                                   .scopes = scopes,
                                   .scope_count = 1};

    digest_of(number, entry.digest);
    snprintf(name, sizeof name, "key-%d", (int)number);
    entry.name = bytes_of(name);
    return key_ring_add(ring, &entry, NULL);
}

START_TEST(only_what_was_entered_is_found)
{
    struct key_ring           *ring = key_ring_new();
    unsigned char              digest[KEY_RING_DIGEST_SIZE];
    const struct key_ring_key *key;

    digest_of(1, digest);
    ck_assert_ptr_null(key_ring_find(ring, digest));
    ck_assert_int_eq(add_key(ring, 1, "read:t/d/c"), STATUS_OK);
    ck_assert_int_eq(add_key(ring, 1, "read:t/d/c"), STATUS_INVALID);
    ck_assert_int_eq(add_key(ring, 2, "nothing"), STATUS_INVALID);
    key = key_ring_find(ring, digest);
    ck_assert_ptr_nonnull(key);
    ck_assert_str_eq(key->name, "key-1");
    ck_assert_str_eq(key->service, "chat");
    ck_assert_uint_eq(key->id, 1);
    ck_assert_uint_eq(key->scope_count, 1);
    ck_assert_uint_eq(key->used, 1);
    for (size_t i = 0; i < KEY_RING_DIGEST_SIZE; i++) { /* every byte counts */
        digest[i] ^= 1;
        ck_assert_ptr_null(key_ring_find(ring, digest));
        digest[i] ^= 1;
    }
    key_ring_drop(ring);
}
END_TEST

START_TEST(who_holds_a_ring_can_read_it)
{
    struct key_ring *ring = key_ring_new(), *held = key_ring_hold(ring);
    size_t           position = 0;

    ck_assert_int_eq(add_key(ring, 1, "read:t/d/c"), STATUS_OK);
    key_ring_drop(ring);
    ck_assert_uint_eq(key_ring_count(held), 1);
    ck_assert_str_eq(key_ring_next(held, &position)->name, "key-1");
    ck_assert_ptr_null(key_ring_next(held, &position));
    key_ring_drop(held);
}
END_TEST

START_TEST(a_hundred_thousand_keys_take_less_than_20_mib)
{
    size_t           before = mallinfo2().uordblks;
    struct key_ring *ring = key_ring_new();
    unsigned char    digest[KEY_RING_DIGEST_SIZE];

    for (uint64_t i = 0; i < 100000; i++)
        ck_assert_int_eq(add_key(ring, i, "read,write:default_tenant/default_database/docs-*"),
                         STATUS_OK);
    ck_assert_uint_le(mallinfo2().uordblks + mallinfo2().hblkhd - before, 20 << 20);
    for (uint64_t i = 0; i < 200000; i++) {
        digest_of(i, digest);
        if ((key_ring_find(ring, digest) != NULL) != (i < 100000))
            ck_abort_msg("key %d", (int)i);
    }
    key_ring_drop(ring);
}
END_TEST

/* ---- Wrong keys ----------------------------------------------------------------------------- */

START_TEST(wrong_keys_are_answered_later_and_later_and_forgotten)
{
    static const unsigned char secret[SIPHASH_KEY_SIZE] = {1};
    struct key_slowdown       *slowdown = key_slowdown_new(secret);
    struct bytes               address = {.data = "\x0a\x00\x00\x01", .size = 4};
    struct bytes               other = {.data = "\x0a\x00\x00\x02", .size = 4};
    uint64_t                   now_us = 1000 * SECOND;

    for (int i = 0; i < KEY_SLOWDOWN_FREE; i++)
        ck_assert_uint_eq(key_slowdown_count(slowdown, address, now_us), 0);
    ck_assert_uint_eq(key_slowdown_count(slowdown, address, now_us), SECOND / 10);
    ck_assert_uint_eq(key_slowdown_count(slowdown, address, now_us), SECOND / 5);
    ck_assert_uint_eq(key_slowdown_count(slowdown, other, now_us), 0);
    for (int i = 0; i < 100; i++)
        key_slowdown_count(slowdown, address, now_us);
    ck_assert_uint_eq(key_slowdown_count(slowdown, address, now_us), 5 * SECOND);
    now_us += 10 * 60 * SECOND;
    ck_assert_uint_eq(key_slowdown_count(slowdown, address, now_us), 0);
    key_slowdown_free(slowdown);
}
END_TEST

/* As one that a program with an old key asks with, again and again. */
START_TEST(half_of_wrong_keys_are_forgotten_each_minute_though_others_come)
{
    static const unsigned char secret[SIPHASH_KEY_SIZE] = {1};
    struct key_slowdown       *slowdown = key_slowdown_new(secret);
    struct bytes               address = {.data = "\x0a\x00\x00\x01", .size = 4};
    uint64_t                   now_us = 1000 * SECOND, wait_us = 0;

    for (int i = 0; i < 100; i++, now_us += 30 * SECOND)
        ck_assert_uint_eq(key_slowdown_count(slowdown, address, now_us), 0);
    for (int i = 0; i < 100; i++, now_us += 5 * SECOND)
        wait_us = key_slowdown_count(slowdown, address, now_us);
    ck_assert_uint_eq(wait_us, 5 * SECOND);
    key_slowdown_free(slowdown);
}
END_TEST

START_TEST(addresses_of_one_v6_network_are_one)
{
    static const unsigned char secret[SIPHASH_KEY_SIZE] = {1};
    struct key_slowdown       *slowdown = key_slowdown_new(secret);
    char                       address[16] = "\x20\x01\x0d\xb8";
    uint64_t                   wait_us = 0;

    for (int i = 0; i < 10; i++) {
        address[15] = (char)i;
        wait_us = key_slowdown_count(slowdown, (struct bytes){address, 16}, SECOND);
    }
    ck_assert_uint_gt(wait_us, 0);
    address[7] = 1;
    ck_assert_uint_eq(key_slowdown_count(slowdown, (struct bytes){address, 16}, SECOND), 0);
    key_slowdown_free(slowdown);
}
END_TEST

START_TEST(many_addresses_do_not_make_a_stubborn_one_forgotten)
{
    static const unsigned char secret[SIPHASH_KEY_SIZE] = {1};
    struct key_slowdown       *slowdown = key_slowdown_new(secret);
    struct bytes               stubborn = {.data = "stub", .size = 4};

    for (int i = 0; i < 50; i++)
        key_slowdown_count(slowdown, stubborn, SECOND);
    for (uint32_t i = 0; i < 100000; i++)
        key_slowdown_count(slowdown, (struct bytes){(const char *)&i, 4}, SECOND);
    ck_assert_uint_eq(key_slowdown_count(slowdown, stubborn, SECOND), 5 * SECOND);
    key_slowdown_free(slowdown);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("key_ring");

    tcase_add_test(tcase, a_key_has_a_prefix_and_a_checksum);
    tcase_add_test(tcase, every_changed_letter_is_noticed);
    tcase_add_test(tcase, a_scope_allows_what_it_says);
    tcase_add_test(tcase, what_is_no_scope_is_told);
    tcase_add_test(tcase, a_list_may_be_asked_for_where_something_could_be_seen);
    tcase_add_test(tcase, where_something_may_be_touched_is_no_secret);
    tcase_add_test(tcase, a_scope_is_printed_as_it_is_read);
    tcase_add_test(tcase, a_pattern_made_to_be_slow_is_not);
    tcase_add_test(tcase, only_what_was_entered_is_found);
    tcase_add_test(tcase, who_holds_a_ring_can_read_it);
    tcase_add_test(tcase, a_hundred_thousand_keys_take_less_than_20_mib);
    tcase_add_test(tcase, wrong_keys_are_answered_later_and_later_and_forgotten);
    tcase_add_test(tcase, half_of_wrong_keys_are_forgotten_each_minute_though_others_come);
    tcase_add_test(tcase, addresses_of_one_v6_network_are_one);
    tcase_add_test(tcase, many_addresses_do_not_make_a_stubborn_one_forgotten);
    return check_main("key_ring", tcase);
}
