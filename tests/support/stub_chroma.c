/* stub_chroma - a small Chroma with a cost model and scripted faults, for tests and benchmarks
 *
 *   GET  /stub/stats          counters as JSON (stub_server.h)
 *   GET  /stub/log?offset=N   what was applied, in order, one JSON object per line (stub_log.h);
 *                             ask again from N + the bytes received until the answer is empty
 *   POST /stub/fault          one command per line: `clear`, a rule (stub_fault.h), `refuse`,
 *                             `accept`, `close-idle`, `idle-close=D`
 *   GET  /bench/1k, /bench/20k, /bench/bytes/N; POST /bench/post       for proxies' raw speed
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "support/stub_server.h"

static const char usage[] =
    "Usage: stub_chroma [OPTION]...\n"
    "  --listen ADDRESS       host:port, [v6]:port or unix:/path; may be repeated\n"
    "                         (default 127.0.0.1:0: a free port)\n"
    "  --unix PATH            the same as --listen unix:PATH\n"
    "  --control ADDRESS      another address, never refused and never subject to faults\n"
    "  --write-a-ms A         a write of n records takes A + B*n ms, one after the other (0)\n"
    "  --write-b-ms B\n"
    "  --read-c-ms C          a read takes C ms (0)\n"
    "  --read-cores K         on one of K cores (1)\n"
    "  --connections-max N    more are closed at once (no limit)\n"
    "  --batch-max N          what pre-flight-checks says (5461)\n"
    "  --body-max BYTES       larger bodies are answered 413 (41943040)\n"
    "  --records-max N        more are refused with 500 (2000000)\n"
    "  --log-max BYTES        of the log kept in memory (268435456)\n"
    "  --log FILE             write applied operations there too\n"
    "  --poison TEXT          writes with an id that contains TEXT are refused with 400\n"
    "  --idle-close D         close connections that are idle for so long\n"
    "  --fault RULE           see tests/support/stub_fault.h; may be repeated\n"
    "  --seed S               of everything random (1)\n";

enum {
    OPTION_LISTEN = 1,
    OPTION_UNIX,
    OPTION_CONTROL,
    OPTION_WRITE_A,
    OPTION_WRITE_B,
    OPTION_READ_C,
    OPTION_READ_CORES,
    OPTION_CONNECTIONS_MAX,
    OPTION_BATCH_MAX,
    OPTION_BODY_MAX,
    OPTION_RECORDS_MAX,
    OPTION_LOG_MAX,
    OPTION_LOG,
    OPTION_POISON,
    OPTION_IDLE_CLOSE,
    OPTION_FAULT,
    OPTION_SEED,
    OPTION_HELP
};

static const struct option options[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"unix", required_argument, NULL, OPTION_UNIX},
    {"control", required_argument, NULL, OPTION_CONTROL},
    {"write-a-ms", required_argument, NULL, OPTION_WRITE_A},
    {"write-b-ms", required_argument, NULL, OPTION_WRITE_B},
    {"read-c-ms", required_argument, NULL, OPTION_READ_C},
    {"read-cores", required_argument, NULL, OPTION_READ_CORES},
    {"connections-max", required_argument, NULL, OPTION_CONNECTIONS_MAX},
    {"batch-max", required_argument, NULL, OPTION_BATCH_MAX},
    {"body-max", required_argument, NULL, OPTION_BODY_MAX},
    {"records-max", required_argument, NULL, OPTION_RECORDS_MAX},
    {"log-max", required_argument, NULL, OPTION_LOG_MAX},
    {"log", required_argument, NULL, OPTION_LOG},
    {"poison", required_argument, NULL, OPTION_POISON},
    {"idle-close", required_argument, NULL, OPTION_IDLE_CLOSE},
    {"fault", required_argument, NULL, OPTION_FAULT},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0}};

static struct stub_server server;

static void        set_defaults(void);
static void        read_options(int argc, char **argv);
static const char *set_option(int option, const char *value);
static const char *set_number(int option, const char *value);
static void        listen_on(const char *address, bool is_control);
static void        raise_descriptor_limit(void);
static void        on_signal(evutil_socket_t fd, short what, void *ctx);

int main(int argc, char **argv)
{
    struct event term, interrupt;

    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    set_defaults();
    if (!stub_server_init(&server)) {
        fputs("stub_chroma: out of memory\n", stderr);
        return EXIT_FAILURE;
    }
    read_options(argc, argv);
    if (server.listener_count == 0 || server.listeners[server.listener_count - 1].is_control)
        listen_on("127.0.0.1:0", false);
    event_assign(&term, server.base, SIGTERM, EV_SIGNAL | EV_PERSIST, on_signal, NULL);
    event_assign(&interrupt, server.base, SIGINT, EV_SIGNAL | EV_PERSIST, on_signal, NULL);
    event_add(&term, NULL);
    event_add(&interrupt, NULL);
    event_base_dispatch(server.base);
    event_del(&term);
    event_del(&interrupt);
    if (server.api.log.file != NULL)
        fclose(server.api.log.file);
    stub_server_done(&server);
    return EXIT_SUCCESS;
}

static void set_defaults(void)
{
    server.api.cost.cores = 1;
    server.api.batch_max = 5461;
    server.api.log.bytes_max = (size_t)256 << 20;
    server.body_max = (size_t)40 << 20;
    server.faults.rng = 1;
    stub_store_init(&server.api.store, 2000000, 1);
}

static void read_options(int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        const char *complaint = set_option(option, optarg);

        if (option == OPTION_HELP) {
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        }
        if (complaint != NULL) {
            fprintf(stderr, "stub_chroma: %s\n%s", complaint, usage);
            exit(64);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "stub_chroma: unexpected '%s'\n%s", argv[optind], usage);
        exit(64);
    }
}

static const char *set_option(int option, const char *value)
{
    char text[256];

    switch (option) {
    case OPTION_LISTEN:
    case OPTION_CONTROL:
        listen_on(value, option == OPTION_CONTROL);
        return NULL;
    case OPTION_UNIX:
        snprintf(text, sizeof(text), "unix:%s", value);
        listen_on(text, false);
        return NULL;
    case OPTION_WRITE_A:
        return stub_fault_parse_duration(value, &server.api.cost.write_a_us) ? NULL : "bad number";
    case OPTION_WRITE_B:
        return stub_fault_parse_duration(value, &server.api.cost.write_b_us) ? NULL : "bad number";
    case OPTION_READ_C:
        return stub_fault_parse_duration(value, &server.api.cost.read_c_us) ? NULL : "bad number";
    case OPTION_IDLE_CLOSE:
        snprintf(text, sizeof(text), "idle-close=%s", value);
        return stub_server_command(&server, bytes_of(text));
    case OPTION_POISON:
        server.api.poison = value;
        return NULL;
    case OPTION_LOG:
        server.api.log.file = fopen(value, "w");
        return server.api.log.file != NULL ? NULL : "cannot write the log file";
    case OPTION_FAULT:
        return stub_fault_add(&server.faults, bytes_of(value));
    default:
        return set_number(option, value);
    }
}

static const char *set_number(int option, const char *value)
{
    char              *end;
    unsigned long long number = strtoull(value == NULL ? "0" : value, &end, 10);

    if (*end != '\0')
        return "bad number";
    switch (option) {
    case OPTION_READ_CORES:
        if (number < 1 || number > STUB_COST_CORES_MAX)
            return "--read-cores: 1..64";
        server.api.cost.cores = (size_t)number;
        return NULL;
    case OPTION_CONNECTIONS_MAX:
        server.connections_max = number;
        return NULL;
    case OPTION_BATCH_MAX:
        server.api.batch_max = (size_t)number;
        return NULL;
    case OPTION_BODY_MAX:
        server.body_max = (size_t)number;
        return NULL;
    case OPTION_RECORDS_MAX:
        server.api.store.records_max = (size_t)number;
        return NULL;
    case OPTION_LOG_MAX:
        server.api.log.bytes_max = (size_t)number;
        return NULL;
    case OPTION_SEED:
        server.faults.rng = number;
        server.api.store.rng = number;
        return NULL;
    default:
        return option == OPTION_HELP ? NULL : "unknown option";
    }
}

static void listen_on(const char *address, bool is_control)
{
    const char *complaint = stub_server_listen(&server, address, is_control);

    if (complaint != NULL) {
        fprintf(stderr, "stub_chroma: %s\n", complaint);
        exit(71);
    }
    printf("%s %s\n", is_control ? "control on" : "listening on",
           server.listeners[server.listener_count - 1].address);
    fflush(stdout);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void on_signal(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    (void)ctx;
    event_base_loopbreak(server.base);
}
