#include "copies/mirror_count.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "copies/mirror_ask.h"
#include "copies/mirror_choice.h"
#include "copies/mirror_entry.h"
#include "copies/mirror_info.h"

/* That of a description is as long as the keys of all its metadata. */
enum { count_answer_max = 512 << 10 };

/* Where there was no answer, or another one. */
static const uint64_t count_pause_us = 60000000;

struct mirror_count {
    struct mirror_keeper      *keeper;
    struct mirror_ask          ask;
    uint8_t                    uuid[16];       /* of which it is asked, */
    bool                       is_description; /* what it is, or how many records it has */
    struct collection_question question;
};

static bool                count_is_wanted(const struct mirror_entry *entry, uint64_t now_us);
static void                count_ask(struct mirror_count *count, struct mirror_entry *entry);
static uint32_t            count_dimension(const struct mirror_entry *entry);
static struct chroma_route count_route(const struct mirror_entry *entry);
static void                count_on_over(struct mirror_ask *ask, enum status failure);
static void                count_take(struct mirror_entry *entry, struct bytes answer);

struct mirror_count *mirror_count_new(struct mirror_keeper *keeper)
{
    struct mirror_count *count = calloc(1, sizeof *count);

    if (count == NULL)
        return NULL;
    count->keeper = keeper;
    if (mirror_ask_init(&count->ask, keeper->proxy, count_on_over) != STATUS_OK) {
        free(count);
        return NULL;
    }
    return count;
}

void mirror_count_free(struct mirror_count *count)
{
    if (count == NULL)
        return;
    mirror_ask_done(&count->ask);
    free(count);
}

void mirror_count_pump(struct mirror_count *count)
{
    struct mirror_keeper *keeper = count->keeper;

    if (mirror_ask_is_busy(&count->ask) ||
        mirror_keeper_now_us(keeper) < keeper->proxy->settled_us ||
        mirror_choice_obstacle(keeper) != NULL || !mirror_ask_may(keeper->proxy, count_answer_max))
        return;
    LIST_FOR_EACH(node, &keeper->entries)
    {
        struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        if (count_is_wanted(entry, mirror_keeper_now_us(keeper))) {
            count_ask(count, entry);
            return;
        }
    }
}

/* What was stopped before its ids were read may be known to be too large, and not by how much. */
static bool count_is_wanted(const struct mirror_entry *entry, uint64_t now_us)
{
    return !entry->is_counted && now_us >= entry->count_us && mirror_info_is_shown(entry, now_us) &&
           (entry->state == MIRROR_ENTRY_WAITING ||
            (entry->state == MIRROR_ENTRY_STOPPED && entry->reason == MIRROR_REASON_TOO_LARGE));
}

static void count_ask(struct mirror_count *count, struct mirror_entry *entry)
{
    struct proxy       *proxy = count->keeper->proxy;
    struct chroma_route route = count_route(entry);
    uint64_t            now_us = mirror_keeper_now_us(count->keeper);
    enum status         status;

    memcpy(count->uuid, entry->uuid, sizeof count->uuid);
    count->is_description = !entry->is_sized && count_dimension(entry) == 0;
    if (count->is_description) {
        count->question = collection_table_ask(proxy->collections, &route, now_us);
        status = mirror_ask_description(&count->ask, entry, count_answer_max);
    } else {
        status = mirror_ask_count(&count->ask, entry, count_answer_max);
    }
    entry->is_sized = count->is_description;
    if (!count->is_description || status != STATUS_OK)
        entry->count_us = now_us + count_pause_us;
}

static uint32_t count_dimension(const struct mirror_entry *entry)
{
    return entry->dimension != 0
               ? entry->dimension
               : collection_table_dimension(entry->keeper->proxy->collections, entry->uuid);
}

static struct chroma_route count_route(const struct mirror_entry *entry)
{
    return (struct chroma_route){.operation = CHROMA_OPERATION_COLLECTION_GET_ID,
                                 .info = chroma_route_info(CHROMA_OPERATION_COLLECTION_GET_ID),
                                 .tenant = bytes_of(entry->tenant),
                                 .database = bytes_of(entry->database)};
}

static void count_on_over(struct mirror_ask *ask, enum status failure)
{
    struct mirror_count *count = CONTAINER_OF(ask, struct mirror_count, ask);
    struct mirror_entry *entry = mirror_entry_find(count->keeper, count->uuid);
    struct bytes         answer = byte_buffer_bytes(&ask->answer);

    if (entry != NULL && failure == STATUS_OK && ask->status == 200 && ask->is_whole) {
        struct chroma_route route = count_route(entry);

        if (count->is_description)
            collection_table_learn(count->keeper->proxy->collections, &route, count->question,
                                   answer, mirror_keeper_now_us(count->keeper));
        else if (!entry->is_counted) /* its ids may have been listed meanwhile */
            count_take(entry, answer);
    }
    mirror_ask_clear(ask);
    mirror_keeper_wake(count->keeper);
}

/* Without the dimension nobody can tell what records take. */
static void count_take(struct mirror_entry *entry, struct bytes answer)
{
    uint32_t dimension = count_dimension(entry);
    uint64_t records;

    if (!text_to_number(answer, &records) || records > UINT32_MAX ||
        (records > 0 && dimension == 0))
        return;
    entry->is_counted = true;
    entry->records = (uint32_t)records;
    entry->dimension = dimension;
}
