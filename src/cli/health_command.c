#include "cli/health_command.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "app/backend_probe.h"
#include "cli/cli.h"
#include "cli/http_probe.h"

static int ask_backend(const struct settings *settings);
static int ask(const struct settings *settings, const struct address *address, const char *path);
static struct address reachable(const struct address *listening);

int health_command(const struct options *options)
{
    static struct settings settings;
    struct error           error;
    struct address         address;

    if (settings_sources_load(&options->sources, &settings, &error) != STATUS_OK)
        return cli_fail_error(&error);
    if (options->sources.values[SETTINGS_ID_backend_url] != NULL)
        return ask_backend(&settings);
    address = reachable(&settings.status_address);
    if (address.kind == ADDRESS_NONE)
        return cli_fail(EX_CONFIG, "status.address is off: set it, or name a server by --backend");
    if (address.kind == ADDRESS_TCP && address.port == 0)
        return cli_fail(EX_CONFIG, "status.address has port 0: name the port that was taken by "
                                   "--status HOST:PORT");
    return ask(&settings, &address, "/readyz");
}

/* As the running proxy does. */
static int ask_backend(const struct settings *settings)
{
    struct backend_probe_result result;
    char                        where[ADDRESS_TEXT_SIZE];

    address_format(&settings->backend_url, where, sizeof where);
    if (backend_probe(settings, false, &result) != STATUS_OK)
        return cli_fail(EX_OSERR, "out of memory");
    if (!result.is_up)
        return cli_fail(EX_UNAVAILABLE, "%s gives no answer: %s", where, result.reason);
    printf("%s is ready (/api/v2/heartbeat in %.1f ms)\n", where, (double)result.took_us / 1000);
    return EX_OK;
}

/* Where to connect for who listens on every address. */
static struct address reachable(const struct address *listening)
{
    struct address address = *listening;

    if (address.kind == ADDRESS_TCP && strcmp(address.host, "0.0.0.0") == 0)
        strcpy(address.host, "127.0.0.1");
    if (address.kind == ADDRESS_TCP && strcmp(address.host, "::") == 0)
        strcpy(address.host, "::1");
    return address;
}

static int ask(const struct settings *settings, const struct address *address, const char *path)
{
    static struct http_probe_answer answer;
    struct error                    error;
    char                            where[ADDRESS_TEXT_SIZE];

    if (http_probe(address, path, settings->backend_health_timeout_us, &answer, &error) !=
        STATUS_OK)
        return cli_fail(EX_UNAVAILABLE, "%s", error.text);
    address_format(address, where, sizeof where);
    if (answer.code != 200)
        return cli_fail(EX_UNAVAILABLE, "%s answers %s with status %ld", where, path, answer.code);
    printf("%s is ready (%s in %.1f ms)\n", where, path, (double)answer.total_us / 1000);
    return EX_OK;
}
