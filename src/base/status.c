#include "base/status.h"

#include <assert.h>

static const struct {
    const char *name;
    int         http_code;
    const char *error_name;
    const char *text;
} status_table[STATUS_COUNT] = {
#define STATUS(name, http_code, error_name, text)                                                  \
    [STATUS_##name] = {#name, http_code, error_name, text},
#include "base/status.def"
#undef STATUS
};

const char *status_name(enum status status)
{
    assert(status < STATUS_COUNT);
    return status_table[status].name;
}

int status_http_code(enum status status)
{
    assert(status < STATUS_COUNT);
    return status_table[status].http_code;
}

const char *status_error_name(enum status status)
{
    assert(status < STATUS_COUNT);
    return status_table[status].error_name;
}

const char *status_text(enum status status)
{
    assert(status < STATUS_COUNT);
    return status_table[status].text;
}
