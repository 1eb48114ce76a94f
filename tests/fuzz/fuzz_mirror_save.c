/* fuzz_mirror_save - the loader of saved copies against anything
 *
 * The input is PATH.records of a copy without vectors; its checksums are put right first, else
 * nothing behind them would ever be reached. What the loader believes is read, changed, and saved
 * again.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "mirror/mirror_save.h"
#include "mirror/mirror_save_core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];

static int no_fsync(int fd)
{
    (void)fd;
    return 0;
}

static struct mirror_save_seal put_checksums_right(uint8_t *data, size_t size)
{
    struct mirror_save_seal  seal = {.size = size};
    struct mirror_save_entry entry;
    size_t                   at = MIRROR_SAVE_HEAD_SIZE;

    memcpy(&seal.records, data + 16, sizeof seal.records);
    while (size - at >= sizeof entry) {
        uint64_t texts;

        memcpy(&entry, data + at, sizeof entry);
        texts = (uint64_t)entry.id + entry.metadata + entry.document + entry.uri;
        if (texts > size - at - sizeof entry)
            break;
        entry.checksum =
            crc32c(crc32c(0, &entry, MIRROR_SAVE_SUMMED), data + at + sizeof entry, texts);
        memcpy(data + at, &entry, sizeof entry);
        at += sizeof entry + texts;
    }
    seal.checksum = crc32c(0, data + MIRROR_SAVE_HEAD_SIZE, size - MIRROR_SAVE_HEAD_SIZE);
    seal.checksum = crc32c(seal.checksum, data, MIRROR_SAVE_HEAD_SIZE);
    return seal;
}

static void use(struct mirror_records *records)
{
    struct mirror_save_seal seal;
    struct mirror_value     value = {.has_document = true, .document = BYTES_LITERAL("new")};
    size_t                  position = 0;
    uint32_t                row;

    if (mirror_records_begin(records) != STATUS_OK)
        return;
    if (mirror_records_next(records, &position, &row) &&
        mirror_records_remove(records, row) != STATUS_OK)
        abort();
    if (mirror_records_append(records, BYTES_LITERAL("a new one"), &row) == STATUS_OK)
        (void)!mirror_records_put_value(records, row, &value, NULL);
    if (mirror_records_commit(records) == STATUS_OK &&
        mirror_save_write(records, UINT64_MAX, &seal) != STATUS_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct file_ops        ops;
    struct mirror_records_options options = {
        .path = path, .records_max = 1000, .secret = "secret", .file_ops = &ops};
    struct mirror_save_seal seal;
    struct mirror_records  *records;
    uint8_t                *copy;
    char                    records_path[80];
    int                     fd;

    if (size < MIRROR_SAVE_HEAD_SIZE)
        return 0;
    ops = file_ops_system;
    ops.fsync = no_fsync;
    if (path[0] == '\0')
        snprintf(path, sizeof path, "%s/fuzz_mirror_save.%d",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    snprintf(records_path, sizeof records_path, "%s.records", path);
    copy = malloc(size);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    seal = put_checksums_right(copy, size);
    fd = open(records_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, copy, size) != (ssize_t)size)
        abort();
    close(fd);
    free(copy);
    memcpy(&options.space, data + 8, sizeof(uint32_t));
    options.space %= COLLECTION_SPACE_IP + 1;
    if (mirror_save_read(&options, &seal, &records) == STATUS_OK) {
        use(records);
        mirror_records_free(records);
    }
    mirror_save_remove(&ops, path);
    return 0;
}
