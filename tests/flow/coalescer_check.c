#include "flow/coalescer_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_order(struct check *check, const struct sim_write *write, bool is_applied);
static bool check_is_success(struct model_answer answer);
static void check_serial(struct check *check, struct model *model);
static void check_answer(struct check *check, const struct sim_write *write);
static void check_state(struct check *check, const struct model *expected,
                        const struct model *state);

void check_begin(struct check *check, const struct model *start)
{
    memset(check, 0, sizeof *check);
    check->start = *start;
}

void check_done(struct check *check)
{
    free(check->runs);
}

void check_fail(struct check *check, const char *format, ...)
{
    va_list args;

    if (check->failure[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(check->failure, sizeof check->failure, format, args);
    va_end(args);
}

void check_ran(struct check *check, struct sim_write *const *members, size_t count, bool is_part,
               int first, int rows, bool null_erases, struct model_answer answer)
{
    bool is_applied = check_is_success(answer);

    /* A merged request that was refused says nothing to its members. */
    if (count > 1 && !is_applied && answer.status != 401 && answer.status != 404)
        return;
    for (size_t i = 0; i < count; i++) {
        if (check->count == check->capacity) {
            check->capacity = check->capacity == 0 ? 64 : check->capacity * 2;
            check->runs = realloc(check->runs, check->capacity * sizeof *check->runs);
            if (check->runs == NULL)
                abort();
        }
        check->runs[check->count++] = (struct check_run){.write = members[i],
                                                         .first = first,
                                                         .rows = rows,
                                                         .is_part = is_part,
                                                         .is_late = members[i]->is_answered,
                                                         .null_erases = null_erases,
                                                         .answer = answer};
        if (members[i]->number > 0)
            check_order(check, members[i], is_applied);
        members[i]->is_run = true;
        members[i]->is_applied = members[i]->is_applied || is_applied;
    }
}

void check_end(struct check *check, struct sim_write *const *writes, size_t count,
               const struct model *state)
{
    struct model model = check->start;

    for (size_t i = 0; i < count; i++) {
        if (!writes[i]->is_answered)
            check_fail(check, "write %llu has no answer", (unsigned long long)writes[i]->number);
    }
    check_serial(check, &model);
    for (size_t i = 0; i < count; i++)
        check_answer(check, writes[i]);
    check_state(check, &model, state);
}

static void check_order(struct check *check, const struct sim_write *write, bool is_applied)
{
    const struct model_request *request = &write->request;
    uint32_t                    lane = request->collection;
    uint64_t                    number = write->number;
    bool                        is_barrier = write->kind == COALESCER_BARRIER;
    bool                        has_ids = request->op <= MODEL_DELETE_IDS;

    if (write->kind == COALESCER_BARRIER_ALL) /* watched where it is sent */
        return;
    if (number < check->lane_barrier[lane])
        check_fail(check, "write %llu ran after a barrier that it came before",
                   (unsigned long long)number);
    if (is_barrier && number < check->lane_number[lane])
        check_fail(check, "barrier %llu ran after a later write", (unsigned long long)number);
    if (number > check->lane_number[lane])
        check->lane_number[lane] = number;
    if (is_barrier)
        check->lane_barrier[lane] = number;
    for (int i = 0; has_ids && is_applied && i < request->ids; i++) {
        uint64_t *last = &check->id_number[lane][request->rows[i].id];

        if (number < *last)
            check_fail(check, "id %u was written by %llu and then by the earlier %llu",
                       request->rows[i].id, (unsigned long long)*last, (unsigned long long)number);
        *last = number;
    }
}

static bool check_is_success(struct model_answer answer)
{
    return answer.status >= 200 && answer.status <= 299;
}

/* Run everything once, alone, in the order of the witness. */
static void check_serial(struct check *check, struct model *model)
{
    for (size_t i = 0; i < check->count; i++)
        check->runs[i].write->is_applied = false;
    for (size_t i = 0; i < check->count; i++) {
        const struct check_run     *run = &check->runs[i];
        const struct model_request *request = &run->write->request;
        struct model_answer         answer;

        /* Sent again: must have changed nothing, which the final state shows; but for a null that
         * another server takes otherwise. */
        if (run->write->is_applied && !run->is_part && run->null_erases == run->write->null_erased)
            continue;
        model->null_erases = run->write->null_erased = run->null_erases;
        answer = run->is_part ? model_run_spliced(model, &request, 1, run->first, run->rows)
                              : model_run(model, request);
        if (!run->write->is_applied || (run->is_part && !run->is_late))
            run->write->reference = answer;
        if (check_is_success(answer))
            run->write->is_applied = true;
    }
}

static void check_answer(struct check *check, const struct sim_write *write)
{
    unsigned long long number = (unsigned long long)write->number;

    if (write->is_applied && write->executed == COALESCER_EXECUTED_NO)
        check_fail(check, "write %llu was applied but told Executed: no", number);
    if (!write->has_answer || write->executed != COALESCER_EXECUTED_UNSAID)
        return;
    if (!write->is_run)
        check_fail(check, "write %llu was answered %d but never run", number, write->answer.status);
    else if (write->answer.status != write->reference.status ||
             write->answer.body != write->reference.body)
        check_fail(check, "write %llu got %d (%u), alone it gets %d (%u)", number,
                   write->answer.status, write->answer.body, write->reference.status,
                   write->reference.body);
}

static void check_state(struct check *check, const struct model *expected,
                        const struct model *state)
{
    for (size_t c = 0; c < MODEL_COLLECTIONS; c++) {
        const struct model_collection *left = &expected->collections[c];
        const struct model_collection *right = &state->collections[c];

        if (left->exists != right->exists || left->dimension != right->dimension ||
            left->modified != right->modified)
            check_fail(check, "collection %zu differs", c);
        for (size_t i = 0; i < MODEL_IDS; i++) {
            const struct model_record *a = &left->records[i], *b = &right->records[i];

            if (a->is_present != b->is_present || a->vector != b->vector ||
                a->document != b->document || a->meta[0] != b->meta[0] || a->meta[1] != b->meta[1])
                check_fail(check, "collection %zu id %zu: vector %u document %u, serially %u %u", c,
                           i, b->vector, b->document, a->vector, a->document);
        }
    }
}
