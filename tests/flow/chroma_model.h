/* chroma_model - what a Chroma server does with writes, as far as a proxy can see it
 *
 * Semantics as probed on a single-node server: add ignores ids that exist, the first of equal ids
 * in one add wins, upsert and update merge metadata by key and keep documents that are null, the
 * first request with a vector fixes the dimension even if it is refused afterwards, delete answers
 * with a count. A merged request is run as its concatenation, whatever it holds: members that do
 * not belong together are stored misaligned or under the wrong operation, so that it shows.
 */
#ifndef FLOW_CHROMA_MODEL_H
#define FLOW_CHROMA_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_IDS         24 /* 1 .. 23; 0 is the empty id */
#define MODEL_ROWS        8
#define MODEL_COLLECTIONS 16
#define MODEL_META_NULL   UINT32_MAX
#define MODEL_MERGED_MAX  4096

enum model_op {
    MODEL_ADD,
    MODEL_UPSERT,
    MODEL_UPDATE,
    MODEL_DELETE_IDS,
    MODEL_DELETE_WHERE, /* metadata key 0 is odd */
    MODEL_MODIFY,
    MODEL_DELETE_COLLECTION,
    MODEL_RESET /* deletes all collections below rows[0].vector */
};

struct model_row {
    uint32_t id, dimension, vector, document; /* vector, document: 0 is null */
    uint32_t meta[2];                         /* 0: key absent; MODEL_META_NULL: null */
};

struct model_request {
    enum model_op    op;
    uint32_t         collection, credential; /* credential 2 is refused */
    bool             is_base64, has_garbage, has_bad_key;
    int              ids, vectors, documents, metas; /* lengths of the columns; -1: absent */
    struct model_row rows[MODEL_ROWS];
    size_t           size;
};

struct model_record {
    bool     is_present;
    uint32_t vector, document, meta[2];
};

struct model_collection {
    bool                exists;
    uint32_t            dimension, modified;
    struct model_record records[MODEL_IDS];
};

struct model {
    struct model_collection collections[MODEL_COLLECTIONS];
    size_t                  size_max;    /* 413 above */
    uint32_t                quota;       /* records in a request: 422 above */
    bool                    null_erases; /* a null document: as with servers before 1.0 */
};

struct model_answer {
    int      status;
    uint32_t body; /* the count of a delete */
    bool     is_quota;
};

/* Run one request as it is. */
struct model_answer model_run(struct model *model, const struct model_request *request);

/* Run the splice of several, or the rows from `first` on, `rows` of them, of one. */
struct model_answer model_run_spliced(struct model                      *model,
                                      const struct model_request *const *members, size_t count,
                                      int first, int rows);

#endif
