/* What must hold: each job runs once on a worker and is done once on the loop, also when the pool
 * is taken away; no class runs more jobs than its bound, and none waits for another. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>

#include "io/worker_pool.h"
#include "support/check_main.h"
#include "support/loop_drive.h"

#define JOBS 500

struct counted {
    struct worker_job job;
    atomic_int        runs;
    int               dones;
    bool              ran_on_loop, blocks_signals;
};

static const struct worker_pool_options options = {
    .threads = {[WORKER_POOL_SCAN] = 3, [WORKER_POOL_NAME] = 1, [WORKER_POOL_INDEX] = 2}};

static struct loop        *loop;
static struct worker_pool *pool;
static struct counted      jobs[JOBS];
static pthread_t           loop_thread;
static int                 done_count;
static atomic_bool         may_run;

static void run(struct worker_job *job)
{
    struct counted *counted = CONTAINER_OF(job, struct counted, job);
    sigset_t        blocked;

    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    counted->blocks_signals = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGHUP);
    counted->ran_on_loop = pthread_equal(pthread_self(), loop_thread);
    counted->runs++;
}

static void wait_and_run(struct worker_job *job)
{
    while (!atomic_load(&may_run))
        continue;
    run(job);
}

static void done(struct worker_job *job)
{
    struct counted *counted = CONTAINER_OF(job, struct counted, job);

    ck_assert(pthread_equal(pthread_self(), loop_thread));
    ck_assert_int_eq(atomic_load(&counted->runs), 1);
    counted->dones++;
    done_count++;
}

static void setup(void)
{
    loop_thread = pthread_self();
    loop = loop_new();
    pool = worker_pool_new(loop, &options);
    ck_assert_ptr_nonnull(pool);
}

static void teardown(void)
{
    worker_pool_free(pool);
    loop_free(loop);
}

static void submit(size_t i, void (*how)(struct worker_job *job))
{
    jobs[i].job = (struct worker_job){.run = how, .done = done};
    worker_pool_submit(pool, &jobs[i].job);
}

static void submit_to(enum worker_pool_class kind, size_t i, void (*how)(struct worker_job *job))
{
    jobs[i].job = (struct worker_job){.kind = kind, .run = how, .done = done};
    worker_pool_submit(pool, &jobs[i].job);
}

static bool all_done(void)
{
    return done_count == JOBS;
}

START_TEST(every_job_runs_once_on_a_worker_and_is_done_once_on_the_loop)
{
    for (size_t i = 0; i < JOBS; i++)
        submit(i, run);
    loop_drive_until(loop, all_done);
    loop_drive_for(loop, 1000);
    for (size_t i = 0; i < JOBS; i++) {
        ck_assert_int_eq(atomic_load(&jobs[i].runs), 1);
        ck_assert_int_eq(jobs[i].dones, 1);
        ck_assert(!jobs[i].ran_on_loop);
        ck_assert(jobs[i].blocks_signals);
    }
}
END_TEST

START_TEST(done_never_runs_inside_submit)
{
    submit(0, run);
    while (atomic_load(&jobs[0].runs) == 0)
        continue;
    ck_assert_int_eq(done_count, 0);
}
END_TEST

START_TEST(freeing_waits_for_all_jobs_and_their_done)
{
    for (size_t i = 0; i < 10; i++)
        submit(i, wait_and_run);
    atomic_store(&may_run, true);
    worker_pool_free(pool);
    pool = NULL;
    ck_assert_int_eq(done_count, 10);
}
END_TEST

static bool two_are_done(void)
{
    return done_count == 2;
}

START_TEST(a_class_that_hangs_delays_no_other)
{
    for (size_t i = 0; i < 10; i++)
        submit_to(i % 2 == 0 ? WORKER_POOL_INDEX : WORKER_POOL_NAME, i, wait_and_run);
    submit_to(WORKER_POOL_SCAN, 10, run);
    submit_to(WORKER_POOL_SCAN, 11, run);
    loop_drive_until(loop, two_are_done);
    ck_assert_int_eq(jobs[10].dones + jobs[11].dones, 2);
    atomic_store(&may_run, true);
    worker_pool_free(pool);
    pool = NULL;
    ck_assert_int_eq(done_count, 12);
}
END_TEST

static atomic_int together, together_max;

static void run_beside_others(struct worker_job *job)
{
    int now = atomic_fetch_add(&together, 1) + 1, before = atomic_load(&together_max);

    while (before < now && !atomic_compare_exchange_weak(&together_max, &before, now))
        continue;
    for (int i = 0; i < 1000; i++)
        sched_yield();
    atomic_fetch_sub(&together, 1);
    run(job);
}

static size_t order[JOBS], order_count;

static void note_order(struct worker_job *job)
{
    order[order_count++] = (size_t)(CONTAINER_OF(job, struct counted, job) - jobs);
    done(job);
}

static bool thirty_are_done(void)
{
    return done_count == 30;
}

START_TEST(no_class_runs_more_jobs_than_its_bound_though_threads_are_idle)
{
    for (size_t i = 0; i < 30; i++)
        submit_to(WORKER_POOL_INDEX, i, run_beside_others);
    loop_drive_until(loop, thirty_are_done);
    ck_assert_int_eq(atomic_load(&together_max), 2);
}
END_TEST

START_TEST(a_class_of_one_thread_keeps_its_order)
{
    for (size_t i = 0; i < 30; i++) {
        jobs[i].job = (struct worker_job){.kind = WORKER_POOL_NAME, .run = run, .done = note_order};
        worker_pool_submit(pool, &jobs[i].job);
    }
    loop_drive_until(loop, thirty_are_done);
    for (size_t i = 0; i < 30; i++)
        ck_assert_uint_eq(order[i], i);
}
END_TEST

static long waits_of_all_threads(void)
{
    struct rusage usage;

    ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_nvcsw;
}

static void sleep_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

START_TEST(a_job_that_has_to_wait_for_its_class_wakes_no_thread)
{
    long before;

    submit_to(WORKER_POOL_NAME, 0, wait_and_run);
    for (size_t i = 1; i < 10; i++) /* by then all threads sleep, but the one that runs */
        sleep_a_moment();
    before = waits_of_all_threads();
    for (size_t i = 1; i < 200; i++) {
        submit_to(WORKER_POOL_NAME, i, run);
        sleep_a_moment(); /* one wait of this thread */
    }
    ck_assert_int_le(waits_of_all_threads() - before, 250);
    atomic_store(&may_run, true);
    for (size_t i = 200; i < JOBS; i++)
        submit_to(WORKER_POOL_NAME, i, run);
    loop_drive_until(loop, all_done);
}
END_TEST

