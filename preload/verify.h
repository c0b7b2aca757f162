/*
 * Is what would be replayed what the function gives? On a share of the hits (`verify:`) nothing is
 * replayed: the function runs in the caller's memory, as without us, and afterwards its outputs are
 * compared with the record's.
 */
#ifndef TC_PRELOAD_VERIFY_H
#define TC_PRELOAD_VERIFY_H

#include "preload/send.h"

/* Is this call's hit to be verified? Cheap, and as good as random. */
int tc_verify_chosen(struct tc_context *x, const struct tc_hook *h);

/* After the body: TC_R_VERIFIED; TC_R_VERIFY_DIFFERS, and then the record is gone and the task is
 * switched off in this process; or TC_R_UNVERIFIED. */
uint32_t tc_verify_result(struct tc_context *x, struct tc_call *c, const struct tc_result *result,
                          uint32_t trouble);

#endif
