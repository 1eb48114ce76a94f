#include "flow/fake_mirror_copy.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mirror_copy {
    struct fake_records           records;
    struct mirror_records_options options;
    bool                          is_listed, has_page;
    size_t                        asked_count;
    char                          asked[FAKE_RECORDS_MAX][FAKE_RECORDS_TEXT];
    uint64_t                      last_known;
};

struct fake_mirror_copies fake_mirror_copies;
struct fake_records       fake_mirror_saved;

static enum status take_failure(void)
{
    enum status status = fake_mirror_copies.fails;

    fake_mirror_copies.fails = STATUS_OK;
    return status;
}

/* What is told is told in the order in which it was known, but for the list. */
static void note_known(struct mirror_copy *copy, const struct mirror_moments *moments)
{
    assert(moments->sent < moments->known && moments->known > copy->last_known);
    copy->last_known = moments->known;
}

enum status mirror_copy_new(const struct mirror_records_options *options,
                            struct mirror_copy **ret_copy, struct error *error)
{
    struct mirror_copy *copy = calloc(1, sizeof *copy);

    (void)error;
    assert(copy != NULL && options->space != COLLECTION_SPACE_UNKNOWN && options->memory_max > 0 &&
           options->disk_max > 0);
    copy->options = *options;
    fake_mirror_copies.made++;
    fake_mirror_copies.alive++;
    if (fake_mirror_copies.alive > fake_mirror_copies.alive_peak)
        fake_mirror_copies.alive_peak = fake_mirror_copies.alive;
    assert(strcmp(fake_mirror_copies.last_path, options->path) != 0);
    snprintf(fake_mirror_copies.last_path, sizeof fake_mirror_copies.last_path, "%s",
             options->path);
    fake_mirror_copies.last_memory_max = options->memory_max;
    *ret_copy = copy;
    return take_failure();
}

enum status mirror_copy_open(const struct mirror_records_options *options,
                             const struct mirror_save_seal *seal, struct mirror_copy **ret_copy)
{
    char        path[300];
    enum status status;

    snprintf(path, sizeof path, "%s.records", options->path);
    assert(unlink(path) == 0 && seal->records == fake_mirror_saved.count && seal->size == 1);
    status = mirror_copy_new(options, ret_copy, NULL);
    if (status != STATUS_OK) {
        mirror_copy_free(*ret_copy);
        *ret_copy = NULL;
        return status;
    }
    (*ret_copy)->records = fake_mirror_saved;
    (*ret_copy)->is_listed = true;
    return STATUS_OK;
}

enum status mirror_copy_save(struct mirror_copy *copy, uint64_t bytes_max,
                             struct mirror_save_seal *ret_seal)
{
    char  path[300];
    FILE *file;

    assert(copy->is_listed && !copy->has_page);
    if (bytes_max < 1000)
        return STATUS_LIMIT_REACHED;
    snprintf(path, sizeof path, "%s.records", copy->options.path);
    file = fopen(path, "w");
    assert(file != NULL && fputc('x', file) == 'x');
    fclose(file);
    fake_mirror_saved = copy->records;
    for (size_t i = 0; i < fake_mirror_saved.count; i++)
        fake_mirror_saved.list[i].mark = 0;
    *ret_seal = (struct mirror_save_seal){.size = 1, .records = (uint32_t)copy->records.count};
    return STATUS_OK;
}

void mirror_copy_free(struct mirror_copy *copy)
{
    fake_mirror_copies.alive -= copy != NULL;
    free(copy);
}

struct bytes mirror_copy_list_request(void)
{
    return BYTES_LITERAL("{\"include\":[]}");
}

static uint64_t memory_of(const struct mirror_copy *copy)
{
    return 1000 + copy->records.count * fake_mirror_copies.record_memory;
}

static enum status check_memory(const struct mirror_copy *copy)
{
    return memory_of(copy) > copy->options.memory_max ? STATUS_LIMIT_REACHED : take_failure();
}

enum status mirror_copy_list(struct mirror_copy *copy, struct bytes answer,
                             const struct mirror_moments *moments, const char **ret_reason)
{
    static char ids[FAKE_RECORDS_MAX][FAKE_RECORDS_TEXT];
    size_t      count = fake_records_read(answer, "ids", ids);

    assert(!copy->is_listed && copy->records.count == 0 && moments->sent < moments->known);
    copy->is_listed = true;
    *ret_reason = "as the test wants it";
    for (size_t i = 0; i < count; i++)
        fake_records_append(&copy->records, ids[i], "")->is_hollow = true;
    return check_memory(copy);
}

