#include "limits/concurrency_limit.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SPANS = 6,
    SPAN_SAMPLES_MIN = 15, /* fewer make no median that can be trusted */
    SPAN_SAMPLES_MAX = 63, /* the last ones of a span are enough */
    WINDOW_SAMPLES_MIN = 10,
    WINDOW_SAMPLES_MAX = 256,
    STALE_WINDOWS = 3,
    PROBE_SAMPLES = 30,
    EASES = CONCURRENCY_CLASSES * CONCURRENCY_GROUPS * 2
};

static const uint64_t span_us = 5000000;
static const uint64_t probe_us = 1000000;
static const uint64_t window_us = 100000, window_max_us = 1000000;
static const double   tolerance = 1.6;
static const double   decrease = 0.7;

/* What one class takes at ease. */
struct ease {
    uint64_t samples[SPAN_SAMPLES_MAX]; /* of the present span; the last ones */
    size_t   count;                     /* of the present span, all */
    uint64_t medians[SPANS];            /* of the spans before; 0: too few samples */
    uint64_t recent[SPAN_SAMPLES_MIN];  /* the last ones of all, at ease or not */
    size_t   recent_count;
    uint64_t us;       /* 0: not known */
    bool     is_guess; /* of reads that were not at ease, since there were no others yet */
};

struct concurrency_limit {
    struct concurrency_limit_options options;
    double                           limit;
    bool                             is_new;          /* it has not been too large yet */
    size_t                           in_flight, peak; /* peak: of this window */
    struct ease ease[CONCURRENCY_CLASSES][CONCURRENCY_GROUPS][2]; /* the last [1]: beside writes */
    uint64_t    span;                                             /* number of the present one */
    size_t      answers, at_ease;                                 /* of this span */
    uint64_t    crowded_us; /* when more than half was last in flight */
    bool        is_probing; /* half of the limit is in force */
    uint64_t    probe_end_us;
    uint64_t    window_began_us;
    double      ratios[WINDOW_SAMPLES_MAX]; /* of this window; the last ones */
    size_t      ratio_count, drops;
    unsigned    stale_windows;
};

static size_t   whole_limit(const struct concurrency_limit *limit);
static bool     is_at_ease(struct concurrency_limit *limit, uint64_t took_us, uint64_t now_us);
static void     begin_span(struct concurrency_limit *limit, uint64_t now_us);
static void     begin_span_of(struct ease *ease, uint64_t passed);
static void     add_sample(struct ease *ease, uint64_t took_us, bool is_at_ease);
static void     add_ratio(struct concurrency_limit *limit, double ratio);
static void     find_ease(struct ease *ease);
static uint64_t median_of(const uint64_t *values, size_t count);
static int      compare_times(const void *left, const void *right);
static void     end_window(struct concurrency_limit *limit, uint64_t now_us);
static double   median_ratio(struct concurrency_limit *limit);
static int      compare_ratios(const void *left, const void *right);
static void     judge(struct concurrency_limit *limit, double ratio);
static void     look_for_staleness(struct concurrency_limit *limit, double ratio);
static void     learn_anew(struct ease *ease);

struct concurrency_limit *concurrency_limit_new(const struct concurrency_limit_options *options)
{
    struct concurrency_limit *limit = calloc(1, sizeof *limit);

    assert(options->min >= 1 && options->min <= options->start && options->start <= options->max);
    if (limit == NULL)
        return NULL;
    limit->options = *options;
    limit->limit = (double)options->start;
    limit->is_new = true;
    return limit;
}

void concurrency_limit_free(struct concurrency_limit *limit)
{
    free(limit);
}

size_t concurrency_limit_value(const struct concurrency_limit *limit)
{
    size_t whole = whole_limit(limit), half = whole / 2;

    if (!limit->is_probing)
        return whole;
    return half > limit->options.min ? half : limit->options.min;
}

static size_t whole_limit(const struct concurrency_limit *limit)
{
    return (size_t)limit->limit;
}

void concurrency_limit_restart(struct concurrency_limit *limit)
{
    limit->limit = (double)limit->options.min;
    limit->is_new = true;
    limit->stale_windows = 0;
}

