/* answer_tool - what a copy answers, for tests in other languages
 *
 * Takes lines of a word and what follows it, and answers each with a line:
 *
 *   space NAME       "ok": a new copy, of a collection of this space without records
 *   list ANSWER      "ok": the same, with the ids of Chroma's answer to a `get`
 *   page             what Chroma is to be asked for next, or "whole": it has all of them
 *   page ANSWER      "ok": what it said
 *   add BODY         "ok", or "unknown <why>"; likewise upsert, update and delete (by ids)
 *   dimension N      "ok": what the questions say that Chroma's collection has; 0: nothing
 *   get BODY         "200 <answer>", "400 <answer>" ..., or "ask <why>"; likewise query and count
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mirror/mirror_copy.h"

#define COLLECTION "/api/v2/tenants/t/databases/d/collections/8ecf0f7e-e806-47f8-96a1-4732ef42359e/"

enum { ANSWER_MAX = 1 << 30, PAGE_SIZE = 4 << 20 };

static char                  directory[] = "/tmp/answer_tool.XXXXXX", file[64];
static struct mirror_copy   *copy;
static enum collection_space space = COLLECTION_SPACE_L2;
static uint32_t              dimension;
static uint64_t              now;

static void fail_with(const char *what)
{
    fprintf(stderr, "answer_tool: %s\n", what);
    exit(EXIT_FAILURE);
}

static struct mirror_moments next_moments(void)
{
    now += 2;
    return (struct mirror_moments){.sent = now - 1, .known = now};
}

static void make_copy(struct bytes list)
{
    struct mirror_records_options options = {.path = file, .space = space};
    struct mirror_moments         moments = next_moments();
    struct error                  error = {.text = "no memory"};
    const char                   *reason = "no memory";

    mirror_copy_free(copy);
    copy = NULL;
    if (mirror_copy_new(&options, &copy, &error) != STATUS_OK)
        fail_with(error.text);
    if (mirror_copy_list(copy, list, &moments, &reason) != STATUS_OK)
        fail_with(reason);
}

static void set_space(struct bytes name)
{
    static const char *const names[] = {[COLLECTION_SPACE_L2] = "l2",
                                        [COLLECTION_SPACE_COSINE] = "cosine",
                                        [COLLECTION_SPACE_IP] = "ip"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (names[i] != NULL && bytes_equal(name, bytes_of(names[i])))
            space = (enum collection_space)i;
    make_copy(BYTES_LITERAL("{\"ids\":[]}"));
    puts("ok");
}

static void ask_for_page(void)
{
    struct byte_buffer request = {.data = NULL};
    enum status        status = mirror_copy_page_request(copy, PAGE_SIZE, &request);

    if (status == STATUS_OK)
        printf("%.*s\n", (int)byte_buffer_size(&request), byte_buffer_bytes(&request).data);
    else if (status == STATUS_NOT_FOUND)
        puts("whole");
    else
        fail_with(status_text(status));
    byte_buffer_done(&request);
}

static void take_page(struct bytes answer)
{
    struct mirror_moments moments = next_moments();
    const char           *reason = "no memory";

    if (mirror_copy_page(copy, answer, &moments, &reason) != STATUS_OK)
        fail_with(reason);
    puts("ok");
}

static void apply_write(enum chroma_operation operation, struct bytes body)
{
    struct mirror_moments moments = next_moments();
    const char           *reason = "no memory";
    enum status           status =
        mirror_copy_write(copy, operation, body, BYTES_LITERAL("{}"), &moments, &reason);

    if (status == STATUS_OK)
        puts("ok");
    else
        printf("unknown %s\n", status == STATUS_NOT_IMPLEMENTED ? reason : status_text(status));
}

static void answer_question(struct bytes method, const char *path, struct bytes body)
{
    struct chroma_route    route;
    struct mirror_question question = {
        .route = &route, .body = body, .dimension = dimension, .size_max = ANSWER_MAX};
    struct byte_buffer answer = {.data = NULL};
    const char        *reason = NULL;
    unsigned           code = 0;
    enum status        status;

    chroma_route_find(method, bytes_of(path), &route);
    status = mirror_copy_answer(copy, &question, &code, &answer, &reason);
    if (status == STATUS_OK)
        printf("%u %.*s\n", code, (int)byte_buffer_size(&answer), byte_buffer_bytes(&answer).data);
    else if (status == STATUS_NOT_IMPLEMENTED && reason != NULL)
        printf("ask %s\n", reason);
    else
        fail_with(status_text(status));
    byte_buffer_done(&answer);
}

static void take_line(struct bytes line)
{
    const char  *space_at = memchr(line.data, ' ', line.size);
    size_t       size = space_at == NULL ? line.size : (size_t)(space_at - line.data);
    struct bytes word = {.data = line.data, .size = size};
    struct bytes rest = bytes_skip(line, size + (space_at != NULL));

    if (bytes_equal(word, BYTES_LITERAL("space")))
        set_space(rest);
    else if (bytes_equal(word, BYTES_LITERAL("list"))) {
        make_copy(rest);
        puts("ok");
    } else if (bytes_equal(word, BYTES_LITERAL("page")))
        rest.size == 0 ? ask_for_page() : take_page(rest);
    else if (bytes_equal(word, BYTES_LITERAL("add")))
        apply_write(CHROMA_OPERATION_ADD, rest);
    else if (bytes_equal(word, BYTES_LITERAL("upsert")))
        apply_write(CHROMA_OPERATION_UPSERT, rest);
    else if (bytes_equal(word, BYTES_LITERAL("update")))
        apply_write(CHROMA_OPERATION_UPDATE, rest);
    else if (bytes_equal(word, BYTES_LITERAL("delete")))
        apply_write(CHROMA_OPERATION_DELETE, rest);
    else if (bytes_equal(word, BYTES_LITERAL("get")))
        answer_question(BYTES_LITERAL("POST"), COLLECTION "get", rest);
    else if (bytes_equal(word, BYTES_LITERAL("query")))
        answer_question(BYTES_LITERAL("POST"), COLLECTION "query", rest);
    else if (bytes_equal(word, BYTES_LITERAL("count")))
        answer_question(BYTES_LITERAL("GET"), COLLECTION "count", rest);
    else if (bytes_equal(word, BYTES_LITERAL("dimension"))) {
        dimension = (uint32_t)strtoul(rest.data, NULL, 10);
        puts("ok");
    } else
        fail_with("an unknown word");
    fflush(stdout);
}

int main(void)
{
    char   *line = NULL;
    size_t  room = 0;
    ssize_t size;

    if (mkdtemp(directory) == NULL)
        fail_with("no directory");
    snprintf(file, sizeof file, "%s/copy", directory);
    make_copy(BYTES_LITERAL("{\"ids\":[]}"));
    while ((size = getline(&line, &room, stdin)) > 0) {
        if (line[size - 1] == '\n')
            line[--size] = '\0';
        take_line((struct bytes){.data = line, .size = (size_t)size});
    }
    mirror_copy_free(copy);
    rmdir(directory);
    free(line);
    return EXIT_SUCCESS;
}
