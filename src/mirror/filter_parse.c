#include "mirror/filter_parse.h"

#include <math.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "json/json_scan.h"

struct filter_parse {
    struct json_scan scan;
    struct filter   *filter;
    bool             is_document; /* a `where_document` */
    unsigned         depth;
    enum status      status;
    const char      *reason;
};

/* What an operator takes. */
enum operand_kind {
    OPERAND_SCALAR,
    OPERAND_NUMBER,
    OPERAND_LIST,
    OPERAND_PATTERN /* a regular expression: Chroma's business */
};

static const struct {
    const char       *name;
    enum operand_kind takes;
    enum filter_kind  kind;
    bool              is_negated;
} operators[] = {
    {"$eq", OPERAND_SCALAR, FILTER_IN, false},
    {"$ne", OPERAND_SCALAR, FILTER_IN, true},
    {"$gt", OPERAND_NUMBER, FILTER_GREATER, false},
    {"$gte", OPERAND_NUMBER, FILTER_GREATER_OR_EQUAL, false},
    {"$lt", OPERAND_NUMBER, FILTER_LESS, false},
    {"$lte", OPERAND_NUMBER, FILTER_LESS_OR_EQUAL, false},
    {"$in", OPERAND_LIST, FILTER_IN, false},
    {"$nin", OPERAND_LIST, FILTER_IN, true},
    {"$contains", OPERAND_SCALAR, FILTER_LIST_HAS, false},
    {"$not_contains", OPERAND_SCALAR, FILTER_LIST_HAS, true},
    {"$regex", OPERAND_PATTERN, FILTER_DOCUMENT_HAS, false},
    {"$not_regex", OPERAND_PATTERN, FILTER_DOCUMENT_HAS, true},
};

static bool         parse_clause(struct filter_parse *parse);
static bool         take_only_member(struct filter_parse *parse, struct json_string *ret_key);
static bool         close_object(struct filter_parse *parse);
static bool         parse_group(struct filter_parse *parse, enum filter_kind kind);
static bool         parse_document_operand(struct filter_parse *parse, struct json_string name);
static bool         parse_condition(struct filter_parse *parse, struct json_string key);
static bool         parse_document_condition(struct filter_parse *parse);
static bool         parse_operation(struct filter_parse *parse, struct filter_node *node);
static size_t       find_operator(struct json_string name);
static bool         parse_list(struct filter_parse *parse, struct filter_node *node);
static void         sort_operands(struct filter_parse *parse, const struct filter_node *node);
static int          compare_flags(const void *left, const void *right);
static int          compare_numbers(const void *left, const void *right);
static int          compare_texts(const void *left, const void *right);
static bool         parse_needle(struct filter_parse *parse, struct filter_node *node);
static bool         parse_scalar(struct filter_parse *parse, struct filter_node *node);
static bool         read_operand_number(struct filter_parse *parse, enum mirror_type wanted,
                                        enum mirror_type *ret_type, union filter_operand *operand);
static int64_t      to_integer(double real);
static bool         add_operand(struct filter_parse *parse, struct filter_node *node,
                                union filter_operand operand);
static struct bytes filter_text(struct filter_parse *parse, struct json_string string);
static bool         add_node(struct filter_parse *parse, struct filter_node node);
static bool         malformed(struct filter_parse *parse);
static bool         ask_chroma(struct filter_parse *parse, const char *reason);
static bool         was_added(struct filter_parse *parse, enum status status, const char *limit);

/* Once the whole is known to be valid, no step of the scan fails. */
enum status filter_parse(struct filter *filter, struct bytes json, bool is_document,
                         const char **ret_reason)
{
    struct filter_parse parse = {.filter = filter, .is_document = is_document, .status = STATUS_OK};

    json_scan_init(&parse.scan, json);
    if (json.size > FILTER_SIZE_MAX)
        ask_chroma(&parse, "a large filter");
    else if (!json_scan_is_valid(json))
        ask_chroma(&parse, "not valid JSON");
    else if (json_scan_kind(&parse.scan) != JSON_KIND_NULL)
        parse_clause(&parse);
    if (parse.status != STATUS_OK)
        *ret_reason = parse.reason;
    return parse.status;
}

