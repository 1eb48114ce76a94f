#include "upstream/upstream_control.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/socket.h"
#include "upstream/upstream_call.h"
#include "upstream/upstream_resolver.h"

/* A GET that has no answer after this is hopeless; until then its connection is not given up. */
static const uint64_t patience_us = 60000000;
static const uint64_t place_retry_us = 50000;

/* A Chroma that is told to end closes what is idle, and may still take a connection and answer: who
 * is asked only then is not taken for another one. */
static const uint64_t ending_us = 100000;

/* One question at a time. */
struct control_slot {
    struct upstream_control  *control;
    struct upstream_call     *call;
    struct upstream_question *question; /* NULL while idle, or when nobody waits any more */
    bool                      is_kept, is_busy, is_light, awaits_address, has_place;
    size_t                    tried, index; /* addresses */
    struct socket_address     address;
    char                      problem[320]; /* of the address tried last */
};

struct upstream_control {
    struct loop                     *loop;
    struct upstream_pool            *pool;
    struct upstream_incarnation     *incarnation;
    struct upstream_control_options  options;
    struct list                      waiting;
    size_t                           waiting_count;
    struct control_slot              kept, extra;
    int                              fd;         /* of the kept connection; -1: none */
    struct loop_watch               *watch;      /* on it while nothing is asked */
    struct socket_address            address;    /* that it goes to */
    bool                             stands;     /* it has carried an answer and is not broken */
    bool                             was_lost;   /* since the last answer; true at first */
    uint64_t                         lost_us;    /* when it was; 0: never */
    uint64_t                         generation; /* of the resolver's addresses */
    struct upstream_resolver_watcher resolver_watcher;
    struct loop_task                 serve_task;
    struct loop_timer               *timer;
};

static void                      on_call_open(int fd, void *ctx);
static void                      on_call_close(int fd, void *ctx);
static void                      serve_questions(void *ctx);
static struct upstream_question *next_servable(struct upstream_control *control,
                                               struct control_slot    **ret_slot);
static struct control_slot      *choose_slot(struct upstream_control        *control,
                                             const struct upstream_question *question);
static bool                      take_slot_place(struct control_slot *slot);
static void start_question(struct control_slot *slot, struct upstream_question *question);
static void try_address(struct control_slot *slot);
static void on_address_unreachable(const char *problem, void *ctx);
static void on_call_answer(const struct upstream_answer *answer, void *ctx);
static void fail_question(struct control_slot *slot, enum status status, const char *problem);
static void finish_question(struct control_slot *slot, const struct upstream_answer *answer);
static void free_slot(struct control_slot *slot);
static void note_reached(struct upstream_control *control);
static void note_lost(struct upstream_control *control, const char *reason);
static void watch_kept(struct upstream_control *control);
static void on_kept_ready(unsigned ready, void *ctx);
static void on_addresses(void *ctx);
static void on_control_timer(void *ctx);
static struct upstream_question *next_expired(struct upstream_control *control, uint64_t now_us);
static void                      expire_slot(struct control_slot *slot, uint64_t now_us);
static bool                      abandon_slot(struct control_slot *slot);
static void tell_question(struct upstream_question *question, const struct upstream_answer *answer);
static void set_control_timer(struct upstream_control *control);

static const struct upstream_call_events call_events = {.on_unreachable = on_address_unreachable,
                                                        .on_answer = on_call_answer,
                                                        .on_open = on_call_open,
                                                        .on_close = on_call_close};

struct upstream_control *upstream_control_new(struct loop *loop, struct upstream_pool *pool,
                                              struct upstream_incarnation           *incarnation,
                                              const struct upstream_control_options *options)
{
    struct upstream_control *control = calloc(1, sizeof *control);

    if (control == NULL)
        return NULL;
    control->loop = loop;
    control->pool = pool;
    control->incarnation = incarnation;
    control->options = *options;
    control->fd = -1;
    control->was_lost = true;
    control->generation = upstream_resolver_generation(upstream_pool_resolver(pool));
    control->resolver_watcher =
        (struct upstream_resolver_watcher){.on_answer = on_addresses, .ctx = control};
    upstream_resolver_watch(upstream_pool_resolver(pool), &control->resolver_watcher);
    list_init(&control->waiting);
    loop_task_init(&control->serve_task, serve_questions, control);
    control->timer = loop_timer_new(loop, on_control_timer, control);
    control->kept = (struct control_slot){.control = control, .is_kept = true};
    control->extra = (struct control_slot){.control = control};
    control->kept.call = upstream_call_new(loop, &options->backend, &call_events, &control->kept);
    control->extra.call = upstream_call_new(loop, &options->backend, &call_events, &control->extra);
    if (control->timer == NULL || control->kept.call == NULL || control->extra.call == NULL) {
        upstream_control_free(control);
        return NULL;
    }
    return control;
}

