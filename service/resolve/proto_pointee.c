/*
 * Pointers in structs, and what `types:` says of them: `double y[n]`, where n is another member, is
 * a pointer to n doubles; `in const char *s` to a string, `in T *p` to one T; `ignore` members
 * don't count.
 */
#include <string.h>

#include "service/resolve/proto_ast.h"

/* ---- a member as it is read ---- */

uint8_t proto_member_direction(struct proto *p)
{
    const struct proto_token *t = p->tok;
    uint8_t dir = 0;

    if (t->kind != TOK_WORD || !proto_is_qualifier(t->word) || proto_is_word(p, "static") ||
        t[1].kind != TOK_WORD || proto_find(p, SYM_TYPEDEF, t->word) != NULL)
        return 0;
    if (proto_is_word(p, "in"))
        dir = TC_IN;
    else if (proto_is_word(p, "ignore"))
        dir = TC_IGNORE;
    else
        proto_fail(p, TC_R_BAD_PROTOTYPE, t->at, "",
                   "a member is `in` (what it points at is read) or `ignore`");
    p->tok++;
    return dir;
}

static bool names_member(const struct proto *p, const struct proto_expr *e)
{
    if (e == NULL)
        return false;
    if (e->kind == E_NAME)
        return proto_find(p, SYM_CONSTANT, e->name) == NULL;
    return names_member(p, e->a) || names_member(p, e->b) || names_member(p, e->c);
}

/* C has no arrays whose length is a member's: such a declaration is a pointer's, as for parameters.
 */
static bool is_pointers(const struct proto *p, const struct proto_type *t)
{
    for (; t->kind == K_ARRAY; t = t->to)
        if (names_member(p, t->dim.count))
            return true;
    return false;
}

/* How many, by the arrays that `*t` begins with; NULL: it is none. */
static struct proto_expr *take_extent(struct proto *p, struct proto_type **t)
{
    struct proto_expr *extent = NULL;

    for (; (*t)->kind == K_ARRAY; *t = (*t)->to) {
        const struct proto_dim *d = &(*t)->dim;

        if (d->count == NULL)
            proto_fail(p, TC_R_BAD_PROTOTYPE, d->at, "",
                       "there is an empty extent behind a pointer");
        if (d->capacity != NULL || d->stride != NULL)
            proto_fail(p, TC_R_BAD_PROTOTYPE,
                       d->capacity != NULL ? d->capacity->first : d->stride->first, "",
                       "what a pointer in memory leads to is an input that lies together: it has "
                       "neither a capacity nor a stride");
        extent = extent == NULL ? d->count : proto_product(p, extent, d->count);
    }
    return extent;
}

/* The same arrays around another type. */
static struct proto_type *arrays_around(struct proto *p, const struct proto_type *arrays,
                                        struct proto_type *inner)
{
    struct proto_type *t;

    if (arrays->kind != K_ARRAY)
        return inner;
    t = proto_new(p, sizeof *t);
    *t = *arrays;
    t->to = arrays_around(p, arrays->to, inner);
    return t;
}

void proto_settle_member(struct proto *p, struct proto_member *m)
{
    struct proto_type *t = m->type, *to;

    if (m->bits != NULL)
        return;
    if (is_pointers(p, t)) {
        m->extent = take_extent(p, &t);
        m->type = proto_pointer_to(p, t);
        m->follows = m->dir != TC_IGNORE;
        return;
    }
    while (t->kind == K_ARRAY)
        t = t->to;
    /* A pointer to an array of constant length is in many headers, and no promise. */
    if (t->kind == K_POINTER && t->to->kind == K_ARRAY &&
        (m->dir == TC_IN || is_pointers(p, t->to))) {
        to = t->to;
        m->extent = take_extent(p, &to);
        m->type = arrays_around(p, m->type, proto_pointer_to(p, to));
        m->follows = m->dir != TC_IGNORE;
        return;
    }
    m->follows = m->dir == TC_IN && t->kind == K_POINTER;
}

/* ---- as a leaf of a layout ---- */

