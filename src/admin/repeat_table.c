#include "admin/repeat_table.h"

#include "base/compiler.h"

static const uint64_t repeat_us = 60000000;

enum repeat_table_result repeat_table_note(struct repeat_table *table, uint64_t question,
                                           uint64_t asker, uint64_t now_us)
{
    struct repeat_entry *entries = table->entries[question % COUNT_OF(table->entries)];
    struct repeat_entry *entry = &entries[0], before;

    for (size_t i = 0; i < REPEAT_TABLE_WAYS && entry->question != question; i++)
        if (entries[i].question == question || entries[i].asked_us < entry->asked_us)
            entry = &entries[i];
    before = *entry;
    *entry = (struct repeat_entry){.question = question, .asker = asker, .asked_us = now_us};
    if (before.question != question || now_us - before.asked_us > repeat_us)
        return REPEAT_TABLE_NEW;
    return before.asker == asker ? REPEAT_TABLE_OWN : REPEAT_TABLE_ANOTHER;
}
