#include "mirror/mirror_copy.h"

#include <pthread.h>
#include <stdlib.h>

#include "mirror/mirror_answer.h"
#include "mirror/mirror_metadata_write.h"
#include "mirror/mirror_page.h"
#include "mirror/mirror_readers.h"
#include "mirror/record_delete.h"
#include "mirror/record_effects.h"
#include "json/json_scan.h"

enum {
    page_records_first = 32, /* nobody knows how large they are */
    page_records_max = 4096,
    page_body_max = 1 << 20, /* bytes of ids that are asked for */
    /* Pages that fill nothing, without a write: what Chroma lists and does not have is not going to
     * come. A delete that is under way may be the reason for a while. */
    pages_in_vain_max = 256
};

/* The page that is under way. */
struct copy_page {
    bool      is_asked;
    uint32_t *rows; /* sorted */
    bool     *are_answered;
    uint32_t  count, room;
};

struct mirror_copy {
    /* Who changes the records holds it for writing, and only then. All that follows is of the one
     * call at a time that changes something; `is_listed` and `is_broken` are changed under it. */
    pthread_rwlock_t       lock;
    struct mirror_records *records;
    struct mirror_readers *readers;
    bool                   is_listed;
    bool                   is_broken; /* a change was begun and not ended */
    uint64_t               list_sent;

    struct copy_page page;
    size_t           position; /* of the walk for hollow records */
    uint32_t         page_records;
    uint64_t         record_bytes; /* of the answer, a running mean; 0: not known */
    unsigned         pages_in_vain;
    bool             is_unlinked; /* pages put vectors that no search is certain to find */
};

static mirror_copy_fn answer_asked;
static enum status    make_copy(struct mirror_records *records, struct mirror_copy **ret_copy);
static enum status    open_lock(struct mirror_copy *copy);
static enum status    begin_copy_change(struct mirror_copy *copy);
static enum status    end_copy_change(struct mirror_copy *copy, enum status status);
static enum status    link_if_whole(struct mirror_copy *copy);
static enum status    put_list(struct mirror_copy *copy, const struct mirror_page *list,
                               const char **ret_reason);
static enum status    take_hollow(struct mirror_copy *copy, size_t bytes_wanted,
                                  struct byte_buffer *ret_body);
static enum status    make_page_room(struct copy_page *page, uint32_t count);
static enum status    append_asked_id(struct byte_buffer *body, struct bytes id, bool is_first);
static int            compare_asked(const void *left, const void *right);
static enum status    choose_page_records(struct mirror_copy          *copy,
                                          const struct mirror_moments *moments,
                                          struct mirror_page *answer, uint32_t *ret_rows,
                                          uint32_t *ret_count, const char **ret_reason);
static void           move_record(struct mirror_page *page, uint32_t from, uint32_t to);
static enum status    fill_records(struct mirror_copy *copy, const struct mirror_page *answer,
                                   const uint32_t *rows, uint32_t count, uint64_t known,
                                   const char **ret_reason);
static enum status    take_copy_page(struct mirror_copy *copy, struct mirror_page *answer,
                                     const struct mirror_moments *moments, const char **ret_reason);
static void           learn_page(struct mirror_copy *copy, size_t size, uint32_t count);
static enum status    apply_write(struct mirror_copy *copy, enum chroma_operation operation,
                                  struct bytes body, const struct mirror_moments *moments,
                                  const char **ret_reason);
static enum status    apply_delete(struct mirror_copy *copy, struct bytes body, struct bytes answer,
                                   const char **ret_reason);
static enum status    find_deleted(struct mirror_copy *copy, struct bytes body,
                                   struct record_delete *ret_delete, const char **ret_reason);
static enum status    remove_records(struct mirror_copy *copy, struct record_delete *found);

enum status mirror_copy_new(const struct mirror_records_options *options,
                            struct mirror_copy **ret_copy, struct error *error)
{
    struct mirror_records *records;
    enum status            status = mirror_records_new(options, &records, error);

