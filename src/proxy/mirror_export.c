#include "proxy/mirror_export.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "calls/proxy_state.h"
#include "copies/mirror_doubt.h"
#include "copies/mirror_keeper.h"
#include "mirror/mirror_lines.h"
#include "proxy/mirror_report.h"

/* Lines are gathered to so much before they are written. */
enum { WRITE_BYTES = 1 << 20 };

struct mirror_export {
    struct worker_job           job;
    struct mirror_hold          hold;
    struct proxy               *proxy;
    bool                        has_ended;
    struct mirror_export_result result;
    int                         fd; /* of the file, from here on the worker's */
    struct byte_buffer          gathered;
    char                        path[]; /* of the file */
};

static struct mirror_export *export_new(struct proxy *proxy, const char *path);
static void                  mirror_export_on_ready(struct mirror_hold *hold, bool may_read);
static void                  mirror_export_submit(struct mirror_export *export);
static void                  run_export(struct worker_job *job);
static enum status           gather_line(void *ctx, struct bytes line);
static enum status           write_gathered(struct mirror_export *export);
static void                  mirror_export_done(struct worker_job *job);

enum status mirror_export_begin(struct proxy *proxy, struct bytes name, const char *path,
                                struct mirror_export **ret_export, struct error *error)
{
    uint8_t     uuid[16];
    const char *reason;
    struct mirror_export *export;
    enum status status;

    status = mirror_report_find(proxy, name, uuid, error);
    if (status != STATUS_OK)
        return status;
    export = export_new(proxy, path);
    if (export == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    status = mirror_keeper_hold(proxy->mirror, uuid, false, &export->hold, &reason);
    if (status == STATUS_NOT_FOUND) {
        free(export);
        return error_set(
            error, STATUS_NOT_IMPLEMENTED,
            "there is no complete copy of it now (%s); `chromabouncer ctl mirror fill` "
            "makes one",
            reason);
    }
    if (status == STATUS_OK)
        mirror_export_submit(export);
    *ret_export = export;
    return STATUS_OK;
}

static struct mirror_export *export_new(struct proxy *proxy, const char *path)
{
    struct mirror_export *export = calloc(1, sizeof *export + strlen(path) + 1);

    if (export == NULL)
        return NULL;
    export->proxy = proxy;
    export->hold.on_ready = mirror_export_on_ready;
    export->hold.is_long = true;
    export->job = (struct worker_job){
        .kind = WORKER_POOL_INDEX, .run = run_export, .done = mirror_export_done};
    strcpy(export->path, path);
    return export;
}

static void mirror_export_on_ready(struct mirror_hold *hold, bool may_read)
{
    struct mirror_export *export = CONTAINER_OF(hold, struct mirror_export, hold);

    if (may_read) {
        mirror_export_submit(export);
    } else {
        export->has_ended = true;
        export->result = (struct mirror_export_result){.status = STATUS_NOT_IMPLEMENTED,
                                                       .reason = "the copy was given up meanwhile"};
    }
}

static void mirror_export_submit(struct mirror_export *export)
{
    worker_pool_submit(export->proxy->workers, &export->job);
}

/* On a worker. */
static void run_export(struct worker_job *job)
{
    struct mirror_export *export = CONTAINER_OF(job, struct mirror_export, job);
    struct mirror_export_result *result = &export->result;

    result->status = STATUS_IO_FAILED;
    export->fd = open(export->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (export->fd >= 0) {
        result->status = mirror_lines_write(mirror_hold_copy(&export->hold), gather_line, export,
                                            &result->records);
        if (result->status == STATUS_OK)
            result->status = write_gathered(export);
        if (close(export->fd) != 0 && result->status == STATUS_OK)
            result->status = STATUS_IO_FAILED;
    }
    byte_buffer_done(&export->gathered);
    result->reason = result->status == STATUS_OK          ? ""
                     : result->status == STATUS_IO_FAILED ? "its file cannot be written"
                                                          : "the copy cannot be read";
}

static enum status gather_line(void *ctx, struct bytes line)
{
    struct mirror_export *export = ctx;
    enum status status = byte_buffer_append(&export->gathered, line, SIZE_MAX);

    if (status == STATUS_OK && byte_buffer_size(&export->gathered) >= WRITE_BYTES)
        status = write_gathered(export);
    return status;
}

static enum status write_gathered(struct mirror_export *export)
{
    while (byte_buffer_size(&export->gathered) > 0) {
        struct bytes rest = byte_buffer_bytes(&export->gathered);
        ssize_t      size = write(export->fd, rest.data, rest.size);

        if (size <= 0)
            return STATUS_IO_FAILED;
        byte_buffer_consume(&export->gathered, (size_t)size);
    }
    return STATUS_OK;
}

static void mirror_export_done(struct worker_job *job)
{
    struct mirror_export *export = CONTAINER_OF(job, struct mirror_export, job);

    export->has_ended = true;
    if (export->result.status == STATUS_CORRUPT) /* what failed may be the file that is written */
        mirror_doubt_held(&export->hold, MIRROR_REASON_STORE, status_text(STATUS_CORRUPT));
    mirror_hold_release(&export->hold);
}

bool mirror_export_has_ended(const struct mirror_export *export,
                             struct mirror_export_result *ret_result)
{
    if (export->has_ended)
        *ret_result = export->result;
    return export->has_ended;
}

void mirror_export_free(struct mirror_export *export)
{
    if (export == NULL)
        return;
    mirror_hold_release(&export->hold);
    byte_buffer_done(&export->gathered);
    free(export);
}
