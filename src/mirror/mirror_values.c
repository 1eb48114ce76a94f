#include "mirror/mirror_values.h"

#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "io/file.h"

/* A stored value is a head and then its three texts:
 *
 *   0  1  1: it has a document, 2: it has a uri
 *   1  4  size of the metadata
 *   5  4  size of the document; the uri is the rest
 */
enum {
    HEAD_SIZE = 9,
    HAS_DOCUMENT = 1,
    HAS_URI = 2,
    MEMORY_FIXED = 16 << 10, /* what LMDB takes for an environment, some more */
    PAGES_DIRTY = 4          /* of the tree, that one change makes dirty at most, mostly */
};

/* Whatever is damaged in the file, no value is given that is not the one that was put. But LMDB
 * believes what its pages say about themselves, so damage there may end the process, as may a disk
 * that cannot be read and a file that is cut short, for it is mapped. Readers die of 26 bytes of
 * 110 592 in a small file, one at a time: flags in heads of nodes (CHROMABOUNCER_TEST_TIMES=100
 * tests/unit/test_mirror_values).
 *
 * One writer or many readers: LMDB need not lock anything itself. */
static const unsigned environment_flags = MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOLOCK | MDB_NOTLS;

struct mirror_values {
    MDB_env *environment;
    MDB_dbi  table;
    MDB_txn *change; /* NULL: nothing was changed since the last commit */
    uint64_t dirty;  /* bytes that it made dirty, at most, mostly */
    uint64_t held;   /* bytes of pages that LMDB keeps for the next change */
    uint64_t disk_max, map_size;
    size_t   page_size;
    char    *path;
};

struct mirror_values_reader {
    struct mirror_values *values;
    MDB_txn              *reading; /* idle between end and begin */
};

static int         open_environment(struct mirror_values *values);
static size_t      stored_size(const struct mirror_value *value);
static enum status begin_change(struct mirror_values *values, uint64_t cost);
static enum status fail_change(struct mirror_values *values, int code);
static void        fill_head(const struct mirror_value *value, unsigned char head[HEAD_SIZE]);
static enum status find_stored_value(MDB_txn *transaction, MDB_dbi table, uint32_t row,
                                     struct mirror_seal seal, struct mirror_value *ret_value);
static bool        take_apart(struct bytes stored, struct mirror_value *ret_value);
static uint32_t    checksum_of(uint32_t row, const unsigned char head[HEAD_SIZE],
                               const struct mirror_value *value);
static enum status status_of(int code);

enum status mirror_values_new(const char *path, uint64_t disk_max,
                              struct mirror_values **ret_values, struct error *error)
{
    struct mirror_values *values = calloc(1, sizeof *values);
    int                   code;
    enum status           status;

    if (values == NULL)
        return error_set(error, STATUS_NO_MEMORY, "%s: %s", path, status_text(STATUS_NO_MEMORY));
    values->path = strdup(path);
    values->page_size = (size_t)sysconf(_SC_PAGESIZE); /* as LMDB does */
    mirror_values_set_disk_max(values, disk_max);
    values->map_size = values->disk_max;
    file_unlink(&file_ops_system, path);
    code = values->path == NULL ? ENOMEM : open_environment(values);
    if (code != 0) {
        status = status_of(code);
        error_set(error, status, "%s: cannot be created: %s", path, mdb_strerror(code));
        mirror_values_free(values);
        return status;
    }
    *ret_values = values;
    return STATUS_OK;
}

static int open_environment(struct mirror_values *values)
{
    MDB_txn *transaction;
    int      code = mdb_env_create(&values->environment);

    if (code == 0)
        code = mdb_env_set_mapsize(values->environment, values->map_size);
    if (code == 0)
        code = mdb_env_open(values->environment, values->path, environment_flags, 0600);
    if (code == 0)
        code = mdb_txn_begin(values->environment, NULL, 0, &transaction);
    if (code != 0)
        return code;
    code = mdb_dbi_open(transaction, NULL, MDB_INTEGERKEY, &values->table);
    if (code == 0)
        return mdb_txn_commit(transaction);
    mdb_txn_abort(transaction);
    return code;
}

void mirror_values_free(struct mirror_values *values)
{
    if (values == NULL)
        return;
    if (values->change != NULL)
        mdb_txn_abort(values->change);
    if (values->environment != NULL) {
        mdb_env_close(values->environment);
        file_unlink(&file_ops_system, values->path);
    }
    free(values->path);
    free(values);
}

void mirror_values_set_disk_max(struct mirror_values *values, uint64_t disk_max)
{
    values->disk_max = disk_max / values->page_size * values->page_size;
}

