#include <stdio.h>
#include <string.h>

#include "base/metric.h"
#include "proxy/mirror_choice.h"

/* Of the decayed reads: how fast they come, so that they are this many. */
static const double reads_span_s = 300 / 0.693147;

struct report_numbers {
    uint64_t            states[MIRROR_ENTRY_STOPPED + 1];
    uint64_t            records, hollow, memory, disk, waiting_bytes;
    struct mirror_stats stats;
};

static void report_describe(const struct mirror_entry *entry, uint64_t now_us,
                            struct mirror_entry_info *ret_info);
static void report_describe_copies(const struct mirror_entry *entry, uint64_t now_us,
                                   struct mirror_entry_info *ret_info);
static bool report_is_shown(const struct mirror_entry *entry, uint64_t now_us);
static struct mirror_entry *report_add(struct mirror_keeper *keeper, const uint8_t uuid[16],
                                       enum status *ret_status);
static enum status          report_encode(struct bytes name, struct byte_buffer *out);
static enum status report_print_refills(const struct mirror_stats *stats, struct byte_buffer *out);

void mirror_keeper_each(const struct mirror_keeper *keeper, mirror_entry_fn *fn, void *ctx)
{
    uint64_t now_us;

    if (keeper == NULL)
        return;
    now_us = mirror_keeper_now_us(keeper);
    LIST_FOR_EACH(node, &keeper->entries)
    {
        const struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);
        struct mirror_entry_info   info;

        if (!report_is_shown(entry, now_us))
            continue;
        report_describe(entry, now_us, &info);
        fn(&info, ctx);
    }
}

/* Not what was read now and then, and is not wanted. */
static bool report_is_shown(const struct mirror_entry *entry, uint64_t now_us)
{
    return entry->state != MIRROR_ENTRY_WAITING || entry->former != NULL ||
           (!entry->is_refused && mirror_choice_is_wanted(entry, now_us));
}

static void report_describe(const struct mirror_entry *entry, uint64_t now_us,
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
    report_describe_copies(entry, now_us, ret_info);
}

static void report_describe_copies(const struct mirror_entry *entry, uint64_t now_us,
                                   struct mirror_entry_info *ret_info)
{
    const struct mirror_queue *copies[] = {entry->live, entry->former};
    uint64_t                   filled;

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
    ret_info->records = entry->live->state.records;
    ret_info->hollow = entry->live->state.hollow;
    filled = ret_info->records - ret_info->hollow;
    if (entry->state == MIRROR_ENTRY_FILLING && filled > 0)
        ret_info->left_us = (uint64_t)((double)(now_us - entry->asked_us) / (double)filled *
                                       (double)ret_info->hollow);
}

struct mirror_keeper_usage mirror_keeper_usage(const struct mirror_keeper *keeper)
{
    struct mirror_keeper_usage usage = {0};

    if (keeper == NULL)
        return usage;
    usage.memory = keeper->waiting_bytes;
    LIST_FOR_EACH(node, &keeper->queues)
    {
        const struct mirror_queue *queue = LIST_ITEM(node, struct mirror_queue, node);

        usage.memory += queue->state.usage.memory;
        usage.disk += queue->state.usage.disk;
    }
    LIST_FOR_EACH(node, &keeper->entries)
    {
        const struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        usage.entries++;
        usage.complete += entry->state == MIRROR_ENTRY_COMPLETE;
    }
    return usage;
}

const char *mirror_keeper_obstacle(const struct mirror_keeper *keeper)
{
    const struct proxy *proxy;

    if (keeper == NULL || keeper->options.mode == PROXY_MIRROR_OFF)
        return "mirror.mode is off";
    proxy = keeper->proxy;
    if (proxy->family == CHROMA_FAMILY_UNKNOWN)
        return "it is not known yet which Chroma answers";
    if (proxy->family != CHROMA_FAMILY_RUST || keeper->is_unproved)
        return "copies were not proved for this version of Chroma";
    return proxy->is_single ? NULL : "a distributed Chroma is not copied";
}

enum status mirror_keeper_fill(struct mirror_keeper *keeper, const uint8_t uuid[16])
{
    struct mirror_entry *entry;
    enum status          status;

    if (mirror_keeper_obstacle(keeper) != NULL)
        return STATUS_NOT_IMPLEMENTED;
    entry = mirror_entry_find(keeper, uuid);
    if (entry == NULL)
        entry = report_add(keeper, uuid, &status);
    if (entry == NULL)
        return status;
    entry->is_asked_for = true;
    entry->is_refused = false;
    if (entry->state != MIRROR_ENTRY_WAITING && entry->state != MIRROR_ENTRY_STOPPED)
        mirror_entry_give_up(entry, MIRROR_REASON_ASKED, NULL);
    entry->state = MIRROR_ENTRY_WAITING;
    entry->retry_us = 0;
    entry->needed = 0;
    mirror_keeper_wake(keeper);
    return STATUS_OK;
}

