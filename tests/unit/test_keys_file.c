/* What must hold: what was added is found by its digest and by nothing else, no key stands in the
 * file, what was revoked is gone, a file that others may use is refused, a wrong line is named, and
 * changes at the same time are all there afterwards. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/keys_file.h"
#include "io/sha256.h"
#include "limits/key_ring.h"
#include "limits/key_text.h"
#include "support/check_main.h"

static char         folder[] = "/tmp/keys-file-XXXXXX";
static char         path[64];
static struct error error;
static uint32_t     made_id;

static void setup(void)
{
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/keys", folder);
}

static void teardown(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left */
}

static void add(const char *name, const char *scope, char key[KEYS_FILE_KEY_SIZE])
{
    struct bytes scopes[1] = {bytes_of(scope == NULL ? "" : scope)};

    ck_assert_int_eq(keys_file_add(path, bytes_of(name), BYTES_LITERAL("chat"), scopes,
                                   scope != NULL, key, &made_id, &error),
                     STATUS_OK);
}

static struct key_ring *load(void)
{
    struct key_ring *ring = NULL;

    if (keys_file_load(path, &ring, &error) != STATUS_OK)
        ck_abort_msg("%s", error.text);
    return ring;
}

static const struct key_ring_key *find(struct key_ring *ring, const char *key)
{
    struct sha256 *sha256 = sha256_new();
    unsigned char  digest[SHA256_DIGEST_SIZE];

    ck_assert(sha256_digest(sha256, bytes_of(key), digest));
    sha256_free(sha256);
    return key_ring_find(ring, digest);
}

static void write_file(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

static char *read_file(void)
{
    static char text[4096];
    int         fd = open(path, O_RDONLY);
    ssize_t     size = read(fd, text, sizeof text - 1);

    close(fd);
    ck_assert_int_ge(size, 0);
    text[size] = '\0';
    return text;
}

START_TEST(what_was_added_is_found)
{
    char                       first[KEYS_FILE_KEY_SIZE], second[KEYS_FILE_KEY_SIZE];
    struct key_ring           *ring;
    const struct key_ring_key *key;
    struct stat                info;

    add("chat-prod", "read:t/d/docs-*", first);
    add("batch", NULL, second);
    ck_assert(key_text_is_valid(bytes_of(first)));
    ck_assert_str_ne(first, second);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    ck_assert_ptr_null(strstr(read_file(), "cbk_"));
    ring = load();
    ck_assert_uint_eq(key_ring_count(ring), 2);
    key = find(ring, first);
    ck_assert_str_eq(key->name, "chat-prod");
    ck_assert_str_eq(key->service, "chat");
    ck_assert_uint_eq(key->scope_count, 1);
    ck_assert_uint_eq(key->scopes[0].verbs, KEY_VERB_READ);
    key = find(ring, second);
    ck_assert_uint_eq(key->scopes[0].verbs,
                      KEY_VERB_READ | KEY_VERB_WRITE | KEY_VERB_CREATE | KEY_VERB_DELETE);
    first[10] ^= 1;
    ck_assert_ptr_null(find(ring, first));
    key_ring_drop(ring);
}
END_TEST

START_TEST(a_link_stays_one_and_its_file_is_changed)
{
    char             key[KEYS_FILE_KEY_SIZE], link[sizeof path + 5];
    struct key_ring *ring;
    struct stat      info;

    add("one", NULL, key);
    snprintf(link, sizeof link, "%s.link", path);
    ck_assert_int_eq(symlink(path, link), 0);
    ck_assert_int_eq(keys_file_revoke(link, BYTES_LITERAL("one"), &error), STATUS_OK);
    ck_assert_int_eq(lstat(link, &info), 0);
    ck_assert(S_ISLNK(info.st_mode));
    ring = load();
    ck_assert_ptr_null(find(ring, key));
    key_ring_drop(ring);
    ck_assert_int_eq(unlink(link), 0);
}
END_TEST

START_TEST(a_key_is_revoked_by_name_or_id)
{
    char             keys[3][KEYS_FILE_KEY_SIZE], id[9];
    struct key_ring *ring;

    add("one", NULL, keys[0]);
    add("two", NULL, keys[1]);
    add("two", NULL, keys[2]);
    ck_assert_int_eq(keys_file_revoke(path, bytes_of("three"), &error), STATUS_NOT_FOUND);
    ck_assert_int_eq(keys_file_revoke(path, bytes_of("two"), &error), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "2 keys have the name 'two'"));
    ck_assert_int_eq(keys_file_revoke(path, bytes_of("one"), &error), STATUS_OK);
    ring = load();
    ck_assert_ptr_null(find(ring, keys[0]));
    ck_assert_ptr_nonnull(find(ring, keys[1]));
    ck_assert_uint_eq(find(ring, keys[2])->id, made_id);
    snprintf(id, sizeof id, "%08x", find(ring, keys[1])->id);
    key_ring_drop(ring);
    ck_assert_int_eq(keys_file_revoke(path, bytes_of(id), &error), STATUS_OK);
    ring = load();
    ck_assert_ptr_null(find(ring, keys[1]));
    ck_assert_ptr_nonnull(find(ring, keys[2]));
    key_ring_drop(ring);
}
END_TEST