    if (status == STATUS_OK) {
        status = make_copy(records, ret_copy);
        if (status != STATUS_OK)
            error_set(error, status, "%s: %s", options->path, status_text(status));
    }
    return status;
}

enum status mirror_copy_open(const struct mirror_records_options *options,
                             const struct mirror_save_seal *seal, struct mirror_copy **ret_copy)
{
    struct mirror_records *records;
    enum status            status = mirror_save_read(options, seal, &records);

    if (status == STATUS_OK)
        status = make_copy(records, ret_copy);
    else
        mirror_save_remove(options->file_ops, options->path);
    if (status == STATUS_OK)
        (*ret_copy)->is_listed = true;
    return status;
}

/* `records` are taken, whatever comes of it. */
static enum status make_copy(struct mirror_records *records, struct mirror_copy **ret_copy)
{
    struct mirror_copy *copy = calloc(1, sizeof *copy);

    if (copy == NULL || open_lock(copy) != STATUS_OK) {
        mirror_records_free(records);
        free(copy);
        return STATUS_NO_MEMORY;
    }
    copy->page_records = page_records_first;
    copy->records = records;
    copy->readers = mirror_readers_new(copy->records);
    if (copy->readers == NULL) {
        mirror_copy_free(copy);
        return STATUS_NO_MEMORY;
    }
    *ret_copy = copy;
    return STATUS_OK;
}

enum status mirror_copy_save(struct mirror_copy *copy, uint64_t bytes_max,
                             struct mirror_save_seal *ret_seal)
{
    return copy->is_listed && !copy->is_broken
               ? mirror_save_write(copy->records, bytes_max, ret_seal)
               : STATUS_NOT_IMPLEMENTED;
}

/* A flood of readers would keep a writer out for ever otherwise. */
static enum status open_lock(struct mirror_copy *copy)
{
    pthread_rwlockattr_t attributes;
    int                  code = pthread_rwlockattr_init(&attributes);

    if (code != 0)
        return STATUS_NO_MEMORY;
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    code = pthread_rwlock_init(&copy->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return code == 0 ? STATUS_OK : STATUS_NO_MEMORY;
}

void mirror_copy_free(struct mirror_copy *copy)
{
    if (copy == NULL)
        return;
    mirror_readers_free(copy->readers);
    mirror_records_free(copy->records);
    pthread_rwlock_destroy(&copy->lock);
    free(copy->page.rows);
    free(copy->page.are_answered);
    free(copy);
}

/* What fails before end_copy_change() is told to it. */
static enum status begin_copy_change(struct mirror_copy *copy)
{
    pthread_rwlock_wrlock(&copy->lock);
    return mirror_records_begin(copy->records);
}

static enum status end_copy_change(struct mirror_copy *copy, enum status status)
{
    if (status == STATUS_OK)
        status = link_if_whole(copy);
    if (status == STATUS_OK)
        status = mirror_records_commit(copy->records);
    copy->is_broken = copy->is_broken || status != STATUS_OK;
    pthread_rwlock_unlock(&copy->lock);
    return status;
}

/* It looks at all records, so it waits for the change after which the copy may be asked: the last
 * page, or a delete of what was still hollow. */
static enum status link_if_whole(struct mirror_copy *copy)
{
    if (!copy->is_unlinked || mirror_records_hollow_count(copy->records) > 0)
        return STATUS_OK;
    copy->is_unlinked = false;
    return mirror_records_link(copy->records);
}

/* ---- Filling -------------------------------------------------------------------------------- */

struct bytes mirror_copy_list_request(void)
{
    return BYTES_LITERAL("{\"include\":[]}");
}

enum status mirror_copy_list(struct mirror_copy *copy, struct bytes answer,
                             const struct mirror_moments *moments, const char **ret_reason)
{
    struct mirror_page list;
    enum status        status;

    *ret_reason = "a second list";
    if (copy->is_listed || copy->is_broken)
        return STATUS_NOT_IMPLEMENTED;
    status = mirror_page_read(answer, false, &list, ret_reason);
    if (status != STATUS_OK)
        return status;
    status = begin_copy_change(copy);
    if (status == STATUS_OK)
        status = put_list(copy, &list, ret_reason);
    copy->is_listed = true;
    copy->list_sent = moments->sent;
    status = end_copy_change(copy, status);
    mirror_page_done(&list);
    return status;
}

static enum status put_list(struct mirror_copy *copy, const struct mirror_page *list,
                            const char **ret_reason)
{
    enum status status = STATUS_OK;
    uint32_t    row;

    *ret_reason = "a list with an id twice";
    for (uint32_t i = 0; status == STATUS_OK && i < list->count; i++) {
        if (mirror_records_find(copy->records, list->ids[i], &row) == STATUS_OK)
            return STATUS_NOT_IMPLEMENTED;
        status = mirror_records_append(copy->records, list->ids[i], &row);
    }
    return status;
}

enum status mirror_copy_page_request(struct mirror_copy *copy, size_t bytes_wanted,
                                     struct byte_buffer *ret_body)
{
    enum status status;

