#include "upstream/upstream_identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Who did not tell all is asked again after this. */
static const uint64_t pause_us = 60000000;

enum { answer_bytes_max = 1024 };

/* What is asked, in this order. */
enum identity_step {
    STEP_VERSION,     /* 0.5 and later */
    STEP_DESCRIPTION, /* is it the Rust server that says 1.0? */
    STEP_OLD_VERSION, /* 0.4 */
    STEP_LIMITS,
    STEP_OLD_LIMITS,
    STEP_NONE,
};

static const struct {
    const char *path;
    bool        is_unbounded; /* the answer may be any: its beginning counts */
} steps[] = {
    [STEP_VERSION] = {"/api/v2/version", false},
    [STEP_DESCRIPTION] = {"/openapi.json", true},
    [STEP_OLD_VERSION] = {"/api/v1/version", false},
    [STEP_LIMITS] = {"/api/v2/pre-flight-checks", false},
    [STEP_OLD_LIMITS] = {"/api/v1/pre-flight-checks", false},
};

struct upstream_identity {
    struct upstream_control            *control;
    struct upstream_incarnation        *incarnation;
    struct upstream_identity_options    options;
    upstream_identity_fn                on_change;
    void                               *ctx;
    struct upstream_incarnation_watcher watcher;
    struct upstream_question            question;
    enum identity_step                  step;
    struct upstream_identity_facts      facts, found; /* found: of the questions under way */
    bool                                was_refused;  /* it asks for credentials */
    uint64_t                            settled;      /* the incarnation whose questions ended */
    uint64_t                            asked_us;     /* when they began */
};

static void               ask_step(struct upstream_identity *identity, enum identity_step step);
static void               on_identity_answer(const struct upstream_answer *answer, void *ctx);
static enum identity_step read_version(struct upstream_identity     *identity,
                                       const struct upstream_answer *answer, bool is_old);
static void               read_description(struct upstream_identity     *identity,
                                           const struct upstream_answer *answer);
static enum identity_step read_limits(struct upstream_identity     *identity,
                                      const struct upstream_answer *answer, bool is_old);
static bool starts_with_text(struct bytes body, const char *text, const char **ret_after);
static void settle(struct upstream_identity *identity);
static void on_incarnation(void *ctx);
static struct upstream_identity_facts no_facts(const struct upstream_identity *identity);
static void                           set_facts(struct upstream_identity             *identity,
                                                const struct upstream_identity_facts *facts);

struct upstream_identity *upstream_identity_new(struct upstream_control                *control,
                                                struct upstream_incarnation            *incarnation,
                                                const struct upstream_identity_options *options,
                                                upstream_identity_fn on_change, void *ctx)
{
    struct upstream_identity *identity = calloc(1, sizeof *identity);

    if (identity == NULL)
        return NULL;
    identity->control = control;
    identity->incarnation = incarnation;
    identity->options = *options;
    identity->on_change = on_change;
    identity->ctx = ctx;
    identity->step = STEP_NONE;
    identity->facts = no_facts(identity);
    identity->watcher =
        (struct upstream_incarnation_watcher){.on_move = on_incarnation, .ctx = identity};
    upstream_incarnation_watch(incarnation, &identity->watcher);
    return identity;
}

void upstream_identity_set_options(struct upstream_identity               *identity,
                                   const struct upstream_identity_options *options)
{
    bool is_other = options->family != identity->options.family;

    identity->options = *options;
    if (!is_other)
        return;
    identity->settled = identity->found.incarnation = 0; /* the next heartbeat asks */
    on_incarnation(identity);
}

void upstream_identity_free(struct upstream_identity *identity)
{
    if (identity == NULL)
        return;
    upstream_control_cancel(identity->control, &identity->question);
    upstream_incarnation_unwatch(&identity->watcher);
    free(identity);
}

void upstream_identity_ask(struct upstream_identity *identity, bool again, uint64_t now_us)
{
    const struct upstream_identity_facts *facts = &identity->facts;
    bool knows_all = facts->family != CHROMA_FAMILY_UNKNOWN && facts->batch_records_max != 0;
    bool pauses = upstream_identity_is_settled(identity) && now_us - identity->asked_us < pause_us;

    if (identity->step != STEP_NONE || (!again && (knows_all || pauses)))
        return;
    identity->asked_us = now_us;
    identity->found = no_facts(identity);
    identity->was_refused = false;
    ask_step(identity, STEP_VERSION);
}

