#include "support/stub_answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void stub_answer_done(struct stub_answer *answer)
{
    free(answer->owned);
    *answer = (struct stub_answer){0};
}

void stub_answer_error(struct stub_answer *answer, unsigned status, const char *name,
                       const char *format, ...)
{
    char    text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    stub_answer_json(answer, status, json_pack("{s:s, s:s}", "error", name, "message", text));
}

void stub_answer_json(struct stub_answer *answer, unsigned status, json_t *value)
{
    char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    json_decref(value);
    if (text == NULL)
        stub_answer_static(answer, 500, NULL, BYTES_LITERAL(""));
    else
        stub_answer_owned(answer, status, "application/json", text, strlen(text));
}

void stub_answer_static(struct stub_answer *answer, unsigned status, const char *content_type,
                        struct bytes body)
{
    stub_answer_done(answer);
    answer->status = status;
    answer->content_type = content_type;
    answer->body = body;
}

void stub_answer_owned(struct stub_answer *answer, unsigned status, const char *content_type,
                       char *body, size_t size)
{
    stub_answer_static(answer, status, content_type, (struct bytes){.data = body, .size = size});
    answer->owned = body;
}
