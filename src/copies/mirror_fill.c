#include "copies/mirror_fill.h"

#include <stdlib.h>
#include <string.h>

#include "chroma/collection_answer.h"
#include "chroma/collection_schema.h"
#include "copies/mirror_ask.h"
#include "copies/mirror_choice.h"
#include "copies/mirror_settle.h"
#include "lanes/lane_stay.h"
#include "mirror/mirror_space.h"
#include "json/json_scan.h"

/* While others use Chroma, it rests after each question, so that this share of its time goes to
 * these: half of it where others have almost none of it, less by what they have, and a tenth at
 * least. Where the time of all their calls is longer than the clock's, several are at a time. */
static const double share_most = 0.5, share_least = 0.1;

/* How much they have of it is measured over this; what was measured longer ago says nothing. */
static const uint64_t use_window_us = 250000, use_stale_us = 2000000;

/* A page should be answered within this, so that nobody waits behind it for long: where nobody
 * uses Chroma, and beside others. It is asked for twice as much where it took a quarter. */
static const uint64_t page_alone_us = 40000, page_beside_us = 8000;

/* Who was seen to use Chroma is about to use it again, for so long. */
static const uint64_t others_us = 1000000;

enum { page_bytes_min = 64 << 10, page_bytes_max = 1 << 20 };

/* A page is as long as its records are, which nobody knows before; a description as long as the
 * keys of all its metadata. */
enum { page_answer_max = 64 << 20, description_answer_max = 512 << 10 };

/* It cannot be asked, or had no answer: a quarter of a second, then twice as long each time. */
static const uint64_t fill_pause_us = 250000;
enum { pause_doublings = 7 };
enum { failures_max = 8 };

/* When a write was under way beside so many pages for the last records, the next ones are asked for
 * in the lane, before a write that has its turn. If there is none soon, it is as good without. One
 * that takes longer than a moment is not waited for, nor tried again soon. */
static const uint64_t lane_wait_us = 50000, lane_moment_us = 250000, lane_pause_us = 10000000;
enum { last_records_max = 512, last_pages = 3, lane_asks_max = 64 };

enum fill_step { FILL_DESCRIPTION, FILL_PROBE, FILL_LIST, FILL_PAGE };

struct mirror_fill {
    struct mirror_keeper      *keeper;
    enum fill_step             step; /* for keeper->filling */
    struct mirror_ask          ask;
    uint64_t                   sent; /* its moment */
    struct byte_buffer         probe;
    struct collection_question question;
    uint64_t                   next_us; /* nothing is asked before */
    size_t                     page_bytes;
    uint64_t                   granted;   /* turns, before it was asked */
    uint64_t                   others_us; /* somebody else was last seen to use Chroma */

    /* In the lane of what is filled. */
    struct lane_stay *stay; /* a write that waits for the page; NULL: none does */
    struct loop_task  leave_lane;
    uint64_t          lane_us;            /* not before */
    uint64_t          lane_wait_until_us; /* for a write; 0: it has not begun to wait */

    /* How much others use it: the time of their calls in that of the clock. */
    double   use;
    uint64_t use_from_us;       /* the beginning of the window that is measured */
    uint64_t use_cost, use_own; /* of all calls until then; of its own since */
};

static bool   fill_may_ask(struct mirror_fill *fill);
static void   fill_ask_description(struct mirror_fill *fill, struct mirror_entry *entry);
static void   fill_settle(struct mirror_fill *fill, struct mirror_entry *entry);
static void   fill_ask_probe(struct mirror_fill *fill, struct mirror_entry *entry);
static void   fill_ask_list(struct mirror_fill *fill, struct mirror_entry *entry);
static void   fill_ask_page(struct mirror_fill *fill, struct mirror_entry *entry,
                            const struct mirror_ask_lane *lane);