void upstream_control_set_options(struct upstream_control               *control,
                                  const struct upstream_control_options *options)
{
    control->options.connect_timeout_us = options->connect_timeout_us;
    control->options.keeps_connection = options->keeps_connection;
}

void upstream_control_free(struct upstream_control *control)
{
    struct control_slot *slots[] = {&control->kept, &control->extra};
    struct list_node    *node;

    if (control == NULL)
        return;
    control->stands = false; /* closing it says nothing of Chroma */
    upstream_resolver_unwatch(&control->resolver_watcher);
    while ((node = list_first(&control->waiting)) != NULL)
        upstream_control_cancel(control, LIST_ITEM(node, struct upstream_question, node));
    for (size_t i = 0; i < COUNT_OF(slots); i++) {
        if (slots[i]->question != NULL)
            slots[i]->question->is_asked = false;
        upstream_call_free(slots[i]->call);
        if (slots[i]->has_place)
            upstream_pool_give_place(control->pool);
    }
    loop_watch_free(control->watch);
    loop_task_cancel(&control->serve_task);
    loop_timer_free(control->timer);
    free(control);
}

enum status upstream_control_ask(struct upstream_control  *control,
                                 struct upstream_question *question)
{
    assert(!question->is_asked);
    if (control->waiting_count >= UPSTREAM_CONTROL_WAITING_MAX)
        return STATUS_OVERLOADED;
    question->is_asked = true;
    question->deadline_us = loop_now_us(control->loop) + question->timeout_us;
    if (question->is_light)
        list_push_front(&control->waiting, &question->node);
    else
        list_push_back(&control->waiting, &question->node);
    control->waiting_count++;
    loop_later(control->loop, &control->serve_task);
    return STATUS_OK;
}

void upstream_control_cancel(struct upstream_control *control, struct upstream_question *question)
{
    struct control_slot *slots[] = {&control->kept, &control->extra};

    if (!question->is_asked)
        return;
    question->is_asked = false;
    for (size_t i = 0; i < COUNT_OF(slots); i++) {
        if (slots[i]->question != question)
            continue;
        if (abandon_slot(slots[i]))
            free_slot(slots[i]);
        return;
    }
    list_remove(&question->node);
    control->waiting_count--;
}

bool upstream_control_is_asked(const struct upstream_question *question)
{
    return question->is_asked;
}

bool upstream_control_is_lost(const struct upstream_control *control)
{
    return control->was_lost;
}

bool upstream_control_has_connection(const struct upstream_control *control)
{
    return control->stands;
}

/* The descriptor tells when Chroma goes away. */
static void on_call_open(int fd, void *ctx)
{
    struct control_slot *slot = ctx;

    if (slot->is_kept)
        slot->control->fd = fd;
}

static void on_call_close(int fd, void *ctx)
{
    struct control_slot     *slot = ctx;
    struct upstream_control *control = slot->control;

    if (!slot->is_kept || fd != control->fd)
        return;
    loop_watch_free(control->watch);
    control->watch = NULL;
    control->fd = -1;
    if (control->stands)
        note_lost(control, "the connection to Chroma was closed");
}

/* Start what can be started. */
static void serve_questions(void *ctx)
{
    struct upstream_control  *control = ctx;
    struct upstream_question *question;
    struct control_slot      *slot;

    while ((question = next_servable(control, &slot)) != NULL) {
        list_remove(&question->node);
        control->waiting_count--;
        start_question(slot, question);
    }
    set_control_timer(control);
}

static struct upstream_question *next_servable(struct upstream_control *control,
                                               struct control_slot    **ret_slot)
{
    bool is_put_off = upstream_pool_retry_at_us(control->pool) > loop_now_us(control->loop);

    LIST_FOR_EACH(node, &control->waiting)
    {
        struct upstream_question *question = LIST_ITEM(node, struct upstream_question, node);

        if (is_put_off && !question->is_light)
            continue;
        *ret_slot = choose_slot(control, question);
        if (*ret_slot != NULL)
            return question;
    }
    return NULL;
}

static struct control_slot *choose_slot(struct upstream_control        *control,
                                        const struct upstream_question *question)
{
    struct control_slot *kept = &control->kept, *extra = &control->extra;
    /* A kept connection that does not stand would be set up anew. */
    bool prefers_extra = !question->is_light || (question->is_fresh && control->stands);

    if (prefers_extra && take_slot_place(extra))
        return extra;
    if (control->lost_us != 0 && loop_now_us(control->loop) < control->lost_us + ending_us)
        return NULL;
    if (take_slot_place(kept))
        return kept;
    return !prefers_extra && take_slot_place(extra) ? extra : NULL;
}

