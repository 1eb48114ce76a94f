#include "index/index_file.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "index/index_check.h"
#include "index/index_layout.h"

static struct index_layout layout_of(const struct vector_index *index, uint64_t sequence);
static enum status write_all(struct vector_index *index, const struct index_layout *layout, int fd);
static enum status write_arrays(struct vector_index *index, const struct index_layout *layout,
                                int fd, const char *states, uint32_t *sums);
static char       *tmp_path(const struct vector_index *index);
static enum status save_to(struct vector_index *index, uint64_t sequence, const char *tmp);
static enum status read_layout(const struct file_ops *ops, int fd, struct index_layout *layout,
                               struct error *error);
static enum status fits_options(const struct index_layout         *layout,
                                const struct vector_index_options *options, struct error *error);
static enum status load_from(struct vector_index *index, const struct index_layout *layout, int fd,
                             struct error *error);
static enum status make_arrays(struct vector_index *index, const struct index_layout *layout);
static enum status read_arrays(struct vector_index *index, const struct index_layout *layout,
                               int fd, struct error *error);
static enum status read_section(struct vector_index *index, int fd, char *array, uint64_t size,
                                uint64_t offset, const uint32_t *sums);

enum status index_file_save(struct vector_index *index, uint64_t sequence, struct error *error)
{
    char       *tmp = tmp_path(index);
    enum status status = tmp == NULL ? STATUS_NO_MEMORY : save_to(index, sequence, tmp);

    free(tmp);
    if (status != STATUS_OK)
        return error_set(error, status, "%s: cannot be saved: %s", index->path,
                         status_text(status));
    return STATUS_OK;
}

static char *tmp_path(const struct vector_index *index)
{
    size_t size = strlen(index->path) + sizeof ".tmp";
    char  *path = malloc(size);

    if (path != NULL)
        snprintf(path, size, "%s.tmp", index->path);
    return path;
}

static enum status save_to(struct vector_index *index, uint64_t sequence, const char *tmp)
{
    const struct file_ops *ops = index->options.file_ops;
    struct index_layout    layout = layout_of(index, sequence);
    int                    fd = -1;
    enum status            status = vector_file_sync(&index->file);

    if (status == STATUS_OK)
        status = file_open(ops, tmp, O_RDWR | O_CREAT | O_TRUNC, &fd);
    if (status == STATUS_OK)
        status = write_all(index, &layout, fd);
    if (status == STATUS_OK)
        status = file_sync(ops, fd);
    file_close(ops, fd);
    if (status == STATUS_OK) {
        /* Whatever comes back from here on, the new snapshot may be what the next load finds. */
        index->file.snapshot_exists = true;
        status = file_rename(ops, tmp, index->path);
    }
    if (status != STATUS_OK) {
        (void)file_unlink(ops, tmp);
        return status;
    }
    status = file_sync_dir(ops, index->path);
    if (status == STATUS_OK)
        vector_file_reclaim(&index->file);
    return status;
}

static struct index_layout layout_of(const struct vector_index *index, uint64_t sequence)
{
    struct index_layout layout = {
        .sequence = sequence,
        .identity = index->file.identity,
        .seed = index->options.seed,
        .dim = index->options.dim,
        .metric = index->options.metric,
        .coding = vector_index_core_codes(index)->quantizer.kind,
        .m = index->options.m,
        .slots = index->slots.used,
        .upper_used = index->graph.entry == 0 ? 0 : index->graph.upper_used,
        .entry = index->graph.entry,
        .segments = index->file.segments,
        .known = index->slots.known,
    };

    index_layout_sections(&layout);
    return layout;
}

static enum status write_all(struct vector_index *index, const struct index_layout *layout, int fd)
{
    const struct file_ops *ops = index->options.file_ops;
    unsigned char          header[index_layout_header];
    size_t                 scratch = layout->slots + 4 * (size_t)layout->blocks + 8;
    enum slot_state        sealed = index->repair.phase == REPAIR_FREE ? SLOT_FREE : SLOT_DEAD;
    char                  *states;
    enum status            status = index_memory_alloc(&index->memory, scratch, &states);

