#include "app/mirror_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *mirror_folder_place(const char *directory, char *out)
{
    const char *const places[] = {getenv("STATE_DIRECTORY"), "/var/lib/chromabouncer",
                                  getenv("TMPDIR"), "/var/tmp", "/tmp"};

    if (strcmp(directory, "auto") != 0) {
        snprintf(out, PRIVATE_FOLDER_PATH_SIZE, "%s", directory);
        return out;
    }
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        if (places[i] == NULL || places[i][0] != '/')
            continue;
        snprintf(out, PRIVATE_FOLDER_PATH_SIZE, "%s", places[i]);
        out[strcspn(out, ":")] = '\0'; /* systemd may name several */
        if (access(out, W_OK | X_OK) == 0)
            return out;
    }
    return NULL;
}

enum status mirror_folder_make(struct private_folder *folder, const char *directory,
                               struct error *error)
{
    char         place[PRIVATE_FOLDER_PATH_SIZE];
    struct error why;
    enum status  status;

    if (mirror_folder_place(directory, place) == NULL)
        return error_set(
            error, STATUS_NOT_PERMITTED,
            "mirror.directory: none of the places of auto can be written to; name one");
    if (mkdir(place, 0700) != 0 && errno != EEXIST)
        return error_set(error, errno == EACCES ? STATUS_NOT_PERMITTED : STATUS_IO_FAILED,
                         "mirror.directory: %s cannot be made: %s", place, strerror(errno));
    status = private_folder_make_in(folder, place, &why);
    return status == STATUS_OK
               ? status
               : error_set(error, status, "mirror.directory: %s: %s", place, why.text);
}

/* Only a folder that was made shows that one can be: access() allows root everything, below /proc
 * too. Where the place is missing one beside it is as good. */
int mirror_folder_try(const char *place, struct statfs *ret_files)
{
    static const char name[] = "/chromabouncer-check.XXXXXX";
    char              path[PRIVATE_FOLDER_PATH_SIZE + sizeof name];
    int               reason;

    snprintf(path, PRIVATE_FOLDER_PATH_SIZE, "%s", place);
    if (access(path, F_OK) != 0) {
        if (errno != ENOENT)
            return errno;
        while (path[strlen(path) - 1] == '/')
            path[strlen(path) - 1] = '\0';
        *strrchr(path, '/') = '\0';
    }
    strcat(path, name);
    if (mkdtemp(path) == NULL)
        return errno;
    reason = statfs(path, ret_files) == 0 ? 0 : errno;
    rmdir(path);
    return reason;
}