static bool   fill_is_deleted_from(const struct mirror_entry *entry);
static bool   fill_waits_for_lane(struct mirror_fill *fill, const struct mirror_entry *entry);
static bool   fill_is_for_lane(const struct mirror_entry *entry);
static void   fill_let_write_go(struct mirror_fill *fill);
static void   fill_leave_lane(void *ctx);
static void   fill_begin(struct mirror_fill *fill, enum fill_step step);
static void   fill_on_over(struct mirror_ask *ask, enum status failure);
static void   fill_take(struct mirror_fill *fill);
static void   fill_rest_now(struct mirror_fill *fill);
static void   fill_size_page(struct mirror_fill *fill, uint64_t took_us, uint64_t page_us);
static void   fill_look_for_others(struct mirror_fill *fill, uint64_t own);
static void   fill_measure_others(struct mirror_fill *fill);
static double fill_share(const struct mirror_fill *fill);
static void   fill_take_refusal(struct mirror_fill *fill);
static void   fill_take_description(struct mirror_fill *fill);
static bool   fill_read_description(struct mirror_fill *fill, struct mirror_entry *entry);
static void   fill_take_probe(struct mirror_fill *fill);
static void   fill_take_list(struct mirror_fill *fill);
static void   fill_take_page(struct mirror_fill *fill);
static bool   fill_tell(struct mirror_fill *fill, enum mirror_change_kind kind);
static void   fill_failed(struct mirror_fill *fill, enum mirror_reason reason);
static void   fill_pause(struct mirror_fill *fill, unsigned times);

struct mirror_fill *mirror_fill_new(struct mirror_keeper *keeper)
{
    struct mirror_fill *fill = calloc(1, sizeof *fill);

    if (fill == NULL)
        return NULL;
    fill->keeper = keeper;
    fill->page_bytes = page_bytes_min * 4;
    loop_task_init(&fill->leave_lane, fill_leave_lane, fill);
    if (mirror_ask_init(&fill->ask, keeper->proxy, fill_on_over) != STATUS_OK) {
        free(fill);
        return NULL;
    }
    return fill;
}

void mirror_fill_free(struct mirror_fill *fill)
{
    if (fill == NULL)
        return;
    mirror_ask_done(&fill->ask);
    loop_task_cancel(&fill->leave_lane);
    byte_buffer_done(&fill->probe);
    free(fill);
}

void mirror_fill_cancel(struct mirror_fill *fill)
{
    mirror_ask_cancel(&fill->ask);
    fill_let_write_go(fill);
}

uint64_t mirror_fill_wake_us(const struct mirror_fill *fill)
{
    uint64_t wake_us =
        fill->next_us > fill->lane_wait_until_us ? fill->next_us : fill->lane_wait_until_us;

    return mirror_ask_is_busy(&fill->ask) || fill->keeper->filling == NULL ||
                   wake_us <= mirror_keeper_now_us(fill->keeper)
               ? UINT64_MAX
               : wake_us;
}

void mirror_fill_cross(struct mirror_fill *fill, struct mirror_entry *entry)
{
    if (mirror_ask_is_busy(&fill->ask) && fill->step == FILL_LIST && fill->keeper->filling == entry)
        entry->is_crossed = true;
}

/* ---- Asking --------------------------------------------------------------------------------- */

void mirror_fill_pump(struct mirror_fill *fill)
{
    struct mirror_entry *entry = fill->keeper->filling;

    if (entry == NULL || mirror_ask_is_busy(&fill->ask) || !fill_may_ask(fill))
        return;
    if (!entry->is_described)
        fill_ask_description(fill, entry);
    else if (!entry->is_settled)
        fill_settle(fill, entry);
    else if (!entry->is_probed)
        fill_ask_probe(fill, entry);
    else if (entry->list_sent == 0)
        fill_ask_list(fill, entry);
    else if (entry->live->page == MIRROR_PAGE_READY && !fill_waits_for_lane(fill, entry))
        fill_ask_page(fill, entry, NULL);
}

