/* mirror_entry - a collection that may be copied, and the state of its copy
 *
 * Private to the keeper of copies (mirror_state.h).
 */
#ifndef COPIES_MIRROR_ENTRY_H
#define COPIES_MIRROR_ENTRY_H

#include "copies/mirror_queue.h"

/* NULL: there is none. */
struct mirror_entry *mirror_entry_find(const struct mirror_keeper *keeper, const uint8_t uuid[16]);

/* Of a collection that has none, in this database, as it stands in a path. The one that is read
 * least may go for it. NULL: no memory, or there are too many. */
struct mirror_entry *mirror_entry_new(struct mirror_keeper *keeper, const uint8_t uuid[16],
                                      struct bytes tenant, struct bytes database);

/* Forget it; its copies go when nobody reads them. */
void mirror_entry_free(struct mirror_entry *entry);

/* Copy `name`. False: no memory. */
MUST_CHECK bool mirror_entry_set_name(struct mirror_entry *entry, struct bytes name);

/* It is not known any more. */
void mirror_entry_forget_name(struct mirror_entry *entry);

/* A read has arrived. How many of late: each counts half after five minutes. */
void   mirror_entry_note_read(struct mirror_entry *entry, uint64_t now_us);
double mirror_entry_score(const struct mirror_entry *entry, uint64_t now_us);

/* Is a write under way that changes more than records? */
bool mirror_entry_is_changing(const struct mirror_entry *entry);

/* May it be begun now, as far as it is concerned? */
bool mirror_entry_is_due(const struct mirror_entry *entry, uint64_t now_us);

/* Is nothing under way that may change its records, nor of unknown outcome for less than two
 * minutes? */
bool mirror_entry_is_quiet(const struct mirror_entry *entry);

/* Begin a copy if nothing is under way to the collection that may change it, nor of unknown
 * outcome. From now on each write to it is known of. False: not now. */
bool mirror_entry_begin(struct mirror_entry *entry);

/* The copy holds what Chroma holds, if that is so. */
void mirror_entry_try_complete(struct mirror_entry *entry);

/* In role sidecar: make another copy beside the one that is there. */
void mirror_entry_renew(struct mirror_entry *entry);

/* The copy, complete or not, cannot be relied on any more, for this reason (`detail`: static, or
 * NULL). It is begun again later, or not for final reasons. What it had may still be answered from
 * where the options allow that, but of another incarnation of Chroma nothing is. */
void mirror_entry_give_up(struct mirror_entry *entry, enum mirror_reason reason,
                          const char *detail);

/* Writes have changed it, or may have: the copy before the live one is no longer what it was. */
void mirror_entry_doubt_former(struct mirror_entry *entry);

#endif
