#include "app/keys_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/byte_buffer.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/sha256.h"
#include "limits/key_ring.h"
#include "limits/key_text.h"

_Static_assert((int)KEYS_FILE_KEY_SIZE >= (int)KEY_TEXT_SIZE, "a key fits");
_Static_assert((int)KEYS_FILE_SCOPES_MAX <= (int)KEY_RING_SCOPES_MAX, "a ring takes as many");

static const char file_head[] = "# Keys of chromabouncer, written by `chromabouncer key`. Digests "
                                "only: a lost key cannot be found here.\n";

enum { path_size = 600 };

/* The file to be, locked. */
struct draft {
    int  fd;
    char path[path_size];
};

static enum status keys_file_read_text(const char *path, struct byte_buffer *ret_text,
                                       struct error *error);
static enum status check_owner(const char *path, int fd, struct error *error);
static enum status keys_file_parse(const char *path, struct bytes text, keys_file_fn *fn, void *ctx,
                                   struct error *error);
static enum status parse_line(struct bytes line, struct keys_file_entry *entry,
                              struct error *error);
static bool        keys_file_take_word(struct bytes *rest, struct bytes *ret_word);
static bool        take_value(struct bytes word, struct bytes prefix, struct bytes *ret_value);
static enum status keys_file_take_scope(struct bytes scope, struct keys_file_entry *entry,
                                        struct error *error);
static bool        parse_hex(struct bytes text, unsigned char *ret, size_t size);
static bool        is_name_text(struct bytes text);
static enum status add_to_ring(void *ctx, const struct keys_file_entry *entry, struct error *error);
static enum status open_draft(const char *path, struct draft *draft, struct error *error);
static enum status replace(const char *path, struct draft *draft, struct bytes text,
                           struct error *error);
static enum status keys_file_make_key(struct keys_file_entry *entry,
                                      char ret_key[KEYS_FILE_KEY_SIZE], struct error *error);
static enum status keys_file_append_line(struct byte_buffer           *out,
                                         const struct keys_file_entry *entry, struct error *error);
static enum status keys_file_settle(const char *path, struct draft *draft, struct byte_buffer *text,
                                    enum status status, struct error *error);
static enum status extend(const char *path, struct keys_file_entry *entry, struct byte_buffer *text,
                          struct error *error);
static enum status look_for_id(void *ctx, const struct keys_file_entry *entry, struct error *error);
static enum status shorten(const char *path, struct bytes which, struct byte_buffer *text,
                           struct error *error);
static enum status look_for_key(void *ctx, const struct keys_file_entry *entry,
                                struct error *error);

/* ---- Reading -------------------------------------------------------------------------------- */

enum status keys_file_each(const char *path, keys_file_fn *fn, void *ctx, struct error *error)
{
    struct byte_buffer text = {0};
    enum status        status = keys_file_read_text(path, &text, error);

    if (status == STATUS_OK)
        status = keys_file_parse(path, byte_buffer_bytes(&text), fn, ctx, error);
    byte_buffer_done(&text);
    return status;
}

static enum status keys_file_read_text(const char *path, struct byte_buffer *ret_text,
                                       struct error *error)
{
    uint64_t    size = 0;
    int         fd = -1;
    enum status status = file_open(&file_ops_system, path, O_RDONLY | O_NONBLOCK, &fd);

    if (status == STATUS_OK && file_size(fd, &size) != STATUS_OK)
        status = STATUS_INVALID;
    if (status != STATUS_OK)
        error_set(error, status, "%s: %s", path,
                  status == STATUS_NOT_FOUND       ? "there is no such file of keys"
                  : status == STATUS_NOT_PERMITTED ? "the file of keys may not be read"
                                                   : "the file of keys cannot be read");
    else if (size > KEYS_FILE_BYTES_MAX)
        status = error_set(error, STATUS_INVALID, "%s: too large for a file of keys", path);
    else
        status = check_owner(path, fd, error);
    if (status == STATUS_OK)
        status = byte_buffer_reserve(ret_text, (size_t)size + 1, SIZE_MAX);
    if (status == STATUS_OK) {
        ret_text->end = (size_t)size;
        status = file_read(&file_ops_system, fd, ret_text->data, (size_t)size, 0);
        if (status != STATUS_OK)
            error_set(error, status, "%s: the file of keys cannot be read", path);
    }
    file_close(&file_ops_system, fd);
    return status;
}