static bool fill_may_ask(struct mirror_fill *fill)
{
    if (mirror_keeper_now_us(fill->keeper) < fill->next_us)
        return false;
    if (mirror_ask_may(fill->keeper->proxy, fill->page_bytes))
        return true;
    fill_pause(fill, 1);
    return false;
}

/* Its space, its name, and whether this Chroma is one for which copies were proved. */
static void fill_ask_description(struct mirror_fill *fill, struct mirror_entry *entry)
{
    struct proxy       *proxy = fill->keeper->proxy;
    struct chroma_route route = {.operation = CHROMA_OPERATION_COLLECTION_GET_ID,
                                 .tenant = bytes_of(entry->tenant),
                                 .database = bytes_of(entry->database)};

    fill->question = collection_table_ask(proxy->collections, &route, loop_now_us(proxy->loop));
    fill_begin(fill, FILL_DESCRIPTION);
    if (mirror_ask_description(&fill->ask, entry, description_answer_max) != STATUS_OK)
        fill_pause(fill, 1);
}

/* Where others may write too nothing is ever certain, and nobody can have written to a collection
 * without a dimension what would be seen. */
static void fill_settle(struct mirror_fill *fill, struct mirror_entry *entry)
{
    if (entry->settling != 0)
        return;
    if (!fill->keeper->is_gateway || entry->dimension == 0) {
        entry->is_settled = true;
        mirror_keeper_wake(fill->keeper);
    } else if (mirror_settle_start(entry) != STATUS_OK) {
        mirror_entry_give_up(entry, MIRROR_REASON_UNANSWERED, NULL);
    }
}

void mirror_fill_on_settled(struct mirror_entry *entry, unsigned status)
{
    mirror_keeper_wake(entry->keeper);
    if (status >= 200 && status <= 299)
        entry->is_settled = true;
    else
        mirror_entry_give_up(entry, status == 0 ? MIRROR_REASON_UNANSWERED : MIRROR_REASON_ANSWER,
                             NULL);
}

/* Only l2 is said of what may be another. */
static void fill_ask_probe(struct mirror_fill *fill, struct mirror_entry *entry)
{
    if (entry->space != COLLECTION_SPACE_L2 || entry->dimension == 0) {
        entry->is_probed = true;
        mirror_keeper_wake(fill->keeper);
        return;
    }
    fill_begin(fill, FILL_PROBE);
    byte_buffer_clear(&fill->probe);
    if (mirror_space_print(entry->dimension, &fill->probe) != STATUS_OK ||
        mirror_ask_query(&fill->ask, entry, byte_buffer_bytes(&fill->probe),
                         description_answer_max) != STATUS_OK)
        fill_pause(fill, 1);
}

/* Not while a delete is under way, which the list may have met half. */
static void fill_ask_list(struct mirror_fill *fill, struct mirror_entry *entry)
{
    if (fill_is_deleted_from(entry))
        return; /* when it is known this is pumped */
    if (entry->live == NULL && mirror_choice_is_freeing(fill->keeper))
        return; /* likewise */
    if (entry->live == NULL && mirror_choice_make_queue(entry) != STATUS_OK) {
        mirror_entry_give_up(entry, MIRROR_REASON_STORE, status_text(STATUS_NO_MEMORY));
        return;
    }
    entry->is_crossed = false;
    entry->asked_us = mirror_keeper_now_us(fill->keeper);
    fill->keeper->stats.lists++;
    fill_begin(fill, FILL_LIST);
    /* Whose ids alone are more than the copies may be does not fit. */
    if (mirror_ask_get(&fill->ask, entry, mirror_copy_list_request(),
                       (size_t)fill->keeper->options.memory_max, NULL) == STATUS_OK)
        entry->list_sent = fill->sent;
    else
        fill_pause(fill, 1);
}

static bool fill_is_deleted_from(const struct mirror_entry *entry)
{
    LIST_FOR_EACH(node, &entry->open)
    {
        if (mirror_state_may_delete(LIST_ITEM(node, struct write_notice, mirror_node)))
            return true;
    }
    return false;
}

