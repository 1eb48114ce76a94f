#include "child/terminal_hangup.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static bool has_terminal(void);

void terminal_hangup_init(struct terminal_hangup *hangup)
{
    struct sigaction action;

    hangup->can_come =
        sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler != SIG_IGN && has_terminal();
}

/* The kernel takes it away from all processes of the session before it signals the first. */
static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

bool terminal_hangup_has_come(const struct terminal_hangup *hangup)
{
    return hangup->can_come && !has_terminal();
}
