/* repeat_table - was this asked within the last minute, and by whom?
 *
 * A question is a hash of it; so is who asks. Bound: REPEAT_TABLE_SIZE questions, four for each
 * place that a hash can have, of which the one that was not asked for longest makes room. What was
 * pushed out is new again: repeats are never too many, and too few where more different questions
 * than that are asked within a minute.
 *
 * Pure: time is an argument. Memory: REPEAT_TABLE_SIZE times 24 bytes.
 */
#ifndef ADMIN_REPEAT_TABLE_H
#define ADMIN_REPEAT_TABLE_H

#include <stdint.h>

enum { REPEAT_TABLE_WAYS = 4, REPEAT_TABLE_SIZE = 4096 };

struct repeat_entry {
    uint64_t question; /* 0: free */
    uint64_t asker;    /* the last one */
    uint64_t asked_us;
};

/* Zero-initialised is empty. */
struct repeat_table {
    struct repeat_entry entries[REPEAT_TABLE_SIZE / REPEAT_TABLE_WAYS][REPEAT_TABLE_WAYS];
};

enum repeat_table_result {
    REPEAT_TABLE_NEW,
    REPEAT_TABLE_OWN,    /* the same asked it last */
    REPEAT_TABLE_ANOTHER /* another one did */
};

/* `question`, not 0, is asked at `now_us`. */
enum repeat_table_result repeat_table_note(struct repeat_table *table, uint64_t question,
                                           uint64_t asker, uint64_t now_us);

#endif
