#include "cli/import_command.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/http_session.h"
#include "cli/record_lines.h"
#include "json/json_scan.h"

/* Of one upsert; a record that is larger goes alone. */
enum { RECORDS_MAX = 500, BODY_BYTES_MAX = 4 << 20 };
/* No record is larger: Chroma takes 40 MiB. */
enum { LINE_BYTES_MAX = 64 << 20, READ_BYTES = 256 << 10 };

struct import {
    struct http_session session;
    const char         *name;
    char                path[2600]; /* of the upserts */
    struct byte_buffer  input;
    struct record_lines lines;
    uint64_t            line;    /* the number of the one that is read, from 1 */
    uint64_t            written; /* records */
};

static int find_import(struct import *import, const struct bytes parts[3]);
static int read_lines(struct import *import);
static int import_take_line(struct import *import, struct bytes line);
static int send_lines(struct import *import);
static int fail_written(const struct import *import, int exit_status, const char *reason);
static int exit_of(long code);

int import_command(const struct options *options)
{
    static struct import import;
    const char          *name = options->word_count > 1 ? options->words[1] : "";
    struct bytes         parts[3];
    struct error         error;
    int                  exit_status;

    if (!import_command_split(bytes_of(name), parts))
        return cli_fail(EX_USAGE, "write import NAME, or import TENANT/DATABASE/NAME");
    if (isatty(STDIN_FILENO))
        return cli_fail(EX_USAGE,
                        "import reads records from standard input: write import %s "
                        "< records.jsonl",
                        name);
    exit_status = http_session_begin(&import.session, options, &error);
    if (exit_status != EX_OK)
        return cli_fail(exit_status, "%s", error.text);
    import.name = name;
    exit_status = find_import(&import, parts);
    if (exit_status == EX_OK)
        exit_status = read_lines(&import);
    if (exit_status == EX_OK)
        printf("%s: %" PRIu64 " records written\n", name, import.written);
    record_lines_done(&import.lines);
    byte_buffer_done(&import.input);
    http_session_end(&import.session);
    return exit_status == EX_OK ? cli_finish() : exit_status;
}

bool import_command_split(struct bytes name, struct bytes ret_parts[3])
{
    size_t slashes = 0;

    for (size_t i = 0; i < name.size; i++)
        slashes += name.data[i] == '/';
    ret_parts[0] = bytes_of("default_tenant");
    ret_parts[1] = bytes_of("default_database");
    ret_parts[2] = name;
    if (slashes != 0 && slashes != 2)
        return false;
    for (size_t i = 0; i < slashes; i++) {
        const char *end = memchr(ret_parts[2].data, '/', ret_parts[2].size);

        ret_parts[i] = (struct bytes){ret_parts[2].data, (size_t)(end - ret_parts[2].data)};
        ret_parts[2] = bytes_skip(ret_parts[2], ret_parts[i].size + 1);
    }
    return ret_parts[0].size > 0 && ret_parts[1].size > 0 && ret_parts[2].size > 0;
}

static int find_import(struct import *import, const struct bytes parts[3])
{
    char               database[1800], path[2600];
    struct json_scan   scan;
    struct json_string key, id = {0};
    struct error       error;
    enum status        status;

    if (!http_session_print_path(&import->session, parts, database, sizeof database, path,
                                 sizeof path))
        return cli_fail(EX_USAGE, "the name is too long");
    status = http_session_ask(&import->session, path, NULL, &error);
    if (status != STATUS_OK)
        return cli_fail(EX_UNAVAILABLE, "%s", error.text);
    if (import->session.code == 404)
        return cli_fail(EX_USAGE,
                        "there is no collection %s: create it first, with the same "
                        "distance function",
                        import->name);
    if (import->session.code != 200)
        return cli_fail(exit_of(import->session.code), "%s: %s", import->name,
                        http_session_message(&import->session));
    json_scan_init(&scan, byte_buffer_bytes(&import->session.answer));
    if (json_scan_object(&scan))
        while (json_scan_member(&scan, &key)) {
            if (json_scan_equals(key, BYTES_LITERAL("id")) && id.raw.size == 0)
                json_scan_string(&scan, &id);
            else
                json_scan_value(&scan, NULL);
        }
    if (!json_scan_end(&scan) || id.raw.size == 0 || id.raw.size > 64)
        return cli_fail(EX_UNAVAILABLE, "the answer about %s is not Chroma's", import->name);
    snprintf(import->path, sizeof import->path, "%s/collections/%.*s/upsert", database,
             (int)id.raw.size, id.raw.data);
    return EX_OK;
}

