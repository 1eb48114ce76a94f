#include "cli/control_client.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/byte_buffer.h"
#include "cli/cli.h"

/* Larger than any answer; what the proxy gives it in time, or not at all. */
enum { ANSWER_BYTES_MAX = 8 << 20, ANSWER_SECONDS = 15 };

static enum status control_client_connect(const char *path, int *ret_fd, struct error *error);
static enum status exchange_line(int fd, const char *line, struct byte_buffer *answer);
static int         read_answer_text(struct bytes text, json_t **ret, struct error *error);

int control_client_path(const struct options *options, char *out)
{
    static struct settings settings;
    struct error           error;

    if (settings_sources_load(&options->sources, &settings, &error) != STATUS_OK)
        return cli_fail_error(&error);
    if (settings_sources_control_path(&options->sources, &settings, out) == NULL)
        return cli_fail(EX_CONFIG, "there is no control socket: set control.path for the proxy, "
                                   "and name it here by --control PATH");
    return EX_OK;
}

int control_client_ask(const char *path, const char *line, json_t **ret, struct error *error)
{
    struct byte_buffer answer = {0};
    int                fd, exit_status = EX_UNAVAILABLE;

    if (control_client_connect(path, &fd, error) != STATUS_OK)
        return exit_status;
    if (exchange_line(fd, line, &answer) != STATUS_OK)
        error_set(error, STATUS_BACKEND_DOWN, "%s gives no answer: %s", path, strerror(errno));
    else
        exit_status = read_answer_text(byte_buffer_bytes(&answer), ret, error);
    close(fd);
    byte_buffer_done(&answer);
    return exit_status;
}

static enum status control_client_connect(const char *path, int *ret_fd, struct error *error)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct timeval     patience = {.tv_sec = ANSWER_SECONDS};
    int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        connect(fd, (const struct sockaddr *)&to, sizeof to) == 0) {
        *ret_fd = fd;
        return STATUS_OK;
    }
    error_set(error, STATUS_BACKEND_DOWN, "no proxy answers at %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return STATUS_BACKEND_DOWN;
}

/* On failure errno says why. */
static enum status exchange_line(int fd, const char *line, struct byte_buffer *answer)
{
    char    part[16384];
    ssize_t size = send(fd, line, strlen(line), MSG_NOSIGNAL);

    if (size != (ssize_t)strlen(line) || send(fd, "\n", 1, MSG_NOSIGNAL) != 1)
        return STATUS_BACKEND_DOWN;
    while ((size = recv(fd, part, sizeof part, 0)) > 0) {
        errno = ENOMEM;
        if (byte_buffer_append(answer, (struct bytes){part, (size_t)size}, ANSWER_BYTES_MAX) !=
            STATUS_OK)
            return STATUS_BACKEND_DOWN;
    }
    if (size == 0 && byte_buffer_size(answer) > 0)
        return STATUS_OK;
    if (size == 0)
        errno = ECONNRESET;
    return STATUS_BACKEND_DOWN;
}

static int read_answer_text(struct bytes text, json_t **ret, struct error *error)
{
    json_t     *answer = json_loadb(text.data, text.size, 0, NULL);
    const char *refusal = json_string_value(json_object_get(answer, "error"));
    json_int_t  exit_status = json_integer_value(json_object_get(answer, "exit"));

    if (json_is_object(answer) && refusal == NULL) {
        *ret = answer;
        return EX_OK;
    }
    if (refusal == NULL || exit_status <= 0 || exit_status > UINT8_MAX) {
        refusal = "the answer is not one of a proxy";
        exit_status = EX_UNAVAILABLE;
    }
    error_set(error, STATUS_INVALID, "%s", refusal);
    json_decref(answer);
    return (int)exit_status;
}
