/* Globals that a call reads or writes: parameters behind the function's own, whose address the
 * object gives. */
#include <string.h>

#include "service/resolve/proto_ast.h"

static void check_qualifiers(struct proto *p, const struct proto_param *x)
{
    if (x->dir != TC_IN && x->dir != TC_OUT && x->dir != TC_INOUT && !x->file)
        proto_fail(p, TC_R_BAD_PROTOTYPE, x->at, "in, out or inout",
                   "a global that counts is read or written: '%.60s' has no direction", x->name);
    if (x->is_malloc || x->codec != NULL)
        proto_fail(p, TC_R_BAD_PROTOTYPE, x->qualifier_at, "",
                   "'%.60s' is a global: `malloc` and `codec` say what a caller is given", x->name);
}

static struct proto_type *one_of(struct proto *p, struct proto_type *t, proto_at at)
{
    struct proto_type *array = proto_new(p, sizeof *array);
    struct proto_expr *one = proto_new(p, sizeof *one);

    one->kind = E_INT;
    one->at = one->first = at;
    one->height = one->value = 1;
    array->kind = K_ARRAY;
    array->to = t;
    array->height = t->height + 1;
    array->dim.at = at;
    array->dim.count = one;
    return array;
}

/* An array is in the global, what a pointer leads to is elsewhere. */
static void place(struct proto *p, struct proto_param *x, uint32_t index)
{
    x->is_global = true;
    x->loc_index = (uint16_t)index;
    x->loc = x->type->kind == K_POINTER ? TC_LOC_GLOBAL_POINTER : TC_LOC_GLOBAL;
    if (x->type->kind == K_POINTER && x->type->to->kind == K_ARRAY) {
        x->type = x->type->to;
    } else if (x->loc == TC_LOC_GLOBAL && x->type->kind != K_ARRAY) {
        if (x->type->kind == K_VOID)
            proto_fail(p, TC_R_EXTENT_MISSING, x->type_at, "void [BYTES]",
                       "nothing says how many bytes '%.60s' has", x->name);
        x->is_object = true;
        x->type = one_of(p, x->type, x->type_at);
    }
}

void proto_parse_globals(struct proto *p)
{
    const struct tc_proto_text *text = p->text;
    struct proto_function *f = p->fn;
    struct proto_param *all;

    if (text->global_count == 0)
        return;
    if (text->global_count > TC_MAX_PARAMS - f->param_count)
        proto_fail(p, TC_R_TOO_MANY, f->at, "",
                   "'%.60s' has more than %u parameters and globals together", f->name,
                   TC_MAX_PARAMS);
    all = proto_new(p, TC_MAX_PARAMS * sizeof *all);
    if (f->param_count != 0)
        memcpy(all, f->params, f->param_count * sizeof *all);
    f->params = all;
    for (uint32_t i = 0; i < text->global_count; i++) {
        struct proto_param *x = &f->params[f->param_count];

        p->tok =
            proto_lex(p, (enum tc_proto_field)(TC_PROTO_GLOBAL + i),
                      text->globals[i].path != NULL ? "file const char *" : text->globals[i].text);
        x->name = proto_copy(p, text->globals[i].name, strlen(text->globals[i].name));
        proto_unnamed_parameter(p, x);
        if (!proto_is(p, TOK_END))
            proto_unexpected(p, "the end of the text");
        check_qualifiers(p, x);
        place(p, x, i);
        x->path = text->globals[i].path;
        x->is_depend = x->path != NULL || text->globals[i].is_depend;
        if (x->path != NULL)
            x->loc = TC_LOC_PATH;
        f->param_count++;
    }
}
