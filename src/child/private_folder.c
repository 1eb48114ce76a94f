#include "child/private_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child/hook_door.h"
#include "child/wrapped_processes.h"

static const char name_start[] = "chromabouncer.";
static const char lock_name[] = "lock";

/* Whoever cleans at this moment may take a folder that is not locked yet: then another is made. */
enum { tries_max = 8 };
/* Of a crowded /tmp no more is looked at. */
enum { entries_max = 1 << 16 };

static bool try_place(const char *place, size_t size_max, struct private_folder *folder);
static int  lock_folder(const char *path, int flags);
static bool keeps_names(const char *place);
static void clean_place(const char *place);
static void remove_leftover(const char *path);
static void empty_folder(const char *path);

enum status private_folder_make(struct private_folder *folder, struct error *error)
{
    const char *const places[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp"};
    int               reason;

    *folder = (struct private_folder){.lock = -1};
    for (size_t i = 0; i < COUNT_OF(places); i++)
        if (places[i] != NULL && places[i][0] == '/')
            clean_place(places[i]);
    for (size_t i = 0; i < COUNT_OF(places); i++)
        if (places[i] != NULL && places[i][0] == '/' &&
            try_place(places[i], PRIVATE_FOLDER_SIZE, folder))
            return STATUS_OK;
    reason = errno;
    folder->path[0] = '\0';
    return error_set(error, reason == EACCES ? STATUS_NOT_PERMITTED : STATUS_IO_FAILED,
                     "cannot make a folder in /tmp: %s", strerror(reason));
}

enum status private_folder_make_in(struct private_folder *folder, const char *place,
                                   struct error *error)
{
    *folder = (struct private_folder){.lock = -1};
    clean_place(place);
    errno = ENAMETOOLONG;
    if (try_place(place, sizeof folder->path, folder))
        return STATUS_OK;
    folder->path[0] = '\0';
    return error_set(error, errno == EACCES ? STATUS_NOT_PERMITTED : STATUS_IO_FAILED, "%s",
                     strerror(errno));
}

static bool try_place(const char *place, size_t size_max, struct private_folder *folder)
{
    for (int i = 0; i < tries_max && folder->lock < 0; i++) {
        if (snprintf(folder->path, size_max, "%s/%sXXXXXX", place, name_start) >= (int)size_max ||
            mkdtemp(folder->path) == NULL) /* mode 0700 */
            return false;
        folder->lock = lock_folder(folder->path, O_CREAT | O_EXCL);
        if (folder->lock < 0)
            rmdir(folder->path);
    }
    return folder->lock >= 0;
}

/* The lock of our own folder at `path`, or -1: it is locked, gone, not ours, or has none. Where the
 * file system knows no locks a new folder does without, and none is ever found to be free. */
static int lock_folder(const char *path, int flags)
{
    int         folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), lock = -1;
    struct stat status;

    if (folder < 0)
        return -1;
    if (fstat(folder, &status) == 0 && status.st_uid == geteuid())
        lock = openat(folder, lock_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
    close(folder);
    if (lock < 0)
        return -1;
    if ((flock(lock, LOCK_EX | LOCK_NB) == 0 || (flags != 0 && errno != EWOULDBLOCK)) &&
        fstat(lock, &status) == 0 && status.st_nlink > 0) /* else it was removed meanwhile */
        return lock;
    close(lock);
    return -1;
}

/* Nobody else can put another folder where one of ours is. */
static bool keeps_names(const char *place)
{
    struct stat status;

    return stat(place, &status) == 0 &&
           (status.st_uid == geteuid() || (status.st_mode & S_ISVTX) != 0);
}

static void clean_place(const char *place)
{
    DIR           *entries = keeps_names(place) ? opendir(place) : NULL;
    struct dirent *entry;
    char           path[PRIVATE_FOLDER_PATH_SIZE];

    if (entries == NULL)
        return;
    for (int i = 0; i < entries_max && (entry = readdir(entries)) != NULL; i++)
        if (strncmp(entry->d_name, name_start, strlen(name_start)) == 0 &&
            snprintf(path, sizeof path, "%s/%s", place, entry->d_name) < (int)sizeof path)
            remove_leftover(path);
    closedir(entries);
}

/* Whoever has made it is gone when its lock is free; an application may go on. */
static void remove_leftover(const char *path)
{
    char door[PRIVATE_FOLDER_PATH_SIZE + sizeof HOOK_DOOR_NAME];
    int  lock = lock_folder(path, 0);

    if (lock < 0)
        return;
    snprintf(door, sizeof door, "%s/%s", strrchr(path, '/'), HOOK_DOOR_NAME);
    if (!wrapped_processes_is_any_marked(door))
        empty_folder(path);
    close(lock);
}

static void empty_folder(const char *path)
{
    DIR           *files = opendir(path);
    struct dirent *entry;

    if (files == NULL)
        return;
    while ((entry = readdir(files)) != NULL)
        (void)unlinkat(dirfd(files), entry->d_name, 0); /* . and .. stay */
    closedir(files);
    rmdir(path);
}

void private_folder_remove(struct private_folder *folder)
{
    if (folder->path[0] == '\0')
        return;
    empty_folder(folder->path);
    close(folder->lock);
    *folder = (struct private_folder){.lock = -1};
}
