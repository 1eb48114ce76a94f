#include "app/daemon_kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/kept_manifest.h"
#include "base/log.h"
#include "base/siphash.h"
#include "child/database_facts.h"
#include "child/directory_users.h"
#include "chroma/chroma_route.h"
#include "copies/mirror_kept.h"

/* Of a folder no more is removed. */
enum { kept_files_max = 1 << 16 };

struct daemon_kept {
    struct daemon *daemon;
    char           directory[PRIVATE_FOLDER_PATH_SIZE]; /* of Chroma; "": not known yet */
    char           folder[PRIVATE_FOLDER_PATH_SIZE + 32];
    char           chroma[64]; /* which Chroma answers; "": not known */
    bool           was_looked, was_opened;
    bool is_carried; /* copies are, to a Chroma of which it is not known whether it is this */

    struct kept_manifest *manifest; /* of the run before; NULL: there is nothing good */
    struct error          error;    /* why not; "" where there was nothing */

    /* While it is saved. */
    struct kept_manifest *saved;
    uint64_t              end_us;
};

static bool        find_folder(struct daemon_kept *kept, const char *directory);
static bool        is_folder_ours(const char *folder, bool makes);
static enum status take_manifest(struct daemon_kept *kept);
static void        empty_kept_folder(const struct daemon_kept *kept);
static enum status save_all(struct daemon_kept *kept, struct database_file database,
                            struct error *error);
static bool        may_save(const uint8_t uuid[16], uint64_t records, void *ctx);
static void        on_saved(const struct mirror_kept *copy, const char *reason, void *ctx);

struct daemon_kept *daemon_kept_new(struct daemon *daemon)
{
    struct daemon_kept *kept = calloc(1, sizeof *kept);

    if (kept != NULL)
        kept->daemon = daemon;
    return kept;
}

void daemon_kept_free(struct daemon_kept *kept)
{
    if (kept == NULL)
        return;
    kept_manifest_free(kept->manifest);
    kept_manifest_free(kept->saved);
    free(kept);
}

/* ---- The beginning --------------------------------------------------------------------------- */

void daemon_kept_look(struct daemon_kept *kept, const char *directory)
{
    if (kept == NULL || kept->was_looked)
        return;
    kept->was_looked = true;
    if (!find_folder(kept, directory) || !is_folder_ours(kept->folder, false))
        return;
    if (take_manifest(kept) != STATUS_OK) {
        kept_manifest_free(kept->manifest);
        kept->manifest = NULL;
        empty_kept_folder(kept); /* here, as large files take their time to go */
    }
}

/* Where mirror.directory names a place: one for each directory of a Chroma. */
static bool find_folder(struct daemon_kept *kept, const char *directory)
{
    static const unsigned char key[SIPHASH_KEY_SIZE] = "chromabouncer";
    const char                *place = kept->daemon->settings->mirror_directory;
    char                      *real = realpath(directory, NULL);

    if (real != NULL && strlen(real) < sizeof kept->directory && strcmp(place, "auto") != 0) {
        strcpy(kept->directory, real);
        snprintf(kept->folder, sizeof kept->folder, "%s/copies.%016" PRIx64, place,
                 siphash_2_4(key, bytes_of(real)));
    }
    free(real);
    return kept->folder[0] != '\0';
}

/* Nobody else can have put anything into it. */
static bool is_folder_ours(const char *folder, bool makes)
{
    struct stat status;

    if (makes && mkdir(folder, 0700) != 0 && errno != EEXIST)
        return false;
    return lstat(folder, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & 077) == 0;
}

/* The manifest is gone, whatever it says, before Chroma is started: a later crash finds none. */
static enum status take_manifest(struct daemon_kept *kept)
{
    char        facts[DATABASE_FACTS_SIZE];
    enum status status = kept_manifest_take(kept->folder, &kept->manifest, &kept->error);

    if (status == STATUS_NOT_FOUND)
        kept->error.text[0] = '\0';
    if (status == STATUS_OK)
        status = database_facts_read(kept->directory, facts, &kept->error);
    if (status == STATUS_OK && strcmp(facts, kept_manifest_database(kept->manifest)) != 0)
        status = error_set(&kept->error, STATUS_CORRUPT, "the database was changed since");
    return status;
}

void daemon_kept_open(struct daemon_kept *kept)
{
    struct mirror_kept copy;
    size_t             count;

    if (kept == NULL || kept->folder[0] == '\0' || kept->was_opened)
        return;
    kept->was_opened = true; /* what it said is void once Chroma was started */
    if (kept->error.text[0] != '\0')
        log_event(LOG_WARNING, "mirror_kept_not_used", "reason", kept->error.text);
    count = kept->manifest == NULL ? 0 : kept_manifest_count(kept->manifest);
    for (size_t i = 0; i < count; i++) {
        enum status status = kept_manifest_at(kept->manifest, i, &copy);

        if (status == STATUS_OK)
            status = mirror_kept_open(kept->daemon->proxy, kept->folder, &copy);
        if (status != STATUS_OK)
            log_event(status == STATUS_NOT_FOUND ? LOG_INFO : LOG_WARNING, "mirror_kept_not_used",
                      "reason",
                      status == STATUS_NOT_FOUND ? "it is not wanted" : status_text(status));
    }
    empty_kept_folder(kept);
}

/* What was not taken out of it; nobody else has a file there. */
static void empty_kept_folder(const struct daemon_kept *kept)
{
    DIR           *files = is_folder_ours(kept->folder, false) ? opendir(kept->folder) : NULL;
    struct dirent *entry;

    if (files == NULL)
        return;
    for (int i = 0; i < kept_files_max && (entry = readdir(files)) != NULL; i++)
        (void)unlinkat(dirfd(files), entry->d_name, 0); /* . and .. stay */
    closedir(files);
    rmdir(kept->folder);
}

