#include <string.h>

#include "flow/coalescer_sim.h"

static void send_check_lane(struct sim *sim, const struct sim_write *first, bool is_first_time);
static bool send_is_same_lane(const struct sim_write *left, const struct sim_write *right);
static bool send_is_lane_busy(const struct sim *sim, uint32_t collection);
static void send_check_calls(struct sim *sim, const struct sim_write *first);
static void send_check_member(struct sim *sim, const struct sim_write *first,
                              const struct sim_write *member, size_t count);
static void send_check_ids(struct sim *sim, const struct sim_call *call);
static struct sim_call *send_call(struct sim *sim);
static void             send_apart(struct sim *sim, struct sim_call *call);
static void             send_fault(struct sim *sim, struct sim_call *call);
static void             send_end(struct sim *sim);
static void             send_renew(struct sim *sim);
static void             send_decide(struct sim *sim, bool has_ended);
static void             send_run(struct sim *sim, struct sim_call *call);
static void             send_report(struct sim *sim, struct sim_call *call);
static void             send_lose(struct sim *sim, struct sim_call *call);
static void             send_refused(struct sim *sim, struct sim_call *call);
static void             send_unknown(struct sim *sim, struct sim_call *call);
static bool             send_is_alive(const struct coalescer_outcome *outcome);
static uint64_t         send_alive_max(const struct sim *sim);
static bool             send_is_unknown(const struct coalescer_outcome *outcome);

void sim_check_send(struct sim *sim, const struct coalescer_batch *batch)
{
    size_t                  count = coalescer_batch_count(batch);
    const struct sim_write *first = coalescer_batch_member(batch, 0);
    uint32_t                records = 0;
    size_t                  bytes = 0;

    if (count > SIM_MEMBERS) {
        check_fail(&sim->check, "more members than clients");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct sim_write *member = coalescer_batch_member(batch, i);

        send_check_member(sim, first, member, count);
        records += (uint32_t)member->request.ids;
        bytes += member->request.size;
    }
    send_check_lane(sim, first, first->sends == 0);
    send_check_calls(sim, first);
    if (count > 1 &&
        (bytes > sim->options.batch_bytes_max ||
         (sim->options.batch_records_max > 0 && records > sim->options.batch_records_max)))
        check_fail(&sim->check, "a batch of %u records and %zu bytes", records, bytes);
    if (coalescer_batch_attempt(batch) != first->sends)
        check_fail(&sim->check, "attempt %u is the %u.", coalescer_batch_attempt(batch),
                   first->sends);
}

void sim_send(struct sim *sim, struct coalescer_batch *batch)
{
    struct sim_call *call = send_call(sim);
    uint32_t         first, rows;

    if (call == NULL)
        return;
    *call =
        (struct sim_call){.batch = batch, .id = coalescer_batch_id(batch), .sent_us = sim->now_us};
    coalescer_batch_set_ctx(batch, call);
    call->count = coalescer_batch_count(batch);
    call->is_part = coalescer_batch_is_part(batch, &first, &rows);
    call->first = (int)first;
    call->rows = (int)rows;
    for (size_t i = 0; i < call->count; i++) {
        call->members[i] = coalescer_batch_member(batch, i);
        call->members[i]->is_waiting = false;
        call->members[i]->sends++;
    }
    if (!sim->is_serial)
        send_check_ids(sim, call);
    send_fault(sim, call);
    sim_trace(sim, "send batch %llu of %zu from %llu, attempt %u, outcome %d %d at %llu",
              (unsigned long long)coalescer_batch_id(batch), call->count,
              (unsigned long long)call->members[0]->number, coalescer_batch_attempt(batch),
              call->outcome.kind, call->outcome.http_status, (unsigned long long)call->end_us);
    if (call->count > 1 && sim_chance(sim, sim->apart))
        send_apart(sim, call);
}

/* The proxy finds that the members may not share a call: nothing is sent. */
static void send_apart(struct sim *sim, struct sim_call *call)
{
    call->outcome = (struct coalescer_outcome){.kind = COALESCER_APART};
    call->is_reported = true;
    for (size_t i = 0; i < call->count; i++)
        call->members[i]->together_max = (call->count + 1) / 2;
    coalescer_report(sim->coalescer, call->batch, &call->outcome, sim->now_us);
}