static bool is_text(const struct proto_type *t)
{
    return t->kind == K_SCALAR && t->is_char;
}

_Noreturn static void refuse(struct proto *p, const struct proto_member *m, enum tc_reason reason,
                             const char *remedy, const char *what)
{
    proto_fail(p, reason, m->at, remedy, "%s '%.60s' %s", m->is_parameter ? "parameter" : "member",
               m->name == NULL ? "" : m->name, what);
}

/* Nobody knows how many there are behind one of several pointers. */
_Noreturn static void refuse_without_extent(struct proto *p, const struct proto_member *m,
                                            const struct proto_type *to)
{
    const char *name = proto_format(p, "(*%s[COUNT])[COUNT]", m->name == NULL ? "" : m->name);

    refuse(p, m, TC_R_EXTENT_MISSING, proto_type_text(p, to, name, false),
           "leads to pointers, and nothing says how much is behind each of them");
}

static uint8_t element_type(struct proto *p, const struct proto_member *m,
                            const struct proto_expr *extent, const struct proto_type *t)
{
    switch (t->kind) {
    case K_SCALAR:
        return t->scalar;
    case K_RECORD:
    case K_WIDE:
    case K_POINTER:
        return TC_MEMBERS;
    case K_VOID:
        if (extent != NULL)
            return TC_U8;
        refuse(p, m, TC_R_EXTENT_MISSING, proto_format(p, "void %s[COUNT]", m->name),
               "points at void and has no extent");
    case K_VECTOR:
        refuse(p, m, TC_R_VECTOR_TYPE, NULL, "points at vectors");
    default:
        refuse(p, m, TC_R_UNKNOWN_TYPE, "ignore",
               "points at something whose inside isn't declared");
    }
}

static void set_leaf(struct proto *p, const struct proto_expr *extent, const struct proto_type *to,
                     struct tc_member *leaf, struct proto_follow *follow)
{
    const struct proto_member *m = follow->member;
    bool strings = to->kind == K_POINTER && is_text(to->to) && extent != NULL;

    leaf->is_char = strings || is_text(to);
    leaf->length = TC_NO_EXPR;
    follow->at = m->at;
    if (to->kind == K_FUNCTION) {
        leaf->follow = TC_FOLLOW_FUNCTION;
        return;
    }
    if (is_text(to) && extent == NULL) {
        leaf->follow = TC_FOLLOW_STRING;
        leaf->elem = TC_I8;
        return;
    }
    leaf->follow = strings ? TC_FOLLOW_STRINGS : TC_FOLLOW_ARRAY;
    leaf->elem = strings ? TC_PTR : element_type(p, m, extent, to);
    follow->to = leaf->elem == TC_MEMBERS ? to : NULL;
    follow->extent = extent;
}

void proto_follow_leaf(struct proto *p, const struct proto_member *m, const struct proto_type *to,
                       struct tc_member *leaf, struct proto_follow *follow)
{
    set_leaf(p, m->extent, to, leaf, follow);
}

/* ---- pointers behind pointers ---- */

/* `double (*rows[n])[m]`: n pointers, each to m doubles. Without an extent it is a string, a
 * function or, with `in`, one struct or pointer. */
static uint32_t layout_of_pointer(struct proto *p, const struct proto_member *m,
                                  struct proto_record *owner, const struct proto_type *pointer)
{
    struct proto_follow follow = {.owner = owner, .member = m};
    struct tc_member leaf = {.length = TC_NO_EXPR};
    struct proto_type *to = pointer->to;
    const struct proto_expr *extent = take_extent(p, &to);
    bool one = is_text(to) || to->kind == K_FUNCTION ||
               (m->dir == TC_IN && (to->kind == K_RECORD || to->kind == K_POINTER));

    if (extent == NULL && !one)
        refuse_without_extent(p, m, to);
    set_leaf(p, extent, to, &leaf, &follow);
    return proto_layout_of_pointer(p, pointer, leaf, follow);
}