    copy->page.count = 0;
    copy->page.is_asked = false;
    if (mirror_records_hollow_count(copy->records) == 0)
        return STATUS_NOT_FOUND;
    status = byte_buffer_append(ret_body, BYTES_LITERAL("{\"ids\":["), SIZE_MAX);
    if (status == STATUS_OK)
        status = take_hollow(copy, bytes_wanted, ret_body);
    if (status == STATUS_OK && copy->page.count == 0) {
        copy->position = 0;
        status = take_hollow(copy, bytes_wanted, ret_body);
    }
    if (status == STATUS_OK)
        status = byte_buffer_append(
            ret_body,
            BYTES_LITERAL("],\"include\":[\"documents\",\"metadatas\",\"embeddings\",\"uris\"]}"),
            SIZE_MAX);
    if (status != STATUS_OK)
        return status;
    qsort(copy->page.rows, copy->page.count, sizeof *copy->page.rows, compare_asked);
    copy->page.is_asked = true;
    return STATUS_OK;
}

/* Those that come next, up to the last one. */
static enum status take_hollow(struct mirror_copy *copy, size_t bytes_wanted,
                               struct byte_buffer *ret_body)
{
    struct copy_page *page = &copy->page;
    uint64_t          wanted = copy->page_records;
    uint32_t          row;
    enum status       status;

    if (copy->record_bytes > 0 && bytes_wanted / copy->record_bytes < wanted)
        wanted = bytes_wanted / copy->record_bytes;
    wanted += wanted == 0;
    status = make_page_room(page, (uint32_t)wanted);
    while (status == STATUS_OK && page->count < wanted &&
           byte_buffer_size(ret_body) < page_body_max &&
           mirror_records_next(copy->records, &copy->position, &row)) {
        if (!mirror_records_is_hollow(copy->records, row))
            continue;
        status = append_asked_id(ret_body, mirror_records_id(copy->records, row), page->count == 0);
        page->are_answered[page->count] = false;
        page->rows[page->count++] = row;
    }
    return status;
}

static enum status make_page_room(struct copy_page *page, uint32_t count)
{
    uint32_t *rows;
    bool     *are_answered;

    if (count <= page->room)
        return STATUS_OK;
    rows = realloc(page->rows, count * sizeof *rows);
    if (rows == NULL)
        return STATUS_NO_MEMORY;
    page->rows = rows;
    are_answered = realloc(page->are_answered, count * sizeof *are_answered);
    if (are_answered == NULL)
        return STATUS_NO_MEMORY;
    page->are_answered = are_answered;
    page->room = count;
    return STATUS_OK;
}

static enum status append_asked_id(struct byte_buffer *body, struct bytes id, bool is_first)
{
    enum status status = STATUS_OK;

