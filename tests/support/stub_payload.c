#include "support/stub_payload.h"

#include <math.h>
#include <stdlib.h>

static bool repeats_known(struct bytes text, const char *const *known);
static bool check_types(struct stub_payload *payload, enum stub_op op, struct stub_answer *answer);
static bool are_strings(const json_t *array, bool nulls);
static bool are_embeddings(const json_t *array, bool nulls);
static bool are_metadatas(const json_t *array, bool nulls);
static bool is_metadata_value(const json_t *value, bool nulls);
static bool decode_vector(const json_t *item, size_t dimension, float *ret_vector,
                          struct stub_answer *answer);
static size_t vector_size(const json_t *item);
static bool   base64_decode(const char *text, size_t size, unsigned char *ret_bytes);
static int    base64_digit(char c);
static bool   check_metadata_keys(const json_t *metadatas, struct stub_answer *answer);

static const char *const write_members[] = {"ids",  "embeddings", "documents",
                                            "uris", "metadatas",  NULL};

void stub_payload_done(struct stub_payload *payload)
{
    json_decref(payload->root);
    free(payload->vectors);
    free(payload->has_vector);
    *payload = (struct stub_payload){0};
}

json_t *stub_payload_json(struct bytes text, const char *const *known, struct stub_answer *answer)
{
    json_error_t error;
    json_t      *root = json_loadb(text.data == NULL ? "" : text.data, text.size,
                              JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (root == NULL) {
        stub_answer_error(answer, 400, "ChromaError",
                          "Failed to parse the request body as JSON: %s at line %d column %d",
                          error.text, error.line, error.column);
        return NULL;
    }
    if (!json_is_object(root) || repeats_known(text, known)) {
        stub_answer_error(answer, 422, "ChromaError",
                          "Failed to deserialize the JSON body into the target type: %s",
                          json_is_object(root) ? "duplicate field" : "invalid type");
        json_decref(root);
        return NULL;
    }
    return root;
}

/* Does a known member name occur twice at the top level of `text`, which is valid JSON? */
static bool repeats_known(struct bytes text, const char *const *known)
{
    const char *end = text.data + text.size;
    unsigned    depth = 0, seen = 0;
    bool        is_key = false;

    for (const char *at = text.data; at < end; at++) {
        const char *start;

        if (*at == '{' || *at == '[') {
            is_key = ++depth == 1;
        } else if (*at == '}' || *at == ']') {
            depth--;
        } else if (*at == ',') {
            is_key = depth == 1;
        } else if (*at == '"') {
            for (start = ++at; *at != '"'; at++)
                at += *at == '\\';
            for (size_t i = 0; is_key && known[i] != NULL; i++) {
                if (!bytes_equal(bytes_of(known[i]),
                                 (struct bytes){.data = start, .size = (size_t)(at - start)}))
                    continue;
                if ((seen & 1U << i) != 0)
                    return true;
                seen |= 1U << i;
            }
            is_key = false;
        }
    }
    return false;
}

bool stub_payload_parse(struct stub_payload *payload, enum stub_op op, struct bytes text,
                        struct stub_answer *answer)
{
    *payload = (struct stub_payload){.root = stub_payload_json(text, write_members, answer)};
    if (payload->root == NULL)
        return false;
    payload->ids = json_object_get(payload->root, "ids");
    payload->embeddings = json_object_get(payload->root, "embeddings");
    payload->documents = json_object_get(payload->root, "documents");
    payload->uris = json_object_get(payload->root, "uris");
    payload->metadatas = json_object_get(payload->root, "metadatas");
    if (!check_types(payload, op, answer)) {
        stub_payload_done(payload);
        return false;
    }
    payload->count = json_array_size(payload->ids);
    return true;
}

static bool check_types(struct stub_payload *payload, enum stub_op op, struct stub_answer *answer)
{
    const char *bad = NULL;

    if (json_is_null(payload->embeddings) && op == STUB_OP_UPDATE)
        payload->embeddings = NULL;
    if (json_is_null(payload->documents))
        payload->documents = NULL;
    if (json_is_null(payload->uris))
        payload->uris = NULL;
    if (json_is_null(payload->metadatas))
        payload->metadatas = NULL;
    if (payload->ids == NULL || !are_strings(payload->ids, false))
        bad = "ids";
    else if (payload->embeddings == NULL
                 ? op != STUB_OP_UPDATE
                 : !are_embeddings(payload->embeddings, op == STUB_OP_UPDATE))
        bad = "embeddings";
    else if (payload->documents != NULL && !are_strings(payload->documents, true))
        bad = "documents";
    else if (payload->uris != NULL && !are_strings(payload->uris, true))
        bad = "uris";
    else if (payload->metadatas != NULL && !are_metadatas(payload->metadatas, op != STUB_OP_ADD))
        bad = "metadatas";
    if (bad != NULL)
        stub_answer_error(answer, 422, "ChromaError",
                          "Failed to deserialize the JSON body into the target type: %s: "
                          "missing field or invalid type",
                          bad);
    return bad == NULL;
}

static bool are_strings(const json_t *array, bool nulls)
{
    if (!json_is_array(array))
        return false;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);

        if (!json_is_string(item) && !(nulls && json_is_null(item)))
            return false;
    }
    return true;
}

