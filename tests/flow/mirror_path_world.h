/* mirror_path_world - a flow_world that answers from the copy of the only collection of its Chroma
 *
 * The copy is a fake_mirror_copy. Its names are as short as they were in one file: only tests of
 * answers from copies include it.
 */
#ifndef FLOW_MIRROR_PATH_WORLD_H
#define FLOW_MIRROR_PATH_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/fake_records.h"
#include "flow/flow_world.h"

#define UUID  "11111110-2222-3333-4444-555555555555"
#define PATH  "/api/v2/tenants/t/databases/d/collections/" UUID
#define JSON  "Content-Type: application/json\r\n"
#define TOKEN "X-Chroma-Token: of-a\r\n"

extern struct fake_records chroma;
extern bool                exists; /* the collection */
extern unsigned            reads;  /* of clients: those of the keeper say what they want */
extern uint64_t            read_delay_us, write_delay_us;
extern enum flow_fault     read_fault;
extern unsigned            read_status;
extern size_t              read_padding; /* spaces behind the answer */
extern unsigned            other_status; /* to what is of no collection */

extern struct flow_world           world;
extern struct proxy_mirror_options options; /* a change counts after set_mode() */

/* A gateway that is not started yet. */
void prepare(void);
void end(void);

/* A world whose copy is complete, in this mode; one plain read was answered by Chroma. */
void start_in(enum proxy_mirror_mode mode);
void set_mode(enum proxy_mirror_mode mode);
void set_backend(uint64_t incarnation);

/* `ctx` is NULL: the copy is the only one. */
bool is_complete(void *ctx);
void run_to_complete(void);

void send_get(struct flow_client *client, const char *fields);
void send_upsert(struct flow_client *client, const char *document);

/* Its answer, from a client of its own. */
struct flow_client *ask(const char *fields);

bool is_mirrored(struct flow_client *client);

/* It is what Chroma has; and says that it comes from the copy, or from Chroma. */
void expect_body(struct flow_client *client);
void expect_mirror(struct flow_client *client);
void expect_chroma(struct flow_client *client);

/* Until it is known how long Chroma takes. */
void learn_delay(void);

/* 0: it is not there. */
unsigned metric(const char *name);
unsigned refusals(const char *reason);
unsigned answers(const char *mode);

#endif