static int read_lines(struct import *import)
{
    int exit_status = EX_OK;

    while (exit_status == EX_OK) {
        struct bytes held = byte_buffer_bytes(&import->input);
        const char  *end = held.size == 0 ? NULL : memchr(held.data, '\n', held.size);
        ssize_t      size;

        if (end != NULL) {
            exit_status =
                import_take_line(import, (struct bytes){held.data, (size_t)(end - held.data)});
            byte_buffer_consume(&import->input, (size_t)(end - held.data) + 1);
            continue;
        }
        if (byte_buffer_reserve(&import->input, READ_BYTES, LINE_BYTES_MAX) != STATUS_OK) {
            import->line++;
            return fail_written(import, EX_DATAERR, "it is too long, or memory is short");
        }
        size = read(STDIN_FILENO, import->input.data + import->input.end, READ_BYTES);
        if (size < 0)
            return fail_written(import, EX_IOERR, "standard input cannot be read");
        import->input.end += (size_t)size;
        if (size == 0) {
            if (held.size > 0) /* the last one has no newline */
                exit_status = import_take_line(import, held);
            return exit_status == EX_OK ? send_lines(import) : exit_status;
        }
    }
    return exit_status;
}

/* An empty one is none. */
static int import_take_line(struct import *import, struct bytes line)
{
    struct error error;
    enum status  status;

    import->line++;
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    if (line.size == 0)
        return EX_OK;
    if (import->lines.count > 0 &&
        (import->lines.count == RECORDS_MAX ||
         record_lines_size(&import->lines) + line.size > BODY_BYTES_MAX)) {
        int exit_status = send_lines(import);

        if (exit_status != EX_OK)
            return exit_status;
    }
    status = record_lines_add(&import->lines, line, &error);
    if (status == STATUS_INVALID) { /* what stands before it is good */
        int exit_status = send_lines(import);

        return exit_status == EX_OK ? fail_written(import, EX_DATAERR, error.text) : exit_status;
    }
    return status == STATUS_OK ? EX_OK : fail_written(import, EX_OSERR, error.text);
}

static int send_lines(struct import *import)
{
    struct byte_buffer body = {0};
    struct error       error;
    enum status        status;

    if (import->lines.count == 0)
        return EX_OK;
    status = record_lines_body(&import->lines, &body);
    if (status == STATUS_OK)
        status = http_session_ask(&import->session, import->path, &body, &error);
    else
        error_set(&error, status, "out of memory");
    byte_buffer_done(&body);
    if (status != STATUS_OK)
        return fail_written(import, EX_UNAVAILABLE, error.text);
    if (import->session.code < 200 || import->session.code > 299)
        return fail_written(import, exit_of(import->session.code),
                            http_session_message(&import->session));
    import->written += import->lines.count;
    record_lines_clear(&import->lines);
    return EX_OK;
}

/* After a line, or lines that were sent, all that stands before was written. */
static int fail_written(const struct import *import, int exit_status, const char *reason)
{
    char where[80];

    if (import->lines.count > 1)
        snprintf(where, sizeof where, "one of the %zu records up to line %" PRIu64,
                 import->lines.count, import->line);
    else
        snprintf(where, sizeof where, "line %" PRIu64, import->line);
    return cli_fail(exit_status,
                    "%s: %s; %" PRIu64 " records before were written, and may be written again",
                    where, reason, import->written);
}

static int exit_of(long code)
{
    return code == 401 || code == 403                 ? EX_NOPERM
           : code >= 400 && code < 500 && code != 429 ? EX_DATAERR
                                                      : EX_UNAVAILABLE;
}
