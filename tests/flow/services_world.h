/* services_world - a flow_world with two services, known by a field, and what is told of each
 *
 * All clients have one address; a trusted proxy's fields tell them apart. Its names are as short as
 * they were in one file: only tests of services include it.
 */
#ifndef FLOW_SERVICES_WORLD_H
#define FLOW_SERVICES_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "flow/flow_world.h"

#define CHAT  "X-Service: chat\r\n"
#define BATCH "x-service: batch\r\n"

static const uint64_t second_us = 1000000;

extern struct flow_world             world;
extern struct proxy_service_options  services[3]; /* chat, batch and that of all others */
extern struct proxy_services_options options; /* of them; a change counts after set_services() */

/* Two services with limits of none, known by their header, and the address of the first. */
void services_world_begin(void);
void services_world_end(void);

void start(void);
void set_services(void);

/* A client that has sent flow_world_request(); `service` is CHAT, BATCH or other fields. */
struct flow_client *send_as(const char *service, const char *operation, unsigned id, size_t n,
                            size_t m);
unsigned            status_of(const struct flow_client *client, size_t answer);

struct service_state state_of(const char *name);

#endif
