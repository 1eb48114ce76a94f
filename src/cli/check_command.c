#include "cli/check_command.h"

#include <errno.h>
#include <linux/magic.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "app/backend_probe.h"
#include "app/daemon_auth.h"
#include "app/keys_file.h"
#include "app/mirror_folder.h"
#include "base/text.h"
#include "child/shared_databases.h"
#include "cli/cli.h"
#include "cli/guard_probe.h"
#include "cli/mirror_probe.h"

enum verdict { OK, WARN, FAIL };

struct check {
    struct settings settings; /* resolved */
    struct machine  machine;
    bool            color;
    int             exit_status;
};

static void check_settings(struct check *check);
static void check_backend(struct check *check);
static void check_identity(struct check *check, const struct upstream_identity_facts *facts);
static void check_merging(struct check *check, const struct backend_probe_result *result);
static void check_guard(struct check *check);
static void check_listener(struct check *check, const char *key, const struct address *address,
                           bool is_data);
static bool is_local(const struct address *address);
static int  try_bind(const struct address *address);
static int  try_bind_tcp(const struct address *address);
static int  try_bind_unix(const struct address *address);
static void check_keys(struct check *check);
static void check_credential(struct check *check);
static enum status count_key(void *ctx, const struct keys_file_entry *entry, struct error *error);
static void        check_mirror(struct check *check);
static void        check_mirror_sizes(struct check *check);
static void        check_descriptors(struct check *check);
static void        check_memory(struct check *check);
static void        check_directories(struct check *check);
static void        print_processes(const struct shared_database *database, char *out, size_t size);
static void say(struct check *check, enum verdict verdict, int exit_status, const char *subject,
                const char *format, ...) PRINTF_LIKE(5, 6);

int check_command(const struct options *options)
{
    static struct check check;
    const char         *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    int                 exit_status = cli_load(options, &check.settings, &check.machine);

    if (exit_status != EX_OK)
        return exit_status;
    check.color = isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0') &&
                  term != NULL && strcmp(term, "dumb") != 0;
    check_settings(&check);
    check_backend(&check);
    for (size_t i = 0; i < check.settings.listen_address.count; i++)
        check_listener(&check, "listen.address", &check.settings.listen_address.items[i], true);
    if (check.settings.status_address.kind != ADDRESS_NONE)
        check_listener(&check, "status.address", &check.settings.status_address, false);
    check_keys(&check);
    check_credential(&check);
    check_mirror(&check);
    check_descriptors(&check);
    check_memory(&check);
    check_directories(&check);
    return check.exit_status;
}

static void check_settings(struct check *check)
{
    unsigned given = 0;

    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++)
        given += check->settings.origins[id].source != SETTINGS_DEFAULT;
    say(check, OK, 0, "settings", "%s; %u of %u not default",
        check->settings.file == NULL ? "no file" : check->settings.file, given,
        (unsigned)SETTINGS_COUNT);
}

/* As the running proxy finds it. */
static void check_backend(struct check *check)
{
    struct backend_probe_result result;
    char                        url[ADDRESS_TEXT_SIZE + 8];

    address_format_url(&check->settings.backend_url, url, sizeof url);
    if (backend_probe(&check->settings, true, &result) != STATUS_OK) {
        say(check, FAIL, EX_OSERR, "backend", "out of memory");
        return;
    }
    if (!result.is_up) {
        say(check, FAIL, EX_UNAVAILABLE, "backend",
            "%s gives no answer: %s; is Chroma running? see backend.url", url, result.reason);
        return;
    }
    say(check, OK, 0, "backend", "%s answers its heartbeat in %.1f ms", url,
        (double)result.took_us / 1000);
    check_identity(check, &result.facts);
    check_merging(check, &result);
    if (check->settings.guard_collections[0] != '\0' &&
        chroma_family_info(result.facts.family)->serves_v2)
        check_guard(check);
    if (check->settings.mirror_mode != SETTINGS_MIRROR_MODE_OFF &&
        chroma_family_info(result.facts.family)->serves_v2)
        check_mirror_sizes(check);
}