    if (!is_first)
        status = byte_buffer_append(body, BYTES_LITERAL(","), SIZE_MAX);
    return status == STATUS_OK ? mirror_metadata_write_string(id, body) : status;
}

static int compare_asked(const void *left, const void *right)
{
    uint32_t one = *(const uint32_t *)left, other = *(const uint32_t *)right;

    return (one > other) - (one < other);
}

enum status mirror_copy_page(struct mirror_copy *copy, struct bytes answer,
                             const struct mirror_moments *moments, const char **ret_reason)
{
    struct mirror_page page;
    uint32_t           count;
    enum status        status;

    *ret_reason = "a page that was not asked for";
    if (!copy->page.is_asked || copy->is_broken)
        return STATUS_NOT_IMPLEMENTED;
    copy->page.is_asked = false;
    status = mirror_page_read(answer, true, &page, ret_reason);
    if (status != STATUS_OK)
        return status;
    count = page.count;
    status = take_copy_page(copy, &page, moments, ret_reason);
    if (status == STATUS_OK)
        learn_page(copy, answer.size, count);
    mirror_page_done(&page);
    *ret_reason = status == STATUS_OK ? "records that are listed and not there" : *ret_reason;
    return status == STATUS_OK && copy->pages_in_vain > pages_in_vain_max ? STATUS_NOT_IMPLEMENTED
                                                                          : status;
}

static enum status take_copy_page(struct mirror_copy *copy, struct mirror_page *answer,
                                  const struct mirror_moments *moments, const char **ret_reason)
{
    uint32_t   *rows = malloc((answer->count + 1UL) * sizeof *rows), count;
    enum status status = STATUS_NO_MEMORY;

    if (rows == NULL)
        return status;
    status = choose_page_records(copy, moments, answer, rows, &count, ret_reason);
    if (status == STATUS_OK && count > 0) {
        status = begin_copy_change(copy);
        if (status == STATUS_OK)
            status = fill_records(copy, answer, rows, count, moments->known, ret_reason);
        status = end_copy_change(copy, status);
    }
    if (status == STATUS_OK)
        copy->pages_in_vain = count > 0 ? 0 : copy->pages_in_vain + 1;
    free(rows);
    return status;
}

/* Move those to the front that are to be filled, whose rows are *ret_rows. What is not there any
 * more, or was put anew, is passed over. */
static enum status choose_page_records(struct mirror_copy          *copy,
                                       const struct mirror_moments *moments,
                                       struct mirror_page *answer, uint32_t *ret_rows,
                                       uint32_t *ret_count, const char **ret_reason)
{
    struct copy_page *page = &copy->page;
    uint32_t          row, count = 0;

    *ret_reason = "a page with a record that was not asked for";
    for (uint32_t i = 0; i < answer->count; i++) {
        const uint32_t *asked;

        if (mirror_records_find(copy->records, answer->ids[i], &row) != STATUS_OK ||
            !mirror_records_is_hollow(copy->records, row))
            continue;
        asked = bsearch(&row, page->rows, page->count, sizeof row, compare_asked);
        if (asked == NULL || page->are_answered[asked - page->rows])
            return STATUS_NOT_IMPLEMENTED;
        page->are_answered[asked - page->rows] = true;
        if (mirror_records_mark(copy->records, row) > moments->sent)
            continue;
        move_record(answer, i, count);
        ret_rows[count++] = row;
    }
    *ret_count = count;
    return STATUS_OK;
}

static void move_record(struct mirror_page *page, uint32_t from, uint32_t to)
{
    struct mirror_page_record record = page->records[to];

    if (from == to)
        return;
    page->records[to] = page->records[from];
    page->records[from] = record; /* it has what is to be freed */
    memcpy(page->vectors + (size_t)to * page->dimension,
           page->vectors + (size_t)from * page->dimension, page->dimension * sizeof *page->vectors);
}

static enum status fill_records(struct mirror_copy *copy, const struct mirror_page *answer,
                                const uint32_t *rows, uint32_t count, uint64_t known,
                                const char **ret_reason)
{
    enum status status = STATUS_OK;

    for (uint32_t i = 0; status == STATUS_OK && i < count; i++) {
        const struct mirror_page_record *record = &answer->records[i];

        status = mirror_records_put_value(copy->records, rows[i], &record->value, record->metadata);
        mirror_records_set_mark(copy->records, rows[i], known);
    }
    copy->is_unlinked = true;
    if (status == STATUS_OK)
        status = mirror_records_put_vectors(copy->records, rows, answer->vectors, count,
                                            answer->dimension);
    *ret_reason = "a vector that the index does not take";
    return status == STATUS_INVALID ? STATUS_NOT_IMPLEMENTED : status;
}

/* The next page is as large as is wanted, but may have only twice as many records. */
static void learn_page(struct mirror_copy *copy, size_t size, uint32_t count)
{
    uint64_t each;

    if (count == 0)
        return;
    each = size / count;
    copy->record_bytes = copy->record_bytes == 0 ? each : (3 * copy->record_bytes + each) / 4;
    if (copy->page_records <= copy->page.count && copy->page_records < page_records_max)
        copy->page_records *= 2;
}

/* It may have been too large. */
void mirror_copy_page_failed(struct mirror_copy *copy)
{
    copy->page_records = copy->page.count > 1 ? copy->page.count / 2 : 1;
    copy->page.is_asked = false;
}

/* ---- Keeping -------------------------------------------------------------------------------- */

enum status mirror_copy_write(struct mirror_copy *copy, enum chroma_operation operation,
                              struct bytes body, struct bytes answer,
                              const struct mirror_moments *moments, const char **ret_reason)
{
    *ret_reason = "a write, but no list";
    if (!copy->is_listed || copy->is_broken)
        return STATUS_NOT_IMPLEMENTED;
    if (moments->known < copy->list_sent)
        return STATUS_OK; /* it is in the list */
    copy->pages_in_vain = 0;
    return operation == CHROMA_OPERATION_DELETE
               ? apply_delete(copy, body, answer, ret_reason)
               : apply_write(copy, operation, body, moments, ret_reason);
}

static enum status apply_write(struct mirror_copy *copy, enum chroma_operation operation,
                               struct bytes body, const struct mirror_moments *moments,
                               const char **ret_reason)
{
    struct record_effects *effects;
    enum status            status = record_effects_read(operation, body, &effects, ret_reason);

    if (status != STATUS_OK)
        return status;
    status = begin_copy_change(copy);
    if (status == STATUS_OK)
        status = record_effects_apply(effects, copy->records, moments, ret_reason);
    status = end_copy_change(copy, status);
    record_effects_free(effects);
    return status;
}

/* One that took nothing changes nothing, and it need not be known what it would have taken. */
static enum status apply_delete(struct mirror_copy *copy, struct bytes body, struct bytes answer,
                                const char **ret_reason)
{
    struct record_delete found;
    uint64_t             count = 0;
    bool                 has_count = record_delete_read_count(answer, &count);
    enum status          status = find_deleted(copy, body, &found, ret_reason);

    if (status == STATUS_NOT_IMPLEMENTED && has_count && count == 0)
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    *ret_reason = "a delete of another number than Chroma says";
    if (has_count ? count != found.count : found.is_filtered) {
        record_delete_done(&found);
        return STATUS_NOT_IMPLEMENTED;
    }
    return remove_records(copy, &found);
}

static enum status remove_records(struct mirror_copy *copy, struct record_delete *found)
{
    enum status status = begin_copy_change(copy);

