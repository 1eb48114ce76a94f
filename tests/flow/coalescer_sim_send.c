#include <string.h>

#include "flow/coalescer_sim.h"

static void send_check_lane(struct sim *sim, const struct sim_write *first, bool is_first_time);
static bool send_is_lane_busy(const struct sim *sim, uint32_t collection);
static void send_check_calls(struct sim *sim, const struct sim_write *first);
static void send_check_member(struct sim *sim, const struct sim_write *first,
                              const struct sim_write *member, size_t count);
static void send_check_ids(struct sim *sim, const struct sim_call *call);
static struct sim_call *send_call(struct sim *sim);
static void             send_fault(struct sim *sim, struct sim_call *call);
static void             send_run(struct sim *sim, struct sim_call *call);
static void             send_report(struct sim *sim, struct sim_call *call);
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
    *call = (struct sim_call){.batch = batch, .sent_us = sim->now_us};
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
}

void sim_backend(struct sim *sim)
{
    for (size_t i = 0; i < SIM_CALLS; i++) {
        struct sim_call *call = &sim->calls[i];

        if (call->batch == NULL || call->is_reported)
            continue;
        if (!call->is_run && call->is_applying && call->apply_us <= sim->now_us)
            send_run(sim, call);
        if (call->end_us <= sim->now_us)
            send_report(sim, call);
    }
    if (sim_chance(sim, 2)) { /* somebody asks for a collection */
        uint32_t      collection = (uint32_t)sim_random(sim, sim->collections);
        unsigned char lane[16] = {(unsigned char)collection};

        coalescer_learn_dimension(sim->coalescer, lane,
                                  sim->model.collections[collection].dimension);
        sim->is_known[collection] =
            sim->is_known[collection] || sim->model.collections[collection].dimension != 0;
    }
}

/* The head of a lane goes next, and one call at a time. */
static void send_check_lane(struct sim *sim, const struct sim_write *first, bool is_first_time)
{
    for (size_t i = 0; i < sim->writes_count; i++) {
        const struct sim_write *other = sim->writes[i];

        if (other->number == 0 || other->is_answered || other->number >= first->number)
            continue;
        if (is_first_time && other->request.collection == first->request.collection &&
            other->kind != COALESCER_BARRIER_ALL && first->kind != COALESCER_BARRIER_ALL)
            check_fail(&sim->check, "%llu is sent before the head %llu of its lane",
                       (unsigned long long)first->number, (unsigned long long)other->number);
        if (!is_first_time && other->sends > 0 &&
            other->request.collection == first->request.collection)
            check_fail(&sim->check, "%llu is sent again before %llu",
                       (unsigned long long)first->number, (unsigned long long)other->number);
        if (first->kind == COALESCER_BARRIER_ALL || other->kind == COALESCER_BARRIER_ALL)
            check_fail(&sim->check, "%llu is sent before %llu in spite of the barrier",
                       (unsigned long long)first->number, (unsigned long long)other->number);
        /* With more slots than one the older lane may be gathering. */
        if (is_first_time && sim->options.in_flight_max == 1 && other->is_waiting &&
            other->kind != COALESCER_BARRIER_ALL && first->kind != COALESCER_BARRIER_ALL &&
            !send_is_lane_busy(sim, other->request.collection))
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

        if (call->batch != NULL && !call->is_reported &&
            call->members[0]->request.collection == collection)
            return true;
    }
    return false;
}

static void send_check_calls(struct sim *sim, const struct sim_write *first)
{
    uint32_t calls = 1;

    for (size_t i = 0; i < SIM_CALLS; i++) {
        const struct sim_call *call = &sim->calls[i];

        if (call->batch == NULL || call->is_reported)
            continue;
        calls += !call->is_held;
        if (call->members[0]->request.collection == first->request.collection ||
            call->members[0]->kind == COALESCER_BARRIER_ALL || first->kind == COALESCER_BARRIER_ALL)
            check_fail(&sim->check, "%llu is sent while %llu is in flight",
                       (unsigned long long)first->number,
                       (unsigned long long)call->members[0]->number);
    }
    if (calls > sim->options.in_flight_max)
        check_fail(&sim->check, "%u calls in flight", calls);
}

