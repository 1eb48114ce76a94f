#include "copies/mirror_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So many changes are applied at once: those who wait for the first of them wait for all. */
enum { mirror_queue_batch_max = 64 };

static bool   mirror_queue_make_path(struct mirror_queue *queue);
static void   mirror_queue_delay(struct mirror_queue *queue, const struct mirror_change *change);
static void   mirror_queue_charge(struct mirror_queue *queue, const struct mirror_change *change);
static size_t mirror_queue_size_of(const struct mirror_change *change);
static void   mirror_queue_drop(struct mirror_queue *queue, struct list *changes);
static bool   mirror_queue_has_work(const struct mirror_queue *queue);
static void   mirror_queue_run(struct worker_job *job);
static enum status mirror_queue_apply(struct mirror_queue *queue, struct mirror_change *change);
static void        mirror_queue_make_page(struct mirror_queue *queue);
static void        mirror_queue_on_run(struct worker_job *job);
static void        mirror_queue_charge_copy(struct mirror_queue *queue, uint64_t memory);
static bool mirror_queue_is_ready(const struct mirror_queue *queue, const struct mirror_hold *hold);

struct mirror_queue *mirror_queue_new(struct mirror_entry                 *entry,
                                      const struct mirror_records_options *options)
{
    struct mirror_queue *queue = calloc(1, sizeof *queue);

    if (queue == NULL)
        return NULL;
    queue->keeper = entry->keeper;
    queue->entry = entry;
    queue->options = *options;
    if (!mirror_queue_make_path(queue)) {
        free(queue);
        return NULL;
    }
    list_init(&queue->changes);
    list_init(&queue->running);
    list_init(&queue->holds);
    list_init(&queue->waiting);
    list_push_back(&queue->keeper->queues, &queue->node);
    return queue;
}

/* A name that no other copy of this process has. */
static bool mirror_queue_make_path(struct mirror_queue *queue)
{
    const char *directory = queue->keeper->options.directory;
    char        uuid[CHROMA_ROUTE_UUID_SIZE];
    size_t      size = strlen(directory) + sizeof uuid + 32;

    queue->path = malloc(size);
    if (queue->path == NULL)
        return false;
    chroma_route_print_uuid(queue->entry->uuid, uuid);
    snprintf(queue->path, size, "%s/%s-%" PRIu64, directory, uuid, ++queue->keeper->copies_made);
    queue->options.path = queue->path;
    return true;
}

struct mirror_change *mirror_queue_new_change(enum mirror_change_kind kind,
                                              struct mirror_moments   moments)
{
    struct mirror_change *change = calloc(1, sizeof *change);

    if (change == NULL)
        return NULL;
    list_node_init(&change->node);
    change->kind = kind;
    change->moments = moments;
    return change;
}

void mirror_queue_free_change(struct mirror_change *change)
{
    if (change == NULL)
        return;
    byte_buffer_done(&change->body);
    byte_buffer_done(&change->answer);
    byte_buffer_done(&change->found);
    free(change);
}

void mirror_queue_tell(struct mirror_queue *queue, struct mirror_change *change)
{
    if (change->kind == MIRROR_CHANGE_LIST) {
        list_push_front(&queue->changes, &change->node);
        queue->is_listed = true;
    } else {
        list_push_back(&queue->changes, &change->node);
    }
    queue->told++;
    mirror_queue_delay(queue, change);
    mirror_queue_charge(queue, change);
    mirror_keeper_wake(queue->keeper);
}

/* Who has waited for this write to be known waits for its effect. */
static void mirror_queue_delay(struct mirror_queue *queue, const struct mirror_change *change)
{
    LIST_FOR_EACH(node, &queue->waiting)
    {
        struct mirror_hold *hold = LIST_ITEM(node, struct mirror_hold, node);

        if (change->kind == MIRROR_CHANGE_WRITE && change->moments.sent <= hold->seen)
            hold->until = queue->told;
    }
}

static void mirror_queue_charge(struct mirror_queue *queue, const struct mirror_change *change)
{
    struct mirror_keeper *keeper = queue->keeper;
    size_t                size = mirror_queue_size_of(change);

    queue->bytes += size;
    keeper->waiting_bytes += size;
    memory_account_charge(&keeper->proxy->budget->accounts[MEMORY_ACCOUNT_MIRROR], size);
}

