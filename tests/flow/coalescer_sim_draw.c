#include <stdlib.h>
#include <string.h>

#include "flow/coalescer_sim.h"

static void          draw_options(struct sim *sim);
static uint32_t      draw_dimension(void *ctx, const unsigned char lane[16]);
static void          draw_clients(struct sim *sim);
static uint32_t      draw_collection(struct sim *sim);
static enum model_op draw_op(struct sim *sim);
static void          draw_barrier(struct sim *sim, struct model_request *request);
static void          draw_rows(struct sim *sim, struct sim_write *write, bool is_poisoned);
static uint32_t      draw_meta(struct sim *sim, enum model_op op, bool is_poisoned);
static void          draw_spoil(struct sim *sim, struct sim_write *write);
static uint32_t      request_dimension(const struct model_request *request);

uint64_t sim_random(struct sim *sim, uint64_t below)
{
    uint64_t z = sim->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

bool sim_chance(struct sim *sim, uint32_t percent)
{
    return sim_random(sim, 100) < percent;
}

void sim_draw_setting(struct sim *sim)
{
    static const uint32_t shares[] = {0, 0, 5, 20, 50};
    static const uint64_t deadlines_us[] = {100000, 500000, 2000000, 120000000};

    sim->faults = shares[sim_random(sim, 5)];
    sim->hangs = sim_chance(sim, 30) ? 5 : 0;
    sim->barriers = sim_chance(sim, 60) ? 8 : 0;
    sim->ends = sim_chance(sim, 25) ? 10 : 0;
    sim->apart = sim_chance(sim, 20) ? 20 : 0;
    sim->refuses_with_500 = sim_chance(sim, 20);
    sim->mixed = shares[sim_random(sim, 5)];
    sim->usual_op = sim_chance(sim, 60) ? MODEL_UPSERT : (enum model_op)sim_random(sim, 3);
    sim->poison = sim_chance(sim, 50) ? 0 : 40;
    sim->has_identities = sim_chance(sim, 50);
    sim->ids = 2 + (uint32_t)sim_random(sim, MODEL_IDS - 2);
    sim->deadline_us = deadlines_us[sim_random(sim, 4)];
    sim->think_us = UINT64_C(100) << sim_random(sim, 10);
    sim->collections = 1 + (uint32_t)sim_random(sim, 4);
    sim->model.size_max = sim_chance(sim, 20) ? 600 : SIZE_MAX;
    sim->model.quota = sim_chance(sim, 20) ? 10 : UINT32_MAX;
    for (size_t i = 0; i < MODEL_COLLECTIONS; i++)
        sim->model.collections[i].exists = true;
    draw_options(sim);
    draw_clients(sim);
    sim->flows = sim->random % 10 < 6 ? 1 : 1 + (uint32_t)((sim->random >> 8) % SIM_FLOWS);
}

uint64_t sim_draw_think(struct sim *sim)
{
    return sim_chance(sim, 50) ? sim_random(sim, 200) : sim_random(sim, sim->think_us);
}

struct sim_write *sim_draw_write(struct sim *sim, size_t client)
{
    struct sim_write  *write = calloc(1, sizeof *write);
    struct sim_client *him = &sim->clients[client];

    if (sim->writes_count == sim->writes_capacity) {
        sim->writes_capacity = sim->writes_capacity == 0 ? 64 : sim->writes_capacity * 2;
        sim->writes = realloc(sim->writes, sim->writes_capacity * sizeof(struct sim_write *));
    }
    if (write == NULL || sim->writes == NULL)
        abort();
    sim->writes[sim->writes_count++] = write;
    *write = (struct sim_write){.client = client, .invoked_us = sim->now_us};
    write->deadline_us = sim->now_us + sim->deadline_us / 2 + sim_random(sim, sim->deadline_us);
    write->request.collection = draw_collection(sim);
    write->request.credential = him->credential;
    write->request.size = 20 + sim_random(sim, 100);
    write->request.op = draw_op(sim);
    write->request.documents = write->request.metas = -1;
    if (write->request.op > MODEL_UPDATE) {
        write->kind = write->request.op == MODEL_RESET ? COALESCER_BARRIER_ALL : COALESCER_BARRIER;
        draw_barrier(sim, &write->request);
        return write;
    }
    draw_rows(sim, write, him->is_poisoner && sim_chance(sim, 30));
    if (sim_chance(sim, sim->mixed) && sim_chance(sim, 30))
        draw_spoil(sim, write);
    return write;
}

struct coalescer_write sim_describe(const struct sim *sim, struct sim_write *write,
                                    struct bytes *ids, char *key)
{
    struct model_request  *request = &write->request;
    uint32_t               dimension = request_dimension(request);
    struct coalescer_write described = {
        .lane = {(unsigned char)request->collection},
        .kind = write->kind,
        .op = request->op <= MODEL_UPDATE ? (enum coalescer_op)request->op : COALESCER_OTHER,
        .encoding = dimension == 0       ? COALESCER_NO_VECTORS
                    : request->is_base64 ? COALESCER_BASE64
                                         : COALESCER_ARRAYS,
        .dimension = dimension,
        .repeatable = request->op <= MODEL_UPDATE,
        .batch_key = {.data = key, .size = 2},
        .columns = (request->vectors >= 0 ? COALESCER_EMBEDDINGS : 0u) |
                   (request->metas >= 0 ? COALESCER_METADATAS : 0u) |
                   (request->documents >= 0 ? COALESCER_DOCUMENTS : 0u),
        .sender = {.data = key + 2, .size = sizeof write->client},
        .address = {.data = "one host", .size = 8},
        .ids = ids,
        .record_count = (uint32_t)request->ids,
        .size = request->size,
        .deadline_us = write->deadline_us,
        .flow = (uint32_t)write->client % sim->flows,
        .ctx = write,
    };

    memcpy(key + 2, &write->client, sizeof write->client);
    if (!sim->has_identities) /* nobody is known again */
        memcpy(key + 2, &sim->writes_count, sizeof sim->writes_count);
    key[0] = (char)request->credential;
    key[1] = (char)request->collection;
    for (int i = 0; i < request->ids; i++)
        ids[i] = (struct bytes){.data = (const char *)&request->rows[i].id, .size = 4};
    return described;
}

void sim_make_collections(struct sim *sim)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < sim->collections; i++)
        left += sim->model.collections[i].exists;
    if (left < 2 && sim->collections < MODEL_COLLECTIONS)
        sim->collections++;
}

