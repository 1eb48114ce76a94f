/* waiting_process - a process that is there until it is ended, with a variable in its environment
 */
#ifndef SUPPORT_WAITING_PROCESS_H
#define SUPPORT_WAITING_PROCESS_H

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* `value`: of the variable; NULL: it is as here. Its environment can be seen when this returns. */
static inline pid_t waiting_process_start(const char *variable, const char *value)
{
    int   ready[2], never[2]; /* nothing comes there */
    char  byte;
    pid_t id;

    ck_assert_int_eq(pipe(ready) | pipe(never), 0);
    id = fork();
    if (id == 0) {
        if (value != NULL)
            setenv(variable, value, 1);
        dup2(ready[1], 1);
        dup2(never[0], 0);
        close(never[1]);
        execl("/bin/sh", "sh", "-c", "echo x; read y", NULL);
        _exit(1);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    return id;
}

static inline void waiting_process_end(pid_t id)
{
    kill(id, SIGKILL);
    waitpid(id, NULL, 0);
}

#endif
