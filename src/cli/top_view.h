/* top_view - a digest as a screen of text
 *
 * Pure: the terminal is top_command's. Lines are at most `width` columns wide and as many as
 * `height`; each ends in a newline.
 */
#ifndef CLI_TOP_VIEW_H
#define CLI_TOP_VIEW_H

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "cli/top_digest.h"

struct top_view {
    unsigned             width, height; /* at least 20 and 5 */
    bool                 is_ascii, has_color;
    bool                 is_interactive; /* the last line names the keys */
    bool                 is_paused, shows_help;
    enum top_digest_sort sort; /* of the digest's operations, for the last line */
};

/* Append the screen. STATUS_NO_MEMORY: `out` holds a part. */
MUST_CHECK enum status top_view_draw(const struct top_view *view, const struct top_digest *digest,
                                     struct byte_buffer *out);

#endif
