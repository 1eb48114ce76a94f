#include "flow/chroma_model.h"

#include <assert.h>
#include <string.h>

/* The columns of a request, spliced or not. */
struct columns {
    const struct model_request *first;
    bool                        is_mixed, has_bad_key, has_garbage;
    size_t                      size, ids, vectors, documents, metas;
    const struct model_row     *id[MODEL_MERGED_MAX], *vector[MODEL_MERGED_MAX],
        *document[MODEL_MERGED_MAX], *meta[MODEL_MERGED_MAX];
};

static const struct model_row null_row;

static void columns_add(struct columns *columns, const struct model_request *request, int first,
                        int rows, bool null_documents, bool null_metas);
static void column_add(const struct model_row **column, size_t *count,
                       const struct model_request *request, int first, int rows, int length,
                       bool nulls);
static struct model_answer model_write(struct model *model, const struct columns *columns);
static int  model_check(struct model_collection *collection, const struct columns *columns);
static void model_apply(struct model_record *record, enum model_op op,
                        const struct columns *columns, size_t row, bool null_erases);
static struct model_answer model_other(struct model *model, const struct model_request *request);

static struct columns scratch;

struct model_answer model_run(struct model *model, const struct model_request *request)
{
    if (request->credential == 2)
        return (struct model_answer){.status = 401};
    if (request->op > MODEL_UPDATE)
        return model_other(model, request);
    scratch = (struct columns){.first = request};
    columns_add(&scratch, request, 0, MODEL_ROWS, false, false);
    scratch.has_garbage = request->has_garbage;
    return model_write(model, &scratch);
}

struct model_answer model_run_spliced(struct model                      *model,
                                      const struct model_request *const *members, size_t count,
                                      int first, int rows)
{
    bool documents = false, metas = false;

    if (members[0]->credential == 2)
        return (struct model_answer){.status = 401};
    if (members[0]->op > MODEL_UPDATE)
        return model_other(model, members[0]);
    scratch = (struct columns){.first = members[0]};
    for (size_t i = 0; i < count; i++) {
        documents = documents || members[i]->documents >= 0;
        metas = metas || members[i]->metas >= 0;
    }
    for (size_t i = 0; i < count; i++) {
        scratch.is_mixed = scratch.is_mixed || members[i]->is_base64 != members[0]->is_base64;
        columns_add(&scratch, members[i], count == 1 ? first : 0, count == 1 ? rows : MODEL_ROWS,
                    documents, metas);
    }
    return model_write(model, &scratch);
}

static void columns_add(struct columns *columns, const struct model_request *request, int first,
                        int rows, bool null_documents, bool null_metas)
{
    columns->size += request->size;
    columns->has_bad_key = columns->has_bad_key || request->has_bad_key;
    column_add(columns->id, &columns->ids, request, first, rows, request->ids, false);
    column_add(columns->vector, &columns->vectors, request, first, rows, request->vectors, false);
    column_add(columns->document, &columns->documents, request, first, rows, request->documents,
               null_documents);
    column_add(columns->meta, &columns->metas, request, first, rows, request->metas, null_metas);
}

static void column_add(const struct model_row **column, size_t *count,
                       const struct model_request *request, int first, int rows, int length,
                       bool nulls)
{
    int end = length < 0 && nulls ? request->ids : length;

    for (int i = first; i < end && i < first + rows; i++) {
        assert(*count < MODEL_MERGED_MAX);
        column[(*count)++] = length < 0 ? &null_row : &request->rows[i];
    }
}

static struct model_answer model_write(struct model *model, const struct columns *columns)
{
    struct model_collection *collection = &model->collections[columns->first->collection];
    enum model_op            op = columns->first->op;
    int                      status;