static size_t hollow_count(const struct mirror_copy *copy)
{
    size_t count = 0;

    for (size_t i = 0; i < copy->records.count; i++)
        count += copy->records.list[i].is_hollow;
    return count;
}

enum status mirror_copy_page_request(struct mirror_copy *copy, size_t bytes_wanted,
                                     struct byte_buffer *ret_body)
{
    assert(copy->is_listed && !copy->has_page && bytes_wanted > 0);
    fake_mirror_copies.page_bytes = bytes_wanted;
    copy->asked_count = 0;
    for (size_t i = 0;
         i < copy->records.count && copy->asked_count < fake_mirror_copies.page_records; i++) {
        if (copy->records.list[i].is_hollow)
            strcpy(copy->asked[copy->asked_count++], copy->records.list[i].id);
    }
    if (copy->asked_count == 0)
        return STATUS_NOT_FOUND;
    copy->has_page = true;
    for (size_t i = 0; i < copy->asked_count; i++) {
        if (byte_buffer_printf(ret_body, SIZE_MAX, "%s\"%s\"", i == 0 ? "{\"ids\":[" : ",",
                               copy->asked[i]) != STATUS_OK)
            abort();
    }
    return byte_buffer_append(ret_body, BYTES_LITERAL("],\"include\":[\"documents\"]}"), SIZE_MAX);
}

enum status mirror_copy_page(struct mirror_copy *copy, struct bytes answer,
                             const struct mirror_moments *moments, const char **ret_reason)
{
    static char ids[FAKE_RECORDS_MAX][FAKE_RECORDS_TEXT];
    static char documents[FAKE_RECORDS_MAX][FAKE_RECORDS_TEXT];
    size_t      count = fake_records_read(answer, "ids", ids);

    assert(copy->has_page);
    note_known(copy, moments);
    copy->has_page = false;
    fake_mirror_copies.pages++;
    *ret_reason = "as the test wants it";
    fake_records_read(answer, "documents", documents);
    for (size_t i = 0; i < count; i++) {
        struct fake_record *record = fake_records_find(&copy->records, ids[i]);

        if (record == NULL || !record->is_hollow || record->mark > moments->sent)
            continue;
        record->is_hollow = false;
        record->mark = moments->known;
        strcpy(record->document, documents[i]);
    }
    return take_failure();
}

void mirror_copy_page_failed(struct mirror_copy *copy)
{
    assert(copy->has_page);
    copy->has_page = false;
    fake_mirror_copies.pages_failed++;
}

/* A record that is there and of which not all is known. True: nothing else is to be done. */
static bool touch(struct fake_record *record, const struct mirror_moments *moments)
{
    if (!record->is_hollow && record->mark <= moments->sent)
        return false;
    record->is_hollow = true;
    record->mark = moments->known;
    return true;
}

static enum status delete_filtered(struct mirror_copy *copy, struct bytes answer)
{
    char   expected[40];
    size_t count;

    if (hollow_count(copy) > 0)
        return bytes_equal(answer, BYTES_LITERAL("{\"deleted\":0}")) ? STATUS_OK
                                                                     : STATUS_NOT_IMPLEMENTED;
    count = fake_records_write(&copy->records, "delete", BYTES_LITERAL("{\"where\":{}}"));
    snprintf(expected, sizeof expected, "{\"deleted\":%zu}", count);
    return bytes_equal(answer, bytes_of(expected)) ? STATUS_OK : STATUS_NOT_IMPLEMENTED;
}