    if (status == STATUS_OK)
        status = record_delete_apply(copy->records, found);
    status = end_copy_change(copy, status);
    record_delete_done(found);
    return status;
}

enum status mirror_copy_delete_found(struct mirror_copy *copy, struct bytes found,
                                     struct bytes answer, const struct mirror_moments *moments,
                                     const char **ret_reason)
{
    struct record_delete rows;
    uint64_t             count;
    enum status          status;

    *ret_reason = "a write, but no list";
    if (!copy->is_listed || copy->is_broken)
        return STATUS_NOT_IMPLEMENTED;
    if (moments->known < copy->list_sent)
        return STATUS_OK; /* it is in the list */
    copy->pages_in_vain = 0;
    status = record_delete_take(copy->records, found, &rows, ret_reason);
    if (status != STATUS_OK)
        return status;
    *ret_reason = "a delete of another number than was found before it";
    if (!record_delete_read_count(answer, &count) || count != rows.count) {
        record_delete_done(&rows);
        return STATUS_NOT_IMPLEMENTED;
    }
    return remove_records(copy, &rows);
}

/* Nobody else changes the records meanwhile, so the lock is not needed. */
static enum status find_deleted(struct mirror_copy *copy, struct bytes body,
                                struct record_delete *ret_delete, const char **ret_reason)
{
    struct mirror_reader *reader;
    enum status           status = mirror_readers_take(copy->readers, &reader);

