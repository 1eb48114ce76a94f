#include "app/settings_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/text.h"

/* The complete sample file has 10 KB. It also bounds what libyaml may allocate. */
enum { FILE_SIZE_MAX = 256 * 1024 };

struct reader {
    yaml_parser_t    parser;
    struct settings *settings;
    const char      *path;
    struct error    *error;
    bool             seen[SETTINGS_COUNT];
    bool             section_seen[SETTINGS_COUNT]; /* at the first row of the section */
};

static enum status  read_whole(const char *path, char **ret_data, size_t *ret_size,
                               struct error *error);
static enum status  cannot_read(const char *path, struct error *error);
static enum status  read_stream(struct reader *reader);
static enum status  read_document(struct reader *reader);
static enum status  read_mapping(struct reader *reader, const char *section);
static enum status  read_entry(struct reader *reader, const char *section, const yaml_event_t *key);
static enum status  settings_file_read_section(struct reader *reader, const char *name,
                                               yaml_mark_t at);
static enum status  read_setting(struct reader *reader, enum settings_id id, yaml_mark_t at);
static enum status  read_list(struct reader *reader, enum settings_id id, char *out, size_t size);
static enum status  set(struct reader *reader, enum settings_id id, struct bytes text,
                        yaml_mark_t at);
static enum status  settings_file_next(struct reader *reader, yaml_event_t *ret_event);
static enum status  refuse_extras(struct reader *reader, const yaml_event_t *event);
static bool         is_null(const yaml_event_t *event);
static struct bytes scalar(const yaml_event_t *event);
static enum status  settings_file_complain(const struct reader *reader, yaml_mark_t at,
                                           const char *format, ...) PRINTF_LIKE(3, 4);

enum status settings_file_load(struct settings *settings, const char *path, struct error *error)
{
    struct reader reader = {.settings = settings, .path = path, .error = error};
    char         *data = NULL;
    size_t        size = 0;
    enum status   status = read_whole(path, &data, &size, error);

    if (status != STATUS_OK)
        return status;
    if (!yaml_parser_initialize(&reader.parser)) {
        free(data);
        return error_set(error, STATUS_NO_MEMORY, "%s: out of memory", path);
    }
    yaml_parser_set_input_string(&reader.parser, (unsigned char *)data, size);
    settings->file = path;
    status = read_stream(&reader);
    yaml_parser_delete(&reader.parser);
    free(data);
    return status;
}

static enum status read_whole(const char *path, char **ret_data, size_t *ret_size,
                              struct error *error)
{
    FILE *file = fopen(path, "re");
    char *data;

    if (file == NULL)
        return cannot_read(path, error);
    data = malloc(FILE_SIZE_MAX + 1);
    if (data == NULL) {
        fclose(file);
        return error_set(error, STATUS_NO_MEMORY, "%s: out of memory", path);
    }
    *ret_size = fread(data, 1, FILE_SIZE_MAX + 1, file);
    if (ferror(file)) {
        enum status status = cannot_read(path, error);

        fclose(file);
        free(data);
        return status;
    }
    fclose(file);
    if (*ret_size > FILE_SIZE_MAX) {
        free(data);
        return error_set(error, STATUS_INVALID, "%s: larger than 256KiB; is it the right file?",
                         path);
    }
    *ret_data = data;
    return STATUS_OK;
}

static enum status cannot_read(const char *path, struct error *error)
{
    enum status status = errno == ENOENT || errno == ENOTDIR ? STATUS_NOT_FOUND
                         : errno == EACCES                   ? STATUS_NOT_PERMITTED
                                                             : STATUS_IO_FAILED;

    return error_set(error, status, "cannot read %s: %s", path, strerror(errno));
}

static enum status read_stream(struct reader *reader)
{
    yaml_event_t event;
    yaml_mark_t  at;
    bool         more;
    enum status  status = settings_file_next(reader, &event);

    if (status != STATUS_OK)
        return status;
    yaml_event_delete(&event); /* the start of the stream */
    status = read_document(reader);
    if (status == STATUS_OK)
        status = settings_file_next(reader, &event);
    if (status != STATUS_OK)
        return status == STATUS_CLOSED ? STATUS_OK : status;
    more = event.type != YAML_STREAM_END_EVENT;
    at = event.start_mark;
    yaml_event_delete(&event);
    return more ? settings_file_complain(reader, at, "a second document; put all settings into one")
                : STATUS_OK;
}

