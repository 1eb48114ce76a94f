#include "child/private_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum status private_folder_make(char *path, struct error *error)
{
    const char *const places[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp"};

    for (size_t i = 0; i < COUNT_OF(places); i++) {
        if (places[i] == NULL || places[i][0] != '/' ||
            snprintf(path, PRIVATE_FOLDER_SIZE, "%s/chromabouncer.XXXXXX", places[i]) >=
                PRIVATE_FOLDER_SIZE)
            continue;
        if (mkdtemp(path) != NULL) /* mode 0700 */
            return STATUS_OK;
    }
    path[0] = '\0';
    return error_set(error, errno == EACCES ? STATUS_NOT_PERMITTED : STATUS_IO_FAILED,
                     "cannot make a folder in /tmp: %s", strerror(errno));
}

void private_folder_remove(const char *path)
{
    DIR           *folder = path[0] == '\0' ? NULL : opendir(path);
    struct dirent *entry;

    if (folder == NULL)
        return;
    while ((entry = readdir(folder)) != NULL)
        (void)unlinkat(dirfd(folder), entry->d_name, 0); /* . and .. stay */
    closedir(folder);
    rmdir(path);
}
