#include "copies/mirror_job.h"

#include <stdlib.h>
#include <string.h>

#include "calls/proxy_state.h"
#include "copies/mirror_doubt.h"
#include "copies/mirror_keeper.h"
#include "io/worker_pool.h"

struct mirror_job {
    struct mirror_jobs *jobs;
    mirror_job_fn      *on_answer; /* NULL: who asked has left */
    void               *ctx;
    struct mirror_hold  hold;
    struct worker_job   work;
    size_t              charged;
    uint64_t            job_us;

    /* The job's own. */
    struct bytes       method, path, body; /* in `text` */
    uint64_t           deadline_us;
    uint32_t           dimension;
    enum status        status;
    unsigned           code;
    const char        *reason;
    struct byte_buffer answer;
    char               text[];
};

static struct mirror_job *job_new(struct mirror_jobs               *jobs,
                                  const struct mirror_job_question *question);
static struct bytes       job_copy(char **at, struct bytes from);
static bool job_is_old(const struct mirror_job *job, const struct mirror_job_question *question);
static void job_on_ready(struct mirror_hold *hold, bool may_read);
static void job_submit(struct mirror_job *job);
static void job_run(struct worker_job *work);
static void job_on_run(struct worker_job *work);
static const char *job_judge(const struct mirror_job *job);
static void        job_tell(struct mirror_job *job, const char *reason);
static void        job_free(struct mirror_job *job);

enum status mirror_job_begin(struct mirror_jobs *jobs, const struct mirror_job_question *question,
                             mirror_job_fn *on_answer, void *ctx, struct mirror_job **ret_job,
                             const char **ret_reason)
{
    struct mirror_job *job;
    enum status        status;

    *ret_reason = "busy";
    if (jobs->running >= MIRROR_JOBS_MAX)
        return STATUS_NOT_FOUND;
    *ret_reason = "no_memory";
    job = job_new(jobs, question);
    if (job == NULL)
        return STATUS_NO_MEMORY;
    job->on_answer = on_answer;
    job->ctx = ctx;
    status = mirror_keeper_hold(jobs->proxy->mirror, question->uuid, question->is_fallback,
                                &job->hold, ret_reason);
    if ((status == STATUS_OK || status == STATUS_AGAIN) && job_is_old(job, question)) {
        *ret_reason = "old";
        status = STATUS_NOT_FOUND;
    }
    if (status != STATUS_OK && status != STATUS_AGAIN) {
        job_free(job);
        return STATUS_NOT_FOUND;
    }
    if (status == STATUS_OK)
        job_submit(job);
    *ret_job = job;
    return STATUS_OK;
}

static struct mirror_job *job_new(struct mirror_jobs               *jobs,
                                  const struct mirror_job_question *question)
{
    const struct http_head *head = question->head;
    size_t                  size = head->method.size + head->path.size + question->body.size;
    struct mirror_job      *job = calloc(1, sizeof *job + size);
    char                   *at;

    if (job == NULL)
        return NULL;
    at = job->text;
    job->jobs = jobs;
    job->hold.on_ready = job_on_ready;
    job->job_us = question->job_us;
    job->method = job_copy(&at, head->method);
    job->path = job_copy(&at, head->path);
    job->body = job_copy(&at, question->body);
    job->charged = sizeof *job + size;
    memory_account_charge(&jobs->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS], job->charged);
    return job;
}

static struct bytes job_copy(char **at, struct bytes from)
{
    struct bytes to = {.data = *at, .size = from.size};

    if (from.size > 0)
        memcpy(*at, from.data, from.size);
    *at += from.size;
    return to;
}

static bool job_is_old(const struct mirror_job *job, const struct mirror_job_question *question)
{
    return mirror_hold_age_us(&job->hold) > question->age_max_us;
}

bool mirror_job_waits(const struct mirror_job *job)
{
    return job->hold.is_waiting;
}

static void job_on_ready(struct mirror_hold *hold, bool may_read)
{
    struct mirror_job *job = CONTAINER_OF(hold, struct mirror_job, hold);

    if (!may_read)
        job_tell(job, "given_up");
    else if (job->jobs->running >= MIRROR_JOBS_MAX)
        job_tell(job, "busy");
    else
        job_submit(job);
}

static void job_submit(struct mirror_job *job)
{
    job->work = (struct worker_job){.kind = WORKER_POOL_SEARCH, .run = job_run, .done = job_on_run};
    job->deadline_us = loop_now_us(job->jobs->proxy->loop) + job->job_us;
    job->dimension = mirror_hold_dimension(&job->hold);
    job->jobs->running++;
    worker_pool_submit(job->jobs->proxy->workers, &job->work);
}

/* On a worker. */
static void job_run(struct worker_job *work)
{
    struct mirror_job     *job = CONTAINER_OF(work, struct mirror_job, work);
    struct chroma_route    route;
    struct mirror_question question = {.route = &route,
                                       .body = job->body,
                                       .dimension = job->dimension,
                                       .deadline_us = job->deadline_us,
                                       .size_max = MIRROR_JOB_ANSWER_MAX};

    chroma_route_find(job->method, job->path, &route);
    job->status = mirror_copy_answer(mirror_hold_copy(&job->hold), &question, &job->code,
                                     &job->answer, &job->reason);
}

static void job_on_run(struct worker_job *work)
{
    struct mirror_job *job = CONTAINER_OF(work, struct mirror_job, work);

    job->jobs->running--;
    mirror_doubt_on_read(&job->hold, job->status);
    if (job->on_answer == NULL)
        job_free(job);
    else
        job_tell(job, job_judge(job));
}

/* NULL: the answer may be given. */
static const char *job_judge(const struct mirror_job *job)
{
    const struct memory_account *answers =
        &job->jobs->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS];

    if (job->status == STATUS_NOT_IMPLEMENTED)
        return job->reason != NULL ? job->reason : "not_implemented";
    if (job->status != STATUS_OK)
        return status_name(job->status);
    return memory_account_has_room(answers, byte_buffer_size(&job->answer)) ? NULL : "no_memory";
}

static void job_tell(struct mirror_job *job, const char *reason)
{
    struct mirror_job_answer answer = {.reason = reason,
                                       .status = job->code,
                                       .body = byte_buffer_bytes(&job->answer),
                                       .is_complete = mirror_hold_is_complete(&job->hold)};
    mirror_job_fn           *on_answer = job->on_answer;

    if (reason == NULL)
        answer.age_us = mirror_hold_age_us(&job->hold);
    mirror_hold_release(&job->hold);
    on_answer(job->ctx, &answer);
    job_free(job);
}

void mirror_job_hand_over(struct mirror_job *job, mirror_job_fn *on_answer, void *ctx)
{
    job->on_answer = on_answer;
    job->ctx = ctx;
}

void mirror_job_leave(struct mirror_job *job)
{
    job->on_answer = NULL;
    if (job->hold.is_waiting)
        job_free(job);
}

static void job_free(struct mirror_job *job)
{
    memory_account_release(&job->jobs->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS],
                           job->charged);
    mirror_hold_release(&job->hold);
    byte_buffer_done(&job->answer);
    free(job);
}
