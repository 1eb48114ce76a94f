#include "cli/http_probe.h"
#include "config.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

static size_t on_body(char *data, size_t one, size_t size, void *ctx);
static void   set_options(CURL *curl, const struct address *address, const char *path,
                          uint64_t timeout_us);

enum status http_probe(const struct address *address, const char *path, uint64_t timeout_us,
                       struct http_probe_answer *ret, struct error *error)
{
    char       where[ADDRESS_TEXT_SIZE], reason[CURL_ERROR_SIZE] = "";
    curl_off_t total_us = 0;
    CURLcode   code;
    CURL      *curl = curl_easy_init();

    if (curl == NULL)
        return error_set(error, STATUS_NO_MEMORY, "libcurl does not start");
    *ret = (struct http_probe_answer){0};
    set_options(curl, address, path, timeout_us);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->code);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &total_us);
    curl_easy_cleanup(curl);
    ret->total_us = (uint64_t)total_us;
    if (code == CURLE_OK)
        return STATUS_OK;
    return error_set(error, STATUS_BACKEND_DOWN, "%s gives no answer: %s",
                     address_format(address, where, sizeof where),
                     reason[0] == '\0' ? curl_easy_strerror(code) : reason);
}

static void set_options(CURL *curl, const struct address *address, const char *path,
                        uint64_t timeout_us)
{
    char base[ADDRESS_TEXT_SIZE + 8] = "http://localhost", url[sizeof base + 1024];

    if (address->kind == ADDRESS_TCP)
        address_format_url(address, base, sizeof base);
    else
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, address->path);
    snprintf(url, sizeof url, "%s%s", base, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, PACKAGE_NAME "/" PACKAGE_VERSION);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(timeout_us / 1000));
}

static size_t on_body(char *data, size_t one, size_t size, void *ctx)
{
    struct http_probe_answer *answer = ctx;
    size_t                    room = sizeof answer->body - 1 - answer->size;
    size_t                    take = size < room ? size : room;

    memcpy(answer->body + answer->size, data, take);
    answer->size += take;
    return one * size;
}
