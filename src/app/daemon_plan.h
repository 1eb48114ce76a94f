/* daemon_plan - what else is to be run than the proxy: a Chroma, or an application with one
 *
 * Plain data.
 */
#ifndef APP_DAEMON_PLAN_H
#define APP_DAEMON_PLAN_H

#include <stdint.h>

/* An application whose embedded clients are served, and how to speak with its starter. */
struct daemon_wrap_plan {
    const char *folder;         /* for files of this run; exists */
    const char *door;           /* the socket at which hooks ask, in it */
    const char *directory;      /* the one that is served; NULL: the first that is asked for */
    int         application_fd; /* pidfd of its first process */
    int         ready_fd;       /* takes one byte: 0 when it may start, else an exit status */
    int         failed_fd;      /* gives one byte when it could not be started, or ends */
};

/* A Chroma that is run behind the proxy, on the backend's address. Borrowed as long as it runs. */
struct daemon_plan {
    const char *const             *arguments; /* NULL at the end; of exec */
    const char                    *directory; /* its data; "": not known; of exec */
    uint16_t                       port;      /* the backend's */
    const struct daemon_wrap_plan *wrap;      /* NULL: exec */
};

#endif