/* An object with one member: an operator that holds others, or a condition. */
static bool parse_clause(struct filter_parse *parse)
{
    struct json_string key;

    if (!take_only_member(parse, &key))
        return false;
    if (json_scan_equals(key, BYTES_LITERAL("$and")))
        return parse_group(parse, FILTER_AND) && close_object(parse);
    if (json_scan_equals(key, BYTES_LITERAL("$or")))
        return parse_group(parse, FILTER_OR) && close_object(parse);
    return (parse->is_document ? parse_document_operand(parse, key)
                               : parse_condition(parse, key)) &&
           close_object(parse);
}

/* Chroma looks first how many members there are. Of a key that is there twice the last value counts
 * for it, so that two of them may be one. */
static bool take_only_member(struct filter_parse *parse, struct json_string *ret_key)
{
    struct json_scan   ahead = parse->scan;
    struct json_string first, second;

    if (json_scan_kind(&ahead) != JSON_KIND_OBJECT)
        return malformed(parse);
    json_scan_object(&ahead);
    if (!json_scan_member(&ahead, &first))
        return malformed(parse);
    json_scan_value(&ahead, NULL);
    if (json_scan_member(&ahead, &second))
        return first.has_escapes || second.has_escapes || bytes_equal(first.raw, second.raw)
                   ? ask_chroma(parse, "an object with a key twice")
                   : malformed(parse);
    return json_scan_object(&parse->scan) && json_scan_member(&parse->scan, ret_key);
}

static bool close_object(struct filter_parse *parse)
{
    struct json_string none;

    json_scan_member(&parse->scan, &none);
    return true;
}

static bool parse_group(struct filter_parse *parse, enum filter_kind kind)
{
    size_t place = filter_program_node_count(parse->filter);

    if (json_scan_kind(&parse->scan) != JSON_KIND_ARRAY)
        return malformed(parse);
    if (parse->depth == FILTER_DEPTH_MAX)
        return ask_chroma(parse, "a deep filter");
    if (!add_node(parse, (struct filter_node){.kind = kind}))
        return false;
    parse->depth++;
    json_scan_array(&parse->scan);
    while (json_scan_element(&parse->scan))
        if (!parse_clause(parse))
            return false;
    parse->depth--;
    filter_program_nodes(parse->filter)[place].end =
        (uint32_t)filter_program_node_count(parse->filter);
    return true;
}

static bool parse_document_operand(struct filter_parse *parse, struct json_string name)
{
    size_t             found = find_operator(name);
    struct filter_node node = {.kind = FILTER_DOCUMENT_HAS};

    if (json_scan_kind(&parse->scan) != JSON_KIND_STRING || found == COUNT_OF(operators))
        return malformed(parse);
    if (operators[found].takes == OPERAND_PATTERN)
        return ask_chroma(parse, "a regular expression");
    if (operators[found].kind != FILTER_LIST_HAS)
        return malformed(parse);
    node.is_negated = operators[found].is_negated;
    return parse_needle(parse, &node) && add_node(parse, node);
}

/* {"key": value} or {"key": {"$operator": operand}} */
static bool parse_condition(struct filter_parse *parse, struct json_string key)
{
    struct filter_node node = {.kind = FILTER_IN, .key = filter_text(parse, key)};

    if (bytes_begin_with(node.key, BYTES_LITERAL("$")))
        return malformed(parse);
    if (bytes_equal(node.key, BYTES_LITERAL("#document")))
        return parse_document_condition(parse);
    if (bytes_begin_with(node.key, BYTES_LITERAL("#")) ||
        bytes_begin_with(node.key, BYTES_LITERAL("chroma:")))
        return ask_chroma(parse, "a key that is Chroma's own");
    if (json_scan_kind(&parse->scan) == JSON_KIND_OBJECT)
        return parse_operation(parse, &node) && add_node(parse, node);
    return parse_scalar(parse, &node) && add_node(parse, node);
}

