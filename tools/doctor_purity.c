#include "tools/doctor_purity.h"

#include "tools/output.h"

enum {
    MAX_TOLD = 3, /* of one kind in one object: more is noise */
};

static void text_advice(enum tc_reason reason, const char *what, const char *path,
                        const char *object)
{
    const struct tc_reason_info *info = tc_reason_info(reason);
    printf("    %sadvice%s     %s: %s, in %s%s%s: %s\n", tc_style(stdout, TC_WARN),
           tc_style(stdout, TC_PLAIN), info->id, what, path, object ? " of " : "",
           object ? tc_basename(object) : "", info->sentence);
}

static void text_far(const struct tc_far_effect *e)
{
    struct tc_text what = {0};
    for (size_t i = 0; i < e->what.count && i < MAX_TOLD; i++)
        tc_text_add(&what, "%s%s", i ? ", " : "", e->what.word[i]);
    if (e->what.count > MAX_TOLD)
        tc_text_add(&what, " and %zu more", e->what.count - MAX_TOLD);
    text_advice(e->reason, what.data, e->path, e->object);
    tc_text_free(&what);
}

void tc_purity_text(const struct tc_flat *plans, const struct tc_finding *f, struct tc_far *far)
{
    const struct tc_plan *plan = f->plan;
    const struct tc_purity *p = tc_flat_at(plans, plan->purity.off, plan->purity.count, sizeof *p);
    struct tc_far_report r;
    for (uint32_t i = 0; p && i < plan->purity.count; i++)
        text_advice(p[i].reason, tc_flat_str(plans, p[i].what), tc_flat_str(plans, p[i].path),
                    NULL);
    tc_far_look(far, f, &r);
    for (size_t i = 0; i < r.effect_count; i++)
        text_far(&r.effects[i]);
    if (plan->indirect_calls)
        printf("    unseen     %u indirect %s: what they do isn't known\n", plan->indirect_calls,
               plan->indirect_calls == 1 ? "call" : "calls");
    for (size_t i = 0; i < r.unseen_count; i++)
        printf("    unseen     %s%s%s\n", r.unseen[i].object ? tc_basename(r.unseen[i].object) : "",
               r.unseen[i].object ? ": " : "", r.unseen[i].why);
    tc_far_report_free(&r);
}

static void json_advice(struct tc_json *j, enum tc_reason reason, const char *what,
                        const char *path, const char *object)
{
    tc_json_object(j, NULL);
    tc_json_text(j, "reason", tc_reason_info(reason)->id);
    tc_json_text(j, "what", what);
    tc_json_text(j, "path", path);
    tc_json_text(j, "object", object);
    tc_json_close_object(j);
}

void tc_purity_json(struct tc_json *j, const struct tc_flat *plans, const struct tc_finding *f,
                    struct tc_far *far)
{
    const struct tc_plan *plan = f->plan;
    const struct tc_purity *p =
        plan ? tc_flat_at(plans, plan->purity.off, plan->purity.count, sizeof *p) : NULL;
    struct tc_far_report r;
    tc_far_look(far, f, &r);
    tc_json_array(j, "advice");
    for (uint32_t i = 0; p && i < plan->purity.count; i++)
        json_advice(j, p[i].reason, tc_flat_str(plans, p[i].what), tc_flat_str(plans, p[i].path),
                    NULL);
    for (size_t i = 0; i < r.effect_count; i++)
        for (size_t k = 0; k < r.effects[i].what.count; k++)
            json_advice(j, r.effects[i].reason, r.effects[i].what.word[k], r.effects[i].path,
                        r.effects[i].object);
    tc_json_close_array(j);
    tc_json_u64(j, "indirect_calls", plan ? plan->indirect_calls : 0);
    tc_json_array(j, "not_covered");
    for (size_t i = 0; i < r.unseen_count; i++) {
        tc_json_object(j, NULL);
        tc_json_text(j, "object", r.unseen[i].object);
        tc_json_text(j, "why", r.unseen[i].why);
        tc_json_close_object(j);
    }
    tc_json_close_array(j);
    tc_far_report_free(&r);
}
