#include "chroma/chroma_family.h"

#include "base/text.h"
#include "json/json_scan.h"

/* What the validation of Python servers says with 500 before it applies anything (seen on 0.5.23
 * and 0.6.3): each of these, with any text for a '*', is the whole value of the member. */
static const struct {
    const char *member, *before, *after;
} refusals[] = {
    {"detail", "Embedding dimension ", " does not match collection dimensionality "},
    {"error", "IndexError('list index out of range')", NULL}, /* columns of unequal length */
};

static const struct chroma_family_info infos[CHROMA_FAMILY_COUNT] = {
#define FAMILY(id, ...) {__VA_ARGS__},
#include "chroma/chroma_family.def"
#undef FAMILY
};

static bool take_version(struct bytes body, unsigned *ret_version);
static bool family_take_number(struct bytes *text, unsigned *ret_number);
static bool is_python_refusal(struct bytes body);
static bool is_refusal_member(struct json_string key, struct bytes value);
static bool family_matches(struct bytes value, const char *before, const char *after);
static bool is_number(struct bytes text);

const struct chroma_family_info *chroma_family_info(enum chroma_family family)
{
    return &infos[family];
}

bool chroma_family_parse(struct bytes name, enum chroma_family *ret_family)
{
    for (enum chroma_family family = 0; family < CHROMA_FAMILY_COUNT; family++) {
        if (bytes_equal(name, bytes_of(infos[family].name))) {
            *ret_family = family;
            return true;
        }
    }
    return false;
}

enum chroma_family chroma_family_of_version(struct bytes body, unsigned *ret_version)
{
    enum chroma_family best = CHROMA_FAMILY_UNKNOWN;

    *ret_version = 0;
    if (!take_version(body, ret_version))
        return CHROMA_FAMILY_UNKNOWN;
    for (enum chroma_family family = 0; family < CHROMA_FAMILY_COUNT; family++)
        if (infos[family].first_version != 0 && infos[family].first_version <= *ret_version &&
            infos[family].first_version >= infos[best].first_version)
            best = family;
    return best;
}

/* A JSON string of three numbers; "1.0.0.dev3" is one of Chroma's too. */
static bool take_version(struct bytes body, unsigned *ret_version)
{
    struct json_scan   scan;
    struct json_string text;
    unsigned           version = 0;

    json_scan_init(&scan, body);
    if (!json_scan_string(&scan, &text) || !json_scan_end(&scan) || text.has_escapes)
        return false;
    for (int i = 0; i < 3; i++) {
        unsigned number;

        if (i > 0 && text.raw.size > 0 && text.raw.data[0] == '.')
            text.raw = bytes_skip(text.raw, 1);
        else if (i > 0)
            return false;
        if (!family_take_number(&text.raw, &number))
            return false;
        version = version * 100 + number;
    }
    if (text.raw.size > 0 && text_is_alnum(text.raw.data[0]))
        return false;
    *ret_version = version;
    return true;
}

/* One or two digits. */
static bool family_take_number(struct bytes *text, unsigned *ret_number)
{
    size_t size = 0;

    *ret_number = 0;
    while (size < text->size && text->data[size] >= '0' && text->data[size] <= '9')
        *ret_number = *ret_number * 10 + (unsigned)(text->data[size++] - '0');
    *text = bytes_skip(*text, size);
    return size == 1 || size == 2;
}

enum chroma_family chroma_family_of_answer(enum chroma_operation operation, struct bytes body)
{
    if (operation != CHROMA_OPERATION_ADD && operation != CHROMA_OPERATION_UPSERT &&
        operation != CHROMA_OPERATION_UPDATE)
        return CHROMA_FAMILY_UNKNOWN;
    if (bytes_equal(body, BYTES_LITERAL("{}")))
        return CHROMA_FAMILY_RUST;
    if (bytes_equal(body, BYTES_LITERAL("true")) || bytes_equal(body, BYTES_LITERAL("null")))
        return CHROMA_FAMILY_PYTHON_OLD;
    return CHROMA_FAMILY_UNKNOWN;
}

bool chroma_family_may_merge(enum chroma_family family, const struct chroma_route *route,
                             const struct chroma_records *records, const char **ret_reason)
{
    const struct chroma_family_info *info = &infos[family];

    *ret_reason = NULL;
    if (!info->merges)
        *ret_reason = "a server for which merging is not proved";
    else if (route->is_v1 ? !info->serves_v1 : !info->serves_v2)
        *ret_reason = "an API that the server does not serve";
    else if (!info->keeps_extreme_numbers && (records->traits & CHROMA_TRAIT_EXTREME_NUMBER) != 0)
        *ret_reason = "an extreme number in metadata";
    else if (!info->takes_lists && (records->traits & CHROMA_TRAIT_LIST) != 0)
        *ret_reason = "a list in metadata";
    else if (!info->takes_base64 && records->encoding == CHROMA_ENCODING_BASE64)
        *ret_reason = "a vector in base64";
    else if (!info->takes_null_vectors && (records->traits & CHROMA_TRAIT_NULL_VECTOR) != 0)
        *ret_reason = "null among the vectors";
    else if (!info->takes_repeated_ids && chroma_records_repeat_an_id(records))
        *ret_reason = "an id twice";
    return *ret_reason == NULL;
}

bool chroma_family_is_refusal(enum chroma_family family, unsigned status, struct bytes body)
{
    enum {
        REQUEST_TIMEOUT = 408,
        TOO_MANY_REQUESTS = 429,
        INTERNAL_ERROR = 500,
        NOT_IMPLEMENTED = 501
    };

    if (status / 100 == 4)
        return status != REQUEST_TIMEOUT && status != TOO_MANY_REQUESTS;
    if (status == NOT_IMPLEMENTED)
        return true;
    return status == INTERNAL_ERROR && infos[family].refuses_with_500 && is_python_refusal(body);
}

/* An object of one member. */
static bool is_python_refusal(struct bytes body)
{
    struct json_scan   scan;
    struct json_string key, value;
    bool               is_refusal;

    json_scan_init(&scan, body);
    if (!json_scan_object(&scan) || !json_scan_member(&scan, &key) ||
        !json_scan_string(&scan, &value) || value.has_escapes)
        return false;
    is_refusal = is_refusal_member(key, value.raw);
    return !json_scan_member(&scan, &key) && json_scan_end(&scan) && is_refusal;
}

static bool is_refusal_member(struct json_string key, struct bytes value)
{
    for (size_t i = 0; i < COUNT_OF(refusals); i++)
        if (json_scan_equals(key, bytes_of(refusals[i].member)) &&
            family_matches(value, refusals[i].before, refusals[i].after))
            return true;
    return false;
}

/* `before`, or `before` NUMBER `after` NUMBER. */
static bool family_matches(struct bytes value, const char *before, const char *after)
{
    struct bytes rest;
    const char  *found;

    if (after == NULL || !bytes_begin_with(value, bytes_of(before)))
        return after == NULL && bytes_equal(value, bytes_of(before));
    rest = bytes_skip(value, strlen(before));
    found = memmem(rest.data, rest.size, after, strlen(after));
    return found != NULL &&
           is_number((struct bytes){.data = rest.data, .size = (size_t)(found - rest.data)}) &&
           is_number(bytes_skip(rest, (size_t)(found - rest.data) + strlen(after)));
}

static bool is_number(struct bytes text)
{
    uint64_t number;

    return text_to_number(text, &number);
}
