#include "cli/options.h"

#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* Flags that are no settings. */
static const char *const own_flags[] = {"--help", "--version", "--config", "--set",   "--wait",
                                        "--once", "--service", "--allow",  "--mirror"};

static enum status parse_flag(struct options *options, char *argument, char *next,
                              bool *ret_used_next, struct error *error);
static enum status options_set_text(struct options *options, bool is_allow, const char *value,
                                    struct error *error);
static enum status set_output(struct options *options, const char *value, struct error *error);
static bool        find_setting(struct bytes name, enum settings_id *ret_id);
static enum status set_config(struct options *options, const char *value, struct error *error);
static enum status set_pair(struct options *options, const char *pair, struct error *error);
static enum status unknown_flag(struct bytes name, struct error *error);
static void        options_suggest(const char *name, const char *flag, const char **nearest,
                                   unsigned *least);

enum status options_parse(struct options *options, int argc, char **argv, struct error *error)
{
    bool flags_ended = false;

    *options =
        (struct options){.sources = {.environment = (const char *const *)environ}, .words = argv};
    for (int i = 1; i < argc; i++) {
        bool        used_next = false;
        enum status status;

        if (flags_ended || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[options->word_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            flags_ended = true;
        } else {
            status = parse_flag(options, argv[i], argv[i + 1], &used_next, error);
            if (status != STATUS_OK)
                return status;
            i += used_next;
        }
    }
    return STATUS_OK;
}

/* `next` is NULL at the end. */
static enum status parse_flag(struct options *options, char *argument, char *next,
                              bool *ret_used_next, struct error *error)
{
    const char      *equals = strchr(argument, '=');
    size_t           size = equals == NULL ? strlen(argument) : (size_t)(equals - argument);
    struct bytes     name = {.data = argument, .size = size};
    const char      *value = equals == NULL ? next : equals + 1;
    bool             is_config = bytes_equal(name, BYTES_LITERAL("--config"));
    bool             is_set = bytes_equal(name, BYTES_LITERAL("--set"));
    bool             is_allow = bytes_equal(name, BYTES_LITERAL("--allow"));
    bool             is_mirror = bytes_equal(name, BYTES_LITERAL("--mirror"));
    bool             is_text = is_allow || bytes_equal(name, BYTES_LITERAL("--service"));
    enum settings_id id = SETTINGS_COUNT;

    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
        options->help = true;
        return STATUS_OK;
    }
    if (strcmp(argument, "--version") == 0 || strcmp(argument, "-V") == 0) {
        options->version = true;
        return STATUS_OK;
    }
    if (strcmp(argument, "--wait") == 0 || strcmp(argument, "--once") == 0) {
        options->own |= argument[2] == 'w' ? OPTIONS_WAIT : OPTIONS_ONCE;
        return STATUS_OK;
    }
    if (strcmp(argument, "-o") == 0) {
        *ret_used_next = true;
        return set_output(options, next, error);
    }
    if (is_mirror) { /* its value is never the next word */
        options->own |= OPTIONS_MIRROR;
        return settings_sources_assign(&options->sources, BYTES_LITERAL("mirror.mode"),
                                       equals == NULL ? "prefer" : equals + 1, error);
    }
    if (!is_config && !is_set && !is_text && !find_setting(name, &id))
        return unknown_flag(name, error);
    if (value == NULL)
        return error_set(error, STATUS_INVALID, "%s needs a value", argument);
    *ret_used_next = equals == NULL;
    if (is_text)
        return options_set_text(options, is_allow, value, error);
    if (options->first_setting == NULL)
        options->first_setting = argument;
    if (is_config)
        return set_config(options, value, error);
    if (is_set)
        return set_pair(options, value, error);
    return settings_sources_assign(&options->sources, bytes_of(settings_row(id)->key), value,
                                   error);
}

const char *options_find_foreign(const struct options *options, unsigned taken)
{
    unsigned foreign = options->own & ~taken;

    return (foreign & OPTIONS_OUTPUT) != 0    ? "-o"
           : (foreign & OPTIONS_WAIT) != 0    ? "--wait"
           : (foreign & OPTIONS_ONCE) != 0    ? "--once"
           : (foreign & OPTIONS_MIRROR) != 0  ? "--mirror"
           : (foreign & OPTIONS_SERVICE) != 0 ? "--service"
           : (foreign & OPTIONS_ALLOW) != 0   ? "--allow"
                                              : NULL;
}

static enum status options_set_text(struct options *options, bool is_allow, const char *value,
                                    struct error *error)
{
    if (is_allow && options->allow_count == OPTIONS_ALLOW_MAX)
        return error_set(error, STATUS_INVALID, "--allow stands %d times at most",
                         OPTIONS_ALLOW_MAX);
    if (!is_allow && options->service != NULL)
        return error_set(error, STATUS_INVALID, "--service is given twice; keep one");
    if (is_allow)
        options->allow[options->allow_count++] = value;
    else
        options->service = value;
    options->own |= is_allow ? OPTIONS_ALLOW : OPTIONS_SERVICE;
    return STATUS_OK;
}

static enum status set_output(struct options *options, const char *value, struct error *error)
{
    if (value == NULL || strcmp(value, "json") != 0)
        return error_set(error, STATUS_INVALID, "-o takes json");
    options->own |= OPTIONS_OUTPUT;
    return STATUS_OK;
}

static bool find_setting(struct bytes name, enum settings_id *ret_id)
{
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        if (settings_row(id)->flag[0] != '\0' &&
            bytes_equal(name, bytes_of(settings_row(id)->flag))) {
            *ret_id = id;
            return true;
        }
    }
    return false;
}

static enum status set_config(struct options *options, const char *value, struct error *error)
{
    if (options->sources.file != NULL)
        return error_set(error, STATUS_INVALID, "--config is given twice; keep one");
    options->sources.file = value;
    return STATUS_OK;
}

static enum status set_pair(struct options *options, const char *pair, struct error *error)
{
    const char *equals = strchr(pair, '=');
    char        quoted[80];

    if (equals == NULL)
        return error_set(error, STATUS_INVALID, "--set takes KEY=VALUE, not %s",
                         text_quote(bytes_of(pair), quoted, sizeof quoted));
    return settings_sources_assign(&options->sources, (struct bytes){pair, (size_t)(equals - pair)},
                                   equals + 1, error);
}

static enum status unknown_flag(struct bytes name, struct error *error)
{
    char        text[32] = "", quoted[80];
    const char *nearest = NULL;
    unsigned    least = 4;

    if (name.size < sizeof text)
        memcpy(text, name.data, name.size);
    for (size_t i = 0; i < COUNT_OF(own_flags); i++)
        options_suggest(text, own_flags[i], &nearest, &least);
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++)
        options_suggest(text, settings_row(id)->flag, &nearest, &least);
    text_quote(name, quoted, sizeof quoted);
    if (nearest != NULL)
        return error_set(error, STATUS_INVALID, "unknown flag %s; did you mean %s?", quoted,
                         nearest);
    return error_set(error, STATUS_INVALID, "unknown flag %s; settings are written --set KEY=VALUE",
                     quoted);
}

static void options_suggest(const char *name, const char *flag, const char **nearest,
                            unsigned *least)
{
    unsigned slips = text_distance(name, flag, *least);

    if (slips < *least && slips <= strlen(flag) / 4) {
        *least = slips;
        *nearest = flag;
    }
}
