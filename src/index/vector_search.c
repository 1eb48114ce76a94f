#include "index/vector_search.h"

#include <assert.h>
#include <string.h>
#include <sys/resource.h>

#include "index/exact_scan.h"
#include "index/vector_index_core.h"

enum {
    ef_default = 64,
    /* A score in the graph waits for memory, one in a scan does not: measured 5 to 7 times. */
    graph_score_cost = 6,
    scan_stretch = 1024,   /* slots after which a scan looks at the deadline, whatever matches */
    decode_step = 2,       /* bits of a mask that are listed without a branch */
    reach_rank = 10,       /* fewer say too little about how far the next ones are */
    announce_queries = 64, /* rows are announced that long after one had to be read from disk */
};

struct vector_search {
    struct vector_index              *index;
    struct index_reader               reader;
    struct hnsw_scratch               scratch;
    struct exact_scan                 scan;
    const struct vector_search_query *query; /* of the running search */
    struct code_table                *codes;
    uint32_t                          version;  /* of the slot table: what this search sees */
    uint32_t                          announce; /* searches for which to announce rows */
    long                              faults;   /* major faults of this thread so far */
    bool                              timed_out;
};

static enum status vector_search_prepare(struct vector_search             *search,
                                         const struct vector_search_query *query);
static enum status search_inside(struct vector_search *search, struct vector_search_hit *hits,
                                 uint32_t *ret_count, struct vector_search_stats *stats);
static bool        prefers_graph(const struct vector_search *search, uint32_t *ret_ef);
static bool        search_graph(struct vector_search *search, uint32_t ef);
static uint32_t    walk_graph(struct vector_search *search, uint32_t ef);
static bool        has_reach(const struct vector_search *search);
static uint32_t    rank_count(const struct vector_search *search, bool is_narrow);
static uint32_t    keep_matches(struct vector_search *search, uint32_t wanted);
static bool        matches(const struct vector_search *search, uint32_t slot);
static void        announce(struct vector_search *search, uint32_t count);
static void        note_faults(struct vector_search *search);
static void        learn_cost(struct vector_search *search, uint32_t ef);
static void        scan_all(struct vector_search *search);
static void        scan_slots(struct vector_search *search, const uint32_t *slots, uint32_t count);
static void        scan_bitmap(struct vector_search *search);
static uint32_t    decode_word(uint64_t bits, uint32_t first, uint32_t *records);
static void     scan_records(struct vector_search *search, const uint32_t *records, uint32_t count);
static bool     has_code(const struct vector_search *search, uint32_t slot);
static bool     passed_deadline(void *ctx);
static uint32_t give_hits(const struct vector_search *search, struct vector_search_hit *hits);

enum status vector_search_new(struct vector_index *index, struct vector_search **ret_search)
{
    struct vector_search *search;
    enum status           status = index_memory_alloc(&index->memory, sizeof *search, &search);

    if (status != STATUS_OK)
        return status;
    search->index = index;
    index_readers_join(&index->readers, &search->reader);
    *ret_search = search;
    return STATUS_OK;
}

void vector_search_free(struct vector_search *search)
{
    struct vector_index *index;

    if (search == NULL)
        return;
    index = search->index;
    index_readers_quit(&index->readers, &search->reader);
    hnsw_scratch_done(&search->scratch, &index->memory);
    exact_scan_done(&search->scan, &index->memory);
    index_memory_free(&index->memory, search, sizeof *search);
}

enum status vector_search_run(struct vector_search *search, const struct vector_search_query *query,
                              struct vector_search_hit *hits, uint32_t *ret_count,
                              struct vector_search_stats *ret_stats)
{
    struct vector_search_stats stats = {0};
    enum status                status;

    *ret_count = 0;
    if (ret_stats != NULL)
        *ret_stats = stats;
    if (query->k > vector_search_k_max || query->ef > vector_search_ef_max ||
        query->reach_ef > vector_search_ef_max ||
        !quantizer_accepts(query->vector, search->index->options.dim))
        return STATUS_INVALID;
    if (query->k == 0)
        return STATUS_OK;
    index_readers_enter(&search->index->readers, &search->reader);
    /* Once in a lifetime the codes are replaced: those that this search took do not know what came
     * after. */
    do {
        status = vector_search_prepare(search, query);
        if (status == STATUS_OK)
            status = search_inside(search, hits, ret_count, &stats);
    } while (status == STATUS_OK && search->codes != vector_index_core_codes(search->index));
    index_readers_leave(&search->reader);
    if (vector_file_is_damaged(&search->index->file)) {
        *ret_count = 0;
        status = STATUS_CORRUPT;
    }
    if (ret_stats != NULL)
        *ret_stats = stats;
    return status;
}

