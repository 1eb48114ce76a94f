/* completion - scripts that let a shell complete the command line, made from the tables */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A word that may stand somewhere, and what it is for. */
struct completion_word {
    const char *text, *help;
    const char *words; /* of a verb: what follows, " this|that" if it is one of these; else NULL */
    unsigned    takes; /* bits: of a command, which flags it takes; of a flag, which it is of (0: of
                          all) */
};

/* What the tables have; borrowed. The first command is the one that is run when none is named;
 * flags of the same bits stand together. */
struct completion_words {
    const struct completion_word *commands, *flags, *verbs, *keys;
    size_t                        command_count, flag_count, verb_count, key_count;
};

/* Print the script for "bash", "zsh" or "fish". False: there is none for this shell. */
bool completion_print(FILE *out, const char *shell, const struct completion_words *words);

#endif
