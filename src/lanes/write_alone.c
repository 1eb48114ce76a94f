#include "lanes/write_alone.h"

#include <stdlib.h>

#include "calls/proxy_state.h"
#include "chroma/chroma_repeat.h"
#include "lanes/guard_look.h"
#include "lanes/write_permit.h"
#include "lanes/write_settle.h"

/* How long one waits before it is tried again. */
static const uint64_t again_us = 250000;

/* What kills Chroma is not sent for ever. */
enum { losses_max = 3 };

/* Connections die before the exit of their process is seen: so long it is waited for. */
static const uint64_t proof_us = 1000000;

struct write_alone {
    struct proxy         *proxy;
    struct timeout_queue *again;
};

static void alone_on_guarded(struct write *write, enum guard_look_answer guard, void *ctx);
static void alone_on_over(struct write_call *call, void *ctx);
static bool alone_may_repeat(struct write *write);
static void alone_on_again(struct timeout *timeout);
static void alone_on_settled(struct write *write, enum write_settled settled,
                             const struct http_head *head, struct bytes body);
static void alone_end(struct write *write, enum status status, enum front_executed executed);

struct write_alone *write_alone_new(struct proxy *proxy)
{
    struct write_alone *alone = calloc(1, sizeof *alone);

    if (alone == NULL)
        return NULL;
    alone->proxy = proxy;
    alone->again = timeout_queue_new(proxy->loop, again_us, alone_on_again);
    if (alone->again == NULL) {
        free(alone);
        return NULL;
    }
    return alone;
}

void write_alone_free(struct write_alone *alone)
{
    if (alone == NULL)
        return;
    timeout_queue_free(alone->again);
    free(alone);
}

enum status write_alone_send(struct write_alone *alone, struct write *write)
{
    enum write_permission  permission = write_permit_ask(write);
    enum guard_look_answer guard;

    if (permission != WRITE_PERMITTED) {
        alone_on_guarded(write, permission == WRITE_REFUSED ? GUARD_LOOK_REFUSED : GUARD_LOOK_AGAIN,
                         alone);
        return STATUS_OK;
    }
    guard = guard_look(write, NULL, alone_on_guarded, alone);
    write->ends = write->proxy->ends;
    if (guard == GUARD_LOOK_ASKS)
        return STATUS_OK;
    return guard == GUARD_LOOK_PASSES && write_call_start_one(write, alone_on_over, alone) != NULL
               ? STATUS_OK
               : STATUS_NO_MEMORY;
}

static void alone_on_guarded(struct write *write, enum guard_look_answer guard, void *ctx)
{
    struct write_alone *alone = ctx;
    enum front_executed executed = write->losses == 0 ? FRONT_EXECUTED_NO : FRONT_EXECUTED_MAYBE;

    if (guard == GUARD_LOOK_REFUSED) {
        write_free(write);
    } else if (guard == GUARD_LOOK_PASSES && write_permit_ask(write) == WRITE_PERMITTED) {
        if (write_call_start_one(write, alone_on_over, alone) == NULL)
            alone_end(write, STATUS_NO_MEMORY, executed);
    } else if (loop_now_us(alone->proxy->loop) + again_us < write->deadline_us) {
        write->is_lost = false;
        timeout_queue_start(alone->again, &write->again);
    } else {
        alone_end(write, STATUS_BACKEND_DOWN, executed);
    }
}

static void alone_on_over(struct write_call *call, void *ctx)
{
    struct write_alone      *alone = ctx;
    struct write            *write = write_call_write(call);
    struct coalescer_outcome outcome = write_call_outcome(call);
    enum status              failure = write_call_failure(call);

    write->was_sent |= outcome.kind != COALESCER_NOT_SENT;
    if (outcome.kind == COALESCER_RESET)
        write_alone_note_loss(write);
    if (outcome.kind == COALESCER_ANSWERED) {
        write_alone_tell(call, write, FRONT_EXECUTED_UNSAID);
    } else if (failure != STATUS_SHUTTING_DOWN &&
               (outcome.kind == COALESCER_NOT_SENT || alone_may_repeat(write)) &&
               loop_now_us(alone->proxy->loop) + again_us < write->deadline_us) {
        write_call_end(call);
        timeout_queue_start(alone->again, &write->again);
        return;
    } else {
        write_tell_refused(write, failure,
                           outcome.kind == COALESCER_NOT_SENT && write->losses == 0
                               ? FRONT_EXECUTED_NO
                               : FRONT_EXECUTED_MAYBE,
                           NULL);
    }
    write_call_adopt(call, write);
    write_call_end(call);
}

/* It may have been lost with a Chroma of our own: would a repeat be harmless, or can it be settled,
 * and is it not the third? */
