#include "app/daemon_auth.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/keys_file.h"
#include "base/metric.h"
#include "http/http_field.h"
#include "io/file.h"
#include "io/machine.h"
#include "limits/key_ring.h"

/* Of the keys so many are listed: the answer is read by people. */
enum { listed_max = 200, credential_max = 8192 };

static enum status read_credential(const char *path, char *room, struct proxy_auth_options *options,
                                   struct error *error);
static enum status read_private(const char *path, char *room, size_t *ret_size,
                                struct error *error);
static bool    split_credential(struct bytes line, char *room, struct proxy_auth_options *options);
static bool    is_field_value(struct bytes value);
static size_t  choose_keys(const struct key_ring *ring, const struct key_ring_key *ret[]);
static int     compare_use(const void *left, const void *right);
static json_t *describe_key(const struct key_ring_key *key);

enum status daemon_auth_apply(struct daemon *daemon, struct error *error)
{
    const struct settings    *settings = daemon->settings;
    struct proxy_auth_options options = {.is_required = settings->auth_required,
                                         .forwards = settings->auth_forward};
    static char               room[credential_max + 1];
    enum status               status = STATUS_OK;

    /* Requests that are under way hold the keys that they show. */
    if (settings->auth_keys_file[0] != '\0' || settings->auth_backend_credential_file[0] != '\0')
        machine_hide_memory();
    if (settings->auth_keys_file[0] != '\0')
        status = keys_file_load(settings->auth_keys_file, &options.keys, error);
    if (status == STATUS_OK && settings->auth_backend_credential_file[0] != '\0')
        status = read_credential(settings->auth_backend_credential_file, room, &options, error);
    if (status == STATUS_OK && proxy_set_auth(daemon->proxy, &options) != STATUS_OK)
        status = error_set(error, STATUS_NO_MEMORY, "out of memory");
    explicit_bzero(room, sizeof room);
    key_ring_drop(options.keys);
    return status;
}

/* ---- The credential ------------------------------------------------------------------------- */

static enum status read_credential(const char *path, char *room, struct proxy_auth_options *options,
                                   struct error *error)
{
    static const char bearer[] = "Bearer ";
    size_t            size = 0;
    char             *line = room + sizeof bearer - 1;
    enum status       status = read_private(path, line, &size, error);

    if (status != STATUS_OK)
        return status;
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r' || line[size - 1] == ' '))
        size--;
    memcpy(room, bearer, sizeof bearer - 1);
    if (!split_credential((struct bytes){line, size}, room, options))
        return error_set(error, STATUS_INVALID,
                         "%s: the credential is one line, a token or a field Authorization or "
                         "X-Chroma-Token",
                         path);
    return STATUS_OK;
}

enum status daemon_auth_check_credential(const char *path, struct error *error)
{
    struct proxy_auth_options options = {0};
    char                      room[credential_max + 1];
    enum status               status = read_credential(path, room, &options, error);

    explicit_bzero(room, sizeof room);
    return status;
}

/* The file with mode 0600, as that of the keys. */
static enum status read_private(const char *path, char *room, size_t *ret_size, struct error *error)
{
    uint64_t    size = 0;
    struct stat info;
    int         fd = -1;
    enum status status = file_open(&file_ops_system, path, O_RDONLY | O_NONBLOCK, &fd);

    if (status == STATUS_OK)
        status = file_size(fd, &size);
    if (status != STATUS_OK)
        error_set(error, status, "%s: the backend's credential cannot be read", path);
    else if (fstat(fd, &info) != 0 || (info.st_mode & 077) != 0 ||
             (info.st_uid != geteuid() && info.st_uid != 0))
        status = error_set(error, STATUS_NOT_PERMITTED,
                           "%s: others may read the backend's credential: chmod 600 it", path);
    else if (size > credential_max - 16)
        status = error_set(error, STATUS_INVALID, "%s: too long for a credential", path);
    if (status == STATUS_OK) {
        status = file_read(&file_ops_system, fd, room, (size_t)size, 0);
        if (status != STATUS_OK)
            error_set(error, status, "%s: the backend's credential cannot be read", path);
    }
    file_close(&file_ops_system, fd);
    *ret_size = (size_t)size;
    return status;
}

