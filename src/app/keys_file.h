/* keys_file - the file of API keys: read, extended, shortened
 *
 * A text file with a line for each key. It holds digests, no key:
 *
 *   key ID sha256=64-HEX-DIGITS created=SECONDS name=NAME [service=SERVICE] [allow=SCOPE]...
 *
 * with single spaces between the words; empty lines and those that begin with `#` do not count. ID
 * is eight hex digits, by which a key is named where several have one name; SCOPE is as key_scope.h
 * reads it. Names and services are of letters, digits and `._-@`, 63 at most.
 *
 * Only its owner may read it or write to it, and that is the user of the process or root. Changes
 * replace it as a whole and wait for each other: `PATH.new` is written, locked, and renamed.
 *
 * Thread: any. Memory: the text while it is read; of a loaded ring see key_ring.h.
 */
#ifndef APP_KEYS_FILE_H
#define APP_KEYS_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"

struct key_ring;

enum {
    KEYS_FILE_KEY_SIZE = 64, /* a key with its NUL */
    KEYS_FILE_NAME_MAX = 63,
    KEYS_FILE_SCOPES_MAX = 64,
    KEYS_FILE_BYTES_MAX = 256 << 20
};

/* One line, borrowed. */
struct keys_file_entry {
    uint32_t      id;
    uint64_t      created_s;
    unsigned char digest[32];
    struct bytes  name, service; /* the latter may be empty */
    size_t        scope_count;
    struct bytes  scopes[KEYS_FILE_SCOPES_MAX];
};

/* Not OK: stop. */
typedef enum status keys_file_fn(void *ctx, const struct keys_file_entry *entry,
                                 struct error *error);

/* Call `fn` for each key.
 * STATUS_NOT_FOUND      there is no such file.
 * STATUS_NOT_PERMITTED  it may not be read, or others may read or write it.
 * STATUS_INVALID        it is not such a file; `error` names the line.
 * STATUS_IO_FAILED, STATUS_NO_MEMORY, and what `fn` returns. */
MUST_CHECK enum status keys_file_each(const char *path, keys_file_fn *fn, void *ctx,
                                      struct error *error);

/* All of it as a ring, held once. Outcomes as keys_file_each(). */
MUST_CHECK enum status keys_file_load(const char *path, struct key_ring **ret_ring,
                                      struct error *error);

/* Make a key, enter it, and give its text, which is nowhere else, and its ID. Without scopes it may
 * do all but what needs `admin`. The file is made where there is none. Outcomes as
 * keys_file_each(). */
MUST_CHECK enum status keys_file_add(const char *path, struct bytes name, struct bytes service,
                                     const struct bytes *scopes, size_t scope_count,
                                     char ret_key[KEYS_FILE_KEY_SIZE], uint32_t *ret_id,
                                     struct error *error);

/* Take out the key of this ID, or the one of this name.
 * STATUS_NOT_FOUND  there is none of either.
 * STATUS_INVALID    several have the name: `error` says their IDs.
 * Others as keys_file_each(). */
MUST_CHECK enum status keys_file_revoke(const char *path, struct bytes which, struct error *error);

#endif
