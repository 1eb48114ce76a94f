/* vector_index - an embedded index of vectors: add, replace, delete, maintain, keep on disk
 *
 * Vectors have record numbers, which the owner gives: dense, from 0, freed ones used again. Below
 * `graph_min` vectors every search scans all codes and is exact; above, a graph is searched. Codes
 * and graph are in memory, the vectors themselves in a mapped file (see vector_file.h) from which
 * the best candidates are ranked again by full precision. Searching is in vector_search.h.
 *
 * What one must know:
 *   - A deleted or replaced vector is never returned by a search that began afterwards. Its slot
 *     stays in the graph as a step on the way until vector_index_maintain() has repaired the
 *     lists around it; call that in idle moments as long as it says there is more.
 *   - No operation log: what was changed after the last snapshot is lost with the process. The
 *     snapshot holds a sequence number of the owner's choice, who refills from there.
 *
 * Thread: one writer at a time for every function here that takes a non-const index, and any
 * number of readers (vector_search) meanwhile. Time: add takes some 50 to 200 microseconds; a
 * maintain step about as long as `steps` adds, except where noted there.
 * Memory: counted to the byte, see vector_index_memory(); bounded by `memory_max`.
 */
#ifndef INDEX_VECTOR_INDEX_H
#define INDEX_VECTOR_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "index/quantizer.h"
#include "io/file.h"

struct vector_index; /* opaque: fields live in vector_index_core.h */

enum vector_quant {
    VECTOR_QUANT_AUTO,  /* q8; q4 once q8 would exceed memory_max */
    VECTOR_QUANT_EXACT, /* never a graph */
    VECTOR_QUANT_Q8,
    VECTOR_QUANT_Q4,
};

/* In place of 0. */
enum { vector_index_m = 16, vector_index_graph_min = 10000 };

struct vector_index_options {
    uint32_t               dim; /* 1 .. 16384 */
    enum vector_metric     metric;
    enum vector_quant      quant;
    uint32_t               m;               /* links per slot and level, 4 .. 32 */
    uint32_t               ef_construction; /* 0: 200 */
    uint32_t               graph_min;       /* vectors from which on there is a graph */
    uint32_t               vectors_max;     /* slots, dead ones included; 0: 4 million */
    uint32_t               records_max;     /* record numbers are below it; 0: vectors_max */
    uint64_t               seed;
    uint64_t               identity; /* ties both files of an index together; 0: drawn at random */
    uint64_t               memory_max; /* bytes; 0: no limit */
    const char            *path;       /* of the snapshot; vectors are in path + ".vectors" */
    const struct file_ops *file_ops;   /* NULL: the system's */
};

/* Make an empty index; a vectors file of the same name is overwritten. `options` is borrowed and
 * copied. *ret_index is given: vector_index_free().
 * STATUS_INVALID  an option is out of bounds. STATUS_NO_MEMORY, STATUS_LIMIT_REACHED, or what the
 * file system refused: `error` (may be NULL) says which. */
MUST_CHECK enum status vector_index_new(const struct vector_index_options *options,
                                        struct vector_index **ret_index, struct error *error);

/* No reader may be open. NULL is fine. Files stay. */
void vector_index_free(struct vector_index *index);

/* Add `vector` (dim floats, borrowed) as `record`, or replace what that record holds.
 * STATUS_INVALID        a component is not finite, or the squared length too large for a float.
 * STATUS_LIMIT_REACHED  memory_max, vectors_max or records_max; nothing changed.
 * STATUS_CORRUPT        the file of vectors is damaged; nothing changed.
 * STATUS_NO_MEMORY, STATUS_IO_FAILED  the system refused; nothing changed. */
MUST_CHECK enum status vector_index_add(struct vector_index *index, uint32_t record,
                                        const float *vector);

/* Add `count` vectors, one behind the other in `vectors`, and link them on `threads` threads.
 * Searches meanwhile see new records as they are linked; all that is replaced is replaced at once,
 * in the end. Outcomes as vector_index_add(); those
 * before the failing one are added, and *ret_added (may be NULL) says how many. */
