#include "cli/completion.h"

#include <string.h>

static void   print_bash(FILE *out, const struct completion_words *words);
static void   print_zsh(FILE *out, const struct completion_words *words);
static void   print_fish(FILE *out, const struct completion_words *words);
static size_t flag_group_end(const struct completion_words *words, size_t begin);
static bool   print_takers(FILE *out, const struct completion_words *words, unsigned takes,
                           const char *between);
static void   print_fish_condition(FILE *out, const struct completion_words *words, unsigned takes);
static bool   has_choices(const struct completion_word *verb);
static void   print_choices(FILE *out, const struct completion_word *verb);
static void   print_texts(FILE *out, const struct completion_word *words, size_t count);
static void   print_pairs(FILE *out, const char *name, const struct completion_word *words,
                          size_t count);
static void   print_quoted(FILE *out, const char *text, bool escapes_colons);

bool completion_print(FILE *out, const char *shell, const struct completion_words *words)
{
    if (strcmp(shell, "bash") == 0)
        print_bash(out, words);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(out, words);
    else if (strcmp(shell, "fish") == 0)
        print_fish(out, words);
    else
        return false;
    return true;
}

static void print_bash(FILE *out, const struct completion_words *words)
{
    fputs("# chromabouncer in bash: put it into /etc/bash_completion.d, or\n"
          "# source <(chromabouncer completion bash)\n"
          "_chromabouncer() {\n"
          "    local now=$2 before=$3 words flags=\n"
          "    COMPREPLY=()\n"
          "    case $before in\n"
          "    --config) compopt -o default; return ;;\n"
          "    --path) compopt -o dirnames; return ;;\n"
          "    --set)\n"
          "        compopt -o nospace\n"
          "        mapfile -t COMPREPLY < <(compgen -S = -W '",
          out);
    print_texts(out, words->keys, words->key_count);
    fputs("' -- \"$now\")\n"
          "        return ;;\n"
          "    -o) words=json ;;\n"
          "    completion) words='bash zsh fish' ;;\n"
          "    config) words='init check show' ;;\n"
          "    ctl) words='",
          out);
    print_texts(out, words->verbs, words->verb_count);
    fputs("' ;;\n", out);
    for (size_t i = 0; i < words->verb_count; i++) {
        if (!has_choices(&words->verbs[i]))
            continue;
        fprintf(out, "    %s) words='", words->verbs[i].text);
        print_choices(out, &words->verbs[i]);
        fputs("' ;;\n", out);
    }
    fputs("    check) [ \"${COMP_WORDS[1]}\" != config ] || { compopt -o default; return; } ;;\n"
          "    esac\n"
          "    if [ -z \"$words\" ] && [ \"$COMP_CWORD\" -eq 1 ]; then words='",
          out);
    print_texts(out, words->commands, words->command_count);
    fputs("'; fi\n", out);
    for (size_t i = 0, end; i < words->flag_count; i = end) {
        end = flag_group_end(words, i);
        fputs("    case ${COMP_WORDS[1]} in ", out);
        if (print_takers(out, words, words->flags[i].takes, "|"))
            fputs(") ;; *", out);
        fputs(") flags+=' ", out);
        print_texts(out, words->flags + i, end - i);
        fputs("' ;; esac\n", out);
    }
    fputs("    [ -n \"$words\" ] && [[ $now != -* ]] || words=$flags\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$now\")\n"
          "}\n"
          "complete -F _chromabouncer chromabouncer\n",
          out);
}

static void print_zsh(FILE *out, const struct completion_words *words)
{
    fputs("#compdef chromabouncer\n"
          "# chromabouncer in zsh: put it into a folder of $fpath as _chromabouncer\n"
          "local -a commands flags verbs settings more\n"
          "flags=()\n",
          out);
    print_pairs(out, "commands", words->commands, words->command_count);
    for (size_t i = 0, end; i < words->flag_count; i = end) {
        end = flag_group_end(words, i);
        print_pairs(out, "more", words->flags + i, end - i);
        fputs("case $words[2] in ", out);
        if (print_takers(out, words, words->flags[i].takes, "|"))
            fputs(") ;; *", out);
        fputs(") flags+=($more) ;; esac\n", out);
    }
    print_pairs(out, "verbs", words->verbs, words->verb_count);
    print_pairs(out, "settings", words->keys, words->key_count);
    fputs("case $words[CURRENT-1] in\n"
          "--config) _files ;;\n"
          "--path) _files -/ ;;\n"
          "--set) _describe -t settings setting settings -S = ;;\n"
          "-o) compadd json ;;\n"
          "completion) compadd bash zsh fish ;;\n"
          "config) compadd init check show ;;\n"
          "ctl) _describe -t verbs verb verbs ;;\n",
          out);
    for (size_t i = 0; i < words->verb_count; i++) {
        if (!has_choices(&words->verbs[i]))
            continue;
        fprintf(out, "%s) compadd ", words->verbs[i].text);
        print_choices(out, &words->verbs[i]);
        fputs(" ;;\n", out);
    }
    fputs("*)\n"
          "    (( CURRENT > 2 )) || _describe -t commands command commands\n"
          "    _describe -t flags flag flags ;;\n"
          "esac\n",
          out);
}