/* All arrays of numbers, or all strings. */
static bool are_embeddings(const json_t *array, bool nulls)
{
    json_type kind = JSON_NULL;

    if (!json_is_array(array))
        return false;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);

        if (nulls && json_is_null(item))
            continue;
        if (kind == JSON_NULL)
            kind = json_typeof(item);
        if (json_typeof(item) != kind || (kind != JSON_ARRAY && kind != JSON_STRING))
            return false;
        for (size_t j = 0; j < json_array_size(item); j++) {
            if (!json_is_number(json_array_get(item, j)))
                return false;
        }
    }
    return true;
}

static bool are_metadatas(const json_t *array, bool nulls)
{
    if (!json_is_array(array))
        return false;
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t     *item = json_array_get(array, i), *value;
        const char *key;

        if (json_is_null(item))
            continue;
        if (!json_is_object(item))
            return false;
        json_object_foreach(item, key, value)
        {
            if (!is_metadata_value(value, nulls))
                return false;
        }
    }
    return true;
}

static bool is_metadata_value(const json_t *value, bool nulls)
{
    if (json_is_null(value))
        return nulls;
    if (json_is_object(value))
        return json_object_get(value, "#type") != NULL;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);

        if (json_is_object(item) || json_is_array(item) || json_is_null(item) ||
            json_typeof(item) != json_typeof(json_array_get(value, 0)))
            return false;
    }
    return true;
}

