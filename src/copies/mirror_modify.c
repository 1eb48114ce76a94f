#include "copies/mirror_modify.h"

#include "chroma/chroma_removal.h"
#include "chroma/collection_answer.h"
#include "copies/mirror_choice.h"
#include "json/json_scan.h"

static bool modify_is_of_description(struct bytes body);
static void modify_leave(struct mirror_entry *entry);

bool mirror_modify_is_one(const struct write_notice *notice)
{
    return notice->route->operation == CHROMA_OPERATION_COLLECTION_MODIFY &&
           notice->change.has_uuid;
}

bool mirror_modify_is_harmless(const struct write_notice *notice)
{
    return mirror_modify_is_one(notice) && notice->body_parts == 1 &&
           modify_is_of_description(notice->body[0]);
}

/* Nothing but members of which it is known what they do. */
static bool modify_is_of_description(struct bytes body)
{
    struct json_scan   scan;
    struct json_string key;

    json_scan_init(&scan, body);
    if (!json_scan_object(&scan))
        return false;
    while (json_scan_member(&scan, &key)) {
        if (!json_scan_equals(key, BYTES_LITERAL("new_name")) &&
            !json_scan_equals(key, BYTES_LITERAL("new_metadata")) &&
            (!json_scan_equals(key, BYTES_LITERAL("new_configuration")) ||
             json_scan_kind(&scan) != JSON_KIND_NULL))
            return false;
        json_scan_value(&scan, NULL);
    }
    return json_scan_end(&scan);
}

/* Nobody knows what it is called after a renaming of unknown outcome. */
void mirror_modify_take_name(struct mirror_entry *entry, const struct write_notice *notice,
                             enum write_outcome outcome)
{
    char         room[COLLECTION_ANSWER_TEXT_MAX];
    struct bytes name;
    bool         is_read = chroma_removal_new_name(notice->body[0], room, sizeof room, &name);

    if (outcome == WRITE_OUTCOME_REFUSED || (is_read && name.data == NULL))
        return;
    entry->named = ++entry->keeper->clock;
    entry->is_refused = false;
    if (!is_read || outcome == WRITE_OUTCOME_UNKNOWN || !mirror_entry_set_name(entry, name))
        mirror_entry_forget_name(entry);
    if (!entry->is_asked_for && !mirror_choice_takes_name(entry))
        modify_leave(entry);
    else if (outcome == WRITE_OUTCOME_UNKNOWN && entry->state == MIRROR_ENTRY_LISTING &&
             !entry->is_described) /* which may be older than the renaming, and come after it */
        mirror_entry_give_up(entry, MIRROR_REASON_UNKNOWN_OUTCOME, NULL);
}

static void modify_leave(struct mirror_entry *entry)
{
    mirror_entry_give_up(entry, MIRROR_REASON_CHANGED, "it has another name");
    mirror_queue_leave(entry->former);
    entry->former = NULL;
}