static enum status vector_search_prepare(struct vector_search             *search,
                                         const struct vector_search_query *query)
{
    struct vector_index *index = search->index;
    uint32_t             used;
    enum status          status;

    search->query = query;
    search->timed_out = false;
    /* In this order: what is visible at the version is below `used`, and has a code in `codes`. */
    search->version = atomic_load_explicit(&index->slots.version, memory_order_acquire);
    used = atomic_load_explicit(&index->slots.used, memory_order_acquire);
    status =
        hnsw_scratch_fit(&search->scratch, &index->memory, used, ef_default, index->options.dim);
    if (status == STATUS_OK)
        status = exact_scan_fit(&search->scan, &index->memory, query->k);
    if (status != STATUS_OK)
        return status;
    search->codes = vector_index_core_codes(index);
    quantizer_query_vector(&search->codes->quantizer, query->vector, search->scratch.floats,
                           &search->scratch.query);
    search->scan.slots = &index->slots;
    search->scan.codes = search->codes;
    search->scan.file = &index->file;
    search->scan.query = &search->scratch.query;
    search->scan.vector = query->vector;
    search->scan.vector_norm2 = 0;
    if (index->options.metric == VECTOR_COSINE)
        search->scan.vector_norm2 =
            search->codes->kernels->dot_f32(query->vector, query->vector, index->options.dim);
    search->scratch.scored = 0;
    return STATUS_OK;
}

static enum status search_inside(struct vector_search *search, struct vector_search_hit *hits,
                                 uint32_t *ret_count, struct vector_search_stats *stats)
{
    const struct vector_search_query *query = search->query;
    uint32_t                          ef;

    exact_scan_begin(&search->scan, query->k);
    if (prefers_graph(search, &ef) && search_graph(search, ef)) {
        stats->scanned = false;
    } else if (!search->timed_out) {
        stats->scanned = true;
        exact_scan_begin(&search->scan, query->k);
        if (query->bitmap != NULL)
            scan_bitmap(search);
        else
            scan_all(search);
        exact_scan_end(&search->scan);
    }
    *ret_count = give_hits(search, hits);
    stats->scored = search->scratch.scored;
    stats->ranked = search->scan.ranked;
    return search->timed_out ? STATUS_TIMED_OUT : STATUS_OK;
}

/* Whether the graph is there and is the cheaper way, and how wide to search it. */
static bool prefers_graph(const struct vector_search *search, uint32_t *ret_ef)
{
    const struct vector_search_query *query = search->query;
    const struct vector_index        *index = search->index;
    uint64_t                          live = index->slots.live, count = live, ef, cost;

    ef = query->ef == 0 ? ef_default : query->ef;
    ef = has_reach(search) && ef < query->reach_ef ? query->reach_ef : ef;
    ef = ef < query->k ? query->k : ef;
    if (query->exact || index->options.quant == VECTOR_QUANT_EXACT ||
        live < index->options.graph_min / 5 * 4 ||
        !atomic_load_explicit(&index->graph_ready, memory_order_acquire))
        return false;
    if (query->bitmap != NULL)
        count = query->bitmap_count < live ? query->bitmap_count : live;
    if (count == 0)
        return false;
    /* As many matches are wanted in the pool as an unfiltered search has. The dead take places
     * in it, too. */
    ef = ef * (live + index->slots.dead) / count;
    cost = ef * atomic_load_explicit(&index->cost_per_ef[has_reach(search)], memory_order_relaxed) /
           16;
    cost = cost == 0 ? ef * 10 : cost; /* nothing measured yet */
    *ret_ef = (uint32_t)(ef < hnsw_ef_max ? ef : hnsw_ef_max);
    return ef <= hnsw_ef_max && cost * graph_score_cost < (query->bitmap != NULL ? count : live);
}

/* False when the graph did not lead to enough matches, or the deadline passed: then the scan's
 * result counts. */