void concurrency_limit_sent(struct concurrency_limit *limit)
{
    limit->in_flight++;
    if (limit->in_flight > limit->peak)
        limit->peak = limit->in_flight;
}

void concurrency_limit_ended(struct concurrency_limit *limit, const struct concurrency_read *read,
                             uint64_t now_us)
{
    struct ease *ease = &limit->ease[read->class][read->group][read->is_beside_write];
    bool         at_ease = is_at_ease(limit, read->took_us, now_us);

    assert(limit->in_flight > 0 && read->group < CONCURRENCY_GROUPS);
    limit->in_flight--;
    if (now_us / span_us != limit->span)
        begin_span(limit, now_us);
    if (read->outcome == CONCURRENCY_DROPPED)
        limit->drops++;
    if (read->outcome == CONCURRENCY_ANSWERED) {
        add_sample(ease, read->took_us == 0 ? 1 : read->took_us, at_ease);
        limit->answers++;
        limit->at_ease += at_ease;
    }
    if (limit->at_ease >= PROBE_SAMPLES || now_us >= limit->probe_end_us)
        limit->is_probing = false;
    if (ease->us != 0) {
        double ratio = (double)read->took_us / (double)ease->us;

        if (read->outcome == CONCURRENCY_ANSWERED ||
            (read->outcome == CONCURRENCY_LEFT && ratio > tolerance))
            add_ratio(limit, ratio);
    }
    end_window(limit, now_us);
}

/* Was never more than half of the limit in flight since it was sent? Whoever ended meanwhile has
 * looked, too. */
static bool is_at_ease(struct concurrency_limit *limit, uint64_t took_us, uint64_t now_us)
{
    size_t half = whole_limit(limit) / 2;

    if (limit->in_flight > (half > 0 ? half : 1))
        limit->crowded_us = now_us;
    return now_us - took_us > limit->crowded_us;
}

static void begin_span(struct concurrency_limit *limit, uint64_t now_us)
{
    uint64_t span = now_us / span_us;
    uint64_t passed = span - limit->span < SPANS ? span - limit->span : SPANS;

    limit->is_probing = limit->answers >= SPAN_SAMPLES_MIN && limit->at_ease < SPAN_SAMPLES_MIN;
    limit->probe_end_us = now_us + probe_us;
    limit->answers = limit->at_ease = 0;

    for (size_t i = 0; i < EASES; i++)
        begin_span_of(&limit->ease[0][0][0] + i, passed);
    limit->span = span;
}

/* Keep the median of the span that is over; spans without answers keep none. */
static void begin_span_of(struct ease *ease, uint64_t passed)
{
    size_t   kept = ease->count < SPAN_SAMPLES_MAX ? ease->count : SPAN_SAMPLES_MAX;
    uint64_t median = kept < SPAN_SAMPLES_MIN ? 0 : median_of(ease->samples, kept);

    for (uint64_t step = 0; step < passed; step++) {
        memmove(ease->medians + 1, ease->medians, (SPANS - 1) * sizeof ease->medians[0]);
        ease->medians[0] = step == 0 ? median : 0;
    }
    ease->count = 0;
    find_ease(ease);
}

/* A guess is soon replaced; what is known only by a whole span. */
static void add_sample(struct ease *ease, uint64_t took_us, bool at_ease)
{
    ease->recent[ease->recent_count++ % SPAN_SAMPLES_MIN] = took_us;
    if (ease->us == 0 && ease->recent_count >= SPAN_SAMPLES_MIN) {
        ease->us = median_of(ease->recent, SPAN_SAMPLES_MIN);
        ease->is_guess = true;
    }
    if (!at_ease)
        return;
    ease->samples[ease->count++ % SPAN_SAMPLES_MAX] = took_us;
    if (!ease->is_guess || ease->count != PROBE_SAMPLES)
        return;
    ease->us = median_of(ease->samples, PROBE_SAMPLES);
    ease->is_guess = false;
}

