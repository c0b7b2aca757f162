/*
 * What the two halves of plans_object.c share: finding an object's tasks, and writing their plans.
 */
#ifndef TC_SERVICE_RESOLVE_PLANS_PARTS_H
#define TC_SERVICE_RESOLVE_PLANS_PARTS_H

#include "service/resolve/cxx_find.h"
#include "service/resolve/dwarf_proto.h"
#include "service/resolve/globals.h"
#include "service/resolve/plans_object.h"
#include "service/resolve/window.h"

/* What a task in C++'s notation means in an object. */
struct tc_cxx_task {
    int is_cxx; /* else the rest is empty */
    struct tc_cxx_name name;
    struct tc_cxx_found found;
};

/* An object at work. */
struct tc_plan_object {
    const struct tc_plan_tasks *t;
    const struct tc_plans_ref *ref;
    struct tc_image im;                /* `elf` NULL: couldn't be opened */
    uint32_t reason;                   /* enum tc_reason: nothing here is hooked */
    const char *soname;                /* NULL: none */
    struct tc_candidate *candidates;   /* one a task; `wanted` says which count */
    struct tc_dwarf_answer *answers;   /* likewise */
    struct tc_cxx_task *cxx;           /* likewise */
    struct tc_found_globals **globals; /* likewise; NULL: it has none */
    struct tc_dwarf dwarf;
    int has_dwarf, asked_dwarf;
    int no_memory;
    unsigned char *wanted;
    uint32_t wanted_count;
};

static inline const char *tc_plan_text(const struct tc_plan_object *o, struct tc_str s)
{
    return tc_flat_str(o->t->config, s);
}

/* Opens `im`, or says in `reason` why not. -ENOMEM. */
int tc_plans_open_image(struct tc_plan_object *o);

/* plans_write.c: the object's plans, and the object itself. -ENOMEM. */
int tc_plans_write(const struct tc_plan_object *o, struct tc_flat_builder *out,
                   struct tc_object *ret);
void tc_plans_describe(const struct tc_plan_object *o, struct tc_flat_builder *out,
                       struct tc_object *ret);

#endif
