/* mirror_world - a flow_world that copies collections, and a Chroma that holds three of them
 *
 * Copies are fake_mirror_copy's. Its names are as short as they were in one file: only tests of
 * the keeper of copies include it.
 */
#ifndef FLOW_MIRROR_WORLD_H
#define FLOW_MIRROR_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chroma/chroma_route.h"
#include "copies/mirror_keeper.h"
#include "flow/fake_records.h"
#include "flow/flow_world.h"
#include "proxy/mirror_report.h"

#define PATH "/api/v2/tenants/t/databases/d/collections/"

enum { COLLECTIONS = 3, SETTLE_MS = 10001 };

/* The Chroma of these tests. */
struct chroma_collection {
    char                uuid[CHROMA_ROUTE_UUID_SIZE];
    struct fake_records records;
    bool                exists;
    const char         *unseen; /* the id of a record that the next write makes visible; NULL */
    const char         *name;   /* that it was given by a change; NULL: docs-N */
};

extern struct chroma_collection chroma[COLLECTIONS];
extern bool                     chroma_wants_credentials, chroma_is_old, reads_at_arrival;
extern bool                     names_are_read; /* what is asked for by its name is, else deleted */
extern uint64_t                 read_delay_us, write_delay_us;
extern unsigned                 delay_random_us; /* more, at random */
extern enum flow_fault          write_fault, read_fault;
extern size_t                   padding; /* spaces behind the answers to gets */
extern unsigned                 write_status;
extern unsigned                 lists, pages, descriptions, settles, asks, counts;
extern const char *between; /* the id of a record of others' that a delete meets; NULL */
extern const char *schema, *place, *space; /* of all collections; their tenant */
extern const char *distance;               /* of the record that any query finds */

void on_request(struct flow_backend *backend, const char *target, struct bytes body, bool is_due,
                struct flow_plan *plan, struct byte_buffer *answer, void *ctx);

extern struct flow_world           world;
extern size_t                      world_connections; /* of the next one; 0: as ever */
extern struct flow_client         *writer;
extern struct proxy_mirror_options options; /* a change counts after set_options() */

/* The world of one test, a gateway; and one with another seed, or beside others. */
void begin(void);
void end(void);
void start(uint64_t seed, bool is_gateway);
void start_as(uint64_t seed, bool is_gateway, bool is_supervised);

void set_backend(uint64_t incarnation);
void set_options(void);

struct chroma_route route_of(size_t collection);
void                note_read(size_t collection);

/* What follows the first is sent by `writer`, and answered when it returns. */
void send_write(struct flow_client *client, size_t collection, const char *operation,
                const char *body);
void do_write(size_t collection, const char *operation, const char *body, unsigned status);
void upsert(size_t collection, const char *id, const char *document);
void create(void);

/* ---- What is known of a copy ---------------------------------------------------------------- */

struct mirror_entry_info look(size_t collection);
enum mirror_entry_state  state_of(size_t collection);

/* To who judges a key, while Chroma cannot be asked. */
bool is_named(size_t collection, const char *name);

/* Until its copy is complete; fill() reads it first. */
void run_to_complete(size_t collection);
void fill(size_t collection);

struct reader {
    struct mirror_hold hold;
    bool               is_told, may_read;
    enum status        status;
    const char        *reason;
};

void arrive(struct reader *reader, size_t collection, bool is_fallback);
void arrive_for_long(struct reader *reader); /* of the first collection */
bool may_read(struct reader *reader);

/* Does a reader who arrives now see what Chroma has? */
void expect_same(size_t collection);

/* A reader gets nothing, for this reason. */
void expect_none(size_t collection, bool is_fallback, const char *reason);

#endif
