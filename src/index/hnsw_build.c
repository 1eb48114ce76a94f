#include "index/hnsw_build.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

struct build_team {
    const struct hnsw_view *view;
    const uint32_t         *slots;
    uint32_t                count;
    _Atomic uint32_t        next;
    pthread_mutex_t         top; /* held while a slot above the entry's level is linked */
};

struct build_helper {
    struct build_team  *team;
    pthread_t           thread;
    struct hnsw_scratch scratch;
};

static uint32_t   *upper_rows(const struct hnsw *graph);
static enum status take_rows(const struct hnsw_view *view, uint32_t count, uint32_t *ret_row);
static void link_from(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot,
                      uint64_t entry);
static void link_level(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot,
                       uint32_t level);
static void offer_links(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                        const struct hnsw_build_choice *choice, uint32_t level, uint32_t slot);
static void place(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                  const struct hnsw_build_choice *choice, uint32_t slot);
static bool force_link(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t from,
                       uint32_t slot);
static void link_somewhere(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                           const struct hnsw_build_choice *choice, uint32_t slot);
static bool splice(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t from,
                   uint32_t slot);
static uint32_t keep_live(const struct hnsw_view *view, uint64_t *keys, uint32_t count,
                          uint32_t self);
static bool     covered(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint64_t key,
                        const uint32_t *taken, uint32_t count);
static void  offer_link(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot,
                        uint32_t level, uint32_t to);
static void  prune_into(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot,
                        uint32_t level, uint32_t to, bool force);
static void  lock_slot(struct hnsw *graph, uint32_t slot);
static void  unlock_slot(struct hnsw *graph, uint32_t slot);
static void  count_link(const struct hnsw_view *view, uint32_t level, uint32_t to, int change);
static void *helper_run(void *argument);
static void  team_work(struct build_team *team, struct hnsw_scratch *scratch);

enum status hnsw_build_prepare(const struct hnsw_view *view, uint32_t slot)
{
    struct hnsw *graph = view->graph;
    uint32_t     level = slot_table_level(view->slots, slot), width;
    enum status  status = STATUS_OK;

    upper_rows(graph)[slot] = SLOT_NONE;
    if (level > 0)
        status = take_rows(view, level, &upper_rows(graph)[slot]);
    if (status != STATUS_OK)
        return status;
    for (uint32_t i = 0; i <= level; i++) {
        _Atomic uint32_t *links = hnsw_links(graph, slot, i, &width);

        for (uint32_t j = 0; j < width; j++)
            atomic_store_explicit(&links[j], SLOT_NONE, memory_order_relaxed);
    }
    ((_Atomic uint16_t *)(void *)graph->in_degrees.base)[slot] = 0;
    slot_table_levels(view->slots)[slot] |= SLOT_LISTED;
    return STATUS_OK;
}

static uint32_t *upper_rows(const struct hnsw *graph)
{
    return (uint32_t *)(void *)graph->upper_rows.base;
}

/* Of the free runs the shortest that is long enough; the rest of it stays free. */
static enum status take_rows(const struct hnsw_view *view, uint32_t count, uint32_t *ret_row)
{
    struct hnsw *graph = view->graph;
    uint32_t    *upper = (uint32_t *)(void *)graph->upper.base, run = count;
    enum status  status;

    while (run <= hnsw_level_max && graph->upper_free[run] == SLOT_NONE)
        run++;
    if (run <= hnsw_level_max) {
        *ret_row = graph->upper_free[run];
        graph->upper_free[run] = upper[(size_t)*ret_row * graph->m];
        if (run > count)
            hnsw_put_rows(graph, *ret_row + count, run - count);
        return STATUS_OK;
    }
    status = index_memory_commit(view->memory, &graph->upper,
                                 ((size_t)graph->upper_used + count) * graph->m * sizeof(uint32_t));
    if (status != STATUS_OK)
        return status;
    *ret_row = graph->upper_used;
    graph->upper_used += count;
    return STATUS_OK;
}

void hnsw_build_discard(const struct hnsw_view *view, uint32_t slot)
{
    uint32_t level = slot_table_level(view->slots, slot);

    slot_table_levels(view->slots)[slot] &= SLOT_LISTED - 1;
    if (level > 0)
        hnsw_put_rows(view->graph, upper_rows(view->graph)[slot], level);
}

