#include "bench/bench_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

static const char usage[] =
    "Usage: chromabouncer bench [--backend URL] [--through URL] [OPTION]...\n"
    "       chromabouncer bench [--backend URL] --mix MIX | --url PATH [OPTION]...\n"
    "\n"
    "The first form compares a Chroma server reached directly with the same server reached "
    "through\n"
    "a proxy: concurrent one-record writes and queries, repeated queries, added latency. It makes "
    "a\n"
    "scratch collection on each side and deletes it after. The second form puts one load on URL.\n"
    "\n"
    "  --backend URL          http://host:port or unix:/path (http://127.0.0.1:8000)\n"
    "  --through URL          the proxy in front of it (http://127.0.0.1:8001)\n"
    "  --also URL             another way to the same server, such as a second proxy: clients "
    "take\n"
    "                         turns over --backend and these; may be repeated\n"
    "  --yes                  allow a server that is not on this machine\n"
    "  --json                 print results as JSON\n"
    "\n"
    "  --mix MIX              OP[:WEIGHT][+OP[:WEIGHT]]..., of add, upsert, update, delete, get,\n"
    "                         query, count\n"
    "  --url PATH             GET this path\n"
    "  --post-bytes N         ... or POST N bytes to it\n"
    "  --clients N            closed loop: each sends when it was answered (1; comparison: 64)\n"
    "  --rate R               open loop: R requests per second, Poisson arrivals, latency from "
    "the\n"
    "                         intended time, over N connections at most (256)\n"
    "  --group KEY=VALUE,...  more clients of another kind: clients, rate, mix, batch\n"
    "  --warm-up D            not measured (1s); durations as 250ms, 5s\n"
    "  --duration D           measured (10s)\n"
    "  --count N              instead of --duration: so many requests\n"
    "  --deadline D           a request without answer by then is an error (120s)\n"
    "\n"
    "  --batch N              records per write, ids per get and delete (1)\n"
    "  --dimension N          of embeddings (384)\n"
    "  --encoding E           of embeddings in writes: base64, arrays, mixed (base64)\n"
    "  --document-bytes N     (120; 0: no documents)\n"
    "  --metadata-keys N      (2; 0: no metadatas)\n"
    "  --variants N           different records, then again from the first (by memory)\n"
    "  --reuse F              share of adds and upserts that name an earlier id (0)\n"
    "  --id-prefix N          number that all ids begin with (0)\n"
    "  --n-results N          of queries (10)\n"
    "  --repeat-query         send the same query every time\n"
    "  --preload N            records to write first, not measured (0)\n"
    "  --collections N        spread over so many collections (1)\n"
    "  --collection NAME      its name, NAME-0 to NAME-(N-1); made when missing, kept\n"
    "  --keep                 do not delete the collections after\n"
    "  --header 'NAME: VALUE' a field of every request; may be repeated\n"
    "  --history FILE         one JSON line per request, for a checker\n"
    "  --seed S               of everything random (1)\n"
    "\n"
    "Exit status: 0; 64 usage; 69 server unreachable; 71 system; 75 the open-loop generator "
    "lagged\n"
    "behind its own schedule, so the run is void.\n";

enum option_id {
    OPTION_BACKEND = 1,
    OPTION_THROUGH,
    OPTION_ALSO,
    OPTION_YES,
    OPTION_JSON,
    OPTION_MIX,
    OPTION_URL,
    OPTION_POST_BYTES,
    OPTION_CLIENTS,
    OPTION_RATE,
    OPTION_GROUP,
    OPTION_WARM_UP,
    OPTION_DURATION,
    OPTION_COUNT,
    OPTION_DEADLINE,
    OPTION_BATCH,
    OPTION_DIMENSION,
    OPTION_ENCODING,
    OPTION_DOCUMENT_BYTES,
    OPTION_METADATA_KEYS,
    OPTION_VARIANTS,
    OPTION_REUSE,
    OPTION_ID_PREFIX,
    OPTION_N_RESULTS,
    OPTION_REPEAT_QUERY,
    OPTION_PRELOAD,
    OPTION_COLLECTIONS,
    OPTION_COLLECTION,
    OPTION_KEEP,
    OPTION_HEADER,
    OPTION_HISTORY,
    OPTION_SEED,
    OPTION_HELP
};

