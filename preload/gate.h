/*
 * A lock of the runtime's own, for tables that all threads share: held for a moment, with all
 * signals blocked, so that no handler finds the table half done and nobody jumps out of here or is
 * cancelled. Never on the hit path, never over code of the host.
 */
#ifndef TC_PRELOAD_GATE_H
#define TC_PRELOAD_GATE_H

#include <stdint.h>

struct tc_gate {
    uint32_t state;   /* 0 free, 1 taken, 2 taken and waited for */
    uint64_t signals; /* what the holder had blocked */
};

/* Not in a sandbox. */
void tc_gate_enter(struct tc_gate *g);
void tc_gate_leave(struct tc_gate *g);

#endif