static void submit_again(struct worker_job *job)
{
    struct counted *counted = CONTAINER_OF(job, struct counted, job);

    counted->dones++;
    if (counted->dones < 5)
        worker_pool_submit(pool, job);
}

static bool has_run_five_times(void)
{
    return jobs[0].dones == 5;
}

START_TEST(a_job_may_be_submitted_again_when_it_is_done)
{
    jobs[0].job = (struct worker_job){.run = run, .done = submit_again};
    worker_pool_submit(pool, &jobs[0].job);
    loop_drive_until(loop, has_run_five_times);
    ck_assert_int_eq(atomic_load(&jobs[0].runs), 5);
}
END_TEST

START_TEST(a_class_that_grows_runs_as_many_jobs_as_it_then_may)
{
    ck_assert(worker_pool_grow(pool, WORKER_POOL_SEARCH, 2));
    ck_assert(worker_pool_grow(pool, WORKER_POOL_SEARCH, 1)); /* no fewer */
    submit_to(WORKER_POOL_SEARCH, 0, wait_and_run);
    submit_to(WORKER_POOL_SEARCH, 1, run); /* beside it */
    while (atomic_load(&jobs[1].runs) == 0)
        continue;
    atomic_store(&may_run, true);
    for (size_t i = 2; i < 30; i++)
        submit_to(WORKER_POOL_SEARCH, i, run_beside_others);
    loop_drive_until(loop, thirty_are_done);
    ck_assert_int_le(atomic_load(&together_max), 2);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("worker_pool");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_job_runs_once_on_a_worker_and_is_done_once_on_the_loop);
    tcase_add_test(tcase, done_never_runs_inside_submit);
    tcase_add_test(tcase, freeing_waits_for_all_jobs_and_their_done);
    tcase_add_test(tcase, a_class_that_hangs_delays_no_other);
    tcase_add_test(tcase, no_class_runs_more_jobs_than_its_bound_though_threads_are_idle);
    tcase_add_test(tcase, a_class_of_one_thread_keeps_its_order);
    tcase_add_test(tcase, a_job_that_has_to_wait_for_its_class_wakes_no_thread);
    tcase_add_test(tcase, a_job_may_be_submitted_again_when_it_is_done);
    tcase_add_test(tcase, a_class_that_grows_runs_as_many_jobs_as_it_then_may);
    return check_main("worker_pool", tcase);
}
