#include "cli/completion.h"

#include <string.h>

static void print_bash(FILE *out, const struct completion_words *words);
static void print_zsh(FILE *out, const struct completion_words *words);
static void print_fish(FILE *out, const struct completion_words *words);
static void print_texts(FILE *out, const struct completion_word *words, size_t count);
static void print_pairs(FILE *out, const char *name, const struct completion_word *words,
                        size_t count);
static void print_quoted(FILE *out, const char *text, bool escapes_colons);

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
          "    local now=$2 before=$3 words\n"
          "    COMPREPLY=()\n"
          "    case $before in\n"
          "    --config) compopt -o default; return ;;\n"
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
    fputs("' ;;\n"
          "    check) [ \"${COMP_WORDS[1]}\" != config ] || { compopt -o default; return; } ;;\n"
          "    esac\n"
          "    if [ -z \"$words\" ] && [ \"$COMP_CWORD\" -eq 1 ]; then words='",
          out);
    print_texts(out, words->commands, words->command_count);
    fputs("'; fi\n"
          "    [ -n \"$words\" ] && [[ $now != -* ]] || words='",
          out);
    print_texts(out, words->flags, words->flag_count);
    fputs("'\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$now\")\n"
          "}\n"
          "complete -F _chromabouncer chromabouncer\n",
          out);
}

static void print_zsh(FILE *out, const struct completion_words *words)
{
    fputs("#compdef chromabouncer\n"
          "# chromabouncer in zsh: put it into a folder of $fpath as _chromabouncer\n"
          "local -a commands flags verbs settings\n",
          out);
    print_pairs(out, "commands", words->commands, words->command_count);
    print_pairs(out, "flags", words->flags, words->flag_count);
    print_pairs(out, "verbs", words->verbs, words->verb_count);
    print_pairs(out, "settings", words->keys, words->key_count);
    fputs("case $words[CURRENT-1] in\n"
          "--config) _files ;;\n"
          "--set) _describe -t settings setting settings -S = ;;\n"
          "-o) compadd json ;;\n"
          "completion) compadd bash zsh fish ;;\n"
          "config) compadd init check show ;;\n"
          "ctl) _describe -t verbs verb verbs ;;\n"
          "*)\n"
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
          "-a 'bash zsh fish'\n"
          "complete -c chromabouncer -s o -x -a json\n",
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
    }
    for (size_t i = 0; i < words->flag_count; i++) {
        if (strncmp(words->flags[i].text, "--", 2) != 0)
            continue;
        fprintf(out, "complete -c chromabouncer -l %s -d ", words->flags[i].text + 2);
        print_quoted(out, words->flags[i].help, false);
        fputc('\n', out);
    }
    fputs("complete -c chromabouncer -n 'string match -q -- --set (commandline -opc)[-1]' -a '",
          out);
    for (size_t i = 0; i < words->key_count; i++)
        fprintf(out, "%s%s=", i == 0 ? "" : " ", words->keys[i].text);
    fputs("'\n", out);
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
