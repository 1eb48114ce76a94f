#include "app/settings_file.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "app/settings_yaml.h"

/* Room for what was seen of a place's keys. */
enum { KEYS_MAX = 128 };
_Static_assert((int)SETTINGS_COUNT < KEYS_MAX, "more settings than this were not thought of");

/* A place in the file and what keys mean there: the settings, or the columns of one record. */
struct place {
    const struct settings_table *table;  /* NULL: the settings */
    void                        *record; /* of the table */
    bool                         seen[KEYS_MAX];
    bool                         section_seen[KEYS_MAX]; /* at the first key of the section */
    bool                         table_seen[SETTINGS_TABLE_COUNT + 1];
};

struct reader {
    struct settings_yaml yaml;
    struct settings     *settings;
};

static enum status read_stream(struct reader *reader);
static enum status read_document(struct reader *reader);
static enum status read_mapping(struct reader *reader, struct place *place, const char *section);
static enum status read_entry(struct reader *reader, struct place *place, const char *section,
                              const yaml_event_t *key);
static enum status settings_file_read_section(struct reader *reader, struct place *place,
                                              const char *name, yaml_mark_t at);
static enum status read_value(struct reader *reader, struct place *place, size_t index,
                              yaml_mark_t at);
static enum status read_list(struct reader *reader, const char *key, char *out, size_t size);
static enum status settings_file_read_table(struct reader *reader, enum settings_table_id table);
static enum status read_record(struct reader *reader, enum settings_table_id table,
                               const yaml_event_t *event);
static enum status set(struct reader *reader, struct place *place, size_t index, struct bytes text,
                       yaml_mark_t at);
static size_t      place_find(const struct place *place, struct bytes key);
static size_t      place_size(const struct place *place);
static const char *place_key(const struct place *place, size_t index);

enum status settings_file_load(struct settings *settings, const char *path, struct error *error)
{
    struct reader reader = {.settings = settings};
    enum status   status = settings_yaml_open(&reader.yaml, path, error);

    if (status != STATUS_OK)
        return status;
    settings->file = path;
    status = read_stream(&reader);
    settings_yaml_close(&reader.yaml);
    return status;
}

static enum status read_stream(struct reader *reader)
{
    yaml_event_t event;
    yaml_mark_t  at;
    bool         more;
    enum status  status = settings_yaml_next(&reader->yaml, &event);

    if (status != STATUS_OK)
        return status;
    yaml_event_delete(&event); /* the start of the stream */
    status = read_document(reader);
    if (status == STATUS_OK)
        status = settings_yaml_next(&reader->yaml, &event);
    if (status != STATUS_OK)
        return status == STATUS_CLOSED ? STATUS_OK : status;
    more = event.type != YAML_STREAM_END_EVENT;
    at = event.start_mark;
    yaml_event_delete(&event);
    if (more)
        return settings_yaml_complain(&reader->yaml, at,
                                      "a second document; put all settings into one");
    return STATUS_OK;
}

/* STATUS_CLOSED: there is none, which is as good as an empty one. */
static enum status read_document(struct reader *reader)
{
    struct place place = {0};
    yaml_event_t event;
    enum status  status = settings_yaml_next(&reader->yaml, &event);

    if (status != STATUS_OK)
        return status;
    if (event.type == YAML_STREAM_END_EVENT) {
        yaml_event_delete(&event);
        return STATUS_CLOSED;
    }
    yaml_event_delete(&event); /* the start of the document */
    status = settings_yaml_next(&reader->yaml, &event);
    if (status != STATUS_OK)
        return status;
    if (event.type == YAML_MAPPING_START_EVENT)
        status = read_mapping(reader, &place, "");
    else if (!settings_yaml_is_null(&event))
        status = settings_yaml_complain(&reader->yaml, event.start_mark,
                                        "settings must be written as `key: value`");
    yaml_event_delete(&event);
    if (status == STATUS_OK)
        status = settings_yaml_next(&reader->yaml, &event);
    if (status == STATUS_OK)
        yaml_event_delete(&event); /* the end of the document */
    return status;
}

/* The mapping below `section`, which is "" or ends in a dot. */
static enum status read_mapping(struct reader *reader, struct place *place, const char *section)
{
    enum status status = STATUS_OK;
    bool        more = true;

    while (status == STATUS_OK && more) {
        yaml_event_t event;

        status = settings_yaml_next(&reader->yaml, &event);
        if (status != STATUS_OK)
            break;
        more = event.type != YAML_MAPPING_END_EVENT;
        if (more)
            status = read_entry(reader, place, section, &event);
        yaml_event_delete(&event);
    }
    return status;
}

