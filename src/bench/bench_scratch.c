#include "bench/bench_scratch.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/byte_buffer.h"

enum { PATH_SIZE = 192, NAME_SIZE = 64 };

static const size_t answer_bytes_max = 65536;
static const long   timeout_ms = 60000;

#define COLLECTIONS "/api/v2/tenants/default_tenant/databases/default_database/collections"

struct bench_scratch {
    const struct bench_target *target;
    CURL                      *curl;
    struct curl_slist         *headers;
    char                       name[NAME_SIZE];
    size_t                     count, created;
    char (*path_texts)[PATH_SIZE];
    const char       **paths;
    struct byte_buffer answer;
};

static bool        add_headers(struct bench_scratch *scratch, const char *lines);
static enum status create(struct bench_scratch *scratch, struct error *error);
static enum status call(struct bench_scratch *scratch, const char *method, const char *path,
                        const char *body, struct error *error);
static size_t      on_answer(char *data, size_t size, size_t count, void *ctx);

enum status bench_scratch_new(const struct bench_target *target, const char *name, size_t count,
                              const char *headers, struct bench_scratch **ret_scratch,
                              struct error *error)
{
    struct bench_scratch *scratch = calloc(1, sizeof(*scratch));
    enum status           status = STATUS_OK;

    if (scratch == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    scratch->target = target;
    scratch->count = count;
    scratch->curl = curl_easy_init();
    scratch->path_texts = calloc(count, PATH_SIZE);
    scratch->paths = calloc(count, sizeof(char *));
    if (name != NULL)
        snprintf(scratch->name, sizeof(scratch->name), "%s", name);
    else
        snprintf(scratch->name, sizeof(scratch->name), "chromabouncer-bench-%llx-%x",
                 (unsigned long long)time(NULL), (unsigned)getpid());
    if (scratch->curl == NULL || scratch->path_texts == NULL || scratch->paths == NULL ||
        !add_headers(scratch, headers))
        status = error_set(error, STATUS_NO_MEMORY, "out of memory");
    while (status == STATUS_OK && scratch->created < count)
        status = create(scratch, error);
    if (status == STATUS_OK)
        *ret_scratch = scratch;
    else
        bench_scratch_free(scratch, false);
    return status;
}

static bool add_headers(struct bench_scratch *scratch, const char *lines)
{
    char copy[1024], *line, *rest = copy;
    bool is_ok = true;

    snprintf(copy, sizeof(copy), "%s", lines);
    while (is_ok && (line = strsep(&rest, "\r\n")) != NULL) {
        if (*line != '\0')
            is_ok = (scratch->headers = curl_slist_append(scratch->headers, line)) != NULL;
    }
    return is_ok && (scratch->headers = curl_slist_append(
                         scratch->headers, "Content-Type: application/json")) != NULL;
}

static enum status create(struct bench_scratch *scratch, struct error *error)
{
    size_t      i = scratch->created;
    char        body[NAME_SIZE + 80];
    json_t     *answer;
    const char *id;
    enum status status;

    snprintf(body, sizeof(body), "{\"name\":\"%s-%zu\",\"get_or_create\":true}", scratch->name, i);
    status = call(scratch, "POST", COLLECTIONS, body, error);
    if (status != STATUS_OK)
        return status;
    answer = json_loadb(scratch->answer.data, byte_buffer_size(&scratch->answer), 0, NULL);
    id = json_string_value(json_object_get(answer, "id"));
    if (id == NULL || strlen(id) > 64) {
        status = error_set(error, STATUS_BACKEND_GARBLED, "%s did not say the id of a collection",
                           scratch->target->url);
    } else {
        snprintf(scratch->path_texts[i], PATH_SIZE, COLLECTIONS "/%s", id);
        scratch->paths[i] = scratch->path_texts[i];
        scratch->created++;
    }
    json_decref(answer);
    return status;
}

static enum status call(struct bench_scratch *scratch, const char *method, const char *path,
                        const char *body, struct error *error)
{
    const struct address *address = &scratch->target->address;
    CURL                 *curl = scratch->curl;
    char                  url[sizeof(scratch->target->url) + PATH_SIZE];
    CURLcode              code;
    long                  status = 0;

    snprintf(url, sizeof(url), "%s%s",
             address->kind == ADDRESS_UNIX ? "http://localhost" : scratch->target->url, path);
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, scratch->headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, scratch);
    if (address->kind == ADDRESS_UNIX)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, address->path);
    if (body != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    byte_buffer_clear(&scratch->answer);
    code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        return error_set(error, STATUS_BACKEND_DOWN, "%s: %s", scratch->target->url,
                         curl_easy_strerror(code));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status <= 299)
        return STATUS_OK;
    return error_set(error, STATUS_BACKEND_GARBLED, "%s answered %s %s with %ld: %.*s",
                     scratch->target->url, method, path, status,
                     (int)byte_buffer_size(&scratch->answer), scratch->answer.data);
}

static size_t on_answer(char *data, size_t size, size_t count, void *ctx)
{
    struct bench_scratch *scratch = ctx;
    struct bytes          bytes = {.data = data, .size = size * count};

    return byte_buffer_append(&scratch->answer, bytes, answer_bytes_max) == STATUS_OK ? bytes.size
                                                                                      : 0;
}

void bench_scratch_free(struct bench_scratch *scratch, bool keep)
{
    if (scratch == NULL)
        return;
    for (size_t i = 0; i < scratch->created && !keep; i++) {
        char         path[sizeof(COLLECTIONS) + NAME_SIZE + 24];
        struct error error;

        snprintf(path, sizeof(path), COLLECTIONS "/%s-%zu", scratch->name, i);
        if (call(scratch, "DELETE", path, NULL, &error) != STATUS_OK)
            fprintf(stderr, "chromabouncer bench: scratch collection left behind: %s\n",
                    error.text);
    }
    curl_slist_free_all(scratch->headers);
    curl_easy_cleanup(scratch->curl);
    byte_buffer_done(&scratch->answer);
    free(scratch->path_texts);
    free(scratch->paths);
    free(scratch);
}

const char *const *bench_scratch_paths(const struct bench_scratch *scratch)
{
    return scratch->paths;
}
