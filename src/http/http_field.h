/* http_field - one field line: its parts, and which of the fields we know it is */
#ifndef HTTP_HTTP_FIELD_H
#define HTTP_HTTP_FIELD_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"

/* Fields that some rule of ours names; all others are HTTP_FIELD_OTHER. */
enum http_field_id {
#define HTTP_FIELD(id, name, hop_by_hop) HTTP_FIELD_##id,
#include "http/http_field.def"
#undef HTTP_FIELD
    HTTP_FIELD_OTHER
};

struct http_field {
    struct bytes       name;  /* as received */
    struct bytes       value; /* without the white space around it; may be empty */
    enum http_field_id id;
    bool               hop_by_hop; /* by RFC 9110 7.6.1 or named by Connection: not forwarded */
};

/* Split `line` (borrowed, without CRLF, not empty); the spans of *ret_field point into it.
 * STATUS_INVALID  not a field line by RFC 9112 section 5; folded lines are none. */
MUST_CHECK enum status http_field_parse(struct bytes line, struct http_field *ret_field,
                                        struct error *error);

/* `text` without the spaces and tabs around it. */
struct bytes http_field_trim(struct bytes text);

/* Which field has `name`, whatever the case of its letters. */
enum http_field_id http_field_identify(struct bytes name);

/* May Connection make the field `id` hop-by-hop? Not those that carry credentials or say what the
 * message is and where it goes: a client could make us drop them. */
bool http_field_may_be_named(enum http_field_id id);

#endif
