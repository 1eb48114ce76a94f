/* What must hold: the digests of the standard's examples, also one after the other. */
#include <stdio.h>

#include "io/sha256.h"
#include "support/check_main.h"

static const char *hex_of(struct sha256 *sha256, const char *text)
{
    static char   hex[2 * SHA256_DIGEST_SIZE + 1];
    unsigned char digest[SHA256_DIGEST_SIZE];

    ck_assert(sha256_digest(sha256, bytes_of(text), digest));
    for (size_t i = 0; i < sizeof digest; i++)
        sprintf(hex + 2 * i, "%02x", digest[i]);
    return hex;
}

START_TEST(digests_are_those_of_the_standard)
{
    struct sha256 *sha256 = sha256_new();

    ck_assert_ptr_nonnull(sha256);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_str_eq(hex_of(sha256, ""),
                         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        ck_assert_str_eq(hex_of(sha256, "abc"),
                         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        ck_assert_str_eq(hex_of(sha256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
    sha256_free(sha256);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("sha256");

    tcase_add_test(tcase, digests_are_those_of_the_standard);
    return check_main("sha256", tcase);
}
