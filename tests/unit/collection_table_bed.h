/* collection_table_bed - what the tests of the collection table share: a table, its clock, and
 * requests on their way
 *
 * Its names are as short as they were in one file: only tests of the table include it.
 */
#ifndef UNIT_COLLECTION_TABLE_BED_H
#define UNIT_COLLECTION_TABLE_BED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chroma/collection_table.h"

#define T     "/api/v2/tenants/t"
#define D     T "/databases/d"
#define OTHER T "/databases/other"

enum { LOST_US = 1000 };

extern const struct scope       scope_d;
extern struct collection_table *table;
extern struct write_observers   observers;
extern uint64_t                 now_us;

/* An id that no write names, and whether writes name another one and nothing else. */
extern const struct record_ids id_a;
extern bool                    names_b;

/* A table for a hundred collections, with nothing to settle. */
void start(void);
void start_with(size_t collections_max, uint64_t settled_us);
void stop(void);

/* It holds until the next call. */
const uint8_t *uuid_of(unsigned number);
uint64_t       stamp_of(unsigned number);

/* A request on its way. */
struct request {
    char                path[200];
    struct chroma_route route;
    struct write_notice notice;
};

/* In the path '@' stands for the UUID of the collection. */
void send_to(struct request *request, const char *method, const char *path, unsigned number);
void answer_with(struct request *request, enum write_outcome outcome, const char *body);
void answer(struct request *request);

/* It holds until the next call. */
const char *describe(unsigned number, const char *name, const char *database,
                     const char *dimension);

/* Ask for the collection by its name and be answered. */
void look_up(unsigned number, const char *name, const char *dimension);

/* The number of the collection of this name; 0: it is not known. The other way round says the same
 * of the first ones, where it is known; a creation that is under way takes no name away. */
unsigned named(const char *name);

enum collection_existence existence(unsigned number);

#endif