static const struct option long_options[] = {
    {"backend", required_argument, NULL, OPTION_BACKEND},
    {"through", required_argument, NULL, OPTION_THROUGH},
    {"also", required_argument, NULL, OPTION_ALSO},
    {"yes", no_argument, NULL, OPTION_YES},
    {"json", no_argument, NULL, OPTION_JSON},
    {"mix", required_argument, NULL, OPTION_MIX},
    {"url", required_argument, NULL, OPTION_URL},
    {"post-bytes", required_argument, NULL, OPTION_POST_BYTES},
    {"clients", required_argument, NULL, OPTION_CLIENTS},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"group", required_argument, NULL, OPTION_GROUP},
    {"warm-up", required_argument, NULL, OPTION_WARM_UP},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"deadline", required_argument, NULL, OPTION_DEADLINE},
    {"batch", required_argument, NULL, OPTION_BATCH},
    {"dimension", required_argument, NULL, OPTION_DIMENSION},
    {"encoding", required_argument, NULL, OPTION_ENCODING},
    {"document-bytes", required_argument, NULL, OPTION_DOCUMENT_BYTES},
    {"metadata-keys", required_argument, NULL, OPTION_METADATA_KEYS},
    {"variants", required_argument, NULL, OPTION_VARIANTS},
    {"reuse", required_argument, NULL, OPTION_REUSE},
    {"id-prefix", required_argument, NULL, OPTION_ID_PREFIX},
    {"n-results", required_argument, NULL, OPTION_N_RESULTS},
    {"repeat-query", no_argument, NULL, OPTION_REPEAT_QUERY},
    {"preload", required_argument, NULL, OPTION_PRELOAD},
    {"collections", required_argument, NULL, OPTION_COLLECTIONS},
    {"collection", required_argument, NULL, OPTION_COLLECTION},
    {"keep", no_argument, NULL, OPTION_KEEP},
    {"header", required_argument, NULL, OPTION_HEADER},
    {"history", required_argument, NULL, OPTION_HISTORY},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0}};

static void        set_defaults(struct bench_options *options);
static bool        set_text(struct bench_options *options, int option, const char *value);
static bool        set_number(struct bench_options *options, int option, const char *value);
static bool        set_size(size_t *member, const char *value, size_t min, size_t max);
static bool        set_fraction(double *member, const char *value, double max);
static bool        set_encoding(struct bench_options *options, const char *value);
static bool        add_header(struct bench_options *options, const char *value);
static bool        add_group(struct bench_options *options, const char *text);
static bool        set_group(struct bench_engine_group *group, const char *key, const char *value);
static enum status bench_options_finish(struct bench_options *options, struct error *error);

enum status bench_options_parse(struct bench_options *options, int argc, char **argv,
                                struct error *error)
{
    int option, index = 0;

    set_defaults(options);
    opterr = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, ":", long_options, &index)) != -1) {
        if (option == OPTION_HELP) {
            fputs(usage, stdout);
            return STATUS_CANCELLED;
        }
        if (option == '?' || option == ':')
            return error_set(error, STATUS_INVALID, "%s: %s", argv[optind - 1],
                             option == ':' ? "a value is missing" : "unknown option");
        if (!set_text(options, option, optarg) && !set_number(options, option, optarg))
            return error_set(error, STATUS_INVALID, "--%s: '%s' is not understood",
                             long_options[index].name, optarg);
    }
    if (optind < argc)
        return error_set(error, STATUS_INVALID, "unexpected '%s'", argv[optind]);
    return bench_options_finish(options, error);
}

