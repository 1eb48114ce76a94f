#include "io/descriptor_count.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct descriptor_count {
    struct worker_pool *workers;
    const char         *folder;
    bool                size_says; /* the folder's size is the count */
    bool                is_walking;
    struct worker_job   job;
    uint64_t            walked; /* the worker's while it walks */
    uint64_t            known;
};

static uint64_t read_size(const struct descriptor_count *count);
static uint64_t walk_over(const char *folder);
static void     walk_on_worker(struct worker_job *job);
static void     on_walked(struct worker_job *job);

struct descriptor_count *descriptor_count_new(struct worker_pool *workers, const char *folder)
{
    struct descriptor_count *count = calloc(1, sizeof *count);

    if (count == NULL)
        return NULL;
    count->workers = workers;
    count->folder = folder;
    count->known = walk_over(folder);
    count->size_says = count->known > 0 && read_size(count) == count->known;
    return count;
}

void descriptor_count_free(struct descriptor_count *count)
{
    free(count);
}

static uint64_t read_size(const struct descriptor_count *count)
{
    struct stat found;

    return stat(count->folder, &found) == 0 && found.st_size > 0 ? (uint64_t)found.st_size : 0;
}

/* Of the entries one is that of the walk itself, if these are descriptors. */
static uint64_t walk_over(const char *folder)
{
    DIR           *directory = opendir(folder);
    struct dirent *entry;
    uint64_t       entries = 0;
    bool           has_own = false;

    if (directory == NULL)
        return 0;
    while ((entry = readdir(directory)) != NULL) {
        entries += entry->d_name[0] != '.';
        has_own |= entry->d_name[0] != '.' && atoi(entry->d_name) == dirfd(directory);
    }
    closedir(directory);
    return entries - has_own;
}

uint64_t descriptor_count_get(struct descriptor_count *count)
{
    if (count->size_says)
        return read_size(count);
    if (!count->is_walking) {
        count->is_walking = true;
        count->job =
            (struct worker_job){.kind = WORKER_POOL_SCAN, .run = walk_on_worker, .done = on_walked};
        worker_pool_submit(count->workers, &count->job);
    }
    return count->known;
}

static void walk_on_worker(struct worker_job *job)
{
    struct descriptor_count *count = CONTAINER_OF(job, struct descriptor_count, job);

    count->walked = walk_over(count->folder);
}

static void on_walked(struct worker_job *job)
{
    struct descriptor_count *count = CONTAINER_OF(job, struct descriptor_count, job);

    count->is_walking = false;
    count->known = count->walked;
}