static void draw_options(struct sim *sim)
{
    bool is_tight = sim_chance(sim, 20);

    sim->options = (struct coalescer_options){
        .role = sim_chance(sim, 60) ? COALESCER_GATEWAY : COALESCER_SIDECAR,
        .backend = {.in_flight_max = sim_chance(sim, 60) ? 1 : 1 + (uint32_t)sim_random(sim, 4),
                    .records_max = sim_chance(sim, 30) ? 3 : 100,
                    .may_merge = !sim_chance(sim, 5),
                    .same_columns_only = sim_chance(sim, 30)},
        .is_supervised = sim->ends > 0,
        .batch_records_max = sim_chance(sim, 50) ? 0 : 1 + (uint32_t)sim_random(sim, 30),
        .batch_bytes_max = sim_chance(sim, 70) ? 100000 : 300,
        .split_oversize = sim_chance(sim, 50),
        .patience_us = sim_chance(sim, 50) ? 200000 : 60000000,
        .members_max = is_tight ? 16 : 1000,
        .lanes_max = is_tight ? 1 + (uint32_t)sim_random(sim, 3) : 100,
        .dimension = draw_dimension,
        .dimension_ctx = sim,
    };
    sim->model.null_erases = sim->options.backend.same_columns_only;
    for (size_t i = 0; i < sizeof sim->options.secret; i++)
        sim->options.secret[i] = (unsigned char)sim_random(sim, 256);
}

static uint32_t draw_dimension(void *ctx, const unsigned char lane[16])
{
    const struct sim *sim = ctx;

    return sim->is_known[lane[0]] ? sim->model.collections[lane[0]].dimension : 0;
}

static void draw_clients(struct sim *sim)
{
    bool has_others = sim->options.role == COALESCER_SIDECAR && !sim->options.is_supervised &&
                      sim_chance(sim, 50);

    sim->clients_count = 1 + (size_t)sim_random(sim, SIM_CLIENTS);
    for (size_t i = 0; i < sim->clients_count; i++) {
        struct sim_client *client = &sim->clients[i];

        client->left = 1 + (uint32_t)sim_random(sim, 20);
        client->next_us = sim->now_us + sim_random(sim, 20000);
        client->credential = sim_chance(sim, 90) ? 0 : 1 + (uint32_t)sim_random(sim, 2);
        client->is_poisoner = sim_chance(sim, sim->poison);
        client->is_leaver = sim_chance(sim, 20);
        client->is_other = has_others && i == 0;
    }
}

