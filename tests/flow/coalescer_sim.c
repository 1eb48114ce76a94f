/* coalescer_sim - the coalescer between simulated clients and a model of Chroma
 *
 * Each seed draws a setting (role, bounds, number of clients, faults) and plays it in simulated
 * time. Checked: every answer and the final state are those of a serial order (coalescer_check.h),
 * and at each step the rules that can be seen from outside: who may share a call, how many calls
 * there are, what is never sent again, that nobody waits beyond his deadline.
 *
 * COALESCER_SIM_SEEDS=first:count   which seeds (1:1000)
 * COALESCER_SIM_TRACE=1             print every event
 * COALESCER_SIM_SERIAL=1            leave out the rules: answers and state alone must tell
 */
#include "flow/coalescer_sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void     sim_begin(struct sim *sim, uint64_t seed);
static void     sim_end(struct sim *sim);
static void     sim_run(struct sim *sim);
static uint64_t sim_next_time(const struct sim *sim);
static void     sim_clients(struct sim *sim);
static void     sim_offer(struct sim *sim, struct sim_write *write);
static void     sim_leave(struct sim *sim, struct sim_client *client);
static void     sim_pump(struct sim *sim);
static void     sim_choose_flow(struct sim *sim);
static void     sim_take(struct sim *sim, const struct coalescer_action *action);
static void     sim_answered(struct sim *sim, const struct coalescer_action *action);
static void     sim_finish(struct sim *sim, struct sim_write *write);
static void     sim_rest(struct sim *sim);
static bool     sim_is_stopped(const struct sim *sim);
static uint64_t sim_seed_failed(uint64_t seed);
static void     sim_add_totals(struct sim *sim);
static void     sim_print_totals(void);

/* What the seeds met, to see that they meet everything. */
static struct sim_totals {
    uint64_t               writes, merged, calls, parts, held, left, apart;
    struct coalescer_stats stats;
} totals;