/* What clients ask before their first write. */
static void check_identity(struct check *check, const struct upstream_identity_facts *facts)
{
    char        text[UPSTREAM_IDENTITY_VERSION_SIZE];
    const char *version = upstream_identity_version(facts, text);

    if (facts->batch_records_max > 0)
        say(check, OK, 0, "chroma", "says version %s; at most %llu records in a write; base64 %s",
            version, (unsigned long long)facts->batch_records_max,
            facts->takes_base64 ? "on" : "off");
    else
        say(check, WARN, 0, "chroma", "says version %s, and not how many records a write may have",
            version);
}

static void check_merging(struct check *check, const struct backend_probe_result *result)
{
    enum chroma_family family = result->facts.family;

    if (!check->settings.writes_coalesce)
        say(check, OK, 0, "merging", "off: writes.coalesce is false");
    else if (chroma_family_info(family)->merges)
        say(check, OK, 0, "merging", "on: %s", result->facts.reason);
    else
        say(check, WARN, 0, "merging", "off, each write goes by itself: %s%s", result->facts.reason,
            family == CHROMA_FAMILY_UNKNOWN
                ? "; answers to writes may tell, or set backend.family"
                : ", and merged writes would not do there what they do alone");
}

/* A pattern that fits nothing may be a slip, and guards nothing. */
static void check_guard(struct check *check)
{
    struct bytes         rest = bytes_of(check->settings.guard_collections);
    struct guard_pattern pattern;
    char                 where[GUARD_PROBE_WHERE_SIZE], text[80];
    unsigned             found = 0, unknown = 0, none = 0;

    while (guard_rules_next_pattern(&rest, &pattern)) {
        switch (guard_probe_find(&check->settings, &pattern, where)) {
        case GUARD_PROBE_FOUND:
            found++;
            break;
        case GUARD_PROBE_UNKNOWN:
            unknown++;
            break;
        case GUARD_PROBE_NONE:
            none++;
            say(check, WARN, 0, "guard", "%s of guard.collections fits no collection in %s",
                text_quote(pattern.text, text, sizeof text), where);
            break;
        }
    }
    if (none == 0)
        say(check, OK, 0, "guard", "guard.collections: %u of %u patterns fit a collection%s", found,
            found + unknown, unknown > 0 ? "; the others were not looked for" : "");
}

static void check_listener(struct check *check, const char *key, const struct address *address,
                           bool is_data)
{
    char where[ADDRESS_TEXT_SIZE];
    int  reason = try_bind(address);

    address_format(address, where, sizeof where);
    if (reason == 0 && is_data && !is_local(address) && !check->settings.auth_required)
        say(check, WARN, 0, key,
            "%s can be bound; whoever reaches it can use Chroma, as there is neither a key needed "
            "(auth.required) nor TLS",
            where);
    else if (reason == 0 && is_data && !is_local(address))
        say(check, OK, 0, key,
            "%s can be bound; keys are needed, and pass there in clear, as there is no TLS", where);
    else if (reason == 0)
        say(check, OK, 0, key, "%s can be bound", where);
    else if (reason == EADDRINUSE)
        say(check, WARN, 0, key,
            "%s is in use; unless it is by a running chromabouncer, choose another", where);
    else if (reason == EACCES)
        say(check, FAIL, EX_NOPERM, key, "%s may not be bound by this user; choose another", where);
    else if (reason == EADDRNOTAVAIL)
        say(check, FAIL, EX_OSERR, key,
            "%s is no address of this machine, or a name that cannot be resolved", where);
    else
        say(check, FAIL, EX_OSERR, key, "%s cannot be bound: %s", where, strerror(reason));
}

static bool is_local(const struct address *address)
{
    return address->kind == ADDRESS_UNIX || strcmp(address->host, "localhost") == 0 ||
           strcmp(address->host, "::1") == 0 || strncmp(address->host, "127.", 4) == 0;
}

/* Returns 0 or an errno. */
static int try_bind(const struct address *address)
{
    return address->kind == ADDRESS_UNIX ? try_bind_unix(address) : try_bind_tcp(address);
}

