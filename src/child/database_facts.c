#include "child/database_facts.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/byte_buffer.h"
#include "io/sha256.h"

/* Of the header of an SQLite file. */
enum { header_size = 28, change_counter_at = 24 };

enum { path_size = 4096, catalogue_max = 64 << 20 };

static const char *const catalogue[] = {
    "SELECT dir, version, hash FROM migrations ORDER BY dir, version",
    "SELECT id FROM tenants ORDER BY id",
    "SELECT id, name, tenant_id FROM databases ORDER BY id",
    "SELECT id, name, dimension, database_id, config_json_str, schema_str FROM collections "
    "ORDER BY id",
    "SELECT collection_id, key, str_value, int_value, float_value, bool_value "
    "FROM collection_metadata ORDER BY collection_id, key",
    "SELECT id, type, scope, collection FROM segments ORDER BY id",
    "SELECT segment_id, seq_id FROM max_seq_id ORDER BY segment_id",
    "SELECT MAX(seq_id) FROM embeddings_queue",
};

/* What the segment of its metadata has not taken in, and what it has. */
static const char taken_in[] =
    "SELECT EXISTS (SELECT 1 FROM embeddings_queue WHERE seq_id > m.seq_id AND "
    "topic LIKE '%' || c.id), (SELECT COUNT(*) FROM embeddings WHERE segment_id = s.id) FROM "
    "collections c "
    "JOIN segments s ON s.collection = c.id AND s.scope = 'METADATA' "
    "JOIN max_seq_id m ON m.segment_id = s.id WHERE c.id = ?1";

static enum status look_at_file(const char *path, char *out, struct error *error);
static bool        is_left_empty(const char *path, const char *ending);
static enum status open_closed(const char *path, sqlite3 **ret_database, struct error *error);
static enum status digest_catalogue(sqlite3 *database, char *out, struct error *error);
static enum status add_rows(sqlite3 *database, const char *query, struct byte_buffer *out);
static bool        make_path(const char *directory, char path[path_size]);

enum status database_facts_read(const char *directory, char ret_text[DATABASE_FACTS_SIZE],
                                struct error *error)
{
    char        path[path_size], file[160], digest[2 * SHA256_DIGEST_SIZE + 1];
    sqlite3    *database = NULL;
    enum status status;

    if (!make_path(directory, path))
        return error_set(error, STATUS_NOT_FOUND, "%.200s: its path is too long", directory);
    status = look_at_file(path, file, error);
    if (status != STATUS_OK)
        return status;
    status = open_closed(path, &database, error);
    if (status == STATUS_OK)
        status = digest_catalogue(database, digest, error);
    sqlite3_close(database);
    if (status == STATUS_OK)
        snprintf(ret_text, DATABASE_FACTS_SIZE, "%s catalogue=%s", file, digest);
    return status;
}

/* Of the file itself, if that is a link to it: SQLite puts journal and log beside the file. */
static bool make_path(const char *directory, char path[path_size])
{
    char *real;
    bool  fits = directory[0] != '\0' &&
                (size_t)snprintf(path, path_size, "%s/chroma.sqlite3", directory) < path_size;

    if (!fits || (real = realpath(path, NULL)) == NULL)
        return fits; /* if it is not there, that is found out later */
    fits = strlen(real) < path_size;
    if (fits)
        strcpy(path, real);
    free(real);
    return fits;
}

static enum status look_at_file(const char *path, char *out, struct error *error)
{
    unsigned char header[header_size];
    struct stat   status;
    uint32_t      changes = 0;
    FILE         *file = fopen(path, "re");
    bool          is_read;

    if (file == NULL)
        return error_set(error, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO_FAILED, "%s: %s",
                         path, strerror(errno));
    is_read = fread(header, sizeof header, 1, file) == 1 && fstat(fileno(file), &status) == 0;
    fclose(file);
    if (!is_read || memcmp(header, "SQLite format 3", 16) != 0)
        return error_set(error, STATUS_IO_FAILED, "%s is no database", path);
    if (!is_left_empty(path, "-wal") || !is_left_empty(path, "-journal"))
        return error_set(error, STATUS_AGAIN, "%s was not closed", path);
    for (int i = 0; i < 4; i++)
        changes = changes << 8 | header[change_counter_at + i];
    snprintf(out, 160,
             "file=%" PRIxMAX ":%" PRIxMAX " size=%" PRIdMAX " time=%" PRIdMAX
             ".%09ld changes=%" PRIu32,
             (uintmax_t)status.st_dev, (uintmax_t)status.st_ino, (intmax_t)status.st_size,
             (intmax_t)status.st_mtim.tv_sec, status.st_mtim.tv_nsec, changes);
    return STATUS_OK;
}

