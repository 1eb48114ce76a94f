#include "app/daemon_advice.h"

#include <string.h>

#include "admin/advice.h"
#include "admin/collection_usage.h"
#include "chroma/chroma_route.h"

/* What a rule has found. */
struct finding {
    const char *agent, *address;
    uint64_t    count;
    char        evidence[160];
};

static struct bytes     host_of(struct daemon *daemon, const struct socket_address *peer);
static enum advice_what what_of(const struct chroma_route *route);
static bool             list_embedded(const struct daemon *daemon, json_t *list);
static bool list_finding(const struct daemon *daemon, json_t *list, enum advice_rule_id id,
                         const struct finding *finding);

void daemon_advice_note(void *ctx, const struct finished_request *request)
{
    struct daemon                  *daemon = ctx;
    struct collection_usage_request usage = {.is_write = request->route->info->is_write,
                                             .status = request->code,
                                             .records = request->records,
                                             .call_writes = request->call_writes,
                                             .at_chroma_us = request->at_chroma_us,
                                             .ended_us = request->ended_us};

    advice_note(daemon->advice,
                &(struct advice_request){.address = host_of(daemon, request->peer),
                                         .user_agent = request->user_agent,
                                         .what = what_of(request->route),
                                         .began_us = request->began_us,
                                         .ended_us = request->ended_us,
                                         .status = request->code,
                                         .records = request->records,
                                         .answer_bytes = request->answer_bytes,
                                         .question = request->facts.question,
                                         .is_unfiltered_get = request->facts.is_unfiltered_get,
                                         .is_from_cache = request->is_from_cache,
                                         .n_results = request->facts.n_results});
    if (!request->route->has_uuid)
        return;
    memcpy(usage.uuid, request->route->uuid, sizeof usage.uuid);
    collection_usage_note(daemon->collections, &usage);
}

/* Borrowed until the next call. */
static struct bytes host_of(struct daemon *daemon, const struct socket_address *peer)
{
    unsigned char       at = peer->size > 3 ? peer->storage[3] : 0; /* of TCP the port's low byte */
    struct daemon_host *host = &daemon->hosts[at % DAEMON_HOSTS];

    if (host->text[0] == '\0' || host->peer.size != peer->size ||
        memcmp(host->peer.storage, peer->storage, peer->size) != 0) {
        host->peer = *peer;
        socket_address_format_host(peer, host->text);
    }
    return bytes_of(host->text);
}

static enum advice_what what_of(const struct chroma_route *route)
{
    switch (route->operation) {
    case CHROMA_OPERATION_IDENTITY:
        return ADVICE_CONSTRUCTION;
    case CHROMA_OPERATION_ADD:
    case CHROMA_OPERATION_UPSERT:
    case CHROMA_OPERATION_UPDATE:
    case CHROMA_OPERATION_DELETE:
        return ADVICE_WRITE;
    case CHROMA_OPERATION_GET:
        return ADVICE_GET;
    case CHROMA_OPERATION_QUERY:
        return ADVICE_QUERY;
    default:
        return ADVICE_OTHER;
    }
}

void daemon_advice_note_embedded(struct daemon *daemon, const char *directory,
                                 enum embedded_use_why why, pid_t process)
{
    embedded_use_note(advice_embedded(daemon->advice), bytes_of(directory), why, process,
                      loop_now_us(daemon->loop));
}

enum status daemon_advice_list_clients(const struct daemon *daemon, json_t *answer)
{
    const struct advice_client *clients[ADVICE_CLIENTS_MAX];
    size_t                      count = advice_clients(daemon->advice, clients);
    uint64_t                    now_us = loop_now_us(daemon->loop);
    json_t                     *list = json_array();

