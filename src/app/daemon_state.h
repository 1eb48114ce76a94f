/* daemon_state - the parts of the running program, and their options made from the settings
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_STATE_H
#define APP_DAEMON_STATE_H

#include "admin/advice.h"
#include "admin/collection_usage.h"
#include "admin/control_server.h"
#include "admin/status_server.h"
#include "app/backend_watch.h"
#include "app/settings.h"
#include "app/settings_sources.h"
#include "base/memory_account.h"
#include "child/private_folder.h"
#include "child/terminal_hangup.h"
#include "front/front.h"
#include "io/clock.h"
#include "io/descriptor_count.h"
#include "io/loop.h"
#include "io/socket.h"
#include "io/worker_pool.h"
#include "proxy/proxy.h"
#include "upstream/upstream_pool.h"

/* Writing an address as text for each request would cost as much as counting it. */
enum { DAEMON_HOSTS = 64 };
struct daemon_host {
    struct socket_address peer;
    char                  text[SOCKET_ADDRESS_TEXT_MAX];
};

struct daemon {
    const struct settings_sources *sources;
    const struct machine          *machine;
    struct settings               *settings;
    struct memory_account_budget   budget;
    struct loop                   *loop;
    struct worker_pool            *workers;
    struct descriptor_count       *descriptors;
    struct upstream_pool          *pool;
    struct backend_watch           backend;
    struct proxy                  *proxy;
    struct front                  *front, *status_front;
    struct status_server_source    source;
    struct daemon_child           *child;         /* NULL: Chroma runs by itself */
    const struct daemon_plan      *plan;          /* NULL likewise */
    char                           exec_port[24]; /* for the Chroma that we start */
    const char                    *exec_variables[3];
    char                           exec_reason[512]; /* why exec gives up */
    struct terminal_hangup         hangup;           /* of exec; else none comes */
    struct loop_timer             *exec_end_timer;   /* NULL: it does not */
    uint64_t                       exec_end_us;      /* at the latest */
    struct daemon_wrap            *wrap;             /* NULL: no `wrap` */
    uint16_t                       data_port;        /* of the last TCP listener for clients */
    int                            exit_status;      /* of a plan that failed; else 0 */
    struct control_server         *control;          /* NULL: there is none */
    struct advice                 *advice;
    struct daemon_host             hosts[DAEMON_HOSTS]; /* each peer has one place */
    struct collection_usage       *collections;
    struct private_folder          mirror_folder; /* of the files of copies; "": none yet */
    struct mirror_export *export;                 /* NULL: none was begun */
    bool               mirror_was_on;             /* copies were wanted once, and could be had */
    struct error       mirror_error;              /* why they cannot; "" */
    struct loop_timer *drain_timer, *pause_timer; /* the latter NULL before a pause */
    bool               draining;
    uint64_t           drain_began_us;
    bool               reload_failed; /* the last one */
    uint64_t           started_wall_s, loaded_wall_s;
    char               listening_text[1024];
};

/* What each part needs to know of the settings. */
struct upstream_pool_options daemon_state_pool_options(const struct settings *settings);
void                         daemon_state_memory_options(const struct settings        *settings,
                                                         struct memory_account_options ret_accounts[MEMORY_ACCOUNT_COUNT]);
struct proxy_options         daemon_state_proxy_options(const struct settings *settings);
struct proxy_write_options   daemon_state_write_options(const struct settings *settings);
struct front_options         daemon_state_front_options(const struct settings *settings);
struct front_options         daemon_state_status_options(const struct settings *settings);

/* Hand changed settings to the running parts. */
void daemon_state_apply(struct daemon *daemon);

/* The socket address to listen on; a name is resolved here and now.
 * STATUS_INVALID  `error` says why. */
MUST_CHECK enum status daemon_state_resolve(const struct address  *address,
                                            struct socket_address *ret, struct error *error);

#endif
