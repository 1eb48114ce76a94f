#include "index/hnsw_repair.h"

#include <string.h>

#include "index/hnsw_build.h"

enum {
    candidates_max = 96, /* three full lists: more did not raise recall */
    sealed_max = 64,     /* sealed slots walked through for one list */
    whole_per_step = 64, /* lists without a sealed link that count as one step */
    reach_rounds = 4,    /* no test needed a second; links may be given up in the first */
    lists_needed = 4,    /* with fewer links, a list is searched for anew */
};

struct list_repair {
    uint32_t slots[candidates_max]; /* what may be linked to */
    uint32_t count;
    uint32_t sealed[sealed_max]; /* dead ones on the way */
    uint32_t sealed_count;
};

static void move_entry(const struct hnsw_view *view);
static bool hnsw_repair_step(struct hnsw_repair *repair, const struct hnsw_view *view,
                             struct hnsw_scratch *scratch, struct index_readers *readers,
                             hnsw_repair_free_fn *on_free, void *ctx);
static void repair_some(struct hnsw_repair *repair, const struct hnsw_view *view,
                        struct hnsw_scratch *scratch);
static void free_next(struct hnsw_repair *repair, const struct hnsw_view *view,
                      hnsw_repair_free_fn *on_free, void *ctx);
static void next_phase(struct hnsw_repair *repair, const struct hnsw_view *view,
                       struct index_readers *readers);
static bool repair_slot(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot);
static bool gather(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot,
                   uint32_t level, struct list_repair *repair);
static void gather_link(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t link,
                        bool own, struct list_repair *repair);
static void choose_list(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot,
                        uint32_t level, const struct list_repair *repair);
static void forget_sealed(const struct hnsw_view *view);

void hnsw_repair_begin(struct hnsw_repair *repair, const struct hnsw_view *view)
{
    uint32_t used = view->slots->used;

    for (uint32_t slot = 0; slot < used; slot++)
        if (slot_table_state(view->slots, slot) == SLOT_DEAD)
            slot_table_set_state(view->slots, slot, SLOT_SEALED);
    move_entry(view);
    *repair = (struct hnsw_repair){.phase = REPAIR_LISTS, .end = used};
}

/* The entry must be alive: it is the one slot that every search passes. */
static void move_entry(const struct hnsw_view *view)
{
    uint64_t entry = view->graph->entry, best = 0;

    if (entry == 0 || slot_table_state(view->slots, (uint32_t)entry) == SLOT_LIVE)
        return;
    for (uint32_t slot = 0; slot < view->slots->used; slot++) {
        uint64_t level = slot_table_level(view->slots, slot);

        if (slot_table_state(view->slots, slot) == SLOT_LIVE && level + 1 > best >> 32)
            best = (level + 1) << 32 | slot;
    }
    atomic_store_explicit(&view->graph->entry, best, memory_order_release);
}

uint32_t hnsw_repair_run(struct hnsw_repair *repair, const struct hnsw_view *view,
                         struct hnsw_scratch *scratch, struct index_readers *readers,
                         uint32_t steps, hnsw_repair_free_fn *on_free, void *ctx)
{
    while (steps > 0 && repair->phase != REPAIR_IDLE) {
        if (!hnsw_repair_step(repair, view, scratch, readers, on_free, ctx))
            break;
        steps--;
    }
    return steps;
}

/* False when nothing could be done now. */
static bool hnsw_repair_step(struct hnsw_repair *repair, const struct hnsw_view *view,
                             struct hnsw_scratch *scratch, struct index_readers *readers,
                             hnsw_repair_free_fn *on_free, void *ctx)
{
    switch (repair->phase) {
    case REPAIR_LISTS:
        repair_some(repair, view, scratch);
        break;
    case REPAIR_CHECK:
        /* Without memory for it, going on gives some back. */
        repair->is_unchecked = hnsw_repair_reach(view, scratch) != STATUS_OK;
        repair->cursor = repair->end;
        break;
    case REPAIR_GRACE:
        if (!index_readers_passed(readers, repair->epoch))
            return false;
        repair->cursor = repair->end;
        break;
    case REPAIR_FREE:
        free_next(repair, view, on_free, ctx);
        break;
    case REPAIR_IDLE:
        break;
    }
    if (repair->cursor >= repair->end)
        next_phase(repair, view, readers);
    return true;
}

