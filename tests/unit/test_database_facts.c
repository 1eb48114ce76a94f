/* What must hold: a database that nobody touched says the same again, and another thing after any
 * write, whatever that leaves as it was; one that was not closed says nothing; reading changes
 * nothing. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child/database_facts.h"
#include "support/check_main.h"

static char folder[] = "/tmp/database_facts.XXXXXX", path[64];

/* The tables that count, as Chroma 1.5.9 makes them. */
static const char schema[] =
    "CREATE TABLE migrations (dir TEXT, version INTEGER, filename TEXT, sql TEXT, hash TEXT);"
    "CREATE TABLE tenants (id TEXT PRIMARY KEY);"
    "CREATE TABLE databases (id TEXT PRIMARY KEY, name TEXT, tenant_id TEXT);"
    "CREATE TABLE collections (id TEXT PRIMARY KEY, name TEXT, dimension INTEGER, database_id TEXT,"
    " config_json_str TEXT, schema_str TEXT);"
    "CREATE TABLE collection_metadata (collection_id TEXT, key TEXT, str_value TEXT,"
    " int_value INTEGER, float_value REAL, bool_value INTEGER);"
    "CREATE TABLE segments (id TEXT PRIMARY KEY, type TEXT, scope TEXT, collection TEXT);"
    "CREATE TABLE max_seq_id (segment_id TEXT PRIMARY KEY, seq_id INTEGER);"
    "CREATE TABLE embeddings_queue (seq_id INTEGER PRIMARY KEY, topic TEXT, id TEXT);"
    "CREATE TABLE embeddings (id INTEGER PRIMARY KEY, segment_id TEXT, embedding_id TEXT);"
    "INSERT INTO embeddings VALUES (1, 's1', 'a'), (2, 's1', 'b'), (3, 's3', 'a');"
    "INSERT INTO collections VALUES ('c1', 'docs', 3, 'd', '{}', NULL), ('c2', 'new', NULL, 'd',"
    " '{}', NULL);"
    "INSERT INTO segments VALUES ('s1', 'sqlite', 'METADATA', 'c1'), ('s2', 'sqlite', 'METADATA',"
    " 'c2'), ('v1', 'hnsw', 'VECTOR', 'c1');"
    "INSERT INTO max_seq_id VALUES ('s1', 5);"
    "INSERT INTO embeddings_queue VALUES (4, 'persistent://default/default/c1', 'a'),"
    " (5, 'persistent://default/default/c1', 'b');";