/* Is it free, with a place under the pool's cap? */
static bool take_slot_place(struct control_slot *slot)
{
    if (slot->is_busy)
        return false;
    if (!slot->has_place)
        slot->has_place = upstream_pool_take_place(slot->control->pool);
    return slot->has_place;
}

static void start_question(struct control_slot *slot, struct upstream_question *question)
{
    struct upstream_control *control = slot->control;

    slot->question = question;
    slot->is_busy = true;
    slot->is_light = question->is_light;
    slot->tried = 0;
    slot->problem[0] = '\0';
    if (slot->is_kept) { /* libcurl minds it now */
        loop_watch_free(control->watch);
        control->watch = NULL;
    }
    if (upstream_call_prepare(slot->call, question,
                              slot->is_kept && control->options.keeps_connection,
                              control->options.connect_timeout_us))
        try_address(slot);
    else
        fail_question(slot, STATUS_NO_MEMORY, "out of memory");
}

/* The next of the addresses that requests use, the one that worked last first. */
static void try_address(struct control_slot *slot)
{
    struct upstream_control     *control = slot->control;
    struct upstream_resolver    *resolver = upstream_pool_resolver(control->pool);
    const struct socket_address *addresses;
    size_t                       count = upstream_resolver_addresses(resolver, &addresses);

    slot->awaits_address = count == 0 && upstream_resolver_is_busy(resolver);
    if (slot->awaits_address)
        return;
    if (slot->tried < count) {
        slot->index = (upstream_pool_good_address(control->pool) + slot->tried++) % count;
        slot->address = addresses[slot->index];
        if (!upstream_call_start(slot->call, &slot->address, patience_us))
            fail_question(slot, STATUS_NO_MEMORY, "out of memory");
        return;
    }
    if (count == 0)
        snprintf(slot->problem, sizeof slot->problem, "%s", upstream_resolver_problem(resolver));
    upstream_resolver_refresh(resolver);
    if (slot->is_kept && !control->was_lost)
        note_lost(control, "Chroma could not be reached");
    fail_question(slot, STATUS_BACKEND_DOWN, slot->problem);
}

static void on_address_unreachable(const char *problem, void *ctx)
{
    struct control_slot *slot = ctx;

    snprintf(slot->problem, sizeof slot->problem, "%s", problem);
    try_address(slot);
}

static void on_call_answer(const struct upstream_answer *answer, void *ctx)
{
    struct control_slot     *slot = ctx;
    struct upstream_control *control = slot->control;

    if (answer->status == STATUS_OK) {
        upstream_pool_set_good_address(control->pool, slot->index);
        if (slot->is_kept)
            note_reached(control);
    } else if (slot->is_kept && !control->was_lost) {
        note_lost(control, "the connection to Chroma broke");
    }
    finish_question(slot, answer);
}

static void fail_question(struct control_slot *slot, enum status status, const char *problem)
{
    const struct upstream_answer answer = {.status = status, .problem = problem};

    finish_question(slot, &answer);
}

static void finish_question(struct control_slot *slot, const struct upstream_answer *answer)
{
    struct upstream_question *question = slot->question;

    free_slot(slot);
    if (question != NULL)
        tell_question(question, answer);
}

/* Give the place back, unless the connection stays. */
static void free_slot(struct control_slot *slot)
{
    struct upstream_control *control = slot->control;

    slot->question = NULL;
    slot->is_busy = slot->awaits_address = false;
    loop_later(control->loop, &control->serve_task);
    if (slot->is_kept && control->fd >= 0) {
        watch_kept(control);
        return;
    }
    slot->has_place = false;
    upstream_pool_give_place(control->pool);
}

/* Requests may have reached the new one before: what they learned is void as well, rather than what
 * a late answer of the old one taught is kept. */
static void note_reached(struct upstream_control *control)
{
    const struct socket_address *address = &control->kept.address;
    bool                         is_elsewhere = address->size != control->address.size ||
                        memcmp(address->storage, control->address.storage, address->size) != 0;

    control->stands = control->fd >= 0;
    if (control->was_lost)
        upstream_incarnation_void(control->incarnation, "a connection to Chroma was set up");
    else if (is_elsewhere)
        upstream_incarnation_void(control->incarnation, "another address of Chroma is used");
    control->was_lost = false;
    control->address = *address;
}

static void note_lost(struct upstream_control *control, const char *reason)
{
    control->stands = false;
    control->was_lost = true;
    control->lost_us = loop_now_us(control->loop);
    upstream_incarnation_void(control->incarnation, reason);
}