static void fill_ask_page(struct mirror_fill *fill, struct mirror_entry *entry,
                          const struct mirror_ask_lane *lane)
{
    fill->keeper->stats.pages++;
    fill_begin(fill, FILL_PAGE);
    if (mirror_ask_get(&fill->ask, entry, byte_buffer_bytes(&entry->live->page_body),
                       page_answer_max, lane) == STATUS_OK)
        entry->live->page = MIRROR_PAGE_ASKED;
    else
        fill_pause(fill, 1);
}

/* ---- The last records ----------------------------------------------------------------------- */

/* For a while, if what is left is written all the time. */
static bool fill_waits_for_lane(struct mirror_fill *fill, const struct mirror_entry *entry)
{
    uint64_t now_us = mirror_keeper_now_us(fill->keeper);

    if (!fill_is_for_lane(entry) || now_us < fill->lane_us)
        return false;
    if (fill->lane_wait_until_us == 0) {
        fill->lane_wait_until_us = now_us + lane_wait_us;
        mirror_keeper_wake(fill->keeper);
    }
    return now_us < fill->lane_wait_until_us;
}

static bool fill_is_for_lane(const struct mirror_entry *entry)
{
    return entry->last_pages >= last_pages && entry->lane_asks < lane_asks_max &&
           entry->live->state.hollow <= last_records_max;
}

/* No write to it is under way, nor is one sent before the answer: each record of the page is what
 * it says. */
bool mirror_fill_ask_in_lane(struct mirror_fill *fill, struct lane_stay *stay, struct turn *turn)
{
    const struct mirror_ask_lane lane = {
        .within_us = lane_moment_us, .flow = stay->flow, .turn = turn};
    struct mirror_entry *entry = fill->keeper->filling;
    uint64_t             now_us = mirror_keeper_now_us(fill->keeper);

    if (entry->state != MIRROR_ENTRY_FILLING || entry->live->page != MIRROR_PAGE_READY ||
        !fill_is_for_lane(entry) || !list_is_empty(&entry->open) || fill->stay != NULL ||
        mirror_ask_is_busy(&fill->ask) || now_us < fill->lane_us || !fill_may_ask(fill))
        return false;
    entry->lane_asks++;
    fill_ask_page(fill, entry, &lane);
    if (!mirror_ask_is_busy(&fill->ask))
        return false;
    fill->stay = stay;
    return true;
}

/* Later, as this may be within the end of another write. */
static void fill_let_write_go(struct mirror_fill *fill)
{
    if (fill->stay != NULL)
        loop_later(fill->keeper->proxy->loop, &fill->leave_lane);
}

static void fill_leave_lane(void *ctx)
{
    struct mirror_fill *fill = ctx;
    struct lane_stay   *stay = fill->stay;

    fill->stay = NULL;
    lane_stay_end(stay);
}

/* ---- Questions ------------------------------------------------------------------------------ */

/* Whatever is sent from now on may be in the answer. */
static void fill_begin(struct mirror_fill *fill, enum fill_step step)
{
    const struct turn_queue_stats *stats = turn_queue_stats(fill->keeper->proxy->turns);

    fill->step = step;
    fill->sent = ++fill->keeper->clock;
    fill->lane_wait_until_us = 0;
    fill_look_for_others(fill, 0);
    fill->granted = stats->granted[TURN_READ] + stats->granted[TURN_WRITE];
}

/* ---- Answers -------------------------------------------------------------------------------- */

/* Now, not later: what is told to the copy is told in the order in which it was known. */
static void fill_on_over(struct mirror_ask *ask, enum status failure)
{
    struct mirror_fill *fill = CONTAINER_OF(ask, struct mirror_fill, ask);

    if (failure == STATUS_OK) {
        fill_rest_now(fill);
        fill_take(fill);
    } else {
        if (fill->stay != NULL)
            fill->lane_us = mirror_keeper_now_us(fill->keeper) + lane_pause_us;
        fill_failed(fill, MIRROR_REASON_UNANSWERED);
    }
    fill_let_write_go(fill);
    mirror_ask_clear(ask);
    mirror_keeper_wake(fill->keeper);
}