/* {"#document": {"$contains": ..}}; as metadata the key may not be asked for. */
static bool parse_document_condition(struct filter_parse *parse)
{
    struct json_string name;
    size_t             found;

    if (json_scan_kind(&parse->scan) != JSON_KIND_OBJECT)
        return ask_chroma(parse, "a key that is Chroma's own");
    if (!take_only_member(parse, &name))
        return false;
    found = find_operator(name);
    if (found < COUNT_OF(operators) && operators[found].takes != OPERAND_PATTERN &&
        operators[found].kind != FILTER_LIST_HAS)
        return ask_chroma(parse, "a key that is Chroma's own");
    return parse_document_operand(parse, name) && close_object(parse);
}

static bool parse_operation(struct filter_parse *parse, struct filter_node *node)
{
    struct json_string name;
    size_t             found;

    if (!take_only_member(parse, &name))
        return false;
    found = find_operator(name);
    if (found == COUNT_OF(operators) || operators[found].takes == OPERAND_PATTERN)
        return malformed(parse);
    node->kind = operators[found].kind;
    node->is_negated = operators[found].is_negated;
    if (operators[found].takes == OPERAND_LIST)
        return parse_list(parse, node) && close_object(parse);
    if (operators[found].takes == OPERAND_NUMBER &&
        json_scan_kind(&parse->scan) != JSON_KIND_NUMBER)
        return malformed(parse);
    return parse_scalar(parse, node) && close_object(parse);
}

/* COUNT_OF(operators): none is called so. */
static size_t find_operator(struct json_string name)
{
    size_t found = 0;

    while (found < COUNT_OF(operators) && !json_scan_equals(name, bytes_of(operators[found].name)))
        found++;
    return found;
}

/* The first item decides on the type of all. */
static bool parse_list(struct filter_parse *parse, struct filter_node *node)
{
    if (json_scan_kind(&parse->scan) != JSON_KIND_ARRAY)
        return malformed(parse);
    json_scan_array(&parse->scan);
    while (json_scan_element(&parse->scan))
        if (!parse_scalar(parse, node))
            return false;
    if (node->operand_count == 0)
        return malformed(parse);
    sort_operands(parse, node);
    return true;
}

static void sort_operands(struct filter_parse *parse, const struct filter_node *node)
{
    union filter_operand *operands = filter_program_operands(parse->filter) + node->operand;

    qsort(operands, node->operand_count, sizeof *operands,
          node->type == MIRROR_TYPE_BOOL     ? compare_flags
          : node->type == MIRROR_TYPE_STRING ? compare_texts
                                             : compare_numbers);
}

static int compare_flags(const void *left, const void *right)
{
    const union filter_operand *one = left, *other = right;

    return (int)one->flag - (int)other->flag;
}

/* Both readings never fall when one rises, so this sorts by either. */
static int compare_numbers(const void *left, const void *right)
{
    const union filter_operand *one = left, *other = right;

    if (one->number.integer != other->number.integer)
        return one->number.integer < other->number.integer ? -1 : 1;
    return (one->number.real > other->number.real) - (one->number.real < other->number.real);
}

static int compare_texts(const void *left, const void *right)
{
    const union filter_operand *one = left, *other = right;

    return mirror_metadata_compare(one->text, other->text);
}

/* A text to look for in documents. SQLite's LIKE takes it up to a NUL, and with it loses the '%'
 * that would have stood behind it. It also takes U+FFFE and U+FFFF for U+FFFD. */
static bool parse_needle(struct filter_parse *parse, struct filter_node *node)
{
    struct json_string   string;
    union filter_operand needle;
    size_t               size;

    json_scan_string(&parse->scan, &string);
    needle.text = filter_text(parse, string);
    if (needle.text.size > FILTER_NEEDLE_MAX)
        return ask_chroma(parse, "a long text to look for");
    for (size_t i = 0; i + 2 < needle.text.size; i++)
        if (memcmp(needle.text.data + i, "\xef\xbf", 2) == 0 &&
            (unsigned char)needle.text.data[i + 2] >= 0xbd)
            return ask_chroma(parse, "a character that SQLite takes for another");
    node->kind = FILTER_DOCUMENT_HAS;
    node->type = MIRROR_TYPE_STRING;
    size = strnlen(needle.text.data, needle.text.size);
    node->is_suffix = size < needle.text.size;
    needle.text.size = size;
    return add_operand(parse, node, needle);
}

/* A string, bool or number; another item of a list has the type of the first, but that floats may
 * be written as integers. */
