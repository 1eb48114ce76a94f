#include "cli/http_session.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "config.h"

/* Of an answer; and patience: beyond the proxy's own deadlines, whatever they are set to. */
enum { ANSWER_BYTES_MAX = 16 << 20, ANSWER_SECONDS = 3600, CONNECT_SECONDS = 5 };

static bool   set_up_session(struct http_session *session);
static size_t http_session_on_body(char *data, size_t one, size_t size, void *ctx);

int http_session_begin(struct http_session *session, const struct options *options,
                       struct error *error)
{
    static struct settings settings;
    enum status            status = settings_sources_load(&options->sources, &settings, error);

    *session = (struct http_session){.curl = NULL};
    if (status != STATUS_OK)
        return settings_exit_status(status);
    session->address = settings.listen_address.items[0];
    if (session->address.kind == ADDRESS_TCP && session->address.port == 0) {
        error_set(error, STATUS_INVALID,
                  "listen.address has port 0: name the port that was taken "
                  "by --listen HOST:PORT");
        return EX_CONFIG;
    }
    if (set_up_session(session))
        return EX_OK;
    http_session_end(session);
    error_set(error, STATUS_NO_MEMORY, "libcurl does not start");
    return EX_OSERR;
}

static bool set_up_session(struct http_session *session)
{
    const char        *key = getenv("CHROMABOUNCER_KEY");
    char               field[300];
    struct curl_slist *fields = curl_slist_append(NULL, "content-type: application/json"), *more;

    session->curl = curl_easy_init();
    session->fields = fields;
    if (session->curl == NULL || fields == NULL)
        return false;
    if (key != NULL && key[0] != '\0') {
        snprintf(field, sizeof field, "authorization: Bearer %s", key);
        more = curl_slist_append(fields, field);
        explicit_bzero(field, sizeof field);
        if (more == NULL)
            return false;
    }
    if (session->address.kind == ADDRESS_UNIX)
        curl_easy_setopt(session->curl, CURLOPT_UNIX_SOCKET_PATH, session->address.path);
    curl_easy_setopt(session->curl, CURLOPT_HTTPHEADER, fields);
    curl_easy_setopt(session->curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(session->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(session->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(session->curl, CURLOPT_USERAGENT, PACKAGE_NAME "/" PACKAGE_VERSION);
    curl_easy_setopt(session->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(session->curl, CURLOPT_TIMEOUT, (long)ANSWER_SECONDS);
    curl_easy_setopt(session->curl, CURLOPT_WRITEFUNCTION, http_session_on_body);
    curl_easy_setopt(session->curl, CURLOPT_WRITEDATA, session);
    return true;
}

void http_session_end(struct http_session *session)
{
    curl_easy_cleanup(session->curl);
    curl_slist_free_all(session->fields);
    byte_buffer_done(&session->answer);
    *session = (struct http_session){.curl = NULL};
}

bool http_session_print_path(const struct http_session *session, const struct bytes parts[3],
                             char *ret_database, size_t database_size, char *ret_collection,
                             size_t collection_size)
{
    char *text[3];
    bool  fits = true;

    for (size_t i = 0; i < 3; i++) {
        text[i] = curl_easy_escape(session->curl, parts[i].data, (int)parts[i].size);
        fits &= text[i] != NULL;
    }
    if (fits)
        fits = (size_t)snprintf(ret_database, database_size, "/api/v2/tenants/%s/databases/%s",
                                text[0], text[1]) < database_size &&
               (size_t)snprintf(ret_collection, collection_size, "%s/collections/%s", ret_database,
                                text[2]) < collection_size;
    for (size_t i = 0; i < 3; i++)
        curl_free(text[i]);
    return fits;
}

enum status http_session_ask(struct http_session *session, const char *path,
                             const struct byte_buffer *body, struct error *error)
{
    char     where[ADDRESS_TEXT_SIZE], base[ADDRESS_TEXT_SIZE + 8] = "http://localhost";
    char     url[sizeof base + 2700], reason[CURL_ERROR_SIZE] = "";
    CURLcode code;

    if (session->address.kind == ADDRESS_TCP)
        address_format_url(&session->address, base, sizeof base);
    snprintf(url, sizeof url, "%s%s", base, path);
    byte_buffer_clear(&session->answer);
    curl_easy_setopt(session->curl, CURLOPT_URL, url);
    curl_easy_setopt(session->curl, CURLOPT_ERRORBUFFER, reason);
    if (body == NULL) {
        curl_easy_setopt(session->curl, CURLOPT_HTTPGET, 1L);
    } else {
        struct bytes bytes = byte_buffer_bytes(body);

        curl_easy_setopt(session->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(session->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)bytes.size);
        curl_easy_setopt(session->curl, CURLOPT_POSTFIELDS, bytes.data);
    }
    code = curl_easy_perform(session->curl);
    curl_easy_setopt(session->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_getinfo(session->curl, CURLINFO_RESPONSE_CODE, &session->code);
    if (code == CURLE_OK)
        return STATUS_OK;
    return error_set(error, STATUS_BACKEND_DOWN, "%s gives no answer: %s",
                     address_format(&session->address, where, sizeof where),
                     reason[0] == '\0' ? curl_easy_strerror(code) : reason);
}

static size_t http_session_on_body(char *data, size_t one, size_t size, void *ctx)
{
    struct http_session *session = ctx;
    struct bytes         part = {data, size};

    return byte_buffer_append(&session->answer, part, ANSWER_BYTES_MAX) == STATUS_OK ? one * size
                                                                                     : 0;
}

const char *http_session_message(struct http_session *session)
{
    struct bytes text = byte_buffer_bytes(&session->answer);
    json_t      *answer = text.size == 0 ? NULL : json_loadb(text.data, text.size, 0, NULL);
    const char  *message = json_string_value(json_object_get(answer, "message"));

    snprintf(session->message, sizeof session->message, "%ld: %s", session->code,
             message == NULL ? "no reason is given" : message);
    json_decref(answer);
    return session->message;
}