static void fill_take(struct mirror_fill *fill)
{
    struct mirror_entry *entry = fill->keeper->filling;

    if (fill->ask.status != 200) {
        fill_take_refusal(fill);
        return;
    }
    if (!fill->ask.is_whole) {
        mirror_entry_give_up(entry, MIRROR_REASON_TOO_LARGE, NULL);
        return;
    }
    switch (fill->step) {
    case FILL_DESCRIPTION:
        fill_take_description(fill);
        break;
    case FILL_PROBE:
        fill_take_probe(fill);
        break;
    case FILL_LIST:
        fill_take_list(fill);
        break;
    case FILL_PAGE:
        fill_take_page(fill);
        break;
    }
}

static void fill_rest_now(struct mirror_fill *fill)
{
    uint64_t now_us = mirror_keeper_now_us(fill->keeper);
    uint64_t took_us = now_us - fill->ask.sent_us, page_us = page_alone_us;

    fill_look_for_others(fill, 1);
    fill->use_own += fill->ask.cost_us;
    fill_measure_others(fill);
    fill->next_us = now_us;
    if (now_us - fill->others_us < others_us) {
        fill->next_us += (uint64_t)((double)took_us * (1 / fill_share(fill) - 1));
        page_us = page_beside_us;
    }
    if (fill->step == FILL_PAGE)
        fill_size_page(fill, took_us, page_us);
}

/* How long the last one took, without the wait for its turn, decides how much is asked for next. */
static void fill_size_page(struct mirror_fill *fill, uint64_t took_us, uint64_t page_us)
{
    if (took_us > page_us && fill->page_bytes > page_bytes_min)
        fill->page_bytes /= 2;
    else if (took_us < page_us / 4 && fill->page_bytes < page_bytes_max)
        fill->page_bytes *= 2;
}

/* Does somebody else use Chroma, or did since `granted` was counted, of which `own` are its own? */
static void fill_look_for_others(struct mirror_fill *fill, uint64_t own)
{
    const struct turn_queue_stats *stats = turn_queue_stats(fill->keeper->proxy->turns);
    bool                           is_seen = false;

    for (enum turn_class class = TURN_READ; class <= TURN_WRITE; class ++)
        is_seen |= stats->waiting[class] + stats->turns[class] > 0;
    if (own > 0)
        is_seen |= stats->granted[TURN_READ] + stats->granted[TURN_WRITE] > fill->granted + own;
    if (is_seen)
        fill->others_us = mirror_keeper_now_us(fill->keeper);
}

/* What is under way counts for the whole window, since it is not known yet how long it takes. */
static void fill_measure_others(struct mirror_fill *fill)
{
    const struct turn_queue_stats *stats = turn_queue_stats(fill->keeper->proxy->turns);
    uint64_t                       now_us = mirror_keeper_now_us(fill->keeper);
    uint64_t                       cost = stats->cost_us[TURN_READ] + stats->cost_us[TURN_WRITE];
    uint64_t                       past_us = now_us - fill->use_from_us;

    if (past_us < use_window_us)
        return;
    fill->use = 1;
    if (past_us < use_stale_us)
        fill->use = (double)(cost - fill->use_cost - fill->use_own) / (double)past_us +
                    (double)(stats->turns[TURN_READ] + stats->turns[TURN_WRITE]);
    fill->use_from_us = now_us;
    fill->use_cost = cost;
    fill->use_own = 0;
}

static double fill_share(const struct mirror_fill *fill)
{
    double share = share_most - fill->use;

    return share > share_least ? share : share_least;
}

