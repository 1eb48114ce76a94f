#include "mirror/mirror_terms.h"

#include <string.h>

#include "index/index_memory.h"

enum { TERMS_MIN = 8, TEXT_MIN = 64 };

/* What identifies a value. */
struct term_key {
    enum mirror_type type;
    bool             is_list;
    struct bytes     bytes; /* its text, its items, or the eight bytes of a scalar */
};

static bool            is_in_text(enum mirror_type type, bool is_list);
static int64_t         scalar_bits(enum mirror_type type, const union mirror_scalar *value);
static struct term_key scalar_key(enum mirror_type type, const union mirror_scalar *value,
                                  int64_t *bits);
static uint64_t        encoded_size(const struct mirror_field *field);
static void            encode_list(const struct mirror_field *field, char *to);
static uint32_t        bucket_count(uint32_t capacity);
static uint32_t       *find_bucket(const struct mirror_terms       *terms,
                                   const struct mirror_terms_owner *owner, struct term_key key);
static uint32_t find_term(const struct mirror_terms *terms, uint32_t number, struct term_key key);
static struct term_key term_key(const struct mirror_terms *terms, const struct mirror_term *term);
static enum status     fit_term(struct mirror_terms *terms, const struct mirror_terms_owner *owner);
static void rebuild_buckets(struct mirror_terms *terms, const struct mirror_terms_owner *owner);
static enum status fit_text(struct mirror_terms *terms, const struct mirror_terms_owner *owner,
                            uint64_t size);
static uint32_t    take_free_number(struct mirror_terms *terms);

void mirror_terms_done(struct mirror_terms *terms, const struct mirror_terms_owner *owner)
{
    index_memory_free(owner->memory, terms->terms, terms->capacity * sizeof *terms->terms);
    index_memory_free(owner->memory, terms->buckets,
                      bucket_count(terms->capacity) * sizeof *terms->buckets);
    index_memory_free(owner->memory, terms->text, terms->text_capacity);
    *terms = (struct mirror_terms){.terms = NULL};
}

/* Texts and lists are written behind the others to be compared, and stay there if they are new. */
enum status mirror_terms_intern(struct mirror_terms *terms, const struct mirror_terms_owner *owner,
                                const struct mirror_field *field, uint32_t *ret_number)
{
    int64_t             bits;
    struct term_key     key;
    struct mirror_term *term;
    uint32_t           *bucket, number;
    bool                in_text = is_in_text(field->type, field->is_list);
    enum status         status = fit_term(terms, owner);

    if (status == STATUS_OK && in_text)
        status = fit_text(terms, owner, encoded_size(field));
    if (status != STATUS_OK)
        return status;
    key = field->is_list ? (struct term_key){.type = field->type, .is_list = true}
                         : scalar_key(field->type, field->items, &bits);
    if (field->is_list) {
        encode_list(field, terms->text + terms->text_end);
        key.bytes = (struct bytes){.data = terms->text + terms->text_end,
                                   .size = (size_t)encoded_size(field)};
    }
    bucket = find_bucket(terms, owner, key);
    number = find_term(terms, *bucket, key);
    if (number == 0) {
        number = take_free_number(terms);
        term = &terms->terms[number];
        *term = (struct mirror_term){
            .type = (uint8_t)field->type, .is_list = field->is_list, .next = *bucket};
        *bucket = number;
        if (in_text) {
            if (!field->is_list && key.bytes.size > 0)
                memcpy(terms->text + terms->text_end, key.bytes.data, key.bytes.size);
            term->value.offset = terms->text_end;
            term->size = (uint32_t)key.bytes.size;
            terms->text_end += term->size;
            terms->text_live += term->size;
        } else
            term->value.integer = bits;
    }
    terms->once += terms->terms[number].references == 0;
    terms->once -= terms->terms[number].references == 1;
    terms->terms[number].references++;
    *ret_number = number;
    return STATUS_OK;
}

static bool is_in_text(enum mirror_type type, bool is_list)
{
    return is_list || type == MIRROR_TYPE_STRING;
}

static int64_t scalar_bits(enum mirror_type type, const union mirror_scalar *value)
{
    double  real;
    int64_t bits;

    if (type == MIRROR_TYPE_BOOL)
        return value->flag;
    if (type != MIRROR_TYPE_DOUBLE)
        return value->integer;
    real = value->real == 0 ? 0 : value->real;
    memcpy(&bits, &real, sizeof bits);
    return bits;
}

