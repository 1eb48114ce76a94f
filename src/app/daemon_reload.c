#include "app/daemon_reload.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "app/daemon_auth.h"
#include "app/daemon_guard.h"
#include "app/daemon_mirror.h"
#include "app/daemon_services.h"
#include "base/log.h"

static enum status daemon_reload_auth(struct daemon *daemon, struct error *error);
static enum status daemon_reload_mirror(struct daemon *daemon, struct error *error);
static void        daemon_reload_apply(struct daemon *daemon);
static void        on_setting_changed(void *ctx, const char *key, const char *from, const char *to,
                                      bool live);

enum status daemon_reload(struct daemon *daemon, struct error *error)
{
    enum status status = settings_sources_reload(daemon->sources, daemon->machine, daemon->settings,
                                                 error, on_setting_changed, daemon);

    daemon->reload_failed = status != STATUS_OK;
    if (daemon->reload_failed) {
        log_event(LOG_ERROR, "reload_failed", "reason", error->text);
        return status;
    }
    daemon->loaded_wall_s = clock_wall_us() / 1000000u;
    daemon_reload_raise_descriptor_limit(daemon->settings);
    /* What a limit let wait that is wider now is sent by the new keys. */
    status = daemon_reload_auth(daemon, error);
    daemon_reload_apply(daemon);
    if (status == STATUS_OK)
        status = daemon_reload_mirror(daemon, error);
    daemon->reload_failed = status != STATUS_OK;
    if (status == STATUS_OK)
        log_event(LOG_INFO, "reloaded", NULL, NULL);
    return status;
}

/* A wrong file leaves all that concerns keys as it was. */
static enum status daemon_reload_auth(struct daemon *daemon, struct error *error)
{
    enum status status = daemon_auth_apply(daemon, error);

    if (status != STATUS_OK)
        log_event(LOG_ERROR, "keys_unchanged", "reason", error->text);
    return status;
}

static enum status daemon_reload_mirror(struct daemon *daemon, struct error *error)
{
    enum status status = daemon_mirror_apply(daemon, error);

    if (status != STATUS_OK)
        log_event(LOG_ERROR, "mirror_unchanged", "reason", error->text);
    return status;
}

static void daemon_reload_apply(struct daemon *daemon)
{
    if (daemon_guard_apply(daemon) != STATUS_OK)
        log_event(LOG_ERROR, "guard_unchanged", "reason", "out of memory");
    daemon_state_apply(daemon);
    if (daemon_services_apply(daemon) != STATUS_OK)
        log_event(LOG_ERROR, "services_unchanged", "reason", "out of memory");
}

static void on_setting_changed(void *ctx, const char *key, const char *from, const char *to,
                               bool live)
{
    struct log_line line;

    (void)ctx;
    log_begin(&line, live ? LOG_INFO : LOG_WARNING,
              live ? "setting_changed" : "setting_needs_restart");
    log_text(&line, "key", key);
    log_text(&line, "from", from);
    log_text(&line, "to", to);
    log_end(&line);
}

enum status daemon_reload_set(struct daemon *daemon, struct bytes key, struct bytes value,
                              struct error *error)
{
    struct settings *before = malloc(sizeof *before);
    enum status      status;

    if (before == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    *before = *daemon->settings;
    status = settings_sources_change(daemon->machine, daemon->settings, key, value, error,
                                     on_setting_changed, daemon);
    if (status == STATUS_OK) {
        daemon_reload_raise_descriptor_limit(daemon->settings);
        daemon_reload_apply(daemon);
        if (bytes_begin_with(key, BYTES_LITERAL("auth.")))
            status = daemon_reload_auth(daemon, error);
        if (bytes_begin_with(key, BYTES_LITERAL("mirror.")))
            status = daemon_reload_mirror(daemon, error);
        if (status !=
            STATUS_OK) /* a file or folder that cannot be used: as if it had not been said */
            *daemon->settings = *before;
    }
    free(before);
    return status;
}

void daemon_reload_raise_descriptor_limit(const struct settings *settings)
{
    rlim_t wanted = settings->listen_connections_max + settings->backend_connections_max +
                    settings_other_descriptors;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}
