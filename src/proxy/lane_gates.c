#include "proxy/lane_gates.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/hash_map.h"

struct lane_gates {
    struct loop     *loop;
    struct hash_map *by_key; /* those in use */
    uint64_t         max;
};

struct lane_gate {
    struct body_gate gate;
    unsigned char    key[LANE_GATES_KEY_SIZE];
    size_t           users;
};

static struct bytes key_of(const unsigned char *key);
static void         free_lane_gate(void *object);

struct lane_gates *lane_gates_new(struct loop *loop, const unsigned char secret[16], uint64_t max)
{
    struct lane_gates *gates = calloc(1, sizeof *gates);

    if (gates == NULL)
        return NULL;
    gates->loop = loop;
    gates->max = max;
    gates->by_key = hash_map_new(secret, SIZE_MAX);
    if (gates->by_key == NULL) {
        free(gates);
        return NULL;
    }
    return gates;
}

void lane_gates_free(struct lane_gates *gates)
{
    if (gates == NULL)
        return;
    assert(hash_map_count(gates->by_key) == 0);
    hash_map_free(gates->by_key);
    free(gates);
}

void lane_gates_set_max(struct lane_gates *gates, uint64_t max)
{
    size_t            position = 0;
    struct lane_gate *lane_gate;

    gates->max = max;
    while ((lane_gate = hash_map_next(gates->by_key, &position)) != NULL)
        body_gate_set_max(&lane_gate->gate, max);
}

struct body_gate *lane_gates_take(struct lane_gates  *gates,
                                  const unsigned char key[LANE_GATES_KEY_SIZE])
{
    struct lane_gate *lane_gate = hash_map_get(gates->by_key, key_of(key));

    if (lane_gate == NULL) {
        lane_gate = calloc(1, sizeof *lane_gate);
        if (lane_gate == NULL)
            return NULL;
        memcpy(lane_gate->key, key, sizeof lane_gate->key);
        if (!body_gate_init(&lane_gate->gate, gates->loop, NULL, gates->max) ||
            hash_map_put(gates->by_key, key_of(lane_gate->key), lane_gate) != STATUS_OK) {
            free(lane_gate);
            return NULL;
        }
    }
    lane_gate->users++;
    return &lane_gate->gate;
}

static struct bytes key_of(const unsigned char *key)
{
    return (struct bytes){.data = (const char *)key, .size = LANE_GATES_KEY_SIZE};
}

/* It may be admitting somebody now: it is freed at the end of the turn. */
void lane_gates_put(struct lane_gates *gates, struct body_gate *gate)
{
    struct lane_gate *lane_gate;

    if (gate == NULL)
        return;
    lane_gate = CONTAINER_OF(gate, struct lane_gate, gate);
    if (--lane_gate->users > 0)
        return;
    hash_map_remove(gates->by_key, key_of(lane_gate->key));
    loop_free_later(gates->loop, lane_gate, free_lane_gate);
}

static void free_lane_gate(void *object)
{
    struct lane_gate *lane_gate = object;

    body_gate_done(&lane_gate->gate);
    free(lane_gate);
}