static size_t mirror_queue_size_of(const struct mirror_change *change)
{
    return sizeof *change + change->body.capacity + change->answer.capacity +
           change->found.capacity;
}

void mirror_queue_clear(struct mirror_queue *queue)
{
    mirror_queue_drop(queue, &queue->changes);
    queue->told = queue->is_running ? queue->running_to : queue->applied;
}

static void mirror_queue_drop(struct mirror_queue *queue, struct list *changes)
{
    struct mirror_keeper *keeper = queue->keeper;
    struct list_node     *node;

    while ((node = list_first(changes)) != NULL) {
        struct mirror_change *change = LIST_ITEM(node, struct mirror_change, node);
        size_t                size = mirror_queue_size_of(change);

        list_remove(node);
        queue->bytes -= size;
        keeper->waiting_bytes -= size;
        memory_account_release(&keeper->proxy->budget->accounts[MEMORY_ACCOUNT_MIRROR], size);
        mirror_queue_free_change(change);
    }
}

bool mirror_queue_is_past(const struct mirror_queue *queue, uint64_t moment)
{
    if (queue->is_running)
        return false;
    LIST_FOR_EACH(node, &queue->changes)
    {
        const struct mirror_change *change = LIST_ITEM(node, struct mirror_change, node);

        if (change->kind != MIRROR_CHANGE_WRITE || change->moments.sent <= moment)
            return false;
    }
    return true;
}

void mirror_queue_leave(struct mirror_queue *queue)
{
    if (queue == NULL)
        return;
    queue->entry = NULL;
    mirror_queue_clear(queue);
    mirror_keeper_wake(queue->keeper);
}

/* ---- Work ----------------------------------------------------------------------------------- */

void mirror_queue_pump(struct mirror_queue *queue)
{
    struct list_node *node;

    if (queue->is_running || !mirror_queue_has_work(queue))
        return;
    queue->is_freeing = queue->entry == NULL;
    queue->running_to = queue->applied;
    while (queue->running_to - queue->applied < mirror_queue_batch_max &&
           (node = list_first(&queue->changes)) != NULL) {
        list_remove(node);
        list_push_back(&queue->running, node);
        queue->running_to++;
    }
    /* Not before an answer that is still to be applied: it belongs to the page before. */
    queue->makes_page = queue->page == MIRROR_PAGE_WANTED && list_is_empty(&queue->changes);
    queue->is_running = true;
    queue->job = (struct worker_job){
        .kind = WORKER_POOL_INDEX, .run = mirror_queue_run, .done = mirror_queue_on_run};
    worker_pool_submit(queue->keeper->proxy->workers, &queue->job);
}

static bool mirror_queue_has_work(const struct mirror_queue *queue)
{
    if (queue->entry == NULL)
        return list_is_empty(&queue->holds) && list_is_empty(&queue->waiting);
    return queue->is_listed && queue->status == STATUS_OK && queue->long_holds == 0 &&
           (!list_is_empty(&queue->changes) || queue->page == MIRROR_PAGE_WANTED ||
            queue->has_idle_work);
}

/* On a worker. */
static void mirror_queue_run(struct worker_job *job)
{
    struct mirror_queue *queue = CONTAINER_OF(job, struct mirror_queue, job);
    bool                 is_idle = list_is_empty(&queue->running);

    if (queue->is_freeing) {
        mirror_copy_free(queue->made.copy);
        return;
    }
    queue->made.reason = NULL;
    if (queue->made.copy == NULL)
        queue->made.status =
            queue->is_kept ? mirror_copy_open(&queue->options, &queue->kept, &queue->made.copy)
                           : mirror_copy_new(&queue->options, &queue->made.copy, NULL);
    LIST_FOR_EACH(node, &queue->running)
    {
        if (queue->made.status == STATUS_OK)
            queue->made.status =
                mirror_queue_apply(queue, LIST_ITEM(node, struct mirror_change, node));
    }
    if (queue->made.status == STATUS_OK && queue->makes_page)
        mirror_queue_make_page(queue);
    else if (queue->made.status == STATUS_OK)
        queue->has_idle_work = !is_idle || mirror_copy_maintain(queue->made.copy);
    if (queue->made.copy != NULL)
        mirror_copy_state(queue->made.copy, &queue->made.state);
}

static enum status mirror_queue_apply(struct mirror_queue *queue, struct mirror_change *change)
{
    struct bytes body = byte_buffer_bytes(&change->body);
    struct bytes answer = byte_buffer_bytes(&change->answer);