void sim_backend(struct sim *sim)
{
    send_end(sim);
    send_decide(sim, false);
    for (size_t i = 0; i < SIM_CALLS; i++) {
        struct sim_call *call = &sim->calls[i];

        if (sim->ghosts[i].is_applying && sim->ghosts[i].apply_us <= sim->now_us) {
            send_run(sim, &sim->ghosts[i]);
            sim->ghosts[i].is_applying = false;
        }
        if (call->batch == NULL || call->is_reported)
            continue;
        if (!call->is_run && call->is_applying && call->apply_us <= sim->now_us)
            send_run(sim, call);
        if (call->end_us <= sim->now_us)
            send_report(sim, call);
    }
    if (sim_chance(sim, 2)) { /* somebody asks for a collection */
        uint32_t collection = (uint32_t)sim_random(sim, sim->collections);

        sim->is_known[collection] =
            sim->is_known[collection] || sim->model.collections[collection].dimension != 0;
    }
}

uint64_t sim_backend_next(const struct sim *sim)
{
    uint64_t next_us = sim->ends_us == 0 ? UINT64_MAX : sim->told_us;

    for (size_t i = 0; i < SIM_CALLS; i++) {
        const struct sim_call *call = &sim->calls[i], *ghost = &sim->ghosts[i];

        if (ghost->is_applying && ghost->apply_us < next_us)
            next_us = ghost->apply_us;
        if (call->batch != NULL && !call->is_reported) {
            bool runs_first = call->is_applying && !call->is_run && call->apply_us < call->end_us;
            uint64_t at_us = runs_first ? call->apply_us : call->end_us;

            next_us = at_us < next_us ? at_us : next_us;
        }
    }
    return next_us;
}

bool sim_is_hung(const struct sim_call *call)
{
    bool is_hung = call->is_held || call->is_undecided;

    for (size_t i = 0; i < call->count; i++)
        is_hung = is_hung || call->members[i]->is_answered;
    return is_hung;
}

bool sim_is_held(const struct sim *sim, uint32_t collection)
{
    for (size_t i = 0; i < SIM_CALLS; i++) {
        const struct sim_call *call = &sim->calls[i];

        if (call->batch != NULL && (!call->is_reported || call->is_undecided) &&
            call->members[0]->request.collection == collection && sim_is_hung(call))
            return true;
    }
    return sim->lost_us[collection] > 0 &&
           sim->now_us < sim->lost_us[collection] + sim->options.patience_us;
}

/* The supervised backend ends: its calls are lost within a moment, and nothing in it is alive. */
static void send_end(struct sim *sim)
{
    if (sim->ends_us == 0 && sim_random(sim, 1000) < sim->ends) {
        sim_trace(sim, "the backend ends");
        sim->ends_us = sim->now_us;
        sim->told_us = sim->now_us + sim_random(sim, sim_chance(sim, 50) ? 5000 : 900000);
        sim->back_us = sim->told_us + sim_random(sim, 500000);
        for (size_t i = 0; i < SIM_CALLS; i++) {
            struct sim_call *call = &sim->calls[i];

            sim->ghosts[i].is_applying = false;
            if (call->batch == NULL || call->is_reported)
                continue;
            call->is_applying = false;
            call->outcome.kind = COALESCER_RESET;
            call->end_us = sim->now_us + sim_random(sim, 2000);
        }
    } else if (sim->ends_us > 0 && sim->told_us > 0 && sim->now_us >= sim->told_us) {
        sim_trace(sim, "its end is told");
        sim->told_us = UINT64_MAX;
        memset(sim->lost_us, 0, sizeof sim->lost_us);
        send_decide(sim, true);
        coalescer_backend_ended(sim->coalescer, sim->now_us);
        send_renew(sim);
    }
    if (sim->ends_us > 0 && sim->told_us == UINT64_MAX && sim->now_us >= sim->back_us)
        sim->ends_us = 0;
}

/* Another version may be started. */
static void send_renew(struct sim *sim)
{
    struct coalescer_backend *backend = &sim->options.backend;

    backend->may_merge = !sim_chance(sim, 20);
    backend->same_columns_only = sim_chance(sim, 50);
    sim->model.null_erases = backend->same_columns_only;
    coalescer_set_backend(sim->coalescer, backend);
}

/* What the lost calls mean for what may be sent again. */
static void send_decide(struct sim *sim, bool has_ended)
{
    for (size_t i = 0; i < SIM_CALLS; i++) {
        struct sim_call *call = &sim->calls[i];

        if (call->batch == NULL)
            continue;
        if (has_ended && !call->is_reported)
            call->has_ended = true;
        if (call->is_undecided && (has_ended || sim->now_us >= call->decide_us)) {
            call->has_ended = has_ended;
            call->is_undecided = false;
            send_lose(sim, call);
        }
    }
}

