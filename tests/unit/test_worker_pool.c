/* What must hold: each job runs once on a worker and is done once on the loop, also when the pool
 * is taken away. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

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
    pool = worker_pool_new(loop, 3);
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

int main(void)
{
    TCase *tcase = tcase_create("worker_pool");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_job_runs_once_on_a_worker_and_is_done_once_on_the_loop);
    tcase_add_test(tcase, done_never_runs_inside_submit);
    tcase_add_test(tcase, freeing_waits_for_all_jobs_and_their_done);
    tcase_add_test(tcase, a_job_may_be_submitted_again_when_it_is_done);
    return check_main("worker_pool", tcase);
}
