#include "auth/auth.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth_look.h"
#include "base/metric.h"
#include "io/sha256.h"
#include "limits/key_slowdown.h"
#include "limits/key_text.h"

_Static_assert((int)SHA256_DIGEST_SIZE == (int)KEY_RING_DIGEST_SIZE, "what a ring finds by");

struct auth {
    struct auth_rules   *rules;
    struct sha256       *sha256;
    struct key_slowdown *slowdown;
    struct auth_looks   *looks;
    uint64_t             refused[AUTH_REFUSAL_COUNT];
    uint64_t             slowed;
};

static const char *const refusal_names[] = {
    [AUTH_REFUSAL_NO_KEY] = "no_key",       [AUTH_REFUSAL_UNKNOWN_KEY] = "unknown_key",
    [AUTH_REFUSAL_TWO_KEYS] = "two_keys",   [AUTH_REFUSAL_SCOPE] = "scope",
    [AUTH_REFUSAL_NOT_FOUND] = "not_found", [AUTH_REFUSAL_INVALID] = "invalid"};

static struct auth_rules *rules_new(const struct proxy_auth_options *options);

struct auth *auth_new(struct proxy *proxy)
{
    static const struct proxy_auth_options none;
    struct auth                           *auth = calloc(1, sizeof *auth);

    if (auth == NULL)
        return NULL;
    auth->rules = rules_new(&none);
    auth->sha256 = sha256_new();
    auth->slowdown = key_slowdown_new(proxy->secret);
    auth->looks = auth_look_new(proxy);
    if (auth->rules != NULL && auth->sha256 != NULL && auth->slowdown != NULL &&
        auth->looks != NULL)
        return auth;
    auth_free(auth);
    return NULL;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    auth_look_free(auth->looks);
    key_slowdown_free(auth->slowdown);
    sha256_free(auth->sha256);
    auth_drop_rules(auth->rules);
    free(auth);
}

enum status auth_set(struct auth *auth, const struct proxy_auth_options *options)
{
    struct auth_rules *rules = rules_new(options);

    if (rules == NULL)
        return STATUS_NO_MEMORY;
    auth_drop_rules(auth->rules);
    auth->rules = rules;
    return STATUS_OK;
}

static struct auth_rules *rules_new(const struct proxy_auth_options *options)
{
    struct bytes       name = options->credential_name, value = options->credential_value;
    struct auth_rules *rules = calloc(1, sizeof *rules + name.size + value.size);

    if (rules == NULL)
        return NULL;
    rules->holders = 1;
    rules->is_required = options->is_required;
    rules->forwards = options->forwards;
    if (options->keys != NULL)
        rules->keys = key_ring_hold(options->keys);
    if (name.size > 0) {
        memcpy(rules->room, name.data, name.size);
        memcpy(rules->room + name.size, value.data, value.size);
        rules->credential_name = (struct bytes){rules->room, name.size};
        rules->credential_value = (struct bytes){rules->room + name.size, value.size};
    }
    return rules;
}

struct auth_rules *auth_hold_rules(struct auth *auth)
{
    return auth_hold_again(auth->rules);
}

struct auth_rules *auth_hold_again(struct auth_rules *rules)
{
    rules->holders++;
    return rules;
}

void auth_drop_rules(struct auth_rules *rules)
{
    if (rules == NULL || --rules->holders > 0)
        return;
    key_ring_drop(rules->keys);
    explicit_bzero(rules->room, rules->credential_name.size + rules->credential_value.size);
    free(rules);
}

/* What looks like no key is none: it is not hashed. */
const struct key_ring_key *auth_find_key(struct auth *auth, const struct auth_rules *rules,
                                         struct bytes text)
{
    unsigned char digest[SHA256_DIGEST_SIZE];

    if (rules->keys == NULL || !key_text_is_valid(text) ||
        !sha256_digest(auth->sha256, text, digest))
        return NULL;
    return key_ring_find(rules->keys, digest);
}

bool auth_knows(const struct auth *auth, const struct auth_rules *rules,
                const struct key_ring_key *key)
{
    const struct auth_rules *now = auth->rules;

    return rules == now || !now->is_required ||
           (now->keys != NULL && key_ring_find(now->keys, key->digest) != NULL);
}

struct auth_looks *auth_looks(struct auth *auth)
{
    return auth->looks;
}

uint64_t auth_count(struct auth *auth, enum auth_refusal refusal, struct bytes address,
                    uint64_t now_us)
{
    uint64_t wait_us = 0;

    auth->refused[refusal]++;
    if (refusal == AUTH_REFUSAL_UNKNOWN_KEY)
        wait_us = key_slowdown_count(auth->slowdown, address, now_us);
    auth->slowed += wait_us > 0;
    return wait_us;
}

void auth_tell(const struct auth *auth, struct auth_state *ret)
{
    ret->keys = auth->rules->keys;
    ret->is_required = auth->rules->is_required;
    for (enum auth_refusal i = 0; i < AUTH_REFUSAL_COUNT; i++) {
        ret->refused[i].reason = refusal_names[i];
        ret->refused[i].count = auth->refused[i];
    }
}

enum status auth_print_metrics(const struct auth *auth, struct byte_buffer *out)
{
    const struct key_ring *keys = auth->rules->keys;
    enum status            status =
        metric_print_header(out, "chromabouncer_auth_refused_total", "counter",
                            "Requests refused because of their key, or because they had none.");

    for (enum auth_refusal i = 0; i < AUTH_REFUSAL_COUNT && status == STATUS_OK; i++)
        status = byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                                    "chromabouncer_auth_refused_total{reason=\"%s\"} %" PRIu64 "\n",
                                    refusal_names[i], auth->refused[i]);
    if (status == STATUS_OK)
        status = metric_print_header(out, "chromabouncer_auth_slowed_total", "counter",
                                     "Of those with unknown keys, answered later.");
    if (status == STATUS_OK)
        status = byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                                    "chromabouncer_auth_slowed_total %" PRIu64 "\n", auth->slowed);
    if (status == STATUS_OK)
        status =
            metric_print_header(out, "chromabouncer_auth_keys", "gauge", "Keys that are known.");
    if (status == STATUS_OK)
        status = byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX, "chromabouncer_auth_keys %zu\n",
                                    keys == NULL ? 0 : key_ring_count(keys));
    return status == STATUS_OK ? auth_look_print_metrics(auth->looks, out) : status;
}
