/*
 * Structs whose pointers have extents, as inputs: member by member, and in a pointer's place what
 * it points at, behind a count (UINT64_MAX: NULL).
 *
 * The way through them is kept in the thread's context, not on the stack. Probes what it reads
 * while the task is new; any context.
 */
#ifndef TC_PRELOAD_FOLLOW_H
#define TC_PRELOAD_FOLLOW_H

#include "preload/context.h"
#include "preload/layout.h"

/* Does the element hold pointers that are followed? */
static inline int tc_follows(const struct tc_element *e)
{
    return e->layout != NULL && e->layout->follows;
}

/* `count` elements at `address`, which may be read, go to `put` in runs; `pointer`, if there is
 * one, is told of the pointers that are followed, which don't count themselves. 0 or an enum
 * tc_reason. */
uint32_t tc_follow(struct tc_call *c, const struct tc_element *e, uint64_t address, uint64_t count,
                   tc_gather_fn *put, tc_gather_fn *pointer, void *arg);

#endif