MUST_CHECK enum status vector_index_add_many(struct vector_index *index, const uint32_t *records,
                                             const float *vectors, uint32_t count, unsigned threads,
                                             uint32_t *ret_added);

/* For who adds many vectors one by one and has nobody search them before the last. Call it with
 * `is_last` false every few adds: if more than a 16th of the slots is new since the last check that
 * every slot can be reached, that is made, so that the adds to come find what was lost. All these
 * checks together take some 3 microseconds per vector, however few adds lie between two calls.
 *
 * Call it with `is_last` true after the last add: then all that waits is linked, and the check is
 * made if anything is new. Every record is found from then on, as after vector_index_add_many(). It
 * takes 0.2 microseconds per vector, and what the adds of those that wait would have taken: up to
 * `graph_min` where there has just come to be a graph. What finds no room goes on waiting: searches
 * scan until it is linked.
 *
 * Thread: the writer.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  `is_last`, and 4 bytes per slot were not to be had: it is
 *                                         not known whether every record is found. The next call
 *                                         makes up for it. */
MUST_CHECK enum status vector_index_link(struct vector_index *index, bool is_last);

/* STATUS_NOT_FOUND  the record holds nothing. */
MUST_CHECK enum status vector_index_delete(struct vector_index *index, uint32_t record);

/* Every slot of the graph has a link to it at any time; that it can also be reached from the entry
 * is checked, and set right, after vector_index_add_many(), by vector_index_link(), after every
 * repair, after loading, when a 16th of the slots is new, and whenever `steps` is UINT32_MAX.
 *
 * Do up to `steps` steps of what waits: linking, repairing lists around the dead, giving slots and
 * file space back. Returns whether there is more to do. The check that every slot can be reached
 * is one step, of about 0.2 microseconds per vector; changing from q8 to q4 another, of about 3. */
bool vector_index_maintain(struct vector_index *index, uint32_t steps);

/* The stored bits of `record` into `ret_vector` (dim floats). The writer's; readers have
 * vector_search_get().
 * STATUS_NOT_FOUND  the record holds nothing.
 * STATUS_CORRUPT    the file of vectors is damaged. */
MUST_CHECK enum status vector_index_get(const struct vector_index *index, uint32_t record,
                                        float *ret_vector);

/* Iterate in the order of record numbers: start with *cursor = 0. False at the end. */
bool vector_index_next(const struct vector_index *index, uint32_t *cursor, uint32_t *ret_record);

/* Live vectors. Any thread. */
uint32_t vector_index_count(const struct vector_index *index);

struct vector_index_memory {
    uint64_t used; /* all allocations, readers' included */
    uint64_t codes, links, maps, scratch;
    uint64_t file_bytes; /* mapped, not counted in `used` */
    uint64_t file_dead_bytes;
    uint32_t vectors, dead, waiting; /* slots */
    bool     is_graph, is_q4;
};

void vector_index_memory(const struct vector_index *index, struct vector_index_memory *ret_memory);

/* What `used` will be, about, with `count` vectors in codes of q8, and options of 0. 0: there is no
 * index of this dimension. */
uint64_t vector_index_estimate(uint32_t dim, uint64_t count);

/* Likewise what `file_bytes` will be. */
uint64_t vector_index_estimate_file(uint32_t dim, uint64_t count);

/* Another `memory_max` from now on; what is used stays. No reader may be inside. */
void vector_index_set_memory_max(struct vector_index *index, uint64_t memory_max);

/* Tests: the `calls`-th allocation from now fails, once; negative: none does. */
void vector_index_fail_allocation(struct vector_index *index, int64_t calls);

struct vector_index_report {
    uint32_t vectors, linked;
    uint32_t unreachable;    /* live slots in the graph that no path from the entry reaches */
    uint32_t in_degree_0;    /* live slots in the graph without a link to them */
    uint64_t links, one_way; /* at level 0; one_way: without a link back */
};

/* Check every invariant, and every stored vector against its code.
 * STATUS_CORRUPT    `error` says what does not hold.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  not checked. */
MUST_CHECK enum status vector_index_verify(struct vector_index        *index,
                                           struct vector_index_report *ret_report,
                                           struct error               *error);

#endif
