/* mirror_count - how much there is of collections that wait for their copies
 *
 * Chroma is asked once how many records each has, and what dimension where nobody knows, so that
 * people are told what a copy would take before it is begun. Private to the keeper of copies
 * (mirror_state.h).
 */
#ifndef COPIES_MIRROR_COUNT_H
#define COPIES_MIRROR_COUNT_H

struct mirror_count;
struct mirror_keeper;

/* `keeper` is borrowed. NULL: no memory. */
struct mirror_count *mirror_count_new(struct mirror_keeper *keeper);

/* What is under way is given up. NULL is a no-op. */
void mirror_count_free(struct mirror_count *count);

/* Ask about the next one, if there is any and Chroma may be asked. */
void mirror_count_pump(struct mirror_count *count);

#endif