static void set_defaults(struct bench_options *options)
{
    *options = (struct bench_options){
        .backend = "http://127.0.0.1:8000",
        .through = "http://127.0.0.1:8001",
        .group_count = 1,
        .batch = 1,
        .corpus = {.dimension = 384, .document_bytes = 120, .metadata_keys = 2, .seed = 1},
        .has = {[BENCH_CORPUS_BASE64] = true},
        .collection_count = 1,
        .n_results = 10,
        .warm_up_us = 1000000,
        .duration_us = 10000000,
        .deadline_us = 120000000};
}

/* Options that are texts or switches. False: not one of these, or not well-formed. */
static bool set_text(struct bench_options *options, int option, const char *value)
{
    switch (option) {
    case OPTION_BACKEND:
        options->backend = value;
        return true;
    case OPTION_THROUGH:
        options->through = value;
        return true;
    case OPTION_ALSO:
        if (options->other_count == BENCH_OPTIONS_OTHERS_MAX)
            return false;
        options->others[options->other_count++] = value;
        return true;
    case OPTION_COLLECTION:
        options->collection = value;
        return strlen(value) >= 3 && strlen(value) < 48;
    case OPTION_HISTORY:
        options->history = value;
        return true;
    case OPTION_URL:
        options->raw_path = value;
        return value[0] == '/' && strlen(value) < 4096;
    case OPTION_MIX:
        return bench_request_parse_mix(&options->groups[0].mix, value);
    case OPTION_GROUP:
        return add_group(options, value);
    case OPTION_ENCODING:
        return set_encoding(options, value);
    case OPTION_HEADER:
        return add_header(options, value);
    case OPTION_YES:
        return options->yes = true;
    case OPTION_JSON:
        return options->json = true;
    case OPTION_KEEP:
        return options->keep = true;
    case OPTION_REPEAT_QUERY:
        return options->repeat_query = true;
    default:
        return false;
    }
}

static bool set_number(struct bench_options *options, int option, const char *value)
{
    size_t number = 0;

    switch (option) {
    case OPTION_CLIENTS:
        return set_size(&options->groups[0].clients, value, 1, 100000);
    case OPTION_RATE:
        return set_fraction(&options->groups[0].rate, value, 1e7) && options->groups[0].rate > 0;
    case OPTION_BATCH:
        return set_size(&options->batch, value, 1, 100000);
    case OPTION_POST_BYTES:
        return set_size(&options->post_bytes, value, 0, (size_t)1 << 30);
    case OPTION_DIMENSION:
        return set_size(&options->corpus.dimension, value, 1, 100000);
    case OPTION_DOCUMENT_BYTES:
        return set_size(&options->corpus.document_bytes, value, 0, 1000000);
    case OPTION_METADATA_KEYS:
        return set_size(&options->corpus.metadata_keys, value, 0, 100);
    case OPTION_VARIANTS:
        return set_size(&options->corpus.variants, value, 1, 16384);
    case OPTION_N_RESULTS:
        return set_size(&options->n_results, value, 0, 1000000);
    case OPTION_PRELOAD:
        return set_size(&options->preload, value, 0, 100000000);
    case OPTION_COLLECTIONS:
        return set_size(&options->collection_count, value, 1, 10000);
    case OPTION_REUSE:
        return set_fraction(&options->reuse, value, 1);
    case OPTION_WARM_UP:
        return text_to_duration(bytes_of(value), &options->warm_up_us);
    case OPTION_DURATION:
        return text_to_duration(bytes_of(value), &options->duration_us);
    case OPTION_DEADLINE:
        return text_to_duration(bytes_of(value), &options->deadline_us);
    case OPTION_COUNT:
        return text_to_number(bytes_of(value), &options->count);
    case OPTION_SEED:
        return text_to_number(bytes_of(value), &options->corpus.seed);
    case OPTION_ID_PREFIX:
        if (!set_size(&number, value, 0, UINT32_MAX))
            return false;
        options->id_prefix = (uint32_t)number;
        return true;
    default:
        return false;
    }
}

