#include "copies/mirror_lookup.h"

#include <stdlib.h>

#include "chroma/chroma_route.h"
#include "chroma/collection_table.h"
#include "copies/mirror_ask.h"
#include "copies/mirror_state.h"

enum { lookup_answer_max = 512 << 10 };

/* Who asked for another name is to hear of it first, if he asks within this. */
static const uint64_t lookup_kept_us = 1000000;

enum lookup_state { LOOKUP_NONE, LOOKUP_ASKED, LOOKUP_OVER };

struct mirror_lookup {
    struct mirror_keeper      *keeper;
    enum lookup_state          state;
    struct mirror_ask          ask;
    struct byte_buffer         tenant, database, name; /* as in a path */
    struct collection_question question;
    enum status                failure; /* why there is no answer; else its status counts: */
    unsigned                   status;
    uint64_t                   over_us;
};

static bool lookup_is_for(const struct mirror_lookup *lookup, const struct byte_buffer wanted[3]);
static enum status         lookup_begin(struct mirror_lookup *lookup, struct byte_buffer wanted[3]);
static struct chroma_route lookup_route(const struct mirror_lookup *lookup);
static void                lookup_on_over(struct mirror_ask *ask, enum status failure);
static enum status         lookup_tell(struct mirror_lookup *lookup, struct error *error);

struct mirror_lookup *mirror_lookup_new(struct mirror_keeper *keeper)
{
    struct mirror_lookup *lookup = calloc(1, sizeof *lookup);

    if (lookup == NULL)
        return NULL;
    lookup->keeper = keeper;
    if (mirror_ask_init(&lookup->ask, keeper->proxy, lookup_on_over) != STATUS_OK) {
        free(lookup);
        return NULL;
    }
    return lookup;
}

void mirror_lookup_free(struct mirror_lookup *lookup)
{
    if (lookup == NULL)
        return;
    mirror_ask_done(&lookup->ask);
    byte_buffer_done(&lookup->tenant);
    byte_buffer_done(&lookup->database);
    byte_buffer_done(&lookup->name);
    free(lookup);
}

enum status mirror_lookup_ask(struct mirror_lookup *lookup, struct scope scope, struct bytes name,
                              struct error *error)
{
    struct byte_buffer wanted[3] = {{0}, {0}, {0}};
    uint64_t           now_us = mirror_keeper_now_us(lookup->keeper);
    enum status        status = STATUS_AGAIN;

    if (chroma_route_encode(scope.tenant, &wanted[0]) != STATUS_OK ||
        chroma_route_encode(scope.database, &wanted[1]) != STATUS_OK ||
        chroma_route_encode(name, &wanted[2]) != STATUS_OK)
        status = STATUS_NO_MEMORY;
    else if (lookup->state == LOOKUP_OVER && lookup_is_for(lookup, wanted))
        status = lookup_tell(lookup, error);
    else if (!lookup->keeper->proxy->admission.is_paused &&
             (lookup->state == LOOKUP_NONE ||
              (lookup->state == LOOKUP_OVER && now_us - lookup->over_us > lookup_kept_us)))
        status = lookup_begin(lookup, wanted);
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        byte_buffer_done(&wanted[i]);
    return status == STATUS_NO_MEMORY ? error_set(error, status, "out of memory") : status;
}

static bool lookup_is_for(const struct mirror_lookup *lookup, const struct byte_buffer wanted[3])
{
    return bytes_equal(byte_buffer_bytes(&lookup->tenant), byte_buffer_bytes(&wanted[0])) &&
           bytes_equal(byte_buffer_bytes(&lookup->database), byte_buffer_bytes(&wanted[1])) &&
           bytes_equal(byte_buffer_bytes(&lookup->name), byte_buffer_bytes(&wanted[2]));
}

/* STATUS_AGAIN: it is on its way. */
static enum status lookup_begin(struct mirror_lookup *lookup, struct byte_buffer wanted[3])
{
    struct byte_buffer *kept[] = {&lookup->tenant, &lookup->database, &lookup->name};
    struct chroma_route route;
    enum status         status;

    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        byte_buffer_done(kept[i]);
        *kept[i] = wanted[i];
        wanted[i] = (struct byte_buffer){0};
    }
    route = lookup_route(lookup);
    lookup->question = collection_table_ask(lookup->keeper->proxy->collections, &route,
                                            mirror_keeper_now_us(lookup->keeper));
    status = mirror_ask_by_name(&lookup->ask, &route, lookup_answer_max);
    lookup->state = status == STATUS_OK ? LOOKUP_ASKED : LOOKUP_NONE;
    return status == STATUS_OK ? STATUS_AGAIN : STATUS_NO_MEMORY;
}

static struct chroma_route lookup_route(const struct mirror_lookup *lookup)
{
    return (struct chroma_route){.operation = CHROMA_OPERATION_COLLECTION_GET,
                                 .info = chroma_route_info(CHROMA_OPERATION_COLLECTION_GET),
                                 .tenant = byte_buffer_bytes(&lookup->tenant),
                                 .database = byte_buffer_bytes(&lookup->database),
                                 .collection = byte_buffer_bytes(&lookup->name)};
}

static void lookup_on_over(struct mirror_ask *ask, enum status failure)
{
    struct mirror_lookup *lookup = CONTAINER_OF(ask, struct mirror_lookup, ask);
    struct chroma_route   route = lookup_route(lookup);
    uint64_t              now_us = mirror_keeper_now_us(lookup->keeper);

    lookup->state = LOOKUP_OVER;
    lookup->failure = failure;
    lookup->status = ask->status;
    lookup->over_us = now_us;
    if (failure == STATUS_OK && ask->status == 200 && ask->is_whole)
        collection_table_learn(lookup->keeper->proxy->collections, &route, lookup->question,
                               byte_buffer_bytes(&ask->answer), now_us);
    mirror_ask_clear(ask);
}

static enum status lookup_tell(struct mirror_lookup *lookup, struct error *error)
{
    lookup->state = LOOKUP_NONE;
    if (lookup->failure != STATUS_OK)
        return error_set(error, STATUS_NOT_IMPLEMENTED, "Chroma does not say which it is: %s",
                         status_text(lookup->failure));
    switch (lookup->status) {
    case 200:
        return STATUS_OK;
    case 400: /* no collection can have such a name */
    case 404:
        return error_set(error, STATUS_NOT_FOUND,
                         "Chroma has no such collection; write NAME, TENANT/DATABASE/NAME, or a "
                         "UUID that was seen since the start");
    default:
        return error_set(error, STATUS_NOT_IMPLEMENTED,
                         "Chroma does not say which it is: it answers %u", lookup->status);
    }
}