void daemon_kept_on_backend(struct daemon_kept *kept)
{
    const struct upstream_identity_facts *facts;
    char                                  version[UPSTREAM_IDENTITY_VERSION_SIZE], chroma[64];
    bool                                  is_same;

    if (kept == NULL || !upstream_identity_is_settled(kept->daemon->backend.identity))
        return;
    facts = upstream_identity_facts(kept->daemon->backend.identity);
    snprintf(chroma, sizeof chroma, "%d %s %" PRIu64, (int)facts->family,
             upstream_identity_version(facts, version), facts->batch_records_max);
    is_same = strcmp(chroma, kept->chroma) == 0;
    if (kept->is_carried) {
        kept->is_carried = false;
        mirror_kept_let(kept->daemon->proxy, is_same && facts->family != CHROMA_FAMILY_UNKNOWN);
    } else if (kept->manifest != NULL && !is_same) {
        mirror_kept_let(kept->daemon->proxy,
                        facts->family != CHROMA_FAMILY_UNKNOWN &&
                            strcmp(chroma, kept_manifest_chroma(kept->manifest)) == 0);
    }
    strcpy(kept->chroma, chroma);
}

void daemon_kept_on_ended(struct daemon_kept *kept, bool is_in_order)
{
    if (kept == NULL)
        return;
    mirror_kept_let(kept->daemon->proxy, false);
    mirror_kept_carry(kept->daemon->proxy, is_in_order);
    kept->is_carried = is_in_order;
}

/* ---- The end --------------------------------------------------------------------------------- */

void daemon_kept_save(struct daemon_kept *kept, struct database_file database, uint64_t end_us)
{
    struct error error = {.text = ""};

    if (kept == NULL || kept->folder[0] == '\0' || kept->chroma[0] == '\0' ||
        !kept->daemon->mirror_was_on ||
        kept->daemon->settings->mirror_mode == SETTINGS_MIRROR_MODE_OFF)
        return;
    kept->end_us = end_us;
    if (save_all(kept, database, &error) == STATUS_OK)
        return;
    empty_kept_folder(kept);
    if (error.text[0] != '\0')
        log_event(LOG_WARNING, "mirror_not_kept", "reason", error.text);
}

/* The same facts before and after: nobody has come in between. They are of what lies there now:
 * somebody may have put another directory into the place of the one that Chroma wrote. */
static enum status save_all(struct daemon_kept *kept, struct database_file database,
                            struct error *error)
{
    const struct mirror_kept_saver saver = {.may = may_save, .saved = on_saved, .ctx = kept};
    char                           before[DATABASE_FACTS_SIZE], after[DATABASE_FACTS_SIZE];
    struct directory_user          user;
    enum status                    status;

    if (!is_folder_ours(kept->folder, true))
        return error_set(error, STATUS_NOT_PERMITTED, "%s is not a folder of ours alone",
                         kept->folder);
    empty_kept_folder(kept);
    if (!is_folder_ours(kept->folder, true))
        return error_set(error, STATUS_IO_FAILED, "%s: %s", kept->folder, strerror(errno));
    if (!database_file_is(database_file_find(kept->directory), database))
        return error_set(error, STATUS_CORRUPT, "Chroma's database was replaced while it ran");
    status = database_facts_read(kept->directory, before, error);
    if (status != STATUS_OK)
        return status;
    kept->saved = kept_manifest_new(before, kept->chroma);
    if (kept->saved == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    mirror_kept_save(kept->daemon->proxy, kept->folder, &saver);
    if (kept_manifest_count(kept->saved) == 0)
        return STATUS_NOT_FOUND;
    if (directory_users_find(kept->directory, 0, &user))
        return error_set(error, STATUS_AGAIN, "process %d has Chroma's directory open",
                         (int)user.process);
    status = database_facts_read(kept->directory, after, error);
    if (status == STATUS_OK && strcmp(before, after) != 0)
        status = error_set(error, STATUS_CORRUPT, "the database was changed meanwhile");
    return status == STATUS_OK ? kept_manifest_write(kept->saved, kept->folder, error) : status;
}

static bool may_save(const uint8_t uuid[16], uint64_t records, void *ctx)
{
    struct daemon_kept *kept = ctx;
    struct mirror_kept  copy = {.seal = {0}};
    char                text[CHROMA_ROUTE_UUID_SIZE];
    const char         *reason = NULL;

    chroma_route_print_uuid(uuid, text);
    memcpy(copy.uuid, uuid, sizeof copy.uuid);
    if (clock_now_us() >= kept->end_us)
        reason = "drain.timeout is over";
    else if (!database_facts_has(kept->directory, text, records))
        reason = "the database does not have what was copied";
    if (reason != NULL)
        on_saved(&copy, reason, kept);
    return reason == NULL;
}

static void on_saved(const struct mirror_kept *copy, const char *reason, void *ctx)
{
    struct daemon_kept *kept = ctx;
    char                uuid[CHROMA_ROUTE_UUID_SIZE];
    struct log_line     line;

    if (reason == NULL && kept_manifest_add(kept->saved, copy) != STATUS_OK)
        reason = "its names cannot be written down";
    chroma_route_print_uuid(copy->uuid, uuid);
    log_begin(&line, reason == NULL ? LOG_INFO : LOG_WARNING,
              reason == NULL ? "mirror_kept" : "mirror_not_kept");
    log_text(&line, "collection", uuid);
    if (copy->name != NULL)
        log_text(&line, "name", copy->name);
    if (reason == NULL)
        log_number(&line, "records", copy->seal.records);
    else
        log_text(&line, "reason", reason);
    log_end(&line);
}