static bool search_graph(struct vector_search *search, uint32_t ef)
{
    const struct vector_search_query *query = search->query;
    struct vector_index              *index = search->index;
    uint32_t                          matching;

    if (hnsw_scratch_fit(&search->scratch, &index->memory, search->scratch.slots, ef,
                         index->options.dim) != STATUS_OK)
        return false; /* a scan needs none */
    matching = walk_graph(search, ef);
    if (search->announce > 0)
        announce(search, matching);
    exact_scan_rank(&search->scan, search->scratch.pool, matching);
    note_faults(search);
    return search->timed_out || matching >= query->k;
}

/* Have what matches and is to be ranked at the front of the pool; returns how many. */
static uint32_t walk_graph(struct vector_search *search, uint32_t ef)
{
    const struct vector_search_query *query = search->query;
    struct hnsw_view                  view = vector_index_core_view(search->index);
    float                             reach = has_reach(search) ? 1 + query->reach : 0;
    struct hnsw_width                 width = {.ef = ef,
                                               .rank = query->k > reach_rank ? query->k : reach_rank,
                                               .reach = reach * reach,
                                               .stop = query->now_us != NULL ? passed_deadline : NULL,
                                               .stop_ctx = search};

    view.codes = search->codes;
    search->timed_out = !hnsw_search(&view, &search->scratch, &width);
    learn_cost(search, ef);
    return keep_matches(search, rank_count(search, reach > 0));
}

/* Only squares of distances, or what is as good as that, and only where all matches. */
static bool has_reach(const struct vector_search *search)
{
    const struct vector_search_query *query = search->query;

    return query->reach > 0 && search->index->options.metric != VECTOR_IP &&
           query->bitmap == NULL && query->accept == NULL;
}

static bool passed_deadline(void *ctx)
{
    const struct vector_search_query *query = ((struct vector_search *)ctx)->query;

    return query->now_us(query->now_ctx) >= query->deadline_us;
}

/* Scores per unit of ef, a slowly moving mean. Racing readers lose an update now and then. */
static void learn_cost(struct vector_search *search, uint32_t ef)
{
    _Atomic uint32_t *mean = &search->index->cost_per_ef[has_reach(search)];
    uint32_t          old = atomic_load_explicit(mean, memory_order_relaxed);
    uint32_t          now = search->scratch.scored * 16 / ef;

    atomic_store_explicit(mean, old == 0 ? now : old - old / 16 + now / 16, memory_order_relaxed);
}

/* How many of the pool are ranked by full precision: those that coding may have moved behind the
 * k-th. Measured on four sets: 1.5 k loses nothing at one byte per component, 3 k at half. */
static uint32_t rank_count(const struct vector_search *search, bool is_narrow)
{
    uint32_t k = search->query->k;

    bool     q4 = search->codes->quantizer.kind == QUANTIZER_Q4;
    uint32_t most = q4 ? 3 * k : k + k / 2, least = q4 ? k + 20 : k + 10;

    most = most > least ? most : least;
    /* Who asks for a wide search asks for recall: no ceiling there. */
    return is_narrow || most > search->query->ef / 4 ? most : search->query->ef / 4;
}

static uint32_t keep_matches(struct vector_search *search, uint32_t wanted)
{
    uint64_t *pool = search->scratch.pool;
    uint32_t  kept = 0;

    for (uint32_t i = 0; i < search->scratch.pool_size && kept < wanted; i++)
        if (matches(search, hnsw_key_slot(pool[i])))
            pool[kept++] = pool[i];
    return kept;
}

static bool matches(const struct vector_search *search, uint32_t slot)
{
    const struct vector_search_query *query = search->query;
    uint32_t                          record;

    if (!slot_table_is_visible(&search->index->slots, slot, search->version))
        return false;
    record = slot_table_records(&search->index->slots)[slot];
    if (query->bitmap != NULL &&
        (record >= query->bitmap_bits || (query->bitmap[record / 64] >> (record % 64) & 1) == 0))
        return false;
    return query->accept == NULL || query->accept(query->accept_ctx, record);
}

static void announce(struct vector_search *search, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        vector_file_announce(
            &search->index->file,
            slot_table_rows(&search->index->slots)[hnsw_key_slot(search->scratch.pool[i])]);
    search->announce--;
}

/* Announcing costs a system call per row, and pays only where rows are not in memory: do so for a
 * while after a page had to be read. */
static void note_faults(struct vector_search *search)
{
    struct rusage usage;

    if (getrusage(RUSAGE_THREAD, &usage) != 0 || usage.ru_majflt == search->faults)
        return;
    search->faults = usage.ru_majflt;
    search->announce = announce_queries;
}

