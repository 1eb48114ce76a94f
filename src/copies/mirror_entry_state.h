/* mirror_entry_state - what a copy of a collection is at */
#ifndef COPIES_MIRROR_ENTRY_STATE_H
#define COPIES_MIRROR_ENTRY_STATE_H

enum mirror_entry_state {
    MIRROR_ENTRY_WAITING,  /* to be begun, or begun again */
    MIRROR_ENTRY_LISTING,  /* Chroma is asked what it is, and for all ids, */
    MIRROR_ENTRY_FILLING,  /* and for records */
    MIRROR_ENTRY_LOADING,  /* a kept one is read, or waits for Chroma (mirror_kept.h) */
    MIRROR_ENTRY_COMPLETE, /* it holds what Chroma holds; in role sidecar what it held */
    MIRROR_ENTRY_STOPPED,  /* until somebody says fill; see its reason */
    MIRROR_ENTRY_STATES
};

/* "filling". Static storage. */
const char *mirror_entry_state_name(enum mirror_entry_state state);

#endif
