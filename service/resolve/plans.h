/*
 * Plans for a target's objects: what became of each task in each of them, as a flat file
 * (cache/plan.h) that replaces the old one.
 *
 * Runs in a child process of the service: opens and maps the objects, allocates freely. What is
 * wrong with an object or a task is a reason in the plans, never an error.
 */
#ifndef TC_SERVICE_RESOLVE_PLANS_H
#define TC_SERVICE_RESOLVE_PLANS_H

#include <stddef.h>

#include "cache/flat_build.h"
#include "cache/plan.h"

struct tc_plans_ref {
    const char *path;
    struct tc_file_id id; /* as the target sees the file; another one under the path isn't it */
    uint64_t function; /* whose source is wanted, of an object whose plans may be there; 0: none */
    uint32_t refuse;   /* enum tc_reason: enter the object with this reason without opening it */
};

/* `out` gets the objects of `refs`, and those of `old` (NULL: none) that still count: of the same
 * tasks, not asked for anew, and not an older file under the path of one that is. `out` is
 * finished; the caller frees it, also after an error: -EBADMSG (a damaged config), -ENOMEM. */
int tc_plans_update(const struct tc_flat *config, const struct tc_flat *old,
                    const struct tc_plans_ref *refs, size_t n, struct tc_flat_builder *out);

#endif
