#include "app/daemon_banner.h"

#include <stdio.h>
#include <unistd.h>

#include "config.h"

static void print_for_people(const struct daemon *daemon);

void daemon_banner_print(const struct daemon *daemon)
{
    printf("listening on %s\n", daemon->listening_text);
    if (isatty(STDOUT_FILENO))
        print_for_people(daemon);
    fflush(stdout);
}

static void print_for_people(const struct daemon *daemon)
{
    const struct settings *settings = daemon->settings;
    char                   text[SETTINGS_VALUE_SIZE];

    printf("chromabouncer %s in front of %s%s\n", PACKAGE_VERSION,
           daemon->plan == NULL ? "" : "a Chroma of its own, ",
           settings_print(settings, SETTINGS_ID_backend_url, text));
    if (daemon->control != NULL) {
        bool is_default = settings->origins[SETTINGS_ID_control_path].source == SETTINGS_DEFAULT;

        printf("  live view  chromabouncer top%s%s\n", is_default ? "" : " --control ",
               is_default ? "" : settings_print(settings, SETTINGS_ID_control_path, text));
    }
    if (daemon->status_front != NULL)
        printf("  status     %s%s\n", settings->status_address.kind == ADDRESS_TCP ? "http://" : "",
               settings_print(settings, SETTINGS_ID_status_address, text));
    printf("  end        ^C: clients are served to the end%s\n",
           daemon->plan == NULL ? "" : ", then Chroma ends");
}
