/* Memory that changes hands: blocks that the caller frees, and static results. */
#include <string.h>

#include "service/resolve/proto_ast.h"

static bool is_text(const struct proto_type *t)
{
    return t->kind == K_SCALAR && t->is_char;
}

/* "parameter 'buf' of 'compress'", "the result of 'lookup'" */
static const char *whose(struct proto *p, const struct proto_param *x)
{
    if (x == &p->fn->owned)
        return proto_format(p, "the result of '%.60s'", p->fn->name);
    return proto_format(p, "parameter '%.50s' of '%.50s'", x->name, p->fn->name);
}

/* The line to write, with an extent. */
static const char *remedy(struct proto *p, const struct proto_param *x)
{
    const struct proto_function *f = p->fn;

    if (x == &f->owned)
        return proto_format(p, "%s(%s) %s", f->result_malloc ? "malloc" : "static",
                            proto_count_hint(p, x), proto_type_text(p, f->result, f->name, false));
    return proto_format(p, "out malloc %s[%s]",
                        proto_type_text(p, proto_pointer_to(p, x->elem), x->name, false),
                        proto_count_hint(p, x));
}

_Noreturn static void refuse(struct proto *p, const struct proto_param *x, enum tc_reason reason,
                             const char *what)
{
    proto_fail(p, reason, x->type_at, reason == TC_R_BAD_PROTOTYPE ? "" : NULL, "%s %s",
               whose(p, x), what);
}

static void check_element(struct proto *p, struct proto_param *x)
{
    const struct proto_type *t = x->elem;

    switch (t->kind) {
    case K_VECTOR:
        refuse(p, x, TC_R_VECTOR_TYPE, "points at vectors");
    case K_UNBUILT:
        refuse(p, x, TC_R_UNSUPPORTED_TYPE,
               proto_format(p, "has elements of type %s, which can't be read", t->spelled));
    case K_POINTER:
        refuse(p, x, TC_R_OWNERSHIP_MISSING,
               "is a block of pointers, and nothing says whether what they point at lies in the "
               "block, is freed one by one, or is somebody else's");
    case K_FUNCTION:
    case K_ARRAY:
        refuse(p, x, TC_R_BAD_PROTOTYPE, "is no block of elements");
    case K_FILE:
    case K_VA_LIST:
        refuse(p, x, TC_R_OWNERSHIP_MISSING,
               "points at something whose inside nobody knows, which can't be made anew");
    case K_RECORD:
    case K_WIDE:
        if (t->kind == K_RECORD && !proto_complete(p, t->record))
            proto_fail(p, TC_R_UNKNOWN_TYPE, x->type_at, NULL,
                       "%s points at '%.40s', whose members aren't declared", whose(p, x),
                       t->spelled != NULL ? t->spelled : "a struct");
        x->layout = proto_layout_of(p, t, x->type_at);
        if (p->layouts[x->layout - 1].has_pointers || p->layouts[x->layout - 1].follows)
            refuse(
                p, x, TC_R_OWNERSHIP_MISSING,
                "holds structs with pointers inside, and nothing says who owns what they point at");
        return;
    default:
        return;
    }
}

/* Without an extent: a string, or one struct, as with any other pointer. One number is more often
 * a forgotten extent. */
static void owned_shape(struct proto *p, struct proto_param *x)
{
    const struct proto_type *t = x->elem;
    bool one = t->kind == K_RECORD || t->kind == K_WIDE;

    x->direction = TC_OUT;
    check_element(p, x);
    x->shape = TC_SHAPE_BLOCK;
    if (x->length != NULL || one)
        return;
    if (!is_text(t))
        proto_fail(p, TC_R_EXTENT_MISSING, x->at, remedy(p, x), "%s has no extent", whose(p, x));
    x->shape = TC_SHAPE_TEXT;
}

/* The brackets of `T *p[EXTENT]`; `T **p` has none. */
static void block_extent(struct proto *p, struct proto_param *x)
{
    for (struct proto_type *t = x->type; t->kind == K_ARRAY; t = t->to) {
        const struct proto_dim *d = &t->dim;

        if (d->count == NULL)
            proto_fail(p, TC_R_BAD_PROTOTYPE, d->at, remedy(p, x), "%s has an empty extent",
                       whose(p, x));
        if (d->capacity != NULL || d->stride != NULL)
            proto_fail(p, TC_R_BAD_PROTOTYPE,
                       d->capacity != NULL ? d->capacity->first : d->stride->first, "",
                       "%s is a block of its own: it needs no capacity and has no stride",
                       whose(p, x));
        x->length = x->length == NULL ? d->count : proto_product(p, x->length, d->count);
    }
}

void proto_check_block(struct proto *p, struct proto_param *x)
{
    struct proto_type *pointer = x->elem;

    if (x->file || pointer->kind != K_POINTER)
        proto_fail(p, TC_R_BAD_PROTOTYPE, x->qualifier_at, "out malloc T *p[EXTENT]",
                   "%s is no pointer to a pointer that would receive a block", whose(p, x));
    x->elem = pointer->to;
    if (x->dir != TC_OUT)
        proto_fail(p, TC_R_BAD_PROTOTYPE, x->qualifier_at, remedy(p, x),
                   "%s: a block is given away by an `out malloc` parameter", whose(p, x));
    if (pointer->is_const)
        proto_fail(p, TC_R_BAD_PROTOTYPE, x->at, "",
                   "%s points at const: nothing can be written there", whose(p, x));
    block_extent(p, x);
    owned_shape(p, x);
}

bool proto_check_owned_result(struct proto *p)
{
    struct proto_function *f = p->fn;
    struct proto_param *x = &f->owned;

    if (!f->result_malloc && !f->result_static)
        return false;
    if (f->result->kind != K_POINTER)
        proto_fail(p, TC_R_BAD_PROTOTYPE, f->result_qualifier_at, "",
                   "'%.60s' returns no pointer: `malloc` and `static` say who owns what a pointer "
                   "points at",
                   f->name);
    x->name = "return";
    x->at = x->type_at = f->result_at;
    x->type = x->value = f->result;
    x->is_pointer = true;
    x->elem = f->result->to;
    x->length = f->result_extent;
    owned_shape(p, x);
    f->result_kind = f->result_malloc ? TC_RESULT_MALLOC : TC_RESULT_STATIC;
    return true;
}