static enum status check_owner(const char *path, int fd, struct error *error)
{
    struct stat info;

    if (fstat(fd, &info) != 0)
        return error_set(error, STATUS_IO_FAILED, "%s: cannot be looked at", path);
    if ((info.st_mode & 077) != 0)
        return error_set(error, STATUS_NOT_PERMITTED,
                         "%s: others may use this file of keys (mode %03o): chmod 600 it", path,
                         (unsigned)info.st_mode & 0777);
    if (info.st_uid != geteuid() && info.st_uid != 0)
        return error_set(error, STATUS_NOT_PERMITTED,
                         "%s: the file of keys belongs to another user (%u)", path,
                         (unsigned)info.st_uid);
    return STATUS_OK;
}

static enum status keys_file_parse(const char *path, struct bytes text, keys_file_fn *fn, void *ctx,
                                   struct error *error)
{
    unsigned line_number = 0;

    while (text.size > 0) {
        const char            *end = memchr(text.data, '\n', text.size);
        size_t                 size = end == NULL ? text.size : (size_t)(end - text.data);
        struct bytes           line = {text.data, size};
        struct keys_file_entry entry = {0};
        struct error           why = {.text = ""};
        enum status            status;

        text = bytes_skip(text, size + (end != NULL));
        line_number++;
        if (line.size == 0 || line.data[0] == '#')
            continue;
        status = parse_line(line, &entry, &why);
        if (status == STATUS_OK)
            status = fn(ctx, &entry, &why);
        if (status != STATUS_OK)
            return error_set(error, status, "%s:%u: %s", path, line_number,
                             why.text[0] != '\0' ? why.text : status_text(status));
    }
    return STATUS_OK;
}

static enum status parse_line(struct bytes line, struct keys_file_entry *entry, struct error *error)
{
    struct bytes  word, value;
    unsigned char id[4];
    bool          has_digest = false;

    if (!keys_file_take_word(&line, &word) || !bytes_equal(word, BYTES_LITERAL("key")) ||
        !keys_file_take_word(&line, &word) || !parse_hex(word, id, sizeof id))
        return error_set(error, STATUS_INVALID, "a line is key ID sha256=... name=...");
    entry->id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    while (keys_file_take_word(&line, &word)) {
        bool is_good;

        if (take_value(word, BYTES_LITERAL("allow="), &value)) {
            if (keys_file_take_scope(value, entry, error) != STATUS_OK)
                return STATUS_INVALID;
            continue;
        }
        if (take_value(word, BYTES_LITERAL("sha256="), &value)) {
            is_good = !has_digest && parse_hex(value, entry->digest, sizeof entry->digest);
            has_digest = true;
        } else if (take_value(word, BYTES_LITERAL("created="), &value)) {
            is_good = text_to_number(value, &entry->created_s);
        } else if (take_value(word, BYTES_LITERAL("name="), &value)) {
            is_good = entry->name.size == 0 && is_name_text(value);
            entry->name = value;
        } else {
            is_good = take_value(word, BYTES_LITERAL("service="), &value) && is_name_text(value) &&
                      entry->service.size == 0;
            entry->service = value;
        }
        if (!is_good)
            return error_set(error, STATUS_INVALID,
                             "a word is wrong: sha256=, created=, name=, service= or allow=, the "
                             "last as often as needed");
    }
    if (!has_digest || entry->name.size == 0)
        return error_set(error, STATUS_INVALID, "a key has sha256= and name=");
    return STATUS_OK;
}

static bool keys_file_take_word(struct bytes *rest, struct bytes *ret_word)
{
    const char *space;

    if (rest->size == 0)
        return false;
    space = memchr(rest->data, ' ', rest->size);
    *ret_word =
        (struct bytes){rest->data, space == NULL ? rest->size : (size_t)(space - rest->data)};
    *rest = bytes_skip(*rest, ret_word->size + (space != NULL));
    return true;
}

static bool take_value(struct bytes word, struct bytes prefix, struct bytes *ret_value)
{
    if (!bytes_begin_with(word, prefix))
        return false;
    *ret_value = bytes_skip(word, prefix.size);
    return true;
}

