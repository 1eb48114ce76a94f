/* control_verb - the verbs of the control socket, one row each (control_verb.def) */
#ifndef ADMIN_CONTROL_VERB_H
#define ADMIN_CONTROL_VERB_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/error.h"

enum control_verb_id {
#define VERB(id, name, words, words_min, words_max, help) CONTROL_VERB_##id,
#include "admin/control_verb.def"
#undef VERB
    CONTROL_VERB_COUNT
};

/* All strings are static. */
struct control_verb {
    const char *name, *words, *help; /* `words` follow the name, as --help shows them */
    size_t      words_min, words_max;
};

const struct control_verb *control_verb(enum control_verb_id id);

/* The verb that `words` begin with.
 * STATUS_INVALID  there is none, or it takes more or fewer words: `error` says what to do. */
MUST_CHECK enum status control_verb_find(size_t word_count, const char *const *words,
                                         enum control_verb_id *ret_id, struct error *error);

#endif
