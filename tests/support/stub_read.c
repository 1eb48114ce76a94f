#include "support/stub_read.h"

#include <math.h>
#include <stdlib.h>

#include "base/compiler.h"

static const char *const get_members[] = {"ids",     "where", "where_document", "limit", "offset",
                                          "include", NULL};
static const char *const query_members[] = {"query_embeddings", "n_results", "ids", "where",
                                            "where_document",   "include",   NULL};

/* The parts of an answer that may be asked for. */
static const char *const parts[] = {"documents", "metadatas", "uris", "embeddings", "distances"};

enum { PART_DOCUMENTS, PART_METADATAS, PART_URIS, PART_EMBEDDINGS, PART_DISTANCES };

/* Lists that grow record by record; NULL where a part was not asked for. */
struct lists {
    json_t *ids, *parts[COUNT_OF(parts)];
};

struct hit {
    const struct stub_record *record;
    double                    distance;
};

static bool     check_members(json_t *request, struct stub_answer *answer);
static bool     check_query_embeddings(json_t *request);
static bool     asks_for(json_t *request, size_t part, const char *defaults);
static void     lists_init(struct lists *lists, json_t *request, const char *defaults);
static void     lists_add(struct lists *lists, const struct stub_collection *collection,
                          const struct stub_record *record, double distance);
static json_t  *or_null(json_t *value);
static json_t  *vector_json(const struct stub_collection *collection,
                            const struct stub_record     *record);
static uint64_t ask_for(const struct stub_collection *collection, json_t *ids);
static bool     id_is_wanted(uint64_t asked, const struct stub_record *record);
static size_t   find_nearest(const struct stub_collection *collection, json_t *request,
                             json_t *embedding, struct hit *hits);
static double   distance(const struct stub_collection *collection, const float *query,
                         const float *vector);
static int      compare_hits(const void *left, const void *right);

static const char get_defaults[] = "documents metadatas";
static const char query_defaults[] = "documents metadatas distances";

json_t *stub_read_parse(enum stub_op op, struct bytes text, struct stub_answer *answer)
{
    json_t *request =
        stub_payload_json(text, op == STUB_OP_GET ? get_members : query_members, answer);

    if (request == NULL)
        return NULL;
    if (check_members(request, answer)) {
        if (op == STUB_OP_GET || check_query_embeddings(request))
            return request;
        stub_answer_error(answer, 422, "ChromaError",
                          "Failed to deserialize the JSON body into the target type: "
                          "query_embeddings: invalid type");
    }
    json_decref(request);
    return NULL;
}

static bool check_members(json_t *request, struct stub_answer *answer)
{
    json_t *ids = json_object_get(request, "ids"), *include = json_object_get(request, "include");
    json_t *limit = json_object_get(request, "limit"), *offset = json_object_get(request, "offset");
    json_t *document = json_object_get(request, "where_document");

    if ((ids != NULL && !json_is_array(ids) && !json_is_null(ids)) ||
        (include != NULL && !json_is_array(include)) ||
        (limit != NULL && !json_is_integer(limit) && !json_is_null(limit)) ||
        (offset != NULL && !json_is_integer(offset) && !json_is_null(offset))) {
        stub_answer_error(answer, 422, "ChromaError",
                          "Failed to deserialize the JSON body into the target type: "
                          "invalid type");
        return false;
    }
    if (!stub_read_understands(json_object_get(request, "where")) ||
        (document != NULL && !json_is_null(document))) {
        stub_answer_error(answer, 501, "ChromaError", "stub: this filter is not implemented");
        return false;
    }
    return true;
}

static bool check_query_embeddings(json_t *request)
{
    json_t *embeddings = json_object_get(request, "query_embeddings");

    if (!json_is_array(embeddings))
        return false;
    for (size_t i = 0; i < json_array_size(embeddings); i++) {
        json_t *embedding = json_array_get(embeddings, i);

        if (!json_is_array(embedding))
            return false;
        for (size_t j = 0; j < json_array_size(embedding); j++) {
            if (!json_is_number(json_array_get(embedding, j)))
                return false;
        }
    }
    return true;
}