static void ask_step(struct upstream_identity *identity, enum identity_step step)
{
    identity->step = step;
    if (step == STEP_NONE) {
        settle(identity);
        return;
    }
    identity->question = (struct upstream_question){.path = bytes_of(steps[step].path),
                                                    .timeout_us = identity->options.timeout_us,
                                                    .answer_bytes_max = answer_bytes_max,
                                                    .is_light = true,
                                                    .on_answer = on_identity_answer,
                                                    .ctx = identity};
    if (upstream_control_ask(identity->control, &identity->question) != STATUS_OK)
        identity->step = STEP_NONE; /* with the next heartbeat */
}

static void on_identity_answer(const struct upstream_answer *answer, void *ctx)
{
    struct upstream_identity *identity = ctx;
    enum identity_step        next = STEP_NONE;

    if (answer->status != STATUS_OK || answer->code >= 500) {
        identity->step = STEP_NONE; /* with the next heartbeat */
        return;
    }
    if (answer->code == 401 || answer->code == 403)
        identity->was_refused = true;
    switch (identity->step) {
    case STEP_VERSION:
        next = read_version(identity, answer, false);
        break;
    case STEP_DESCRIPTION:
        read_description(identity, answer);
        next = STEP_LIMITS;
        break;
    case STEP_OLD_VERSION:
        next = read_version(identity, answer, true);
        break;
    case STEP_LIMITS:
        next = read_limits(identity, answer, false);
        break;
    case STEP_OLD_LIMITS:
        next = read_limits(identity, answer, true);
        break;
    case STEP_NONE:
        break;
    }
    ask_step(identity, next);
}

static enum identity_step read_version(struct upstream_identity     *identity,
                                       const struct upstream_answer *answer, bool is_old)
{
    struct upstream_identity_facts *found = &identity->found;
    enum chroma_family              said = CHROMA_FAMILY_UNKNOWN;

    if (answer->code == 404 && !is_old)
        return STEP_OLD_VERSION;
    if (answer->code == 200 && !answer->is_cut)
        said = chroma_family_of_version(answer->body, &found->version);
    if (said == CHROMA_FAMILY_RUST)
        return is_old ? STEP_LIMITS : STEP_DESCRIPTION;
    if (found->family == CHROMA_FAMILY_UNKNOWN && said != CHROMA_FAMILY_UNKNOWN) {
        found->family = said;
        found->reason = "it says a version below 1.0";
    }
    return STEP_LIMITS;
}

/* The Rust server's description begins with its name; where there is none to be had, its version
 * stands alone. */
static void read_description(struct upstream_identity     *identity,
                             const struct upstream_answer *answer)
{
    static const char               title[] = "\"title\":\"chroma-frontend\"";
    struct upstream_identity_facts *found = &identity->found;

    if (found->family != CHROMA_FAMILY_UNKNOWN)
        return;
    if (answer->code == 200 &&
        (answer->body.size == 0 ||
         memmem(answer->body.data, answer->body.size, title, sizeof title - 1) == NULL)) {
        found->reason = "it says 1.0 or later and does not describe itself as the Rust server does";
        return;
    }
    found->family = CHROMA_FAMILY_RUST;
    found->reason = "it says version 1.0 or later";
}

/* {"max_batch_size":5461,"supports_base64_encoding":true}: known names in an answer of some bytes;
 * Python servers write a space behind the colon or none. */
static enum identity_step read_limits(struct upstream_identity     *identity,
                                      const struct upstream_answer *answer, bool is_old)
{
    struct upstream_identity_facts *found = &identity->found;
    const char                     *after;

    if (answer->code == 404 && !is_old)
        return STEP_OLD_LIMITS;
    if (answer->code != 200 || answer->is_cut)
        return STEP_NONE;
    if (starts_with_text(answer->body, "\"max_batch_size\"", &after))
        for (const char *end = answer->body.data + answer->body.size;
             after < end && *after >= '0' && *after <= '9' && found->batch_records_max < UINT32_MAX;
             after++)
            found->batch_records_max = found->batch_records_max * 10 + (uint64_t)(*after - '0');
    found->takes_base64 = starts_with_text(answer->body, "\"supports_base64_encoding\"", &after) &&
                          after < answer->body.data + answer->body.size && *after == 't';
    return STEP_NONE;
}

