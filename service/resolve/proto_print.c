/*
 * Texts out of the tree: types as a person writes them, and the canonical prototype. The canonical
 * text has one spelling for each meaning: base types in C's own words, directions that say
 * something, extents with fixed spacing; it parses again to itself.
 */
#include <string.h>

#include "service/resolve/proto_ast.h"

struct printer {
    struct proto *p;
    struct proto_buffer *b;
    bool canonical; /* typedefs resolved, and no `const`: a parameter's direction says it */
    bool extents;   /* of what pointers in memory lead to */
};

static void put(const struct printer *w, const char *s)
{
    proto_put(w->p, w->b, s);
}

static char last_char(const struct proto_buffer *b)
{
    return b->bytes == 0 ? '\0' : b->data[b->bytes - 1];
}

static void space(const struct printer *w)
{
    char c = last_char(w->b);

    if (c != '\0' && c != '*' && c != '(' && c != ' ')
        put(w, " ");
}

/* ---- types ---- */

static const char *record_name(const struct printer *w, const struct proto_type *t)
{
    const char *tag = t->record->tag != NULL ? t->record->tag : "{...}";

    if (!t->record->tagged && t->record->tag != NULL)
        return tag;
    return proto_format(w->p, "%s %s", t->record->is_union ? "union" : "struct", tag);
}

static const char *base_name(const struct printer *w, const struct proto_type *t)
{
    if (!w->canonical && t->spelled != NULL)
        return t->spelled;
    return t->kind == K_RECORD ? record_name(w, t) : t->plain;
}

/* Does the printer stop here, at a name? */
static bool is_named(const struct printer *w, const struct proto_type *t)
{
    return t->kind < K_POINTER || (!w->canonical && t->spelled != NULL);
}

static bool needs_parentheses(const struct printer *w, const struct proto_type *t)
{
    return t->kind == K_POINTER && !is_named(w, t->to) && t->to->kind != K_POINTER;
}

static void put_before(const struct printer *w, const struct proto_type *t)
{
    if (is_named(w, t)) {
        if (t->is_const && !w->canonical)
            put(w, "const ");
        put(w, base_name(w, t));
        return;
    }
    put_before(w, t->to);
    if (t->kind != K_POINTER)
        return;
    space(w);
    put(w, needs_parentheses(w, t) ? "(*" : "*");
    if (t->is_const && !w->canonical)
        put(w, "const ");
}

static void put_type(const struct printer *w, const struct proto_type *t, const char *name);

static void put_extent(const struct printer *w, const struct proto_expr *e);

static void put_after(const struct printer *w, const struct proto_type *t)
{
    if (is_named(w, t))
        return;
    if (needs_parentheses(w, t))
        put(w, ")");
    if (t->kind == K_ARRAY) {
        put(w, "[");
        if (w->extents && t->dim.count != NULL)
            put_extent(w, t->dim.count);
        put(w, "]");
    }
    if (t->kind == K_FUNCTION) {
        put(w, t->param_count == 0 && !t->variadic ? "(void" : "(");
        for (uint32_t i = 0; i < t->param_count; i++) {
            put(w, i > 0 ? ", " : "");
            put_type(w, t->params[i].type, "");
        }
        put(w, !t->variadic ? ")" : t->param_count > 0 ? ", ...)" : "...)");
    }
    put_after(w, t->to);
}

static void put_type(const struct printer *w, const struct proto_type *t, const char *name)
{
    put_before(w, t);
    if (name[0] != '\0') {
        space(w);
        put(w, name);
    }
    put_after(w, t);
}

const char *proto_type_text(struct proto *p, const struct proto_type *t, const char *name,
                            bool canonical)
{
    struct proto_buffer b = {0};
    struct printer w = {.p = p, .b = &b, .canonical = canonical};

    put_type(&w, t, name);
    return b.data;
}

const char *proto_param_type_text(struct proto *p, const struct proto_param *x)
{
    bool derived = x->type->kind == K_ARRAY || x->type->kind == K_FUNCTION;

    if (x->is_object)
        return proto_type_text(p, x->elem, "", false);
    return proto_type_text(p, derived ? x->value : x->type, "", false);
}

/* ---- the canonical prototype ---- */

/* A `<=` outside of parentheses would separate a capacity. */
static bool has_le(const struct proto_expr *e)
{
    return e != NULL && (e->kind == E_LE || has_le(e->a) || has_le(e->b) || has_le(e->c));
}

static void put_extent(const struct printer *w, const struct proto_expr *e)
{
    put(w, has_le(e) ? "(" : "");
    proto_print_expr(w->p, w->b, e);
    put(w, has_le(e) ? ")" : "");
}