START_TEST(what_others_may_use_is_refused)
{
    struct key_ring *ring = NULL;
    char             key[KEYS_FILE_KEY_SIZE];

    ck_assert_int_eq(keys_file_load(path, &ring, &error), STATUS_NOT_FOUND);
    write_file("", 0644);
    ck_assert_int_eq(keys_file_load(path, &ring, &error), STATUS_NOT_PERMITTED);
    ck_assert_ptr_nonnull(strstr(error.text, "chmod 600"));
    ck_assert_int_eq(
        keys_file_add(path, bytes_of("one"), (struct bytes){0}, NULL, 0, key, &made_id, &error),
        STATUS_NOT_PERMITTED);
    ck_assert_str_eq(read_file(), "");
    write_file("", 0620);
    ck_assert_int_eq(keys_file_load(path, &ring, &error), STATUS_NOT_PERMITTED);
    ck_assert_int_eq(keys_file_load(folder, &ring, &error), STATUS_INVALID);
}
END_TEST

#define DIGEST "sha256=00000000000000000000000000000000000000000000000000000000000000ff"

START_TEST(a_wrong_line_is_named)
{
    static const char *const lines[] = {"nonsense",
                                        "key 0000000g " DIGEST " name=a",
                                        "key 00000001 " DIGEST,
                                        "key 00000001 name=a",
                                        "key 00000001 " DIGEST "0 name=a",
                                        "key 00000001 " DIGEST " " DIGEST " name=a",
                                        "key 00000001 " DIGEST " name=a name=b",
                                        "key 00000001 " DIGEST " name=a\tb",
                                        "key 00000001 " DIGEST " name=a  service=b",
                                        "key 00000001 " DIGEST " name=a allow=all",
                                        "key 00000001 " DIGEST " name=a created=x",
                                        "key 00000001 " DIGEST " name=a colour=red"};
    char                     text[400];
    struct key_ring         *ring;

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        ring = NULL;
        snprintf(text, sizeof text, "# a comment\n\n%s\n", lines[i]);
        write_file(text, 0600);
        ck_assert_int_eq(keys_file_load(path, &ring, &error), STATUS_INVALID);
        ck_assert_ptr_nonnull(strstr(error.text, "keys:3: "));
    }
    write_file("key 00000001 " DIGEST " name=a\nkey 00000002 " DIGEST " name=b\n", 0600);
    ck_assert_int_eq(keys_file_load(path, &ring, &error), STATUS_INVALID); /* the same key */
    write_file("key 00000001 " DIGEST " name=a service=b created=7 allow=read:t/d/c", 0600);
    ring = load();
    ck_assert_uint_eq(key_ring_count(ring), 1);
    key_ring_drop(ring);
}
END_TEST

START_TEST(what_cannot_be_entered_changes_nothing)
{
    static const char *const names[] = {"", "a b", "a\nb", "a=b",
                                        "0123456789012345678901234567890123456789012345678901234567"
                                        "890123"};
    static const char *const scopes[] = {"", "read", "read:t/d/a b", "read:t/d/c\nkey"};
    char                     key[KEYS_FILE_KEY_SIZE];

    for (size_t i = 0; i < COUNT_OF(names); i++)
        ck_assert_int_eq(keys_file_add(path, bytes_of(names[i]), (struct bytes){0}, NULL, 0, key,
                                       &made_id, &error),
                         STATUS_INVALID);
    for (size_t i = 0; i < COUNT_OF(scopes); i++) {
        struct bytes scope = bytes_of(scopes[i]);

        ck_assert_int_eq(
            keys_file_add(path, bytes_of("a"), (struct bytes){0}, &scope, 1, key, &made_id, &error),
            STATUS_INVALID);
    }
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(changes_at_the_same_time_are_all_there)
{
    enum { writers = 4, keys_each = 10 };
    struct key_ring *ring;
    char             key[KEYS_FILE_KEY_SIZE];

    for (int i = 0; i < writers; i++) {
        pid_t child = fork();

        if (child == 0) {
            for (int j = 0; j < keys_each; j++)
                add("many", NULL, key);
            _exit(0);
        }
        ck_assert_int_gt(child, 0);
    }
    for (int i = 0, status; i < writers; i++) {
        ck_assert_int_gt(wait(&status), 0);
        ck_assert_int_eq(status, 0);
    }
    ring = load();
    ck_assert_uint_eq(key_ring_count(ring), writers * keys_each);
    key_ring_drop(ring);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("keys_file");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_was_added_is_found);
    tcase_add_test(tcase, a_link_stays_one_and_its_file_is_changed);
    tcase_add_test(tcase, a_key_is_revoked_by_name_or_id);
    tcase_add_test(tcase, what_others_may_use_is_refused);
    tcase_add_test(tcase, a_wrong_line_is_named);
    tcase_add_test(tcase, what_cannot_be_entered_changes_nothing);
    tcase_add_test(tcase, changes_at_the_same_time_are_all_there);
    return check_main("keys_file", tcase);
}