static void fill_take_refusal(struct mirror_fill *fill)
{
    static const char    gone[] = "NotFoundError";
    struct mirror_entry *entry = fill->keeper->filling;
    struct bytes         answer = byte_buffer_bytes(&fill->ask.answer);

    if (fill->ask.status == 401 || fill->ask.status == 403) {
        mirror_entry_give_up(entry, MIRROR_REASON_CREDENTIALS, NULL);
    } else if (fill->ask.status == 404 && answer.size > 0 &&
               memmem(answer.data, answer.size, gone, sizeof gone - 1) != NULL) {
        mirror_entry_free(entry); /* deleted by others */
    } else if (fill->ask.status == 404 && fill->step == FILL_DESCRIPTION) {
        fill->keeper->is_unproved = true; /* it has no such route */
        mirror_entry_give_up(entry, MIRROR_REASON_UNFIT, NULL);
    } else {
        fill_failed(fill, MIRROR_REASON_ANSWER);
    }
}

static void fill_take_description(struct mirror_fill *fill)
{
    struct mirror_entry *entry = fill->keeper->filling;

    if (!fill_read_description(fill, entry)) {
        mirror_entry_give_up(entry, MIRROR_REASON_UNFIT, "its description is not understood");
        return;
    }
    if (!collection_schema_is_default(byte_buffer_bytes(&fill->ask.answer))) {
        mirror_entry_give_up(entry, MIRROR_REASON_UNFIT, "its schema is not the default one");
        return;
    }
    entry->is_doubted = mirror_space_doubts(byte_buffer_bytes(&fill->ask.answer));
    if (entry->space == COLLECTION_SPACE_L2 && entry->dimension == 0 && entry->is_doubted) {
        mirror_entry_give_up(entry, MIRROR_REASON_UNFIT, "its metadata says another space");
        return;
    }
    entry->is_described = true;
    entry->failures = 0;
    if (!entry->is_asked_for && !mirror_choice_takes_name(entry)) {
        entry->is_refused = true;
        fill->keeper->filling = NULL;
        entry->state = MIRROR_ENTRY_WAITING;
    }
}

static bool fill_read_description(struct mirror_fill *fill, struct mirror_entry *entry)
{
    struct proxy            *proxy = fill->keeper->proxy;
    struct chroma_route      route = {.operation = CHROMA_OPERATION_COLLECTION_GET_ID,
                                      .info = chroma_route_info(CHROMA_OPERATION_COLLECTION_GET_ID),
                                      .tenant = bytes_of(entry->tenant),
                                      .database = bytes_of(entry->database)};
    struct bytes             body = byte_buffer_bytes(&fill->ask.answer);
    struct collection_answer read;
    struct json_scan         scan;

    json_scan_init(&scan, body);
    if (!collection_answer_take(&scan, &read) || !json_scan_end(&scan) ||
        memcmp(read.uuid, entry->uuid, sizeof read.uuid) != 0 ||
        read.space == COLLECTION_SPACE_UNKNOWN)
        return false;
    if (entry->named < fill->sent && /* else the answer may be older */
        !mirror_entry_set_name(entry, (struct bytes){read.name.data, read.name.size}))
        return false;
    entry->space = read.space;
    entry->is_placed =
        bytes_equal(bytes_of(entry->tenant), (struct bytes){read.tenant.data, read.tenant.size}) &&
        bytes_equal(bytes_of(entry->database),
                    (struct bytes){read.database.data, read.database.size});
    entry->dimension = read.dimension;
    collection_table_learn(proxy->collections, &route, fill->question, body,
                           loop_now_us(proxy->loop));
    return true;
}

/* Where there is nothing to tell by, it must at least have been made as what it is said to be; and
 * it is asked again when there is (mirror_applied.c). */
static void fill_take_probe(struct mirror_fill *fill)
{
    struct mirror_entry     *entry = fill->keeper->filling;
    enum mirror_space_result result =
        mirror_space_read(byte_buffer_bytes(&fill->ask.answer), entry->dimension);

    entry->is_probed = true;
    entry->is_unseen = result == MIRROR_SPACE_EMPTY;
    entry->failures = 0;
    if (result == MIRROR_SPACE_DIFFERS || (result == MIRROR_SPACE_EMPTY && entry->is_doubted))
        mirror_entry_give_up(entry, MIRROR_REASON_UNFIT,
                             "Chroma does not search it in the space that it says");
}