static int try_bind_tcp(const struct address *address)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo      *found;
    char                  port[8];
    int                   fd, on = 1, reason = 0;

    snprintf(port, sizeof port, "%u", address->port);
    if (getaddrinfo(address->host, port, &hints, &found) != 0)
        return EADDRNOTAVAIL;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        reason = errno;
        freeaddrinfo(found);
        return reason;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, found->ai_addr, found->ai_addrlen) != 0)
        reason = errno;
    close(fd);
    freeaddrinfo(found);
    return reason;
}

/* Binding would leave a file behind: look whether somebody answers, else whether a file could be
 * made. */
static int try_bind_unix(const struct address *address)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    char               folder[sizeof address->path];
    char              *slash;
    int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat        found;
    int                answers;

    if (fd < 0)
        return errno;
    strcpy(name.sun_path, address->path);
    answers = connect(fd, (struct sockaddr *)&name, sizeof name);
    close(fd);
    if (answers == 0 ||
        (lstat(address->path, &found) == 0 && !S_ISSOCK(found.st_mode))) /* run removes no file */
        return EADDRINUSE;
    strcpy(folder, address->path);
    slash = strrchr(folder, '/');
    slash[slash == folder] = '\0';
    return access(folder, W_OK | X_OK) == 0 ? 0 : errno;
}

static void check_keys(struct check *check)
{
    const char  *path = check->settings.auth_keys_file;
    size_t       count = 0;
    struct error error;
    enum status  status;

    if (path[0] == '\0')
        return;
    status = keys_file_each(path, count_key, &count, &error);
    if (status != STATUS_OK)
        say(check, FAIL, settings_exit_status(status), "keys", "%s", error.text);
    else if (count == 0 && check->settings.auth_required)
        say(check, WARN, 0, "keys", "%s has none, so nobody is let in; see `key add`", path);
    else
        say(check, OK, 0, "keys", "%zu in %s, %s", count, path,
            check->settings.auth_required ? "one is needed"
                                          : "none is needed: auth.required is false");
}

static void check_credential(struct check *check)
{
    const char  *path = check->settings.auth_backend_credential_file;
    struct error error;
    enum status  status;

    if (path[0] == '\0')
        return;
    status = daemon_auth_check_credential(path, &error);
    if (status != STATUS_OK)
        say(check, FAIL, settings_exit_status(status), "credential", "%s", error.text);
    else
        say(check, OK, 0, "credential", "Chroma is shown that of %s", path);
}

static enum status count_key(void *ctx, const struct keys_file_entry *entry, struct error *error)
{
    size_t *count = ctx;

    (void)entry;
    (void)error;
    ++*count;
    return STATUS_OK;
}

/* What the mode means in this role, and what it takes. */
static void check_mirror(struct check *check)
{
    const struct settings *settings = &check->settings;
    char                   place[PRIVATE_FOLDER_PATH_SIZE], memory[TEXT_NUMBER_SIZE];
    char                   disk[TEXT_NUMBER_SIZE];
    struct statfs          files;
    int                    reason;

    if (settings->mirror_mode == SETTINGS_MIRROR_MODE_OFF) {
        say(check, OK, 0, "mirror", "mirror.mode is off: nothing is copied");
        return;
    }
    say(check,
        !settings->writes_coalesce || (settings->role == SETTINGS_ROLE_SIDECAR &&
                                       settings->mirror_mode > SETTINGS_MIRROR_MODE_FALLBACK)
            ? WARN
            : OK,
        0, "mirror",
        "reads are answered from copies %s; copies take %s of memory and %s of disk at "
        "most",
        settings_mirror_meaning(settings), text_of_size(settings_mirror_memory(settings), memory),
        text_of_size(settings->mirror_disk_max_bytes, disk));
    if (mirror_folder_place(settings->mirror_directory, place) == NULL)
        say(check, FAIL, EX_CONFIG, "mirror.directory", "no place of auto can be written to");
    else if ((reason = mirror_folder_try(place, &files)) != 0)
        say(check, FAIL, reason == EACCES ? EX_NOPERM : EX_OSERR, "mirror.directory",
            "no folder can be made in %s, so that nothing would be copied: %s", place,
            strerror(reason));
    else if (files.f_type == TMPFS_MAGIC || files.f_type == RAMFS_MAGIC)
        say(check, WARN, 0, "mirror.directory", "%s is in memory: its bytes count twice", place);
    else if (files.f_bavail * (uint64_t)files.f_bsize < settings->mirror_disk_max_bytes)
        say(check, WARN, 0, "mirror.directory", "%s has %s left, less than mirror.disk_max (%s)",
            place, text_of_size(files.f_bavail * (uint64_t)files.f_bsize, memory), disk);
    else
        say(check, OK, 0, "mirror.directory", "files of copies are put into %s", place);
}

