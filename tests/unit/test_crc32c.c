/* What must hold: the known values of RFC 3720, and that pieces sum up as the whole does. */
#include "base/crc32c.h"

#include <string.h>

#include "base/rng.h"
#include "support/check_main.h"

START_TEST(known_values_come_out)
{
    unsigned char data[32];

    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
    memset(data, 0, sizeof data);
    ck_assert_uint_eq(crc32c(0, data, sizeof data), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    ck_assert_uint_eq(crc32c(0, data, sizeof data), 0x62a8ab43);
    ck_assert_uint_eq(crc32c(0, data, 0), 0);
}
END_TEST

START_TEST(every_way_gives_the_same_sum)
{
    unsigned char data[300];
    struct rng    rng;

    rng_init(&rng, 1);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)rng_next(&rng);
    for (size_t size = 0; size < 290; size++)
        for (size_t cut = 0; cut <= size; cut += 7) {
            uint32_t whole = crc32c_portable(0, data + 3, size);

            ck_assert_uint_eq(crc32c(0, data + 3, size), whole);
            ck_assert_uint_eq(crc32c(crc32c(0, data + 3, cut), data + 3 + cut, size - cut), whole);
        }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("crc32c");

    tcase_add_test(tcase, known_values_come_out);
    tcase_add_test(tcase, every_way_gives_the_same_sum);
    return check_main("crc32c", tcase);
}
