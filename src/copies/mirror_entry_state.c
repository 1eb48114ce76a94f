#include "copies/mirror_entry_state.h"

const char *mirror_entry_state_name(enum mirror_entry_state state)
{
    static const char *const names[] = {
        [MIRROR_ENTRY_WAITING] = "waiting",   [MIRROR_ENTRY_LISTING] = "listing",
        [MIRROR_ENTRY_FILLING] = "filling",   [MIRROR_ENTRY_LOADING] = "loading",
        [MIRROR_ENTRY_COMPLETE] = "complete", [MIRROR_ENTRY_STOPPED] = "stopped"};

    return names[state];
}
