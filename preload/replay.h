/*
 * From a record to the caller's memory and registers.
 */
#ifndef TC_PRELOAD_REPLAY_H
#define TC_PRELOAD_REPLAY_H

#include "preload/context.h"
#include "preload/lookup.h"

struct tc_replayed {
    int64_t created_ns, duration_ns;
    int set_errno, err;
};

/* Looks the call up and replays it. 1: done, the frame holds the result; with c->verifying,
 * c->record_id says which record it would have been, and nothing was touched. 0: there is no record
 * for it (`*ret_why`: 0, or TC_R_SHAPE_DIFFERS, TC_R_NO_BLOCK, TC_R_NO_STORE). The caller's memory
 * is untouched then, but for plain `out` buffers, which the function writes whole. */
int tc_replay(struct tc_context *x, struct tc_call *c, struct tc_replayed *ret, uint32_t *ret_why);

/* Does the record count now? */
int tc_replay_is_live(const struct tc_record *h);

/* Is the record one of this call's key and not expired? Else c->found says what is wrong. */
int tc_replay_is_valid(struct tc_call *c, const struct tc_record_view *v);

#endif
