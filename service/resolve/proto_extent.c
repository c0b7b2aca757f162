/* The programs of a task: which expressions there are, and when each is evaluated. */
#include <string.h>

#include "service/resolve/proto_ast.h"

/* An extent without variables has a value already: say now that it can't be one. */
static void check_constant(struct proto *p, const struct proto_expr *e, uint32_t program)
{
    struct tc_expr_env env = {.code = p->code, .code_count = p->code_count};
    int64_t value;
    int r;

    for (uint32_t i = program; i < p->code_count; i++)
        if (p->code[i].op == TC_OP_ARG || p->code[i].op == TC_OP_OLD ||
            p->code[i].op == TC_OP_RETURN || p->code[i].op == TC_OP_LOAD)
            return;
    r = tc_expr_eval(&env, program, &value);
    if (r != 0 || value < 0)
        proto_fail(p, TC_R_BAD_EXPRESSION, e->first, "",
                   r != 0 ? "this extent of '%.60s' overflows or divides by zero"
                          : "this extent of '%.60s' is negative",
                   p->fn->name);
}

static uint32_t extent(struct proto *p, const struct proto_expr *e, enum proto_when when)
{
    uint32_t program;

    if (e == NULL)
        return TC_NO_EXPR;
    /* An input's extent is looked at again after the call, when its outputs are kept and its
     * inputs compared: it is what it was before, also where the call changes what it reads. */
    if (when == WHEN_BEFORE && proto_reads_after(p, e))
        when = WHEN_SAVED;
    program = proto_program(p, e, when, true);
    check_constant(p, e, program);
    return program;
}

/* What the call had room for: the value before it, where the extent is a pointer's. */
static const char *capacity_hint(struct proto *p, const struct proto_param *x)
{
    const struct proto_expr *e = x->length;

    for (uint32_t i = 0; e->kind == E_DEREF && i < p->fn->param_count; i++) {
        const struct proto_param *y = &p->fn->params[i];

        if (e->a->kind == E_NAME && y->direction == TC_INOUT && strcmp(y->name, e->a->name) == 0)
            return proto_format(p, "old(*%s)", y->name);
    }
    return proto_count_hint(p, x);
}

_Noreturn static void capacity_missing(struct proto *p, const struct proto_param *x)
{
    struct proto_buffer text = {0};

    proto_put(p, &text, "out ");
    proto_put(p, &text, proto_type_text(p, x->elem, x->name, false));
    if (x->pieces != NULL) {
        proto_put(p, &text, "[");
        proto_print_expr(p, &text, x->pieces);
        proto_put(p, &text, "]");
    }
    proto_put(p, &text, "[");
    proto_print_expr(p, &text, x->length);
    proto_put(p, &text, " <= ");
    proto_put(p, &text, capacity_hint(p, x));
    proto_put(p, &text, "]");
    proto_fail(p, TC_R_CAPACITY_MISSING, x->length->first, text.data,
               "the extent of '%.50s' of '%.50s' is known only after the call and needs a capacity",
               x->name, p->fn->name);
}

static void check_only(struct proto *p, const struct proto_expr *e)
{
    if (e != NULL)
        (void)proto_program(p, e, WHEN_AFTER, true);
}

/* Extents of a parameter that nobody follows: mistakes are said, programs thrown away. */
static void check_unused(struct proto *p, const struct proto_param *x)
{
    uint32_t code_count = p->code_count, old_count = p->old_count;

    for (const struct proto_type *t = x->type; t->kind == K_ARRAY; t = t->to) {
        check_only(p, t->dim.count);
        check_only(p, t->dim.capacity);
        check_only(p, t->dim.stride);
    }
    p->code_count = code_count;
    p->old_count = old_count;
}

/* A block's length is looked at when there is one, and is nobody's capacity: a replay makes it as
 * long as it was. */
static void owned_programs(struct proto *p, struct proto_param *x)
{
    x->after = true;
    x->code_pieces = x->code_stride = x->code_capacity = TC_NO_EXPR;
    x->code_length = extent(p, x->length, WHEN_AFTER);
}

static void param_programs(struct proto *p, struct proto_param *x)
{
    enum proto_when when;

    if (proto_is_owned(x)) {
        owned_programs(p, x);
        return;
    }

    if (x->shape == TC_SHAPE_CODEC) {
        x->code_pieces = x->code_length = x->code_stride = x->code_capacity = TC_NO_EXPR;
        return;
    }
    if (x->shape == TC_SHAPE_OPAQUE)
        check_unused(p, x);
    x->after = x->direction == TC_OUT &&
               (proto_reads_after(p, x->pieces) || proto_reads_after(p, x->length) ||
                proto_reads_after(p, x->stride));
    when = x->after ? WHEN_AFTER : WHEN_BEFORE;
    x->code_pieces = extent(p, x->pieces, when);
    x->code_length = extent(p, x->length, when);
    x->code_stride = extent(p, x->stride, when);
    x->code_capacity = extent(p, x->capacity, WHEN_CAPACITY);
    if (!x->after || x->capacity != NULL)
        return;
    if (x->stride != NULL)
        proto_fail(p, TC_R_BAD_PROTOTYPE, x->stride->first, "",
                   "'%.50s' of '%.50s': an extent that is known only after the call lies together: "
                   "it has no stride",
                   x->name, p->fn->name);
    capacity_missing(p, x);
}

/* Behind the pointers that parameters lead to. */
static void pointee_programs(struct proto *p)
{
    for (uint32_t i = 0; i < p->member_count; i++)
        if (p->members[i].owner == TC_OWNER_CALL && p->follows[i].extent != NULL)
            p->members[i].length = extent(p, p->follows[i].extent, WHEN_BEFORE);
}

void proto_compile_all(struct proto *p, const struct proto_expr *skip,
                       const struct proto_expr *success)
{
    for (uint32_t i = 0; i < p->fn->param_count; i++)
        param_programs(p, &p->fn->params[i]);
    if (p->fn->owned.shape != 0)
        param_programs(p, &p->fn->owned);
    pointee_programs(p);
    p->skip = skip == NULL ? TC_NO_EXPR : proto_program(p, skip, WHEN_SKIP, false);
    p->success = success == NULL ? TC_NO_EXPR : proto_program(p, success, WHEN_AFTER, false);
}