/* Mostly the first one. */
static uint32_t draw_collection(struct sim *sim)
{
    uint32_t newest = sim->collections - 1;

    return sim_chance(sim, 60) ? newest : (uint32_t)sim_random(sim, sim->collections);
}

static enum model_op draw_op(struct sim *sim)
{
    if (sim_chance(sim, sim->barriers))
        return (enum model_op)(MODEL_DELETE_IDS + sim_random(sim, sim_chance(sim, 20) ? 5 : 3));
    if (sim_chance(sim, sim->mixed))
        return (enum model_op)sim_random(sim, 3);
    return sim->usual_op;
}

static void draw_barrier(struct sim *sim, struct model_request *request)
{
    if (request->op == MODEL_DELETE_IDS)
        request->ids = 1 + (int)sim_random(sim, 3);
    for (int i = 0; i < request->ids; i++)
        request->rows[i].id = 1 + (uint32_t)sim_random(sim, sim->ids);
    if (request->op == MODEL_MODIFY)
        request->rows[0].vector = 1 + (uint32_t)sim_random(sim, 1000000);
    if (request->op == MODEL_RESET)
        request->rows[0].vector = sim->collections;
}

static void draw_rows(struct sim *sim, struct sim_write *write, bool is_poisoned)
{
    struct model_request *request = &write->request;
    uint32_t              dimension = sim_chance(sim, 97) ? 3 : 4;
    bool                  has_vectors = request->op != MODEL_UPDATE || sim_chance(sim, 70);

    write->kind = COALESCER_MERGEABLE;
    request->is_base64 = sim_chance(sim, sim->mixed);
    request->ids = 1 + (int)sim_random(sim, sim_chance(sim, 80) ? 2 : MODEL_ROWS);
    request->vectors = has_vectors ? request->ids : -1;
    request->documents = sim_chance(sim, 70) ? request->ids : -1;
    request->metas = sim_chance(sim, 50) ? request->ids : -1;
    request->has_bad_key = is_poisoned; /* passes the eye of the proxy, not Chroma's */
    for (int i = 0; i < request->ids; i++) {
        struct model_row *row = &request->rows[i];
        bool              null_vector = request->op == MODEL_UPDATE && i > 0 && sim_chance(sim, 30);

        row->id = 1 + (uint32_t)sim_random(sim, sim->ids);
        row->dimension = dimension;
        row->vector = null_vector ? 0 : 1 + (uint32_t)sim_random(sim, 1000000);
        row->document = sim_chance(sim, 20) ? 0 : 1 + (uint32_t)sim_random(sim, 1000000);
        row->meta[0] = draw_meta(sim, request->op, is_poisoned);
        row->meta[1] = draw_meta(sim, request->op, is_poisoned);
    }
}

static uint32_t draw_meta(struct sim *sim, enum model_op op, bool is_poisoned)
{
    if ((op != MODEL_ADD || is_poisoned) && sim_chance(sim, 15))
        return MODEL_META_NULL;
    return sim_chance(sim, 30) ? 0 : 1 + (uint32_t)sim_random(sim, 1000);
}

/* What may not be merged, though some of it could be valid in company. */
static void draw_spoil(struct sim *sim, struct sim_write *write)
{
    struct model_request *request = &write->request;

    write->kind = COALESCER_BARRIER;
    switch (sim_random(sim, 7)) {
    case 0: /* a column too short: adds up with one that is too long */
        request->documents = request->ids - 1;
        break;
    case 1:
        request->documents = request->ids < MODEL_ROWS ? request->ids + 1 : -1;
        break;
    case 2:
        request->metas = request->ids < MODEL_ROWS ? request->ids + 1 : -1;
        break;
    case 3:
        request->rows[request->ids - 1].id = 0;
        break;
    case 4: /* the splice would drop it */
        request->has_garbage = true;
        break;
    case 5:
        request->rows[request->ids - 1].dimension++;
        break;
    default: /* valid, does nothing */
        request->ids = request->vectors = 0;
        request->documents = request->metas = -1;
        break;
    }
}

static uint32_t request_dimension(const struct model_request *request)
{
    for (int i = 0; i < request->vectors; i++) {
        if (request->rows[i].vector != 0)
            return request->rows[i].dimension;
    }
    return 0;
}
