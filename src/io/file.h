/* file - whole reads and writes, renames and mappings, through a table that tests can replace
 *
 * Every system call that can fail goes through `struct file_ops`, so a test can fail, cut short
 * or stop at the n-th one. All functions retry short transfers and EINTR.
 *
 * Thread: any. Blocks; never on the event loop.
 */
#ifndef IO_FILE_H
#define IO_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/status.h"

struct file_ops {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    ssize_t (*pread)(int fd, void *data, size_t size, off_t offset);
    ssize_t (*pwrite)(int fd, const void *data, size_t size, off_t offset);
    int (*fsync)(int fd);
    int (*ftruncate)(int fd, off_t size);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    void *(*mmap)(void *address, size_t size, int protection, int flags, int fd, off_t offset);
    int (*munmap)(void *address, size_t size);
    int (*punch)(int fd, off_t offset, off_t size); /* give the blocks back, keep the size */
};

/* The system's calls. */
extern const struct file_ops file_ops_system;

/* Open `path` with open(2)'s flags (O_CLOEXEC is added), mode 0600 where it is created.
 * STATUS_NOT_FOUND      it does not exist.
 * STATUS_NOT_PERMITTED  the system says no.
 * STATUS_IO_FAILED      anything else; errno tells. */
MUST_CHECK enum status file_open(const struct file_ops *ops, const char *path, int flags,
                                 int *ret_fd);

/* -1 is allowed and ignored. */
void file_close(const struct file_ops *ops, int fd);

/* Read exactly `size` bytes.
 * STATUS_CORRUPT    the file ends before.
 * STATUS_IO_FAILED  the system refused. */
MUST_CHECK enum status file_read(const struct file_ops *ops, int fd, void *data, size_t size,
                                 uint64_t offset);

/* Write exactly `size` bytes. STATUS_IO_FAILED leaves an unknown part written. */
MUST_CHECK enum status file_write(const struct file_ops *ops, int fd, const void *data, size_t size,
                                  uint64_t offset);

/* Bring the data to stable storage. */
MUST_CHECK enum status file_sync(const struct file_ops *ops, int fd);

/* Make the entries of the directory that holds `path` durable, as a rename needs. */
MUST_CHECK enum status file_sync_dir(const struct file_ops *ops, const char *path);

/* The size in bytes of a regular file; STATUS_INVALID for anything else. */
MUST_CHECK enum status file_size(int fd, uint64_t *ret_size);

MUST_CHECK enum status file_truncate(const struct file_ops *ops, int fd, uint64_t size);

MUST_CHECK enum status file_rename(const struct file_ops *ops, const char *from, const char *to);

/* STATUS_OK also when there was nothing to remove. */
enum status file_unlink(const struct file_ops *ops, const char *path);

/* Map `size` bytes at `offset` (a multiple of the page size) read-only and shared. Bytes that
 * later writes put into the file appear. Undone with file_unmap(). */
MUST_CHECK enum status file_map(const struct file_ops *ops, int fd, uint64_t offset, size_t size,
                                const void **ret_data);

void file_unmap(const struct file_ops *ops, const void *data, size_t size);

/* Give the blocks of a range back to the file system; they read as zeros. File systems that
 * cannot are no error: the space is then reused, not returned. */
void file_punch(const struct file_ops *ops, int fd, uint64_t offset, uint64_t size);

#endif
