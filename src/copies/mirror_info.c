#include "copies/mirror_info.h"

#include <string.h>

#include "base/metric.h"
#include "copies/mirror_choice.h"
#include "mirror/mirror_estimate.h"

/* Of the decayed reads: how fast they come, so that they are this many. */
static const double reads_span_s = 300 / 0.693147;

struct info_numbers {
    uint64_t            states[MIRROR_ENTRY_STATES];
    uint64_t            records, hollow, memory, disk, waiting_bytes, left_s;
    struct mirror_stats stats;
};

static void        info_describe_copies(const struct mirror_entry *entry, uint64_t now_us,
                                        struct mirror_entry_info *ret_info);
static uint64_t    info_left_us(const struct mirror_entry *entry, uint64_t now_us);
static enum status info_print_reasons(const struct mirror_stats *stats, struct byte_buffer *out);

bool mirror_info_is_shown(const struct mirror_entry *entry, uint64_t now_us)
{
    return entry->state != MIRROR_ENTRY_WAITING || entry->former != NULL ||
           (!entry->is_refused && mirror_choice_is_wanted(entry, now_us));
}

void mirror_info_describe(const struct mirror_entry *entry, uint64_t now_us,
                          struct mirror_entry_info *ret_info)
{
    *ret_info = (struct mirror_entry_info){
        .scope = {.tenant = bytes_of(entry->tenant), .database = bytes_of(entry->database)},
        .name = entry->name == NULL ? (struct bytes){0} : bytes_of(entry->name),
        .state = entry->state,
        .reason = entry->reason,
        .detail = entry->detail,
        .fills = entry->fills,
        .fill_us = entry->fill_us,
        .writes = entry->writes,
        .reads_per_second = mirror_entry_score(entry, now_us) / reads_span_s};
    memcpy(ret_info->uuid, entry->uuid, sizeof ret_info->uuid);
    memcpy(ret_info->refills, entry->refills, sizeof ret_info->refills);
    if (entry->state == MIRROR_ENTRY_WAITING && entry->retry_us > now_us)
        ret_info->retry_us = entry->retry_us - now_us;
    if (entry->state != MIRROR_ENTRY_COMPLETE && entry->is_counted) {
        ret_info->expected_memory = mirror_choice_estimate(entry);
        ret_info->expected_records = entry->records;
        ret_info->expected_vectors = mirror_estimate_of_vectors(entry->records, entry->dimension);
    }
    info_describe_copies(entry, now_us, ret_info);
}

static void info_describe_copies(const struct mirror_entry *entry, uint64_t now_us,
                                 struct mirror_entry_info *ret_info)
{
    const struct mirror_queue *copies[] = {entry->live, entry->former};

    for (size_t i = 0; i < COUNT_OF(copies); i++) {
        if (copies[i] == NULL)
            continue;
        ret_info->memory += copies[i]->state.usage.memory + copies[i]->bytes;
        ret_info->disk += copies[i]->state.usage.disk;
    }
    if (entry->state == MIRROR_ENTRY_COMPLETE && !entry->keeper->is_gateway)
        ret_info->age_us = now_us - entry->asked_us;
    if (entry->live == NULL)
        return;
    ret_info->is_kept = entry->live->is_kept;
    ret_info->records = entry->live->state.records;
    ret_info->hollow = entry->live->state.hollow;
    ret_info->left_us = info_left_us(entry, now_us);
}

/* Until it is filled, as fast as it was so far; 0: not known. */
static uint64_t info_left_us(const struct mirror_entry *entry, uint64_t now_us)
{
    uint64_t hollow = entry->live == NULL ? 0 : entry->live->state.hollow;
    uint64_t filled = entry->live == NULL ? 0 : entry->live->state.records - hollow;

    return entry->state != MIRROR_ENTRY_FILLING || filled == 0
               ? 0
               : (uint64_t)((double)(now_us - entry->asked_us) / (double)filled * (double)hollow);
}

/* ---- Metrics -------------------------------------------------------------------------------- */