static void check_mirror_sizes(struct check *check)
{
    struct mirror_probe probe;
    uint64_t            room = settings_mirror_memory(&check->settings);
    char                memory[TEXT_NUMBER_SIZE], vectors[TEXT_NUMBER_SIZE], most[TEXT_NUMBER_SIZE];

    mirror_probe_walk(&check->settings, &probe);
    if (probe.collections > 0)
        say(check,
            probe.memory > room || probe.vectors > check->settings.mirror_disk_max_bytes ? WARN
                                                                                         : OK,
            0, "mirror",
            "copies of %s%llu collections of the default database, %llu records, would take about "
            "%s of memory (%s may be taken), and %s of disk and their texts",
            probe.is_whole ? "all " : "the first ", (unsigned long long)probe.collections,
            (unsigned long long)probe.records, text_of_size(probe.memory >> 20 << 20, memory),
            text_of_size(room, most), text_of_size(probe.vectors >> 20 << 20, vectors));
}

static void check_descriptors(struct check *check)
{
    uint64_t clients = check->settings.listen_connections_max;

    if (check->settings.origins[SETTINGS_ID_listen_connections_max].source == SETTINGS_DEFAULT &&
        clients < 4096)
        say(check, WARN, 0, "descriptors",
            "the hard limit %llu leaves room for %llu client connections; raise it (ulimit -Hn, "
            "LimitNOFILE=)",
            (unsigned long long)check->machine.descriptors_max, (unsigned long long)clients);
    else
        say(check, OK, 0, "descriptors", "the limit allows %llu client connections",
            (unsigned long long)clients);
}

static void check_memory(struct check *check)
{
    char budget[TEXT_NUMBER_SIZE], limit[TEXT_NUMBER_SIZE];
    bool too_much = check->settings.memory_max_bytes > check->machine.memory_bytes;

    text_of_size(check->settings.memory_max_bytes >> 20 << 20, budget);
    text_of_size(check->machine.memory_bytes >> 20 << 20, limit);
    say(check, too_much ? WARN : OK, 0, "memory", "%s for buffers, of %s%s%s", budget, limit,
        check->machine.memory_limited ? " (the cgroup's limit)" : "",
        too_much ? "; lower memory_max or body_max" : "");
}

/* Whatever this machine's processes have open: the backend need not be the one they miss. */
static void check_directories(struct check *check)
{
    static struct shared_database databases[SHARED_DATABASES_MAX];
    size_t                        count = shared_databases_find(databases);
    char                          processes[128];

    if (count == 0)
        say(check, OK, 0, "directories",
            "no Chroma directory is open in two processes, of those that this user may see");
    for (size_t i = 0; i < count; i++) {
        print_processes(&databases[i], processes, sizeof processes);
        say(check, WARN, 0, "directories",
            "%s is open in %zu processes (%s): they miss what the others write and may damage its "
            "index; let all use one server",
            databases[i].directory, databases[i].process_count, processes);
    }
}

static void print_processes(const struct shared_database *database, char *out, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < database->process_count && i < SHARED_DATABASES_PROCESSES_MAX; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%d", i == 0 ? "" : ", ",
                                 (int)database->processes[i]);
    if (database->process_count > SHARED_DATABASES_PROCESSES_MAX)
        snprintf(out + used, size - used, ", ...");
}

static void say(struct check *check, enum verdict verdict, int exit_status, const char *subject,
                const char *format, ...)
{
    static const char *const words[] = {"ok  ", "warn", "fail"};
    static const char *const colors[] = {"\033[32m", "\033[33m", "\033[31m"};
    va_list                  args;

    printf("%s%s%s  %-15s ", check->color ? colors[verdict] : "", words[verdict],
           check->color ? "\033[0m" : "", subject);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    if (verdict == FAIL && check->exit_status == EX_OK)
        check->exit_status = exit_status;
}