static bool parse_scalar(struct filter_parse *parse, struct filter_node *node)
{
    bool                 is_first = node->operand_count == 0;
    enum mirror_type     type = MIRROR_TYPE_NULL;
    union filter_operand operand = {.number = {0}};
    struct json_string   string;

    switch (json_scan_kind(&parse->scan)) {
    case JSON_KIND_BOOL:
        type = MIRROR_TYPE_BOOL;
        operand.flag = *parse->scan.at == 't';
        json_scan_value(&parse->scan, NULL);
        break;
    case JSON_KIND_STRING:
        type = MIRROR_TYPE_STRING;
        json_scan_string(&parse->scan, &string);
        operand.text = filter_text(parse, string);
        break;
    case JSON_KIND_NUMBER:
        if (!read_operand_number(parse, is_first ? MIRROR_TYPE_NULL : node->type, &type, &operand))
            return false;
        break;
    default:
        return malformed(parse);
    }
    if (!is_first && type != node->type)
        return malformed(parse);
    node->type = type;
    return add_operand(parse, node, operand);
}

/* An integer beyond 64 bits with a sign is nothing that Chroma takes alone or as the first of
 * a list; among floats it is one. */
static bool read_operand_number(struct filter_parse *parse, enum mirror_type wanted,
                                enum mirror_type *ret_type, union filter_operand *operand)
{
    struct json_number    number;
    enum json_number_kind kind;

    json_scan_number(&parse->scan, &number);
    kind = json_number_read(number, &operand->number.integer, &operand->number.real);
    if (kind == JSON_NUMBER_UNSIGNED && wanted != MIRROR_TYPE_DOUBLE)
        return malformed(parse);
    *ret_type = kind == JSON_NUMBER_INTEGER && wanted != MIRROR_TYPE_DOUBLE ? MIRROR_TYPE_INTEGER
                                                                            : MIRROR_TYPE_DOUBLE;
    if (*ret_type == MIRROR_TYPE_DOUBLE)
        operand->number.integer = to_integer(operand->number.real);
    return true;
}

/* Cut towards zero, and to what fits. */
static int64_t to_integer(double real)
{
    const double limit = 0x1p63;

    return real >= limit ? INT64_MAX : real < -limit ? INT64_MIN : (int64_t)real;
}

static bool add_operand(struct filter_parse *parse, struct filter_node *node,
                        union filter_operand operand)
{
    const size_t limit = FILTER_OPERANDS_MAX * sizeof operand;
    size_t       place = filter_program_operand_count(parse->filter);
    enum status  status = byte_buffer_append(
         &parse->filter->operands,
         (struct bytes){.data = (const char *)&operand, .size = sizeof operand}, limit);

    if (node->operand_count++ == 0)
        node->operand = (uint32_t)place;
    return was_added(parse, status, "many operands");
}

static struct bytes filter_text(struct filter_parse *parse, struct json_string string)
{
    char *text = parse->filter->text + parse->filter->text_size;

    parse->filter->text_size += json_scan_decode(string, text);
    return (struct bytes){.data = text,
                          .size = (size_t)(parse->filter->text + parse->filter->text_size - text)};
}

static bool add_node(struct filter_parse *parse, struct filter_node node)
{
    enum status status = byte_buffer_append(
        &parse->filter->nodes, (struct bytes){.data = (const char *)&node, .size = sizeof node},
        FILTER_NODES_MAX * sizeof node);

    return was_added(parse, status, "many conditions");
}

/* What a growing buffer said; true: it grew. */
static bool was_added(struct filter_parse *parse, enum status status, const char *limit)
{
    if (status == STATUS_NO_MEMORY) {
        parse->status = status;
        parse->reason = "out of memory";
        return false;
    }
    return status == STATUS_OK || ask_chroma(parse, limit);
}

/* Chroma's own words. */
static bool malformed(struct filter_parse *parse)
{
    parse->status = STATUS_INVALID;
    parse->reason = parse->is_document ? "Invalid where document clause" : "Invalid where clause";
    return false;
}

static bool ask_chroma(struct filter_parse *parse, const char *reason)
{
    parse->status = STATUS_NOT_IMPLEMENTED;
    parse->reason = reason;
    return false;
}