uint64_t mirror_values_memory(const struct mirror_values *values)
{
    return MEMORY_FIXED + (values->dirty > values->held ? values->dirty : values->held);
}

uint64_t mirror_values_cost(const struct mirror_values *values, const struct mirror_value *value)
{
    return stored_size(value) + PAGES_DIRTY * values->page_size;
}

uint64_t mirror_values_disk(const struct mirror_values *values)
{
    MDB_envinfo info;

    mdb_env_info(values->environment, &info);
    return (info.me_last_pgno + 1) * values->page_size;
}

enum status mirror_values_put(struct mirror_values *values, uint32_t row,
                              const struct mirror_value *value, struct mirror_seal *ret_seal)
{
    size_t        size = stored_size(value);
    unsigned char head[HEAD_SIZE], *at;
    MDB_val       key = {.mv_size = sizeof row, .mv_data = &row}, data;
    enum status   status;
    int           code;

    if (size > MIRROR_VALUES_SIZE_MAX)
        return STATUS_LIMIT_REACHED;
    status = begin_change(values, mirror_values_cost(values, value));
    if (status != STATUS_OK)
        return status;
    data = (MDB_val){.mv_size = size};
    code = mdb_put(values->change, values->table, &key, &data, MDB_RESERVE);
    if (code != 0)
        return fail_change(values, code);
    fill_head(value, head);
    at = data.mv_data;
    memcpy(at, head, HEAD_SIZE);
    at += HEAD_SIZE;
    if (value->metadata.size > 0)
        at = mempcpy(at, value->metadata.data, value->metadata.size);
    if (value->has_document && value->document.size > 0)
        at = mempcpy(at, value->document.data, value->document.size);
    if (value->has_uri && value->uri.size > 0)
        memcpy(at, value->uri.data, value->uri.size);
    *ret_seal =
        (struct mirror_seal){.checksum = checksum_of(row, head, value), .size = (uint32_t)size};
    return STATUS_OK;
}

static size_t stored_size(const struct mirror_value *value)
{
    return HEAD_SIZE + value->metadata.size + (value->has_document ? value->document.size : 0) +
           (value->has_uri ? value->uri.size : 0);
}

/* Changes are written out every now and then: what they make dirty is in memory until then. */
static enum status begin_change(struct mirror_values *values, uint64_t cost)
{
    enum status status;
    int         code = 0;

    if (values->change != NULL && values->dirty + cost > MIRROR_VALUES_DIRTY_MAX) {
        status = mirror_values_commit(values);
        if (status != STATUS_OK)
            return status;
    }
    if (values->change == NULL) {
        if (values->map_size != values->disk_max)
            code = mdb_env_set_mapsize(values->environment, values->disk_max);
        values->map_size = values->disk_max;
        if (code == 0)
            code = mdb_txn_begin(values->environment, NULL, 0, &values->change);
        if (code != 0)
            return fail_change(values, code);
    }
    values->dirty += cost;
    return STATUS_OK;
}

static enum status fail_change(struct mirror_values *values, int code)
{
    if (values->change != NULL)
        mdb_txn_abort(values->change);
    values->change = NULL;
    values->dirty = 0;
    return status_of(code);
}

static void fill_head(const struct mirror_value *value, unsigned char head[HEAD_SIZE])
{
    uint32_t metadata_size = (uint32_t)value->metadata.size;
    uint32_t document_size = value->has_document ? (uint32_t)value->document.size : 0;

    head[0] =
        (unsigned char)((value->has_document ? HAS_DOCUMENT : 0) | (value->has_uri ? HAS_URI : 0));
    memcpy(head + 1, &metadata_size, sizeof metadata_size);
    memcpy(head + 5, &document_size, sizeof document_size);
}

enum status mirror_values_remove(struct mirror_values *values, uint32_t row)
{
    MDB_val     key = {.mv_size = sizeof row, .mv_data = &row};
    enum status status = begin_change(values, PAGES_DIRTY * values->page_size);
    int         code;

    if (status != STATUS_OK)
        return status;
    code = mdb_del(values->change, values->table, &key, NULL);
    return code == 0 ? STATUS_OK : fail_change(values, code);
}

enum status mirror_values_commit(struct mirror_values *values)
{
    MDB_txn    *change = values->change;
    uint64_t    dirty = values->dirty, disk;
    enum status status;

    if (change == NULL)
        return STATUS_OK;
    values->change = NULL;
    values->dirty = 0;
    status = status_of(mdb_txn_commit(change));
    disk = mirror_values_disk(values);
    dirty = dirty < disk ? dirty : disk;
    if (values->held < dirty)
        values->held = dirty;
    return status;
}