/* It is known now whether the backend ended under the call. */
static void send_lose(struct sim *sim, struct sim_call *call)
{
    for (size_t i = 0; i < call->count; i++) {
        struct sim_write *member = call->members[i];

        member->ends += call->has_ended;
        member->is_ended_alone = call->has_ended && call->count == 1;
        member->unknowns += !call->has_ended;
        member->together_max = call->has_ended ? (member->ends > 1 ? 1 : call->count)
                                               : (member->unknowns > 1 ? 1 : call->count);
    }
    if (!call->has_ended)
        sim->lost_us[call->members[0]->request.collection] = sim->now_us;
}

/* The head of a lane goes next, and one call at a time. */
static void send_check_lane(struct sim *sim, const struct sim_write *first, bool is_first_time)
{
    for (size_t i = 0; i < sim->writes_count; i++) {
        const struct sim_write *other = sim->writes[i];

        if (other->number == 0 || other->is_answered || other->number >= first->number)
            continue;
        /* Of several flows who is independent may pass: the serial run tells. */
        if (is_first_time && sim->flows == 1 &&
            other->request.collection == first->request.collection &&
            other->kind != COALESCER_BARRIER_ALL && first->kind != COALESCER_BARRIER_ALL)
            check_fail(&sim->check, "%llu is sent before the head %llu of its lane",
                       (unsigned long long)first->number, (unsigned long long)other->number);
        if (!is_first_time && other->sends > 0 && send_is_same_lane(first, other))
            check_fail(&sim->check, "%llu is sent again before %llu",
                       (unsigned long long)first->number, (unsigned long long)other->number);
        if (first->kind == COALESCER_BARRIER_ALL &&
            (other->kind == COALESCER_BARRIER_ALL || !sim_is_held(sim, other->request.collection)))
            check_fail(&sim->check, "the barrier %llu is sent before %llu",
                       (unsigned long long)first->number, (unsigned long long)other->number);
        /* With more slots than one the older lane may be gathering. */
        if (is_first_time && sim->flows == 1 && sim->options.backend.in_flight_max == 1 &&
            other->is_waiting && other->kind != COALESCER_BARRIER_ALL &&
            first->kind != COALESCER_BARRIER_ALL &&
            !send_is_lane_busy(sim, other->request.collection) &&
            !sim_is_held(sim, other->request.collection))
            check_fail(&sim->check, "%llu is sent before the older head %llu",
                       (unsigned long long)first->number, (unsigned long long)other->number);
    }
}

/* Is something of the lane in flight, or to be sent again? */
static bool send_is_lane_busy(const struct sim *sim, uint32_t collection)
{
    for (size_t i = 0; i < sim->writes_count; i++) {
        const struct sim_write *write = sim->writes[i];

        if (write->request.collection == collection && write->sends > 0 && !write->is_answered)
            return true;
    }
    for (size_t i = 0; i < SIM_CALLS; i++) {
        const struct sim_call *call = &sim->calls[i];

        if (call->batch != NULL && (!call->is_reported || call->is_undecided) &&
            call->members[0]->request.collection == collection)
            return true;
    }
    return false;
}

static bool send_is_same_lane(const struct sim_write *left, const struct sim_write *right)
{
    if (left->kind == COALESCER_BARRIER_ALL || right->kind == COALESCER_BARRIER_ALL)
        return left->kind == right->kind;
    return left->request.collection == right->request.collection;
}

static void send_check_calls(struct sim *sim, const struct sim_write *first)
{
    uint32_t calls = 1;

    for (size_t i = 0; i < SIM_CALLS; i++) {
        const struct sim_call *call = &sim->calls[i];

        if (call->batch == NULL || (call->is_reported && !call->is_undecided))
            continue;
        calls += !call->is_held && !call->is_undecided;
        if (((call->members[0]->kind == COALESCER_BARRIER_ALL ||
              first->kind == COALESCER_BARRIER_ALL) &&
             !sim_is_hung(call)) ||
            send_is_same_lane(first, call->members[0]))
            check_fail(&sim->check, "%llu is sent while %llu is in flight",
                       (unsigned long long)first->number,
                       (unsigned long long)call->members[0]->number);
    }
    if (calls > sim->options.backend.in_flight_max)
        check_fail(&sim->check, "%u calls in flight", calls);
}

