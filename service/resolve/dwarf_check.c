/* What the compiled function does, beside what the debug information says of the source. */
#include "service/resolve/dwarf_check.h"

static int is_sse(uint8_t type)
{
    return type == TC_F32 || type == TC_F64;
}

static int names_result(const struct tc_insn *code, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (code[i].op == TC_OP_RETURN)
            return 1;
    return 0;
}

/* A result that the compiler may have removed can be kept, as nobody reads what isn't there; a rule
 * that judges it would judge whatever the register holds. */
static void check_result(const struct tc_dwarf_question *q, struct tc_dwarf_function *f,
                         const struct tc_task *task, const struct tc_insn *code,
                         struct tc_dwarf_answer *a)
{
    int needed = (task->result_kind != TC_RESULT_VOID && task->result_type == TC_PTR) ||
                 (code != NULL && names_result(code, task->code.count));

    if (task->result_kind == TC_RESULT_VOID || !needed)
        return;
    if (!f->has_result)
        tc_dwarf_refuse(a, TC_R_PROTOTYPE_ABI_MISMATCH, "the source declares no result");
    else if (!tc_dwarf_returns(q->im, q->function, f, is_sse(task->result_type)))
        tc_dwarf_refuse(a, TC_R_RETURN_DROPPED, "no caller reads it");
}

static void check_local(const struct tc_dwarf_question *q, struct tc_dwarf_function *f,
                        const struct tc_task *task, const struct tc_param *params,
                        const struct tc_insn *code, struct tc_dwarf_answer *a)
{
    if (q->function->exported || a->reason != 0 || (params == NULL && task->params.count > 0))
        return;
    a->reason = tc_dwarf_check_places(q->im, q->function, f, params,
                                      tc_own_params(params, task->params.count), a->detail);
    if (a->reason == 0)
        check_result(q, f, task, code, a);
}

void tc_dwarf_check_written(const struct tc_dwarf_question *q, struct tc_dwarf_answer *ret)
{
    const struct tc_task *t = q->task;
    struct tc_dwarf_function f;

    *ret = (struct tc_dwarf_answer){0};
    if (!tc_dwarf_function_at(q->dwarf, q->function->vaddr, q->symbol, &f) || f.meagre)
        return;
    ret->known = 1;
    ret->reason = tc_dwarf_convention(&f, ret->detail);
    check_local(q, &f, t,
                tc_flat_at(q->config, t->params.off, t->params.count, sizeof(struct tc_param)),
                tc_flat_at(q->config, t->code.off, t->code.count, sizeof(struct tc_insn)), ret);
}

/* Debug information doesn't always tell whether a struct is aligned by 16, and values on the stack
 * go by it. 1: one of this layout is so. */
static int is_unsure(const struct tc_dwarf_types *types, const struct tc_layout *layout)
{
    for (uint32_t i = 0; i < types->told_count; i++)
        if (types->told[i].size.unsure && types->told[i].size.bytes == layout->bytes)
            return 1;
    return 0;
}

/* From the first such value on, the places where the function takes what is on the stack prove it.
 */
static void check_stack(const struct tc_dwarf_question *q, struct tc_dwarf_function *f,
                        const struct tc_dwarf_types *types, struct tc_flat_builder *out,
                        struct tc_dwarf_answer *a)
{
    const struct tc_param *params = tc_flat_builder_at(out, a->own.params.off);
    const struct tc_layout *layouts = tc_flat_builder_at(out, a->own.layouts.off);
    uint32_t i = 0, count = tc_own_params(params, a->own.params.count);

    while (i < count &&
           (params[i].loc != TC_LOC_STACK || params[i].shape != TC_SHAPE_MEMBERS ||
            params[i].layout == 0 || !is_unsure(types, &layouts[params[i].layout - 1])))
        i++;
    if (i < count && q->function->exported &&
        tc_dwarf_check_stack(q->im, q->function, f, params, count, i, a->detail) != 0)
        tc_dwarf_refuse(a, TC_R_PLACE_UNCERTAIN,
                        "the debug information doesn't tell where structs are passed: declare them "
                        "under `types:`");
}

void tc_dwarf_check_made(const struct tc_dwarf_question *q, struct tc_dwarf_function *f,
                         const struct tc_dwarf_types *types, struct tc_flat_builder *out,
                         struct tc_dwarf_answer *a)
{
    check_local(q, f, &a->own, tc_flat_builder_at(out, a->own.params.off),
                tc_flat_builder_at(out, a->own.code.off), a);
    if (a->reason == 0)
        check_stack(q, f, types, out, a);
}
