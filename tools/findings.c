/* What the plans say of each task, put together for `run` and `doctor`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/object_glob.h"
#include "tools/plans.h"
#include "tools/tasks.h"

static bool object_is_named(const struct tc_flat *config, const struct tc_task *task,
                            const struct tc_flat *plans, const struct tc_object *object,
                            const char *path)
{
    const char *globs = tc_flat_str(config, task->object);
    return tc_object_glob(globs, tc_basename(path)) ||
           tc_object_glob(globs, tc_basename(tc_flat_str(plans, object->path))) ||
           tc_object_glob(globs, tc_flat_str(plans, object->soname));
}

static void add(struct tc_findings *f, const struct tc_finding *finding)
{
    f->finding = tc_grow(f->finding, f->count, &f->allocated, sizeof *f->finding);
    f->finding[f->count++] = *finding;
}

struct collector {
    const struct tc_session *session;
    const struct tc_plan_file *plans;
    struct tc_findings *to;
    /* Where the task wasn't found: the first object that its glob names, and the first one that
     * can't be looked into. A path of NULL: none. */
    struct tc_finding absent, unreadable;
};

/* A plan for "not here" isn't told of each object, only of the task, see nowhere(); but of a
 * program (which has no SONAME) in which something is left of the function. */
static bool is_elsewhere(const struct tc_object *object, const struct tc_plan *plan)
{
    if (plan->reason == TC_R_NOT_FOUND && plan->detail.bytes && !object->soname.bytes)
        return false;
    return plan->reason == TC_R_NOT_FOUND || plan->reason == TC_R_PENDING;
}

/* Plugins name a function in all the ways that are out there; one hook is enough for it. */
static bool is_alias(const struct tc_task *task, const struct tc_plan *plan)
{
    return tc_task_is_offered(task) && plan->reason == TC_R_ALREADY_PATCHED;
}

static void look_into_object(struct collector *c, const struct tc_finding *base,
                             const struct tc_object *object)
{
    const struct tc_flat *flat = &c->plans->flat;
    const struct tc_plan *plan =
        tc_flat_at(flat, object->plans.off, object->plans.count, sizeof *plan);
    if (!c->absent.path &&
        object_is_named(&c->session->config_flat, base->task, flat, object, base->path))
        c->absent = *base;
    if (!c->unreadable.path && object->reason && base->listed) {
        c->unreadable = *base;
        c->unreadable.reason = object->reason;
    }
    for (uint32_t i = 0; plan && i < object->plans.count; i++) {
        if (plan[i].task != base->task_index || is_elsewhere(object, &plan[i]) ||
            is_alias(base->task, &plan[i]))
            continue;
        struct tc_finding found = *base;
        found.state = plan[i].reason ? TC_FINDING_REFUSED : TC_FINDING_HOOKABLE;
        found.plan = &plan[i];
        found.task =
            tc_plan_task(&plan[i], flat, base->task - base->task_index, base->in, &found.in);
        found.reason = plan[i].reason;
        found.detail = tc_flat_str(flat, plan[i].detail);
        add(c->to, &found);
    }
}

/* Nothing was found: its object can't be looked into, or is there and doesn't define it, or may
 * still come. */
static void nowhere(struct collector *c, const struct tc_task *task, uint32_t index)
{
    const char *glob = tc_flat_str(&c->session->config_flat, task->object);
    struct tc_finding f = {.reason = TC_R_NOT_FOUND};
    if (c->unreadable.path && (!*glob || c->absent.path == c->unreadable.path))
        f = c->unreadable;
    else if (c->absent.path && !tc_task_is_offered(task))
        f.path = c->absent.path;
    else
        f.reason = TC_R_PENDING;
    f.state = f.reason == TC_R_PENDING ? TC_FINDING_PENDING : TC_FINDING_REFUSED;
    f.task = task;
    f.in = &c->session->config_flat;
    f.task_index = index;
    add(c->to, &f);
}

static void collect_task(struct collector *c, const struct tc_libraries *l,
                         const struct tc_task *task, uint32_t index)
{
    size_t first = c->to->count;
    bool hookable = false;
    c->absent = c->unreadable = (struct tc_finding){0};
    for (size_t i = 0; c->plans->open && i < l->count; i++) {
        const struct tc_object *object = tc_plans_find(&c->plans->flat, &l->library[i].id);
        struct tc_finding base = {.task = task,
                                  .in = &c->session->config_flat,
                                  .task_index = index,
                                  .path = l->library[i].path,
                                  .listed = l->library[i].origin == TC_LIBRARY_LISTED};
        if (object)
            look_into_object(c, &base, object);
    }
    if (c->to->count == first)
        nowhere(c, task, index);
    for (size_t i = first; i < c->to->count; i++)
        hookable |= c->to->finding[i].state == TC_FINDING_HOOKABLE;
    for (size_t i = first; i < c->to->count; i++) {
        struct tc_finding *f = &c->to->finding[i];
        f->grave = f->state == TC_FINDING_REFUSED && (f->listed || !hookable);
    }
}

void tc_findings_collect(const struct tc_session *s, const struct tc_plan_file *plans,
                         const struct tc_libraries *l, struct tc_findings *ret)
{
    uint32_t count;
    const struct tc_task *tasks = tc_session_tasks(s, &count);
    struct collector c = {.session = s, .plans = plans, .to = ret};
    for (uint32_t i = 0; tasks && i < count; i++)
        if (!(tasks[i].flags & (TC_TASK_DISABLED | TC_TASK_THREADS)))
            collect_task(&c, l, &tasks[i], i);
}

void tc_findings_free(struct tc_findings *f)
{
    free(f->finding);
    *f = (struct tc_findings){0};
}

char *tc_finding_subject(const struct tc_session *s, const struct tc_plan_file *plans,
                         const struct tc_finding *f)
{
    const char *identity = f->plan ? tc_flat_str(&plans->flat, f->plan->identity) : "";
    return *identity ? tc_copy(identity) : tc_task_label(&s->config_flat, f->task);
}

void tc_finding_cause(const struct tc_session *s, const struct tc_plan_file *plans,
                      const struct tc_finding *f, struct tc_cause *ret)
{
    TC_CLEANUP(tc_free_text) char *subject = tc_finding_subject(s, plans, f);
    bool detailed = f->detail && *f->detail;
    (void)tc_cause_set(ret, 0, f->reason, subject, "%s%s%s%s", tc_reason_info(f->reason)->sentence,
                       detailed ? " (" : "", detailed ? f->detail : "", detailed ? ")" : "");
    if (f->plan && f->plan->remedy.off)
        (void)snprintf(ret->remedy, sizeof ret->remedy, "%s",
                       tc_flat_str(&plans->flat, f->plan->remedy));
    if (f->reason == TC_R_NOT_FOUND && f->path && !detailed)
        (void)snprintf(ret->sentence, sizeof ret->sentence, "%s doesn't define this function",
                       tc_basename(f->path));
}