static enum status read_entry(struct reader *reader, struct place *place, const char *section,
                              const yaml_event_t *key)
{
    struct bytes           word = settings_yaml_scalar(key);
    enum settings_table_id table;
    struct error           why;
    char                   name[2 * SETTINGS_KEY_SIZE];
    size_t                 index;
    int                    size;

    if (key->type != YAML_SCALAR_EVENT)
        return settings_yaml_complain(&reader->yaml, key->start_mark, "a key must be a plain word");
    size = snprintf(name, sizeof name, "%s%.*s", section, (int)word.size, word.data);
    if ((size_t)size >= sizeof name || strlen(section) + word.size != (size_t)size) {
        settings_unknown(word, &why);
        return settings_yaml_complain(&reader->yaml, key->start_mark, "%s", why.text);
    }
    index = place_find(place, bytes_of(name));
    if (index != place_size(place))
        return read_value(reader, place, index, key->start_mark);
    if (place->table == NULL ? settings_is_section(bytes_of(name))
                             : settings_table_is_section(place->table, bytes_of(name)))
        return settings_file_read_section(reader, place, name, key->start_mark);
    table = place->table == NULL ? settings_find_table(bytes_of(name)) : SETTINGS_TABLE_COUNT;
    if (table < settings_table_count() && place->table_seen[table])
        return settings_yaml_complain(&reader->yaml, key->start_mark, "%s is here a second time",
                                      name);
    if (table < settings_table_count()) {
        place->table_seen[table] = true;
        return settings_file_read_table(reader, table);
    }
    if (place->table == NULL)
        settings_unknown(bytes_of(name), &why);
    else
        settings_table_unknown(place->table, bytes_of(name), &why);
    return settings_yaml_complain(&reader->yaml, key->start_mark, "%s", why.text);
}

static enum status settings_file_read_section(struct reader *reader, struct place *place,
                                              const char *name, yaml_mark_t at)
{
    char         prefix[2 * SETTINGS_KEY_SIZE + 1];
    size_t       first = 0;
    yaml_event_t event;
    enum status  status;

    snprintf(prefix, sizeof prefix, "%s.", name);
    while (strncmp(place_key(place, first), prefix, strlen(prefix)) != 0)
        first++;
    if (place->section_seen[first])
        return settings_yaml_complain(&reader->yaml, at, "section %s is here a second time", name);
    place->section_seen[first] = true;
    status = settings_yaml_next(&reader->yaml, &event);
    if (status != STATUS_OK)
        return status;
    if (event.type == YAML_MAPPING_START_EVENT)
        status = read_mapping(reader, place, prefix);
    else if (!settings_yaml_is_null(&event)) /* a section whose settings are all comments */
        status = settings_yaml_complain(&reader->yaml, event.start_mark,
                                        "%s is a section: write its settings below it, "
                                        "each with more indentation",
                                        name);
    yaml_event_delete(&event);
    return status;
}

static enum status read_value(struct reader *reader, struct place *place, size_t index,
                              yaml_mark_t at)
{
    const char  *key = place_key(place, index);
    bool         is_list = settings_value_is_list(place->table == NULL
                                                      ? settings_row((enum settings_id)index)->rule.kind
                                                      : place->table->columns[index].rule.kind);
    char         joined[SETTINGS_VALUE_SIZE];
    yaml_event_t event;
    enum status  status;

    if (place->seen[index])
        return settings_yaml_complain(&reader->yaml, at, "%s is set a second time", key);
    place->seen[index] = true;
    status = settings_yaml_next(&reader->yaml, &event);
    if (status != STATUS_OK)
        return status;
    if (settings_yaml_is_null(&event)) {
        status = settings_yaml_complain(&reader->yaml, event.start_mark,
                                        "%s has no value; put a # before the line to "
                                        "leave it at its default",
                                        key);
    } else if (event.type == YAML_SCALAR_EVENT) {
        status = set(reader, place, index, settings_yaml_scalar(&event), event.start_mark);
    } else if (event.type == YAML_SEQUENCE_START_EVENT && is_list) {
        status = read_list(reader, key, joined, sizeof joined);
        if (status == STATUS_OK)
            status = set(reader, place, index, bytes_of(joined), event.start_mark);
    } else {
        status = settings_yaml_complain(
            &reader->yaml, event.start_mark, "%s takes one value, not a %s", key,
            event.type == YAML_SEQUENCE_START_EVENT ? "list" : "section");
    }
    yaml_event_delete(&event);
    return status;
}

