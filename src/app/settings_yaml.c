#include "app/settings_yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The complete sample file has 10 KB. It also bounds what libyaml may allocate. */
enum { FILE_SIZE_MAX = 256 * 1024 };

static enum status read_whole(const char *path, char **ret_data, size_t *ret_size,
                              struct error *error);
static enum status cannot_read(const char *path, struct error *error);
static enum status refuse_extras(struct settings_yaml *yaml, const yaml_event_t *event);

enum status settings_yaml_open(struct settings_yaml *yaml, const char *path, struct error *error)
{
    size_t      size = 0;
    enum status status;

    *yaml = (struct settings_yaml){.path = path, .error = error};
    status = read_whole(path, &yaml->data, &size, error);
    if (status != STATUS_OK)
        return status;
    if (!yaml_parser_initialize(&yaml->parser)) {
        free(yaml->data);
        return error_set(error, STATUS_NO_MEMORY, "%s: out of memory", path);
    }
    yaml_parser_set_input_string(&yaml->parser, (unsigned char *)yaml->data, size);
    return STATUS_OK;
}

static enum status read_whole(const char *path, char **ret_data, size_t *ret_size,
                              struct error *error)
{
    int         fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    FILE       *file = fd < 0 ? NULL : fdopen(fd, "r");
    struct stat stat;
    char       *data;

    if (file == NULL) {
        if (fd >= 0)
            close(fd);
        return cannot_read(path, error);
    }
    /* A pipe without a writer would hold the loop for ever when settings are read anew. */
    if (fstat(fd, &stat) == 0 && S_ISFIFO(stat.st_mode)) {
        fclose(file);
        return error_set(error, STATUS_INVALID, "%s: a pipe, not a file", path);
    }
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

void settings_yaml_close(struct settings_yaml *yaml)
{
    yaml_parser_delete(&yaml->parser);
    free(yaml->data);
}

enum status settings_yaml_next(struct settings_yaml *yaml, yaml_event_t *ret_event)
{
    enum status status;

    if (!yaml_parser_parse(&yaml->parser, ret_event)) {
        bool has_mark =
            yaml->parser.error == YAML_SCANNER_ERROR || yaml->parser.error == YAML_PARSER_ERROR;

        return settings_yaml_complain(
            yaml, has_mark ? yaml->parser.problem_mark : yaml->parser.mark, "%s",
            yaml->parser.problem == NULL ? "out of memory" : yaml->parser.problem);
    }
    status = refuse_extras(yaml, ret_event);
    if (status != STATUS_OK)
        yaml_event_delete(ret_event);
    return status;
}

static enum status refuse_extras(struct settings_yaml *yaml, const yaml_event_t *event)
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
        return settings_yaml_complain(
            yaml, event->start_mark,
            "anchors and aliases (& and *) are not supported; write the value");
    if (tag != NULL)
        return settings_yaml_complain(
            yaml, event->start_mark,
            "tags (!) are not supported; the setting decides what the value means");
    return STATUS_OK;
}

bool settings_yaml_is_null(const yaml_event_t *event)
{
    struct bytes text = settings_yaml_scalar(event);

    return event->type == YAML_SCALAR_EVENT &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text.size == 0 || bytes_equal(text, BYTES_LITERAL("~")) ||
            bytes_equal_nocase(text, BYTES_LITERAL("null")));
}

struct bytes settings_yaml_scalar(const yaml_event_t *event)
{
    if (event->type != YAML_SCALAR_EVENT)
        return (struct bytes){0};
    return (struct bytes){.data = (const char *)event->data.scalar.value,
                          .size = event->data.scalar.length};
}

enum status settings_yaml_complain(const struct settings_yaml *yaml, yaml_mark_t at,
                                   const char *format, ...)
{
    size_t  length = strlen(yaml->path);
    size_t  skip = length > 100 ? length - 97 : 0; /* leave room for what is wrong */
    char    message[sizeof yaml->error->text];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return error_set(yaml->error, STATUS_INVALID, "%s%s:%zu:%zu: %s", skip > 0 ? "..." : "",
                     yaml->path + skip, at.line + 1, at.column + 1, message);
}