void hnsw_build_uncount(const struct hnsw_view *view, uint32_t slot)
{
    uint32_t          width;
    _Atomic uint32_t *list = hnsw_links(view->graph, slot, 0, &width);

    for (uint32_t i = 0; i < width; i++) {
        uint32_t link = atomic_load_explicit(&list[i], memory_order_relaxed);

        if (link == SLOT_NONE)
            break;
        count_link(view, 0, link, -1);
    }
}

void hnsw_build_link(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot)
{
    const _Atomic uint16_t *in_degrees = (_Atomic uint16_t *)(void *)view->graph->in_degrees.base;
    uint64_t                entry = atomic_load_explicit(&view->graph->entry, memory_order_acquire);
    uint64_t                level = slot_table_level(view->slots, slot);

    if (entry != 0)
        link_from(view, scratch, slot, entry);
    if (entry != 0 && level < entry >> 32)
        return;
    atomic_store_explicit(&view->graph->entry, (level + 1) << 32 | slot, memory_order_release);
    /* The one slot that needed no link to it now does. */
    if (entry != 0 && in_degrees[(uint32_t)entry] == 0 &&
        !hnsw_build_append(view, slot, 0, (uint32_t)entry))
        (void)force_link(view, scratch, slot, (uint32_t)entry);
}

static void link_from(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot,
                      uint64_t entry)
{
    uint32_t                top = (uint32_t)(entry >> 32) - 1;
    uint32_t                level = slot_table_level(view->slots, slot);
    uint32_t                start;
    const struct hnsw_width width = {.ef = view->graph->ef_construction};

    code_table_query(view->codes, slot, &scratch->query);
    level = level < top ? level : top;
    start = hnsw_descend(view, scratch, entry, level);
    for (uint32_t i = level + 1; i-- > 0;) {
        (void)hnsw_search_level(view, scratch, start, i, &width);
        start = hnsw_key_slot(scratch->pool[0]);
        link_level(view, scratch, slot, i);
    }
}

static void link_level(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot,
                       uint32_t level)
{
    struct hnsw_build_choice choice;
    uint32_t                 found = scratch->pool_size;

    scratch->pool_size = keep_live(view, scratch->pool, found, slot);
    hnsw_build_choose(view, scratch, scratch->pool, NULL, scratch->pool_size, view->graph->m,
                      &choice);
    if (choice.count == 0)
        choice = (struct hnsw_build_choice){.count = 1, .taken = {(uint32_t)view->graph->entry}};
    lock_slot(view->graph, slot);
    hnsw_build_store(view, slot, level, choice.taken, choice.count);
    unlock_slot(view->graph, slot);
    /* Nothing but slots that the running repair takes out (a cluster was deleted, and comes back):
     * they lead here until the repair ends, which then links what was reached through them only;
     * the way from here is over the entry. */
    if (scratch->pool_size == 0)
        hnsw_build_choose(view, scratch, scratch->pool, NULL, found, view->graph->m, &choice);
    offer_links(view, scratch, &choice, level, slot);
}

/* Offer the way back to all that `slot` links to; at level 0 one of them must take it. */
static void offer_links(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                        const struct hnsw_build_choice *choice, uint32_t level, uint32_t slot)
{
    const _Atomic uint16_t *in_degrees = (_Atomic uint16_t *)(void *)view->graph->in_degrees.base;

    for (uint32_t i = 0; i < choice->count; i++)
        offer_link(view, scratch, choice->taken[i], level, slot);
    if (level == 0 && choice->count > 0 && in_degrees[slot] == 0)
        place(view, scratch, choice, slot);
}

/* All had better ones: one of those that `slot` links to must take it nevertheless, or else the
 * first one that takes it. */
static void place(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                  const struct hnsw_build_choice *choice, uint32_t slot)
{
    bool found = false;

    for (uint32_t i = 0; i < choice->count && !found; i++)
        found = force_link(view, scratch, choice->taken[i], slot);
    if (!found)
        link_somewhere(view, scratch, choice, slot);
}

/* Have `slot` in the list of `from`, unless all places there are last links to others. */
static bool force_link(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t from,
                       uint32_t slot)
{
    lock_slot(view->graph, from);
    prune_into(view, scratch, from, 0, slot, true);
    unlock_slot(view->graph, from);
    return hnsw_build_has(view, from, slot);
}

/* Have `slot` in the first list with room that the choice and the pool lead to. Many equal vectors
 * make closed circles of full lists: where none has room, in the way between two slots. */
