#include "cli/config_command.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "app/settings_docs.h"
#include "app/settings_file.h"
#include "app/settings_services.h"
#include "cli/cli.h"

static int check_file(const char *path);
static int show(const struct options *options);

int config_command(const struct options *options)
{
    const char *verb = options->word_count > 1 ? options->words[1] : "";
    const char *file = options->word_count > 2 ? options->words[2] : NULL;
    bool        check = strcmp(verb, "check") == 0;

    if (check && file != NULL && options->first_setting == NULL)
        return check_file(file);
    if (strcmp(verb, "show") == 0 && file == NULL)
        return show(options);
    if (strcmp(verb, "init") != 0 || file != NULL || options->first_setting != NULL)
        return cli_fail(EX_USAGE, "write config init, config check FILE or config show [FLAG]...");
    settings_docs_sample(stdout);
    return cli_finish();
}

/* The file alone, on no machine in particular: it may be meant for another one. */
static int check_file(const char *path)
{
    static struct settings settings;
    const struct machine   any = {.descriptors_max = UINT64_MAX};
    struct error           error;

    settings_init(&settings);
    if (settings_file_load(&settings, path, &error) != STATUS_OK)
        return cli_fail_error(&error);
    if (settings_check(&settings, &any, &error) != STATUS_OK ||
        settings_services_check(&settings, &error) != STATUS_OK)
        return cli_fail(EX_CONFIG, "%s: %s", path, error.text);
    printf("%s: ok\n", path);
    if (settings.mirror_mode != SETTINGS_MIRROR_MODE_OFF)
        printf("reads are answered from copies %s\n", settings_mirror_meaning(&settings));
    return cli_finish();
}

/* As given, with auto: what the machine makes of it is `check`'s matter. */
static int show(const struct options *options)
{
    static struct settings settings;
    struct error           error;

    if (settings_sources_load(&options->sources, &settings, &error) != STATUS_OK)
        return cli_fail_error(&error);
    settings_docs_show(stdout, &settings);
    return cli_finish();
}