/* One list, and up to a number of whole ones: looking at those costs a hundredth of that. */
static void repair_some(struct hnsw_repair *repair, const struct hnsw_view *view,
                        struct hnsw_scratch *scratch)
{
    for (int i = 0; i < whole_per_step && repair->cursor < repair->end; i++)
        if (repair_slot(view, scratch, repair->cursor++))
            break;
}

static void free_next(struct hnsw_repair *repair, const struct hnsw_view *view,
                      hnsw_repair_free_fn *on_free, void *ctx)
{
    while (repair->cursor < repair->end &&
           slot_table_state(view->slots, repair->cursor) != SLOT_SEALED)
        repair->cursor++;
    if (repair->cursor >= repair->end)
        return;
    if (slot_table_is_listed(view->slots, repair->cursor))
        hnsw_build_discard(view, repair->cursor);
    on_free(ctx, repair->cursor++);
}

static void next_phase(struct hnsw_repair *repair, const struct hnsw_view *view,
                       struct index_readers *readers)
{
    uint32_t used = view->slots->used;

    repair->cursor = 0;
    repair->phase = repair->phase == REPAIR_FREE ? REPAIR_IDLE : repair->phase + 1;
    repair->end = repair->phase == REPAIR_FREE ? used : 1;
    if (repair->phase == REPAIR_CHECK) {
        forget_sealed(view);
        move_entry(view);
    } else if (repair->phase == REPAIR_GRACE) {
        move_entry(view);
        repair->epoch = index_readers_advance(readers);
    }
}

/* Whether there was something to repair. */
static bool repair_slot(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot)
{
    enum slot_state    state = slot_table_state(view->slots, slot);
    uint32_t           levels = slot_table_level(view->slots, slot);
    struct list_repair repair;
    bool               repaired = false;

    if ((state != SLOT_LIVE && state != SLOT_DEAD) || !slot_table_is_listed(view->slots, slot))
        return false;
    for (uint32_t level = 0; level <= levels; level++) {
        bool broken = gather(view, scratch, slot, level, &repair);

        hnsw_forget_visited(scratch);
        if (broken)
            choose_list(view, scratch, slot, level, &repair);
        repaired = repaired || broken;
    }
    return repaired;
}

/* The links that stay, and what the sealed ones lead to, through other sealed ones if need be.
 * False when no link of `slot` is sealed. */
static bool gather(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot,
                   uint32_t level, struct list_repair *repair)
{
    uint32_t          width;
    _Atomic uint32_t *links = hnsw_links(view->graph, slot, level, &width);

    repair->count = repair->sealed_count = 0;
    (void)hnsw_see(scratch, slot);
    for (uint32_t i = 0; i < width; i++) {
        uint32_t link = atomic_load_explicit(&links[i], memory_order_relaxed);

        if (link == SLOT_NONE)
            break;
        gather_link(view, scratch, link, true, repair);
    }
    for (uint32_t i = 0; i < repair->sealed_count; i++) {
        links = hnsw_links(view->graph, repair->sealed[i], level, &width);
        for (uint32_t j = 0; j < width; j++) {
            uint32_t link = atomic_load_explicit(&links[j], memory_order_relaxed);

            if (link == SLOT_NONE)
                break;
            if (scratch->seen_count < hnsw_seen_room)
                gather_link(view, scratch, link, false, repair);
        }
    }
    return repair->sealed_count > 0;
}

static void gather_link(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t link,
                        bool own, struct list_repair *repair)
{
    enum slot_state state = slot_table_state(view->slots, link);

    if (!hnsw_see(scratch, link))
        return;
    if (state == SLOT_SEALED) {
        if (repair->sealed_count < sealed_max)
            repair->sealed[repair->sealed_count++] = link;
    } else if (repair->count < candidates_max &&
               (own || state == SLOT_LIVE || state == SLOT_WAITING)) {
        repair->slots[repair->count++] = link;
    }
}