    if (columns->size > model->size_max)
        return (struct model_answer){.status = 413};
    if (columns->has_garbage)
        return (struct model_answer){.status = 400};
    if (columns->is_mixed)
        return (struct model_answer){.status = 422};
    for (size_t i = 0; op == MODEL_ADD && i < columns->metas; i++) {
        if (columns->meta[i]->meta[0] == MODEL_META_NULL ||
            columns->meta[i]->meta[1] == MODEL_META_NULL)
            return (struct model_answer){.status = 422};
    }
    if (!collection->exists)
        return (struct model_answer){.status = 404};
    if (columns->ids > model->quota)
        return (struct model_answer){.status = 422, .is_quota = true};
    status = model_check(collection, columns);
    if (status != 200)
        return (struct model_answer){.status = status};
    for (size_t i = 0; i < columns->ids; i++)
        model_apply(&collection->records[columns->id[i]->id], op, columns, i, model->null_erases);
    return (struct model_answer){.status = op == MODEL_ADD ? 201 : 200};
}

/* Chroma's checks in its order: the dimension is fixed before the last ones. */
static int model_check(struct model_collection *collection, const struct columns *columns)
{
    size_t   rows = columns->ids;
    uint32_t dimension = 0;

    if (columns->has_bad_key)
        return 400;
    for (size_t i = 0; i < columns->vectors; i++) {
        uint32_t one = columns->vector[i]->vector == 0 ? 0 : columns->vector[i]->dimension;

        if (one != 0 && dimension != 0 && one != dimension)
            return 400;
        if (one != 0)
            dimension = one;
    }
    if (dimension != 0 && collection->dimension != 0 && dimension != collection->dimension)
        return 400;
    if (dimension != 0)
        collection->dimension = dimension;
    if ((columns->vectors != rows &&
         (columns->first->op != MODEL_UPDATE || columns->vectors > 0)) ||
        (columns->documents != rows && columns->documents > 0) ||
        (columns->metas != rows && columns->metas > 0))
        return 400;
    for (size_t i = 0; i < rows; i++) {
        if (columns->id[i]->id == 0)
            return 400;
    }
    return 200;
}

static void model_apply(struct model_record *record, enum model_op op,
                        const struct columns *columns, size_t row, bool null_erases)
{
    if ((op == MODEL_ADD && record->is_present) || (op == MODEL_UPDATE && !record->is_present))
        return;
    record->is_present = true;
    if (row < columns->vectors && columns->vector[row]->vector != 0)
        record->vector = columns->vector[row]->vector;
    if (row < columns->documents && (columns->document[row]->document != 0 || null_erases))
        record->document = columns->document[row]->document;
    for (size_t key = 0; row < columns->metas && key < 2; key++) {
        uint32_t value = columns->meta[row]->meta[key];

        if (value == MODEL_META_NULL)
            record->meta[key] = 0;
        else if (value != 0)
            record->meta[key] = value;
    }
}

static struct model_answer model_other(struct model *model, const struct model_request *request)
{
    struct model_collection *collection = &model->collections[request->collection];
    struct model_answer      answer = {.status = 200};

    if (request->op == MODEL_RESET) {
        for (size_t i = 0; i < request->rows[0].vector; i++)
            model->collections[i].exists = false;
        return answer;
    }
    if (!collection->exists)
        return (struct model_answer){.status = 404};
    switch (request->op) {
    case MODEL_DELETE_IDS: /* counts what was asked for, not what was there */
        for (int i = 0; i < request->ids; i++)
            collection->records[request->rows[i].id] = (struct model_record){0};
        answer.body = (uint32_t)request->ids;
        break;
    case MODEL_DELETE_WHERE:
        for (size_t i = 0; i < MODEL_IDS; i++) {
            if (collection->records[i].is_present && collection->records[i].meta[0] % 2 == 1) {
                collection->records[i] = (struct model_record){0};
                answer.body++;
            }
        }
        break;
    case MODEL_MODIFY:
        collection->modified = request->rows[0].vector;
        break;
    default:
        collection->exists = false;
        break;
    }
    return answer;
}