bool stub_read_understands(json_t *where)
{
    const char *key;
    json_t     *value;

    if (where == NULL || json_is_null(where))
        return true;
    if (json_object_size(where) != 1)
        return false;
    json_object_foreach(where, key, value)
    {
        if (*key == '$' || *key == '#' || json_is_array(value) || json_is_null(value))
            return false;
        if (json_is_object(value))
            return json_object_size(value) == 1 && json_object_get(value, "$eq") != NULL;
    }
    return true;
}

bool stub_read_matches(const struct stub_record *record, json_t *where)
{
    const char *key;
    json_t     *value;

    if (!json_is_object(where))
        return true;
    json_object_foreach(where, key, value)
    {
        json_t *wanted = json_is_object(value) ? json_object_get(value, "$eq") : value;

        if (!json_equal(json_object_get(record->metadata, key), wanted))
            return false;
    }
    return true;
}

void stub_read_get(const struct stub_collection *collection, json_t *request,
                   struct stub_answer *answer)
{
    uint64_t     asked = ask_for(collection, json_object_get(request, "ids"));
    json_t      *where = json_object_get(request, "where"), *result = json_object();
    json_t      *limit = json_object_get(request, "limit");
    json_int_t   skip = json_integer_value(json_object_get(request, "offset"));
    json_int_t   left = json_is_integer(limit) ? json_integer_value(limit) : INT64_MAX;
    struct lists lists;

    lists_init(&lists, request, get_defaults);
    LIST_FOR_EACH(node, &collection->records)
    {
        struct stub_record *record = LIST_ITEM(node, struct stub_record, node);

        if (left <= 0)
            break;
        if (!id_is_wanted(asked, record) || !stub_read_matches(record, where) || skip-- > 0)
            continue;
        left--;
        lists_add(&lists, collection, record, 0);
    }
    json_object_set_new(result, "ids", lists.ids);
    for (size_t part = 0; part < PART_DISTANCES; part++)
        json_object_set_new(result, parts[part], or_null(lists.parts[part]));
    json_object_set(result, "include", json_object_get(request, "include"));
    if (json_object_get(result, "include") == NULL)
        json_object_set_new(result, "include", json_pack("[s,s]", "documents", "metadatas"));
    json_decref(lists.parts[PART_DISTANCES]);
    stub_answer_json(answer, 200, result);
}

static bool asks_for(json_t *request, size_t part, const char *defaults)
{
    json_t *include = json_object_get(request, "include");

    if (include == NULL)
        return strstr(defaults, parts[part]) != NULL;
    for (size_t i = 0; i < json_array_size(include); i++) {
        const char *name = json_string_value(json_array_get(include, i));

        if (name != NULL && strcmp(name, parts[part]) == 0)
            return true;
    }
    return false;
}

static void lists_init(struct lists *lists, json_t *request, const char *defaults)
{
    lists->ids = json_array();
    for (size_t part = 0; part < COUNT_OF(parts); part++)
        lists->parts[part] = asks_for(request, part, defaults) ? json_array() : NULL;
}

static void lists_add(struct lists *lists, const struct stub_collection *collection,
                      const struct stub_record *record, double distance)
{
    json_array_append(lists->ids, record->id);
    json_array_append_new(lists->parts[PART_DOCUMENTS], or_null(json_incref(record->document)));
    json_array_append_new(lists->parts[PART_METADATAS], json_object_size(record->metadata) == 0
                                                            ? json_null()
                                                            : json_incref(record->metadata));
    json_array_append_new(lists->parts[PART_URIS], or_null(json_incref(record->uri)));
    if (lists->parts[PART_EMBEDDINGS] != NULL)
        json_array_append_new(lists->parts[PART_EMBEDDINGS], vector_json(collection, record));
    if (lists->parts[PART_DISTANCES] != NULL)
        json_array_append_new(lists->parts[PART_DISTANCES],
                              or_null(isfinite(distance) ? json_real(distance) : NULL));
}

static json_t *or_null(json_t *value)
{
    return value == NULL ? json_null() : value;
}

static json_t *vector_json(const struct stub_collection *collection,
                           const struct stub_record     *record)
{
    json_t *vector;

    if (record->vector == NULL)
        return json_null();
    vector = json_array();
    for (size_t i = 0; i < collection->dimension; i++)
        json_array_append_new(vector, json_real(record->vector[i]));
    return vector;
}

