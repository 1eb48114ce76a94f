#include "child/database_mode.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

/* Bytes 18 and 19 of a database are its versions for writing and reading: 1 rollback, 2 WAL. */
enum { header_size = 100, write_version_at = 18, version_wal = 2 };
/* Long enough for what is written to be brought in. */
enum { busy_timeout_ms = 10000 };

static bool        is_to_change(const char *path, bool is_wal);
static enum status change_mode(sqlite3 *database, bool is_wal, struct error *error);

enum status database_mode_set(const char *directory, bool is_wal, struct error *error)
{
    char        path[4096];
    sqlite3    *database = NULL;
    enum status status;

    if ((size_t)snprintf(path, sizeof path, "%s/chroma.sqlite3", directory) >= sizeof path ||
        !is_to_change(path, is_wal))
        return STATUS_AGAIN;
    if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK)
        status = change_mode(database, is_wal, error);
    else
        status = error_set(error, STATUS_IO_FAILED, "%s: %s", path, sqlite3_errmsg(database));
    sqlite3_close(database);
    return status;
}

static bool is_to_change(const char *path, bool is_wal)
{
    unsigned char header[header_size];
    FILE         *file = fopen(path, "re");
    bool          is_database;

    if (file == NULL)
        return false;
    is_database =
        fread(header, sizeof header, 1, file) == 1 && memcmp(header, "SQLite format 3", 16) == 0;
    fclose(file);
    return is_database && (header[write_version_at] == version_wal) != is_wal;
}

static enum status change_mode(sqlite3 *database, bool is_wal, struct error *error)
{
    const char   *wanted = is_wal ? "wal" : "delete";
    sqlite3_stmt *statement = NULL;
    const char   *mode = NULL;
    enum status   status = STATUS_OK;

    sqlite3_busy_timeout(database, busy_timeout_ms);
    if (sqlite3_prepare_v2(database,
                           is_wal ? "PRAGMA journal_mode=WAL" : "PRAGMA journal_mode=DELETE", -1,
                           &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        mode = (const char *)sqlite3_column_text(statement, 0);
    if (mode == NULL)
        status = error_set(error, STATUS_IO_FAILED, "%s", sqlite3_errmsg(database));
    else if (strcmp(mode, wanted) != 0)
        status = error_set(error, STATUS_IO_FAILED, "it stays in mode %s", mode);
    sqlite3_finalize(statement);
    return status;
}
