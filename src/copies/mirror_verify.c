#include "copies/mirror_verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "calls/call.h"
#include "calls/own_flows.h"
#include "chroma/chroma_answer.h"
#include "chroma/same_answer.h"
#include "copies/mirror_doubt.h"
#include "copies/mirror_entry.h"
#include "copies/mirror_keeper.h"
#include "json/json_scan.h"

/* Records of a page; with vectors of 4096 numbers some 10 MiB. */
enum { page_records = 200, answer_bytes_max = 64 << 20 };

/* A write is under way, or the copy waits for one: look again after so long, and so often. */
static const uint64_t again_us = 100000;
enum { again_max = 600 };

struct mirror_verify {
    struct mirror_keeper     *keeper;
    struct mirror_verify_info info;
    char                     *tenant, *database; /* as in a path */
    uint64_t                  offset;
    unsigned                  tries; /* of this page, in vain */
    uint64_t                  stamp; /* before the page was asked for */
    struct mirror_hold        hold;
    struct byte_buffer        head, body, said, kept; /* the request, Chroma's answer, the copy's */
    struct bytes              sent_body;
    size_t                    charged;
    struct call               call;
    struct answer_sink        sink;
    unsigned                  status, kept_status;
    bool                      is_whole;
    struct loop_timer        *timer; /* the deadline, or the next look */
    struct loop_task          end_task;
    struct worker_job         job;
    enum status               outcome; /* of the copy's answer */
    bool                      are_same;
    uint64_t                  count; /* records of the page */
};

static bool     verify_page(struct mirror_verify *verify);
static bool     verify_print_request(struct mirror_verify *verify);
static void     mirror_verify_on_head(struct answer_sink *sink, const struct http_head *head);
static void     mirror_verify_on_body(struct answer_sink *sink, struct bytes data);
static void     mirror_verify_on_end(struct answer_sink *sink);
static void     mirror_verify_on_failure(struct answer_sink *sink, enum status why, bool sent);
static void     mirror_verify_on_timer(void *ctx);
static void     verify_take(void *ctx);
static void     mirror_verify_on_ready(struct mirror_hold *hold, bool may_read);
static void     verify_submit(struct mirror_verify *verify);
static void     verify_run(struct worker_job *job);
static uint64_t verify_count_ids(struct bytes answer);
static void     mirror_verify_on_done(struct worker_job *job);
static void     verify_again(struct mirror_verify *verify);
static void     verify_end_with(struct mirror_verify *verify, enum mirror_verify_state state,
                                const char *reason);
static void     verify_forget_page(struct mirror_verify *verify);
static uint64_t verify_stamp(const struct mirror_verify *verify);

static const struct answer_sink_ops ops = {.on_head = mirror_verify_on_head,
                                           .on_body = mirror_verify_on_body,
                                           .on_end = mirror_verify_on_end,
                                           .on_failure = mirror_verify_on_failure};

const char *mirror_verify_state_name(enum mirror_verify_state state)
{
    static const char *const names[] = {"none", "running", "same", "different", "ended"};

    return names[state];
}

struct mirror_verify *mirror_verify_new(struct mirror_keeper *keeper)
{
    struct mirror_verify *verify = calloc(1, sizeof *verify);

    if (verify == NULL)
        return NULL;
    verify->timer = loop_timer_new(keeper->proxy->loop, mirror_verify_on_timer, verify);
    if (verify->timer == NULL) {
        free(verify);
        return NULL;
    }
    verify->keeper = keeper;
    verify->info.reason = "";
    verify->sink.ops = &ops;
    verify->hold.on_ready = mirror_verify_on_ready;
    loop_task_init(&verify->end_task, verify_take, verify);
    return verify;
}

