/*
 * One object's plans: finds the config's tasks in it and writes their plans into a flat file. For
 * plans.c. Fails with -ENOMEM only. Host code; one thread.
 */
#ifndef TC_SERVICE_RESOLVE_PLANS_OBJECT_H
#define TC_SERVICE_RESOLVE_PLANS_OBJECT_H

#include "cache/task.h"
#include "service/resolve/plans.h"

struct tc_source_trees;

/* plans_functions.c: the functions that `refs` and the object's old entry ask for, beside those in
 * `old` (NULL: none) that `keep` lets stand. -ENOMEM. */
int tc_plans_functions(const struct tc_plans_ref *refs, size_t n, const struct tc_plans_ref *object,
                       const struct tc_code_source *old, uint32_t old_count, int keep,
                       struct tc_flat_builder *out, struct tc_span *ret);

struct tc_plan_tasks {
    const struct tc_flat *config;
    const struct tc_task *tasks;
    uint32_t count;
    struct tc_source_trees *trees; /* of the plans that are made; NULL: nobody wants them */
};

int tc_plans_object(const struct tc_plan_tasks *t, const struct tc_plans_ref *ref,
                    struct tc_flat_builder *out, struct tc_object *ret);

#endif
