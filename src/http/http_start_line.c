#include "http/http_start_line.h"

#include "http/http_chars.h"

static enum status  parse_version(struct bytes text, struct http_head *head, struct error *error);
static enum status  parse_target(char *target, size_t size, struct http_head *head,
                                 struct bytes *ret_authority, struct error *error);
static size_t       scheme_size(struct bytes target);
static struct bytes reduce(char *target, size_t size, size_t authority_at, bool is_options,
                           struct bytes *ret_authority);
static size_t       host_span(struct bytes text);
static bool         is_digit(char c);

enum status http_start_line_request(char *line, size_t size, struct http_head *head,
                                    struct bytes *ret_authority, struct error *error)
{
    struct bytes rest = {.data = line, .size = size};
    size_t       method_size = http_chars_span(rest, HTTP_CHARS_TOKEN);
    size_t       target_size;
    char        *target;
    enum status  status;

    if (method_size == 0 || method_size == size || line[method_size] != ' ')
        return error_set(error, STATUS_INVALID, "the method is not a token followed by a space");
    head->method = (struct bytes){.data = line, .size = method_size};
    head->is_head = bytes_equal(head->method, BYTES_LITERAL("HEAD"));

    target = line + method_size + 1;
    rest = bytes_skip(rest, method_size + 1);
    target_size = http_chars_span(rest, HTTP_CHARS_TARGET);
    if (target_size == 0 || target_size == rest.size || target[target_size] != ' ')
        return error_set(error, STATUS_INVALID, "the request target is not valid");

    status = parse_version(bytes_skip(rest, target_size + 1), head, error);
    if (status != STATUS_OK)
        return status;
    return parse_target(target, target_size, head, ret_authority, error);
}

/* A later minor version is read as the highest that we know (RFC 9110 section 2.5). The HTTP/2
 * preface, "PRI * HTTP/2.0", is answered as every other major version. */
static enum status parse_version(struct bytes text, struct http_head *head, struct error *error)
{
    if (text.size != 8 || memcmp(text.data, "HTTP/", 5) != 0 || !is_digit(text.data[5]) ||
        text.data[6] != '.' || !is_digit(text.data[7]))
        return error_set(error, STATUS_INVALID, "the HTTP version is not valid");
    if (text.data[5] != '1')
        return error_set(error, STATUS_VERSION_UNSUPPORTED, "only HTTP/1 is known");
    head->minor_version = text.data[7] != '0';
    return STATUS_OK;
}

static enum status parse_target(char *target, size_t size, struct http_head *head,
                                struct bytes *ret_authority, struct error *error)
{
    struct bytes text = {.data = target, .size = size};
    bool         is_options = bytes_equal(head->method, BYTES_LITERAL("OPTIONS"));
    size_t       authority_at;
    const char  *mark;

    *ret_authority = (struct bytes){0};
    if (bytes_equal(head->method, BYTES_LITERAL("CONNECT")))
        return error_set(error, STATUS_NOT_IMPLEMENTED, "CONNECT is not served here");
    if (target[0] != '/' && !(is_options && bytes_equal(text, BYTES_LITERAL("*")))) {
        authority_at = scheme_size(text);
        if (authority_at == 0)
            return error_set(error, STATUS_INVALID, "the request target is neither path nor URI");
        text = reduce(target, size, authority_at, is_options, ret_authority);
        if (host_span(*ret_authority) == 0 || !http_start_line_is_authority(*ret_authority))
            return error_set(error, STATUS_INVALID, "the request target's host is not valid");
    }
    head->target = head->path = text;
    head->query = (struct bytes){0};
    mark = memchr(text.data, '?', text.size);
    if (mark != NULL) {
        head->path.size = (size_t)(mark - text.data);
        head->query = bytes_skip(text, head->path.size + 1);
    }
    return STATUS_OK;
}

/* The size of "http://" or "https://" at the beginning, else 0. */
static size_t scheme_size(struct bytes target)
{
    if (target.size >= 7 && strncasecmp(target.data, "http://", 7) == 0)
        return 7;
    if (target.size >= 8 && strncasecmp(target.data, "https://", 8) == 0)
        return 8;
    return 0;
}

/* Path and query of an absolute-form target. Where the path is empty the forwarded target needs a
 * byte that the line does not have: "/" (for OPTIONS without a query "*", RFC 9112 section
 * 3.2.4). Before a query the authority moves over the slash that ends "://"; else the byte is put
 * over the space behind the target, which was read. */
static struct bytes reduce(char *target, size_t size, size_t authority_at, bool is_options,
                           struct bytes *ret_authority)
{
    size_t end = authority_at;

    while (end < size && target[end] != '/' && target[end] != '?')
        end++;
    *ret_authority = (struct bytes){.data = target + authority_at, .size = end - authority_at};
    if (end == size) {
        target[size++] = is_options ? '*' : '/';
    } else if (target[end] == '?') {
        memmove(target + authority_at - 1, target + authority_at, end - authority_at);
        ret_authority->data--;
        target[--end] = '/';
    }
    return (struct bytes){.data = target + end, .size = size - end};
}

bool http_start_line_is_authority(struct bytes text)
{
    size_t size = host_span(text);

    if (size < text.size && text.data[size] == ':')
        for (size++; size < text.size && is_digit(text.data[size]); size++)
            continue;
    return size == text.size;
}

/* The size of the uri-host at the beginning: a reg-name, or an address in brackets. */
static size_t host_span(struct bytes text)
{
    size_t size;

    if (text.size == 0 || text.data[0] != '[')
        return http_chars_span(text, HTTP_CHARS_HOST);
    for (size = 1; size < text.size; size++)
        if (text.data[size] != ':' && !http_chars_is(text.data[size], HTTP_CHARS_HOST))
            break;
    return size > 1 && size < text.size && text.data[size] == ']' ? size + 1 : 0;
}

enum status http_start_line_response(struct bytes line, struct http_head *head, struct error *error)
{
    struct bytes version = {.data = line.data, .size = line.size < 8 ? line.size : 8};
    const char  *text = line.data;
    enum status  status = parse_version(version, head, error);

    if (status != STATUS_OK)
        return status;
    if (line.size < 12 || text[8] != ' ' || text[9] == '0' || !is_digit(text[9]) ||
        !is_digit(text[10]) || !is_digit(text[11]) || (line.size > 12 && text[12] != ' '))
        return error_set(error, STATUS_INVALID, "the status line is not valid");
    head->status = (unsigned)((text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0'));
    head->reason = line.size > 12 ? bytes_skip(line, 13) : (struct bytes){0};
    if (!http_chars_are_value(head->reason))
        return error_set(error, STATUS_INVALID, "the reason phrase holds a control character");
    return STATUS_OK;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
