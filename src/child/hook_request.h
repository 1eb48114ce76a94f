/* hook_request - what the start-up hook of a Python process asks, and the answers
 *
 * One JSON object in one line each way:
 *
 *   {"hook":1,"op":"open","path":"/real/path","python":"/venv/bin/python","version":"1.5.9",
 *    "allow_reset":false,"pid":123}
 *       -> {"ok":true,"host":"127.0.0.1","port":40001}      clients of this directory go there
 *       -> {"ok":false,"reason":"...","other_directory":false,"in_use":false}
 *          They stay as they are; where the directory is in use already they must not be made.
 *   {"hook":1,"op":"note","what":"other_directory","path":"/real/path","pid":123}
 *       -> {"ok":true}
 */
#ifndef CHILD_HOOK_REQUEST_H
#define CHILD_HOOK_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"

enum { HOOK_REQUEST_PATH_SIZE = 4096, HOOK_REQUEST_LINE_MAX = 16384 };

enum hook_operation {
    HOOK_OPEN, /* an embedded client of `path` is about to be made */
    HOOK_NOTE  /* what became of one: "other_directory", "stayed_embedded" */
};

/* Why clients are not served. */
enum hook_refusal {
    HOOK_REFUSED,         /* it cannot be done */
    HOOK_OTHER_DIRECTORY, /* another one is served */
    HOOK_IN_USE           /* a process that is not ours has the directory open */
};

struct hook_request {
    enum hook_operation operation;
    char                path[HOOK_REQUEST_PATH_SIZE];   /* absolute */
    char                python[HOOK_REQUEST_PATH_SIZE]; /* OPEN: the interpreter, absolute */
    char                version[32];                    /* OPEN: of its chromadb */
    bool                allow_reset;
    char                what[32]; /* NOTE */
};

/* Read one line, without its end.
 * STATUS_INVALID  `error` says what is wrong. */
MUST_CHECK enum status hook_request_parse(struct bytes line, struct hook_request *ret,
                                          struct error *error);

/* Append an answer, with the end of its line.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED */
MUST_CHECK enum status hook_request_answer_ok(struct byte_buffer *out);
MUST_CHECK enum status hook_request_answer_address(struct byte_buffer *out, const char *host,
                                                   uint16_t port);
MUST_CHECK enum status hook_request_answer_no(struct byte_buffer *out, const char *reason,
                                              enum hook_refusal why);

#endif
