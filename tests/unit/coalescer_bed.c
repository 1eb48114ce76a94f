#include "unit/coalescer_bed.h"

#include <check.h>
#include <string.h>

struct coalescer        *coalescer;
struct coalescer_options options;
uint64_t                 now_us, seen_answers, seen_refusals;
enum coalescer_executed  seen_executed;

const unsigned char lane_a[16] = "lane a", lane_b[16] = "lane b";
static uint32_t     known_dimension; /* of all collections */

static uint32_t find_dimension(void *ctx, const unsigned char lane[16])
{
    (void)ctx;
    (void)lane;
    return known_dimension;
}

void coalescer_bed_setup(void)
{
    options = (struct coalescer_options){
        .role = COALESCER_GATEWAY,
        .backend = {.in_flight_max = 1, .may_merge = true},
        .batch_bytes_max = 8 << 20,
        .patience_us = 60000000,
        .members_max = 100000,
        .lanes_max = 1000,
        .dimension = find_dimension,
    };
    known_dimension = 3;
    now_us = 1000000;
    seen_answers = seen_refusals = 0;
    coalescer = coalescer_new(&options);
}

void coalescer_bed_teardown(void)
{
    coalescer_free(coalescer);
}

void renew(void)
{
    coalescer_free(coalescer);
    coalescer = coalescer_new(&options);
}

struct coalescer_write upsert(const unsigned char *lane, const struct bytes *id)
{
    struct coalescer_write write = {
        .kind = COALESCER_MERGEABLE,
        .op = COALESCER_UPSERT,
        .encoding = COALESCER_ARRAYS,
        .dimension = 3,
        .repeatable = true,
        .batch_key = BYTES_LITERAL("POST /upsert"),
        .columns = COALESCER_EMBEDDINGS,
        .sender = BYTES_LITERAL("somebody"),
        .ids = id,
        .record_count = 1,
        .size = 100,
        .deadline_us = now_us + 120000000,
        .ctx = &now_us,
    };

    memcpy(write.lane, lane, sizeof write.lane);
    return write;
}

void add_of(const unsigned char *lane, uint32_t id, void *ctx)
{
    struct bytes           bytes = {.data = (const char *)&id, .size = sizeof id};
    struct coalescer_write write = upsert(lane, &bytes);

    write.ctx = ctx;
    ck_assert_int_eq(coalescer_add(coalescer, &write, now_us), STATUS_OK);
}

void add(const unsigned char *lane, uint32_t id)
{
    add_of(lane, id, &now_us);
}

struct coalescer_batch *pump(void)
{
    struct coalescer_action action;

    do {
        coalescer_next(coalescer, now_us, &action);
        seen_answers += action.kind == COALESCER_ANSWER;
        seen_refusals += action.kind == COALESCER_REFUSE;
        if (action.kind == COALESCER_ANSWER || action.kind == COALESCER_REFUSE)
            seen_executed = action.executed;
    } while (action.kind != COALESCER_NONE && action.kind != COALESCER_SEND);
    return action.kind == COALESCER_SEND ? action.batch : NULL;
}

struct coalescer_batch *next_batch(void)
{
    struct coalescer_batch *batch = pump();

    while (batch == NULL) {
        ck_assert_uint_ne(coalescer_wake_us(coalescer), UINT64_MAX);
        now_us = coalescer_wake_us(coalescer);
        batch = pump();
    }
    return batch;
}

void report(struct coalescer_batch *batch, int http_status)
{
    struct coalescer_outcome outcome = {.kind = COALESCER_ANSWERED, .http_status = http_status};

    coalescer_report(coalescer, batch, &outcome, now_us);
}