static void send_check_member(struct sim *sim, const struct sim_write *first,
                              const struct sim_write *member, size_t count)
{
    const struct model_request *left = &first->request, *right = &member->request;
    bool                        is_known = sim->model.collections[right->collection].dimension != 0;

    if (member->is_answered || member->deadline_us <= sim->now_us)
        check_fail(&sim->check, "%llu is sent after its deadline",
                   (unsigned long long)member->number);
    if (member->unknowns > 0 && (sim->options.role == COALESCER_SIDECAR ||
                                 member->request.op > MODEL_UPDATE || member->unknowns > 2))
        check_fail(&sim->check, "%llu is sent again though it may have been applied",
                   (unsigned long long)member->number);
    if (member->sends > 0 && count > member->together_max)
        check_fail(&sim->check, "%llu is sent again with %zu, not %zu at most",
                   (unsigned long long)member->number, count, member->together_max);
    if (count > 1 && (first->kind != COALESCER_MERGEABLE || member->kind != COALESCER_MERGEABLE ||
                      left->op != right->op || left->collection != right->collection ||
                      left->credential != right->credential || !is_known ||
                      (left->vectors >= 0 && left->is_base64 != right->is_base64)))
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
    if (sim_chance(sim, sim->faults)) {
        switch (sim_random(sim, 5)) {
        case 0:
            status = statuses[sim_random(sim, 5)];
            call->is_applying = sim_chance(sim, 50);
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
              call->answer);
    sim_trace(sim, "run batch %llu: %d", (unsigned long long)coalescer_batch_id(call->batch),
              call->answer.status);
}

static void send_report(struct sim *sim, struct sim_call *call)
{
    bool is_refusal = call->answer.status >= 400;

    /* A fault strikes what would have been applied; Chroma's own refusals come before it. */
    if (call->is_run && call->outcome.kind == COALESCER_ANSWERED &&
        (call->outcome.http_status == 200 || is_refusal)) {
        call->outcome.http_status = call->answer.status;
        call->outcome.admission_refusal = false;
    }
    call->outcome.quota_refusal = call->answer.is_quota;
    for (size_t i = 0; i < call->count; i++) {
        struct sim_write *member = call->members[i];
        bool              is_unknown = send_is_unknown(&call->outcome);
        bool              is_refused = call->outcome.kind == COALESCER_ANSWERED &&
                          call->outcome.http_status < 500 && call->outcome.http_status >= 400 &&
                          call->outcome.http_status != 429;

        member->unknowns += is_unknown;
        member->together_max = is_unknown && member->unknowns > 1 ? 1
                               : is_refused                       ? (call->count + 1) / 2
                                                                  : call->count;
        if (call->outcome.kind == COALESCER_ANSWERED && call->outcome.http_status < 300 &&
            member->kind == COALESCER_MERGEABLE && member->request.op <= MODEL_UPSERT)
            sim->is_known[member->request.collection] = true;
    }
    if (call->is_part && call->outcome.kind == COALESCER_ANSWERED &&
        call->outcome.http_status <= 299)
        call->members[0]->unknowns = 0; /* the next part is another request */
    call->is_reported = true;
    sim_trace(sim, "report batch %llu: %d %d", (unsigned long long)coalescer_batch_id(call->batch),
              call->outcome.kind, call->outcome.http_status);
    coalescer_report(sim->coalescer, call->batch, &call->outcome, sim->now_us);
}

static bool send_is_unknown(const struct coalescer_outcome *outcome)
{
    return outcome->kind == COALESCER_RESET ||
           (outcome->kind == COALESCER_ANSWERED && !outcome->admission_refusal &&
            (outcome->http_status >= 500 || outcome->http_status == 429) &&
            outcome->http_status != 501);
}