static void send_check_member(struct sim *sim, const struct sim_write *first,
                              const struct sim_write *member, size_t count)
{
    const struct model_request *left = &first->request, *right = &member->request;
    bool                        is_known = sim->model.collections[right->collection].dimension != 0;
    uint64_t offended_us = sim->clients[member->client].offended_us[right->collection];

    if (member->is_answered || member->deadline_us <= sim->now_us)
        check_fail(&sim->check, "%llu is sent after its deadline",
                   (unsigned long long)member->number);
    if ((member->unknowns > 0 &&
         (sim->options.role == COALESCER_SIDECAR || member->unknowns > 2)) ||
        (member->unknowns + member->ends > 0 && member->request.op > MODEL_UPDATE) ||
        (member->ends > 2 && count == 1 && member->together_max == 1 && member->is_ended_alone))
        check_fail(&sim->check, "%llu is sent again though it may have been applied",
                   (unsigned long long)member->number);
    if (member->sends > 0 && count > member->together_max)
        check_fail(&sim->check, "%llu is sent again with %zu, not %zu at most",
                   (unsigned long long)member->number, count, member->together_max);
    if (count > 1 && member->sends == 0 && sim->has_identities && offended_us > 0 &&
        sim->now_us < offended_us + 1000000)
        check_fail(&sim->check, "the offender's %llu shares a call",
                   (unsigned long long)member->number);
    if (count > 1 && (first->kind != COALESCER_MERGEABLE || member->kind != COALESCER_MERGEABLE ||
                      left->op != right->op || left->collection != right->collection ||
                      left->credential != right->credential || !is_known ||
                      (left->vectors >= 0 && left->is_base64 != right->is_base64) ||
                      !sim->options.backend.may_merge ||
                      (sim->options.backend.same_columns_only &&
                       (left->documents < 0) != (right->documents < 0))))
        check_fail(&sim->check, "%llu and %llu share a call", (unsigned long long)first->number,
                   (unsigned long long)member->number);
}

static void send_check_ids(struct sim *sim, const struct sim_call *call)
{
    const struct sim_write *by[MODEL_IDS] = {0};

    for (size_t i = 0; call->count > 1 && i < call->count; i++) {
        for (int row = 0; row < call->members[i]->request.ids; row++) {
            uint32_t id = call->members[i]->request.rows[row].id;

            if (by[id] != NULL && by[id] != call->members[i])
                check_fail(&sim->check, "id %u twice in a batch", id);
            by[id] = call->members[i];
        }
    }
}

static struct sim_call *send_call(struct sim *sim)
{
    for (size_t i = 0; i < SIM_CALLS; i++) {
        if (sim->calls[i].batch == NULL)
            return &sim->calls[i];
    }
    check_fail(&sim->check, "more than %d calls", SIM_CALLS);
    return NULL;
}

/* What becomes of the call, and when. */
static void send_fault(struct sim *sim, struct sim_call *call)
{
    static const int statuses[] = {500, 502, 503, 429, 504};
    bool             is_admission = false;
    int              status = 200;

    call->is_applying = true;
    call->end_us = sim->now_us + 2000 + sim_random(sim, 3000) + 300 * call->count;
    call->outcome.kind = COALESCER_ANSWERED;
    if (sim_chance(sim, sim->hangs))
        call->end_us += sim_random(sim, 20000000);
    if (sim->ends_us > 0) {
        call->outcome.kind = COALESCER_NOT_SENT;
        call->is_applying = false;
    } else if (sim_chance(sim, sim->faults)) {
        switch (sim_random(sim, 5)) {
        case 0:
            status = statuses[sim_random(sim, 5)];
            call->is_applying = sim_chance(sim, 50);
            call->outcome.http_status = status;
            break;
        case 1:
            status = sim_chance(sim, 50) ? 429 : 503;
            is_admission = true;
            call->is_applying = false;
            break;
        case 2:
            call->outcome.kind = COALESCER_NOT_SENT;
            call->is_applying = false;
            break;
        case 3:
            call->outcome.kind = COALESCER_RESET;
            call->is_applying = sim_chance(sim, 50);
            break;
        default:
            call->end_us += sim_random(sim, 3000000);
            break;
        }
    }
    call->apply_us = sim->now_us + sim_random(sim, call->end_us - sim->now_us);
    if (send_is_alive(&call->outcome) && sim_chance(sim, 50)) /* applied after it was lost */
        call->apply_us = call->end_us + sim_random(sim, send_alive_max(sim));
    call->outcome.http_status = status;
    call->outcome.admission_refusal = is_admission;
}