static void choose_list(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot,
                        uint32_t level, const struct list_repair *repair)
{
    struct hnsw_build_choice choice;
    uint64_t                 keys[candidates_max];
    bool                     keep[candidates_max];
    uint32_t                 width, most, kept = 0;

    (void)hnsw_links(view->graph, slot, level, &width);
    code_table_query(view->codes, slot, &scratch->query);
    hnsw_build_rank(view, &scratch->query, repair->slots, repair->count, keys);
    for (uint32_t i = 0; i < repair->count; i++) {
        keep[i] = level == 0 && hnsw_build_is_only(view, slot, hnsw_key_slot(keys[i]));
        kept += keep[i];
    }
    /* Up to three quarters, so that the next neighbours find room, but no last link is dropped. */
    most = width - width / 4;
    most = kept > most ? kept : most;
    hnsw_build_choose(view, scratch, keys, keep, repair->count, most, &choice);
    for (uint32_t i = 0; i < choice.left_count && choice.count < most; i++)
        choice.taken[choice.count++] = choice.left[i];
    hnsw_build_store(view, slot, level, choice.taken, choice.count);
    for (uint32_t i = 0; i < choice.count; i++)
        (void)hnsw_build_append(view, choice.taken[i], level, slot);
    if (level == 0 && choice.count < lists_needed && slot_table_is_live(view->slots, slot))
        hnsw_build_attach(view, scratch, slot);
}

/* Links of sealed slots count no longer. The links stay for readers who stand there. */
static void forget_sealed(const struct hnsw_view *view)
{
    for (uint32_t slot = 0; slot < view->slots->used; slot++)
        if (slot_table_state(view->slots, slot) == SLOT_SEALED &&
            slot_table_is_listed(view->slots, slot))
            hnsw_build_uncount(view, slot);
}

enum status hnsw_repair_reach(const struct hnsw_view *view, struct hnsw_scratch *scratch)
{
    uint32_t    used = view->slots->used, *slots;
    enum status status;

    if (used == 0)
        return STATUS_OK;
    status = index_memory_alloc(view->memory, used * sizeof *slots, &slots);
    if (status != STATUS_OK)
        return status;
    /* One that is linked anew may lead to the others that were lost: each is a link too many at
     * worst, and they are few. Where no list had room, another may be lost instead: look again. */
    for (int round = 0; round < reach_rounds && view->graph->entry != 0; round++) {
        uint32_t lost = hnsw_repair_lost(view, scratch, slots);

        for (uint32_t i = 0; i < lost; i++)
            hnsw_build_attach(view, scratch, slots[i]);
        if (lost == 0)
            break;
    }
    index_memory_free(view->memory, slots, used * sizeof *slots);
    return STATUS_OK;
}

uint32_t hnsw_repair_lost(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                          uint32_t *slots)
{
    uint64_t entry = view->graph->entry;
    uint32_t head = 0, tail = 0, lost = 0;

    if (entry != 0) {
        slots[tail++] = (uint32_t)entry;
        scratch->visited[(uint32_t)entry / 64] |= UINT64_C(1) << (entry % 64);
    }
    while (head < tail) {
        uint32_t          width;
        _Atomic uint32_t *links = hnsw_links(view->graph, slots[head++], 0, &width);

        for (uint32_t i = 0; i < width; i++) {
            uint32_t link = atomic_load_explicit(&links[i], memory_order_relaxed);

            if (link == SLOT_NONE)
                break;
            if ((scratch->visited[link / 64] >> (link % 64) & 1) == 0) {
                scratch->visited[link / 64] |= UINT64_C(1) << (link % 64);
                slots[tail++] = link;
            }
        }
    }
    for (uint32_t slot = 0; slot < view->slots->used; slot++)
        if (slot_table_state(view->slots, slot) == SLOT_LIVE &&
            (scratch->visited[slot / 64] >> (slot % 64) & 1) == 0)
            slots[lost++] = slot;
    memset(scratch->visited, 0, scratch->visited_slots / 8);
    return lost;
}