/* `T *p` with a direction is one T: the same as p[1]. */
static void put_extents(const struct printer *w, const struct proto_param *x)
{
    if (x->pieces != NULL) {
        put(w, "[");
        put_extent(w, x->pieces);
        put(w, "]");
    }
    put(w, "[");
    if (x->length == NULL)
        put(w, "1");
    else
        put_extent(w, x->length);
    if (x->capacity != NULL) {
        put(w, " <= ");
        put_extent(w, x->capacity);
    }
    if (x->stride != NULL) {
        put(w, " : ");
        put_extent(w, x->stride);
    }
    put(w, "]");
}

static void put_block(const struct printer *w, const struct proto_param *x)
{
    put(w, "out malloc ");
    if (x->shape == TC_SHAPE_TEXT) {
        put_type(w, x->value, x->name);
        return;
    }
    put_type(w, proto_pointer_to(w->p, x->elem), x->name);
    put_extents(w, x);
}

static void put_codec(const struct printer *w, const struct proto_param *x)
{
    put(w, "codec(");
    put(w, x->codec);
    put(w, ") ");
}

/* What stands in front of a result that is given away. */
static void put_ownership(const struct printer *w, const struct proto_function *f)
{
    const struct proto_param *x = &f->owned;

    if (x->shape == 0)
        return;
    if (x->shape == TC_SHAPE_CODEC) {
        put_codec(w, x);
        return;
    }
    put(w, f->result_kind == TC_RESULT_MALLOC ? "malloc" : "static");
    if (x->shape == TC_SHAPE_BLOCK) {
        put(w, "(");
        if (x->length == NULL)
            put(w, "1");
        else
            proto_print_expr(w->p, w->b, x->length);
        put(w, ")");
    }
    put(w, " ");
}

/* The brackets stand at the name: behind it there may be what its elements lead to. */
static void put_array(const struct printer *w, const struct proto_param *x)
{
    struct proto_buffer name = {0};
    struct printer inner = *w, outer = *w;

    inner.b = &name;
    outer.extents = true;
    put(&inner, x->loc == TC_LOC_GLOBAL_POINTER ? proto_format(w->p, "(*%s)", x->name) : x->name);
    if (!x->is_object)
        put_extents(&inner, x);
    put_type(&outer, x->elem, name.data);
}

static void put_param(const struct printer *w, const struct proto_param *x)
{
    if (proto_is_owned(x)) {
        put_block(w, x);
        return;
    }
    bool is_array = x->shape == TC_SHAPE_ARRAY || x->shape == TC_SHAPE_STRINGS;

    if (x->direction == TC_IGNORE || x->direction == TC_HIDDEN)
        put(w, x->direction == TC_IGNORE ? "ignore " : "hidden ");
    else if (x->direction == TC_OUT || x->direction == TC_INOUT)
        put(w, x->direction == TC_OUT ? "out " : "inout ");
    else if (x->shape == TC_SHAPE_FILE)
        put(w, "file const ");
    else if (x->shape == TC_SHAPE_ARRAY && x->elem->kind == K_POINTER)
        put(w, "in "); /* `const` would say less */
    else if (is_array || x->shape == TC_SHAPE_STRING)
        put(w, "const ");
    if (x->shape == TC_SHAPE_CODEC)
        put_codec(w, x);
    if (is_array)
        put_array(w, x);
    else
        put_type(w, x->value, x->name);
}

/* What it reads or writes beside its parameters. */
static void put_globals(const struct printer *w, const struct proto_function *f, uint32_t first)
{
    uint32_t i = first;

    for (; i < f->param_count && f->params[i].path == NULL; i++) {
        put(w, i > first ? ", " : " globals(");
        put_param(w, &f->params[i]);
    }
    put(w, first < i ? ")" : "");
    first = i;
    for (; i < f->param_count; i++) {
        put(w, i > first ? ", " : " depends(");
        put(w, f->params[i].name);
    }
    put(w, first < i ? ")" : "");
}

const char *proto_canonical(struct proto *p)
{
    const struct proto_function *f = p->fn;
    struct proto_buffer b = {0};
    struct printer w = {.p = p, .b = &b, .canonical = true};
    uint32_t own;

    put_ownership(&w, f);
    put_before(&w, f->result);
    space(&w);
    put(&w, f->name);
    own = f->param_count - p->text->global_count;
    put(&w, own == 0 ? "(void" : "(");
    for (uint32_t i = 0; i < own; i++) {
        put(&w, i > 0 ? ", " : "");
        put_param(&w, &f->params[i]);
    }
    put(&w, ")");
    put_after(&w, f->result);
    put_globals(&w, f, own);
    return b.data;
}
