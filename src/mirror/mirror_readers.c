#include "mirror/mirror_readers.h"

#include <pthread.h>
#include <stdlib.h>

struct mirror_readers {
    struct mirror_records *records;
    pthread_mutex_t        mutex;
    pthread_cond_t         given;
    struct mirror_reader  *free[MIRROR_READERS_MAX];
    size_t                 free_count, count;
};

struct mirror_readers *mirror_readers_new(struct mirror_records *records)
{
    struct mirror_readers *readers = calloc(1, sizeof *readers);

    if (readers == NULL)
        return NULL;
    readers->records = records;
    pthread_mutex_init(&readers->mutex, NULL);
    pthread_cond_init(&readers->given, NULL);
    return readers;
}

void mirror_readers_free(struct mirror_readers *readers)
{
    if (readers == NULL)
        return;
    for (size_t i = 0; i < readers->free_count; i++)
        mirror_reader_free(readers->free[i]);
    pthread_cond_destroy(&readers->given);
    pthread_mutex_destroy(&readers->mutex);
    free(readers);
}

/* One is made under the mutex: two threads do not do that at once. */
enum status mirror_readers_take(struct mirror_readers *readers, struct mirror_reader **ret_reader)
{
    enum status status = STATUS_OK;

    pthread_mutex_lock(&readers->mutex);
    while (readers->free_count == 0 && readers->count == MIRROR_READERS_MAX)
        pthread_cond_wait(&readers->given, &readers->mutex);
    if (readers->free_count > 0) {
        *ret_reader = readers->free[--readers->free_count];
    } else {
        status = mirror_reader_new(readers->records, ret_reader);
        readers->count += status == STATUS_OK;
    }
    pthread_mutex_unlock(&readers->mutex);
    return status;
}

void mirror_readers_give(struct mirror_readers *readers, struct mirror_reader *reader)
{
    pthread_mutex_lock(&readers->mutex);
    readers->free[readers->free_count++] = reader;
    pthread_cond_signal(&readers->given);
    pthread_mutex_unlock(&readers->mutex);
}
