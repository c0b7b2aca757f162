/*
 * Memory that a call gives away: blocks that the caller frees, and copies of static results.
 *
 * On a hit blocks come from the host's own allocator: the `malloc` that symbol look-up in the
 * process's global scope gives, so that the caller's `free` is the right one. The host's code runs
 * there, with all registers kept (tc_call_host()); at that time the record has been checked and
 * copied aside, the caller's memory is untouched, and nothing of ours is held but the thread's
 * context, which outlives a jump out of it. Calls of tasks from inside find it busy and go by.
 *
 * Static results are kept with the thread's context, one for each task. Those of threads that have
 * ended stay; when they have become many, no further thread gets any.
 */
#ifndef TC_PRELOAD_OWNED_H
#define TC_PRELOAD_OWNED_H

#include "preload/context.h"

#define TC_STATIC_BYTES      (16u << 20) /* of all static results of a thread */
#define TC_STATIC_LEFT_BYTES (64u << 20) /* of those of threads that have ended */

/* What an output's memory looks like; NULL: it is a result by value. */
static inline const struct tc_param *tc_output_param(const struct tc_call *c,
                                                     const struct tc_extent *e)
{
    if (e->param != UINT32_MAX)
        return &c->hook->params[e->param];
    return tc_is_owned(&c->hook->task->owned) ? &c->hook->task->owned : NULL;
}

/* Does output `i` belong to what the call gives away? */
static inline int tc_output_is_owned(const struct tc_call *c, uint32_t i)
{
    const struct tc_param *p = tc_output_param(c, &c->out[i]);

    return p != NULL && tc_is_owned(p);
}

/* Where the output's content lies. */
static inline uint64_t tc_output_address(const struct tc_call *c, uint32_t i)
{
    return tc_output_is_owned(c, i) ? c->block[i] : c->arg[c->out[i].param];
}

/* The extent of output `i`, a block: known after the call alone. */
uint32_t tc_owned_extent(struct tc_call *c, uint32_t i, int after);

/* On a hit, when all else is sound: memory for every block of the record, into c->block. 0, or
 * -ENOMEM and none is left. */
int tc_owned_allocate(struct tc_context *x, struct tc_call *c);
void tc_owned_release(struct tc_call *c);

/* For a context that another thread takes over. The copies stay for good: a function's static
 * memory outlives the thread that called it, and who has a pointer into it may use it still. */
void tc_statics_leave(struct tc_context *x);

#endif