/* `room` holds `Bearer ` in front of the line. */
static bool split_credential(struct bytes line, char *room, struct proxy_auth_options *options)
{
    static const struct bytes names[] = {BYTES_INIT("Authorization"), BYTES_INIT("X-Chroma-Token")};
    const char               *colon = line.size == 0 ? NULL : memchr(line.data, ':', line.size);
    struct bytes              name = {line.data, colon == NULL ? 0 : (size_t)(colon - line.data)};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!bytes_equal_nocase(name, names[i]))
            continue;
        options->credential_name = names[i];
        options->credential_value = http_field_trim(bytes_skip(line, name.size + 1));
        return is_field_value(options->credential_value);
    }
    options->credential_name = names[0];
    options->credential_value = (struct bytes){room, (size_t)(line.data - room) + line.size};
    return is_field_value(line) && memchr(line.data, ' ', line.size) == NULL;
}

static bool is_field_value(struct bytes value)
{
    for (size_t i = 0; i < value.size; i++)
        if ((unsigned char)value.data[i] < ' ' || (unsigned char)value.data[i] > '~')
            return false;
    return value.size > 0;
}

/* ---- For who looks -------------------------------------------------------------------------- */

enum status daemon_auth_list(const struct daemon *daemon, json_t *answer)
{
    const struct key_ring_key *keys[listed_max];
    struct auth_state          state = {0};
    json_t                    *list = json_array(), *refused = json_object();
    size_t                     count = 0;
    bool                       is_whole = list != NULL && refused != NULL;

    if (proxy_tell_auth(daemon->proxy, &state) && state.keys != NULL)
        count = choose_keys(state.keys, keys);
    for (size_t i = 0; i < count && is_whole; i++)
        is_whole = json_array_append_new(list, describe_key(keys[i])) == 0;
    for (size_t i = 0; i < AUTH_REFUSAL_COUNT && state.refused[i].reason != NULL && is_whole; i++)
        is_whole = json_object_set_new(refused, state.refused[i].reason,
                                       json_integer((json_int_t)state.refused[i].count)) == 0;
    is_whole =
        json_object_set_new(answer, "required", json_boolean(state.is_required)) == 0 && is_whole;
    is_whole =
        json_object_set_new(
            answer, "known",
            json_integer(state.keys == NULL ? 0 : (json_int_t)key_ring_count(state.keys))) == 0 &&
        is_whole;
    is_whole = json_object_set_new(answer, "refused", refused) == 0 && is_whole;
    is_whole = json_object_set_new(answer, "keys", list) == 0 && is_whole;
    return is_whole ? STATUS_OK : STATUS_NO_MEMORY;
}

/* Those that were used most since they were read; in order. */
static size_t choose_keys(const struct key_ring *ring, const struct key_ring_key *ret[])
{
    const struct key_ring_key *key;
    size_t                     position = 0, count = 0, least = 0;

    while ((key = key_ring_next(ring, &position)) != NULL) {
        if (count < listed_max) {
            ret[count++] = key;
        } else if (key->used > ret[least]->used) {
            ret[least] = key;
        } else {
            continue;
        }
        least = 0;
        for (size_t i = 1; i < count && count == listed_max; i++)
            if (ret[i]->used < ret[least]->used)
                least = i;
    }
    qsort(ret, count, sizeof ret[0], compare_use);
    return count;
}

static int compare_use(const void *left, const void *right)
{
    const struct key_ring_key *a = *(const struct key_ring_key *const *)left;
    const struct key_ring_key *b = *(const struct key_ring_key *const *)right;

    if (a->used != b->used)
        return a->used > b->used ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* NULL: no memory. */
static json_t *describe_key(const struct key_ring_key *key)
{
    json_t *allow = json_array();
    char    id[9], scope[KEY_SCOPE_TEXT_MAX + 64];
    bool    is_whole = allow != NULL;

    snprintf(id, sizeof id, "%08" PRIx32, key->id);
    for (uint32_t i = 0; i < key->scope_count && is_whole; i++)
        is_whole = json_array_append_new(allow, json_string(key_scope_print(&key->scopes[i], scope,
                                                                            sizeof scope))) == 0;
    if (!is_whole) {
        json_decref(allow);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:s, s:I, s:o}", "key", key->name, "id", id, "service",
                     key->service, "requests", (json_int_t)key->used, "allow", allow);
}

enum status daemon_auth_print(const struct daemon *daemon, struct byte_buffer *out)
{
    struct auth_state state;
    uint64_t          refused = 0;

    if (!proxy_tell_auth(daemon->proxy, &state))
        return STATUS_OK;
    for (size_t i = 0; i < AUTH_REFUSAL_COUNT; i++)
        refused += state.refused[i].count;
    return byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                              "keys         %zu%s, refused %" PRIu64 "\n",
                              state.keys == NULL ? 0 : key_ring_count(state.keys),
                              state.is_required ? ", required" : "", refused);
}
