#include "chroma/chroma_query.h"

#include <string.h>

#include "json/json_floats.h"
#include "json/json_scan.h"

enum {
    WORDS_MAX = 256,         /* taken by the digest at a time; even */
    TEXT_SIZE_MAX = 1024,    /* a string with escapes above this stands as it is written */
    INTEGER_DIGITS_MAX = 18, /* certainly within 64 bits, sign or not */
    COUNT_DIGITS_MAX = 10
};

/* What a word begins. Each value is followed by as many words as its mark says, so that no two
 * bodies give the same words. */
enum mark {
    MARK_END = 1, /* of an array or object */
    MARK_ARRAY,
    MARK_OBJECT,
    MARK_NULL,
    MARK_FALSE,
    MARK_TRUE,
    MARK_INTEGER, /* two words */
    MARK_DOUBLE,  /* two words */
    MARK_TEXT,    /* its size, its bytes */
    MARK_LITERAL, /* a string or number as it is written: its size, its bytes */
    MARK_ABSENT,
    MARK_DIGEST, /* of a field's value: four words */
    /* Among 32-bit floats, which never are one of these: they are not numbers. */
    MARK_VECTOR_END = 0x7fc00001,
    MARK_VECTORS_END,
    MARK_FLOAT_LITERAL
};

struct parse {
    struct json_scan           scan;
    const struct chroma_route *route;
    struct chroma_query       *query;
    struct keyed_digest        digest; /* of the value that is being read */
    uint32_t                   words[WORDS_MAX];
    size_t                     word_count;
    const unsigned char       *key;
    unsigned char values[CHROMA_QUERY_FIELD_COUNT][KEYED_DIGEST_SIZE]; /* digests of fields */
    bool          seen[CHROMA_QUERY_FIELD_COUNT];
    bool          is_null[CHROMA_QUERY_FIELD_COUNT];
    const char   *reason;
};

/* Take the value of a field, which is not null; false after refuse_query(). */
typedef bool take_field_fn(struct parse *parse);

static bool take_query_body(struct parse *parse);
static bool take_query_field(struct parse *parse, struct json_string key);
static bool field_may_be_null(enum chroma_query_field field);
static bool take_vectors(struct parse *parse);
static bool take_vector(struct parse *parse, size_t *ret_dimension);
static bool take_float_literal(struct parse *parse);
static bool take_ids(struct parse *parse);
static bool take_filter(struct parse *parse);
static bool take_filter_object(struct parse *parse);
static bool take_filter_array(struct parse *parse);
static bool take_filter_number(struct parse *parse);
static bool take_include(struct parse *parse);
static bool take_n_results(struct parse *parse);
static bool take_limit(struct parse *parse);
static bool take_offset(struct parse *parse);
static bool take_count(struct parse *parse, uint64_t *ret_count);
static void fill_query_defaults(struct parse *parse, bool null_is_default);
static void put_default_include(struct parse *parse);
static void put_whole(struct parse *parse);
static void begin_words(struct parse *parse);
static void end_words(struct parse *parse, unsigned char ret_digest[KEYED_DIGEST_SIZE]);
static void put_word(struct parse *parse, uint32_t word);
static void put_long(struct parse *parse, enum mark mark, uint64_t value);
static void put_sized(struct parse *parse, enum mark mark, struct bytes bytes);
static void put_string(struct parse *parse, struct json_string string);
static bool refuse_query(struct parse *parse, const char *reason);

static const struct {
    const char    *name;
    bool           in_query, in_get;
    take_field_fn *take;
} fields[CHROMA_QUERY_FIELD_COUNT] = {
    [CHROMA_QUERY_EMBEDDINGS] = {"query_embeddings", true, false, take_vectors},
    [CHROMA_QUERY_IDS] = {"ids", true, true, take_ids},
    [CHROMA_QUERY_WHERE] = {"where", true, true, take_filter},
    [CHROMA_QUERY_WHERE_DOCUMENT] = {"where_document", true, true, take_filter},
    [CHROMA_QUERY_INCLUDE] = {"include", true, true, take_include},
    [CHROMA_QUERY_N_RESULTS] = {"n_results", true, false, take_n_results},
    [CHROMA_QUERY_LIMIT] = {"limit", false, true, take_limit},
    [CHROMA_QUERY_OFFSET] = {"offset", false, true, take_offset},
};

/* In the order in which Chroma echoes the default; query has all, get all but the last. */
static const struct {
    const char               *name;
    enum chroma_query_include include;
} includes[] = {
    {"documents", CHROMA_QUERY_INCLUDE_DOCUMENTS}, {"metadatas", CHROMA_QUERY_INCLUDE_METADATAS},
    {"distances", CHROMA_QUERY_INCLUDE_DISTANCES}, {"embeddings", CHROMA_QUERY_INCLUDE_EMBEDDINGS},
    {"uris", CHROMA_QUERY_INCLUDE_URIS},
};