    if (status != STATUS_OK)
        return status;
    status = mirror_reader_begin(reader);
    if (status == STATUS_OK) {
        status = record_delete_find(copy->records, reader, body, ret_delete, ret_reason);
        mirror_reader_end(reader);
    }
    mirror_readers_give(copy->readers, reader);
    return status;
}

bool mirror_copy_maintain(struct mirror_copy *copy)
{
    bool is_more;

    if (copy->is_broken)
        return false;
    pthread_rwlock_wrlock(&copy->lock);
    is_more = mirror_records_maintain(copy->records);
    pthread_rwlock_unlock(&copy->lock);
    return is_more;
}

/* ---- Answering ------------------------------------------------------------------------------ */

struct asking {
    const struct mirror_question *question;
    unsigned                     *ret_status;
    struct byte_buffer           *ret_body;
    const char                  **ret_reason;
};

enum status mirror_copy_answer(struct mirror_copy *copy, const struct mirror_question *question,
                               unsigned *ret_status, struct byte_buffer *ret_body,
                               const char **ret_reason)
{
    struct asking asking = {.question = question,
                            .ret_status = ret_status,
                            .ret_body = ret_body,
                            .ret_reason = ret_reason};

    *ret_reason = "incomplete";
    return mirror_copy_read(copy, answer_asked, &asking);
}

static enum status answer_asked(const struct mirror_records *records, struct mirror_reader *reader,
                                void *ctx)
{
    struct asking *asking = ctx;

    return mirror_answer(records, reader, asking->question, asking->ret_status, asking->ret_body,
                         asking->ret_reason);
}

enum status mirror_copy_read(struct mirror_copy *copy, mirror_copy_fn *fn, void *ctx)
{
    struct mirror_reader *reader;
    enum status           status = STATUS_NOT_IMPLEMENTED;

    pthread_rwlock_rdlock(&copy->lock);
    if (copy->is_listed && !copy->is_broken && mirror_records_hollow_count(copy->records) == 0)
        status = mirror_readers_take(copy->readers, &reader);
    if (status == STATUS_OK) {
        status = mirror_reader_begin(reader);
        if (status == STATUS_OK) {
            status = fn(copy->records, reader, ctx);
            mirror_reader_end(reader);
        }
        mirror_readers_give(copy->readers, reader);
    }
    pthread_rwlock_unlock(&copy->lock);
    return status;
}

/* ---- What it is ----------------------------------------------------------------------------- */

void mirror_copy_state(struct mirror_copy *copy, struct mirror_copy_state *ret_state)
{
    pthread_rwlock_rdlock(&copy->lock);
    *ret_state = (struct mirror_copy_state){.records = mirror_records_count(copy->records),
                                            .hollow = mirror_records_hollow_count(copy->records),
                                            .dimension = mirror_records_dimension(copy->records),
                                            .is_listed = copy->is_listed};
    mirror_records_usage(copy->records, &ret_state->usage);
    pthread_rwlock_unlock(&copy->lock);
}

struct mirror_records *mirror_copy_records(struct mirror_copy *copy)
{
    return copy->records;
}