enum status mirror_values_get(struct mirror_values *values, uint32_t row, struct mirror_seal seal,
                              struct mirror_value *ret_value)
{
    enum status status;

    if (seal.size == 0)
        return STATUS_NOT_FOUND;
    status = begin_change(values, 0);
    if (status != STATUS_OK)
        return status;
    return find_stored_value(values->change, values->table, row, seal, ret_value);
}

static enum status find_stored_value(MDB_txn *transaction, MDB_dbi table, uint32_t row,
                                     struct mirror_seal seal, struct mirror_value *ret_value)
{
    MDB_val      key = {.mv_size = sizeof row, .mv_data = &row}, data;
    struct bytes stored;

    if (mdb_get(transaction, table, &key, &data) != 0 || data.mv_size != seal.size)
        return STATUS_CORRUPT;
    stored = (struct bytes){.data = data.mv_data, .size = data.mv_size};
    if (!take_apart(stored, ret_value) ||
        checksum_of(row, data.mv_data, ret_value) != seal.checksum)
        return STATUS_CORRUPT;
    return STATUS_OK;
}

static bool take_apart(struct bytes stored, struct mirror_value *ret_value)
{
    struct mirror_value value = {.has_document = (stored.data[0] & HAS_DOCUMENT) != 0,
                                 .has_uri = (stored.data[0] & HAS_URI) != 0};
    struct bytes        rest = bytes_skip(stored, HEAD_SIZE);
    uint32_t            metadata_size, document_size;

    memcpy(&metadata_size, stored.data + 1, sizeof metadata_size);
    memcpy(&document_size, stored.data + 5, sizeof document_size);
    if (metadata_size > rest.size || document_size > rest.size - metadata_size)
        return false;
    value.metadata = (struct bytes){.data = rest.data, .size = metadata_size};
    rest = bytes_skip(rest, metadata_size);
    value.document = (struct bytes){.data = rest.data, .size = document_size};
    value.uri = bytes_skip(rest, document_size);
    *ret_value = value;
    return true;
}

/* Of everything that is stored, and where. */
static uint32_t checksum_of(uint32_t row, const unsigned char head[HEAD_SIZE],
                            const struct mirror_value *value)
{
    uint32_t checksum = crc32c(crc32c(0, &row, sizeof row), head, HEAD_SIZE);

    checksum = crc32c(checksum, value->metadata.data, value->metadata.size);
    if (value->has_document)
        checksum = crc32c(checksum, value->document.data, value->document.size);
    if (value->has_uri)
        checksum = crc32c(checksum, value->uri.data, value->uri.size);
    return checksum;
}

enum status mirror_values_reader_new(struct mirror_values         *values,
                                     struct mirror_values_reader **ret_reader)
{
    struct mirror_values_reader *reader = calloc(1, sizeof *reader);
    int                          code;

    if (reader == NULL)
        return STATUS_NO_MEMORY;
    reader->values = values;
    code = mdb_txn_begin(values->environment, NULL, MDB_RDONLY, &reader->reading);
    if (code != 0) {
        free(reader);
        return status_of(code);
    }
    mdb_txn_reset(reader->reading);
    *ret_reader = reader;
    return STATUS_OK;
}

void mirror_values_reader_free(struct mirror_values_reader *reader)
{
    if (reader == NULL)
        return;
    mdb_txn_abort(reader->reading);
    free(reader);
}

enum status mirror_values_reader_begin(struct mirror_values_reader *reader)
{
    return status_of(mdb_txn_renew(reader->reading));
}

void mirror_values_reader_end(struct mirror_values_reader *reader)
{
    mdb_txn_reset(reader->reading);
}

enum status mirror_values_reader_get(struct mirror_values_reader *reader, uint32_t row,
                                     struct mirror_seal seal, struct mirror_value *ret_value)
{
    if (seal.size == 0)
        return STATUS_NOT_FOUND;
    return find_stored_value(reader->reading, reader->values->table, row, seal, ret_value);
}

static enum status status_of(int code)
{
    switch (code) {
    case 0:
        return STATUS_OK;
    case ENOMEM:
        return STATUS_NO_MEMORY;
    case ENOENT:
        return STATUS_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return STATUS_NOT_PERMITTED;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return STATUS_LIMIT_REACHED;
    case MDB_NOTFOUND: /* of what was put */
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_MAP_RESIZED:
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID:
        return STATUS_CORRUPT;
    default:
        return STATUS_IO_FAILED;
    }
}
