#include "admin/embedded_use.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static struct embedded_use_entry *directory_entry(struct embedded_use *use, const char *directory);

void embedded_use_note(struct embedded_use *use, struct bytes directory, enum embedded_use_why why,
                       long process, uint64_t now_us)
{
    char                       text[EMBEDDED_USE_PATH_SIZE];
    struct embedded_use_entry *entry =
        directory_entry(use, text_quote(directory, text, sizeof text));

    entry->why = why;
    entry->last_us = now_us;
    for (size_t i = 0; i < entry->process_count; i++)
        if (entry->processes[i] == process)
            return;
    if (entry->process_count < EMBEDDED_USE_PROCESSES_MAX)
        entry->processes[entry->process_count++] = process;
}

static struct embedded_use_entry *directory_entry(struct embedded_use *use, const char *directory)
{
    struct embedded_use_entry *oldest = &use->entries[0];

    for (size_t i = 0; i < EMBEDDED_USE_MAX; i++) {
        struct embedded_use_entry *entry = &use->entries[i];

        if (strcmp(entry->directory, directory) == 0)
            return entry;
        if (entry->last_us < oldest->last_us)
            oldest = entry;
    }
    *oldest = (struct embedded_use_entry){0};
    strcpy(oldest->directory, directory);
    return oldest;
}

uint64_t embedded_use_processes(const struct embedded_use *use)
{
    uint64_t count = 0;

    for (size_t i = 0; i < EMBEDDED_USE_MAX; i++)
        count += use->entries[i].process_count;
    return count;
}

void embedded_use_say(const struct embedded_use_entry *entry, char *evidence, size_t size)
{
    static const char *const reasons[] = {
        [EMBEDDED_USE_OTHER] = "another directory than the one that is served",
        [EMBEDDED_USE_STAYED] = "it could not be served",
        [EMBEDDED_USE_BESIDE] = "the Chroma that runs here has it open, too"};
    size_t count = entry->process_count;

    snprintf(evidence, size, "%s%zu process%s, the last %ld: %s",
             count == EMBEDDED_USE_PROCESSES_MAX ? "at least " : "", count, count == 1 ? "" : "es",
             entry->processes[count - 1], reasons[entry->why]);
}