static bool set_size(size_t *member, const char *value, size_t min, size_t max)
{
    uint64_t number;

    if (!text_to_number(bytes_of(value), &number) || number < min || number > max)
        return false;
    *member = (size_t)number;
    return true;
}

static bool set_fraction(double *member, const char *value, double max)
{
    char *end;

    *member = strtod(value, &end);
    return end != value && *end == '\0' && *member >= 0 && *member <= max;
}

static bool set_encoding(struct bench_options *options, const char *value)
{
    bool is_mixed = strcmp(value, "mixed") == 0;

    options->has[BENCH_CORPUS_BASE64] = is_mixed || strcmp(value, "base64") == 0;
    options->has[BENCH_CORPUS_ARRAYS] = is_mixed || strcmp(value, "arrays") == 0;
    return options->has[BENCH_CORPUS_BASE64] || options->has[BENCH_CORPUS_ARRAYS];
}

static bool add_header(struct bench_options *options, const char *value)
{
    size_t used = strlen(options->headers), room = sizeof(options->headers) - used;

    return strchr(value, ':') != NULL && strpbrk(value, "\r\n") == NULL &&
           (size_t)snprintf(options->headers + used, room, "%s\r\n", value) < room;
}

static bool add_group(struct bench_options *options, const char *text)
{
    struct bench_engine_group *group = &options->groups[options->group_count];
    char                       copy[256], *word, *rest = copy;

    if (options->group_count == BENCH_ENGINE_GROUPS_MAX || strlen(text) >= sizeof(copy))
        return false;
    memcpy(copy, text, strlen(text) + 1);
    while ((word = strsep(&rest, ",")) != NULL) {
        char *value = strchr(word, '=');

        if (value == NULL)
            return false;
        *value++ = '\0';
        if (!set_group(group, word, value))
            return false;
    }
    options->group_count++;
    return group->mix.total > 0;
}

static bool set_group(struct bench_engine_group *group, const char *key, const char *value)
{
    if (strcmp(key, "clients") == 0)
        return set_size(&group->clients, value, 1, 100000);
    if (strcmp(key, "batch") == 0)
        return set_size(&group->mix.batch, value, 1, 100000);
    if (strcmp(key, "rate") == 0)
        return set_fraction(&group->rate, value, 1e7);
    return strcmp(key, "mix") == 0 && bench_request_parse_mix(&group->mix, value);
}

/* Fill in what depends on several options, and refuse what does not fit together. */
static enum status bench_options_finish(struct bench_options *options, struct error *error)
{
    struct bench_engine_group *first = &options->groups[0];

    options->is_load = first->mix.total > 0 || options->raw_path != NULL;
    if (first->mix.total > 0 && options->raw_path != NULL)
        return error_set(error, STATUS_INVALID, "--mix and --url exclude each other");
    if (options->history != NULL && !options->is_load)
        return error_set(error, STATUS_INVALID, "--history needs --mix or --url");
    if (options->group_count > 1 && first->mix.total == 0)
        return error_set(error, STATUS_INVALID, "--group needs --mix");
    if (options->raw_path != NULL) {
        first->mix.weights[BENCH_REQUEST_RAW] = first->mix.total = 1;
        options->collection_count = 1;
    }
    for (size_t i = 0; i < options->group_count; i++) {
        struct bench_engine_group *group = &options->groups[i];

        if (group->mix.batch == 0)
            group->mix.batch = options->batch;
        if (group->clients == 0)
            group->clients = group->rate > 0 ? 256 : options->is_load ? 1 : 64;
        options->corpus.has[BENCH_CORPUS_ARRAYS] |= group->mix.weights[BENCH_REQUEST_QUERY] > 0;
    }
    options->corpus.has[BENCH_CORPUS_ARRAYS] |=
        options->has[BENCH_CORPUS_ARRAYS] || !options->is_load;
    options->corpus.has[BENCH_CORPUS_BASE64] = options->has[BENCH_CORPUS_BASE64];
    return STATUS_OK;
}
