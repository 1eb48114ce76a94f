#include "copies/mirror_describe.h"

#include <stdlib.h>

#include "copies/mirror_ask.h"
#include "copies/mirror_entry.h"

/* As that of a filling. */
enum { describe_answer_max = 512 << 10 };

struct mirror_describe {
    struct proxy       *proxy;
    mirror_describe_fn *on_over;
    void               *ctx;
    struct mirror_ask   ask;
};

static const struct mirror_entry *describe_entry(const struct mirror_describe *describe,
                                                 const uint8_t                 uuid[16]);
static void                       describe_on_over(struct mirror_ask *ask, enum status failure);

struct mirror_describe *mirror_describe_new(struct proxy *proxy, mirror_describe_fn *on_over,
                                            void *ctx)
{
    struct mirror_describe *describe = calloc(1, sizeof *describe);

    if (describe == NULL)
        return NULL;
    describe->proxy = proxy;
    describe->on_over = on_over;
    describe->ctx = ctx;
    if (mirror_ask_init(&describe->ask, proxy, describe_on_over) != STATUS_OK) {
        free(describe);
        return NULL;
    }
    return describe;
}

void mirror_describe_free(struct mirror_describe *describe)
{
    if (describe == NULL)
        return;
    mirror_ask_done(&describe->ask);
    free(describe);
}

bool mirror_describe_may(const struct mirror_describe *describe, const uint8_t uuid[16])
{
    return describe_entry(describe, uuid) != NULL;
}

/* NULL: it is not copied. */
static const struct mirror_entry *describe_entry(const struct mirror_describe *describe,
                                                 const uint8_t                 uuid[16])
{
    const struct mirror_keeper *keeper = describe->proxy->mirror;
    const struct mirror_entry  *entry = keeper == NULL ? NULL : mirror_entry_find(keeper, uuid);

    return entry != NULL && !entry->is_refused && keeper->is_gateway ? entry : NULL;
}

enum status mirror_describe_ask(struct mirror_describe *describe, const uint8_t uuid[16])
{
    const struct proxy        *proxy = describe->proxy;
    const struct mirror_entry *entry = describe_entry(describe, uuid);

    if (entry == NULL)
        return STATUS_NOT_FOUND;
    if (mirror_ask_is_busy(&describe->ask) || proxy->is_lost ||
        !mirror_ask_may(proxy, describe_answer_max))
        return STATUS_AGAIN;
    return mirror_ask_description(&describe->ask, entry, describe_answer_max);
}

bool mirror_describe_is_asking(const struct mirror_describe *describe)
{
    return mirror_ask_is_busy(&describe->ask);
}

static void describe_on_over(struct mirror_ask *ask, enum status failure)
{
    struct mirror_describe *describe = CONTAINER_OF(ask, struct mirror_describe, ask);
    struct byte_buffer      answer = mirror_ask_take(ask);
    bool                    is_good = failure == STATUS_OK && ask->status == 200 && ask->is_whole;

    describe->on_over(describe->ctx,
                      is_good ? byte_buffer_bytes(&answer) : (struct bytes){.data = ""});
    byte_buffer_done(&answer);
}