    if (status != STATUS_OK)
        return status;
    /* Sums first: they need the alignment. A slot that is being taken out is a dead one in the
     * file, and its repair begins anew; when others have been freed already, its links may lead
     * to those, and nothing leads to it: free, then. */
    for (uint32_t i = 0; i < layout->slots; i++) {
        enum slot_state state = slot_table_state(&index->slots, i);

        states[4 * (size_t)layout->blocks + i] = (char)(state == SLOT_SEALED ? sealed : state);
    }
    status = write_arrays(index, layout, fd, states + 4 * (size_t)layout->blocks,
                          (uint32_t *)(void *)states);
    if (status == STATUS_OK) /* to the full size, whatever the last section is */
        status = file_truncate(ops, fd, layout->file_size);
    index_layout_encode(layout, header);
    if (status == STATUS_OK)
        status = file_write(ops, fd, header, sizeof header, 0);
    index_memory_free(&index->memory, states, scratch);
    return status;
}

static enum status write_arrays(struct vector_index *index, const struct index_layout *layout,
                                int fd, const char *states, uint32_t *sums)
{
    char       *arrays[SECTION_COUNT];
    uint32_t    block = 0;
    enum status status;

    index_layout_arrays(index, arrays);
    for (int i = 0; i < SECTION_SUMS; i++) {
        const char *array = i == SECTION_STATES ? states : arrays[i];

        for (uint64_t at = 0; at < layout->sizes[i]; at += index_layout_block) {
            uint64_t size = layout->sizes[i] - at;

            size = size < index_layout_block ? size : index_layout_block;
            sums[block++] = crc32c(0, array + at, size);
            status =
                file_write(index->options.file_ops, fd, array + at, size, layout->offsets[i] + at);
            if (status != STATUS_OK)
                return status;
        }
    }
    return file_write(index->options.file_ops, fd, sums, layout->sizes[SECTION_SUMS],
                      layout->offsets[SECTION_SUMS]);
}

enum status index_file_load(const struct vector_index_options *options,
                            struct vector_index **ret_index, uint64_t *ret_sequence,
                            struct error *error)
{
    const struct file_ops *ops = options->file_ops != NULL ? options->file_ops : &file_ops_system;
    struct vector_index_options own = *options;
    struct vector_index        *index = NULL;
    struct index_layout         layout;
    int                         fd;
    enum status                 status;

    if (options->path == NULL)
        return error_set(error, STATUS_INVALID, "an index needs a path");
    status = file_open(ops, options->path, O_RDONLY, &fd);
    if (status != STATUS_OK)
        return error_set(error, status, "%s: %s", options->path, status_text(status));
    status = read_layout(ops, fd, &layout, error);
    if (status == STATUS_OK)
        status = fits_options(&layout, options, error);
    if (status == STATUS_OK) {
        own.m = layout.m;
        own.seed = layout.seed;
        status = vector_index_core_new(&own, &index, error);
    }
    if (status == STATUS_OK)
        status = load_from(index, &layout, fd, error);
    file_close(ops, fd);
    if (status != STATUS_OK) {
        vector_index_free(index);
        return status;
    }
    *ret_index = index;
    *ret_sequence = layout.sequence;
    return STATUS_OK;
}

static enum status read_layout(const struct file_ops *ops, int fd, struct index_layout *layout,
                               struct error *error)
{
    unsigned char header[index_layout_header];
    uint64_t      size;
    enum status   status = file_size(fd, &size);

    if (status == STATUS_OK)
        status = file_read(ops, fd, header, sizeof header, 0);
    if (status != STATUS_OK)
        return error_set(error, status, "the header cannot be read");
    status = index_layout_decode(layout, header, error);
    if (status == STATUS_OK && size != layout->file_size)
        return error_set(error, STATUS_CORRUPT, "the file has %llu bytes, not %llu",
                         (unsigned long long)size, (unsigned long long)layout->file_size);
    return status;
}