static void add_ratio(struct concurrency_limit *limit, double ratio)
{
    limit->ratios[limit->ratio_count++ % WINDOW_SAMPLES_MAX] = ratio;
}

/* The least of the medians. What was known stays known when nothing newer is. */
static void find_ease(struct ease *ease)
{
    uint64_t least = 0;

    for (size_t i = 0; i < SPANS; i++)
        if (ease->medians[i] != 0 && (least == 0 || ease->medians[i] < least))
            least = ease->medians[i];
    if (least != 0)
        ease->us = least;
}

static uint64_t median_of(const uint64_t *values, size_t count)
{
    uint64_t sorted[SPAN_SAMPLES_MAX];

    memcpy(sorted, values, count * sizeof values[0]);
    qsort(sorted, count, sizeof sorted[0], compare_times);
    return sorted[count / 2];
}

static int compare_times(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;

    return (*a > *b) - (*a < *b);
}

/* Ten answers in 100 ms or more; what took more than a second to gather is too old to judge by. */
static void end_window(struct concurrency_limit *limit, uint64_t now_us)
{
    uint64_t age_us = now_us - limit->window_began_us;
    bool     is_enough = limit->ratio_count >= WINDOW_SAMPLES_MIN || limit->drops > 0;

    if (age_us < window_us || (!is_enough && age_us < window_max_us))
        return;
    if (is_enough)
        judge(limit, median_ratio(limit));
    limit->window_began_us = now_us;
    limit->ratio_count = limit->drops = 0;
    limit->peak = limit->in_flight;
}

static double median_ratio(struct concurrency_limit *limit)
{
    size_t count =
        limit->ratio_count < WINDOW_SAMPLES_MAX ? limit->ratio_count : WINDOW_SAMPLES_MAX;

    if (count < WINDOW_SAMPLES_MIN)
        return 1;
    qsort(limit->ratios, count, sizeof limit->ratios[0], compare_ratios);
    return limit->ratios[count / 2];
}

static int compare_ratios(const void *left, const void *right)
{
    const double *a = left, *b = right;

    return (*a > *b) - (*a < *b);
}

static void judge(struct concurrency_limit *limit, double ratio)
{
    /* Whole numbers: with three quarters of a fraction, a limit of 1.5 would never grow. */
    size_t busy = (size_t)(0.75 * floor(limit->limit));

    look_for_staleness(limit, ratio);
    if (limit->drops > 0 || ratio > tolerance) {
        limit->limit *= limit->drops > 0 ? decrease : fmax(decrease, tolerance / ratio);
        limit->is_new = false;
    } else if (limit->peak >= busy) {
        limit->limit += 0.5 * (limit->is_new ? limit->limit : fmax(1, sqrt(limit->limit) / 2));
    }
    limit->limit = fmax(limit->limit, (double)limit->options.min);
    limit->limit = fmin(limit->limit, (double)limit->options.max);
}

static void look_for_staleness(struct concurrency_limit *limit, double ratio)
{
    bool is_least = whole_limit(limit) <= limit->options.min && limit->peak <= whole_limit(limit);

    limit->stale_windows = is_least && ratio > tolerance ? limit->stale_windows + 1 : 0;
    if (limit->stale_windows < STALE_WINDOWS)
        return;
    limit->stale_windows = 0;
    for (size_t i = 0; i < EASES; i++)
        learn_anew(&limit->ease[0][0][0] + i);
}

static void learn_anew(struct ease *ease)
{
    if (ease->recent_count < SPAN_SAMPLES_MIN)
        return;
    memset(ease->medians, 0, sizeof ease->medians);
    ease->count = 0;
    ease->us = median_of(ease->recent, SPAN_SAMPLES_MIN);
}

uint64_t concurrency_limit_ease_us(const struct concurrency_limit *limit,
                                   enum concurrency_class class)
{
    uint64_t least_us = 0;

    for (size_t i = 0; i < CONCURRENCY_GROUPS; i++) {
        uint64_t us = limit->ease[class][i][0].us;

        if (us != 0 && (least_us == 0 || us < least_us))
            least_us = us;
    }
    return least_us;
}
