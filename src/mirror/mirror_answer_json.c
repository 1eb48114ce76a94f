#include "mirror/mirror_answer_json.h"

#include "mirror/mirror_metadata_write.h"
#include "json/json_print.h"

static void check_size(struct mirror_answer_json *json, enum status status);

void mirror_answer_json_text(struct mirror_answer_json *json, const char *text)
{
    mirror_answer_json_bytes(json, bytes_of(text));
}

void mirror_answer_json_bytes(struct mirror_answer_json *json, struct bytes bytes)
{
    if (json->status == STATUS_OK)
        check_size(json, byte_buffer_append(json->body, bytes, SIZE_MAX));
}

static void check_size(struct mirror_answer_json *json, enum status status)
{
    if (status != STATUS_OK)
        json->status = STATUS_NO_MEMORY;
    else if (byte_buffer_size(json->body) > json->size_max)
        json->status = STATUS_TOO_LARGE;
}

void mirror_answer_json_string(struct mirror_answer_json *json, bool is_there, struct bytes text)
{
    if (!is_there)
        mirror_answer_json_text(json, "null");
    else if (json->status == STATUS_OK)
        check_size(json, mirror_metadata_write_string(text, json->body));
}

void mirror_answer_json_float(struct mirror_answer_json *json, float value)
{
    char text[JSON_PRINT_MAX];

    mirror_answer_json_bytes(json, (struct bytes){text, json_print_float(value, text)});
}

void mirror_answer_json_vector(struct mirror_answer_json *json, const float *vector,
                               uint32_t dimension)
{
    mirror_answer_json_text(json, "[");
    for (uint32_t i = 0; i < dimension && json->status == STATUS_OK; i++) {
        char   text[JSON_PRINT_MAX + 1] = ",";
        size_t size = json_print_float(vector[i], text + 1);

        mirror_answer_json_bytes(json, i == 0 ? (struct bytes){text + 1, size}
                                              : (struct bytes){text, size + 1});
    }
    mirror_answer_json_text(json, "]");
}
