#include "unit/collection_table_bed.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

const struct scope       scope_d = {BYTES_INIT("t"), BYTES_INIT("d")};
struct collection_table *table;
struct write_observers   observers;
uint64_t                 now_us;

const struct record_ids        id_a = {.count = 1, .places = {1}};
static const struct record_ids id_b = {.count = 1, .places = {2}};
bool                           names_b;

void start_with(size_t collections_max, uint64_t settled_us)
{
    static const unsigned char      secret[SIPHASH_KEY_SIZE] = {7};
    struct collection_table_options options = {.collections_max = collections_max,
                                               .bytes_max = 1 << 20,
                                               .lost_us = LOST_US,
                                               .settled_us = settled_us};

    now_us = 1;
    names_b = false;
    table = collection_table_new(&options, secret);
    write_observer_init(&observers);
    write_observer_add(&observers, collection_table_observer(table));
}

void start(void)
{
    start_with(100, 0);
}

void stop(void)
{
    collection_table_free(table);
}

const uint8_t *uuid_of(unsigned number)
{
    static uint8_t uuid[16];

    uuid[15] = (uint8_t)number;
    return uuid;
}

uint64_t stamp_of(unsigned number)
{
    return collection_table_stamp(table, uuid_of(number), now_us);
}

void send_to(struct request *request, const char *method, const char *path, unsigned number)
{
    size_t before = strcspn(path, "@");

    *request =
        (struct request){.notice = {.route = &request->route, .names_ids = names_b, .ids = id_b}};
    if (path[before] == '\0')
        snprintf(request->path, sizeof request->path, "%s", path);
    else
        snprintf(request->path, sizeof request->path, "%.*s00000000-0000-0000-0000-%012x%s",
                 (int)before, path, number, path + before + 1);
    chroma_route_find(bytes_of(method), bytes_of(request->path), &request->route);
    write_observer_sent(&observers, &request->notice, now_us);
}

void answer_with(struct request *request, enum write_outcome outcome, const char *body)
{
    write_observer_known(&observers, &request->notice, outcome, bytes_of(body), now_us);
}

void answer(struct request *request)
{
    answer_with(request, WRITE_OUTCOME_APPLIED, "");
}

const char *describe(unsigned number, const char *name, const char *database, const char *dimension)
{
    static char text[400];

    snprintf(text, sizeof text,
             "{\"id\":\"00000000-0000-0000-0000-%012x\",\"name\":\"%s\",\"tenant\":\"t\","
             "\"database\":\"%s\",\"dimension\":%s,\"metadata\":{\"hnsw:space\":\"ip\"}}",
             number, name, database, dimension);
    return text;
}

void look_up(unsigned number, const char *name, const char *dimension)
{
    struct chroma_route        route;
    char                       path[100];
    struct collection_question question;

    snprintf(path, sizeof path, D "/collections/%s", name);
    chroma_route_find(BYTES_LITERAL("GET"), bytes_of(path), &route);
    question = collection_table_ask(table, &route, now_us);
    collection_table_learn(table, &route, question,
                           bytes_of(describe(number, name, "d", dimension)), now_us);
}

unsigned named(const char *name)
{
    uint8_t      uuid[16];
    struct scope scope;
    struct bytes found;
    unsigned     number =
        collection_table_uuid(table, scope_d, bytes_of(name), now_us, uuid) ? uuid[15] : 0;

    for (unsigned i = 1; i < 10; i++) {
        bool is_named = collection_table_names(table, uuid_of(i), 0, now_us, &scope, &found) &&
                        bytes_equal(found, bytes_of(name)) &&
                        bytes_equal(scope.tenant, scope_d.tenant) &&
                        bytes_equal(scope.database, scope_d.database);

        ck_assert(number == 0 || is_named == (i == number));
    }
    return number;
}

enum collection_existence existence(unsigned number)
{
    struct collection_facts facts;

    return collection_table_facts(table, uuid_of(number), &facts) ? facts.existence
                                                                  : COLLECTION_EXISTENCE_UNKNOWN;
}