/* One that nobody has read yet, if its names are known. NULL: *ret_status says why. */
static struct mirror_entry *report_add(struct mirror_keeper *keeper, const uint8_t uuid[16],
                                       enum status *ret_status)
{
    struct byte_buffer   path[2] = {{0}, {0}};
    struct mirror_entry *entry = NULL;
    struct scope         scope;
    struct bytes         name;

    *ret_status = STATUS_NOT_FOUND;
    if (!collection_table_names(keeper->proxy->collections, uuid, 0, mirror_keeper_now_us(keeper),
                                &scope, &name))
        return NULL;
    *ret_status = STATUS_NO_MEMORY;
    if (report_encode(scope.tenant, &path[0]) == STATUS_OK &&
        report_encode(scope.database, &path[1]) == STATUS_OK)
        entry = mirror_entry_new(keeper, uuid, byte_buffer_bytes(&path[0]),
                                 byte_buffer_bytes(&path[1]));
    byte_buffer_done(&path[0]);
    byte_buffer_done(&path[1]);
    return entry;
}

/* As a segment of a path. */
static enum status report_encode(struct bytes name, struct byte_buffer *out)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; i < name.size && status == STATUS_OK; i++) {
        unsigned char c = (unsigned char)name.data[i];
        bool          is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                        (c >= 'a' && c <= 'z') || (c != '\0' && strchr("-._~", c) != NULL);

        status = byte_buffer_printf(out, SIZE_MAX, is_plain ? "%c" : "%%%02X", c);
    }
    return status;
}

enum status mirror_keeper_drop(struct mirror_keeper *keeper, const uint8_t uuid[16])
{
    struct mirror_entry *entry = keeper == NULL ? NULL : mirror_entry_find(keeper, uuid);

    if (entry == NULL)
        return STATUS_NOT_FOUND;
    mirror_entry_free(entry);
    return STATUS_OK;
}

/* ---- Metrics -------------------------------------------------------------------------------- */

static const struct metric_desc report_metrics[] = {
#define STATE(number, label)                                                                       \
    METRIC_LABELED(GAUGE, report_numbers, states[number], "chromabouncer_mirror_collections",      \
                   "state=\"" label "\"", "Collections that are copied, or wanted, by state.")
    STATE(MIRROR_ENTRY_WAITING, "waiting"),
    STATE(MIRROR_ENTRY_LISTING, "listing"),
    STATE(MIRROR_ENTRY_FILLING, "filling"),
    STATE(MIRROR_ENTRY_COMPLETE, "complete"),
    STATE(MIRROR_ENTRY_STOPPED, "stopped"),
#undef STATE
    METRIC(GAUGE, report_numbers, records, "chromabouncer_mirror_records",
           "Records in the copies, those among them that are not filled yet."),
    METRIC(GAUGE, report_numbers, hollow, "chromabouncer_mirror_records_hollow",
           "Records in the copies of which Chroma has to be asked for the contents."),
    METRIC(GAUGE, report_numbers, memory, "chromabouncer_mirror_bytes",
           "What the copies take of mirror.memory_max."),
    METRIC(GAUGE, report_numbers, disk, "chromabouncer_mirror_disk_bytes",
           "What the copies take of mirror.disk_max."),
    METRIC(GAUGE, report_numbers, waiting_bytes, "chromabouncer_mirror_waiting_bytes",
           "Bodies of writes and answers that the copies have not taken in yet."),
    METRIC(COUNTER, report_numbers, stats.completed, "chromabouncer_mirror_fills_total",
           "Copies that became complete."),
    METRIC(COUNTER, report_numbers, stats.writes, "chromabouncer_mirror_writes_total",
           "Writes that were handed to copies."),
    METRIC(COUNTER, report_numbers, stats.lists, "chromabouncer_mirror_lists_total",
           "Times that Chroma was asked for all ids of a collection."),
    METRIC(COUNTER, report_numbers, stats.lists_crossed, "chromabouncer_mirror_lists_crossed_total",
           "Of these, in vain, for a deletion passed meanwhile."),
    METRIC(COUNTER, report_numbers, stats.pages, "chromabouncer_mirror_pages_total",
           "Times that Chroma was asked for a page of records."),
    METRIC(COUNTER, report_numbers, stats.page_bytes, "chromabouncer_mirror_page_bytes_total",
           "Bytes of the answers to these."),
};

enum status mirror_keeper_print_metrics(struct mirror_keeper *keeper, struct byte_buffer *out)
{
    struct report_numbers numbers = {0};
    enum status           status;

    if (keeper == NULL)
        return STATUS_OK;
    LIST_FOR_EACH(node, &keeper->entries)
    {
        const struct mirror_entry *entry = LIST_ITEM(node, struct mirror_entry, node);

        if (report_is_shown(entry, mirror_keeper_now_us(keeper)))
            numbers.states[entry->state]++;
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
    status = metric_print(out, report_metrics, COUNT_OF(report_metrics), &numbers);
    return status == STATUS_OK ? report_print_refills(&keeper->stats, out) : status;
}

static enum status report_print_refills(const struct mirror_stats *stats, struct byte_buffer *out)
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