    switch (change->kind) {
    case MIRROR_CHANGE_LIST:
        return mirror_copy_list(queue->made.copy, answer, &change->moments, &queue->made.reason);
    case MIRROR_CHANGE_PAGE:
        return mirror_copy_page(queue->made.copy, answer, &change->moments, &queue->made.reason);
    case MIRROR_CHANGE_NO_PAGE:
        mirror_copy_page_failed(queue->made.copy);
        break;
    case MIRROR_CHANGE_WRITE:
        if (byte_buffer_size(&change->found) > 0)
            return mirror_copy_delete_found(queue->made.copy, byte_buffer_bytes(&change->found),
                                            answer, &change->moments, &queue->made.reason);
        return mirror_copy_write(queue->made.copy, change->operation, body, answer,
                                 &change->moments, &queue->made.reason);
    }
    return STATUS_OK;
}

static void mirror_queue_make_page(struct mirror_queue *queue)
{
    enum status status;

    byte_buffer_clear(&queue->page_body);
    status = mirror_copy_page_request(queue->made.copy, queue->page_bytes, &queue->page_body);
    queue->page_made = status == STATUS_OK ? MIRROR_PAGE_READY : MIRROR_PAGE_NONE;
    if (status != STATUS_NOT_FOUND)
        queue->made.status = status;
}

static void mirror_queue_on_run(struct worker_job *job)
{
    struct mirror_queue *queue = CONTAINER_OF(job, struct mirror_queue, job);

    queue->is_running = false;
    if (queue->is_freeing) {
        queue->copy = NULL;
        mirror_keeper_wake(queue->keeper); /* somebody may wait for its room */
        mirror_queue_free(queue);
        return;
    }
    mirror_queue_drop(queue, &queue->running);
    queue->applied = queue->running_to;
    queue->copy = queue->made.copy;
    queue->status = queue->made.status;
    queue->reason = queue->made.reason;
    queue->state = queue->made.state;
    if (queue->makes_page && queue->status == STATUS_OK)
        queue->page = queue->page_made;
    mirror_queue_charge_copy(queue, queue->state.usage.memory);
    queue->keeper->on_applied(queue);
    mirror_keeper_wake(queue->keeper);
}

/* What the copy takes now. */
static void mirror_queue_charge_copy(struct mirror_queue *queue, uint64_t memory)
{
    struct memory_account *account = &queue->keeper->proxy->budget->accounts[MEMORY_ACCOUNT_MIRROR];

    if (memory > queue->charged)
        memory_account_charge(account, memory - queue->charged);
    else
        memory_account_release(account, queue->charged - memory);
    queue->charged = memory;
}

void mirror_queue_free(struct mirror_queue *queue)
{
    mirror_queue_drop(queue, &queue->changes);
    mirror_queue_drop(queue, &queue->running);
    mirror_queue_charge_copy(queue, 0);
    list_remove(&queue->node);
    mirror_copy_free(queue->copy);
    byte_buffer_done(&queue->page_body);
    free(queue->path);
    free(queue);
}

/* ---- Readers -------------------------------------------------------------------------------- */

void mirror_queue_serve(struct mirror_queue *queue, bool may_read)
{
    struct list       served;
    struct list_node *first;

    if (list_is_empty(&queue->waiting))
        return;
    list_init(&served);
    may_read = may_read && queue->entry != NULL;
    LIST_FOR_EACH(node, &queue->waiting)
    {
        if (may_read && !mirror_queue_is_ready(queue, LIST_ITEM(node, struct mirror_hold, node)))
            continue;
        list_remove(node);
        list_push_back(&served, node);
    }
    while ((first = list_first(&served)) != NULL) {
        struct mirror_hold *hold = LIST_ITEM(first, struct mirror_hold, node);

        list_remove(first);
        hold->is_waiting = false;
        if (may_read) {
            list_push_back(&queue->holds, first);
            queue->long_holds += hold->is_long;
        } else {
            hold->queue = NULL;
        }
        hold->on_ready(hold, may_read);
    }
}

static bool mirror_queue_is_ready(const struct mirror_queue *queue, const struct mirror_hold *hold)
{
    return queue->applied >= hold->until && !(hold->is_long && queue->is_running) &&
           !mirror_state_has_open(queue->entry, hold->seen);
}