/* STATUS_CLOSED: there is none, which is as good as an empty one. */
static enum status read_document(struct reader *reader)
{
    yaml_event_t event;
    enum status  status = settings_file_next(reader, &event);

    if (status != STATUS_OK)
        return status;
    if (event.type == YAML_STREAM_END_EVENT) {
        yaml_event_delete(&event);
        return STATUS_CLOSED;
    }
    yaml_event_delete(&event); /* the start of the document */
    status = settings_file_next(reader, &event);
    if (status != STATUS_OK)
        return status;
    if (event.type == YAML_MAPPING_START_EVENT)
        status = read_mapping(reader, "");
    else if (!is_null(&event))
        status = settings_file_complain(reader, event.start_mark,
                                        "settings must be written as `key: value`");
    yaml_event_delete(&event);
    if (status == STATUS_OK)
        status = settings_file_next(reader, &event);
    if (status == STATUS_OK)
        yaml_event_delete(&event); /* the end of the document */
    return status;
}

/* The mapping below `section`, which is "" or ends in a dot. */
static enum status read_mapping(struct reader *reader, const char *section)
{
    enum status status = STATUS_OK;
    bool        more = true;

    while (status == STATUS_OK && more) {
        yaml_event_t event;

        status = settings_file_next(reader, &event);
        if (status != STATUS_OK)
            break;
        more = event.type != YAML_MAPPING_END_EVENT;
        if (more)
            status = read_entry(reader, section, &event);
        yaml_event_delete(&event);
    }
    return status;
}

static enum status read_entry(struct reader *reader, const char *section, const yaml_event_t *key)
{
    struct error     why;
    char             name[2 * SETTINGS_KEY_SIZE];
    enum settings_id id;
    int              size;

    if (key->type != YAML_SCALAR_EVENT)
        return settings_file_complain(reader, key->start_mark, "a key must be a plain word");
    size = snprintf(name, sizeof name, "%s%.*s", section, (int)scalar(key).size, scalar(key).data);
    if ((size_t)size >= sizeof name || strlen(section) + scalar(key).size != (size_t)size) {
        settings_unknown(scalar(key), &why);
        return settings_file_complain(reader, key->start_mark, "%s", why.text);
    }
    id = settings_find(bytes_of(name));
    if (id != SETTINGS_COUNT)
        return read_setting(reader, id, key->start_mark);
    if (settings_is_section(bytes_of(name)))
        return settings_file_read_section(reader, name, key->start_mark);
    settings_unknown(bytes_of(name), &why);
    return settings_file_complain(reader, key->start_mark, "%s", why.text);
}

static enum status settings_file_read_section(struct reader *reader, const char *name,
                                              yaml_mark_t at)
{
    char             prefix[2 * SETTINGS_KEY_SIZE + 1];
    enum settings_id first = 0;
    yaml_event_t     event;
    enum status      status;

    snprintf(prefix, sizeof prefix, "%s.", name);
    while (strncmp(settings_row(first)->key, prefix, strlen(prefix)) != 0)
        first++;
    if (reader->section_seen[first])
        return settings_file_complain(reader, at, "section %s is here a second time", name);
    reader->section_seen[first] = true;
    status = settings_file_next(reader, &event);
    if (status != STATUS_OK)
        return status;
    if (event.type == YAML_MAPPING_START_EVENT)
        status = read_mapping(reader, prefix);
    else if (!is_null(&event)) /* a section whose settings are all comments */
        status = settings_file_complain(reader, event.start_mark,
                                        "%s is a section: write its settings below it, "
                                        "each with more indentation",
                                        name);
    yaml_event_delete(&event);
    return status;
}

static enum status read_setting(struct reader *reader, enum settings_id id, yaml_mark_t at)
{
    const char  *key = settings_row(id)->key;
    bool         is_list = settings_row(id)->rule.kind == SETTINGS_KIND_ADDRESSES;
    char         joined[SETTINGS_VALUE_SIZE];
    yaml_event_t event;
    enum status  status;

