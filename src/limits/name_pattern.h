/* name_pattern - does a name fit a pattern in which `*` stands for any run of characters?
 *
 * Also for none. All other characters stand for themselves.
 *
 * Thread: any. Memory: none.
 */
#ifndef LIMITS_NAME_PATTERN_H
#define LIMITS_NAME_PATTERN_H

#include <stdbool.h>

#include "base/bytes.h"

/* At most pattern.size * name.size steps. */
bool name_pattern_fits(struct bytes pattern, struct bytes name);

#endif
