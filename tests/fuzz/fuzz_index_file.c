/* fuzz_index_file - the loader of snapshots against anything
 *
 * The input is a snapshot; its checksums are put right first, else nothing behind them would ever
 * be reached. What the loader believes is searched, changed, repaired and freed. The vectors file
 * beside it is made once, large enough for any row of the seed. tests/fuzz/corpus/index_file/ holds
 * two of dimension 4: one with a graph, one without.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "index/index_file.h"
#include "index/vector_search.h"

enum { dim = 4, rows = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64], vectors_path[80];

static int no_fsync(int fd)
{
    (void)fd;
    return 0;
}

/* The vectors file that a snapshot of this identity wants; zeros are vectors like any other. */
static void write_vectors(const uint8_t *snapshot)
{
    static unsigned char header[4096];
    uint32_t             version = 1, vector_dim = dim, crc;
    int                  fd = open(vectors_path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    memcpy(header, "CBVECTOR", 8);
    memcpy(header + 8, &version, 4);
    memcpy(header + 12, &vector_dim, 4);
    memcpy(header + 16, snapshot + 24, 8);
    crc = crc32c(0, header, 24);
    memcpy(header + 24, &crc, 4);
    if (fd < 0 || pwrite(fd, header, sizeof header, 0) != sizeof header ||
        ftruncate(fd, 4096 + rows * 64) != 0)
        abort();
    close(fd);
}

static void put_checksums_right(uint8_t *data, size_t size)
{
    uint64_t sums_at, offset, length;
    uint32_t crc, block = 0;

    memcpy(&sums_at, data + 128 + 16 * 10, 8);
    for (int i = 0; i < 10; i++) {
        memcpy(&offset, data + 128 + 16 * i, 8);
        memcpy(&length, data + 128 + 16 * i + 8, 8);
        if (offset > size || length > size - offset || sums_at > size || size - sums_at < 64)
            break;
        for (uint64_t at = 0; at < length && block < 16; at += 1 << 20) {
            uint64_t part = length - at < 1 << 20 ? length - at : 1 << 20;

            crc = crc32c(0, data + offset + at, part);
            memcpy(data + sums_at + 4 * block++, &crc, 4);
        }
    }
    crc = crc32c(0, data, 4092);
    memcpy(data + 4092, &crc, 4);
}

static void use(struct vector_index *index)
{
    float                      vector[dim] = {1, 2, 3, 4};
    struct vector_search      *search;
    struct vector_search_hit   hits[5];
    struct vector_search_query query = {.vector = vector, .k = 5, .ef = 20};
    uint32_t                   count;

    if (vector_search_new(index, &search) != STATUS_OK)
        abort();
    (void)!vector_search_run(search, &query, hits, &count, NULL);
    query.exact = true;
    (void)!vector_search_run(search, &query, hits, &count, NULL);
    for (uint32_t i = 0; i < 20; i++) {
        vector[0] = (float)i;
        (void)!vector_index_delete(index, i * 3);
        (void)!vector_index_add(index, i, vector);
        (void)vector_index_maintain(index, 50);
    }
    (void)vector_index_maintain(index, UINT32_MAX);
    vector_search_free(search);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct file_ops             ops = file_ops_system;
    struct vector_index_options options = {
        .dim = dim, .graph_min = 20, .vectors_max = 5000, .memory_max = 8 << 20, .path = path};
    struct vector_index *index;
    uint8_t             *copy;
    uint64_t             sequence;
    int                  fd;

    if (size < 4096 || size > 1 << 20)
        return 0;
    if (path[0] == '\0') {
        snprintf(path, sizeof path, "/tmp/fuzz_index_file.%ld", (long)getpid());
        snprintf(vectors_path, sizeof vectors_path, "%s.vectors", path);
    }
    ops.fsync = no_fsync;
    options.file_ops = &ops;
    copy = malloc(size);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    put_checksums_right(copy, size);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, copy, size) != (ssize_t)size)
        abort();
    close(fd);
    write_vectors(copy);
    free(copy);
    if (index_file_load(&options, &index, &sequence, NULL) == STATUS_OK) {
        use(index);
        vector_index_free(index);
    }
    unlink(path);
    unlink(vectors_path);
    return 0;
}