/* Join the items with commas, as the command line has them. */
static enum status read_list(struct reader *reader, const char *key, char *out, size_t size)
{
    size_t      used = 0;
    bool        more = true;
    enum status status = STATUS_OK;

    out[0] = '\0';
    while (status == STATUS_OK && more) {
        yaml_event_t event;
        struct bytes item;

        status = settings_yaml_next(&reader->yaml, &event);
        if (status != STATUS_OK)
            break;
        item = settings_yaml_scalar(&event);
        more = event.type != YAML_SEQUENCE_END_EVENT;
        if (more && (event.type != YAML_SCALAR_EVENT || item.size == 0 ||
                     memchr(item.data, ',', item.size) != NULL))
            status = settings_yaml_complain(&reader->yaml, event.start_mark,
                                            "%s takes a list of single values", key);
        else if (more && (item.size + 2 > size - used || memchr(item.data, '\0', item.size)))
            status =
                settings_yaml_complain(&reader->yaml, event.start_mark, "the list is too long");
        else if (more)
            used += (size_t)snprintf(out + used, size - used, "%s%.*s", used == 0 ? "" : ",",
                                     (int)item.size, item.data);
        yaml_event_delete(&event);
    }
    return status;
}

static enum status settings_file_read_table(struct reader *reader, enum settings_table_id table)
{
    const char  *key = settings_table(table)->key;
    yaml_event_t event;
    bool         more;
    enum status  status = settings_yaml_next(&reader->yaml, &event);

    if (status != STATUS_OK)
        return status;
    more = event.type == YAML_SEQUENCE_START_EVENT;
    if (!more && !settings_yaml_is_null(&event)) /* null: all its records are comments */
        status =
            settings_yaml_complain(&reader->yaml, event.start_mark,
                                   "%s is a list: begin each of its records with `- name: `", key);
    yaml_event_delete(&event);
    while (status == STATUS_OK && more) {
        status = settings_yaml_next(&reader->yaml, &event);
        if (status != STATUS_OK)
            break;
        more = event.type != YAML_SEQUENCE_END_EVENT;
        if (more && event.type != YAML_MAPPING_START_EVENT)
            status = settings_yaml_complain(&reader->yaml, event.start_mark,
                                            "a record of %s is written as `- name: ...` and its "
                                            "other keys below",
                                            key);
        else if (more)
            status = read_record(reader, table, &event);
        yaml_event_delete(&event);
    }
    return status;
}

static enum status read_record(struct reader *reader, enum settings_table_id table,
                               const yaml_event_t *event)
{
    struct place place = {.table = settings_table(table),
                          .record = settings_record_new(reader->settings, table)};
    struct error why;
    enum status  status;

    if (place.record == NULL)
        return settings_yaml_complain(&reader->yaml, event->start_mark, "%s: at most %zu records",
                                      place.table->key, place.table->records_max);
    assert(place.table->column_count <= KEYS_MAX);
    status = read_mapping(reader, &place, "");
    if (status == STATUS_OK && settings_record_keep(reader->settings, table, &why) != STATUS_OK)
        status = settings_yaml_complain(&reader->yaml, event->start_mark, "%s", why.text);
    return status;
}

static enum status set(struct reader *reader, struct place *place, size_t index, struct bytes text,
                       yaml_mark_t at)
{
    struct settings_origin origin = {.source = SETTINGS_FILE, .line = (unsigned)at.line + 1};
    struct error           why;
    enum status            status;

    if (place->table == NULL)
        status = settings_set(reader->settings, (enum settings_id)index, text, origin, &why);
    else
        status = settings_table_set(place->table, place->record, index, text, origin, &why);
    if (status != STATUS_OK)
        return settings_yaml_complain(&reader->yaml, at, "%s", why.text);
    return STATUS_OK;
}

/* place_size(): there is no such key here. */
static size_t place_find(const struct place *place, struct bytes key)
{
    return place->table == NULL ? settings_find(key) : settings_table_find(place->table, key);
}

static size_t place_size(const struct place *place)
{
    return place->table == NULL ? SETTINGS_COUNT : place->table->column_count;
}

static const char *place_key(const struct place *place, size_t index)
{
    return place->table == NULL ? settings_row((enum settings_id)index)->key
                                : place->table->columns[index].key;
}
