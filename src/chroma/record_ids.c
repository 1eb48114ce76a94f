#include "chroma/record_ids.h"

#include "json/json_scan.h"

enum { ID_SIZE_MAX = 1024 }; /* of one with escapes, as written */

static void put_id(struct record_ids *ids, const unsigned char secret[SIPHASH_KEY_SIZE],
                   struct bytes id);

bool record_ids_add(struct record_ids *ids, const unsigned char secret[SIPHASH_KEY_SIZE],
                    const struct chroma_records *records)
{
    if (records->count > RECORD_IDS_MAX - ids->count)
        return false;
    for (size_t i = 0; i < records->count; i++)
        put_id(ids, secret, records->ids[i]);
    return true;
}

static void put_id(struct record_ids *ids, const unsigned char secret[SIPHASH_KEY_SIZE],
                   struct bytes id)
{
    uint64_t place = siphash_1_3(secret, id) % RECORD_IDS_PLACES;

    ids->places[place / 64] |= UINT64_C(1) << place % 64;
    ids->count++;
}

/* Without ids some servers give all. */
bool record_ids_of_get(const struct chroma_query *query,
                       const unsigned char secret[SIPHASH_KEY_SIZE], struct record_ids *ret_ids)
{
    const unsigned others = 1U << CHROMA_QUERY_WHERE | 1U << CHROMA_QUERY_WHERE_DOCUMENT |
                            1U << CHROMA_QUERY_EMBEDDINGS;
    char               decoded[ID_SIZE_MAX];
    struct json_string id;
    struct json_scan   scan;

    if ((query->field_set & others) != 0 || query->id_count == 0 ||
        query->id_count > RECORD_IDS_MAX)
        return false;
    *ret_ids = (struct record_ids){0};
    json_scan_init(&scan, query->spans[CHROMA_QUERY_IDS]);
    json_scan_array(&scan);
    while (json_scan_element(&scan) && json_scan_string(&scan, &id)) {
        struct bytes text = id.raw;

        if (id.has_escapes && id.raw.size > sizeof decoded)
            return false;
        if (id.has_escapes)
            text = (struct bytes){.data = decoded, .size = json_scan_decode(id, decoded)};
        put_id(ret_ids, secret, text);
    }
    return json_scan_end(&scan) && ret_ids->count == query->id_count;
}

bool record_ids_meet(const struct record_ids *left, const struct record_ids *right)
{
    for (size_t i = 0; i < COUNT_OF(left->places); i++)
        if ((left->places[i] & right->places[i]) != 0)
            return true;
    return false;
}

bool record_ids_next(const struct record_ids *ids, unsigned *place, unsigned *ret_taken)
{
    while (*place < RECORD_IDS_PLACES) {
        uint64_t left = ids->places[*place / 64] >> *place % 64;

        if (left == 0) {
            *place += 64 - *place % 64;
            continue;
        }
        *ret_taken = *place + (unsigned)__builtin_ctzll(left);
        *place = *ret_taken + 1;
        return true;
    }
    return false;
}
