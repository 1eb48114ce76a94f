/* coalescer_sim - what the parts of the simulation share
 *
 *   coalescer_sim.c       time, clients, actions
 *   coalescer_sim_draw.c  what is drawn: the setting, the writes
 *   coalescer_sim_send.c  the backend and its faults, and the rules of sending
 */
#ifndef FLOW_COALESCER_SIM_H
#define FLOW_COALESCER_SIM_H

#include "flow/coalescer_check.h"

#define SIM_CLIENTS 24
#define SIM_CALLS   32
#define SIM_MEMBERS 512

struct sim_client {
    struct sim_write *write; /* waits for its answer */
    uint64_t          next_us;
    uint32_t          left; /* writes to come */
    uint32_t          credential;
    bool              is_other, is_poisoner, is_leaver;
    uint64_t          offended_us[MODEL_COLLECTIONS]; /* last; 0: never */
};

enum { SIM_FLOWS = 3 };

/* One request at the backend. */
struct sim_call {
    struct coalescer_batch  *batch; /* NULL: free */
    struct sim_write        *members[SIM_MEMBERS];
    size_t                   count;
    uint64_t                 id, sent_us, apply_us, end_us;
    int                      first, rows;
    bool                     is_part, is_applying, is_run, is_reported, is_held;
    bool                     is_undecided; /* lost: did the backend end? */
    bool                     has_ended;    /* it did */
    uint64_t                 decide_us;
    struct model_answer      answer;  /* of the model, if it is applying */
    struct coalescer_outcome outcome; /* drawn; ANSWERED 200: what the model says */
};

struct sim {
    uint64_t                 random, now_us, numbered;
    bool                     is_traced, is_serial;
    bool                     is_known[MODEL_COLLECTIONS]; /* the dimension, to the proxy */
    struct coalescer        *coalescer;
    struct coalescer_options options;
    struct model             model;
    struct check             check;
    struct sim_client        clients[SIM_CLIENTS];
    size_t                   clients_count;
    struct sim_call          ghosts[SIM_CALLS]; /* lost to the proxy, and alive */
    uint64_t                 lost_us[MODEL_COLLECTIONS], offences;
    uint64_t                 ends_us, told_us, back_us; /* the backend's exit; 0: it runs */
    struct sim_call          calls[SIM_CALLS];
    struct sim_write       **writes;
    size_t                   writes_count, writes_capacity;

    /* the setting */
    uint32_t      collections, ids, faults, hangs, barriers, mixed, poison; /* percent */
    uint32_t      apart;                                                    /* likewise */
    uint32_t      ends;                                                     /* per mille */
    uint32_t      flows; /* of the clients; SIM_FLOWS at most */
    enum model_op usual_op;
    bool          has_identities;
    bool          refuses_with_500; /* the backend, as old ones in Python do */
    uint64_t      deadline_us, think_us;
};

uint64_t sim_random(struct sim *sim, uint64_t below);
bool     sim_chance(struct sim *sim, uint32_t percent);
void     sim_trace(const struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void              sim_draw_setting(struct sim *sim);
uint64_t          sim_draw_think(struct sim *sim);
struct sim_write *sim_draw_write(struct sim *sim, size_t client);

/* What the proxy would tell the coalescer of a write. `ids` and `key` are filled in. */
struct coalescer_write sim_describe(const struct sim *sim, struct sim_write *write,
                                    struct bytes *ids, char *key);

/* Collections that were deleted are made anew, under other UUIDs, while there are some left. */
void sim_make_collections(struct sim *sim);

/* Is its collection's lane held, as far as can be seen from outside? */
bool sim_is_held(const struct sim *sim, uint32_t collection);

/* Others go on without it: it is lent, lost, or somebody's deadline ended in it. */
bool sim_is_hung(const struct sim_call *call);

/* When the next thing happens at the backend. */
uint64_t sim_backend_next(const struct sim *sim);

void sim_check_send(struct sim *sim, const struct coalescer_batch *batch);
void sim_send(struct sim *sim, struct coalescer_batch *batch);
void sim_backend(struct sim *sim);

#endif