enum status chroma_query_read(const struct chroma_route *route, bool null_is_default,
                              struct bytes body, const unsigned char key[KEYED_DIGEST_KEY_SIZE],
                              struct chroma_query *ret_query, const char **ret_reason)
{
    struct chroma_query query = {.n_results = 10};
    struct parse        parse = {.route = route, .query = &query, .key = key};
    bool                is_count = route->operation == CHROMA_OPERATION_COUNT;

    json_scan_init(&parse.scan, body);
    if (route->is_v1 || !route->has_uuid ||
        (!is_count && route->operation != CHROMA_OPERATION_QUERY &&
         route->operation != CHROMA_OPERATION_GET))
        refuse_query(&parse, "no read of records");
    else if (body.size > UINT32_MAX)
        refuse_query(&parse, "too large");
    else if (is_count && body.size > 0)
        refuse_query(&parse, "a body where none belongs");
    else if (!is_count && take_query_body(&parse))
        fill_query_defaults(&parse, null_is_default);
    if (parse.reason != NULL) {
        *ret_reason = parse.reason;
        return STATUS_INVALID;
    }
    put_whole(&parse);
    *ret_query = query;
    return STATUS_OK;
}

static bool take_query_body(struct parse *parse)
{
    struct json_string key;

    if (!json_scan_object(&parse->scan))
        return refuse_query(parse, "not a JSON object");
    while (json_scan_member(&parse->scan, &key))
        if (!take_query_field(parse, key))
            return false;
    if (!json_scan_end(&parse->scan))
        return refuse_query(parse, "not valid JSON");
    return parse->seen[CHROMA_QUERY_EMBEDDINGS] ||
           parse->route->operation == CHROMA_OPERATION_GET ||
           refuse_query(parse, "no query_embeddings");
}

static bool take_query_field(struct parse *parse, struct json_string key)
{
    bool                    is_query = parse->route->operation == CHROMA_OPERATION_QUERY;
    enum chroma_query_field field = 0;
    const char             *begin;

    while (field < CHROMA_QUERY_FIELD_COUNT && !json_scan_equals(key, bytes_of(fields[field].name)))
        field++;
    if (field == CHROMA_QUERY_FIELD_COUNT ||
        !(is_query ? fields[field].in_query : fields[field].in_get))
        return refuse_query(parse, "an unknown field");
    if (parse->seen[field])
        return refuse_query(parse, "a field twice");
    parse->seen[field] = true;
    if (json_scan_kind(&parse->scan) == JSON_KIND_NULL) {
        parse->is_null[field] = true;
        return field_may_be_null(field) && json_scan_value(&parse->scan, NULL)
                   ? true
                   : refuse_query(parse, "null where Chroma refuses it");
    }
    begin = parse->scan.at;
    begin_words(parse);
    if (!fields[field].take(parse))
        return refuse_query(parse, "not valid JSON");
    end_words(parse, parse->values[field]);
    parse->query->field_set |= 1U << field;
    parse->query->spans[field] =
        (struct bytes){.data = begin, .size = (size_t)(parse->scan.at - begin)};
    return true;
}

static bool field_may_be_null(enum chroma_query_field field)
{
    return field != CHROMA_QUERY_EMBEDDINGS && field != CHROMA_QUERY_INCLUDE;
}

static bool take_vectors(struct parse *parse)
{
    struct chroma_query *query = parse->query;
    size_t               dimension = 0;

    if (!json_scan_array(&parse->scan))
        return false;
    while (json_scan_element(&parse->scan)) {
        if (!take_vector(parse, &dimension))
            return false;
        query->dimension =
            query->vector_count == 0 || query->dimension == dimension ? dimension : 0;
        query->vector_count++;
    }
    put_word(parse, MARK_VECTORS_END);
    return !parse->scan.failed;
}

static bool take_vector(struct parse *parse, size_t *ret_dimension)
{
    float  floats[WORDS_MAX];
    size_t count;

    *ret_dimension = 0;
    if (!json_scan_array(&parse->scan))
        return refuse_query(parse, "a vector that is no array");
    while (json_scan_element(&parse->scan)) {
        /* A number that cannot be taken at once counts as one. */
        count = json_floats_take(&parse->scan, floats, WORDS_MAX);
        if (count == 0 && !take_float_literal(parse))
            return false;
        *ret_dimension += count == 0 ? 1 : count;
        for (size_t i = 0; i < count; i++) {
            uint32_t word;

            memcpy(&word, &floats[i], sizeof word);
            put_word(parse, word);
        }
    }
    put_word(parse, MARK_VECTOR_END);
    return !parse->scan.failed;
}

