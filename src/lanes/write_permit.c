#include "lanes/write_permit.h"

enum write_permission write_permit_ask(struct write *write)
{
    enum write_permission permission = WRITE_PERMITTED;

    if (write->is_refused)
        return WRITE_REFUSED;
    if (write->permit != NULL && !write->was_sent)
        permission = write->permit->judge(write->permit, write);
    write->is_refused = permission == WRITE_REFUSED;
    return permission;
}

const struct coalescer_outcome *write_permit_ask_batch(const struct coalescer_batch *batch)
{
    static const struct coalescer_outcome again = {.kind = COALESCER_NOT_SENT};
    static const struct coalescer_outcome apart = {.kind = COALESCER_APART};
    static const struct coalescer_outcome over = {.kind = COALESCER_ANSWERED, .http_status = 403};
    size_t                                count = coalescer_batch_count(batch), refused = 0;
    bool                                  is_decided = true;

    for (size_t i = 0; i < count; i++) {
        enum write_permission permission = write_permit_ask(coalescer_batch_member(batch, i));

        refused += permission == WRITE_REFUSED;
        is_decided = is_decided && permission != WRITE_UNDECIDED;
    }
    if (!is_decided)
        return &again;
    if (refused == 0)
        return NULL;
    return refused < count ? &apart : &over;
}

void write_permit_note_sent(const struct coalescer_batch *batch)
{
    for (size_t i = 0; i < coalescer_batch_count(batch); i++)
        ((struct write *)coalescer_batch_member(batch, i))->was_sent = true;
}
