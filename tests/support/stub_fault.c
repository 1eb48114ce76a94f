#include "support/stub_fault.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"

static bool set_word(struct stub_fault_rule *rule, const char *key, const char *value);
static bool set_flag(struct stub_fault *fault, const char *key);
static bool set_cut(struct stub_fault *fault, enum stub_fault_cut cut, const char *when);
static bool set_body(struct stub_fault *fault, const char *kind);
static bool set_ops(struct stub_fault_rule *rule, const char *name);
static bool set_filter(struct stub_fault_rule *rule, const char *key, const char *value);
static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number);

const char *stub_fault_add(struct stub_fault_rules *rules, struct bytes text)
{
    const char *complaint;

    if (rules->count == STUB_FAULT_RULES_MAX)
        return "too many rules";
    complaint = stub_fault_parse(&rules->rules[rules->count], text);
    if (complaint == NULL)
        rules->count++;
    return complaint;
}

const struct stub_fault *stub_fault_pick(struct stub_fault_rules *rules, enum stub_op op)
{
    for (size_t i = 0; i < rules->count; i++) {
        struct stub_fault_rule *rule = &rules->rules[i];

        if ((rule->ops & 1U << op) == 0 || ++rule->matched < rule->from ||
            (rule->matched - rule->from) % rule->every != 0 ||
            (rule->count > 0 && rule->fired == rule->count))
            continue;
        if (rule->probability < 1 &&
            ldexp((double)(stub_fault_random(&rules->rng) >> 11), -53) >= rule->probability)
            continue;
        rule->fired++;
        rules->fired++;
        return &rule->fault;
    }
    return NULL;
}

const char *stub_fault_parse(struct stub_fault_rule *rule, struct bytes text)
{
    static char complaint[160];
    char        copy[512], *word, *rest = copy;

    *rule = (struct stub_fault_rule){
        .ops = ~(1U << STUB_OP_STUB), .probability = 1, .from = 1, .every = 1};
    if (text.size >= sizeof(copy))
        return "rule too long";
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    while ((word = strsep(&rest, ",")) != NULL) {
        char *value = strchr(word, '=');

        if (value != NULL)
            *value++ = '\0';
        if (value != NULL ? !set_word(rule, word, value) : !set_flag(&rule->fault, word)) {
            snprintf(complaint, sizeof(complaint), "fault: '%s%s%s' is not understood", word,
                     value == NULL ? "" : "=", value == NULL ? "" : value);
            return complaint;
        }
    }
    return NULL;
}

static bool set_word(struct stub_fault_rule *rule, const char *key, const char *value)
{
    struct stub_fault *fault = &rule->fault;
    uint64_t           number = 0;
    bool               is_status = parse_number(value, 200, 599, &number);

    if (strcmp(key, "stall") == 0)
        return stub_fault_parse_duration(value, &fault->stall_us);
    if (strcmp(key, "reset") == 0)
        return set_cut(fault, STUB_FAULT_CUT_RESET, value);
    if (strcmp(key, "close") == 0)
        return set_cut(fault, STUB_FAULT_CUT_CLOSE, value);
    if (strcmp(key, "half-close") == 0)
        return set_cut(fault, STUB_FAULT_CUT_HALF_CLOSE, value);
    if (strcmp(key, "slow-body") == 0)
        return parse_number(value, 1, UINT32_MAX, &fault->slow_bytes_per_sec);
    if (strcmp(key, "body") == 0)
        return set_body(fault, value);
    if (strcmp(key, "status") == 0)
        fault->status = (unsigned)number;
    else if (strcmp(key, "applied-status") == 0)
        fault->applied_status = (unsigned)number;
    else if (strcmp(key, "early") == 0)
        fault->early_status = (unsigned)number;
    else
        return set_filter(rule, key, value);
    return is_status;
}

static bool set_flag(struct stub_fault *fault, const char *key)
{
    if (strcmp(key, "half-answer") == 0)
        fault->half_answer = true;
    else if (strcmp(key, "long-answer") == 0)
        fault->long_answer = true;
    else if (strcmp(key, "garbage") == 0)
        fault->garbage = true;
    else if (strcmp(key, "quiet-close") == 0)
        fault->quiet_close = true;
    else
        return false;
    return true;
}

static bool set_cut(struct stub_fault *fault, enum stub_fault_cut cut, const char *when)
{
    if (strcmp(when, "before") == 0)
        fault->cut_before = cut;
    else if (strcmp(when, "after") == 0)
        fault->cut_after = cut;
    else
        return false;
    return true;
}

static bool set_body(struct stub_fault *fault, const char *kind)
{
    static const char *const kinds[] = {"chroma", "admission", "plain", "empty"};

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strcmp(kind, kinds[i]) == 0) {
            fault->body = (enum stub_fault_body)i;
            return true;
        }
    }
    return false;
}

static bool set_ops(struct stub_fault_rule *rule, const char *name)
{
    rule->ops = 0;
    for (enum stub_op op = 0; op < STUB_OPS; op++) {
        if (strcmp(name, stub_route_op_name(op)) == 0 ||
            (strcmp(name, "write") == 0 && stub_route_is_write(op)) ||
            (strcmp(name, "read") == 0 && stub_route_is_read(op)))
            rule->ops |= 1U << op;
    }
    rule->ops &= ~(1U << STUB_OP_STUB);
    return rule->ops != 0;
}

static bool set_filter(struct stub_fault_rule *rule, const char *key, const char *value)
{
    char *end;

    if (strcmp(key, "op") == 0)
        return set_ops(rule, value);
    if (strcmp(key, "from") == 0)
        return parse_number(value, 1, UINT32_MAX, &rule->from);
    if (strcmp(key, "every") == 0)
        return parse_number(value, 1, UINT32_MAX, &rule->every);
    if (strcmp(key, "count") == 0)
        return parse_number(value, 1, UINT32_MAX, &rule->count);
    if (strcmp(key, "p") != 0)
        return false;
    rule->probability = strtod(value, &end);
    return *end == '\0' && end != value && rule->probability >= 0 && rule->probability <= 1;
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    char              *end;
    unsigned long long number;

    if (*text < '0' || *text > '9')
        return false;
    number = strtoull(text, &end, 10);
    if (*end != '\0' || number < min || number > max)
        return false;
    *ret_number = number;
    return true;
}

bool stub_fault_parse_duration(const char *text, uint64_t *ret_us)
{
    char  *unit;
    double number = strtod(text, &unit), scale = 1e3;

    if (unit == text || !(number >= 0) || number > 1e9)
        return false;
    if (strcmp(unit, "us") == 0)
        scale = 1;
    else if (strcmp(unit, "s") == 0)
        scale = 1e6;
    else if (strcmp(unit, "ms") != 0 && *unit != '\0')
        return false;
    *ret_us = (uint64_t)(number * scale);
    return true;
}

/* splitmix64: one addition and a mix, any seed is as good as any other */
uint64_t stub_fault_random(uint64_t *rng)
{
    uint64_t x = *rng += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}
