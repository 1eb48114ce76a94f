#include "app/kept_manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "chroma/chroma_route.h"
#include "config.h"
#include "io/file.h"

/* Some 300 bytes for each copy, of which there are a thousand at most. */
enum { manifest_max = 8 << 20, manifest_path_size = 1200 };

static const char line_format[] = "chromabouncer copies 1 %08" PRIx32 "\n";
enum { line_size = 32 };

struct kept_manifest {
    json_t *json;
};

static bool        make_file_path(const char *folder, const char *name, char *path);
static enum status write_manifest_text(const char *path, const char *text, struct error *error);
static enum status read_manifest_text(const char *path, char **ret_text, struct error *error);
static enum status take_manifest_text(const char *text, struct kept_manifest **ret_manifest,
                                      struct error *error);
static bool        is_readable(json_t *json);

struct kept_manifest *kept_manifest_new(const char *database, const char *chroma)
{
    struct kept_manifest *manifest = calloc(1, sizeof *manifest);

    if (manifest == NULL)
        return NULL;
    manifest->json = json_pack("{s:s, s:s, s:s, s:[]}", "program", PACKAGE_VERSION, "chroma",
                               chroma, "database", database, "copies");
    if (manifest->json != NULL)
        return manifest;
    free(manifest);
    return NULL;
}

void kept_manifest_free(struct kept_manifest *manifest)
{
    if (manifest == NULL)
        return;
    json_decref(manifest->json);
    free(manifest);
}

enum status kept_manifest_add(struct kept_manifest *manifest, const struct mirror_kept *kept)
{
    char    uuid[CHROMA_ROUTE_UUID_SIZE];
    json_t *row;

    chroma_route_print_uuid(kept->uuid, uuid);
    row = json_pack("{s:s, s:s, s:s, s:s, s:i, s:f, s:b, s:I, s:I, s:I}", "collection", uuid,
                    "tenant", kept->tenant, "db", kept->database, "name", kept->name, "space",
                    (int)kept->space, "score", kept->score, "asked_for", (int)kept->is_asked_for,
                    "size", (json_int_t)kept->seal.size, "checksum",
                    (json_int_t)kept->seal.checksum, "records", (json_int_t)kept->seal.records);
    if (row == NULL)
        return STATUS_INVALID;
    return json_array_append_new(json_object_get(manifest->json, "copies"), row) == 0
               ? STATUS_OK
               : STATUS_NO_MEMORY;
}

size_t kept_manifest_count(const struct kept_manifest *manifest)
{
    return json_array_size(json_object_get(manifest->json, "copies"));
}

enum status kept_manifest_at(const struct kept_manifest *manifest, size_t number,
                             struct mirror_kept *ret_kept)
{
    json_t            *row = json_array_get(json_object_get(manifest->json, "copies"), number);
    const char        *uuid;
    struct mirror_kept kept;
    json_int_t         size, checksum, records;
    int                space, is_asked_for;

    if (json_unpack(row, "{s:s, s:s, s:s, s:s, s:i, s:F, s:b, s:I, s:I, s:I}", "collection", &uuid,
                    "tenant", &kept.tenant, "db", &kept.database, "name", &kept.name, "space",
                    &space, "score", &kept.score, "asked_for", &is_asked_for, "size", &size,
                    "checksum", &checksum, "records", &records) != 0 ||
        !chroma_route_parse_uuid(bytes_of(uuid), kept.uuid) || space <= COLLECTION_SPACE_UNKNOWN ||
        space > COLLECTION_SPACE_IP || checksum < 0 || checksum > UINT32_MAX || records < 0 ||
        records > UINT32_MAX || size < 0)
        return STATUS_CORRUPT;
    kept.space = (enum collection_space)space;
    kept.is_asked_for = is_asked_for != 0;
    kept.seal = (struct mirror_save_seal){
        .size = (uint64_t)size, .checksum = (uint32_t)checksum, .records = (uint32_t)records};
    *ret_kept = kept;
    return STATUS_OK;
}

const char *kept_manifest_database(const struct kept_manifest *manifest)
{
    return json_string_value(json_object_get(manifest->json, "database"));
}

const char *kept_manifest_chroma(const struct kept_manifest *manifest)
{
    return json_string_value(json_object_get(manifest->json, "chroma"));
}

enum status kept_manifest_write(const struct kept_manifest *manifest, const char *folder,
                                struct error *error)
{
    char        path[manifest_path_size], other[manifest_path_size];
    char       *text = json_dumps(manifest->json, JSON_INDENT(1) | JSON_SORT_KEYS);
    enum status status;