static void print_fish(FILE *out, const struct completion_words *words)
{
    fputs("# chromabouncer in fish: put it into ~/.config/fish/completions\n"
          "complete -c chromabouncer -f\n"
          "complete -c chromabouncer -n '__fish_seen_subcommand_from config' -a 'init check show'\n"
          "complete -c chromabouncer -n '__fish_seen_subcommand_from completion' "
          "-a 'bash zsh fish'\n",
          out);
    for (size_t i = 0; i < words->command_count; i++) {
        fprintf(out, "complete -c chromabouncer -n __fish_use_subcommand -a %s -d ",
                words->commands[i].text);
        print_quoted(out, words->commands[i].help, false);
        fputc('\n', out);
    }
    for (size_t i = 0; i < words->verb_count; i++) {
        fprintf(out, "complete -c chromabouncer -n '__fish_seen_subcommand_from ctl' -a %s -d ",
                words->verbs[i].text);
        print_quoted(out, words->verbs[i].help, false);
        fputc('\n', out);
        if (!has_choices(&words->verbs[i]))
            continue;
        fprintf(out, "complete -c chromabouncer -n '__fish_seen_subcommand_from %s' -a '",
                words->verbs[i].text);
        print_choices(out, &words->verbs[i]);
        fputs("'\n", out);
    }
    for (size_t i = 0; i < words->flag_count; i++) {
        const char *text = words->flags[i].text;
        bool        is_long = strncmp(text, "--", 2) == 0;

        fputs("complete -c chromabouncer -n '", out);
        print_fish_condition(out, words, words->flags[i].takes);
        fprintf(out, "' -%c %s%s -d ", is_long ? 'l' : 's', text + (is_long ? 2 : 1),
                is_long ? "" : " -x -a json");
        print_quoted(out, words->flags[i].help, false);
        fputc('\n', out);
    }
    fputs("complete -c chromabouncer -n 'string match -q -- --set (commandline -opc)[-1]' -a '",
          out);
    for (size_t i = 0; i < words->key_count; i++)
        fprintf(out, "%s%s=", i == 0 ? "" : " ", words->keys[i].text);
    fputs("'\n", out);
}

static void print_fish_condition(FILE *out, const struct completion_words *words, unsigned takes)
{
    if (takes == 0) {
        fputs("true", out);
        return;
    }
    fputs((words->commands[0].takes & takes) != 0 ? "not __fish_seen_subcommand_from "
                                                  : "__fish_seen_subcommand_from ",
          out);
    (void)!print_takers(out, words, takes, " ");
}

/* Those of the same commands, beginning with `begin`. */
static size_t flag_group_end(const struct completion_words *words, size_t begin)
{
    size_t end = begin + 1;

    while (end < words->flag_count && words->flags[end].takes == words->flags[begin].takes)
        end++;
    return end;
}

/* The commands that take such flags; or, true, those that do not, where the first one does, which
 * need not be written. */
static bool print_takers(FILE *out, const struct completion_words *words, unsigned takes,
                         const char *between)
{
    bool is_without = takes == 0 || (words->commands[0].takes & takes) != 0, has_one = false;

    for (size_t i = 0; i < words->command_count; i++) {
        bool is_taker = takes == 0 || (words->commands[i].takes & takes) != 0;

        if (is_taker == is_without)
            continue;
        fprintf(out, "%s%s", has_one ? between : "", words->commands[i].text);
        has_one = true;
    }
    if (!has_one)
        fputs("''", out);
    return is_without;
}

/* Is it followed by one of a few words? */
static bool has_choices(const struct completion_word *verb)
{
    return verb->words != NULL && strchr(verb->words, '|') != NULL &&
           strchr(verb->words, '[') == NULL;
}

static void print_choices(FILE *out, const struct completion_word *verb)
{
    for (const char *at = verb->words + 1; *at != '\0'; at++)
        fputc(*at == '|' ? ' ' : *at, out);
}

static void print_texts(FILE *out, const struct completion_word *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%s", i == 0 ? "" : " ", words[i].text);
}

/* A list of 'word:help'. */
static void print_pairs(FILE *out, const char *name, const struct completion_word *words,
                        size_t count)
{
    fprintf(out, "%s=(\n", name);
    for (size_t i = 0; i < count; i++) {
        char pair[600];

        snprintf(pair, sizeof pair, "%s\n%s", words[i].text, words[i].help);
        fputs("    ", out);
        print_quoted(out, pair, true);
        fputc('\n', out);
    }
    fputs(")\n", out);
}

/* In single quotes. A newline, which no word has, stands for the colon between two. */
static void print_quoted(FILE *out, const char *text, bool escapes_colons)
{
    fputc('\'', out);
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (*text == ':' && escapes_colons)
            fputs("\\:", out);
        else
            fputc(*text == '\n' ? ':' : *text, out);
    }
    fputc('\'', out);
}
