#include "app/daemon.h"

#include <stdio.h>
#include <sysexits.h>

int daemon_run(const struct settings *settings, const struct settings_sources *sources)
{
    (void)settings;
    (void)sources;
    fprintf(stderr, "chromabouncer: this build cannot serve yet\n");
    return EX_SOFTWARE;
}