    if (reader->seen[id])
        return settings_file_complain(reader, at, "%s is set a second time", key);
    reader->seen[id] = true;
    status = settings_file_next(reader, &event);
    if (status != STATUS_OK)
        return status;
    if (is_null(&event)) {
        status = settings_file_complain(reader, event.start_mark,
                                        "%s has no value; put a # before the line to "
                                        "leave it at its default",
                                        key);
    } else if (event.type == YAML_SCALAR_EVENT) {
        status = set(reader, id, scalar(&event), event.start_mark);
    } else if (event.type == YAML_SEQUENCE_START_EVENT && is_list) {
        status = read_list(reader, id, joined, sizeof joined);
        if (status == STATUS_OK)
            status = set(reader, id, bytes_of(joined), event.start_mark);
    } else {
        status =
            settings_file_complain(reader, event.start_mark, "%s takes one value, not a %s", key,
                                   event.type == YAML_SEQUENCE_START_EVENT ? "list" : "section");
    }
    yaml_event_delete(&event);
    return status;
}

/* Join the items with commas, as the command line has them. */
static enum status read_list(struct reader *reader, enum settings_id id, char *out, size_t size)
{
    size_t      used = 0;
    bool        more = true;
    enum status status = STATUS_OK;

    out[0] = '\0';
    while (status == STATUS_OK && more) {
        yaml_event_t event;
        struct bytes item;

        status = settings_file_next(reader, &event);
        if (status != STATUS_OK)
            break;
        item = scalar(&event);
        more = event.type != YAML_SEQUENCE_END_EVENT;
        if (more && (event.type != YAML_SCALAR_EVENT || item.size == 0 ||
                     memchr(item.data, ',', item.size) != NULL))
            status = settings_file_complain(reader, event.start_mark,
                                            "%s takes a list of single addresses",
                                            settings_row(id)->key);
        else if (more && (item.size + 2 > size - used || memchr(item.data, '\0', item.size)))
            status = settings_file_complain(reader, event.start_mark, "the list is too long");
        else if (more)
            used += (size_t)snprintf(out + used, size - used, "%s%.*s", used == 0 ? "" : ",",
                                     (int)item.size, item.data);
        yaml_event_delete(&event);
    }
    return status;
}

static enum status set(struct reader *reader, enum settings_id id, struct bytes text,
                       yaml_mark_t at)
{
    struct settings_origin origin = {.source = SETTINGS_FILE, .line = (unsigned)at.line + 1};
    struct error           why;

    if (settings_set(reader->settings, id, text, origin, &why) != STATUS_OK)
        return settings_file_complain(reader, at, "%s", why.text);
    return STATUS_OK;
}

/* The next event, given: yaml_event_delete() it. */
static enum status settings_file_next(struct reader *reader, yaml_event_t *ret_event)
{
    enum status status;

    if (!yaml_parser_parse(&reader->parser, ret_event)) {
        bool has_mark =
            reader->parser.error == YAML_SCANNER_ERROR || reader->parser.error == YAML_PARSER_ERROR;

        return settings_file_complain(
            reader, has_mark ? reader->parser.problem_mark : reader->parser.mark, "%s",
            reader->parser.problem == NULL ? "out of memory" : reader->parser.problem);
    }
    status = refuse_extras(reader, ret_event);
    if (status != STATUS_OK)
        yaml_event_delete(ret_event);
    return status;
}

static enum status refuse_extras(struct reader *reader, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor != NULL || event->type == YAML_ALIAS_EVENT)
        return settings_file_complain(
            reader, event->start_mark,
            "anchors and aliases (& and *) are not supported; write the value");
    if (tag != NULL)
        return settings_file_complain(
            reader, event->start_mark,
            "tags (!) are not supported; the setting decides what the value means");
    return STATUS_OK;
}

static bool is_null(const yaml_event_t *event)
{
    struct bytes text = scalar(event);

    return event->type == YAML_SCALAR_EVENT &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text.size == 0 || bytes_equal(text, BYTES_LITERAL("~")) ||
            bytes_equal_nocase(text, BYTES_LITERAL("null")));
}

/* The text of a scalar; empty for any other event. */
static struct bytes scalar(const yaml_event_t *event)
{
    if (event->type != YAML_SCALAR_EVENT)
        return (struct bytes){0};
    return (struct bytes){.data = (const char *)event->data.scalar.value,
                          .size = event->data.scalar.length};
}

static enum status settings_file_complain(const struct reader *reader, yaml_mark_t at,
                                          const char *format, ...)
{
    size_t  length = strlen(reader->path);
    size_t  skip = length > 100 ? length - 97 : 0; /* leave room for what is wrong */
    char    message[sizeof reader->error->text];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return error_set(reader->error, STATUS_INVALID, "%s%s:%zu:%zu: %s", skip > 0 ? "..." : "",
                     reader->path + skip, at.line + 1, at.column + 1, message);
}
