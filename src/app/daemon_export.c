#include "app/daemon_export.h"

#include <stdio.h>
#include <unistd.h>

#include "proxy/mirror_export.h"

static const char file_name[] = "export.jsonl";

static void print_export_path(const struct daemon *daemon, char *out, size_t size);

enum status daemon_export_begin(struct daemon *daemon, const char *name, json_t *answer,
                                struct error *error)
{
    char                        path[PRIVATE_FOLDER_PATH_SIZE + sizeof file_name];
    struct mirror_export_result result;
    struct mirror_export *export;
    enum status status;

    if (daemon->export != NULL && !mirror_export_has_ended(daemon->export, &result))
        return error_set(error, STATUS_AGAIN, "another export is being written");
    print_export_path(daemon, path, sizeof path);
    daemon_export_end(daemon);
    unlink(path); /* what nobody has taken */
    status = mirror_export_begin(daemon->proxy, bytes_of(name), path, &export, error);
    if (status != STATUS_OK)
        return status;
    daemon->export = export;
    return daemon_export_tell(daemon, answer, error);
}

static void print_export_path(const struct daemon *daemon, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", daemon->mirror_folder.path, file_name);
}

enum status daemon_export_tell(const struct daemon *daemon, json_t *answer, struct error *error)
{
    char                        path[PRIVATE_FOLDER_PATH_SIZE + sizeof file_name];
    struct mirror_export_result result = {.reason = ""};
    bool                        has_ended;
    json_t                     *members;
    int                         failed;

    if (daemon->export == NULL)
        return error_set(error, STATUS_NOT_FOUND, "no export was begun");
    has_ended = mirror_export_has_ended(daemon->export, &result);
    print_export_path(daemon, path, sizeof path);
    members = json_pack("{s:s, s:s, s:I, s:s}", "file", path, "state",
                        !has_ended                   ? "writing"
                        : result.status == STATUS_OK ? "done"
                                                     : "failed",
                        "records", (json_int_t)result.records, "reason", result.reason);
    failed = members == NULL ? -1 : json_object_update(answer, members);
    json_decref(members);
    return failed == 0 ? STATUS_OK : error_set(error, STATUS_NO_MEMORY, "out of memory");
}

void daemon_export_end(struct daemon *daemon)
{
    mirror_export_free(daemon->export);
    daemon->export = NULL;
}