int main(void)
{
    const char        *text = getenv("COALESCER_SIM_SEEDS");
    unsigned long long first = 1, count = 1000;
    uint64_t           failed = 0;

    if (text != NULL && sscanf(text, "%llu:%llu", &first, &count) < 1)
        return EXIT_FAILURE;
    for (uint64_t seed = first; seed < first + count && failed == 0; seed++)
        failed = sim_seed_failed(seed);
    sim_print_totals();
    printf("1..1\n%s 1 - %llu seeds from %llu\n", failed == 0 ? "ok" : "not ok", count, first);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static uint64_t sim_seed_failed(uint64_t seed)
{
    static struct sim sim;
    bool              is_failed;

    sim_begin(&sim, seed);
    sim_run(&sim);
    is_failed = sim.check.failure[0] != '\0';
    if (is_failed)
        printf("# seed %llu at %llu us: %s\n# COALESCER_SIM_SEEDS=%llu:1 COALESCER_SIM_TRACE=1 "
               "shows how\n",
               (unsigned long long)seed, (unsigned long long)sim.now_us, sim.check.failure,
               (unsigned long long)seed);
    sim_add_totals(&sim);
    sim_end(&sim);
    return is_failed;
}

static void sim_add_totals(struct sim *sim)
{
    const struct coalescer_stats *stats = coalescer_stats(sim->coalescer);

    totals.writes += sim->writes_count;
    for (size_t op = 0; op < COALESCER_OP_COUNT; op++) {
        for (size_t i = 0; i < COALESCER_BUCKETS; i++) {
            totals.calls += stats->batch_requests[op][i];
            totals.merged += i > 0 ? stats->batch_requests[op][i] : 0;
        }
    }
    totals.stats.batch_splits += stats->batch_splits;
    totals.stats.resends += stats->resends;
    totals.stats.retries += stats->retries;
    totals.stats.unknown += stats->unknown;
    totals.stats.expired_unsent += stats->expired_unsent;
    totals.stats.expired_sent += stats->expired_sent;
    totals.stats.no_room += stats->no_room;
    totals.stats.gathers += stats->gathers;
    totals.stats.offences += stats->offences;
}

static void sim_print_totals(void)
{
    const struct coalescer_stats *stats = &totals.stats;

    printf("# writes %" PRIu64 ", calls %" PRIu64 ", of these merged %" PRIu64 ", parts %" PRIu64
           ", held %" PRIu64 "\n",
           totals.writes, totals.calls, totals.merged, totals.parts, totals.held);
    printf("# splits %" PRIu64 ", unknown %" PRIu64 ", resends %" PRIu64 ", retries %" PRIu64
           ", offences %" PRIu64 "\n",
           stats->batch_splits, stats->unknown, stats->resends, stats->retries, stats->offences);
    printf("# clients that left %" PRIu64 ", taken apart %" PRIu64 "\n", totals.left, totals.apart);
    printf("# expired unsent %" PRIu64 ", sent %" PRIu64 ", no room %" PRIu64 ", gathers %" PRIu64
           "\n",
           stats->expired_unsent, stats->expired_sent, stats->no_room, stats->gathers);
}

static void sim_begin(struct sim *sim, uint64_t seed)
{
    memset(sim, 0, sizeof *sim);
    sim->random = seed;
    sim->is_traced = getenv("COALESCER_SIM_TRACE") != NULL;
    sim->is_serial = getenv("COALESCER_SIM_SERIAL") != NULL;
    sim->now_us = 1000000;
    sim_draw_setting(sim);
    check_begin(&sim->check, &sim->model);
    sim->coalescer = coalescer_new(&sim->options);
    if (sim->coalescer == NULL)
        abort();
}

static void sim_end(struct sim *sim)
{
    coalescer_free(sim->coalescer);
    for (size_t i = 0; i < sim->writes_count; i++)
        free(sim->writes[i]);
    free(sim->writes);
    check_done(&sim->check);
}

static void sim_run(struct sim *sim)
{
    uint64_t end_us = sim->now_us + 600000000, steps = 0;

    while (sim->check.failure[0] == '\0') {
        uint64_t next_us = sim_next_time(sim);

        if (next_us == UINT64_MAX)
            break;
        if (next_us > end_us || steps++ > 200000) {
            check_fail(&sim->check, "it does not come to an end");
            break;
        }
        sim->now_us = next_us > sim->now_us ? next_us : sim->now_us;
        sim_backend(sim);
        sim_clients(sim);
        sim_pump(sim);
        sim_rest(sim);
    }
    if (sim->check.failure[0] == '\0' && coalescer_stats(sim->coalescer)->unfinished > 0)
        check_fail(&sim->check, "it does not become idle");
    if (sim->check.failure[0] == '\0')
        check_end(&sim->check, sim->writes, sim->writes_count, &sim->model);
}

static uint64_t sim_next_time(const struct sim *sim)
{
    uint64_t next_us = coalescer_wake_us(sim->coalescer);

    for (size_t i = 0; i < sim->clients_count; i++) {
        const struct sim_client *client = &sim->clients[i];

        if (client->write == NULL && client->left > 0 && client->next_us < next_us)
            next_us = client->next_us;
    }
    if (sim_backend_next(sim) < next_us)
        next_us = sim_backend_next(sim);
    return next_us;
}

/* Those whose time has come write again. */
static void sim_clients(struct sim *sim)
{
    for (size_t i = 0; i < sim->clients_count; i++) {
        struct sim_client *client = &sim->clients[i];

        if (client->write != NULL || client->left == 0 || client->next_us > sim->now_us)
            continue;
        client->left--;
        client->write = sim_draw_write(sim, i);
        if (client->is_other) { /* writes to Chroma directly */
            struct model_answer answer = model_run(&sim->model, &client->write->request);

            check_ran(&sim->check, &client->write, 1, false, 0, 0, sim->model.null_erases, answer);
            client->write->answer = answer;
            client->write->has_answer = true;
            sim_trace(sim, "other write to %u: %d", client->write->request.collection,
                      answer.status);
            sim_finish(sim, client->write);
        } else {
            sim_offer(sim, client->write);
        }
    }
}

static void sim_offer(struct sim *sim, struct sim_write *write)
{
    struct bytes           ids[MODEL_ROWS];
    char                   key[16];
    struct coalescer_write offered = sim_describe(sim, write, ids, key);
    enum status            status = coalescer_add(sim->coalescer, &offered, sim->now_us);

    if (status == STATUS_OK) {
        write->number = ++sim->numbered;
        write->is_waiting = true;
        sim_trace(sim, "add %llu client %zu collection %u op %d kind %d deadline %llu",
                  (unsigned long long)write->number, write->client, write->request.collection,
                  write->request.op, write->kind, (unsigned long long)write->deadline_us);
        sim_leave(sim, &sim->clients[write->client]);
    } else {
        write->executed = COALESCER_EXECUTED_NO;
        sim_finish(sim, write);
    }
}

/* The client may go away without waiting: his write stays, and he comes back with another. */
static void sim_leave(struct sim *sim, struct sim_client *client)
{
    if (client->is_leaver && sim_chance(sim, 50)) {
        client->write = NULL;
        client->next_us = sim->now_us + sim_draw_think(sim);
        totals.left++;
    }
}

static void sim_pump(struct sim *sim)
{
    struct coalescer_action action;

    for (int i = 0; i < 100000; i++) {
        sim_choose_flow(sim);
        coalescer_next(sim->coalescer, sim->now_us, &action);
        if (action.kind == COALESCER_NONE)
            return;
        sim_take(sim, &action);
        if (sim->check.failure[0] != '\0')
            return;
    }
    check_fail(&sim->check, "actions without end");
}

/* Any that wants to go. */
static void sim_choose_flow(struct sim *sim)
{
    bool     wants[SIM_FLOWS] = {false};
    uint32_t first;

    if (sim->flows == 1)
        return;
    (void)coalescer_mark_flows(sim->coalescer, sim->now_us, wants);
    coalescer_set_flow(sim->coalescer, COALESCER_ANY_FLOW);
    first = (uint32_t)sim_random(sim, sim->flows);
    for (uint32_t i = 0; i < sim->flows; i++)
        if (wants[(first + i) % sim->flows]) {
            coalescer_set_flow(sim->coalescer, (first + i) % sim->flows);
            return;
        }
}

static void sim_take(struct sim *sim, const struct coalescer_action *action)
{
    struct sim_write *write = action->member;
    struct sim_call  *call;

    switch (action->kind) {
    case COALESCER_SEND:
        if (!sim->is_serial)
            sim_check_send(sim, action->batch);
        sim_send(sim, action->batch);
        call = coalescer_batch_ctx(action->batch);
        totals.parts += call->is_part;
        totals.apart += call->outcome.kind == COALESCER_APART;
        break;
    case COALESCER_ANSWER:
    case COALESCER_REFUSE:
        sim_answered(sim, action);
        break;
    case COALESCER_RELEASE:
        if (!write->is_answered || write->is_released)
            check_fail(&sim->check, "write %llu released too early, or twice",
                       (unsigned long long)write->number);
        for (size_t i = 0; i < SIM_CALLS; i++) {
            for (size_t m = 0; sim->calls[i].batch != NULL && m < sim->calls[i].count; m++) {
                if (sim->calls[i].members[m] == write && !sim->calls[i].is_reported)
                    check_fail(&sim->check, "write %llu released while it is being sent",
                               (unsigned long long)write->number);
            }
        }
        write->is_released = true;
        break;
    case COALESCER_END:
        call = coalescer_batch_ctx(action->batch);
        if (!call->is_reported)
            check_fail(&sim->check, "a batch ended before it was reported");
        call->batch = NULL;
        break;
    case COALESCER_HELD:
        call = coalescer_batch_ctx(action->batch);
        if (call->is_reported || sim->now_us < call->sent_us + sim->options.patience_us)
            check_fail(&sim->check, "held before the patience ended");
        call->is_held = true;
        totals.held++;
        break;
    default:
        break;
    }
}

static void sim_answered(struct sim *sim, const struct coalescer_action *action)
{
    struct sim_write *write = action->member;
    bool              in_batch = action->kind == COALESCER_REFUSE;

    if (write->is_answered)
        check_fail(&sim->check, "write %llu answered twice", (unsigned long long)write->number);
    if (action->kind == COALESCER_ANSWER) {
        const struct sim_call *call = coalescer_batch_ctx(action->batch);

        for (size_t i = 0; i < call->count; i++)
            in_batch = in_batch || call->members[i] == write;
        if (!call->is_reported || call->outcome.kind != COALESCER_ANSWERED)
            check_fail(&sim->check, "answer of a batch that has none");
        write->has_answer = true;
        write->answer = call->answer;
        if (!call->outcome.is_refusal) /* else its status may be another one */
            write->answer.status = call->outcome.http_status;
    } else if (action->status == STATUS_BACKEND_RESET && write->unknowns + write->ends == 0) {
        check_fail(&sim->check, "write %llu refused though it was certainly not applied",
                   (unsigned long long)write->number);
    } else if (action->status == STATUS_TIMED_OUT && write->deadline_us > sim->now_us &&
               (write->sends > 0 || action->executed != COALESCER_EXECUTED_NO)) {
        /* One that was never sent may be: its answer would have come too late. */
        check_fail(&sim->check, "write %llu refused before its deadline",
                   (unsigned long long)write->number);
    }
    write->executed = action->executed;
    if (write->has_answer && write->executed == COALESCER_EXECUTED_UNSAID && !write->is_run)
        check_fail(&sim->check, "write %llu is answered before it is run",
                   (unsigned long long)write->number);
    if (!in_batch)
        check_fail(&sim->check, "write %llu got the answer of another batch",
                   (unsigned long long)write->number);
    if (write->executed == COALESCER_EXECUTED_NO && write->unknowns + write->ends > 0)
        check_fail(&sim->check, "write %llu may have been applied but is told no",
                   (unsigned long long)write->number);
    sim_trace(sim, "%s %llu: %d executed %d",
              action->kind == COALESCER_ANSWER ? "answer" : "refuse",
              (unsigned long long)write->number, write->answer.status, write->executed);
    sim_finish(sim, write);
}

/* The client has his answer, thinks, and comes back. */
static void sim_finish(struct sim *sim, struct sim_write *write)
{
    struct sim_client *client = &sim->clients[write->client];

    write->is_answered = true;
    write->is_waiting = false;
    write->answered_us = sim->now_us;
    if (write->answered_us > write->deadline_us)
        check_fail(&sim->check, "write %llu answered after its deadline",
                   (unsigned long long)write->number);
    if (client->write == write) {
        client->write = NULL;
        client->next_us = sim->now_us + sim_draw_think(sim);
    }
    if (write->request.op >= MODEL_DELETE_COLLECTION)
        sim_make_collections(sim);
}

/* Between events: nothing is forgotten, the books agree. */
static void sim_rest(struct sim *sim)
{
    const struct coalescer_stats *stats = coalescer_stats(sim->coalescer);
    uint64_t                      waiting = 0, bytes = 0, records = 0, redo = 0, calls = 0;
    uint64_t                      undecided = 0;
    uint64_t                      wake_us = coalescer_wake_us(sim->coalescer);

    for (size_t i = 0; i < sim->writes_count; i++) {
        const struct sim_write *write = sim->writes[i];

        if (write->is_waiting) {
            waiting++;
            bytes += write->request.size;
            records += (uint64_t)write->request.ids;
        }
        redo += !write->is_answered && write->sends > 0;
        if (!write->is_answered && sim->now_us >= write->deadline_us)
            check_fail(&sim->check, "write %" PRIu64 " waits beyond its deadline", write->number);
    }
    for (size_t i = 0; i < SIM_CALLS; i++) {
        const struct sim_call *call = &sim->calls[i];

        calls += call->batch != NULL && !call->is_undecided;
        undecided += call->batch != NULL && call->is_undecided;
        if (call->batch != NULL && !call->is_held && !call->is_undecided &&
            sim->now_us >= call->sent_us + sim->options.patience_us)
            check_fail(&sim->check, "a call is not held though patience ended");
    }
    if (waiting != stats->waiting_members || bytes != stats->waiting_bytes ||
        records != stats->waiting_records || calls != stats->in_flight ||
        sim->offences != stats->offences)
        check_fail(&sim->check, "the books do not agree");
    if (waiting > sim->options.members_max)
        check_fail(&sim->check, "a bound is exceeded");
    if (waiting + redo > 0 && wake_us == UINT64_MAX)
        check_fail(&sim->check, "somebody waits but nothing will happen");
    if (waiting > 0 && redo + calls + undecided == 0 && wake_us > sim->now_us + 2000 &&
        !sim_is_stopped(sim))
        check_fail(&sim->check, "somebody waits though nothing is in flight");
}

/* Is there a reason for all that waits to go on waiting? */
static bool sim_is_stopped(const struct sim *sim)
{
    for (size_t i = 0; i < sim->writes_count; i++) {
        const struct sim_write *write = sim->writes[i];

        if (write->is_waiting && write->kind != COALESCER_BARRIER_ALL &&
            !sim_is_held(sim, write->request.collection))
            return false;
    }
    return true;
}

void sim_trace(const struct sim *sim, const char *format, ...)
{
    va_list args;

    if (!sim->is_traced)
        return;
    printf("# %10llu ", (unsigned long long)sim->now_us);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}