    for (size_t i = 0; i < count && list != NULL; i++) {
        const struct advice_client *client = clients[i];
        uint64_t idle_us = now_us > client->last_us ? now_us - client->last_us : 0;

        if (json_array_append_new(
                list,
                json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "agent", client->agent,
                          "address", client->address, "requests", (json_int_t)client->requests,
                          "errors", (json_int_t)client->errors, "constructions",
                          (json_int_t)client->constructions, "writes", (json_int_t)client->writes,
                          "queries", (json_int_t)client->queries, "gets", (json_int_t)client->gets,
                          "idle_seconds", (json_int_t)(idle_us / 1000000))) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return json_object_set_new(answer, "clients", list) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status daemon_advice_list(const struct daemon *daemon, json_t *answer)
{
    const struct advice_client *clients[ADVICE_CLIENTS_MAX];
    size_t                      count = advice_clients(daemon->advice, clients);
    uint64_t                    now_us = loop_now_us(daemon->loop);
    json_t                     *list = json_array();
    bool                        is_whole = list != NULL && list_embedded(daemon, list);

    for (unsigned id = 0; id < ADVICE_RULES && is_whole; id++)
        for (size_t i = 0; i < count && is_whole; i++) {
            struct finding finding = {.agent = clients[i]->agent, .address = clients[i]->address};

            if (advice_finds(clients[i], (enum advice_rule_id)id, now_us, &finding.count,
                             finding.evidence, sizeof finding.evidence))
                is_whole = list_finding(daemon, list, (enum advice_rule_id)id, &finding);
        }
    if (is_whole)
        return json_object_set_new(answer, "advice", list) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
    json_decref(list);
    return STATUS_NO_MEMORY;
}

/* False: out of memory. */
static bool list_embedded(const struct daemon *daemon, json_t *list)
{
    const struct embedded_use *use = advice_embedded(daemon->advice);
    bool                       is_whole = true;

    for (size_t i = 0; i < EMBEDDED_USE_MAX && is_whole; i++) {
        const struct embedded_use_entry *entry = &use->entries[i];
        struct finding                   finding = {.agent = "Embedded clients",
                                                    .address = entry->directory,
                                                    .count = entry->process_count};

        if (entry->process_count == 0)
            continue;
        embedded_use_say(entry, finding.evidence, sizeof finding.evidence);
        is_whole = list_finding(daemon, list, ADVICE_EMBEDDED, &finding);
    }
    return is_whole;
}

static bool list_finding(const struct daemon *daemon, json_t *list, enum advice_rule_id id,
                         const struct finding *finding)
{
    const struct advice_rule *rule = advice_rule(id);
    const char               *here = advice_here(id, proxy_keeps_answers(daemon->proxy));

    return json_array_append_new(
               list, json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s}", "rule", rule->name,
                               "agent", finding->agent, "address", finding->address, "count",
                               (json_int_t)finding->count, "evidence", finding->evidence, "meaning",
                               rule->meaning, "remedy", rule->remedy, "here", here)) == 0;
}

enum status daemon_advice_list_collections(const struct daemon *daemon, json_t *answer)
{
    const struct collection_usage_entry *entries[COLLECTION_USAGE_MAX];
    size_t  count = collection_usage_list(daemon->collections, entries);
    json_t *list = json_array();
    bool    is_whole = list != NULL;

    for (size_t i = 0; i < count && is_whole; i++) {
        const struct collection_usage_entry *entry = entries[i];
        char                                 uuid[CHROMA_ROUTE_UUID_SIZE];

        chroma_route_print_uuid(entry->uuid, uuid);
        is_whole =
            json_array_append_new(
                list, json_pack("{s:s, s:f, s:I, s:I, s:I, s:I, s:I}", "collection", uuid,
                                "seconds_at_chroma", (double)entry->at_chroma_us / 1e6, "reads",
                                (json_int_t)entry->reads, "writes", (json_int_t)entry->writes,
                                "records", (json_int_t)entry->records, "merged",
                                (json_int_t)entry->merged, "errors", (json_int_t)entry->errors)) ==
            0;
    }
    if (is_whole)
        return json_object_set_new(answer, "collections", list) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
    json_decref(list);
    return STATUS_NO_MEMORY;
}