/* Or not there. */
static bool is_left_empty(const char *path, const char *ending)
{
    char        whole[path_size + 16];
    struct stat status;

    snprintf(whole, sizeof whole, "%s%s", path, ending);
    return stat(whole, &status) == 0 ? status.st_size == 0 : errno == ENOENT;
}

/* As a file that nobody changes: SQLite takes no lock and makes no file beside it. */
static enum status open_closed(const char *path, sqlite3 **ret_database, struct error *error)
{
    char  uri[3 * path_size + 32] = "file:";
    char *at = uri + strlen(uri);

    for (; *path != '\0'; path++)
        at += sprintf(at, strchr("%?#", *path) != NULL ? "%%%02X" : "%c", (unsigned char)*path);
    strcpy(at, "?immutable=1");
    if (sqlite3_open_v2(uri, ret_database, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) ==
        SQLITE_OK)
        return STATUS_OK;
    return error_set(error, STATUS_IO_FAILED, "the database cannot be opened: %s",
                     sqlite3_errmsg(*ret_database));
}

static enum status digest_catalogue(sqlite3 *database, char *out, struct error *error)
{
    struct byte_buffer text = {0};
    struct sha256     *sha256 = sha256_new();
    unsigned char      digest[SHA256_DIGEST_SIZE];
    enum status        status = sha256 == NULL ? STATUS_NO_MEMORY : STATUS_OK;

    for (size_t i = 0; i < COUNT_OF(catalogue) && status == STATUS_OK; i++)
        status = add_rows(database, catalogue[i], &text);
    if (status == STATUS_OK && !sha256_digest(sha256, byte_buffer_bytes(&text), digest))
        status = STATUS_NO_MEMORY;
    sha256_free(sha256);
    byte_buffer_done(&text);
    if (status != STATUS_OK)
        return error_set(error, STATUS_IO_FAILED, "its tables cannot be read: %s",
                         sqlite3_errmsg(database));
    for (size_t i = 0; i < sizeof digest; i++)
        sprintf(out + 2 * i, "%02x", digest[i]);
    return STATUS_OK;
}

/* So that different rows never give the same bytes: each value with its type and size. */
static enum status add_rows(sqlite3 *database, const char *query, struct byte_buffer *out)
{
    sqlite3_stmt *statement = NULL;
    enum status   status = STATUS_OK;
    int           code = sqlite3_prepare_v2(database, query, -1, &statement, NULL);

    while (code == SQLITE_OK && status == STATUS_OK &&
           (code = sqlite3_step(statement)) == SQLITE_ROW) {
        code = SQLITE_OK;
        for (int i = 0; i < sqlite3_column_count(statement) && status == STATUS_OK; i++) {
            int         type = sqlite3_column_type(statement, i);
            const char *data = sqlite3_column_blob(statement, i);
            size_t      size = (size_t)sqlite3_column_bytes(statement, i);

            status = byte_buffer_printf(out, catalogue_max, "%d:%zu:", type, size);
            if (status == STATUS_OK && size > 0)
                status = byte_buffer_append(out, (struct bytes){.data = data, .size = size},
                                            catalogue_max);
        }
        if (status == STATUS_OK)
            status = byte_buffer_append(out, BYTES_LITERAL(";"), catalogue_max);
    }
    sqlite3_finalize(statement);
    if (status == STATUS_OK && code == SQLITE_DONE)
        status = byte_buffer_append(out, BYTES_LITERAL("\n"), catalogue_max);
    return status == STATUS_OK && code != SQLITE_DONE ? STATUS_IO_FAILED : status;
}

bool database_facts_has(const char *directory, const char *collection, uint64_t records)
{
    char          path[path_size];
    sqlite3      *database = NULL;
    sqlite3_stmt *statement = NULL;
    bool          has = false;

    if (make_path(directory, path) && open_closed(path, &database, NULL) == STATUS_OK &&
        sqlite3_prepare_v2(database, taken_in, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, collection, -1, SQLITE_STATIC) == SQLITE_OK)
        has = sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int(statement, 0) == 0 &&
              (uint64_t)sqlite3_column_int64(statement, 1) == records;
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return has;
}
