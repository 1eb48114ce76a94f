#include "child/program_path.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_program(const char *path);

enum status program_path_find(const char *name, const char *search, char *path, struct error *error)
{
    bool is_there = false;

    if (strchr(name, '/') != NULL) {
        if (snprintf(path, PROGRAM_PATH_SIZE, "%s", name) < PROGRAM_PATH_SIZE && is_program(path))
            return STATUS_OK;
        return error_set(error, errno == EACCES ? STATUS_NOT_PERMITTED : STATUS_NOT_FOUND,
                         "cannot run %s: %s", name, strerror(errno));
    }
    for (const char *item = search; item != NULL && name[0] != '\0';) {
        size_t size = strcspn(item, ":");
        int    length = snprintf(path, PROGRAM_PATH_SIZE, "%.*s%s/%s", (int)size, item,
                              size == 0 ? "." : "", name);

        if (length < PROGRAM_PATH_SIZE && is_program(path))
            return STATUS_OK;
        is_there = is_there || (length < PROGRAM_PATH_SIZE && errno == EACCES);
        item = item[size] == ':' ? item + size + 1 : NULL;
    }
    if (is_there)
        return error_set(error, STATUS_NOT_PERMITTED, "cannot run %s: permission denied", name);
    return error_set(error, STATUS_NOT_FOUND, "cannot run %s: it is not in PATH", name);
}

/* errno says why not. */
static bool is_program(const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return false;
    if (!S_ISREG(status.st_mode)) {
        errno = EACCES;
        return false;
    }
    return access(path, X_OK) == 0;
}
