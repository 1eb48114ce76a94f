#include "http/http_semantics.h"

#include "http/http_chars.h"
#include "http/http_field.h"
#include "http/http_start_line.h"

/* What one pass over the fields finds. */
struct findings {
    struct http_field *host;
    bool               has_connection, says_close, says_keep_alive;
    bool               has_coding;     /* a Transfer-Encoding field */
    unsigned           codings_before; /* that stand before the last one */
    bool               chunked_before; /* one of them is */
    struct bytes       last_coding;
    bool               is_chunked; /* the last one is */
    bool               expects, expects_other;
};

/* Connection options beyond this many are refused: each is compared with every field name. */
enum { connection_options_max = HTTP_FIELDS_MAX };

static enum status find_all(struct http_head *head, struct findings *findings, struct error *error);
static enum status find_length(struct http_head *head, struct bytes value, struct error *error);
static void        find_codings(struct bytes list, struct findings *findings);
static enum status check_coding_allowed(const struct http_head *head,
                                        const struct findings *findings, struct error *error);
static enum status read_connection(struct http_head *head, struct findings *findings,
                                   struct error *error);
static bool        next_element(struct bytes *list, struct bytes *ret_element);
static void        mark_named(struct http_head *head, struct bytes name);
static enum status check_host(struct http_head *head, struct findings *findings,
                              struct bytes authority, struct error *error);
static enum status check_coding(const struct findings *findings, struct error *error);
static enum status count_forwards(struct http_head *head, struct error *error);

enum status http_semantics_request(struct http_head *head, struct bytes authority,
                                   struct error *error)
{
    struct findings findings = {0};
    enum status     status = find_all(head, &findings, error);

    if (status == STATUS_OK)
        status = check_host(head, &findings, authority, error);
    if (status == STATUS_OK)
        status = check_coding(&findings, error);
    if (status == STATUS_OK)
        status = count_forwards(head, error);
    if (status != STATUS_OK)
        return status;
    if (findings.expects_other && head->minor_version == 1)
        return error_set(error, STATUS_EXPECTATION_FAILED, "only 100-continue may be expected");

    if (findings.is_chunked)
        head->framing = HTTP_FRAMING_CHUNKED;
    else
        head->framing = head->has_content_length ? HTTP_FRAMING_LENGTH : HTTP_FRAMING_NONE;
    /* Who has nothing to send has nothing to wait for. */
    head->expects_continue = findings.expects && head->minor_version == 1 &&
                             (findings.is_chunked || head->content_length > 0);
    return STATUS_OK;
}

enum status http_semantics_response(struct http_head *head, bool answers_head, struct error *error)
{
    struct findings findings = {0};
    enum status     status = find_all(head, &findings, error);

    if (status == STATUS_OK)
        status = check_coding(&findings, error);
    if (status != STATUS_OK)
        return status;
    if (head->status == 101)
        return error_set(error, STATUS_NOT_IMPLEMENTED, "the protocol was switched unasked");

    if (answers_head || head->status < 200 || head->status == 204 || head->status == 304) {
        head->framing = HTTP_FRAMING_NONE;
    } else if (findings.is_chunked) {
        head->framing = HTTP_FRAMING_CHUNKED;
    } else if (head->has_content_length) {
        head->framing = HTTP_FRAMING_LENGTH;
    } else {
        head->framing = HTTP_FRAMING_UNTIL_CLOSE;
        head->keep_alive = false;
    }
    return STATUS_OK;
}

/* One pass, and a second one over Connection fields only where there are any. */
static enum status find_all(struct http_head *head, struct findings *findings, struct error *error)
{
    enum status status = STATUS_OK;

    head->has_content_length = false;
    head->content_length = 0;
    head->expects_continue = false;
    for (size_t i = 0; i < head->field_count && status == STATUS_OK; i++) {
        struct http_field *field = &head->fields[i];

        switch (field->id) {
        case HTTP_FIELD_HOST:
            if (findings->host != NULL)
                status = error_set(error, STATUS_INVALID, "there is more than one Host field");
            findings->host = field;
            break;
        case HTTP_FIELD_CONTENT_LENGTH:
            status = find_length(head, field->value, error);
            break;
        case HTTP_FIELD_TRANSFER_ENCODING:
            find_codings(field->value, findings);
            break;
        case HTTP_FIELD_EXPECT:
            findings->expects = true;
            findings->expects_other |=
                !bytes_equal_nocase(field->value, BYTES_LITERAL("100-continue"));
            break;
        case HTTP_FIELD_CONNECTION:
            findings->has_connection = true;
            break;
        default:
            break;
        }
    }
    if (status == STATUS_OK)
        status = check_coding_allowed(head, findings, error);
    if (status == STATUS_OK && findings->has_connection)
        status = read_connection(head, findings, error);
    head->keep_alive =
        !findings->says_close && (head->minor_version == 1 || findings->says_keep_alive);
    return status;
}

static enum status find_length(struct http_head *head, struct bytes value, struct error *error)
{
    uint64_t length = 0;

    if (head->has_content_length)
        return error_set(error, STATUS_INVALID, "there is more than one Content-Length field");
    if (value.size == 0)
        return error_set(error, STATUS_INVALID, "Content-Length is not a number");
    for (size_t i = 0; i < value.size; i++) {
        unsigned digit = (unsigned)value.data[i] - '0';

        if (digit > 9)
            return error_set(error, STATUS_INVALID, "Content-Length is not a number");
        if (length > (UINT64_MAX - digit) / 10)
            return error_set(error, STATUS_INVALID, "Content-Length is too large a number");
        length = length * 10 + digit;
    }
    head->content_length = length;
    head->has_content_length = true;
    return STATUS_OK;
}