bool stub_payload_decode(struct stub_payload *payload, struct stub_answer *answer)
{
    size_t count = json_array_size(payload->embeddings);

    for (size_t i = 0; i < count && payload->dimension == 0; i++)
        payload->dimension = vector_size(json_array_get(payload->embeddings, i));
    if (count > 0) {
        payload->vectors = calloc(count * payload->dimension + 1, sizeof(float));
        payload->has_vector = calloc(count, sizeof(bool));
        payload->vector_count = count;
        if (payload->vectors == NULL || payload->has_vector == NULL) {
            stub_answer_error(answer, 500, "InternalError", "stub: out of memory");
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(payload->embeddings, i);

        if (json_is_null(item))
            continue;
        if (!decode_vector(item, payload->dimension, payload->vectors + i * payload->dimension,
                           answer))
            return false;
        payload->has_vector[i] = true;
    }
    return check_metadata_keys(payload->metadatas, answer);
}

/* The dimension of one embedding; 0 for null and for base64 that is not whole floats. */
static size_t vector_size(const json_t *item)
{
    size_t size = json_string_length(item), padding = 0;

    if (json_is_array(item))
        return json_array_size(item);
    while (padding < 2 && padding < size && json_string_value(item)[size - 1 - padding] == '=')
        padding++;
    size = size / 4 * 3;
    return size < padding ? 0 : (size - padding) / sizeof(float);
}

static bool decode_vector(const json_t *item, size_t dimension, float *ret_vector,
                          struct stub_answer *answer)
{
    size_t size = vector_size(item);

    if (json_is_string(item) && (json_string_length(item) % 4 != 0 || size == 0)) {
        stub_answer_error(answer, 400, "InvalidArgumentError", "Invalid base64 embedding");
        return false;
    }
    if (size == 0) {
        stub_answer_error(answer, 400, "InvalidArgumentError",
                          "Validation error: embedding must not be empty");
        return false;
    }
    if (size != dimension) {
        stub_answer_error(answer, 400, "InvalidArgumentError",
                          "Inconsistent dimensions in provided embeddings");
        return false;
    }
    if (json_is_string(item)) {
        if (!base64_decode(json_string_value(item), json_string_length(item),
                           (unsigned char *)ret_vector)) {
            stub_answer_error(answer, 400, "InvalidArgumentError", "Invalid base64 embedding");
            return false;
        }
    } else {
        for (size_t j = 0; j < size; j++)
            ret_vector[j] = (float)json_number_value(json_array_get(item, j));
    }
    for (size_t j = 0; j < size; j++) {
        if (!isfinite(ret_vector[j])) {
            stub_answer_error(answer, 400, "InvalidArgumentError",
                              "Validation error: embedding must be finite");
            return false;
        }
    }
    return true;
}

/* Whole quartets, padding at the end only; the decoded size must be a multiple of four. */
static bool base64_decode(const char *text, size_t size, unsigned char *ret_bytes)
{
    size_t out = 0;

    for (size_t i = 0; i < size; i += 4) {
        int padding = 0, digits[4];

        for (size_t j = 0; j < 4; j++) {
            digits[j] = base64_digit(text[i + j]);
            if (text[i + j] == '=' && i + 4 == size && j >= 2) {
                digits[j] = 0;
                padding++;
            } else if (digits[j] < 0 || padding > 0) {
                return false;
            }
        }
        ret_bytes[out++] = (unsigned char)(digits[0] << 2 | digits[1] >> 4);
        if (padding < 2)
            ret_bytes[out++] = (unsigned char)((digits[1] & 15) << 4 | digits[2] >> 2);
        if (padding < 1)
            ret_bytes[out++] = (unsigned char)((digits[2] & 3) << 6 | digits[3]);
    }
    return out % sizeof(float) == 0;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool check_metadata_keys(const json_t *metadatas, struct stub_answer *answer)
{
    for (size_t i = 0; i < json_array_size(metadatas); i++) {
        json_t     *item = json_array_get(metadatas, i), *value;
        const char *key;

        json_object_foreach(item, key, value)
        {
            if (*key == '\0' || *key == '#' || *key == '$') {
                stub_answer_error(answer, 400, "InvalidArgumentError",
                                  "Validation error: metadata key cannot be empty or start with "
                                  "# or $");
                return false;
            }
        }
    }
    return true;
}

bool stub_payload_check_lengths(const struct stub_payload *payload, struct stub_answer *answer)
{
    size_t count = payload->count;

    if ((payload->embeddings != NULL && payload->vector_count != count) ||
        (payload->documents != NULL && json_array_size(payload->documents) != count) ||
        (payload->uris != NULL && json_array_size(payload->uris) != count) ||
        (payload->metadatas != NULL && json_array_size(payload->metadatas) != count)) {
        stub_answer_error(answer, 400, "InvalidArgumentError",
                          "Inconsistent number of IDs, embeddings, documents, URIs and metadatas");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (json_string_length(json_array_get(payload->ids, i)) == 0) {
            stub_answer_error(answer, 400, "InvalidArgumentError",
                              "Empty ID, ID must have at least one character");
            return false;
        }
    }
    return true;
}