/* Find `text`, and what stands behind it, a colon and spaces. */
static bool starts_with_text(struct bytes body, const char *text, const char **ret_after)
{
    const char *end = body.size == 0 ? NULL : body.data + body.size;
    const char *at = body.size == 0 ? NULL : memmem(body.data, body.size, text, strlen(text));

    if (at == NULL)
        return false;
    at += strlen(text);
    while (at < end && (*at == ':' || *at == ' '))
        at++;
    *ret_after = at;
    return true;
}

/* All is answered. It holds for the incarnation that was asked, unless that has gone. */
static void settle(struct upstream_identity *identity)
{
    uint64_t number = upstream_incarnation_number(identity->incarnation);

    if (identity->found.incarnation != number)
        return;
    identity->settled = number;
    if (identity->found.family == CHROMA_FAMILY_UNKNOWN &&
        identity->facts.family != CHROMA_FAMILY_UNKNOWN) { /* learned otherwise */
        identity->found.family = identity->facts.family;
        identity->found.reason = identity->facts.reason;
    } else if (identity->found.family == CHROMA_FAMILY_UNKNOWN && identity->was_refused &&
               identity->found.version == 0) {
        identity->found.reason = "it does not tell its version to this proxy";
    }
    set_facts(identity, &identity->found);
}

bool upstream_identity_is_settled(const struct upstream_identity *identity)
{
    return identity->settled == upstream_incarnation_number(identity->incarnation);
}

/* What was being asked is of no use either, unless the new one is being asked already. */
static void on_incarnation(void *ctx)
{
    struct upstream_identity      *identity = ctx;
    struct upstream_identity_facts none = no_facts(identity);

    if (identity->step == STEP_NONE || identity->found.incarnation != none.incarnation) {
        upstream_control_cancel(identity->control, &identity->question);
        identity->step = STEP_NONE;
    }
    if (identity->facts.incarnation != none.incarnation || identity->facts.family != none.family)
        set_facts(identity, &none);
}

static struct upstream_identity_facts no_facts(const struct upstream_identity *identity)
{
    bool is_set = identity->options.family != CHROMA_FAMILY_UNKNOWN;

    return (struct upstream_identity_facts){
        .family = identity->options.family,
        .incarnation = upstream_incarnation_number(identity->incarnation),
        .reason = is_set ? "backend.family says so" : "it has not said its version"};
}

static void set_facts(struct upstream_identity             *identity,
                      const struct upstream_identity_facts *facts)
{
    identity->facts = *facts;
    identity->on_change(identity->ctx);
}

void upstream_identity_learn_from_write_answer(struct upstream_identity *identity,
                                               enum chroma_operation operation, unsigned code,
                                               struct bytes body)
{
    struct upstream_identity_facts facts = identity->facts;
    enum chroma_family             shown = chroma_family_of_answer(operation, body);

    /* Who says 1.0 or later and is not known all the same is not the Rust server. */
    if (facts.family != CHROMA_FAMILY_UNKNOWN || facts.version != 0 || code / 100 != 2 ||
        shown == CHROMA_FAMILY_UNKNOWN)
        return;
    facts.incarnation = upstream_incarnation_number(identity->incarnation);
    facts.family = shown;
    facts.reason = shown == CHROMA_FAMILY_RUST ? "it answers writes as the Rust server does"
                                               : "it answers writes as Python servers do";
    set_facts(identity, &facts);
}

const struct upstream_identity_facts *
upstream_identity_facts(const struct upstream_identity *identity)
{
    return &identity->facts;
}

const char *upstream_identity_version(const struct upstream_identity_facts *facts,
                                      char text[UPSTREAM_IDENTITY_VERSION_SIZE])
{
    if (facts->version == 0)
        snprintf(text, UPSTREAM_IDENTITY_VERSION_SIZE, "?");
    else
        snprintf(text, UPSTREAM_IDENTITY_VERSION_SIZE, "%u.%u.%u", facts->version / 10000,
                 facts->version / 100 % 100, facts->version % 100);
    return text;
}