static const struct metric_desc info_metrics[] = {
#define STATE(number, label)                                                                       \
    METRIC_LABELED(GAUGE, info_numbers, states[number], "chromabouncer_mirror_collections",        \
                   "state=\"" label "\"", "Collections that are copied, or wanted, by state.")
    STATE(MIRROR_ENTRY_WAITING, "waiting"),
    STATE(MIRROR_ENTRY_LISTING, "listing"),
    STATE(MIRROR_ENTRY_FILLING, "filling"),
    STATE(MIRROR_ENTRY_LOADING, "loading"),
    STATE(MIRROR_ENTRY_COMPLETE, "complete"),
    STATE(MIRROR_ENTRY_STOPPED, "stopped"),
#undef STATE
    METRIC(GAUGE, info_numbers, records, "chromabouncer_mirror_records",
           "Records in the copies, those among them that are not filled yet."),
    METRIC(GAUGE, info_numbers, hollow, "chromabouncer_mirror_records_hollow",
           "Records in the copies of which Chroma has to be asked for the contents."),
    METRIC(GAUGE, info_numbers, left_s, "chromabouncer_mirror_left_seconds",
           "Until the copy that takes longest is filled, an estimate; 0: none is being filled."),
    METRIC(GAUGE, info_numbers, memory, "chromabouncer_mirror_bytes",
           "What the copies take of mirror.memory_max."),
    METRIC(GAUGE, info_numbers, disk, "chromabouncer_mirror_disk_bytes",
           "What the copies take of mirror.disk_max."),
    METRIC(GAUGE, info_numbers, waiting_bytes, "chromabouncer_mirror_waiting_bytes",
           "Bodies of writes and answers that the copies have not taken in yet."),
    METRIC(COUNTER, info_numbers, stats.completed, "chromabouncer_mirror_fills_total",
           "Copies that became complete."),
    METRIC(COUNTER, info_numbers, stats.kept, "chromabouncer_mirror_kept_total",
           "Copies of the run before that became complete without being filled."),
    METRIC(COUNTER, info_numbers, stats.writes, "chromabouncer_mirror_writes_total",
           "Writes that were handed to copies."),
    METRIC(COUNTER, info_numbers, stats.lists, "chromabouncer_mirror_lists_total",
           "Times that Chroma was asked for all ids of a collection."),
    METRIC(COUNTER, info_numbers, stats.lists_crossed, "chromabouncer_mirror_lists_crossed_total",
           "Of these, in vain, for a deletion passed meanwhile."),
    METRIC(COUNTER, info_numbers, stats.pages, "chromabouncer_mirror_pages_total",
           "Times that Chroma was asked for a page of records."),
    METRIC(COUNTER, info_numbers, stats.page_bytes, "chromabouncer_mirror_page_bytes_total",
           "Bytes of the answers to these."),
};

enum status mirror_info_print_metrics(const struct mirror_keeper *keeper, struct byte_buffer *out)
{
    struct info_numbers numbers = {0};
    uint64_t            now_us = mirror_keeper_now_us(keeper);
    enum status         status;

    LIST_FOR_EACH(node, &keeper->entries)
    {
        const struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        uint64_t left_s = (info_left_us(entry, now_us) + 999999) / 1000000;

        if (mirror_info_is_shown(entry, now_us))
            numbers.states[entry->state]++;
        numbers.left_s = left_s > numbers.left_s ? left_s : numbers.left_s;
    }
    LIST_FOR_EACH(node, &keeper->queues)
    {
        const struct mirror_queue *queue = LIST_ITEM(node, struct mirror_queue, node);

        numbers.records += queue->state.records;
        numbers.hollow += queue->state.hollow;
        numbers.memory += queue->state.usage.memory;
        numbers.disk += queue->state.usage.disk;
    }
    numbers.waiting_bytes = keeper->waiting_bytes;
    numbers.stats = keeper->stats;
    status = metric_print(out, info_metrics, COUNT_OF(info_metrics), &numbers);
    return status == STATUS_OK ? info_print_reasons(&keeper->stats, out) : status;
}

static enum status info_print_reasons(const struct mirror_stats *stats, struct byte_buffer *out)
{
    static const char name[] = "chromabouncer_mirror_given_up_total";
    enum status       status = metric_print_header(
              out, name, "counter", "Copies that were given up, complete or not, by reason.");

    for (size_t i = 1; i < MIRROR_REASON_COUNT && status == STATUS_OK; i++)
        status = byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX, "%s{reason=\"%s\"} %llu\n", name,
                                    mirror_reason_label((enum mirror_reason)i),
                                    (unsigned long long)stats->refills[i]);
    return status;
}
