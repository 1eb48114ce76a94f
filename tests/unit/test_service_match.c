/* What must hold: a request is recognised as a plain walk over all rules would, ranges of both
 * families included, and texts of addresses are read strictly. */
#include "limits/service_match.h"

#include "base/rng.h"
#include "support/check_main.h"

enum { ENTRIES_MAX = 40 };

static const unsigned char secret[SIPHASH_KEY_SIZE] = {7};

static struct network network(const char *text)
{
    struct network ret;

    ck_assert_msg(network_parse(bytes_of(text), &ret), "%s", text);
    return ret;
}

static struct network_address address(const char *text)
{
    struct network_address ret;

    ck_assert_msg(network_address_parse(bytes_of(text), &ret), "%s", text);
    return ret;
}

START_TEST(networks_are_read_and_written)
{
    static const char *const same[] = {"10.1.0.0/16", "10.0.0.1", "0.0.0.0/0",  "::/0",
                                       "::1",         "fd00::/8", "2001:db8::1"};
    static const char *const bad[] = {
        "",       "10.1.0.1/16", "10.1.0.0/33", "10.1.0.0/",   "10.1.0/16",         "fd00::1/8",
        "::/129", "localhost",   "10.1.0.0/a",  "10.1.0.0/-1", "::ffff:10.0.0.0/95"};
    char           text[NETWORK_TEXT_SIZE];
    struct network read;

    for (size_t i = 0; i < COUNT_OF(same); i++) {
        read = network(same[i]);
        ck_assert_str_eq(network_format(&read, text), same[i]);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        ck_assert_msg(!network_parse(bytes_of(bad[i]), &read), "%s", bad[i]);
    ck_assert(!network_parse(BYTES_LITERAL("10.0.0.1\0"), &read));
    read = network("::ffff:10.1.0.0/112");
    ck_assert_str_eq(network_format(&read, text), "10.1.0.0/16");
}
END_TEST

START_TEST(an_ipv4_address_within_ipv6_is_the_ipv4_address)
{
    struct network         v4 = network("10.0.0.0/8"), v6 = network("::/0");
    struct network_address mapped = address("::ffff:10.2.3.4"), plain = address("::1");

    ck_assert(network_contains(&v4, &mapped));
    ck_assert(!network_contains(&v6, &mapped));
    ck_assert(network_contains(&v6, &plain));
    ck_assert(!network_contains(&v4, &plain));
    ck_assert(!network_address_from_host((struct bytes){"abc", 3}, &plain));
}
END_TEST

/* The smallest that contains it, the first of equal ones, found by walking over all. */
static uint32_t find_plainly(const struct network_entry *entries, size_t count,
                             const struct network_address *at)
{
    const struct network_entry *best = NULL;

    for (size_t i = 0; i < count; i++)
        if (network_contains(&entries[i].network, at) &&
            (best == NULL || entries[i].network.bits > best->network.bits))
            best = &entries[i];
    return best == NULL ? NETWORK_MAP_NONE : best->value;
}

/* Few different bytes, so that networks lie in each other and addresses at their edges. */
static struct network random_network(struct rng *rng, bool cuts_bits)
{
    static const unsigned char bytes[] = {0, 1, 127, 128, 254, 255};
    struct network             ret = {0};
    bool                       is_v4 = rng_below(rng, 2) == 0;
    size_t                     size = is_v4 ? 4 : 16;

    ret.first.key[0] = is_v4 ? 4 : 6;
    ret.bits = (uint8_t)(cuts_bits ? rng_below(rng, 8 * size + 1) : 8 * size);
    for (size_t i = 0; i < size; i++) {
        unsigned kept = ret.bits <= 8 * i ? 0 : ret.bits - 8 * (unsigned)i;
        unsigned mask = kept >= 8 ? 0xff : 0xff00u >> kept;

        if (i <= 1 || i >= size - 1)
            ret.first.key[i + 1] = (unsigned char)(bytes[rng_below(rng, COUNT_OF(bytes))] & mask);
    }
    return ret;
}

START_TEST(a_map_finds_what_a_plain_walk_finds)
{
    struct rng           rng;
    struct network_entry entries[ENTRIES_MAX];
    size_t               found = 0;

    rng_init(&rng, 11);
    for (int round = 0; round < 2000; round++) {
        size_t              count = rng_below(&rng, ENTRIES_MAX + 1);
        struct network_map *map;

        for (size_t i = 0; i < count; i++)
            entries[i] = (struct network_entry){random_network(&rng, true), (uint32_t)i};
        map = network_map_new(entries, count);
        ck_assert_ptr_nonnull(map);
        for (int i = 0; i < 50; i++) {
            struct network_address at = random_network(&rng, false).first;
            uint32_t               expected = find_plainly(entries, count, &at);

            ck_assert_uint_eq(network_map_find(map, &at), expected);
            found += expected != NETWORK_MAP_NONE;
        }
        network_map_free(map);
    }
    ck_assert_uint_gt(found, 10000);
    ck_assert_uint_lt(found, 90000);
}
END_TEST

START_TEST(a_service_is_known_by_field_user_and_address)
{
    const struct network            chat[] = {network("10.1.0.0/16"), network("fd00::/8")};
    const struct network            batch[] = {network("10.1.2.0/24")};
    const uint32_t                  uids[] = {1001, 0}, more[] = {7, 1001};
    const struct service_match_rule rules[] = {
        {.service = 1,
         .field_name = bytes_of("X-Service"),
         .field_value = bytes_of("chat"),
         .networks = chat,
         .network_count = 2,
         .uids = uids,
         .uid_count = 2},
        {.service = 2,
         .field_name = bytes_of("x-service"),
         .field_value = bytes_of("batch"),
         .networks = batch,
         .network_count = 1,
         .uids = more,
         .uid_count = 2},
        {.service = 3, .field_name = bytes_of("x-team"), .field_value = bytes_of("batch")},
    };
    struct service_match  *match = service_match_new(rules, COUNT_OF(rules), secret);
    struct network_address at = address("10.1.2.3");

    ck_assert_ptr_nonnull(match);
    ck_assert(service_match_is_field(match, bytes_of("x-SERVICE")));
    ck_assert(service_match_is_field(match, bytes_of("X-Team")));
    ck_assert(!service_match_is_field(match, bytes_of("x-steam")));
    ck_assert(!service_match_is_field(match, bytes_of("x-servic3")));
    ck_assert_uint_eq(service_match_by_field(match, bytes_of("X-SERVICE"), bytes_of("chat")), 1);
    ck_assert_uint_eq(service_match_by_field(match, bytes_of("x-service"), bytes_of("batch")), 2);
    ck_assert_uint_eq(service_match_by_field(match, bytes_of("x-team"), bytes_of("batch")), 3);
    ck_assert_uint_eq(service_match_by_field(match, bytes_of("x-team"), bytes_of("chat")),
                      SERVICE_MATCH_NONE);
    ck_assert_uint_eq(service_match_by_field(match, bytes_of("x-team"), bytes_of("Batch")),
                      SERVICE_MATCH_NONE);
    ck_assert_uint_eq(service_match_by_field(match, bytes_of("x-team"), bytes_of("")),
                      SERVICE_MATCH_NONE);
    ck_assert_uint_eq(service_match_by_uid(match, 1001), 1);
    ck_assert_uint_eq(service_match_by_uid(match, 0), 1);
    ck_assert_uint_eq(service_match_by_uid(match, 7), 2);
    ck_assert_uint_eq(service_match_by_uid(match, 8), SERVICE_MATCH_NONE);
    ck_assert_uint_eq(service_match_by_address(match, &at), 2);
    at = address("10.1.3.3");
    ck_assert_uint_eq(service_match_by_address(match, &at), 1);
    at = address("10.2.3.3");
    ck_assert_uint_eq(service_match_by_address(match, &at), SERVICE_MATCH_NONE);
    service_match_free(match);
}
END_TEST

START_TEST(a_service_is_known_by_key_and_name)
{
    static const char               keys[2][SERVICE_MATCH_NAME_SIZE] = {"one", "two"};
    const struct service_match_rule rules[] = {
        {.service = 4, .name = BYTES_LITERAL("chat"), .keys = keys, .key_count = 2},
        {.service = 5, .name = BYTES_LITERAL("one"), .keys = keys, .key_count = 1}};
    struct service_match *match = service_match_new(rules, COUNT_OF(rules), secret);

    ck_assert_ptr_nonnull(match);
    ck_assert_uint_eq(service_match_by_key(match, bytes_of("one")), 4); /* the first has it */
    ck_assert_uint_eq(service_match_by_key(match, bytes_of("two")), 4);
    ck_assert_uint_eq(service_match_by_key(match, bytes_of("chat")), SERVICE_MATCH_NONE);
    ck_assert_uint_eq(service_match_by_name(match, bytes_of("one")), 5);
    ck_assert_uint_eq(service_match_by_name(match, bytes_of("two")), SERVICE_MATCH_NONE);
    ck_assert(!service_match_has_fields(match));
    ck_assert(!service_match_is_field(match, bytes_of(":kone")));
    service_match_free(match);
}
END_TEST

START_TEST(without_rules_nobody_is_known)
{
    struct service_match  *match = service_match_new(NULL, 0, secret);
    struct network_address at = address("10.1.2.3");

    ck_assert_ptr_nonnull(match);
    ck_assert(!service_match_has_fields(match));
    ck_assert(!service_match_has_uids(match));
    ck_assert(!service_match_has_networks(match));
    ck_assert(!service_match_is_field(match, bytes_of("x-service")));
    ck_assert_uint_eq(service_match_by_uid(match, 0), SERVICE_MATCH_NONE);
    ck_assert_uint_eq(service_match_by_address(match, &at), SERVICE_MATCH_NONE);
    service_match_free(match);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("service_match");

    tcase_add_test(tcase, networks_are_read_and_written);
    tcase_add_test(tcase, an_ipv4_address_within_ipv6_is_the_ipv4_address);
    tcase_add_test(tcase, a_map_finds_what_a_plain_walk_finds);
    tcase_add_test(tcase, a_service_is_known_by_field_user_and_address);
    tcase_add_test(tcase, a_service_is_known_by_key_and_name);
    tcase_add_test(tcase, without_rules_nobody_is_known);
    return check_main("service_match", tcase);
}
