#include "proxy/mirror_report.h"

#include <string.h>

#include "base/text.h"
#include "calls/proxy_state.h"
#include "copies/mirror_lookup.h"
#include "proxy/cache_report.h"
#include "proxy/mirror_path.h"

static enum status report_look_up(struct proxy *proxy, struct bytes name, uint8_t ret_uuid[16],
                                  struct error *error);

struct mirror_keeper_usage mirror_report_usage(const struct proxy *proxy)
{
    return mirror_keeper_usage(proxy->mirror);
}

void mirror_report_each(const struct proxy *proxy, mirror_entry_fn *fn, void *ctx)
{
    mirror_keeper_each(proxy->mirror, fn, ctx);
}

const char *mirror_report_obstacle(const struct proxy *proxy)
{
    return mirror_keeper_obstacle(proxy->mirror);
}

enum status mirror_report_fill(struct proxy *proxy, struct bytes name, struct error *error)
{
    uint8_t     uuid[16];
    enum status status = mirror_report_find(proxy, name, uuid, error);

    if (status == STATUS_NOT_FOUND)
        status = report_look_up(proxy, name, uuid, error);
    if (status != STATUS_OK)
        return status;
    status = mirror_keeper_fill(proxy->mirror, uuid);
    switch (status) {
    case STATUS_OK:
        return status;
    case STATUS_NOT_FOUND:
        return error_set(error, status,
                         "it is not known in which database this collection is; read it once, by "
                         "its name");
    case STATUS_NOT_IMPLEMENTED:
        return error_set(error, status, "nothing of this Chroma is copied: %s",
                         mirror_keeper_obstacle(proxy->mirror));
    case STATUS_LIMIT_REACHED:
        return error_set(error, status, "there are as many copies as there may be; drop one");
    default:
        return error_set(error, status, "out of memory");
    }
}

/* What is learned may be void when it is asked for, for names were changed: again, then. */
static enum status report_look_up(struct proxy *proxy, struct bytes name, uint8_t ret_uuid[16],
                                  struct error *error)
{
    struct scope scope;
    struct bytes part;
    enum status  status;

    if (!cache_report_split(name, &scope, &part) || part.size == 0 ||
        memchr(part.data, '/', part.size) != NULL)
        return STATUS_NOT_FOUND;
    if (mirror_keeper_obstacle(proxy->mirror) != NULL)
        return error_set(error, STATUS_NOT_IMPLEMENTED, "nothing of this Chroma is copied: %s",
                         mirror_keeper_obstacle(proxy->mirror));
    if (proxy->mirror_lookup == NULL)
        proxy->mirror_lookup = mirror_lookup_new(proxy->mirror);
    if (proxy->mirror_lookup == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    status = mirror_lookup_ask(proxy->mirror_lookup, scope, part, error);
    if (status == STATUS_OK && mirror_report_find(proxy, name, ret_uuid, error) != STATUS_OK)
        status = STATUS_AGAIN;
    return status;
}

enum status mirror_report_drop(struct proxy *proxy, struct bytes name, struct error *error)
{
    uint8_t     uuid[16];
    enum status status = mirror_report_find(proxy, name, uuid, error);

    if (status != STATUS_OK)
        return status;
    status = mirror_keeper_drop(proxy->mirror, uuid);
    return status == STATUS_OK ? status
                               : error_set(error, status, "there is no copy of this collection");
}

enum status mirror_report_verify(struct proxy *proxy, struct bytes name, struct error *error)
{
    uint8_t     uuid[16];
    enum status status = mirror_report_find(proxy, name, uuid, error);

    if (status != STATUS_OK)
        return status;
    if (proxy->mirror_verify == NULL)
        proxy->mirror_verify = mirror_verify_new(proxy->mirror);
    return proxy->mirror_verify == NULL ? error_set(error, STATUS_NO_MEMORY, "out of memory")
                                        : mirror_verify_begin(proxy->mirror_verify, uuid, error);
}

struct mirror_verify_info mirror_report_verified(const struct proxy *proxy)
{
    return mirror_verify_tell(proxy->mirror_verify);
}

struct mirror_compare_stats mirror_report_compared(const struct proxy *proxy)
{
    return mirror_path_compared(proxy->mirror_path);
}

enum status mirror_report_find(const struct proxy *proxy, struct bytes name, uint8_t ret_uuid[16],
                               struct error *error)
{
    char quoted[60];

    if (proxy->mirror == NULL || mirror_keeper_options(proxy->mirror)->mode == PROXY_MIRROR_OFF)
        return error_set(error, STATUS_INVALID, "mirror.mode is off: there are no copies");
    if (cache_report_find(proxy, name, ret_uuid))
        return STATUS_OK;
    return error_set(
        error, STATUS_NOT_FOUND,
        "no collection is known as %s (or as TENANT/DATABASE/NAME, or UUID) since the start: "
        "get it once through the proxy",
        text_quote(name, quoted, sizeof quoted));
}
