#include "child/hook_request.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status read_members(const json_t *object, struct hook_request *ret,
                                struct error *error);
static bool        hook_read_text(const json_t *object, const char *name, char *out, size_t size);
static enum status append_line(struct byte_buffer *out, json_t *object);

enum status hook_request_parse(struct bytes line, struct hook_request *ret, struct error *error)
{
    json_error_t problem;
    json_t      *object = json_loadb(line.data, line.size, JSON_REJECT_DUPLICATES, &problem);
    enum status  status;

    if (object == NULL)
        return error_set(error, STATUS_INVALID, "not JSON: %s", problem.text);
    status = read_members(object, ret, error);
    json_decref(object);
    return status;
}

static enum status read_members(const json_t *object, struct hook_request *ret, struct error *error)
{
    char operation[16];

    *ret = (struct hook_request){.operation = HOOK_OPEN};
    if (json_integer_value(json_object_get(object, "hook")) != 1)
        return error_set(error, STATUS_INVALID, "the hook speaks another version of the protocol");
    if (!hook_read_text(object, "path", ret->path, sizeof ret->path) || ret->path[0] != '/')
        return error_set(error, STATUS_INVALID, "path must be an absolute path");
    if (!hook_read_text(object, "op", operation, sizeof operation))
        operation[0] = '\0';
    if (strcmp(operation, "note") == 0) {
        ret->operation = HOOK_NOTE;
        return hook_read_text(object, "what", ret->what, sizeof ret->what)
                   ? STATUS_OK
                   : error_set(error, STATUS_INVALID, "a note needs a short text in what");
    }
    if (strcmp(operation, "open") != 0)
        return error_set(error, STATUS_INVALID, "op must be open or note");
    if (!hook_read_text(object, "python", ret->python, sizeof ret->python) || ret->python[0] != '/')
        return error_set(error, STATUS_INVALID, "the path of the Python interpreter is not known");
    if (!hook_read_text(object, "version", ret->version, sizeof ret->version))
        return error_set(error, STATUS_INVALID, "the version of chromadb is not known");
    ret->allow_reset = json_is_true(json_object_get(object, "allow_reset"));
    return STATUS_OK;
}

/* False: not there, no text, too long, or it holds a NUL. */
static bool hook_read_text(const json_t *object, const char *name, char *out, size_t size)
{
    const json_t *member = json_object_get(object, name);
    const char   *text = json_string_value(member);

    if (text == NULL || json_string_length(member) >= size ||
        json_string_length(member) != strlen(text))
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

enum status hook_request_answer_ok(struct byte_buffer *out)
{
    return append_line(out, json_pack("{s:b}", "ok", 1));
}

enum status hook_request_answer_address(struct byte_buffer *out, const char *host, uint16_t port)
{
    return append_line(out, json_pack("{s:b,s:s,s:i}", "ok", 1, "host", host, "port", (int)port));
}

/* A path that is no UTF-8 stands in a reason as it may. */
enum status hook_request_answer_no(struct byte_buffer *out, const char *reason,
                                   enum hook_refusal why)
{
    json_t *text = json_string(reason);

    return append_line(out, json_pack("{s:b,s:o,s:b,s:b}", "ok", 0, "reason",
                                      text == NULL ? json_string("see the log") : text,
                                      "other_directory", why == HOOK_OTHER_DIRECTORY, "in_use",
                                      why == HOOK_IN_USE));
}

/* Takes `object`. */
static enum status append_line(struct byte_buffer *out, json_t *object)
{
    char       *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
    enum status status = STATUS_NO_MEMORY;

    if (text != NULL)
        status = byte_buffer_printf(out, HOOK_REQUEST_LINE_MAX, "%s\n", text);
    free(text);
    json_decref(object);
    return status;
}