static enum status keys_file_take_scope(struct bytes scope, struct keys_file_entry *entry,
                                        struct error *error)
{
    struct key_scope parsed;

    if (entry->scope_count == KEYS_FILE_SCOPES_MAX)
        return error_set(error, STATUS_INVALID, "a key has %d scopes at most",
                         KEYS_FILE_SCOPES_MAX);
    entry->scopes[entry->scope_count++] = scope;
    return key_scope_parse(scope, &parsed, error);
}

static bool parse_hex(struct bytes text, unsigned char *ret, size_t size)
{
    if (text.size != 2 * size)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        char     c = text.data[i];
        unsigned value = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                                : 16;

        if (value == 16)
            return false;
        ret[i / 2] = (unsigned char)(i % 2 == 0 ? value << 4 : ret[i / 2] | value);
    }
    return true;
}

static bool is_name_text(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!text_is_alnum(text.data[i]) && memchr("._-@", text.data[i], 4) == NULL)
            return false;
    return text.size > 0 && text.size <= KEYS_FILE_NAME_MAX;
}

enum status keys_file_load(const char *path, struct key_ring **ret_ring, struct error *error)
{
    struct key_ring *ring = key_ring_new();
    enum status      status;

    if (ring == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    status = keys_file_each(path, add_to_ring, ring, error);
    if (status == STATUS_OK)
        *ret_ring = ring;
    else
        key_ring_drop(ring);
    return status;
}

static enum status add_to_ring(void *ctx, const struct keys_file_entry *entry, struct error *error)
{
    struct key_ring_entry asked = {.id = entry->id,
                                   .name = entry->name,
                                   .service = entry->service,
                                   .scopes = entry->scopes,
                                   .scope_count = entry->scope_count};

    memcpy(asked.digest, entry->digest, sizeof asked.digest);
    return key_ring_add(ctx, &asked, error);
}

/* ---- Changing ------------------------------------------------------------------------------- */

/* The file itself, where `path` is a link to it: a rename would take the link's place. */
static const char *keys_file_behind(const char *path, char room[PATH_MAX])
{
    return realpath(path, room) != NULL ? room : path;
}

/* Who waited for the lock may hold one on what has been renamed meanwhile: then it tries again. */
static enum status open_draft(const char *path, struct draft *draft, struct error *error)
{
    struct stat mine, named;
    enum status status;

    if (snprintf(draft->path, sizeof draft->path, "%s.new", path) >= (int)sizeof draft->path)
        return error_set(error, STATUS_INVALID, "%s: the path is too long", path);
    for (;;) {
        status =
            file_open(&file_ops_system, draft->path, O_RDWR | O_CREAT | O_NOFOLLOW, &draft->fd);
        if (status != STATUS_OK)
            return error_set(error, status, "%s: cannot be written", draft->path);
        if (flock(draft->fd, LOCK_EX) != 0 || fstat(draft->fd, &mine) != 0) {
            file_close(&file_ops_system, draft->fd);
            return error_set(error, STATUS_IO_FAILED, "%s: cannot be locked", draft->path);
        }
        if (lstat(draft->path, &named) == 0 && named.st_ino == mine.st_ino &&
            named.st_dev == mine.st_dev)
            break;
        file_close(&file_ops_system, draft->fd);
    }
    return check_owner(draft->path, draft->fd, error);
}

static enum status replace(const char *path, struct draft *draft, struct bytes text,
                           struct error *error)
{
    enum status status = file_truncate(&file_ops_system, draft->fd, 0);

