#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/text.h"

static const struct bytes unix_prefix = {"unix:", 5};
static const struct bytes http_prefix = {"http://", 7};

static enum status  address_complain(struct error *error, struct bytes text, const char *what);
static const char  *read_unix(struct bytes path, struct address *ret);
static const char  *read_tcp(struct bytes text, struct address *ret);
static const char  *read_host(struct bytes host, bool bracketed, struct address *ret);
static bool         begins_with_nocase(struct bytes text, struct bytes prefix);
static struct bytes first(struct bytes text, size_t size);

enum status address_parse(struct bytes text, struct address *ret, struct error *error)
{
    struct address address = {0};
    const char    *wrong;

    if (bytes_begin_with(text, unix_prefix))
        wrong = read_unix(bytes_skip(text, unix_prefix.size), &address);
    else if (begins_with_nocase(text, http_prefix))
        wrong = "an address has no http:// in front";
    else
        wrong = read_tcp(text, &address);
    if (wrong != NULL)
        return address_complain(error, text, wrong);
    *ret = address;
    return STATUS_OK;
}

enum status address_parse_url(struct bytes text, struct address *ret, struct error *error)
{
    struct address address = {.port = 80};
    struct bytes   rest;
    const char    *slash;
    const char    *wrong;

    if (bytes_begin_with(text, unix_prefix)) {
        wrong = read_unix(bytes_skip(text, unix_prefix.size), &address);
        goto out;
    }
    wrong = "https is not supported yet; use http:// on a trusted network or a TLS tunnel";
    if (begins_with_nocase(text, BYTES_LITERAL("https://")))
        goto out;
    wrong = "write http://HOST:PORT or unix:/PATH";
    if (!begins_with_nocase(text, http_prefix))
        goto out;
    rest = bytes_skip(text, http_prefix.size);
    wrong = "a user name in the URL is not supported";
    if (rest.size > 0 && memchr(rest.data, '@', rest.size) != NULL)
        goto out;
    slash = rest.size == 0 ? NULL : memchr(rest.data, '/', rest.size);
    wrong = "the URL must end after host and port: paths are forwarded as the client sent them";
    if (slash != NULL && slash != rest.data + rest.size - 1)
        goto out;
    wrong = read_tcp(first(rest, rest.size - (slash != NULL)), &address);
    if (wrong == NULL && address.port == 0)
        wrong = "the port must be 1..65535";
out:
    if (wrong != NULL)
        return address_complain(error, text, wrong);
    *ret = address;
    return STATUS_OK;
}

const char *address_format(const struct address *address, char *out, size_t size)
{
    switch (address->kind) {
    case ADDRESS_NONE:
        snprintf(out, size, "off");
        break;
    case ADDRESS_UNIX:
        snprintf(out, size, "unix:%s", address->path);
        break;
    case ADDRESS_TCP:
        snprintf(out, size, strchr(address->host, ':') == NULL ? "%s:%u" : "[%s]:%u", address->host,
                 address->port);
    }
    return out;
}

const char *address_format_url(const struct address *address, char *out, size_t size)
{
    size_t prefix = address->kind == ADDRESS_TCP ? http_prefix.size : 0;

    if (size <= prefix)
        return address_format(address, out, size);
    memcpy(out, http_prefix.data, prefix);
    address_format(address, out + prefix, size - prefix);
    return out;
}

static enum status address_complain(struct error *error, struct bytes text, const char *what)
{
    char quoted[100];

    return error_set(error, STATUS_INVALID, "%s: %s", text_quote(text, quoted, sizeof quoted),
                     what);
}

/* The readers return NULL when all is well, else what is wrong. */
static const char *read_unix(struct bytes path, struct address *ret)
{
    if (path.size == 0 || path.data[0] != '/')
        return "the path of a unix socket must be absolute: unix:/run/NAME.sock";
    if (path.size >= sizeof ret->path)
        return "the path of a unix socket may have at most 107 bytes";
    for (size_t i = 0; i < path.size; i++)
        if ((unsigned char)path.data[i] < ' ' || path.data[i] == 127)
            return "a control character is not allowed in the path";
    ret->kind = ADDRESS_UNIX;
    ret->port = 0;
    memcpy(ret->path, path.data, path.size);
    ret->path[path.size] = '\0';
    return NULL;
}

/* `ret->port` is what stands there when the text names none; 0 means that it must name one. */
static const char *read_tcp(struct bytes text, struct address *ret)
{
    bool         bracketed = text.size > 0 && text.data[0] == '[';
    size_t       end = 0; /* where the host ends */
    struct bytes port;
    uint64_t     number;
    const char  *wrong;

    while (end < text.size && text.data[end] != (bracketed ? ']' : ':'))
        end++;
    if (bracketed && end == text.size)
        return "the bracket is not closed; example: [::1]:8001";
    port = bytes_skip(text, end + bracketed);
    if (end > 0 && port.size == 0 && ret->port == 0)
        return "a port is missing: HOST:PORT";
    wrong =
        read_host(bracketed ? bytes_skip(first(text, end), 1) : first(text, end), bracketed, ret);
    if (port.size == 0)
        return wrong;
    if (port.data[0] != ':')
        return "a colon and the port must follow the bracket; example: [::1]:8001";
    port = bytes_skip(port, 1);
    if (!bracketed && port.size > 0 && memchr(port.data, ':', port.size) != NULL)
        return "an IPv6 address goes in brackets; example: [::1]:8001";
    if (wrong != NULL)
        return wrong;
    if (port.size > 5 || !text_to_number(port, &number) || number > UINT16_MAX)
        return "the port must be a number, at most 65535";
    ret->port = (uint16_t)number;
    return NULL;
}

static const char *read_host(struct bytes host, bool bracketed, struct address *ret)
{
    unsigned char binary[sizeof(struct in6_addr)];
    bool          numeric = true;
    char         *zone;

    if (host.size == 0)
        return "the host is missing; 0.0.0.0 or [::] is every address of this machine";
    if (host.size >= sizeof ret->host)
        return "the host name is too long";
    if (!bracketed) {
        for (size_t i = 0; i < host.size; i++) {
            char c = host.data[i];
            if (!text_is_alnum(c) && c != '-' && c != '.' && c != '_')
                return "a character in the host name is not allowed";
            numeric = numeric && (c == '.' || (c >= '0' && c <= '9'));
        }
    }
    ret->kind = ADDRESS_TCP;
    memcpy(ret->host, host.data, host.size);
    ret->host[host.size] = '\0';
    if (!bracketed)
        return numeric && inet_pton(AF_INET, ret->host, binary) != 1
                   ? "this is not an IPv4 address of four numbers"
                   : NULL;
    zone = strchr(ret->host, '%'); /* fe80::1%eth0: the name behind % is the system's matter */
    if (zone != NULL)
        *zone = '\0';
    if (strlen(ret->host) + (zone == NULL ? 0 : 1 + strlen(zone + 1)) != host.size ||
        inet_pton(AF_INET6, ret->host, binary) != 1)
        return "this is not an IPv6 address";
    if (zone != NULL)
        *zone = '%';
    return NULL;
}

static bool begins_with_nocase(struct bytes text, struct bytes prefix)
{
    return text.size >= prefix.size && bytes_equal_nocase(first(text, prefix.size), prefix);
}

static struct bytes first(struct bytes text, size_t size)
{
    return (struct bytes){.data = text.data, .size = size};
}
