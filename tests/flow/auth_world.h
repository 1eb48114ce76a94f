/* auth_world - a flow_world whose clients show keys, and a backend that knows two collections by id
 *
 * Its names are as short as they were in one file: only tests of keys include it.
 */
#ifndef FLOW_AUTH_WORLD_H
#define FLOW_AUTH_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/flow_world.h"
#include "limits/key_ring.h"
#include "limits/key_text.h"

#define T     "/api/v2/tenants/t"
#define D     T "/databases/d"
#define C     D "/collections"
#define UUID  "11111111-2222-4333-8444-555555555555"
#define OTHER "21111111-2222-4333-8444-555555555555"
#define GONE  "31111111-2222-4333-8444-555555555555"

#define RECORD(id) "{\"ids\":[\"w" id "\"],\"embeddings\":[[1.0,2.0]]}"

/* Who may what: see scopes in auth_world.c. NOBODY has a key that is never known. */
enum { READER, WRITER, ADMIN, EDITOR, NOBODY };

extern struct flow_world         world;
extern struct flow_client       *client;  /* who asks */
extern struct proxy_auth_options options; /* a change counts after set_auth() */
extern char                      key_of[5][KEY_TEXT_SIZE];
extern unsigned                  looks, lists; /* so many did Chroma answer */
extern unsigned                  listed;       /* collections that there are, 150 at first */
extern unsigned                  look_status;  /* of a look-up; 0: 200, or 404 for GONE */
extern enum flow_fault           first_fault, every_fault; /* of the next look-up or list, of all */
extern bool                      is_fault_of_writes;       /* of upserts likewise */
extern uint64_t                  delay_us;                 /* of every answer */
extern const char               *name_of_uuid;             /* of UUID */

/* All keys but NOBODY's are known, and one is required. */
void auth_world_begin(void);
void auth_world_end(void);

void start(void);
void set_auth(void);

/* The ring that was there before is the test's to drop. */
struct key_ring *revoke(unsigned char key);

/* `key` may be -1: none; `body` may be empty. */
void send_to(struct flow_client *to, int key, const char *method, const char *target,
             const char *body);

/* The same from `client`. Returns the status of the answer. */
unsigned    ask(int key, const char *method, const char *target, const char *body);
const char *last_body(void);

struct auth_state state(void);

#endif
