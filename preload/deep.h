/*
 * The process' half of TASK_SOURCE_DEEP: which objects the imports of a task's closure bind to, and
 * what those are linked with and bind to in turn.
 *
 * The plan holds the digest of what is inside of the task's object, and the list of its imports. An
 * object that an import binds to enters as a whole, by its build-id, with all that its own symbols
 * bind to, until the C library and the compilers' own libraries (cache/deep.h).
 * Under the loader's lock, in the constructor or the notifier.
 */
#ifndef TC_PRELOAD_DEEP_H
#define TC_PRELOAD_DEEP_H

#include "cache/hash.h"
#include "cache/plan.h"

/* In the constructor: what is loaded now is searched first, by every object. */
void tc_deep_begin(void);

/* Objects may have come or gone. What is known of them is kept until then. */
void tc_deep_forget(void);

/* Of the plan, for the object with this load bias, the first `*ret_bytes` bytes of `*ret` count;
 * `stop` is the task's `deep_stop`. -1: it can't be told. */
int tc_deep_digest(const struct tc_plan *plan, const struct tc_flat *plans, uint64_t base,
                   const char *stop, struct tc_deep_content *ret, uint32_t *ret_bytes);

#endif
