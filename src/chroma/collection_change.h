/* collection_change - what writes may change, while they are under way and afterwards
 *
 * Internals of collection_table, in a file of their own: which marks a write begins when it is
 * sent, how it moves them when its outcome is known, and what its answer says of collections.
 *
 * Thread: one at a time. Memory: none of its own; a notice pins what it is about until it is known
 * what became of it.
 */
#ifndef CHROMA_COLLECTION_CHANGE_H
#define CHROMA_COLLECTION_CHANGE_H

struct collection_table;

/* Sets the table's observer, which nothing else writes to. */
void collection_change_observe(struct collection_table *table);

#endif
