#include "http/http_retry_after.h"

#include <string.h>
#include <time.h>

static const uint64_t second_us = 1000000;

/* More digits than these are no time that anybody waits: 31 years. */
enum { digits_max = 9, date_size = sizeof "Sun, 06 Nov 1994 08:49:37 GMT" - 1 };

static bool is_seconds(struct bytes value, uint64_t *ret_seconds);
static bool is_date(struct bytes value, uint64_t *ret_second);

bool http_retry_after_parse(struct bytes value, uint64_t wall_us, uint64_t *ret_wait_us)
{
    uint64_t second, now = wall_us / second_us;

    if (is_seconds(value, &second)) {
        *ret_wait_us = second * second_us;
        return true;
    }
    if (!is_date(value, &second))
        return false;
    *ret_wait_us = second > now ? (second - now) * second_us : 0;
    return true;
}

static bool is_seconds(struct bytes value, uint64_t *ret_seconds)
{
    *ret_seconds = 0;
    if (value.size == 0 || value.size > digits_max)
        return false;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        *ret_seconds = *ret_seconds * 10 + (uint64_t)(value.data[i] - '0');
    }
    return true;
}

/* The program sets no locale, so days and months are English. */
static bool is_date(struct bytes value, uint64_t *ret_second)
{
    char        text[date_size + 1];
    struct tm   parts = {0};
    const char *end;
    time_t      second;

    if (value.size != date_size)
        return false;
    memcpy(text, value.data, date_size);
    text[date_size] = '\0';
    end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (end == NULL || *end != '\0')
        return false;
    second = timegm(&parts);
    *ret_second = second < 0 ? 0 : (uint64_t)second;
    return true;
}