/* Several fields are one list (RFC 9110 section 5.3); empty elements count for nothing. */
static void find_codings(struct bytes list, struct findings *findings)
{
    struct bytes coding;

    while (next_element(&list, &coding)) {
        if (coding.size == 0)
            continue;
        findings->codings_before += findings->last_coding.size > 0;
        findings->chunked_before |= findings->is_chunked;
        findings->last_coding = coding;
        findings->is_chunked = bytes_equal_nocase(coding, BYTES_LITERAL("chunked"));
    }
    findings->has_coding = true;
}

static enum status check_coding_allowed(const struct http_head *head,
                                        const struct findings *findings, struct error *error)
{
    if (findings->has_coding && head->has_content_length)
        return error_set(error, STATUS_INVALID, "both Content-Length and Transfer-Encoding");
    if (findings->has_coding && head->minor_version == 0)
        return error_set(error, STATUS_INVALID, "HTTP/1.0 has no Transfer-Encoding");
    return STATUS_OK;
}

static enum status read_connection(struct http_head *head, struct findings *findings,
                                   struct error *error)
{
    struct bytes option;
    unsigned     count = 0;

    for (size_t i = 0; i < head->field_count; i++) {
        struct bytes list = head->fields[i].value;

        while (head->fields[i].id == HTTP_FIELD_CONNECTION && next_element(&list, &option)) {
            if (++count > connection_options_max)
                return error_set(error, STATUS_INVALID, "Connection has too many options");
            if (http_chars_span(option, HTTP_CHARS_TOKEN) != option.size)
                return error_set(error, STATUS_INVALID, "a Connection option is not a token");
            if (bytes_equal_nocase(option, BYTES_LITERAL("close")))
                findings->says_close = true;
            else if (bytes_equal_nocase(option, BYTES_LITERAL("keep-alive")))
                findings->says_keep_alive = true;
            else
                mark_named(head, option);
        }
    }
    return STATUS_OK;
}

/* The next element of a comma-separated list; it may be empty. */
static bool next_element(struct bytes *list, struct bytes *ret_element)
{
    const char *comma;

    if (list->size == 0)
        return false;
    comma = memchr(list->data, ',', list->size);
    *ret_element = *list;
    if (comma != NULL)
        ret_element->size = (size_t)(comma - list->data);
    *list = bytes_skip(*list, ret_element->size + (comma != NULL));
    *ret_element = http_field_trim(*ret_element);
    return true;
}

static void mark_named(struct http_head *head, struct bytes name)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (bytes_equal_nocase(head->fields[i].name, name) &&
            http_field_may_be_named(head->fields[i].id))
            head->fields[i].hop_by_hop = true;
}

static enum status check_host(struct http_head *head, struct findings *findings,
                              struct bytes authority, struct error *error)
{
    if (findings->host == NULL && head->minor_version == 1)
        return error_set(error, STATUS_INVALID, "there is no Host field");
    if (findings->host != NULL && !http_start_line_is_authority(findings->host->value))
        return error_set(error, STATUS_INVALID, "the Host field is not valid");
    if (authority.size == 0)
        return STATUS_OK;
    if (findings->host == NULL) {
        if (head->field_count == HTTP_FIELDS_MAX)
            return error_set(error, STATUS_HEADERS_TOO_LARGE, "there are too many fields");
        findings->host = &head->fields[head->field_count++];
        *findings->host = (struct http_field){.name = BYTES_LITERAL("Host"), .id = HTTP_FIELD_HOST};
    }
    findings->host->value = authority;
    return STATUS_OK;
}

static enum status check_coding(const struct findings *findings, struct error *error)
{
    if (!findings->has_coding)
        return STATUS_OK;
    /* Where the body ends is not known then (RFC 9112 section 6.3, 4.). */
    if (!findings->is_chunked || findings->chunked_before)
        return error_set(error, STATUS_INVALID, "chunked is not the last transfer coding");
    if (findings->codings_before > 0)
        return error_set(error, STATUS_NOT_IMPLEMENTED, "the only transfer coding is chunked");
    return STATUS_OK;
}

/* RFC 9110 section 7.6.2. A value that is no number says nothing, and passes. */
static enum status count_forwards(struct http_head *head, struct error *error)
{
    bool               is_trace = bytes_equal(head->method, BYTES_LITERAL("TRACE"));
    struct http_field *field = NULL;
    uint64_t           value = 0;

    head->is_last_hop = head->has_forwards_left = false;
    if (!is_trace && !bytes_equal(head->method, BYTES_LITERAL("OPTIONS")))
        return STATUS_OK;
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id != HTTP_FIELD_MAX_FORWARDS)
            continue;
        if (field != NULL)
            return error_set(error, STATUS_INVALID, "there is more than one Max-Forwards field");
        field = &head->fields[i];
    }
    if (field == NULL || field->value.size == 0)
        return STATUS_OK;
    for (size_t i = 0; i < field->value.size; i++) {
        unsigned digit = (unsigned)field->value.data[i] - '0';

        if (digit > 9)
            return STATUS_OK;
        value = value * 10 + digit;
        if (value > UINT32_MAX)
            value = UINT32_MAX; /* the highest that we know, which may be said instead */
    }
    if (value == 0 && is_trace)
        return error_set(error, STATUS_NOT_IMPLEMENTED, "TRACE is not answered here");
    head->is_last_hop = value == 0;
    head->has_forwards_left = value > 0;
    head->forwards_left = value > 0 ? (uint32_t)value - 1 : 0;
    field->hop_by_hop = true;
    return STATUS_OK;
}