static bool take_float_literal(struct parse *parse)
{
    struct json_number number;

    if (json_scan_kind(&parse->scan) != JSON_KIND_NUMBER ||
        !json_scan_number(&parse->scan, &number) || !number.is_safe_float)
        return refuse_query(parse, "a vector that holds no finite number");
    put_sized(parse, MARK_FLOAT_LITERAL, number.raw);
    return true;
}

static bool take_ids(struct parse *parse)
{
    struct json_string id;

    if (!json_scan_array(&parse->scan))
        return false;
    while (json_scan_element(&parse->scan)) {
        if (!json_scan_string(&parse->scan, &id))
            return refuse_query(parse, "an id that is not a string");
        put_string(parse, id);
        parse->query->id_count++;
    }
    put_word(parse, MARK_END);
    return !parse->scan.failed;
}

static bool take_filter(struct parse *parse)
{
    struct json_string string;

    switch (json_scan_kind(&parse->scan)) {
    case JSON_KIND_NULL:
        put_word(parse, MARK_NULL);
        return json_scan_value(&parse->scan, NULL);
    case JSON_KIND_BOOL:
        put_word(parse, *parse->scan.at == 't' ? MARK_TRUE : MARK_FALSE);
        return json_scan_value(&parse->scan, NULL);
    case JSON_KIND_NUMBER:
        return take_filter_number(parse);
    case JSON_KIND_STRING:
        if (!json_scan_string(&parse->scan, &string))
            return false;
        put_string(parse, string);
        return true;
    case JSON_KIND_ARRAY:
        return take_filter_array(parse);
    case JSON_KIND_OBJECT:
        return take_filter_object(parse);
    default:
        return false;
    }
}

/* Members count in their order: of several Chroma says that it is no filter. */
static bool take_filter_object(struct parse *parse)
{
    struct json_string key;

    put_word(parse, MARK_OBJECT);
    if (!json_scan_object(&parse->scan))
        return false;
    while (json_scan_member(&parse->scan, &key)) {
        put_string(parse, key);
        if (!take_filter(parse))
            return false;
    }
    put_word(parse, MARK_END);
    return !parse->scan.failed;
}

static bool take_filter_array(struct parse *parse)
{
    put_word(parse, MARK_ARRAY);
    if (!json_scan_array(&parse->scan))
        return false;
    while (json_scan_element(&parse->scan))
        if (!take_filter(parse))
            return false;
    put_word(parse, MARK_END);
    return !parse->scan.failed;
}

/* -0 is a float to some servers and an integer to others. */
static bool take_filter_number(struct parse *parse)
{
    struct json_number number;
    bool               is_negative;
    uint64_t           integer = 0, bits;
    double             value;

    if (!json_scan_number(&parse->scan, &number))
        return false;
    is_negative = number.raw.data[0] == '-';
    if (number.is_integer && number.raw.size <= INTEGER_DIGITS_MAX) {
        for (size_t i = is_negative; i < number.raw.size; i++)
            integer = integer * 10 + (uint64_t)(number.raw.data[i] - '0');
        if (integer != 0 || !is_negative) {
            put_long(parse, MARK_INTEGER, is_negative ? -integer : integer);
            return true;
        }
    } else if (!number.is_integer && json_floats_exact(number, &value)) {
        memcpy(&bits, &value, sizeof bits);
        put_long(parse, MARK_DOUBLE, bits);
        return true;
    }
    put_sized(parse, MARK_LITERAL, number.raw);
    return true;
}

static bool take_include(struct parse *parse)
{
    struct json_string name;

    if (!json_scan_array(&parse->scan))
        return false;
    while (json_scan_element(&parse->scan)) {
        size_t i = 0;

        if (!json_scan_string(&parse->scan, &name))
            return false;
        while (i < COUNT_OF(includes) && !json_scan_equals(name, bytes_of(includes[i].name)))
            i++;
        if (i == COUNT_OF(includes))
            return refuse_query(parse, "something unknown to include");
        put_word(parse, includes[i].include);
        parse->query->include_set |= includes[i].include;
    }
    put_word(parse, 0); /* none of the above */
    return !parse->scan.failed;
}

static bool take_n_results(struct parse *parse)
{
    return take_count(parse, &parse->query->n_results);
}

static bool take_limit(struct parse *parse)
{
    return take_count(parse, &parse->query->limit);
}

static bool take_offset(struct parse *parse)
{
    return take_count(parse, &parse->query->offset);
}

