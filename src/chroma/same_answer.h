/* same_answer - do two answers of Chroma to one question say the same?
 *
 * They need not be the same bytes: Chroma writes metadata in any order, and a distance that was
 * summed in another order differs in its last digits. All else must be equal, also the order of
 * the records.
 *
 * Thread: any. Memory: two trees of the answers, while it is called.
 */
#ifndef CHROMA_SAME_ANSWER_H
#define CHROMA_SAME_ANSWER_H

#include <stdbool.h>

#include "base/bytes.h"

/* False also without memory, and where one of them is no JSON that can be read and they are not the
 * same bytes. */
bool same_answer(struct bytes one, struct bytes other);

/* Of two answers to a `query`: do they say the same of every record that both have found? How many
 * each has found, and in which order, does not matter. False as above. */
bool same_answer_but_for_neighbours(struct bytes one, struct bytes other);

#endif
