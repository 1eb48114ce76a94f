#include "child/directory_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum status directory_lock_take(const char *directory, int *ret_lock)
{
    int lock, why;

    *ret_lock = -1;
    (void)!mkdir(directory, 0777); /* else open() fails, or it is there */
    lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return STATUS_IO_FAILED;
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        *ret_lock = lock;
        return STATUS_OK;
    }
    why = errno;
    close(lock);
    return why == EWOULDBLOCK ? STATUS_AGAIN : STATUS_IO_FAILED;
}