    if (status == STATUS_OK)
        status = file_write(&file_ops_system, draft->fd, text.data, text.size, 0);
    if (status == STATUS_OK)
        status = file_sync(&file_ops_system, draft->fd);
    if (status == STATUS_OK)
        status = file_rename(&file_ops_system, draft->path, path);
    if (status == STATUS_OK)
        status = file_sync_dir(&file_ops_system, path);
    return status == STATUS_OK ? status : error_set(error, status, "%s: cannot be written", path);
}

enum status keys_file_add(const char *path, struct bytes name, struct bytes service,
                          const struct bytes *scopes, size_t scope_count,
                          char ret_key[KEYS_FILE_KEY_SIZE], uint32_t *ret_id, struct error *error)
{
    struct keys_file_entry entry = {.name = name, .service = service};
    struct draft           draft;
    struct byte_buffer     text = {0};
    char                   room[PATH_MAX];
    enum status            status = STATUS_OK;

    path = keys_file_behind(path, room);
    if (!is_name_text(name) || (service.size > 0 && !is_name_text(service)))
        return error_set(error, STATUS_INVALID, "names are of letters, digits and ._-@, %d at most",
                         KEYS_FILE_NAME_MAX);
    if (scope_count == 0)
        status = keys_file_take_scope(BYTES_LITERAL("*:*/*/*"), &entry, error);
    for (size_t i = 0; i < scope_count && status == STATUS_OK; i++) {
        status = keys_file_take_scope(scopes[i], &entry, error);
        for (size_t j = 0; j < scopes[i].size && status == STATUS_OK; j++)
            if ((unsigned char)scopes[i].data[j] <= ' ')
                status =
                    error_set(error, STATUS_INVALID, "a scope has no spaces; write * for them");
    }
    if (status == STATUS_OK)
        status = keys_file_make_key(&entry, ret_key, error);
    if (status == STATUS_OK)
        status = open_draft(path, &draft, error);
    if (status != STATUS_OK)
        return status;
    status = extend(path, &entry, &text, error);
    *ret_id = entry.id;
    return keys_file_settle(path, &draft, &text, status, error);
}

/* `text` takes the place of the file, if all went well so far; neither it nor the draft is left. */
static enum status keys_file_settle(const char *path, struct draft *draft, struct byte_buffer *text,
                                    enum status status, struct error *error)
{
    if (status == STATUS_OK)
        status = replace(path, draft, byte_buffer_bytes(text), error);
    if (status != STATUS_OK)
        file_unlink(&file_ops_system, draft->path);
    file_close(&file_ops_system, draft->fd);
    byte_buffer_done(text);
    return status;
}

static enum status keys_file_make_key(struct keys_file_entry *entry,
                                      char ret_key[KEYS_FILE_KEY_SIZE], struct error *error)
{
    unsigned char  random[KEY_TEXT_RANDOM_BYTES];
    struct sha256 *sha256 = sha256_new();
    bool           is_made = sha256 != NULL;

    is_made = is_made && getrandom(random, sizeof random, 0) == (ssize_t)sizeof random;
    if (is_made) {
        key_text_format(random, ret_key);
        is_made = sha256_digest(sha256, bytes_of(ret_key), entry->digest);
    }
    explicit_bzero(random, sizeof random);
    sha256_free(sha256);
    entry->created_s = clock_wall_us() / 1000000u;
    return is_made ? STATUS_OK
                   : error_set(error, STATUS_IO_FAILED,
                               "the system gives no random numbers, or no "
                               "SHA-256");
}

/* What is in the file, and the entry, with an ID that no other has. */
static enum status extend(const char *path, struct keys_file_entry *entry, struct byte_buffer *text,
                          struct error *error)
{
    enum status status = keys_file_read_text(path, text, error);

    if (status == STATUS_NOT_FOUND)
        status = byte_buffer_append(text, bytes_of(file_head), SIZE_MAX);
    if (status == STATUS_OK && byte_buffer_size(text) > 0 && text->data[text->end - 1] != '\n')
        status = byte_buffer_append(text, BYTES_LITERAL("\n"), SIZE_MAX);
    while (status == STATUS_OK) {
        if (getrandom(&entry->id, sizeof entry->id, 0) != (ssize_t)sizeof entry->id)
            return error_set(error, STATUS_IO_FAILED, "the system gives no random numbers");
        status = keys_file_parse(path, byte_buffer_bytes(text), look_for_id, &entry->id, error);
        if (status == STATUS_OK)
            return keys_file_append_line(text, entry, error);
        if (status == STATUS_AGAIN)
            status = STATUS_OK;
    }
    return status;
}

static enum status look_for_id(void *ctx, const struct keys_file_entry *entry, struct error *error)
{
    const uint32_t *id = ctx;

