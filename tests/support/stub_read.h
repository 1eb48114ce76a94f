/* stub_read - answers to get and query, by looking at every record
 *
 * `where` is understood as far as {"key": value} and {"key": {"$eq": value}}; more, and
 * `where_document`, is answered 501.
 */
#ifndef SUPPORT_STUB_READ_H
#define SUPPORT_STUB_READ_H

#include "support/stub_store.h"

/* Check the body of a get or query. The result is given: json_decref(). NULL: `answer` says why. */
json_t *stub_read_parse(enum stub_op op, struct bytes text, struct stub_answer *answer);

/* Answer a get. */
void stub_read_get(const struct stub_collection *collection, json_t *request,
                   struct stub_answer *answer);

/* Answer a query. */
void stub_read_query(const struct stub_collection *collection, json_t *request,
                     struct stub_answer *answer);

/* Does the record pass `where` (may be NULL)? */
bool stub_read_matches(const struct stub_record *record, json_t *where);

/* Is `where` one that the stub understands? */
bool stub_read_understands(json_t *where);

#endif
