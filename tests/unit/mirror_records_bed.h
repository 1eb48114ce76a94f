/* mirror_records_bed - what the tests of the records of a copy share: a store in a folder that
 * goes, contents that follow from two numbers, and a plain list to compare with
 *
 * Its names are as short as they were in one file: only tests of the records include it.
 */
#ifndef UNIT_MIRROR_RECORDS_BED_H
#define UNIT_MIRROR_RECORDS_BED_H

#include <stdbool.h>
#include <stdint.h>

#include "mirror/mirror_records.h"

enum { IDS = 120, DIMENSION = 5, TEXT_MAX = 6000 };

/* What is there: `records` and one reader of them, from open_records() to close_records(). */
extern struct mirror_records *records;
extern struct mirror_reader  *reader;
extern bool                   is_failing; /* writes of vectors fail */

/* At the end nothing may be left behind. */
void mirror_records_bed_setup(void);
void mirror_records_bed_teardown(void);

/* The options of a store in a folder of its own, in which `path` begins the names of files. */
struct mirror_records_options options_of(void);
void                          open_records(const struct mirror_records_options *options);
void                          close_records(void);

void     begin(void);
void     commit(void);
uint32_t append(unsigned id);
void     put_value(uint32_t row, unsigned id, unsigned version);

/* ---- What is put: all of it follows from two numbers ----------------------------------------- */

struct contents {
    char                    metadata[64], document[TEXT_MAX], uri[32];
    struct mirror_value     value;
    struct mirror_metadata *read;
};

/* Each holds until its next call. */
struct bytes     id_of(unsigned number);
struct contents *contents_of(unsigned id, unsigned version);
const float     *vector_of(unsigned id, unsigned version);

bool is_same_value(const struct mirror_value *left, const struct mirror_value *right);

/* ---- A plain list ---------------------------------------------------------------------------- */

struct plain_record {
    bool     is_there, is_hollow, has_vector;
    unsigned value, vector; /* versions */
    uint64_t mark;
    uint32_t row;
};

struct plain {
    struct plain_record records[IDS];
    unsigned            order[IDS], count;
};

/* The reader, which has begun, finds with a filter what the list has. */
void check_filter(uint64_t seed, const struct plain *plain, struct bytes where,
                  struct bytes where_document);

#endif