static void link_somewhere(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                           const struct hnsw_build_choice *choice, uint32_t slot)
{
    bool found = false;

    scratch->seen_count = 0;
    hnsw_see(scratch, slot);
    for (uint32_t i = 0; i < choice->count; i++)
        hnsw_see(scratch, choice->taken[i]);
    for (uint32_t i = 0; i < scratch->pool_size && scratch->seen_count < hnsw_seen_room; i++)
        hnsw_see(scratch, hnsw_key_slot(scratch->pool[i]));
    for (uint32_t i = 1; i < scratch->seen_count && !found; i++) {
        uint32_t          width;
        _Atomic uint32_t *links = hnsw_links(view->graph, scratch->seen[i], 0, &width);

        found = slot_table_is_live(view->slots, scratch->seen[i]) &&
                hnsw_build_append(view, scratch->seen[i], 0, slot);
        for (uint32_t j = 0; j < width && !found && scratch->seen_count < hnsw_seen_room; j++) {
            uint32_t link = atomic_load_explicit(&links[j], memory_order_acquire);

            if (link == SLOT_NONE)
                break;
            hnsw_see(scratch, link);
        }
    }
    for (uint32_t i = 1; i < scratch->seen_count && !found; i++)
        found = slot_table_is_live(view->slots, scratch->seen[i]) &&
                splice(view, scratch, scratch->seen[i], slot);
    hnsw_forget_visited(scratch);
}

/* Put `slot` between `from` and the last that it links to: whoever was reached still is. False
 * when nobody or `slot` itself is there, or `slot` cannot do without any of its own links. */
static bool splice(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t from,
                   uint32_t slot)
{
    uint32_t          width, to;
    _Atomic uint32_t *links = hnsw_links(view->graph, from, 0, &width);
    bool              spliced;

    to = atomic_load_explicit(&links[width - 1], memory_order_acquire);
    if (to == SLOT_NONE || to == slot || slot_table_state(view->slots, to) > SLOT_DEAD ||
        (!hnsw_build_append(view, slot, 0, to) && !force_link(view, scratch, slot, to)))
        return false;
    lock_slot(view->graph, from);
    spliced = atomic_load_explicit(&links[width - 1], memory_order_relaxed) == to;
    if (spliced) {
        count_link(view, 0, slot, 1);
        atomic_store_explicit(&links[width - 1], slot, memory_order_release);
        count_link(view, 0, to, -1);
    }
    unlock_slot(view->graph, from);
    return spliced;
}

/* Drop `self` and what nothing new may lead to from a pool: sealed slots, and dead ones, which the
 * next repair would only have to replace, unless hardly anything else is there (a cluster was
 * deleted, and comes back): then they are steps on the way like any other. Where nothing is kept,
 * the pool stays as it is. */
static uint32_t keep_live(const struct hnsw_view *view, uint64_t *keys, uint32_t count,
                          uint32_t self)
{
    enum slot_state last = SLOT_LIVE;
    uint32_t        kept = 0, live = 0;

    for (uint32_t i = 0; i < count; i++)
        live += slot_table_is_live(view->slots, hnsw_key_slot(keys[i]));
    if (live <= view->graph->m)
        last = SLOT_DEAD;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = hnsw_key_slot(keys[i]);

        if (slot != self && slot_table_state(view->slots, slot) <= last)
            keys[kept++] = keys[i];
    }
    return kept;
}

