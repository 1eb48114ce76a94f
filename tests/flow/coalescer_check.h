/* coalescer_check - was what happened possible for some serial order of the writes?
 *
 * The order in which the model backend ran the requests is the witness. Each request of it is run
 * again, alone and once, on a second model: the answers that clients got and the final state must
 * be those. While running, the order itself is checked: writes that share an id in the order of
 * arrival, nothing past a barrier, and no second run after somebody else wrote the same id.
 */
#ifndef FLOW_COALESCER_CHECK_H
#define FLOW_COALESCER_CHECK_H

#include "flow/chroma_model.h"
#include "writes/coalescer.h"

struct sim_write {
    struct model_request    request;
    enum coalescer_kind     kind;
    uint64_t                number; /* order of arrival in the coalescer; 0: another writer's */
    uint64_t                invoked_us, deadline_us, answered_us;
    size_t                  client;
    uint32_t                sends;          /* how often */
    uint32_t                unknowns;       /* of these, with unknown outcome */
    uint32_t                ends;           /* and how often the backend ended under it */
    size_t                  together_max;   /* members of its next call, if it is sent again */
    bool                    was_split;      /* from others, by a refusal */
    bool                    is_ended_alone; /* the last time alone in flight */
    bool                    is_waiting;     /* in the coalescer, not sent yet */
    bool                    is_answered;    /* by ANSWER, REFUSE or before it was taken */
    bool                    is_released, has_answer;
    struct model_answer     answer; /* if has_answer */
    enum coalescer_executed executed;
    /* for the end */
    bool                is_applied, is_run, null_erased;
    struct model_answer reference;
};

struct check_run {
    struct sim_write   *write;
    int                 first, rows;
    bool                is_part, is_late, null_erases; /* late: it had its answer */
    struct model_answer answer;
};

struct check {
    struct model      start;
    struct check_run *runs;
    size_t            count, capacity;
    uint64_t          id_number[MODEL_COLLECTIONS][MODEL_IDS]; /* of the last write applied */
    uint64_t          lane_number[MODEL_COLLECTIONS], lane_barrier[MODEL_COLLECTIONS];
    char              failure[200]; /* "" if none */
};

void check_begin(struct check *check, const struct model *start);
void check_done(struct check *check);

/* Note the first thing that is wrong. */
void check_fail(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The backend, of this family, ran a request for these members with this answer. */
void check_ran(struct check *check, struct sim_write *const *members, size_t count, bool is_part,
               int first, int rows, bool null_erases, struct model_answer answer);

/* All writes are answered: compare them and the state with the serial run. */
void check_end(struct check *check, struct sim_write *const *writes, size_t count,
               const struct model *state);

#endif
