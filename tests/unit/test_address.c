/* What must hold: what is written can be read back as the same text, and whatever is not an
 * address is refused with a sentence that says what to write. */
#include "base/address.h"
#include "support/check_main.h"

static const struct {
    const char       *text;
    enum address_kind kind;
    const char       *where; /* host or path */
    uint16_t          port;
} accepted[] = {
    {"127.0.0.1:8001", ADDRESS_TCP, "127.0.0.1", 8001},
    {"localhost:0", ADDRESS_TCP, "localhost", 0},
    {"chroma.vectors.svc:65535", ADDRESS_TCP, "chroma.vectors.svc", 65535},
    {"[::1]:8001", ADDRESS_TCP, "::1", 8001},
    {"[fe80::1%eth0]:1", ADDRESS_TCP, "fe80::1%eth0", 1},
    {"unix:/run/chromabouncer.sock", ADDRESS_UNIX, "/run/chromabouncer.sock", 0},
};

static const struct {
    const char *text, *complaint;
} refused[] = {
    {"", "the host is missing"},
    {"8001", "a port is missing"},
    {":8001", "the host is missing"},
    {"localhost", "a port is missing"},
    {"localhost:", "the port must be a number"},
    {"localhost:65536", "the port must be a number"},
    {"localhost:000080", "the port must be a number"},
    {"localhost:-1", "the port must be a number"},
    {"*:80", "a character in the host name"},
    {"a b:80", "a character in the host name"},
    {"127.0.0.300:80", "not an IPv4 address"},
    {"::1:8001", "goes in brackets"},
    {"[::1:8001", "the bracket is not closed"},
    {"[::1]8001", "a colon and the port must follow"},
    {"[::1]", "a port is missing"},
    {"[localhost]:1", "not an IPv6 address"},
    {"[]:1", "the host is missing"},
    {"unix:run.sock", "must be absolute"},
    {"unix:", "must be absolute"},
    {"unix:/a\nb", "a control character"},
    {"http://localhost:8000", "no http:// in front"},
};

static const struct {
    const char *text, *canonical;
} urls[] = {
    {"http://127.0.0.1:8000", "http://127.0.0.1:8000"},
    {"http://chroma", "http://chroma:80"},
    {"HTTP://chroma/", "http://chroma:80"},
    {"http://[::1]:8000/", "http://[::1]:8000"},
    {"http://[::1]", "http://[::1]:80"},
    {"unix:/run/chroma.sock", "unix:/run/chroma.sock"},
};

static const struct {
    const char *text, *complaint;
} refused_urls[] = {
    {"", "write http://HOST:PORT"},
    {"localhost:8000", "write http://HOST:PORT"},
    {"https://chroma", "https is not supported yet"},
    {"http://", "the host is missing"},
    {"http:///", "the host is missing"},
    {"http://:80", "the host is missing"},
    {"http://user:password@chroma", "a user name"},
    {"http://chroma/api", "the URL must end after host and port"},
    {"http://chroma//", "the URL must end after host and port"},
    {"http://chroma?x", "a character in the host name"},
    {"http://chroma:0", "the port must be 1..65535"},
    {"http://chroma:", "the port must be a number"},
};

START_TEST(address_is_read_and_written_back)
{
    struct address address;
    char           text[ADDRESS_TEXT_SIZE];

    ck_assert_int_eq(address_parse(bytes_of(accepted[_i].text), &address, NULL), STATUS_OK);
    ck_assert_int_eq(address.kind, accepted[_i].kind);
    ck_assert_str_eq(address.kind == ADDRESS_TCP ? address.host : address.path, accepted[_i].where);
    ck_assert_uint_eq(address.port, accepted[_i].port);
    ck_assert_str_eq(address_format(&address, text, sizeof text), accepted[_i].text);
}
END_TEST

START_TEST(what_is_no_address_is_explained)
{
    struct address address = {.port = 7};
    struct error   error;

    ck_assert_int_eq(address_parse(bytes_of(refused[_i].text), &address, &error), STATUS_INVALID);
    ck_assert_msg(strstr(error.text, refused[_i].complaint) != NULL, "%s", error.text);
    ck_assert_uint_eq(address.port, 7);
}
END_TEST

START_TEST(url_is_read_and_written_in_full)
{
    struct address address;
    char           text[ADDRESS_TEXT_SIZE + 7];

    ck_assert_int_eq(address_parse_url(bytes_of(urls[_i].text), &address, NULL), STATUS_OK);
    ck_assert_str_eq(address_format_url(&address, text, sizeof text), urls[_i].canonical);
}
END_TEST

START_TEST(what_is_no_backend_url_is_explained)
{
    struct address address = {.port = 7};
    struct error   error;

    ck_assert_int_eq(address_parse_url(bytes_of(refused_urls[_i].text), &address, &error),
                     STATUS_INVALID);
    ck_assert_msg(strstr(error.text, refused_urls[_i].complaint) != NULL, "%s", error.text);
    ck_assert_uint_eq(address.port, 7);
}
END_TEST

START_TEST(lengths_are_bounded)
{
    struct address address;
    char           text[400] = "unix:/";
    char           out[ADDRESS_TEXT_SIZE];

    memset(text + 6, 'a', 106);
    ck_assert_int_eq(address_parse((struct bytes){text, 5 + 107}, &address, NULL), STATUS_OK);
    ck_assert_int_eq(address_parse((struct bytes){text, 5 + 108}, &address, NULL), STATUS_INVALID);
    memset(text, 'a', 256);
    memcpy(text + 255, ":65535", 6);
    ck_assert_int_eq(address_parse((struct bytes){text, 261}, &address, NULL), STATUS_OK);
    ck_assert_uint_eq(strlen(address_format(&address, out, sizeof out)), 261);
    memcpy(text + 255, "a:65535", 7);
    ck_assert_int_eq(address_parse((struct bytes){text, 262}, &address, NULL), STATUS_INVALID);
}
END_TEST

START_TEST(a_nul_does_not_end_a_text_early)
{
    struct address address;

    ck_assert_int_eq(address_parse(BYTES_LITERAL("unix:/a\0b"), &address, NULL), STATUS_INVALID);
    ck_assert_int_eq(address_parse(BYTES_LITERAL("a\0b:80"), &address, NULL), STATUS_INVALID);
    ck_assert_int_eq(address_parse(BYTES_LITERAL("[::1\0]:80"), &address, NULL), STATUS_INVALID);
    ck_assert_int_eq(address_parse(BYTES_LITERAL("[::1%\0]:80"), &address, NULL), STATUS_INVALID);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("address");

    tcase_add_loop_test(tcase, address_is_read_and_written_back, 0, COUNT_OF(accepted));
    tcase_add_loop_test(tcase, what_is_no_address_is_explained, 0, COUNT_OF(refused));
    tcase_add_loop_test(tcase, url_is_read_and_written_in_full, 0, COUNT_OF(urls));
    tcase_add_loop_test(tcase, what_is_no_backend_url_is_explained, 0, COUNT_OF(refused_urls));
    tcase_add_test(tcase, lengths_are_bounded);
    tcase_add_test(tcase, a_nul_does_not_end_a_text_early);
    return check_main("address", tcase);
}
