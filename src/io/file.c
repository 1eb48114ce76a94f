#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int         system_open(const char *path, int flags, mode_t mode);
static int         system_punch(int fd, off_t offset, off_t size);
static enum status status_of_errno(void);

const struct file_ops file_ops_system = {
    .open = system_open,
    .close = close,
    .pread = pread,
    .pwrite = pwrite,
    .fsync = fsync,
    .ftruncate = ftruncate,
    .rename = rename,
    .unlink = unlink,
    .mmap = mmap,
    .munmap = munmap,
    .punch = system_punch,
};

static int system_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

static int system_punch(int fd, off_t offset, off_t size)
{
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
}

enum status file_open(const struct file_ops *ops, const char *path, int flags, int *ret_fd)
{
    int fd;

    do
        fd = ops->open(path, flags | O_CLOEXEC, 0600);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return status_of_errno();
    *ret_fd = fd;
    return STATUS_OK;
}

static enum status status_of_errno(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return STATUS_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return STATUS_NOT_PERMITTED;
    default:
        return STATUS_IO_FAILED;
    }
}

void file_close(const struct file_ops *ops, int fd)
{
    if (fd >= 0)
        ops->close(fd);
}

enum status file_read(const struct file_ops *ops, int fd, void *data, size_t size, uint64_t offset)
{
    char *next = data;

    while (size > 0) {
        ssize_t got = ops->pread(fd, next, size, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return STATUS_IO_FAILED;
        if (got == 0)
            return STATUS_CORRUPT;
        next += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return STATUS_OK;
}

enum status file_write(const struct file_ops *ops, int fd, const void *data, size_t size,
                       uint64_t offset)
{
    const char *next = data;

    while (size > 0) {
        ssize_t put = ops->pwrite(fd, next, size, (off_t)offset);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return STATUS_IO_FAILED;
        next += put;
        offset += (uint64_t)put;
        size -= (size_t)put;
    }
    return STATUS_OK;
}

enum status file_sync(const struct file_ops *ops, int fd)
{
    /* Not retried: after a failed fsync the kernel may have dropped the dirty pages. */
    return ops->fsync(fd) == 0 ? STATUS_OK : STATUS_IO_FAILED;
}

enum status file_sync_dir(const struct file_ops *ops, const char *path)
{
    const char *slash = strrchr(path, '/');
    char       *dir;
    enum status status;
    int         fd;

    if (slash == NULL)
        dir = strdup(".");
    else
        dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (dir == NULL)
        return STATUS_NO_MEMORY;
    status = file_open(ops, dir, O_RDONLY | O_DIRECTORY, &fd);
    free(dir);
    if (status != STATUS_OK)
        return status;
    status = file_sync(ops, fd);
    file_close(ops, fd);
    return status;
}

enum status file_size(int fd, uint64_t *ret_size)
{
    struct stat info;

    if (fstat(fd, &info) != 0)
        return STATUS_IO_FAILED;
    if (!S_ISREG(info.st_mode))
        return STATUS_INVALID;
    *ret_size = (uint64_t)info.st_size;
    return STATUS_OK;
}

enum status file_truncate(const struct file_ops *ops, int fd, uint64_t size)
{
    return ops->ftruncate(fd, (off_t)size) == 0 ? STATUS_OK : STATUS_IO_FAILED;
}

enum status file_rename(const struct file_ops *ops, const char *from, const char *to)
{
    return ops->rename(from, to) == 0 ? STATUS_OK : status_of_errno();
}

enum status file_unlink(const struct file_ops *ops, const char *path)
{
    if (ops->unlink(path) == 0 || errno == ENOENT)
        return STATUS_OK;
    return status_of_errno();
}

enum status file_map(const struct file_ops *ops, int fd, uint64_t offset, size_t size,
                     const void **ret_data)
{
    void *data = ops->mmap(NULL, size, PROT_READ, MAP_SHARED, fd, (off_t)offset);

    if (data == MAP_FAILED)
        return errno == ENOMEM ? STATUS_NO_MEMORY : STATUS_IO_FAILED;
    *ret_data = data;
    return STATUS_OK;
}

void file_unmap(const struct file_ops *ops, const void *data, size_t size)
{
    if (data != NULL)
        ops->munmap((void *)(uintptr_t)data, size);
}

void file_punch(const struct file_ops *ops, int fd, uint64_t offset, uint64_t size)
{
    (void)ops->punch(fd, (off_t)offset, (off_t)size);
}
