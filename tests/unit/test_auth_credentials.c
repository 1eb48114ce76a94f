/* What must hold: a key is found wherever clients show theirs, and who shows two different ones is
 * noticed, however they are written. */
#include "auth/auth_credentials.h"
#include "support/check_main.h"

static struct http_head        head;
static struct auth_credentials shown;

static void show(const char *name, const char *value)
{
    head.fields[head.field_count++] =
        (struct http_field){.name = bytes_of(name),
                            .value = bytes_of(value),
                            .id = http_field_identify(bytes_of(name))};
    auth_credentials_read(&head, &shown);
}

static void show_only(const char *name, const char *value)
{
    head.field_count = 0;
    show(name, value);
}

static void expect(const char *text)
{
    ck_assert_msg(bytes_equal(shown.text, bytes_of(text)), "'%.*s', not '%s'", (int)shown.text.size,
                  shown.text.data, text);
}

START_TEST(a_key_is_found_where_clients_show_theirs)
{
    show_only("Authorization", "Bearer cbk_1");
    expect("cbk_1");
    show_only("authorization", "bearer   cbk_1");
    expect("cbk_1");
    show_only("X-Chroma-Token", "cbk_1");
    expect("cbk_1");
    show_only("Authorization", "Basic dXNlcjpjYmtfMQ=="); /* user:cbk_1 */
    expect("cbk_1");
    show_only("Authorization", "Basic OmNia18x"); /* :cbk_1 */
    expect("cbk_1");
    show_only("X-Token", "cbk_1");
    expect("");
    show_only("Cookie", "key=cbk_1");
    expect("");
}
END_TEST

START_TEST(what_is_no_key_is_shown_as_it_is)
{
    static const char *const values[] = {"Digest abc", "Bearer", "Basic ****",
                                         "Basic dXNlcg==", "Bearercbk_1"};

    for (size_t i = 0; i < COUNT_OF(values); i++) {
        show_only("Authorization", values[i]);
        expect(values[i]);
    }
    show_only("Authorization", "");
    expect("");
}
END_TEST

START_TEST(two_different_ones_are_noticed)
{
    show_only("Authorization", "Bearer cbk_1");
    show("X-Chroma-Token", "cbk_1");
    ck_assert(!shown.are_two);
    show("Authorization", "Basic dXNlcjpjYmtfMQ==");
    ck_assert(!shown.are_two);
    show("Authorization", "Basic dXNlcjpjYmtfMg==");
    ck_assert(shown.are_two);
    expect("cbk_1");
    show_only("X-Chroma-Token", "cbk_1");
    show("Authorization", "Digest x");
    ck_assert(shown.are_two);
    show_only("X-Chroma-Token", "");
    show("Authorization", "Bearer cbk_1");
    ck_assert(!shown.are_two);
    expect("cbk_1");
}
END_TEST

START_TEST(a_dropped_field_shows_nothing)
{
    show_only("Authorization", "Bearer cbk_1");
    head.fields[0].hop_by_hop = true;
    auth_credentials_read(&head, &shown);
    expect("");
}
END_TEST

START_TEST(a_password_that_is_too_long_is_none)
{
    char value[600] = "Basic ";

    for (size_t i = 6; i < sizeof value - 1; i++)
        value[i] = 'O'; /* 0x38e38e... */
    show_only("Authorization", value);
    expect(value);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("auth_credentials");

    tcase_add_test(tcase, a_key_is_found_where_clients_show_theirs);
    tcase_add_test(tcase, what_is_no_key_is_shown_as_it_is);
    tcase_add_test(tcase, two_different_ones_are_noticed);
    tcase_add_test(tcase, a_dropped_field_shows_nothing);
    tcase_add_test(tcase, a_password_that_is_too_long_is_none);
    return check_main("auth_credentials", tcase);
}