static enum status fits_options(const struct index_layout         *layout,
                                const struct vector_index_options *options, struct error *error)
{
    if (layout->dim != options->dim || layout->metric != (uint32_t)options->metric)
        return error_set(error, STATUS_CORRUPT, "the index is of another dimension or metric");
    return STATUS_OK;
}

static enum status load_from(struct vector_index *index, const struct index_layout *layout, int fd,
                             struct error *error)
{
    enum status status;

    if (layout->slots > index->options.vectors_max || layout->known > index->options.records_max)
        return error_set(error, STATUS_LIMIT_REACHED, "the index holds more than it may");
    status = make_arrays(index, layout);
    if (status != STATUS_OK)
        return error_set(error, status, "%s", status_text(status));
    status = read_arrays(index, layout, fd, error);
    if (status != STATUS_OK)
        return status;
    status = vector_file_open(&index->file, &index->memory, index->options.file_ops,
                              index->vectors_path, layout->dim, layout->identity, layout->segments,
                              index->options.vectors_max, error);
    if (status != STATUS_OK)
        return status;
    return index_check_adopt(index, layout->slots, layout->entry, layout->upper_used, error);
}

static enum status make_arrays(struct vector_index *index, const struct index_layout *layout)
{
    struct code_table *codes;
    enum status        status;

    status = vector_index_core_new_codes(index, (enum quantizer_kind)layout->coding, 0, &codes);
    if (status != STATUS_OK)
        return status;
    vector_index_core_free_codes(index, vector_index_core_codes(index));
    atomic_store_explicit(&index->codes, codes, memory_order_release);
    if (layout->slots == 0)
        return STATUS_OK;
    status = vector_index_core_grow(index, layout->slots,
                                    layout->known == 0 ? SLOT_NONE : layout->known - 1);
    if (status == STATUS_OK && layout->entry != 0)
        status = hnsw_grow(&index->graph, &index->memory, layout->slots);
    if (status == STATUS_OK && layout->upper_used > 0)
        status =
            index_memory_commit(&index->memory, &index->graph.upper, layout->sizes[SECTION_UPPER]);
    return status;
}

static enum status read_arrays(struct vector_index *index, const struct index_layout *layout,
                               int fd, struct error *error)
{
    const struct file_ops *ops = index->options.file_ops;
    char                  *arrays[SECTION_COUNT];
    uint32_t              *sums, block = 0;
    enum status            status;

    if (layout->blocks == 0)
        return STATUS_OK;
    index_layout_arrays(index, arrays);
    status = index_memory_alloc(&index->memory, layout->sizes[SECTION_SUMS], &sums);
    if (status != STATUS_OK)
        return error_set(error, status, "%s", status_text(status));
    status = file_read(ops, fd, sums, layout->sizes[SECTION_SUMS], layout->offsets[SECTION_SUMS]);
    for (int i = 0; i < SECTION_SUMS && status == STATUS_OK; i++) {
        status =
            read_section(index, fd, arrays[i], layout->sizes[i], layout->offsets[i], sums + block);
        block += index_layout_blocks(layout->sizes[i]);
    }
    index_memory_free(&index->memory, sums, layout->sizes[SECTION_SUMS]);
    if (status != STATUS_OK)
        return error_set(error, status, "a section cannot be read, or lacks its checksum");
    return STATUS_OK;
}

static enum status read_section(struct vector_index *index, int fd, char *array, uint64_t size,
                                uint64_t offset, const uint32_t *sums)
{
    for (uint64_t at = 0; at < size; at += index_layout_block) {
        uint64_t    part = size - at < index_layout_block ? size - at : index_layout_block;
        enum status status = file_read(index->options.file_ops, fd, array + at, part, offset + at);

        if (status != STATUS_OK)
            return status;
        /* At once, while the block is in the cache. */
        if (crc32c(0, array + at, part) != sums[at / index_layout_block])
            return STATUS_CORRUPT;
    }
    return STATUS_OK;
}

void index_file_forget(struct vector_index *index)
{
    (void)file_unlink(index->options.file_ops, index->path);
    vector_file_reclaim(&index->file);
    index->file.snapshot_exists = false;
}