    (void)error;
    return entry->id == *id ? STATUS_AGAIN : STATUS_OK;
}

static enum status keys_file_append_line(struct byte_buffer           *out,
                                         const struct keys_file_entry *entry, struct error *error)
{
    enum status status = byte_buffer_printf(out, SIZE_MAX, "key %08" PRIx32 " sha256=", entry->id);

    for (size_t i = 0; i < sizeof entry->digest && status == STATUS_OK; i++)
        status = byte_buffer_printf(out, SIZE_MAX, "%02x", entry->digest[i]);
    if (status == STATUS_OK)
        status = byte_buffer_printf(out, SIZE_MAX, " created=%" PRIu64 " name=%.*s",
                                    entry->created_s, (int)entry->name.size, entry->name.data);
    if (status == STATUS_OK && entry->service.size > 0)
        status = byte_buffer_printf(out, SIZE_MAX, " service=%.*s", (int)entry->service.size,
                                    entry->service.data);
    for (size_t i = 0; i < entry->scope_count && status == STATUS_OK; i++)
        status = byte_buffer_printf(out, SIZE_MAX, " allow=%.*s", (int)entry->scopes[i].size,
                                    entry->scopes[i].data);
    if (status == STATUS_OK)
        status = byte_buffer_append(out, BYTES_LITERAL("\n"), SIZE_MAX);
    return status == STATUS_OK ? status : error_set(error, status, "out of memory");
}

enum status keys_file_revoke(const char *path, struct bytes which, struct error *error)
{
    struct draft       draft;
    struct byte_buffer text = {0};
    char               room[PATH_MAX];
    enum status        status;

    path = keys_file_behind(path, room);
    status = open_draft(path, &draft, error);
    if (status != STATUS_OK)
        return status;
    status = shorten(path, which, &text, error);
    return keys_file_settle(path, &draft, &text, status, error);
}

struct wanted_key {
    struct bytes which;
    bool         has_id;
    uint32_t     id;
    size_t       found;
    uint32_t     first_ids[2];
    struct bytes line_begin; /* its name, within its line */
};

static enum status shorten(const char *path, struct bytes which, struct byte_buffer *text,
                           struct error *error)
{
    struct wanted_key wanted = {.which = which};
    unsigned char     id[4];
    char             *begin, *end;
    enum status       status = keys_file_read_text(path, text, error);

    wanted.has_id = parse_hex(which, id, sizeof id);
    if (wanted.has_id)
        wanted.id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    if (status == STATUS_OK)
        status = keys_file_parse(path, byte_buffer_bytes(text), look_for_key, &wanted, error);
    if (status != STATUS_OK)
        return status;
    if (wanted.found == 0)
        return error_set(error, STATUS_NOT_FOUND, "%s: no key has the name or ID '%.*s'", path,
                         (int)which.size, which.data);
    if (wanted.found > 1)
        return error_set(error, STATUS_INVALID,
                         "%s: %zu keys have the name '%.*s': say which by its ID (%08" PRIx32
                         ", %08" PRIx32 "%s)",
                         path, wanted.found, (int)which.size, which.data, wanted.first_ids[0],
                         wanted.first_ids[1], wanted.found > 2 ? ", ..." : "");
    begin = text->data + (wanted.line_begin.data - text->data);
    while (begin > text->data && begin[-1] != '\n')
        begin--;
    end = memchr(begin, '\n', (size_t)(text->data + text->end - begin));
    end = end == NULL ? text->data + text->end : end + 1;
    memmove(begin, end, (size_t)(text->data + text->end - end));
    text->end -= (size_t)(end - begin);
    return STATUS_OK;
}

/* An ID is certain; a name only if no key has it as its ID. */
static enum status look_for_key(void *ctx, const struct keys_file_entry *entry, struct error *error)
{
    struct wanted_key *wanted = ctx;

    (void)error;
    if (wanted->has_id && wanted->id == entry->id) {
        wanted->found = 1;
        wanted->line_begin = entry->name;
        wanted->which = (struct bytes){0};
    } else if (wanted->which.size > 0 && bytes_equal(wanted->which, entry->name)) {
        if (wanted->found < COUNT_OF(wanted->first_ids))
            wanted->first_ids[wanted->found] = entry->id;
        wanted->found++;
        wanted->line_begin = entry->name;
    }
    return STATUS_OK;
}