static struct term_key scalar_key(enum mirror_type type, const union mirror_scalar *value,
                                  int64_t *bits)
{
    if (type == MIRROR_TYPE_STRING)
        return (struct term_key){.type = type, .bytes = value->text};
    *bits = scalar_bits(type, value);
    return (struct term_key){.type = type,
                             .bytes = {.data = (const char *)bits, .size = sizeof *bits}};
}

static uint64_t encoded_size(const struct mirror_field *field)
{
    uint64_t size = 0;

    if (field->type != MIRROR_TYPE_STRING)
        return field->count * sizeof(int64_t);
    if (!field->is_list)
        return field->items->text.size;
    for (uint32_t i = 0; i < field->count; i++)
        size += sizeof(uint32_t) + field->items[i].text.size;
    return size;
}

/* Each item as eight bytes, or as a size and a text. */
static void encode_list(const struct mirror_field *field, char *to)
{
    for (uint32_t i = 0; i < field->count; i++) {
        if (field->type == MIRROR_TYPE_STRING) {
            struct bytes text = field->items[i].text;
            uint32_t     size = (uint32_t)text.size;

            memcpy(to, &size, sizeof size);
            to += sizeof size;
            if (size > 0)
                memcpy(to, text.data, size);
            to += size;
        } else {
            int64_t bits = scalar_bits(field->type, &field->items[i]);

            memcpy(to, &bits, sizeof bits);
            to += sizeof bits;
        }
    }
}

static uint32_t bucket_count(uint32_t capacity)
{
    uint32_t count = TERMS_MIN;

    while (count < capacity)
        count *= 2;
    return count;
}

static uint32_t *find_bucket(const struct mirror_terms       *terms,
                             const struct mirror_terms_owner *owner, struct term_key key)
{
    uint64_t hash = siphash_1_3(owner->secret, key.bytes);

    return &terms->buckets[hash & (bucket_count(terms->capacity) - 1)];
}

static uint32_t find_term(const struct mirror_terms *terms, uint32_t number, struct term_key key)
{
    for (; number != 0; number = terms->terms[number].next) {
        const struct mirror_term *term = &terms->terms[number];

        if (term->type == key.type && term->is_list == key.is_list &&
            bytes_equal(term_key(terms, term).bytes, key.bytes))
            return number;
    }
    return 0;
}

static struct term_key term_key(const struct mirror_terms *terms, const struct mirror_term *term)
{
    struct term_key key = {.type = term->type, .is_list = term->is_list};

    if (is_in_text(key.type, key.is_list))
        key.bytes = (struct bytes){.data = terms->text + term->value.offset, .size = term->size};
    else
        key.bytes = (struct bytes){.data = (const char *)&term->value, .size = sizeof term->value};
    return key;
}

/* Room for one more. */
static enum status fit_term(struct mirror_terms *terms, const struct mirror_terms_owner *owner)
{
    struct mirror_terms grown = *terms;
    enum status         status;

    if (terms->free != 0 || terms->end < terms->capacity)
        return STATUS_OK;
    if (terms->capacity > UINT32_MAX / 4)
        return STATUS_LIMIT_REACHED;
    grown.capacity = terms->capacity + terms->capacity / 2 + TERMS_MIN;
    if (terms->end == 0)
        grown.end = 1;
    status = index_memory_alloc(owner->memory, grown.capacity * sizeof *grown.terms, &grown.terms);
    if (status != STATUS_OK)
        return status;
    status = index_memory_alloc(owner->memory, bucket_count(grown.capacity) * sizeof *grown.buckets,
                                &grown.buckets);
    if (status != STATUS_OK) {
        index_memory_free(owner->memory, grown.terms, grown.capacity * sizeof *grown.terms);
        return status;
    }
    if (terms->capacity > 0) {
        memcpy(grown.terms, terms->terms, terms->end * sizeof *terms->terms);
        index_memory_free(owner->memory, terms->terms, terms->capacity * sizeof *terms->terms);
        index_memory_free(owner->memory, terms->buckets,
                          bucket_count(terms->capacity) * sizeof *terms->buckets);
    }
    *terms = grown;
    rebuild_buckets(terms, owner);
    return STATUS_OK;
}

static void rebuild_buckets(struct mirror_terms *terms, const struct mirror_terms_owner *owner)
{
    for (uint32_t number = 1; number < terms->end; number++) {
        struct mirror_term *term = &terms->terms[number];
        uint32_t           *bucket;

        if (term->references == 0)
            continue;
        bucket = find_bucket(terms, owner, term_key(terms, term));
        term->next = *bucket;
        *bucket = number;
    }
}

