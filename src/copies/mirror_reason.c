#include "copies/mirror_reason.h"

static const struct {
    const char *label, *text;
    bool        is_final;
} reasons[MIRROR_REASON_COUNT] = {
    [MIRROR_REASON_NONE] = {"none", "", false},
#define REASON(id, label, is_final, text) [MIRROR_REASON_##id] = {label, text, is_final},
#include "copies/mirror_reason.def"
#undef REASON
};

const char *mirror_reason_label(enum mirror_reason reason)
{
    return reasons[reason].label;
}

const char *mirror_reason_text(enum mirror_reason reason)
{
    return reasons[reason].text;
}

bool mirror_reason_is_final(enum mirror_reason reason)
{
    return reasons[reason].is_final;
}
