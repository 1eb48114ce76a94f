#include "cli/version_command.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <yaml.h>

#include "cli/cli.h"
#include "config.h"

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZER "address"
#elif defined(__SANITIZE_THREAD__)
#define SANITIZER "thread"
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZER "address"
#elif __has_feature(thread_sanitizer)
#define SANITIZER "thread"
#endif
#endif
#ifndef SANITIZER
#define SANITIZER "none"
#endif

#ifndef _FORTIFY_SOURCE
#define _FORTIFY_SOURCE 0
#endif

int version_command_print_name(void)
{
    printf("%s %s\n", PACKAGE_NAME, PACKAGE_VERSION);
    return cli_finish();
}

int version_command(const struct options *options)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);

    (void)options;
    printf("%s %s\n", PACKAGE_NAME, PACKAGE_VERSION);
    printf("  compiler        %s\n", COMPILER);
    printf("  sanitizer       %s\n", SANITIZER);
    printf("  fortify source  %d\n", _FORTIFY_SOURCE);
    printf("  libevent        %s\n", event_get_version());
    printf("  libcurl         %s\n", curl->version);
    printf("  jansson         %s\n", jansson_version_str());
    printf("  libyaml         %s\n", yaml_get_version_string());
    printf("  default file    %s\n", SYSCONFDIR "/chromabouncer/chromabouncer.yaml");
    return cli_finish();
}
