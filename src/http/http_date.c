#include "http/http_date.h"

#include <stdio.h>
#include <time.h>

enum { date_size = 29 };

/* strftime() would use the locale's names. */
static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct bytes http_date_text(struct http_date *cache, uint64_t wall_us)
{
    uint64_t second = wall_us / 1000000u;

    if (second != cache->second || cache->text[0] == '\0') {
        time_t    clock = (time_t)second;
        struct tm tm;

        gmtime_r(&clock, &tm);
        snprintf(cache->text, sizeof cache->text, "%s, %02u %s %04u %02u:%02u:%02u GMT",
                 day_names[tm.tm_wday], (unsigned)tm.tm_mday % 100, month_names[tm.tm_mon],
                 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
        cache->second = second;
    }
    return (struct bytes){.data = cache->text, .size = date_size};
}