static void fill_take_list(struct mirror_fill *fill)
{
    struct mirror_entry *entry = fill->keeper->filling;

    if (entry->is_crossed || fill_is_deleted_from(entry)) {
        fill->keeper->stats.lists_crossed++;
        mirror_queue_clear(entry->live);
        entry->list_sent = 0;
        entry->detail = "deletions pass while its ids are listed";
        fill_pause(fill, ++entry->crossings);
        return;
    }
    if (!fill_tell(fill, MIRROR_CHANGE_LIST))
        return;
    entry->is_listed = true;
    entry->failures = 0;
    entry->detail = NULL;
    entry->state = MIRROR_ENTRY_FILLING;
    entry->live->page_bytes = fill->page_bytes;
    entry->live->page = MIRROR_PAGE_WANTED;
}

static void fill_take_page(struct mirror_fill *fill)
{
    struct mirror_entry *entry = fill->keeper->filling;

    fill->keeper->stats.page_bytes += byte_buffer_size(&fill->ask.answer);
    /* A job without changes that runs already does not apply it. */
    entry->live->is_page_quiet = list_is_empty(&entry->open) && entry->written < fill->sent &&
                                 !entry->live->is_running &&
                                 entry->live->applied == entry->live->told;
    entry->live->hollow_before = entry->live->state.hollow;
    if (!entry->live->is_page_quiet && entry->live->hollow_before <= last_records_max)
        entry->last_pages++;
    if (!fill_tell(fill, MIRROR_CHANGE_PAGE))
        return;
    entry->failures = 0;
    entry->live->page_bytes = fill->page_bytes;
    entry->live->page = MIRROR_PAGE_WANTED;
}

/* False: no memory, and it was given up. */
static bool fill_tell(struct mirror_fill *fill, enum mirror_change_kind kind)
{
    struct mirror_keeper *keeper = fill->keeper;
    struct mirror_entry  *entry = keeper->filling;
    struct mirror_change *change = mirror_queue_new_change(
        kind, (struct mirror_moments){.sent = fill->sent, .known = ++keeper->clock});

    if (change == NULL) {
        mirror_entry_give_up(entry, MIRROR_REASON_STORE, status_text(STATUS_NO_MEMORY));
        return false;
    }
    change->answer = mirror_ask_take(&fill->ask);
    entry->last_known = change->moments.known;
    mirror_queue_tell(entry->live, change);
    return true;
}

static void fill_failed(struct mirror_fill *fill, enum mirror_reason reason)
{
    struct mirror_entry  *entry = fill->keeper->filling;
    struct mirror_change *change;

    fill_pause(fill, ++entry->failures);
    if (entry->failures > failures_max) {
        mirror_entry_give_up(entry, reason, NULL);
        return;
    }
    if (fill->step == FILL_LIST) {
        mirror_queue_clear(entry->live);
        entry->list_sent = 0;
    } else if (fill->step == FILL_PAGE) {
        change = mirror_queue_new_change(MIRROR_CHANGE_NO_PAGE, (struct mirror_moments){0});
        if (change == NULL) {
            mirror_entry_give_up(entry, MIRROR_REASON_STORE, status_text(STATUS_NO_MEMORY));
            return;
        }
        mirror_queue_tell(entry->live, change);
        entry->live->page = MIRROR_PAGE_WANTED;
    }
}

/* After this many failures in a row. */
static void fill_pause(struct mirror_fill *fill, unsigned times)
{
    unsigned doublings = times - 1 < pause_doublings ? times - 1 : pause_doublings;

    fill->next_us = mirror_keeper_now_us(fill->keeper) + (fill_pause_us << doublings);
    mirror_keeper_wake(fill->keeper);
}
