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

static void take_extent(struct proto *p, struct proto_member *m, struct proto_type *t)
{
    for (; t->kind == K_ARRAY; t = t->to) {
        const struct proto_dim *d = &t->dim;

        if (d->count == NULL)
            proto_fail(p, TC_R_BAD_PROTOTYPE, d->at, "", "a member has an empty extent");
        if (d->capacity != NULL || d->stride != NULL)
            proto_fail(p, TC_R_NOT_YET, d->capacity != NULL ? d->capacity->first : d->stride->first,
                       NULL, "capacities and strides of members aren't built yet");
        m->extent = m->extent == NULL ? d->count : proto_product(p, m->extent, d->count);
    }
    m->type = proto_pointer_to(p, t);
    m->follows = true;
}

void proto_settle_member(struct proto *p, struct proto_member *m)
{
    struct proto_type *t = m->type;

    if (m->bits != NULL)
        return;
    /* A pointer to an array of constant length is in many headers, and no promise. */
    if (t->kind == K_POINTER && t->to->kind == K_ARRAY &&
        (m->dir == TC_IN || is_pointers(p, t->to)))
        take_extent(p, m, t->to);
    else if (is_pointers(p, t))
        take_extent(p, m, t);
    while (t->kind == K_ARRAY)
        t = t->to;
    m->follows = m->dir != TC_IGNORE && (m->follows || (m->dir == TC_IN && t->kind == K_POINTER));
}

/* ---- as a leaf of a layout ---- */

static bool is_text(const struct proto_type *t)
{
    return t->kind == K_SCALAR && t->is_char;
}

_Noreturn static void refuse(struct proto *p, const struct proto_member *m, enum tc_reason reason,
                             const char *remedy, const char *what)
{
    proto_fail(p, reason, m->at, remedy, "member '%.60s' %s", m->name == NULL ? "" : m->name, what);
}

static uint8_t element_type(struct proto *p, const struct proto_member *m,
                            const struct proto_type *t)
{
    switch (t->kind) {
    case K_SCALAR:
        return t->scalar;
    case K_RECORD:
    case K_WIDE:
        return TC_MEMBERS;
    case K_VOID:
        if (m->extent != NULL)
            return TC_U8;
        refuse(p, m, TC_R_EXTENT_MISSING, proto_format(p, "void %s[COUNT]", m->name),
               "points at void and has no extent");
    case K_VECTOR:
        refuse(p, m, TC_R_VECTOR_TYPE, NULL, "points at vectors");
    case K_POINTER:
        refuse(p, m, TC_R_NOT_YET,
               m->extent == NULL
                   ? "ignore"
                   : proto_format(p, "%s, a pointer to the elements, or `ignore`",
                                  proto_type_text(p, t->to,
                                                  proto_format(p, "(*%s)[COUNT]", m->name), false)),
               "leads to pointers: such members aren't built yet");
    case K_FUNCTION:
        refuse(p, m, TC_R_NOT_YET, "ignore", "points at a function: such members aren't built yet");
    default:
        refuse(p, m, TC_R_UNKNOWN_TYPE, "ignore",
               "points at something whose inside isn't declared");
    }
}

void proto_follow_leaf(struct proto *p, const struct proto_member *m, const struct proto_type *to,
                       struct tc_member *leaf, struct proto_follow *follow)
{
    bool strings = to->kind == K_POINTER && is_text(to->to) && m->extent != NULL;

    leaf->is_char = strings || is_text(to);
    leaf->length = TC_NO_EXPR;
    if (is_text(to) && m->extent == NULL) {
        leaf->follow = TC_FOLLOW_STRING;
        leaf->elem = TC_I8;
        return;
    }
    leaf->follow = strings ? TC_FOLLOW_STRINGS : TC_FOLLOW_ARRAY;
    leaf->elem = strings ? TC_PTR : element_type(p, m, to);
    follow->to = leaf->elem == TC_MEMBERS ? to : NULL;
    follow->extent = m->extent;
    follow->at = m->at;
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
        proto_fail(
            p, TC_R_NOT_YET, at, "ignore",
            "'%.60s' leads back to itself, or through more than %u pointers: lists and trees "
            "aren't built yet",
            l->name, TC_MAX_DEPTH);
    for (uint32_t i = l->first; i < l->first + l->count; i++)
        if (p->members[i].follow == TC_FOLLOW_ARRAY && p->members[i].layout != 0)
            check_depth(p, p->members[i].layout, depth + 1, p->follows[i].at);
}

void proto_follow_members(struct proto *p, uint32_t layout)
{
    const struct proto_layout l = p->layouts[layout - 1];

    for (uint32_t i = l.first; i < l.first + l.count; i++) {
        struct proto_follow *f = &p->follows[i];
        uint32_t inner = 0;

        if (p->members[i].follow <= TC_FOLLOW_STRING)
            continue;
        if (f->extent != NULL)
            p->members[i].length =
                proto_program(p, of_struct(p, f->owner, f->extent), WHEN_MEMBER, true);
        if (f->to != NULL)
            inner = proto_layout_of(p, f->to, f->at);
        if (inner != 0 && p->layouts[inner - 1].has_pointers)
            proto_fail(p, TC_R_EXTENT_MISSING, f->at, "ignore",
                       "'%.60s', which a member points at, has a pointer inside without an extent",
                       p->layouts[inner - 1].name);
        p->members[i].layout = (uint16_t)inner;
    }
    check_depth(p, layout, 0, p->follows[l.first].at);
}
