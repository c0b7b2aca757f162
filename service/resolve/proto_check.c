/* A prototype as a whole: names, shapes, the result. */
#include <string.h>

#include "service/resolve/proto_ast.h"

static bool is_float(uint8_t scalar)
{
    return scalar == TC_F32 || scalar == TC_F64;
}

static void check_names(struct proto *p)
{
    const struct proto_function *f = p->fn;

    for (uint32_t i = 0; i < f->param_count; i++)
        for (uint32_t j = 0; f->params[i].name != NULL && j < i; j++)
            if (f->params[j].name != NULL && strcmp(f->params[i].name, f->params[j].name) == 0)
                proto_fail(p, TC_R_BAD_PROTOTYPE, f->params[i].at, "",
                           "'%.60s' has two parameters '%.60s'", f->name, f->params[i].name);
}

/* May a pointer to `r` point into elements `t`? void and char are raw memory on either side. */
static bool compatible(const struct proto_type *r, const struct proto_type *t)
{
    if (r->kind == K_VOID || t->kind == K_VOID || r->kind == K_RECORD || r->kind == K_WIDE)
        return true;
    if (r->kind != K_SCALAR)
        return false;
    return tc_scalar_bytes(r->scalar) == 1 || tc_scalar_bytes(t->scalar) == 1 ||
           (tc_scalar_bytes(r->scalar) == tc_scalar_bytes(t->scalar) &&
            is_float(r->scalar) == is_float(t->scalar));
}

static bool points_into_argument(const struct proto *p)
{
    const struct proto_function *f = p->fn;

    for (uint32_t i = 0; i < f->param_count; i++) {
        const struct proto_param *x = &f->params[i];

        if (x->shape == TC_SHAPE_ARRAY && (x->direction == TC_OUT || x->direction == TC_INOUT) &&
            compatible(f->result->to, x->elem))
            return true;
    }
    return false;
}

static void pointer_result(struct proto *p)
{
    struct proto_function *f = p->fn;

    if (points_into_argument(p)) {
        f->result_kind = TC_RESULT_INTO_ARG;
        return;
    }
    /* `static const char *name(int)`: as people write it, and what else could it be? */
    f->result_static = f->result_static_word;
    if (proto_check_owned_result(p))
        return;
    proto_fail(p, TC_R_OWNERSHIP_MISSING, f->result_at, NULL,
               "'%.60s' returns a pointer, and nothing says who owns what it points at", f->name);
}

static void members_result(struct proto *p)
{
    struct proto_function *f = p->fn;

    f->result_kind = TC_RESULT_VALUE;
    f->result_layout = proto_layout_of(p, f->result, f->result_at);
    if (p->layouts[f->result_layout - 1].has_pointers || p->layouts[f->result_layout - 1].follows)
        proto_fail(p, TC_R_OWNERSHIP_MISSING, f->result_at, "",
                   "'%.60s' returns a struct with a pointer inside, and nothing says who owns what "
                   "it points at",
                   f->name);
}

static void check_result(struct proto *p)
{
    struct proto_function *f = p->fn;
    const struct proto_type *t = f->result;

    if (proto_check_codec_result(p) || proto_check_owned_result(p))
        return;
    switch (t->kind) {
    case K_VOID:
        f->result_kind = TC_RESULT_VOID;
        return;
    case K_SCALAR:
        f->result_kind = TC_RESULT_VALUE;
        return;
    case K_POINTER:
        pointer_result(p);
        return;
    case K_VECTOR:
        proto_fail(p, TC_R_VECTOR_TYPE, f->result_at, NULL, "'%.60s' returns a vector", f->name);
    case K_UNBUILT:
        proto_fail(p, TC_R_UNSUPPORTED_TYPE, f->result_at, NULL,
                   "'%.60s' returns a value of type %s, which can't be passed", f->name,
                   t->spelled);
    case K_WIDE:
    case K_RECORD:
        members_result(p);
        return;
    default:
        proto_fail(p, TC_R_BAD_PROTOTYPE, f->result_at, "",
                   "no C function returns what '%.60s' is declared to return", f->name);
    }
}

static void note_float(struct proto *p, const struct proto_type *t)
{
    p->floats = p->floats || (t != NULL && t->kind == K_SCALAR && is_float(t->scalar));
}

static void note_members(struct proto *p)
{
    for (uint32_t i = 0; i < p->member_count; i++)
        p->floats = p->floats || is_float(p->members[i].type) || p->members[i].type == TC_F80 ||
                    is_float(p->members[i].elem);
}

void proto_check(struct proto *p)
{
    struct proto_function *f = p->fn;

    check_names(p);
    for (uint32_t i = 0; i < f->param_count; i++) {
        proto_check_shape(p, &f->params[i]);
        note_float(p, f->params[i].value);
        note_float(p, f->params[i].elem);
    }
    note_float(p, f->result);
    check_result(p);
    note_float(p, f->owned.elem);
    note_members(p);
    proto_assign_places(p);
}