/* Mark the records that a question names, for id_is_wanted(); 0: it names none, and wants all.
 * Comparing each record with each id would take half a second where a copy of 20 000 is filled. */
static uint64_t ask_for(const struct stub_collection *collection, json_t *ids)
{
    static uint64_t last;

    if (!json_is_array(ids))
        return 0;
    last++;
    for (size_t i = 0; i < json_array_size(ids); i++) {
        struct stub_record *record = stub_store_record(collection, json_array_get(ids, i));

        if (record != NULL)
            record->asked = last;
    }
    return last;
}

static bool id_is_wanted(uint64_t asked, const struct stub_record *record)
{
    return asked == 0 || record->asked == asked;
}

void stub_read_query(const struct stub_collection *collection, json_t *request,
                     struct stub_answer *answer)
{
    json_t     *embeddings = json_object_get(request, "query_embeddings");
    json_t     *wanted = json_object_get(request, "n_results"), *result = json_object();
    size_t      n_results = json_is_integer(wanted) ? (size_t)json_integer_value(wanted) : 10;
    struct hit *hits = calloc(collection->record_count + 1, sizeof(*hits));

    json_object_set_new(result, "ids", json_array());
    for (size_t part = 0; part < COUNT_OF(parts); part++)
        json_object_set_new(result, parts[part],
                            asks_for(request, part, query_defaults) ? json_array() : json_null());
    for (size_t i = 0; hits != NULL && i < json_array_size(embeddings); i++) {
        size_t       count = find_nearest(collection, request, json_array_get(embeddings, i), hits);
        struct lists lists;

        lists_init(&lists, request, query_defaults);
        for (size_t j = 0; j < count && j < n_results; j++)
            lists_add(&lists, collection, hits[j].record, hits[j].distance);
        json_array_append_new(json_object_get(result, "ids"), lists.ids);
        for (size_t part = 0; part < COUNT_OF(parts); part++)
            json_array_append_new(json_object_get(result, parts[part]), lists.parts[part]);
    }
    json_object_set(result, "include", json_object_get(request, "include"));
    if (json_object_get(result, "include") == NULL)
        json_object_set_new(result, "include",
                            json_pack("[s,s,s]", "documents", "metadatas", "distances"));
    free(hits);
    stub_answer_json(answer, 200, result);
}

/* Fill `hits` with all records that pass, nearest first; returns how many. */
static size_t find_nearest(const struct stub_collection *collection, json_t *request,
                           json_t *embedding, struct hit *hits)
{
    uint64_t asked = ask_for(collection, json_object_get(request, "ids"));
    json_t  *where = json_object_get(request, "where");
    size_t   count = 0;
    float   *query = calloc(collection->dimension + 1, sizeof(float));

    for (size_t i = 0; query != NULL && i < collection->dimension; i++)
        query[i] = (float)json_number_value(json_array_get(embedding, i));
    LIST_FOR_EACH(node, &collection->records)
    {
        struct stub_record *record = LIST_ITEM(node, struct stub_record, node);

        if (query == NULL || record->vector == NULL || !id_is_wanted(asked, record) ||
            !stub_read_matches(record, where))
            continue;
        hits[count++] =
            (struct hit){.record = record, .distance = distance(collection, query, record->vector)};
    }
    free(query);
    qsort(hits, count, sizeof(*hits), compare_hits);
    return count;
}

static double distance(const struct stub_collection *collection, const float *query,
                       const float *vector)
{
    float squares = 0, dot = 0, left = 0, right = 0;

    for (size_t i = 0; i < collection->dimension; i++) {
        squares += (query[i] - vector[i]) * (query[i] - vector[i]);
        dot += query[i] * vector[i];
        left += query[i] * query[i];
        right += vector[i] * vector[i];
    }
    if (collection->space == STUB_SPACE_L2)
        return squares;
    if (collection->space == STUB_SPACE_IP)
        return 1 - dot;
    return 1 - dot / ((sqrtf(left) + 1e-32F) * (sqrtf(right) + 1e-32F));
}

static int compare_hits(const void *left, const void *right)
{
    double difference =
        ((const struct hit *)left)->distance - ((const struct hit *)right)->distance;

    return (difference > 0) - (difference < 0);
}