enum status mirror_copy_write(struct mirror_copy *copy, enum chroma_operation operation,
                              struct bytes body, struct bytes answer,
                              const struct mirror_moments *moments, const char **ret_reason)
{
    static char ids[FAKE_RECORDS_MAX][FAKE_RECORDS_TEXT];
    static char documents[FAKE_RECORDS_MAX][FAKE_RECORDS_TEXT];
    size_t      count = fake_records_read(body, "ids", ids);

    assert(copy->is_listed);
    note_known(copy, moments);
    fake_mirror_copies.writes++;
    *ret_reason = "as the test wants it";
    if (operation == CHROMA_OPERATION_DELETE && count == 0)
        return delete_filtered(copy, answer);
    fake_records_read(body, "documents", documents);
    for (size_t i = 0; i < count; i++) {
        struct fake_record *record = fake_records_find(&copy->records, ids[i]);

        if (operation == CHROMA_OPERATION_DELETE && record != NULL)
            fake_records_remove(&copy->records, record);
        else if (operation == CHROMA_OPERATION_DELETE)
            continue;
        else if (record != NULL && touch(record, moments))
            continue;
        else if (record != NULL && operation != CHROMA_OPERATION_ADD)
            strcpy(record->document, documents[i]);
        else if (record == NULL && operation != CHROMA_OPERATION_UPDATE)
            fake_records_append(&copy->records, ids[i], documents[i]);
    }
    return check_memory(copy);
}

enum status mirror_copy_delete_found(struct mirror_copy *copy, struct bytes found,
                                     struct bytes answer, const struct mirror_moments *moments,
                                     const char **ret_reason)
{
    static char ids[FAKE_RECORDS_MAX][FAKE_RECORDS_TEXT];
    size_t      count = fake_records_read(found, "ids", ids);
    char        expected[40];

    assert(copy->is_listed);
    note_known(copy, moments);
    fake_mirror_copies.writes++;
    fake_mirror_copies.deletes_found++;
    *ret_reason = "as the test wants it";
    snprintf(expected, sizeof expected, "{\"deleted\":%zu}", count);
    if (!bytes_equal(answer, bytes_of(expected)))
        return STATUS_NOT_IMPLEMENTED;
    for (size_t i = 0; i < count; i++) {
        struct fake_record *record = fake_records_find(&copy->records, ids[i]);

        if (record == NULL)
            return STATUS_NOT_IMPLEMENTED;
        fake_records_remove(&copy->records, record);
    }
    return STATUS_OK;
}

bool mirror_copy_maintain(struct mirror_copy *copy)
{
    (void)copy;
    return false;
}

/* Nobody waits for that. */
static bool is_of_verify(struct bytes body)
{
    static const char limit[] = "\"limit\":";

    return memmem(body.data, body.size, limit, sizeof limit - 1) != NULL;
}

enum status mirror_copy_answer(struct mirror_copy *copy, const struct mirror_question *question,
                               unsigned *ret_status, struct byte_buffer *ret_body,
                               const char **ret_reason)
{
    *ret_reason = "regex";
    fake_mirror_copies.answers++;
    if (fake_mirror_copies.answer_fails != STATUS_OK)
        return fake_mirror_copies.answer_fails;
    assert(question->dimension == 2 && question->size_max > 0);
    assert(question->deadline_us > 0 || is_of_verify(question->body));
    *ret_status = fake_mirror_copies.answer_status == 0 ? 200 : fake_mirror_copies.answer_status;
    fake_records_get(&copy->records, question->body, ret_body);
    return STATUS_OK;
}

static uint64_t expected_of(const struct mirror_copy *copy)
{
    return fake_mirror_copies.expected == 0 || hollow_count(copy) == 0
               ? memory_of(copy)
               : fake_mirror_copies.expected;
}

void mirror_copy_state(struct mirror_copy *copy, struct mirror_copy_state *ret_state)
{
    *ret_state =
        (struct mirror_copy_state){.records = (uint32_t)copy->records.count,
                                   .hollow = (uint32_t)hollow_count(copy),
                                   .dimension = 2,
                                   .is_listed = copy->is_listed,
                                   .usage = {.memory = memory_of(copy),
                                             .expected = expected_of(copy),
                                             .is_sampled = !fake_mirror_copies.is_unsampled,
                                             .disk = 100}};
}

bool fake_mirror_copy_is(const struct mirror_copy *copy, const struct fake_records *records)
{
    if (copy->records.count != records->count)
        return false;
    for (size_t i = 0; i < records->count; i++) {
        const struct fake_record *left = &copy->records.list[i], *right = &records->list[i];

        if (left->is_hollow || strcmp(left->id, right->id) != 0 ||
            strcmp(left->document, right->document) != 0)
            return false;
    }
    return true;
}
