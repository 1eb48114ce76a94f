/* filter_parse - from the JSON of a `where` or `where_document` to the program of a filter */
#ifndef MIRROR_FILTER_PARSE_H
#define MIRROR_FILTER_PARSE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "mirror/filter_program.h"

/* Add what `json` asks to the program. filter->text has room for its texts. On failure the filter
 * is good for nothing but filter_free(). Outcomes as those of filter_new(). */
MUST_CHECK enum status filter_parse(struct filter *filter, struct bytes json, bool is_document,
                                    const char **ret_reason);

#endif
