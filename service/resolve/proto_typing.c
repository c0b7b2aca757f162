/* What names mean in expressions, and which memory an expression reads. */
#include <string.h>

#include "service/resolve/proto_ast.h"

static struct proto_param *find_param(const struct proto *p, const char *name)
{
    for (uint32_t i = 0; i < p->fn->param_count; i++)
        if (strcmp(p->fn->params[i].name, name) == 0)
            return &p->fn->params[i];
    return NULL;
}

_Noreturn static void unknown_name(struct proto *p, const struct proto_expr *e)
{
    struct proto_nearest n = {0};

    for (uint32_t i = 0; i < p->fn->param_count; i++)
        proto_near(&n, e->name, p->fn->params[i].name);
    for (const struct proto_symbol *s = p->symbols; s != NULL; s = s->next)
        if (s->kind == SYM_CONSTANT)
            proto_near(&n, e->name, s->name);
    proto_near(&n, e->name, "return");
    proto_near(&n, e->name, "NULL");
    proto_fail(p, TC_R_UNKNOWN_PARAMETER, e->at, n.best == NULL ? "" : n.best,
               "'%.60s' has no parameter '%.60s'", p->fn->name, e->name);
}

const struct proto_param *proto_name(struct proto *p, const struct proto_expr *e,
                                     int64_t *ret_constant)
{
    const struct proto_param *x = find_param(p, e->name);
    const struct proto_symbol *s;

    if (x != NULL)
        return x;
    s = proto_find(p, SYM_CONSTANT, e->name);
    if (s == NULL)
        unknown_name(p, e);
    *ret_constant = s->value;
    return NULL;
}

const struct proto_param *proto_written(const struct proto *p, const struct proto_expr *e)
{
    const struct proto_param *x;

    switch (e->kind) {
    case E_NAME:
        x = find_param(p, e->name);
        return x != NULL && (x->direction == TC_OUT || x->direction == TC_INOUT) ? x : NULL;
    case E_COND:
        x = proto_written(p, e->b);
        return x != NULL ? x : proto_written(p, e->c);
    case E_DEREF:
    case E_INDEX:
    case E_MEMBER:
        return proto_written(p, e->a);
    default:
        return NULL;
    }
}

bool proto_reads_memory(const struct proto_expr *e)
{
    return e->kind == E_DEREF || e->kind == E_INDEX || e->kind == E_STRLEN || e->kind == E_MEMBER;
}

/* A global's name means what is there. */
static bool reads_object(const struct proto *p, const struct proto_expr *e)
{
    const struct proto_param *x = e->kind == E_NAME ? find_param(p, e->name) : NULL;

    return x != NULL && x->is_object && proto_written(p, e) != NULL;
}

bool proto_reads_after(const struct proto *p, const struct proto_expr *e)
{
    if (e == NULL || e->kind == E_OLD)
        return false;
    if (reads_object(p, e))
        return true;
    if (e->kind == E_RETURN || (proto_reads_memory(e) && proto_written(p, e->a) != NULL))
        return true;
    return proto_reads_after(p, e->a) || proto_reads_after(p, e->b) || proto_reads_after(p, e->c);
}