static void watch_kept(struct upstream_control *control)
{
    control->watch = loop_watch_new(control->loop, control->fd, on_kept_ready, control);
    if (control->watch != NULL) /* else the next question finds out */
        loop_watch_set(control->watch, LOOP_READ);
}

static void on_kept_ready(unsigned ready, void *ctx)
{
    struct upstream_control *control = ctx;

    (void)ready;
    if (socket_peek(control->fd) == STATUS_AGAIN)
        return;
    loop_watch_free(control->watch); /* libcurl closes it when it is about to use it */
    control->watch = NULL;
    if (control->stands)
        note_lost(control, "the connection to Chroma broke");
}

static void on_addresses(void *ctx)
{
    struct upstream_control *control = ctx;
    struct control_slot     *slots[] = {&control->kept, &control->extra};
    uint64_t generation = upstream_resolver_generation(upstream_pool_resolver(control->pool));

    if (generation != control->generation && !control->was_lost)
        note_lost(control, "the name of the backend has other addresses");
    control->generation = generation;
    for (size_t i = 0; i < COUNT_OF(slots); i++)
        if (slots[i]->awaits_address)
            try_address(slots[i]);
}

static void on_control_timer(void *ctx)
{
    struct upstream_control  *control = ctx;
    uint64_t                  now_us = loop_now_us(control->loop);
    struct upstream_question *question;

    while ((question = next_expired(control, now_us)) != NULL) {
        const struct control_slot *kept = &control->kept;
        const bool                 is_put_off =
            !question->is_light && upstream_pool_retry_at_us(control->pool) > now_us;
        const bool is_stuck =
            !is_put_off && kept->is_busy && kept->is_light && !kept->awaits_address;

        list_remove(&question->node);
        control->waiting_count--;
        tell_question(question,
                      &(struct upstream_answer){
                          .status = is_stuck ? STATUS_TIMED_OUT : STATUS_AGAIN,
                          .problem = is_put_off ? "Chroma asks to be asked later (Retry-After)"
                                     : is_stuck ? "an earlier question still has no answer"
                                                : "no connection is free to ask on"});
    }
    expire_slot(&control->kept, now_us);
    expire_slot(&control->extra, now_us);
    serve_questions(control);
}

static struct upstream_question *next_expired(struct upstream_control *control, uint64_t now_us)
{
    LIST_FOR_EACH(node, &control->waiting)
    {
        struct upstream_question *question = LIST_ITEM(node, struct upstream_question, node);

        if (question->deadline_us <= now_us)
            return question;
    }
    return NULL;
}

static void expire_slot(struct control_slot *slot, uint64_t now_us)
{
    struct upstream_question *question = slot->question;
    struct upstream_answer    answer = {
           .status = STATUS_TIMED_OUT,
           .began_us = now_us,
           .problem = slot->awaits_address ? "the name is not resolved in time" : "no answer in time"};

    if (question == NULL || question->deadline_us > now_us)
        return;
    answer.began_us = question->deadline_us - question->timeout_us;
    if (abandon_slot(slot))
        free_slot(slot);
    tell_question(question, &answer);
}

/* Nobody waits any more. The kept connection waits on, since its breaking would say that Chroma may
 * be another one. True: the slot is to be freed. */
static bool abandon_slot(struct control_slot *slot)
{
    struct upstream_control *control = slot->control;

    slot->question = NULL;
    if (slot->is_kept && control->stands) {
        upstream_call_ignore_answer(slot->call);
        return false;
    }
    if (!slot->awaits_address)
        upstream_call_cancel(slot->call);
    if (slot->is_kept && !control->was_lost)
        note_lost(control, "Chroma could not be reached");
    return true;
}

static void tell_question(struct upstream_question *question, const struct upstream_answer *answer)
{
    question->is_asked = false;
    question->on_answer(answer, question->ctx);
}

/* For the next deadline, and to look again for a place. */
static void set_control_timer(struct upstream_control *control)
{
    struct control_slot *slots[] = {&control->kept, &control->extra};
    uint64_t             at_us =
        list_is_empty(&control->waiting) ? UINT64_MAX : loop_now_us(control->loop) + place_retry_us;

    LIST_FOR_EACH(node, &control->waiting)
    {
        const struct upstream_question *question = LIST_ITEM(node, struct upstream_question, node);

        if (question->deadline_us < at_us)
            at_us = question->deadline_us;
    }
    for (size_t i = 0; i < COUNT_OF(slots); i++)
        if (slots[i]->question != NULL && slots[i]->question->deadline_us < at_us)
            at_us = slots[i]->question->deadline_us;
    if (at_us == UINT64_MAX)
        loop_timer_clear(control->timer);
    else
        loop_timer_set(control->timer, at_us);
}