static bool alone_may_repeat(struct write *write)
{
    write->is_lost =
        write->proxy->is_supervised && write->losses < losses_max &&
        (write_settle_may(write) ||
         chroma_repeat_is_harmless(write->route.operation, byte_buffer_bytes(&write->body)));
    write->lost_us = loop_now_us(write->proxy->loop);
    return write->is_lost;
}

/* A write that was lost waits for the proof that Chroma has ended: a connection that broke by
 * itself may have left it alive, and a repeat could then overtake what comes later. */
static void alone_on_again(struct timeout *timeout)
{
    struct write       *write = CONTAINER_OF(timeout, struct write, again);
    struct write_alone *alone = write->proxy->alone;
    bool                is_proved = write->ends != write->proxy->ends;

    if (write->is_lost && !is_proved) {
        if (loop_now_us(write->proxy->loop) - write->lost_us < proof_us) {
            timeout_queue_start(alone->again, timeout);
            return;
        }
        alone_end(write, STATUS_BACKEND_RESET, FRONT_EXECUTED_MAYBE);
        return;
    }
    if (write->is_lost && write->can_settle) {
        if (!write_settle_may(write))
            alone_end(write, STATUS_BACKEND_RESET, FRONT_EXECUTED_MAYBE);
        else if (write->route.operation != CHROMA_OPERATION_COLLECTION_CREATE)
            alone_on_settled(write, WRITE_SETTLED_ABSENT, NULL, (struct bytes){0});
        else if (!write_settle_look(write, alone_on_settled))
            alone_end(write, STATUS_NO_MEMORY, FRONT_EXECUTED_MAYBE);
        return;
    }
    alone_on_settled(write, WRITE_SETTLED_ABSENT, NULL, (struct bytes){0});
}

static void alone_on_settled(struct write *write, enum write_settled settled,
                             const struct http_head *head, struct bytes body)
{
    struct write_alone *alone = write->proxy->alone;

    switch (settled) {
    case WRITE_SETTLED_DONE:
        write_tell_answer(write, head, body, FRONT_EXECUTED_UNSAID);
        write_free(write);
        break;
    case WRITE_SETTLED_ABSENT:
        write->is_lost = false;
        if (write_alone_send(alone, write) != STATUS_OK)
            alone_end(write, STATUS_NO_MEMORY,
                      write->losses == 0 ? FRONT_EXECUTED_NO : FRONT_EXECUTED_MAYBE);
        break;
    case WRITE_SETTLED_UNKNOWN:
        alone_end(write, STATUS_BACKEND_RESET, FRONT_EXECUTED_MAYBE);
        break;
    case WRITE_SETTLED_AGAIN:
        if (loop_now_us(alone->proxy->loop) + again_us < write->deadline_us)
            timeout_queue_start(alone->again, &write->again);
        else
            alone_end(write, STATUS_BACKEND_RESET, FRONT_EXECUTED_MAYBE);
        break;
    }
}

static void alone_end(struct write *write, enum status status, enum front_executed executed)
{
    write_tell_refused(write, status, executed, NULL);
    write_free(write);
}

enum front_executed write_alone_give_up(struct write *write)
{
    enum front_executed executed = write->losses > 0 ? FRONT_EXECUTED_MAYBE : FRONT_EXECUTED_NO;

    write_leave(write);
    if (write->call != NULL && write_call_is_sent(write->call))
        return FRONT_EXECUTED_MAYBE;
    if (write->call != NULL) {
        struct write_call *call = write->call;

        write_call_cancel(call);
        write_call_adopt(call, write);
        write_call_end(call);
    } else if (write->look != NULL || guard_look_is_asking(write) ||
               timeout_queue_is_running(&write->again)) {
        write_settle_cancel(write);
        write_free(write);
    } else {
        write->is_given_up = true; /* a worker reads its body */
    }
    return executed;
}

void write_alone_note_loss(struct write *write)
{
    enum chroma_operation operation = write->route.operation;

    if (!write->proxy->is_supervised)
        return;
    write->losses++;
    if (operation == CHROMA_OPERATION_DELETE &&
        !chroma_repeat_is_harmless(operation, byte_buffer_bytes(&write->body)))
        write->proxy->deletes_lost++;
}

void write_alone_tell(struct write_call *call, struct write *write, enum front_executed executed)
{
    if (call == NULL)
        return;
    if (!write_settle_is_deleted(write, write_call_outcome(call).http_status))
        write_call_tell(call, write, executed);
    else if (write_settle_may(write))
        write_call_tell_deleted(call, write);
    else
        write_tell_refused(write, STATUS_BACKEND_RESET, FRONT_EXECUTED_MAYBE, NULL);
}
