#include "admin/control_verb.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"

static const struct control_verb verbs[CONTROL_VERB_COUNT] = {
#define VERB(id, name_, words_, words_min_, words_max_, help_)                                     \
    [CONTROL_VERB_##id] = {.name = (name_),                                                        \
                           .words = (words_),                                                      \
                           .help = (help_),                                                        \
                           .words_min = (words_min_),                                              \
                           .words_max = (words_max_)},
#include "admin/control_verb.def"
#undef VERB
};

const struct control_verb *control_verb(enum control_verb_id id)
{
    assert(id < CONTROL_VERB_COUNT);
    return &verbs[id];
}

enum status control_verb_find(size_t word_count, const char *const *words,
                              enum control_verb_id *ret_id, struct error *error)
{
    const char *nearest = NULL;
    unsigned    least = 3;
    char        quoted[60];

    for (enum control_verb_id id = 0; id < CONTROL_VERB_COUNT; id++) {
        const struct control_verb *verb = &verbs[id];
        unsigned                   slips = text_distance(words[0], verb->name, least);

        if (slips < least) {
            least = slips;
            nearest = verb->name;
        }
        if (strcmp(words[0], verb->name) != 0)
            continue;
        if (word_count - 1 < verb->words_min || word_count - 1 > verb->words_max)
            return error_set(error, STATUS_INVALID, "write %s%s", verb->name, verb->words);
        *ret_id = id;
        return STATUS_OK;
    }
    text_quote(bytes_of(words[0]), quoted, sizeof quoted);
    if (nearest != NULL)
        return error_set(error, STATUS_INVALID, "unknown verb %s; did you mean %s?", quoted,
                         nearest);
    return error_set(error, STATUS_INVALID, "unknown verb %s; `chromabouncer ctl --help` lists all",
                     quoted);
}