static void send_run(struct sim *sim, struct sim_call *call)
{
    const struct model_request *requests[SIM_MEMBERS];

    for (size_t i = 0; i < call->count; i++)
        requests[i] = &call->members[i]->request;
    call->is_run = true;
    call->answer =
        call->count == 1 && !call->is_part
            ? model_run(&sim->model, requests[0])
            : model_run_spliced(&sim->model, requests, call->count, call->first, call->rows);
    check_ran(&sim->check, call->members, call->count, call->is_part, call->first, call->rows,
              sim->model.null_erases, call->answer);
    sim_trace(sim, "run batch %llu: %d", (unsigned long long)call->id, call->answer.status);
}

static void send_report(struct sim *sim, struct sim_call *call)
{
    bool is_refusal = call->answer.status >= 400, is_unknown, is_refused;

    /* A fault strikes what would have been applied; Chroma's own refusals come before it. */
    if (call->is_run && call->outcome.kind == COALESCER_ANSWERED &&
        (call->outcome.http_status == 200 || is_refusal)) {
        call->outcome.http_status = call->answer.status;
        call->outcome.admission_refusal = false;
        call->outcome.is_refusal = is_refusal;
        if (sim->refuses_with_500 && call->answer.status == 400)
            call->outcome.http_status = 500;
    }
    call->outcome.quota_refusal = call->answer.is_quota;
    is_unknown = send_is_unknown(&call->outcome);
    is_refused = call->outcome.kind == COALESCER_ANSWERED && call->outcome.is_refusal;
    for (size_t i = 0; !is_unknown && i < call->count; i++) {
        call->members[i]->together_max = is_refused ? (call->count + 1) / 2 : call->count;
        if (call->outcome.kind == COALESCER_ANSWERED && call->outcome.http_status < 300 &&
            call->members[i]->kind == COALESCER_MERGEABLE &&
            call->members[i]->request.op <= MODEL_UPSERT)
            sim->is_known[call->members[i]->request.collection] = true;
    }
    if (call->is_part && call->outcome.kind == COALESCER_ANSWERED &&
        call->outcome.http_status <= 299)
        call->members[0]->unknowns = 0; /* the next part is another request */
    call->is_reported = true;
    if (is_unknown)
        send_unknown(sim, call);
    else if (is_refused && call->outcome.http_status != 401 && call->outcome.http_status != 404)
        send_refused(sim, call);
    sim_trace(sim, "report batch %llu: %d %d", (unsigned long long)call->id, call->outcome.kind,
              call->outcome.http_status);
    coalescer_report(sim->coalescer, call->batch, &call->outcome, sim->now_us);
}

/* Who made others be split, and is refused alone, offends. */
static void send_refused(struct sim *sim, struct sim_call *call)
{
    struct sim_write *first = call->members[0];
    bool              is_size = call->outcome.http_status == 413 || call->outcome.quota_refusal;

    for (size_t i = 0; call->count > 1 && i < call->count; i++)
        call->members[i]->was_split = !is_size;
    if (call->count == 1 && first->was_split) {
        sim->offences++;
        sim->clients[first->client].offended_us[first->request.collection] = sim->now_us;
    }
}

static void send_unknown(struct sim *sim, struct sim_call *call)
{
    if (send_is_alive(&call->outcome) && call->is_applying && !call->is_run) {
        for (size_t i = 0; i < SIM_CALLS; i++) {
            if (!sim->ghosts[i].is_applying) {
                sim->ghosts[i] = *call;
                break;
            }
        }
    }
    if (call->outcome.kind == COALESCER_RESET && sim->options.is_supervised && !call->has_ended) {
        call->is_undecided = true;
        call->decide_us = sim->now_us + 1000000;
    } else {
        call->has_ended = call->has_ended && call->outcome.kind == COALESCER_RESET;
        send_lose(sim, call);
    }
}

/* May the call be alive in Chroma though it is over for the proxy? */
static bool send_is_alive(const struct coalescer_outcome *outcome)
{
    return outcome->kind == COALESCER_RESET ||
           (outcome->kind == COALESCER_ANSWERED && !outcome->admission_refusal &&
            outcome->http_status >= 502 && outcome->http_status <= 504);
}

/* For less than the coalescer holds its lane. */
static uint64_t send_alive_max(const struct sim *sim)
{
    return sim->options.patience_us < 1000000 ? sim->options.patience_us : 1000000;
}

static bool send_is_unknown(const struct coalescer_outcome *outcome)
{
    return outcome->kind == COALESCER_RESET ||
           (outcome->kind == COALESCER_ANSWERED && !outcome->admission_refusal &&
            !outcome->is_refusal && (outcome->http_status >= 500 || outcome->http_status == 429) &&
            outcome->http_status != 501);
}
