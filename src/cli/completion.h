/* completion - scripts that let a shell complete the command line, made from the tables */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A word that may stand somewhere, and what it is for. */
struct completion_word {
    const char *text, *help;
};

/* What the tables have; borrowed. */
struct completion_words {
    const struct completion_word *commands, *flags, *verbs, *keys;
    size_t                        command_count, flag_count, verb_count, key_count;
};

/* Print the script for "bash", "zsh" or "fish". False: there is none for this shell. */
bool completion_print(FILE *out, const char *shell, const struct completion_words *words);

#endif
