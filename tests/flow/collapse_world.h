/* collapse_world - a flow_world whose clients ask the same, and what each was told
 *
 * Its names are as short as they were in one file: only tests of reads that are collapsed include
 * it.
 */
#ifndef FLOW_COLLAPSE_WORLD_H
#define FLOW_COLLAPSE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/flow_world.h"

#define COLLECTION "/api/v2/tenants/t/databases/d/collections/11111111-2222-3333-4444-555555555555/"
#define JSON       "Content-Type: application/json\r\n"

enum { MANY = 32, kib = 1024, LARGE = 400 * kib, TOO_LARGE = 600 * kib };

static const uint64_t second_us = 1000000;

extern struct flow_world world;
extern struct flow_plan  read_plan;
extern unsigned          faulty; /* so many of the next reads meet `fault` */
extern enum flow_fault   fault;
extern uint64_t          write_delay_us;
extern char              large[TOO_LARGE + 1]; /* a text, as long as it can be */

/* A gateway before a Chroma that takes 50 ms for a read, and says what it holds when it is asked.
 */
void collapse_world_begin(void);
void collapse_world_end(void);

void be_a_sidecar(void);

/* A get. asker() is a new client that has sent it, ask() one without fields. */
void                send_body(struct flow_client *client, const char *body, const char *fields);
struct flow_client *asker(const char *body, const char *fields);
struct flow_client *ask(void);

/* One upsert, and its answer. */
void write_record(void);

bool is_collapsed(struct flow_client *client);

/* The only answer of a client; and how many calls there were. */
void expect(struct flow_client *client, const char *body, bool collapsed);
void expect_error(struct flow_client *client, unsigned status);
void expect_calls(size_t count);

uint64_t metric(const char *series);

#endif