static bool take_count(struct parse *parse, uint64_t *ret_count)
{
    struct json_number number;
    uint64_t           count = 0;

    if (!json_scan_number(&parse->scan, &number))
        return false;
    if (!number.is_integer || number.raw.size > COUNT_DIGITS_MAX || number.raw.data[0] == '-')
        return refuse_query(parse, "a number of records that is none");
    for (size_t i = 0; i < number.raw.size; i++)
        count = count * 10 + (uint64_t)(number.raw.data[i] - '0');
    put_long(parse, MARK_INTEGER, count);
    *ret_count = count;
    return true;
}

/* Give fields that are not there the value that they stand for, or say that they are not there. */
static void fill_query_defaults(struct parse *parse, bool null_is_default)
{
    bool is_query = parse->route->operation == CHROMA_OPERATION_QUERY;

    for (enum chroma_query_field field = 0; field < CHROMA_QUERY_FIELD_COUNT; field++) {
        if ((parse->query->field_set & 1U << field) != 0)
            continue;
        begin_words(parse);
        if (null_is_default && field == CHROMA_QUERY_INCLUDE)
            put_default_include(parse);
        else if (null_is_default && field == CHROMA_QUERY_N_RESULTS && is_query)
            put_long(parse, MARK_INTEGER, parse->query->n_results);
        else
            put_word(parse, null_is_default || !parse->is_null[field] ? MARK_ABSENT : MARK_NULL);
        end_words(parse, parse->values[field]);
    }
    if (!parse->seen[CHROMA_QUERY_INCLUDE])
        parse->query->include_set = CHROMA_QUERY_INCLUDE_DOCUMENTS |
                                    CHROMA_QUERY_INCLUDE_METADATAS |
                                    (is_query ? CHROMA_QUERY_INCLUDE_DISTANCES : 0U);
}

static void put_default_include(struct parse *parse)
{
    size_t count = parse->route->operation == CHROMA_OPERATION_QUERY ? 3 : 2;

    for (size_t i = 0; i < count; i++)
        put_word(parse, includes[i].include);
    put_word(parse, 0);
}

/* The digest of all: what is asked where, and the digests of what the fields say. */
static void put_whole(struct parse *parse)
{
    begin_words(parse);
    put_word(parse, (uint32_t)parse->route->operation);
    put_sized(parse, MARK_LITERAL, parse->route->tenant);
    put_sized(parse, MARK_LITERAL, parse->route->database);
    if (parse->route->operation != CHROMA_OPERATION_COUNT)
        for (size_t i = 0; i < CHROMA_QUERY_FIELD_COUNT; i++)
            put_sized(parse, MARK_DIGEST,
                      (struct bytes){.data = (const char *)parse->values[i],
                                     .size = sizeof parse->values[i]});
    end_words(parse, parse->query->digest);
}

static void begin_words(struct parse *parse)
{
    keyed_digest_begin(&parse->digest, parse->key);
    parse->word_count = 0;
}

static void end_words(struct parse *parse, unsigned char ret_digest[KEYED_DIGEST_SIZE])
{
    if (parse->word_count % 2 != 0)
        put_word(parse, 0);
    keyed_digest_take(&parse->digest, parse->words, parse->word_count);
    keyed_digest_end(&parse->digest, ret_digest);
}

static void put_word(struct parse *parse, uint32_t word)
{
    if (parse->word_count == WORDS_MAX) {
        keyed_digest_take(&parse->digest, parse->words, WORDS_MAX);
        parse->word_count = 0;
    }
    parse->words[parse->word_count++] = word;
}

static void put_long(struct parse *parse, enum mark mark, uint64_t value)
{
    put_word(parse, (uint32_t)mark);
    put_word(parse, (uint32_t)value);
    put_word(parse, (uint32_t)(value >> 32));
}

static void put_sized(struct parse *parse, enum mark mark, struct bytes bytes)
{
    put_word(parse, (uint32_t)mark);
    put_word(parse, (uint32_t)bytes.size);
    for (size_t i = 0; i < bytes.size; i += sizeof(uint32_t)) {
        uint32_t word = 0;
        size_t   left = bytes.size - i;

        memcpy(&word, bytes.data + i, left < sizeof word ? left : sizeof word);
        put_word(parse, word);
    }
}

/* The same text may be written in several ways. */
static void put_string(struct parse *parse, struct json_string string)
{
    char         decoded[TEXT_SIZE_MAX];
    struct bytes text = string.raw;
    enum mark    mark = MARK_TEXT;

    if (string.has_escapes && string.raw.size <= sizeof decoded)
        text = (struct bytes){.data = decoded, .size = json_scan_decode(string, decoded)};
    else if (string.has_escapes)
        mark = MARK_LITERAL;
    put_sized(parse, mark, text);
}

/* The first reason stands. */
static bool refuse_query(struct parse *parse, const char *reason)
{
    if (parse->reason == NULL)
        parse->reason = reason;
    return false;
}
