/* address - where to listen or to connect: a TCP host and port, or the path of a unix socket
 *
 *   host:port  [v6]:port  unix:/path          listeners and the status page
 *   http://host[:port]    unix:/path          the backend
 *
 * Text only: names are not resolved and paths are not opened here. An address is a plain value
 * that may be copied.
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"

enum address_kind { ADDRESS_NONE, ADDRESS_TCP, ADDRESS_UNIX };

struct address {
    enum address_kind kind;      /* ADDRESS_NONE: nowhere (the setting is `off`) */
    char              host[256]; /* ADDRESS_TCP: name or IP address, an IPv6 one without brackets */
    uint16_t          port;      /* ADDRESS_TCP: 0 lets the system choose (listeners only) */
    char              path[108]; /* ADDRESS_UNIX: absolute, fits sun_path with its NUL */
};

/* Room for every text that address_format() writes, with the NUL. */
enum { ADDRESS_TEXT_SIZE = sizeof "[]:65535" + 256 };

/* Read `host:port`, `[v6]:port` or `unix:/path`. `text` is borrowed.
 * STATUS_INVALID  `error` (may be NULL) quotes the text and says what is wrong; *ret is unchanged.
 */
MUST_CHECK enum status address_parse(struct bytes text, struct address *ret, struct error *error);

/* Read `http://host[:port][/]` (port 80 unless given, as in every URL) or `unix:/path`.
 * STATUS_INVALID  as address_parse(); also for https, user names, paths and port 0. */
MUST_CHECK enum status address_parse_url(struct bytes text, struct address *ret,
                                         struct error *error);

/* Write the text that address_parse() reads, "off" for ADDRESS_NONE; cut when `size` is below
 * ADDRESS_TEXT_SIZE. Returns `out`. */
const char *address_format(const struct address *address, char *out, size_t size);

/* As address_format(), in the form that address_parse_url() reads. `size` as there, with 7 more. */
const char *address_format_url(const struct address *address, char *out, size_t size);

#endif
