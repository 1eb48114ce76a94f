#include "mirror/mirror_answer_core.h"
#include "json/json_scan.h"

enum column { IDS, EMBEDDINGS, DOCUMENTS, URIS, METADATAS, DISTANCES };

static void write_column(struct mirror_asked *asked, enum column column, const char *name,
                         bool is_asked);
static void write_element(struct mirror_asked *asked, enum column column, uint32_t i);
static void answer_write_metadata(struct mirror_asked *asked, const struct mirror_value *value);
static void write_include(struct mirror_asked *asked);
static void write_included(struct mirror_asked *asked, const char *name, bool is_first);

enum status mirror_answer_body_refuse(struct mirror_asked *asked, unsigned code, const char *error,
                                      const char *message)
{
    asked->code = code;
    mirror_answer_json_text(&asked->json, "{\"error\":\"");
    mirror_answer_json_text(&asked->json, error);
    mirror_answer_json_text(&asked->json, "\",\"message\":\"");
    mirror_answer_json_text(&asked->json, message);
    mirror_answer_json_text(&asked->json, "\"}");
    return STATUS_OK;
}

void mirror_answer_body_write(struct mirror_asked *asked)
{
    unsigned set = asked->query.include_set;

    mirror_answer_json_text(&asked->json, "{");
    write_column(asked, IDS, "ids", true);
    write_column(asked, EMBEDDINGS, "embeddings", (set & CHROMA_QUERY_INCLUDE_EMBEDDINGS) != 0);
    write_column(asked, DOCUMENTS, "documents", (set & CHROMA_QUERY_INCLUDE_DOCUMENTS) != 0);
    write_column(asked, URIS, "uris", (set & CHROMA_QUERY_INCLUDE_URIS) != 0);
    write_column(asked, METADATAS, "metadatas", (set & CHROMA_QUERY_INCLUDE_METADATAS) != 0);
    if (asked->question->route->operation == CHROMA_OPERATION_QUERY)
        write_column(asked, DISTANCES, "distances", (set & CHROMA_QUERY_INCLUDE_DISTANCES) != 0);
    write_include(asked);
    mirror_answer_json_text(&asked->json, "}");
}

/* A list for each vector of a query. */
static void write_column(struct mirror_asked *asked, enum column column, const char *name,
                         bool is_asked)
{
    bool     is_query = asked->question->route->operation == CHROMA_OPERATION_QUERY;
    uint32_t i = 0;

    mirror_answer_json_text(&asked->json, column == IDS ? "\"" : ",\"");
    mirror_answer_json_text(&asked->json, name);
    mirror_answer_json_text(&asked->json, !is_asked ? "\":null" : is_query ? "\":[" : "\":");
    for (size_t list = 0; is_asked && list < asked->list_count; list++) {
        mirror_answer_json_text(&asked->json, list == 0 ? "[" : ",[");
        for (uint32_t first = i; i < asked->ends[list] && asked->json.status == STATUS_OK; i++) {
            if (i > first)
                mirror_answer_json_text(&asked->json, ",");
            write_element(asked, column, i);
        }
        mirror_answer_json_text(&asked->json, "]");
    }
    if (is_asked && is_query)
        mirror_answer_json_text(&asked->json, "]");
}

static void write_element(struct mirror_asked *asked, enum column column, uint32_t i)
{
    const struct mirror_value *value = &asked->values[i];

    switch (column) {
    case IDS:
        mirror_answer_json_string(&asked->json, true,
                                  mirror_records_id(asked->records, asked->rows[i]));
        break;
    case EMBEDDINGS:
        if (mirror_reader_vector(asked->reader, asked->rows[i], asked->vector) == STATUS_OK)
            mirror_answer_json_vector(&asked->json, asked->vector, asked->dimension);
        else if (asked->json.status == STATUS_OK)
            asked->json.status = STATUS_CORRUPT;
        break;
    case DOCUMENTS:
        mirror_answer_json_string(&asked->json, value->has_document, value->document);
        break;
    case URIS:
        mirror_answer_json_string(&asked->json, value->has_uri, value->uri);
        break;
    case METADATAS:
        answer_write_metadata(asked, value);
        break;
    case DISTANCES:
        mirror_answer_json_float(&asked->json, asked->hits[i].distance);
        break;
    }
}

/* Chroma keeps a uri among the metadata: a record with a uri and nothing else has an empty object.
 */
static void answer_write_metadata(struct mirror_asked *asked, const struct mirror_value *value)
{
    if (value->metadata.size > 0)
        mirror_answer_json_bytes(&asked->json, value->metadata);
    else
        mirror_answer_json_text(&asked->json, value->has_uri ? "{}" : "null");
}

/* As it was asked, without its escapes. */
static void write_include(struct mirror_asked *asked)
{
    static const char *const names[] = {"documents", "metadatas", "distances", "embeddings",
                                        "uris"};
    bool                     is_query = asked->question->route->operation == CHROMA_OPERATION_QUERY;
    struct json_scan         scan;
    struct json_string       name;
    size_t                   written = 0, defaults = is_query ? 3 : 2;

    mirror_answer_json_text(&asked->json, ",\"include\":[");
    if (!mirror_answer_core_has(asked, CHROMA_QUERY_INCLUDE)) {
        while (written < defaults) {
            write_included(asked, names[written], written == 0);
            written++;
        }
    } else {
        json_scan_init(&scan, asked->query.spans[CHROMA_QUERY_INCLUDE]);
        json_scan_array(&scan);
        for (; json_scan_element(&scan) && json_scan_string(&scan, &name); written++)
            for (size_t i = 0; i < COUNT_OF(names); i++)
                if (json_scan_equals(name, bytes_of(names[i])))
                    write_included(asked, names[i], written == 0);
    }
    mirror_answer_json_text(&asked->json, "]");
}

static void write_included(struct mirror_asked *asked, const char *name, bool is_first)
{
    mirror_answer_json_text(&asked->json, is_first ? "\"" : ",\"");
    mirror_answer_json_text(&asked->json, name);
    mirror_answer_json_text(&asked->json, "\"");
}