static void run(const char *text)
{
    sqlite3 *database;

    ck_assert_int_eq(sqlite3_open(path, &database), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(database, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/chroma.sqlite3", folder);
    run(schema);
}

static void teardown(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *facts(void)
{
    static char  texts[2][DATABASE_FACTS_SIZE];
    static int   used;
    struct error error = {.text = ""};
    char        *text = texts[used++ % 2];

    ck_assert_msg(database_facts_read(folder, text, &error) == STATUS_OK, "%s", error.text);
    return text;
}

static enum status outcome(void)
{
    char         text[DATABASE_FACTS_SIZE];
    struct error error;

    return database_facts_read(folder, text, &error);
}

/* Put its times back, as a backup does. */
static void keep_times(const struct stat *was)
{
    struct timespec times[2] = {was->st_atim, was->st_mtim};

    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

START_TEST(untouched_it_says_the_same)
{
    struct stat was, is;

    ck_assert_int_eq(stat(path, &was), 0);
    ck_assert_str_eq(facts(), facts());
    ck_assert(database_facts_has(folder, "c1", 2));
    ck_assert_int_eq(stat(path, &is), 0);
    ck_assert_int_eq(was.st_mtim.tv_nsec, is.st_mtim.tv_nsec);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(folder), 0); /* there is nothing beside it */
    ck_assert_int_eq(mkdir(folder, 0700), 0);
}
END_TEST

START_TEST(what_is_written_shows_even_if_times_are_put_back)
{
    static const char *const writes[] = {
        "UPDATE max_seq_id SET seq_id = 6",
        "INSERT INTO embeddings_queue VALUES (6, 'persistent://default/default/c1', 'a')",
        "UPDATE collections SET name = 'other' WHERE id = 'c1'",
        "INSERT INTO collection_metadata VALUES ('c1', 'k', NULL, 1, NULL, NULL)",
        "UPDATE segments SET id = 's3' WHERE id = 's2'",
        "INSERT INTO migrations VALUES ('metadb', 9, 'f', 's', 'h')",
        "INSERT INTO tenants VALUES ('t')",
        "INSERT INTO databases VALUES ('e', 'e', 't')",
    };

    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        char        before[DATABASE_FACTS_SIZE];
        struct stat was;

        ck_assert_int_eq(stat(path, &was), 0);
        strcpy(before, facts());
        run(writes[i]);
        keep_times(&was);
        ck_assert_str_ne(strstr(facts(), "catalogue="), strstr(before, "catalogue="));
        ck_assert_str_ne(strstr(facts(), "changes="), strstr(before, "changes="));
    }
}
END_TEST

START_TEST(another_file_or_time_shows)
{
    char        before[DATABASE_FACTS_SIZE], command[400];
    struct stat was;

    ck_assert_int_eq(stat(path, &was), 0);
    strcpy(before, facts());
    snprintf(command, sizeof command, "cp -p %s %s.copy && mv %s.copy %s", path, path, path, path);
    ck_assert_int_eq(system(command), 0);
    ck_assert_str_ne(facts(), before);
    strcpy(before, facts());
    was.st_mtim.tv_nsec ^= 1;
    keep_times(&was);
    ck_assert_str_ne(facts(), before);
}
END_TEST

START_TEST(what_was_not_closed_says_nothing)
{
    static const char *const endings[] = {"-wal", "-journal"};

    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        char beside[80];
        int  fd;

        snprintf(beside, sizeof beside, "%s%s", path, endings[i]);
        fd = open(beside, O_RDWR | O_CREAT, 0600);
        ck_assert_int_eq(outcome(), STATUS_OK); /* it is empty */
        ck_assert_int_eq(write(fd, "x", 1), 1);
        close(fd);
        ck_assert_int_eq(outcome(), STATUS_AGAIN);
        ck_assert_int_eq(unlink(beside), 0);
    }
}
END_TEST

/* SQLite has them beside the file, wherever a link to it is. */
START_TEST(what_a_link_leads_to_was_not_closed)
{
    char command[300], before[DATABASE_FACTS_SIZE];

    snprintf(command, sizeof command, "mkdir %s/far && mv %s %s/far/data && ln -s far/data %s",
             folder, path, folder, path);
    ck_assert_int_eq(system(command), 0);
    strcpy(before, facts());
    ck_assert_str_eq(facts(), before);
    ck_assert(database_facts_has(folder, "c1", 2));
    snprintf(command, sizeof command, "echo x > %s/far/data-wal", folder);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(outcome(), STATUS_AGAIN);
}
END_TEST

START_TEST(what_is_no_chroma_says_nothing)
{
    char text[DATABASE_FACTS_SIZE];

    ck_assert_int_eq(database_facts_read("/nowhere", text, NULL), STATUS_NOT_FOUND);
    ck_assert_int_eq(database_facts_read("", text, NULL), STATUS_NOT_FOUND);
    run("DROP TABLE max_seq_id");
    ck_assert_int_eq(outcome(), STATUS_IO_FAILED);
    ck_assert(!database_facts_has(folder, "c1", 2));
    ck_assert_int_eq(truncate(path, 10), 0);
    ck_assert_int_eq(outcome(), STATUS_IO_FAILED);
}
END_TEST

START_TEST(what_was_not_taken_in_is_seen)
{
    ck_assert(!database_facts_has(folder, "c1", 3));
    ck_assert(!database_facts_has(folder, "c3", 0));
    ck_assert(!database_facts_has(folder, "c2", 0)); /* nothing was ever: it cannot be told */
    run("INSERT INTO embeddings_queue VALUES (6, 'persistent://default/default/c2', 'a')");
    ck_assert(database_facts_has(folder, "c1", 2));
    run("INSERT INTO embeddings_queue VALUES (7, 'persistent://default/default/c1', 'a')");
    ck_assert(!database_facts_has(folder, "c1", 2));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("database_facts");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, untouched_it_says_the_same);
    tcase_add_test(tcase, what_is_written_shows_even_if_times_are_put_back);
    tcase_add_test(tcase, another_file_or_time_shows);
    tcase_add_test(tcase, what_was_not_closed_says_nothing);
    tcase_add_test(tcase, what_a_link_leads_to_was_not_closed);
    tcase_add_test(tcase, what_is_no_chroma_says_nothing);
    tcase_add_test(tcase, what_was_not_taken_in_is_seen);
    return check_main("database_facts", tcase);
}