/* Room for `size` bytes more. What is of no value is left out on the way. */
static enum status fit_text(struct mirror_terms *terms, const struct mirror_terms_owner *owner,
                            uint64_t size)
{
    uint64_t    capacity = terms->text_live + terms->text_live / 2 + size + TEXT_MIN, end = 0;
    char       *text;
    enum status status;

    if (size > UINT32_MAX)
        return STATUS_LIMIT_REACHED;
    if (terms->text_capacity - terms->text_end >= size && terms->text != NULL)
        return STATUS_OK;
    status = index_memory_alloc(owner->memory, (size_t)capacity, &text);
    if (status != STATUS_OK)
        return status;
    for (uint32_t number = 1; number < terms->end; number++) {
        struct mirror_term *term = &terms->terms[number];

        if (term->references == 0 || !is_in_text(term->type, term->is_list))
            continue;
        if (term->size > 0)
            memcpy(text + end, terms->text + term->value.offset, term->size);
        term->value.offset = end;
        end += term->size;
    }
    index_memory_free(owner->memory, terms->text, (size_t)terms->text_capacity);
    terms->text = text;
    terms->text_capacity = capacity;
    terms->text_end = end;
    return STATUS_OK;
}

static uint32_t take_free_number(struct mirror_terms *terms)
{
    uint32_t number = terms->free;

    terms->count++;
    if (number == 0)
        return terms->end++;
    terms->free = terms->terms[number].next;
    return number;
}

void mirror_terms_release(struct mirror_terms *terms, const struct mirror_terms_owner *owner,
                          uint32_t number)
{
    struct mirror_term *term = &terms->terms[number];
    uint32_t           *link;

    terms->once += term->references == 2;
    if (--term->references > 0)
        return;
    terms->once--;
    link = find_bucket(terms, owner, term_key(terms, term));
    while (*link != number)
        link = &terms->terms[*link].next;
    *link = term->next;
    if (is_in_text(term->type, term->is_list))
        terms->text_live -= term->size;
    term->next = terms->free;
    terms->free = number;
    terms->count--;
}

uint32_t mirror_terms_find(const struct mirror_terms *terms, const struct mirror_terms_owner *owner,
                           enum mirror_type type, const union mirror_scalar *value)
{
    int64_t         bits;
    struct term_key key = scalar_key(type, value, &bits);

    return terms->count == 0 ? 0 : find_term(terms, *find_bucket(terms, owner, key), key);
}

bool mirror_terms_next_item(const struct mirror_terms *terms, const struct mirror_term *list,
                            uint32_t *position, union mirror_scalar *ret_item)
{
    const char *at = terms->text + list->value.offset + *position;
    uint32_t    size;
    int64_t     bits;

    if (*position == list->size)
        return false;
    if (list->type == MIRROR_TYPE_STRING) {
        memcpy(&size, at, sizeof size);
        ret_item->text = (struct bytes){.data = at + sizeof size, .size = size};
        *position += (uint32_t)sizeof size + size;
        return true;
    }
    memcpy(&bits, at, sizeof bits);
    *position += (uint32_t)sizeof bits;
    if (list->type == MIRROR_TYPE_BOOL)
        ret_item->flag = bits != 0;
    else if (list->type == MIRROR_TYPE_INTEGER)
        ret_item->integer = bits;
    else
        memcpy(&ret_item->real, &bits, sizeof bits);
    return true;
}

uint64_t mirror_terms_memory(const struct mirror_terms *terms)
{
    if (terms->capacity == 0)
        return terms->text_capacity;
    return terms->capacity * sizeof *terms->terms +
           bucket_count(terms->capacity) * sizeof *terms->buckets + terms->text_capacity;
}

/* As fit_term() and fit_text() will make them grow. */
uint64_t mirror_terms_estimate(const struct mirror_terms *terms, uint64_t count)
{
    uint64_t capacity = terms->capacity, text_capacity = terms->text_capacity, text;

    if (count <= terms->count || terms->count == 0)
        return mirror_terms_memory(terms);
    if (count > UINT32_MAX / 4)
        count = UINT32_MAX / 4;
    while (capacity <= count)
        capacity += capacity / 2 + TERMS_MIN;
    text = (uint64_t)((double)terms->text_live * (double)count / terms->count);
    while (text_capacity < text)
        text_capacity += text_capacity / 2 + TEXT_MIN;
    return capacity * sizeof *terms->terms +
           bucket_count((uint32_t)capacity) * sizeof *terms->buckets + text_capacity;
}
