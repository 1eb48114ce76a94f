/* What must hold: connections are counted by address whatever the port, and those without one are
 * not. */
#include "front/front_addresses.h"
#include "support/check_main.h"

static struct socket_address address(const char *host, uint16_t port)
{
    struct socket_address made;

    ck_assert(socket_address_from_literal(host, port, &made));
    return made;
}

START_TEST(an_address_is_counted_whatever_the_port)
{
    struct front_addresses *addresses = front_addresses_new();
    struct socket_address   first = address("10.0.0.1", 1), again = address("10.0.0.1", 65535),
                          other = address("10.0.0.2", 1), six = address("fd00::1", 1),
                          six_again = address("fd00::1", 2);

    front_addresses_add(addresses, &first);
    front_addresses_add(addresses, &again);
    front_addresses_add(addresses, &six);
    ck_assert_uint_eq(front_addresses_count(addresses, &first), 2);
    ck_assert_uint_eq(front_addresses_count(addresses, &other), 0);
    ck_assert_uint_eq(front_addresses_count(addresses, &six_again), 1);
    front_addresses_remove(addresses, &first);
    front_addresses_remove(addresses, &first);
    front_addresses_remove(addresses, &first); /* no-op */
    ck_assert_uint_eq(front_addresses_count(addresses, &again), 0);
    front_addresses_add(addresses, &first);
    ck_assert_uint_eq(front_addresses_count(addresses, &again), 1);
    front_addresses_free(addresses);
}
END_TEST

START_TEST(clients_without_an_address_are_not_counted)
{
    struct front_addresses *addresses = front_addresses_new();
    struct socket_address   nobody = {.size = 0}, path;

    ck_assert(socket_address_from_path("/tmp/x", &path));
    path.size = 2; /* as accept(2) says of a client's socket */
    front_addresses_add(addresses, &nobody);
    front_addresses_add(addresses, &path);
    ck_assert_uint_eq(front_addresses_count(addresses, &nobody), 0);
    ck_assert_uint_eq(front_addresses_count(addresses, &path), 0);
    front_addresses_remove(addresses, &path);
    front_addresses_free(addresses);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("front_addresses");

    tcase_add_test(tcase, an_address_is_counted_whatever_the_port);
    tcase_add_test(tcase, clients_without_an_address_are_not_counted);
    return check_main("front_addresses", tcase);
}