    if (text == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    if (!make_file_path(folder, "manifest", path) || !make_file_path(folder, "manifest.new", other))
        status = error_set(error, STATUS_IO_FAILED, "%s: too long", folder);
    else
        status = write_manifest_text(other, text, error);
    free(text);
    if (status != STATUS_OK)
        return status;
    status = file_rename(&file_ops_system, other, path);
    if (status == STATUS_OK)
        status = file_sync_dir(&file_ops_system, path);
    if (status == STATUS_OK)
        return STATUS_OK;
    error_set(error, status, "%s: %s", path, strerror(errno));
    (void)file_unlink(&file_ops_system, other);
    (void)file_unlink(&file_ops_system, path);
    return status;
}

static bool make_file_path(const char *folder, const char *name, char *path)
{
    return (size_t)snprintf(path, manifest_path_size, "%s/%s", folder, name) < manifest_path_size;
}

static enum status write_manifest_text(const char *path, const char *text, struct error *error)
{
    const struct file_ops *ops = &file_ops_system;
    char                   line[line_size + 32];
    size_t                 size = strlen(text);
    int                    fd = -1;
    enum status            status;

    snprintf(line, sizeof line, line_format, crc32c(0, text, size));
    status = file_open(ops, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, &fd);
    if (status == STATUS_OK)
        status = file_write(ops, fd, line, line_size, 0);
    if (status == STATUS_OK)
        status = file_write(ops, fd, text, size, line_size);
    if (status == STATUS_OK)
        status = file_sync(ops, fd);
    if (status != STATUS_OK) {
        error_set(error, status, "%s: %s", path, strerror(errno));
        (void)file_unlink(ops, path);
    }
    file_close(ops, fd);
    return status;
}

enum status kept_manifest_take(const char *folder, struct kept_manifest **ret_manifest,
                               struct error *error)
{
    char                  path[manifest_path_size];
    struct kept_manifest *manifest = NULL;
    char                 *text = NULL;
    enum status           status, removed;

    if (!make_file_path(folder, "manifest", path))
        return error_set(error, STATUS_NOT_FOUND, "%s: too long", folder);
    status = read_manifest_text(path, &text, error);
    if (status == STATUS_OK)
        status = take_manifest_text(text, &manifest, error);
    free(text);
    if (status == STATUS_NOT_FOUND)
        return status;
    removed = file_unlink(&file_ops_system, path);
    if (removed == STATUS_OK)
        removed = file_sync_dir(&file_ops_system, path);
    if (removed != STATUS_OK)
        status = error_set(error, removed, "%s cannot be removed", path);
    if (status == STATUS_OK)
        *ret_manifest = manifest;
    else
        kept_manifest_free(manifest);
    return status;
}

/* With a zero behind it. */
static enum status read_manifest_text(const char *path, char **ret_text, struct error *error)
{
    const struct file_ops *ops = &file_ops_system;
    uint64_t               size = 0;
    char                  *text = NULL;
    int                    fd = -1;
    enum status            status = file_open(ops, path, O_RDONLY | O_NOFOLLOW, &fd);

    if (status == STATUS_OK)
        status = file_size(fd, &size);
    if (status == STATUS_OK && (size < line_size || size > manifest_max))
        status = STATUS_CORRUPT;
    if (status == STATUS_OK) {
        text = calloc(1, size + 1);
        status = text == NULL ? STATUS_NO_MEMORY : file_read(ops, fd, text, size, 0);
    }
    file_close(ops, fd);
    if (status != STATUS_OK) {
        free(text);
        return error_set(error, status, "%s: %s", path, status_text(status));
    }
    *ret_text = text;
    return STATUS_OK;
}

static enum status take_manifest_text(const char *text, struct kept_manifest **ret_manifest,
                                      struct error *error)
{
    char                  line[line_size + 32];
    const char           *rest = text + line_size;
    struct kept_manifest *manifest;

    snprintf(line, sizeof line, line_format, crc32c(0, rest, strlen(rest)));
    if (strncmp(text, line, line_size) != 0)
        return error_set(error, STATUS_CORRUPT, "the manifest is damaged, or of another version");
    manifest = calloc(1, sizeof *manifest);
    if (manifest == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    manifest->json = json_loads(rest, JSON_REJECT_DUPLICATES, NULL);
    if (!is_readable(manifest->json)) {
        kept_manifest_free(manifest);
        return error_set(error, STATUS_CORRUPT, "the manifest is of another version");
    }
    *ret_manifest = manifest;
    return STATUS_OK;
}

static bool is_readable(json_t *json)
{
    const char *program, *chroma, *database;
    json_t     *copies;

    return json_unpack(json, "{s:s, s:s, s:s, s:o}", "program", &program, "chroma", &chroma,
                       "database", &database, "copies", &copies) == 0 &&
           strcmp(program, PACKAGE_VERSION) == 0 && json_is_array(copies);
}