void mirror_verify_free(struct mirror_verify *verify)
{
    if (verify == NULL)
        return;
    call_cancel(&verify->call);
    loop_task_cancel(&verify->end_task);
    mirror_hold_release(&verify->hold);
    verify_forget_page(verify);
    loop_timer_free(verify->timer);
    free(verify->tenant);
    free(verify->database);
    free(verify);
}

enum status mirror_verify_begin(struct mirror_verify *verify, const uint8_t uuid[16],
                                struct error *error)
{
    const struct mirror_entry *entry = mirror_entry_find(verify->keeper, uuid);

    if (verify->info.state == MIRROR_VERIFY_RUNNING)
        return error_set(error, STATUS_AGAIN, "another copy is being verified");
    if (entry == NULL || entry->state != MIRROR_ENTRY_COMPLETE)
        return error_set(error, STATUS_NOT_FOUND, "there is no complete copy of this collection");
    free(verify->tenant);
    free(verify->database);
    verify->tenant = strdup(entry->tenant);
    verify->database = strdup(entry->database);
    if (verify->tenant == NULL || verify->database == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    verify->info = (struct mirror_verify_info){.state = MIRROR_VERIFY_RUNNING, .reason = ""};
    memcpy(verify->info.uuid, uuid, sizeof verify->info.uuid);
    verify->offset = 0;
    verify->tries = 0;
    if (!verify_page(verify))
        verify_again(verify);
    return STATUS_OK;
}

struct mirror_verify_info mirror_verify_tell(const struct mirror_verify *verify)
{
    return verify == NULL ? (struct mirror_verify_info){.reason = ""} : verify->info;
}

/* ---- Chroma's answer ------------------------------------------------------------------------ */

/* False: not now. */
static bool verify_page(struct mirror_verify *verify)
{
    struct proxy           *proxy = verify->keeper->proxy;
    struct upstream_request request = {.body = &verify->sent_body, .body_parts = 1};

    verify->stamp = verify_stamp(verify);
    if (proxy->admission.is_paused || verify->stamp == 0 || !verify_print_request(verify))
        return false;
    verify->status = 0;
    verify->is_whole = true;
    verify->sent_body = byte_buffer_bytes(&verify->body);
    request.head = byte_buffer_bytes(&verify->head);
    verify->call.origin = (struct call_origin){.flow = MIRROR_FLOW};
    if (call_start(&verify->call, proxy, chroma_route_info(CHROMA_OPERATION_GET), &request,
                   &verify->sink, NULL) != STATUS_OK)
        return false;
    loop_timer_set(verify->timer, loop_now_us(proxy->loop) + proxy->options.deadline_read_us);
    return true;
}

static bool verify_print_request(struct mirror_verify *verify)
{
    char        uuid[CHROMA_ROUTE_UUID_SIZE];
    enum status status;

    verify_forget_page(verify);
    chroma_route_print_uuid(verify->info.uuid, uuid);
    status = byte_buffer_printf(&verify->body, SIZE_MAX,
                                "{\"limit\":%d,\"offset\":%" PRIu64 ",\"include\":[\"embeddings\","
                                "\"documents\",\"metadatas\",\"uris\"]}",
                                page_records, verify->offset);
    if (status == STATUS_OK)
        status = byte_buffer_printf(&verify->head, SIZE_MAX,
                                    "POST /api/v2/tenants/%s/databases/%s/collections/%s/get "
                                    "HTTP/1.1\r\nContent-Type: application/json\r\n"
                                    "Content-Length: %zu\r\nHost: localhost\r\n"
                                    "User-Agent: chromabouncer\r\n\r\n",
                                    verify->tenant, verify->database, uuid,
                                    byte_buffer_size(&verify->body));
    return status == STATUS_OK;
}

static void mirror_verify_on_head(struct answer_sink *sink, const struct http_head *head)
{
    CONTAINER_OF(sink, struct mirror_verify, sink)->status = head->status;
}

static void mirror_verify_on_body(struct answer_sink *sink, struct bytes data)
{
    struct mirror_verify  *verify = CONTAINER_OF(sink, struct mirror_verify, sink);
    struct memory_account *account =
        &verify->keeper->proxy->budget->accounts[MEMORY_ACCOUNT_MIRROR];
    size_t before = verify->said.capacity;

    if (!verify->is_whole)
        return;
    verify->is_whole = byte_buffer_append(&verify->said, data, answer_bytes_max) == STATUS_OK;
    memory_account_charge(account, verify->said.capacity - before);
    verify->charged += verify->said.capacity - before;
}

static void mirror_verify_on_end(struct answer_sink *sink)
{
    struct mirror_verify *verify = CONTAINER_OF(sink, struct mirror_verify, sink);

    loop_timer_clear(verify->timer);
    loop_later(verify->keeper->proxy->loop, &verify->end_task);
}

static void mirror_verify_on_failure(struct answer_sink *sink, enum status why, bool sent)
{
    struct mirror_verify *verify = CONTAINER_OF(sink, struct mirror_verify, sink);

    (void)why;
    (void)sent;
    verify->status = 0;
    loop_timer_clear(verify->timer);
    loop_later(verify->keeper->proxy->loop, &verify->end_task);
}

static void mirror_verify_on_timer(void *ctx)
{
    struct mirror_verify *verify = ctx;

    if (call_is_active(&verify->call)) {
        call_cancel(&verify->call);
        verify_end_with(verify, MIRROR_VERIFY_ENDED, "Chroma did not answer");
    } else if (!verify_page(verify)) {
        verify_again(verify);
    }
}

/* ---- The copy's ----------------------------------------------------------------------------- */

static void verify_take(void *ctx)
{
    struct mirror_verify *verify = ctx;
    const char           *reason;

    if (verify->status != 200 || !verify->is_whole) {
        verify_end_with(verify, MIRROR_VERIFY_ENDED, "Chroma did not answer as it should");
        return;
    }
    if (verify_stamp(verify) != verify->stamp) {
        verify_again(verify);
        return;
    }
    switch (mirror_keeper_hold(verify->keeper, verify->info.uuid, false, &verify->hold, &reason)) {
    case STATUS_OK:
        verify_submit(verify);
        break;
    case STATUS_AGAIN:
        break;
    default:
        verify_end_with(verify, MIRROR_VERIFY_ENDED, "the copy was given up");
    }
}

static void mirror_verify_on_ready(struct mirror_hold *hold, bool may_read)
{
    struct mirror_verify *verify = CONTAINER_OF(hold, struct mirror_verify, hold);

    if (may_read)
        verify_submit(verify);
    else
        verify_end_with(verify, MIRROR_VERIFY_ENDED, "the copy was given up");
}

static void verify_submit(struct mirror_verify *verify)
{
    verify->job = (struct worker_job){
        .kind = WORKER_POOL_INDEX, .run = verify_run, .done = mirror_verify_on_done};
    worker_pool_submit(verify->keeper->proxy->workers, &verify->job);
}

static void verify_run(struct worker_job *job)
{
    struct mirror_verify  *verify = CONTAINER_OF(job, struct mirror_verify, job);
    struct chroma_route    route = {.operation = CHROMA_OPERATION_GET,
                                    .info = chroma_route_info(CHROMA_OPERATION_GET),
                                    .tenant = bytes_of(verify->tenant),
                                    .database = bytes_of(verify->database),
                                    .has_uuid = true};
    struct mirror_question question = {.route = &route,
                                       .body = byte_buffer_bytes(&verify->body),
                                       .dimension = mirror_hold_dimension(&verify->hold),
                                       .size_max = answer_bytes_max};
    const char            *reason = NULL;

    memcpy(route.uuid, verify->info.uuid, sizeof route.uuid);
    verify->outcome = mirror_copy_answer(mirror_hold_copy(&verify->hold), &question,
                                         &verify->kept_status, &verify->kept, &reason);
    verify->count = verify_count_ids(byte_buffer_bytes(&verify->said));
    verify->are_same =
        verify->outcome == STATUS_OK && verify->kept_status == 200 &&
        same_answer(byte_buffer_bytes(&verify->kept), byte_buffer_bytes(&verify->said));
}

static uint64_t verify_count_ids(struct bytes answer)
{
    struct json_scan   scan;
    struct json_string key;
    uint64_t           count = 0;

    json_scan_init(&scan, answer);
    if (!json_scan_object(&scan))
        return 0;
    while (json_scan_member(&scan, &key)) {
        bool is_ids = json_scan_equals(key, BYTES_LITERAL("ids"));

        if (is_ids && json_scan_array(&scan))
            while (json_scan_element(&scan))
                count += json_scan_value(&scan, NULL);
        else if (!is_ids)
            json_scan_value(&scan, NULL);
    }
    return count;
}

static void mirror_verify_on_done(struct worker_job *job)
{
    struct mirror_verify *verify = CONTAINER_OF(job, struct mirror_verify, job);

    mirror_doubt_on_read(&verify->hold, verify->outcome);
    mirror_hold_release(&verify->hold);
    if (verify_stamp(verify) != verify->stamp) {
        verify_again(verify);
    } else if (verify->outcome != STATUS_OK) {
        verify_end_with(verify, MIRROR_VERIFY_ENDED, "the copy cannot answer this");
    } else {
        verify->info.records += verify->count;
        verify->offset += page_records;
        verify->tries = 0;
        if (!verify->are_same)
            verify_end_with(verify, MIRROR_VERIFY_DIFFERENT, "");
        else if (verify->count < page_records)
            verify_end_with(verify, MIRROR_VERIFY_SAME, "");
        else if (!verify_page(verify))
            verify_again(verify);
    }
}

static void verify_again(struct mirror_verify *verify)
{
    verify->info.again++;
    verify->tries += !verify->keeper->proxy->admission.is_paused;
    if (verify->tries > again_max)
        verify_end_with(verify, MIRROR_VERIFY_ENDED, "there was never a moment without a write");
    else
        loop_timer_set(verify->timer, loop_now_us(verify->keeper->proxy->loop) + again_us);
}

static void verify_end_with(struct mirror_verify *verify, enum mirror_verify_state state,
                            const char *reason)
{
    char            uuid[CHROMA_ROUTE_UUID_SIZE];
    struct log_line line;

    verify->info.state = state;
    verify->info.reason = reason;
    verify_forget_page(verify);
    chroma_route_print_uuid(verify->info.uuid, uuid);
    log_begin(&line, state == MIRROR_VERIFY_DIFFERENT ? LOG_ERROR : LOG_INFO,
              state == MIRROR_VERIFY_DIFFERENT ? "mirror_differs" : "mirror_verified");
    log_text(&line, "collection", uuid);
    log_text(&line, "result", mirror_verify_state_name(state));
    log_number(&line, "records", verify->info.records);
    log_end(&line);
    if (state == MIRROR_VERIFY_DIFFERENT)
        mirror_doubt_collection(verify->keeper, verify->info.uuid, MIRROR_REASON_DIFFERS, NULL);
}

static void verify_forget_page(struct mirror_verify *verify)
{
    struct byte_buffer *buffers[] = {&verify->head, &verify->body, &verify->said, &verify->kept};

    for (size_t i = 0; i < COUNT_OF(buffers); i++)
        byte_buffer_done(buffers[i]);
    memory_account_release(&verify->keeper->proxy->budget->accounts[MEMORY_ACCOUNT_MIRROR],
                           verify->charged);
    verify->charged = 0;
}

static uint64_t verify_stamp(const struct mirror_verify *verify)
{
    struct proxy *proxy = verify->keeper->proxy;

    return collection_table_stamp(proxy->collections, verify->info.uuid, loop_now_us(proxy->loop));
}