static void scan_all(struct vector_search *search)
{
    uint32_t batch[code_table_batch], slot = 0, count = 0;

    while (slot < search->scratch.slots && !search->timed_out) {
        uint32_t end = search->scratch.slots - slot < scan_stretch ? search->scratch.slots
                                                                   : slot + scan_stretch;

        for (; slot < end && !search->timed_out; slot++) {
            if (matches(search, slot))
                batch[count++] = slot;
            if (count == code_table_batch) {
                scan_slots(search, batch, count);
                count = 0;
            }
        }
        scan_slots(search, batch, count); /* few match, perhaps: look at the deadline */
        count = 0;
    }
}

static void scan_slots(struct vector_search *search, const uint32_t *slots, uint32_t count)
{
    exact_scan_offer(&search->scan, slots, count);
    search->scratch.scored += count;
    search->timed_out = search->query->now_us != NULL && passed_deadline(search);
}

static void scan_bitmap(struct vector_search *search)
{
    const struct vector_search_query *query = search->query;
    uint32_t records[code_table_batch + 64], count = 0, known = search->index->slots.known;

    /* A quarter of what 32 bits hold at most, so the counting ends. */
    known = query->bitmap_bits < known ? query->bitmap_bits : known;
    for (uint32_t first = 0; first < known && !search->timed_out; first += 64) {
        uint64_t bits = query->bitmap[first / 64];

        if (known - first < 64)
            bits &= (UINT64_C(1) << (known - first)) - 1;
        count += decode_word(bits, first, records + count);
        if (count >= code_table_batch) {
            scan_records(search, records, code_table_batch);
            count -= code_table_batch;
            memmove(records, records + code_table_batch, count * sizeof *records);
        }
    }
    scan_records(search, records, count);
}

/* List the bits, `first` added, and return how many there are: the first few without a branch,
 * because how many a sparse word has is not to be foreseen, and guessing wrong costs more. */
static uint32_t decode_word(uint64_t bits, uint32_t first, uint32_t *records)
{
    uint32_t count = 0;

    for (int i = 0; i < decode_step; i++) {
        records[count] = first + (uint32_t)__builtin_ctzll(bits | UINT64_C(1) << 63);
        count += bits != 0;
        bits &= bits - 1;
    }
    for (; bits != 0; bits &= bits - 1)
        records[count++] = first + (uint32_t)__builtin_ctzll(bits);
    return count;
}

/* Each record is looked up once, and is there as its old or its new version: which, the writer
 * decides. */
static void scan_records(struct vector_search *search, const uint32_t *records, uint32_t count)
{
    const struct vector_search_query *query = search->query;
    uint32_t                          slots[code_table_batch], found = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = slot_table_find(&search->index->slots, records[i]);

        slots[found] = slot;
        found += slot != SLOT_NONE && has_code(search, slot) &&
                 (query->accept == NULL || query->accept(query->accept_ctx, records[i]));
    }
    scan_slots(search, slots, found);
}

/* What came after the search began has a code here if no newer table was there to take it. */
static bool has_code(const struct vector_search *search, uint32_t slot)
{
    return slot < search->scratch.slots || search->codes == vector_index_core_codes(search->index);
}

static uint32_t give_hits(const struct vector_search *search, struct vector_search_hit *hits)
{
    const uint32_t *records = slot_table_records(&search->index->slots);
    const uint64_t *found = search->scan.found;
    uint32_t        count = search->scan.found_count;

    for (uint32_t i = 0; i < count; i++)
        hits[i] = (struct vector_search_hit){.record = records[hnsw_key_slot(found[i])],
                                             .distance = hnsw_key_score(found[i])};
    return count;
}

enum status vector_search_batch(struct vector_search             *search,
                                const struct vector_search_query *query, const float *vectors,
                                uint32_t count, struct vector_search_hit *hits,
                                uint32_t *ret_counts)
{
    struct vector_search_query one = *query;
    enum status                status = STATUS_OK;

    memset(ret_counts, 0, count * sizeof *ret_counts);
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        one.vector = vectors + (size_t)i * search->index->options.dim;
        status = vector_search_run(search, &one, hits + (size_t)i * query->k, &ret_counts[i], NULL);
    }
    return status;
}

enum status vector_search_get(struct vector_search *search, uint32_t record, float *ret_vector)
{
    enum status status;

    index_readers_enter(&search->index->readers, &search->reader);
    status = vector_index_get(search->index, record, ret_vector);
    index_readers_leave(&search->reader);
    return status;
}