uint32_t proto_layout_of_pointers(struct proto *p, const struct proto_param *x)
{
    struct proto_member *m = proto_new(p, sizeof *m);

    m->name = x->name;
    m->at = x->at;
    m->type = x->elem;
    m->dir = x->dir;
    m->is_parameter = true;
    return layout_of_pointer(p, m, NULL, x->elem);
}

/* ---- when the layout is complete ---- */

_Noreturn static void unknown_member(struct proto *p, const struct proto_expr *e,
                                     const struct proto_record *r)
{
    struct proto_nearest n = {0};

    for (const struct proto_member *m = r->members; m != NULL; m = m->next)
        if (m->name != NULL)
            proto_near(&n, e->name, m->name);
    proto_fail(p, TC_R_UNKNOWN_MEMBER, e->at, n.best == NULL ? "" : n.best,
               "'%.60s' is neither a member beside this one nor a constant", e->name);
}

/* Names become members of the struct that the program is given. */
static struct proto_expr *of_struct(struct proto *p, struct proto_record *r,
                                    const struct proto_expr *e)
{
    const struct proto_symbol *s;
    struct proto_expr *copy;
    uint64_t offset;

    if (e == NULL)
        return NULL;
    if (e->kind == E_OLD || e->kind == E_RETURN || e->kind >= E_COMPLEMENT)
        proto_fail(p, TC_R_BAD_EXPRESSION, e->at, "",
                   "extents of members have no old(), `return` or bit operators");
    copy = proto_new(p, sizeof *copy);
    *copy = *e;
    if (e->kind == E_NAME && proto_find_member(p, r, e->name, &offset) != NULL) {
        copy->kind = E_MEMBER;
        copy->arrow = true;
        copy->a = proto_new(p, sizeof *copy->a);
        *copy->a = *e;
        copy->a->kind = E_SELF;
        copy->a->self = r;
        return copy;
    }
    if (e->kind == E_NAME) {
        s = proto_find(p, SYM_CONSTANT, e->name);
        if (s == NULL)
            unknown_member(p, e, r);
        copy->kind = E_INT;
        copy->value = s->value;
    }
    copy->a = of_struct(p, r, e->a);
    copy->b = of_struct(p, r, e->b);
    copy->c = of_struct(p, r, e->c);
    return copy;
}

/* How many pointers behind one another: what leads back to itself has no end. */
static void check_depth(struct proto *p, uint32_t layout, unsigned depth, proto_at at)
{
    const struct proto_layout *l = &p->layouts[layout - 1];

    if (depth > TC_MAX_DEPTH)
        proto_fail(p, TC_R_RECURSIVE_TYPE, at, NULL,
                   "'%.60s' leads back to itself, or through more than %u pointers", l->name,
                   TC_MAX_DEPTH);
    for (uint32_t i = l->first; i < l->first + l->count; i++)
        if (p->members[i].follow == TC_FOLLOW_ARRAY && p->members[i].layout != 0)
            check_depth(p, p->members[i].layout, depth + 1, p->follows[i].at);
}

void proto_follow_members(struct proto *p, uint32_t layout)
{
    const struct proto_layout l = p->layouts[layout - 1];

    for (uint32_t i = l.first; i < l.first + l.count; i++) {
        const struct proto_follow *f = &p->follows[i];
        uint32_t inner = 0;

        if (p->members[i].follow <= TC_FOLLOW_STRING)
            continue;
        if (f->extent != NULL && f->owner != NULL)
            p->members[i].length =
                proto_program(p, of_struct(p, f->owner, f->extent), WHEN_MEMBER, true);
        if (f->to != NULL)
            inner = f->to->kind == K_POINTER ? layout_of_pointer(p, f->member, f->owner, f->to)
                                             : proto_layout_of(p, f->to, f->at);
        if (inner != 0 && p->layouts[inner - 1].has_pointers)
            proto_fail(p, TC_R_EXTENT_MISSING, f->at, "ignore",
                       "'%.60s', which a member points at, has a pointer inside without an extent",
                       p->layouts[inner - 1].name);
        p->members[i].layout = (uint16_t)inner;
    }
    check_depth(p, layout, 0, p->follows[l.first].at);
}
