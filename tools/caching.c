#include "tools/caching.h"

void tc_policy_text(const struct tc_finding *f, uint32_t policy, struct tc_text *to)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } members[] = {{TC_POLICY_INPUTS, "INPUTS"},
                   {TC_POLICY_SOURCE, "TASK_SOURCE"},
                   {TC_POLICY_SOURCE_DEEP, "TASK_SOURCE_DEEP"},
                   {TC_POLICY_RUN_ID, "RUN_ID"},
                   {TC_POLICY_FLOW_PARAMETERS, "FLOW_PARAMETERS"}};
    const struct tc_span span = f->task->params;
    const struct tc_param *p = tc_flat_at(f->in, span.off, span.count, sizeof *p);
    const struct tc_span used = f->task->functions;
    const struct tc_task_function *functions =
        tc_flat_at(f->in, used.off, used.count, sizeof *functions);
    if (policy & TC_POLICY_KEY)
        tc_text_add(to, "a key of its own");
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (policy & members[i].bit)
            tc_text_add(to, "%s%s", to->bytes ? " + " : "", members[i].name);
    for (uint32_t i = 0; functions && policy & TC_POLICY_FUNCTION && i < used.count; i++)
        if (functions[i].kind == TC_FUNCTION_KEY)
            tc_text_add(to, "%sKEY(%s.%s)", to->bytes ? " + " : "",
                        tc_flat_str(f->in, functions[i].plugin),
                        tc_flat_str(f->in, functions[i].name));
    for (uint32_t i = 0; p && i < span.count && i < 32; i++)
        if (f->task->excluded >> i & 1)
            tc_text_add(to, " - %s", tc_flat_str(f->in, p[i].name));
}

/* The input that no key of this policy can hold, so that no call has one; NULL: there is none. */
static const struct tc_param *opaque_input(const struct tc_finding *f, uint32_t policy)
{
    const struct tc_span span = f->task->params;
    const struct tc_param *p = tc_flat_at(f->in, span.off, span.count, sizeof *p);
    if (f->task->flags & TC_TASK_FLOW || !(policy & TC_POLICY_INPUTS))
        return NULL;
    for (uint32_t i = 0; p && i < span.count && i < 32; i++)
        if (p[i].shape == TC_SHAPE_OPAQUE && p[i].dir == TC_IN && !(f->task->excluded >> i & 1))
            return &p[i];
    return NULL;
}

enum tc_reason tc_caching_off(const struct tc_finding *f, const struct tc_active *active,
                              const char **ret_parameter)
{
    const struct tc_param *opaque = active->reason ? NULL : opaque_input(f, active->policy);
    *ret_parameter = opaque ? tc_flat_str(f->in, opaque->name) : NULL;
    return opaque ? TC_R_OPAQUE : (enum tc_reason)active->reason;
}
