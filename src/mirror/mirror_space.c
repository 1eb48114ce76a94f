#include "mirror/mirror_space.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/json_scan.h"

/* A 32-bit sum of so many squares is not farther off than this, in parts of it. */
static const double tolerance = 1e-3;

enum { NUMBER_TEXT_MAX = 64 };

struct probe {
    uint32_t dimension;
    bool     has_record, has_distance;
    double   expected, said;
};

static double probe_number(uint32_t place);
static bool   probe_take(struct probe *probe, struct json_scan *scan, struct json_string key);
static bool   probe_take_vector(struct probe *probe, struct json_scan *scan);
static bool   probe_take_distance(struct probe *probe, struct json_scan *scan);
static bool   probe_take_number(struct json_scan *scan, double *ret_value);

enum status mirror_space_print(uint32_t dimension, struct byte_buffer *out)
{
    enum status status =
        byte_buffer_append(out, BYTES_LITERAL("{\"query_embeddings\":[["), SIZE_MAX);

    for (uint32_t i = 0; i < dimension && status == STATUS_OK; i++)
        status = byte_buffer_printf(out, SIZE_MAX, "%s%.2f", i == 0 ? "" : ",", probe_number(i));
    if (status == STATUS_OK)
        status = byte_buffer_append(
            out, BYTES_LITERAL("]],\"n_results\":1,\"include\":[\"embeddings\",\"distances\"]}"),
            SIZE_MAX);
    return status;
}

/* Exact in two digits and in 32 bits. */
static double probe_number(uint32_t place)
{
    return (place % 2 == 0 ? 0.75 : -1.25) * (1 + place % 3);
}

enum mirror_space_result mirror_space_read(struct bytes answer, uint32_t dimension)
{
    struct probe       probe = {.dimension = dimension};
    struct json_scan   scan;
    struct json_string key;

    json_scan_init(&scan, answer);
    if (!json_scan_object(&scan))
        return MIRROR_SPACE_DIFFERS;
    while (json_scan_member(&scan, &key))
        if (!probe_take(&probe, &scan, key))
            return MIRROR_SPACE_DIFFERS;
    if (!json_scan_end(&scan) || probe.has_record != probe.has_distance)
        return MIRROR_SPACE_DIFFERS;
    if (!probe.has_record)
        return MIRROR_SPACE_EMPTY;
    return fabs(probe.said - probe.expected) <= tolerance * (probe.expected + 1)
               ? MIRROR_SPACE_FITS
               : MIRROR_SPACE_DIFFERS;
}

static bool probe_take(struct probe *probe, struct json_scan *scan, struct json_string key)
{
    bool is_vector = json_scan_equals(key, BYTES_LITERAL("embeddings"));

    if (!is_vector && !json_scan_equals(key, BYTES_LITERAL("distances")))
        return json_scan_value(scan, NULL);
    if (!json_scan_array(scan) || !json_scan_element(scan) || !json_scan_array(scan))
        return false;
    while (json_scan_element(scan))
        if (is_vector ? !probe_take_vector(probe, scan) : !probe_take_distance(probe, scan))
            return false;
    return !scan->failed && !json_scan_element(scan) && !scan->failed;
}

static bool probe_take_vector(struct probe *probe, struct json_scan *scan)
{
    uint32_t count = 0;
    double   value;

    if (probe->has_record || !json_scan_array(scan))
        return false;
    for (; json_scan_element(scan); count++) {
        if (count == probe->dimension || !probe_take_number(scan, &value))
            return false;
        probe->expected += (value - probe_number(count)) * (value - probe_number(count));
    }
    probe->has_record = true;
    return !scan->failed && count == probe->dimension;
}

static bool probe_take_distance(struct probe *probe, struct json_scan *scan)
{
    if (probe->has_distance)
        return false;
    probe->has_distance = true;
    return probe_take_number(scan, &probe->said);
}

static bool probe_take_number(struct json_scan *scan, double *ret_value)
{
    struct json_number number;
    char               text[NUMBER_TEXT_MAX];

    if (!json_scan_number(scan, &number) || number.raw.size >= sizeof text)
        return false;
    memcpy(text, number.raw.data, number.raw.size);
    text[number.raw.size] = '\0';
    *ret_value = strtod(text, NULL);
    return true;
}

bool mirror_space_doubts(struct bytes description)
{
    struct json_scan   scan;
    struct json_string key, value;

    json_scan_init(&scan, description);
    if (!json_scan_object(&scan))
        return true;
    while (json_scan_member(&scan, &key)) {
        if (!json_scan_equals(key, BYTES_LITERAL("metadata")) ||
            json_scan_kind(&scan) != JSON_KIND_OBJECT) {
            json_scan_value(&scan, NULL);
            continue;
        }
        (void)json_scan_object(&scan);
        while (json_scan_member(&scan, &key)) {
            if (!json_scan_equals(key, BYTES_LITERAL("hnsw:space"))) {
                json_scan_value(&scan, NULL);
                continue;
            }
            if (!json_scan_string(&scan, &value) || !json_scan_equals(value, BYTES_LITERAL("l2")))
                return true;
        }
    }
    return !json_scan_end(&scan);
}
