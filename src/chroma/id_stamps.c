#include "chroma/id_stamps.h"

static bool is_moment(struct id_stamps_moment left, struct id_stamps_moment right);

bool id_stamps_hold(const struct id_stamps *stamps, struct id_stamps_moment now)
{
    return stamps != NULL && is_moment(stamps->last, now);
}

static bool is_moment(struct id_stamps_moment left, struct id_stamps_moment right)
{
    return left.records == right.records && left.around == right.around;
}

uint64_t id_stamps_get(const struct id_stamps *stamps, const struct record_ids *ids,
                       struct id_stamps_moment now)
{
    unsigned place = 0, taken;
    uint64_t stamp;

    if (ids == NULL || !id_stamps_hold(stamps, now))
        return id_stamps_later(now.records, now.around);
    if (stamps->under_way != NULL && record_ids_meet(stamps->under_way, ids))
        return 0;
    stamp = id_stamps_later(stamps->base, now.around);
    while (record_ids_next(ids, &place, &taken))
        stamp = id_stamps_later(stamp, stamps->answered[taken]);
    return stamp;
}

void id_stamps_sent(struct id_stamps *stamps, const struct record_ids *ids,
                    struct id_stamps_moment before, struct id_stamps_moment after,
                    struct id_stamps_write *ret_write)
{
    *ret_write = (struct id_stamps_write){
        .ids = ids, .sent = after, .is_first = !is_moment(stamps->last, before)};
    if (ret_write->is_first)
        return;
    stamps->last = after;
    stamps->under_way = ids;
}

void id_stamps_known(struct id_stamps *stamps, const struct id_stamps_write *write, bool is_applied,
                     struct id_stamps_moment before, struct id_stamps_moment after)
{
    unsigned place = 0, taken;

    if (stamps->under_way == write->ids)
        stamps->under_way = NULL;
    if (!is_applied || !is_moment(write->sent, before))
        return;
    stamps->last = after;
    if (write->is_first)
        stamps->base = after.records;
    while (record_ids_next(write->ids, &place, &taken))
        stamps->answered[taken] = after.records;
}