void hnsw_build_rank(const struct hnsw_view *view, const struct quantizer_query *query,
                     const uint32_t *slots, uint32_t count, uint64_t *keys)
{
    float scores[code_table_batch];

    for (uint32_t i = 0; i < count; i++) {
        uint32_t part = count - i < code_table_batch ? count - i : code_table_batch, at = i;
        uint64_t key;

        if (i % code_table_batch == 0)
            code_table_score(view->codes, query, slots + i, part, scores);
        key = hnsw_key(scores[i % code_table_batch], slots[i]);
        for (; at > 0 && keys[at - 1] > key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

void hnsw_build_choose(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                       const uint64_t *keys, const bool *keep, uint32_t count, uint32_t most,
                       struct hnsw_build_choice *choice)
{
    uint32_t kept_to_come = 0;

    choice->count = choice->left_count = 0;
    for (uint32_t i = 0; keep != NULL && i < count; i++)
        kept_to_come += keep[i];
    for (uint32_t i = 0; i < count && choice->count < most; i++) {
        uint32_t slot = hnsw_key_slot(keys[i]);
        bool     must = keep != NULL && keep[i];

        kept_to_come -= must;
        if (must || (choice->count + kept_to_come < most &&
                     !covered(view, scratch, keys[i], choice->taken, choice->count)))
            choice->taken[choice->count++] = slot;
        else if (choice->left_count < COUNT_OF(choice->left))
            choice->left[choice->left_count++] = slot;
    }
}

/* Whether a taken slot is closer to the candidate than the candidate is to the base, whose score
 * is in the key. */
static bool covered(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint64_t key,
                    const uint32_t *taken, uint32_t count)
{
    float scores[code_table_batch];
    float limit = hnsw_key_score(key) + scratch->query.constant;

    if (count == 0)
        return false;
    code_table_query(view->codes, hnsw_key_slot(key), &scratch->neighbor);
    for (uint32_t i = 0; i < count; i += 4) {
        uint32_t part = count - i < 4 ? count - i : 4;

        code_table_score(view->codes, &scratch->neighbor, taken + i, part, scores);
        scratch->scored += part;
        for (uint32_t j = 0; j < part; j++)
            if (scores[j] + scratch->neighbor.constant < limit)
                return true;
    }
    return false;
}

void hnsw_build_store(const struct hnsw_view *view, uint32_t slot, uint32_t level,
                      const uint32_t *links, uint32_t count)
{
    uint32_t          width;
    _Atomic uint32_t *list = hnsw_links(view->graph, slot, level, &width);

    assert(count <= width);
    /* New links are counted before old ones are not, so no in-degree passes through zero. */
    for (uint32_t i = 0; i < count; i++)
        count_link(view, level, links[i], 1);
    for (uint32_t i = 0; i < width; i++) {
        uint32_t old = atomic_load_explicit(&list[i], memory_order_relaxed);

        atomic_store_explicit(&list[i], i < count ? links[i] : SLOT_NONE, memory_order_release);
        if (old != SLOT_NONE)
            count_link(view, level, old, -1);
    }
}

static void count_link(const struct hnsw_view *view, uint32_t level, uint32_t to, int change)
{
    _Atomic uint16_t *degree = (_Atomic uint16_t *)(void *)view->graph->in_degrees.base + to;
    uint16_t          now = atomic_load_explicit(degree, memory_order_relaxed);

    if (level > 0)
        return;
    do
        if (now == UINT16_MAX)
            return; /* so many that they are no longer counted */
    while (!atomic_compare_exchange_weak_explicit(degree, &now, (uint16_t)(now + change),
                                                  memory_order_relaxed, memory_order_relaxed));
}

static void offer_link(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot,
                       uint32_t level, uint32_t to)
{
    if (hnsw_build_append(view, slot, level, to))
        return;
    lock_slot(view->graph, slot);
    prune_into(view, scratch, slot, level, to, false);
    unlock_slot(view->graph, slot);
}

bool hnsw_build_append(const struct hnsw_view *view, uint32_t slot, uint32_t level, uint32_t to)
{
    uint32_t          width;
    _Atomic uint32_t *list = hnsw_links(view->graph, slot, level, &width);
    bool              present = false;

    lock_slot(view->graph, slot);
    for (uint32_t i = 0; i < width && !present; i++) {
        uint32_t link = atomic_load_explicit(&list[i], memory_order_relaxed);

        present = link == to;
        if (link == SLOT_NONE) {
            count_link(view, level, to, 1);
            atomic_store_explicit(&list[i], to, memory_order_release);
            present = true;
        }
    }
    unlock_slot(view->graph, slot);
    return present;
}

/* The list of `slot` is full: choose among it and `to` anew. With `force`, `to` is taken unless
 * all places hold slots that nothing else leads to. */
static void prune_into(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot,
                       uint32_t level, uint32_t to, bool force)
{
    const _Atomic uint16_t  *in_degrees = (_Atomic uint16_t *)(void *)view->graph->in_degrees.base;
    float                    constant = scratch->query.constant;
    struct hnsw_build_choice choice;
    uint32_t                 slots[2 * hnsw_m_max + 1], width, count = 0;
    uint64_t                 keys[2 * hnsw_m_max + 1];
    bool                     keep[2 * hnsw_m_max + 1];
    uint32_t                 kept = 0;
    _Atomic uint32_t        *list = hnsw_links(view->graph, slot, level, &width);

    for (uint32_t i = 0; i < width; i++) {
        uint32_t link = atomic_load_explicit(&list[i], memory_order_relaxed);

        if (link != SLOT_NONE)
            slots[count++] = link;
    }
    slots[count++] = to;
    /* The base is `neighbor` while the list is scored; then each candidate is, in its turn. */
    code_table_query(view->codes, slot, &scratch->neighbor);
    scratch->query.constant = scratch->neighbor.constant;
    hnsw_build_rank(view, &scratch->neighbor, slots, count, keys);
    scratch->scored += count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t link = hnsw_key_slot(keys[i]);

        keep[i] = link == to ? force : level == 0 && in_degrees[link] <= 1;
        kept += keep[i];
    }
    if (kept <= width) {
        hnsw_build_choose(view, scratch, keys, keep, count, width, &choice);
        hnsw_build_store(view, slot, level, choice.taken, choice.count);
    }
    scratch->query.constant = constant;
}

static void lock_slot(struct hnsw *graph, uint32_t slot)
{
    _Atomic unsigned char *lock = &graph->locks[slot % hnsw_locks];

    while (atomic_exchange_explicit(lock, 1, memory_order_acquire) != 0)
        sched_yield();
}

static void unlock_slot(struct hnsw *graph, uint32_t slot)
{
    atomic_store_explicit(&graph->locks[slot % hnsw_locks], 0, memory_order_release);
}

void hnsw_build_many(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                     const uint32_t *slots, uint32_t count, unsigned threads)
{
    struct build_helper helpers[hnsw_build_threads_max];
    struct build_team   team = {
          .view = view, .slots = slots, .count = count, .top = PTHREAD_MUTEX_INITIALIZER};
    unsigned helping = 0;
    uint32_t first = 0;

    /* The first few alone: a graph of a handful has one list to fight for. */
    for (; first < count && (first < 256 || threads <= 1); first++)
        hnsw_build_link(view, scratch, slots[first]);
    atomic_init(&team.next, first);
    while (first < count && helping + 1 < threads && helping < hnsw_build_threads_max) {
        struct build_helper *helper = &helpers[helping];

        *helper = (struct build_helper){.team = &team};
        if (hnsw_scratch_fit(&helper->scratch, view->memory, view->slots->used,
                             view->graph->ef_construction, scratch->dim) != STATUS_OK ||
            pthread_create(&helper->thread, NULL, helper_run, helper) != 0) {
            hnsw_scratch_done(&helper->scratch, view->memory);
            break;
        }
        helping++;
    }
    team_work(&team, scratch);
    while (helping > 0) {
        helping--;
        pthread_join(helpers[helping].thread, NULL);
        hnsw_scratch_done(&helpers[helping].scratch, view->memory);
    }
    pthread_mutex_destroy(&team.top);
}

static void *helper_run(void *argument)
{
    struct build_helper *helper = argument;

    team_work(helper->team, &helper->scratch);
    return NULL;
}

static void team_work(struct build_team *team, struct hnsw_scratch *scratch)
{
    const struct hnsw_view *view = team->view;
    uint32_t                next;

    while ((next = atomic_fetch_add(&team->next, 1)) < team->count) {
        uint32_t slot = team->slots[next];
        uint64_t level = slot_table_level(view->slots, slot);
        bool     above = level >= atomic_load(&view->graph->entry) >> 32;

        if (above)
            pthread_mutex_lock(&team->top);
        hnsw_build_link(view, scratch, slot);
        if (above)
            pthread_mutex_unlock(&team->top);
    }
}

bool hnsw_build_has(const struct hnsw_view *view, uint32_t slot, uint32_t to)
{
    uint32_t                width;
    const _Atomic uint32_t *list = hnsw_links(view->graph, slot, 0, &width);

    for (uint32_t i = 0; i < width && list[i] != SLOT_NONE; i++)
        if (list[i] == to)
            return true;
    return false;
}

void hnsw_build_attach(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot)
{
    struct hnsw_build_choice choice;
    uint32_t                 entry = (uint32_t)atomic_load(&view->graph->entry);
    const struct hnsw_width  width = {.ef = view->graph->ef_construction};
    bool                     found = false;

    code_table_query(view->codes, slot, &scratch->query);
    (void)hnsw_search_level(view, scratch, entry, 0, &width);
    scratch->pool_size = keep_live(view, scratch->pool, scratch->pool_size, slot);
    hnsw_build_choose(view, scratch, scratch->pool, NULL, scratch->pool_size, view->graph->m,
                      &choice);
    for (uint32_t i = 0; i < choice.count; i++) {
        (void)hnsw_build_append(view, slot, 0, choice.taken[i]);
        found = hnsw_build_append(view, choice.taken[i], 0, slot) || found;
    }
    if (!found)
        link_somewhere(view, scratch, &choice, slot);
}
