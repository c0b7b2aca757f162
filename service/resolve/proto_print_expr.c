/* Expressions as text: C's precedence decides about parentheses, so that each tree has one text. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "service/resolve/proto_ast.h"

struct printer {
    struct proto *p;
    struct proto_buffer *b;
};

static void put(const struct printer *w, const char *s)
{
    proto_put(w->p, w->b, s);
}

/* How tightly each kind binds, as in C; higher binds tighter. */
static int binding(const struct proto_expr *e)
{
    switch (e->kind) {
    case E_COND:
        return 1;
    case E_OR:
        return 2;
    case E_AND:
        return 3;
    case E_EQ:
    case E_NE:
        return 7;
    case E_LT:
    case E_LE:
    case E_GT:
    case E_GE:
        return 8;
    case E_ADD:
    case E_SUB:
        return 10;
    case E_MUL:
    case E_DIV:
    case E_MOD:
        return 11;
    case E_NEG:
    case E_NOT:
    case E_DEREF:
        return 12;
    default:
        return 13;
    }
}

static void put_expr(const struct printer *w, const struct proto_expr *e);

static void put_operand(const struct printer *w, const struct proto_expr *e, int at_least)
{
    bool inside = binding(e) < at_least;

    put(w, inside ? "(" : "");
    put_expr(w, e);
    put(w, inside ? ")" : "");
}

static void put_number(const struct printer *w, int64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%" PRId64, value);
    put(w, text);
}

static void put_char(const struct printer *w, int64_t value)
{
    char text[4] = {'\'', (char)value, '\'', '\0'};

    if (value > ' ' && value < 0x7f && value != '\'' && value != '\\')
        put(w, text);
    else
        put_number(w, value);
}

static void put_name(const struct printer *w, const struct proto_expr *e)
{
    struct proto *p = w->p;
    const struct proto_symbol *s = proto_find(p, SYM_CONSTANT, e->name);

    for (uint32_t i = 0; i < p->fn->param_count; i++)
        if (p->fn->params[i].name != NULL && strcmp(p->fn->params[i].name, e->name) == 0)
            s = NULL;
    if (s != NULL)
        put_number(w, s->value);
    else
        put(w, e->name);
}

static void put_call(const struct printer *w, const struct proto_expr *e)
{
    put(w, e->kind == E_MIN   ? "min("
           : e->kind == E_MAX ? "max("
           : e->kind == E_OLD ? "old("
                              : "strlen(");
    put_expr(w, e->a);
    if (e->b != NULL) {
        put(w, ", ");
        put_expr(w, e->b);
    }
    put(w, ")");
}

static void put_unary(const struct printer *w, const struct proto_expr *e)
{
    put(w, e->kind == E_NEG ? "-" : e->kind == E_NOT ? "!" : "*");
    put_operand(w, e->a, 12);
}

static const char *operator_text(enum proto_expr_kind kind)
{
    static const char *const texts[] = {
        [E_MUL] = " * ", [E_DIV] = " / ",  [E_MOD] = " % ", [E_ADD] = " + ", [E_SUB] = " - ",
        [E_LT] = " < ",  [E_LE] = " <= ",  [E_GT] = " > ",  [E_GE] = " >= ", [E_EQ] = " == ",
        [E_NE] = " != ", [E_AND] = " && ", [E_OR] = " || ",
    };

    return kind >= E_MUL && kind <= E_OR ? texts[kind] : " ? ";
}

static void put_postfix(const struct printer *w, const struct proto_expr *e)
{
    put_operand(w, e->a, 13);
    if (e->kind == E_MEMBER) {
        put(w, e->arrow ? "->" : ".");
        put(w, e->name);
        return;
    }
    put(w, "[");
    put_expr(w, e->b);
    put(w, "]");
}

static void put_expr(const struct printer *w, const struct proto_expr *e)
{
    /* A constant of `types:`, which may use operators that expressions don't have. */
    if (e->at >> 24 == TC_PROTO_TYPES) {
        put_number(w, proto_constant(w->p, e));
        return;
    }
    switch (e->kind) {
    case E_INT:
        put_number(w, e->value);
        break;
    case E_CHAR:
        put_char(w, e->value);
        break;
    case E_FLOAT:
        put(w, proto_float_text(w->p, e->value));
        break;
    case E_NULL:
        put(w, "NULL");
        break;
    case E_RETURN:
        put(w, "return");
        break;
    case E_NAME:
        put_name(w, e);
        break;
    case E_OLD:
    case E_STRLEN:
    case E_MIN:
    case E_MAX:
        put_call(w, e);
        break;
    case E_NEG:
    case E_NOT:
    case E_DEREF:
        put_unary(w, e);
        break;
    case E_INDEX:
    case E_MEMBER:
        put_postfix(w, e);
        break;
    case E_COND:
        put_operand(w, e->a, 2);
        put(w, " ? ");
        put_expr(w, e->b);
        put(w, " : ");
        put_expr(w, e->c);
        break;
    default:
        put_operand(w, e->a, binding(e));
        put(w, operator_text(e->kind));
        put_operand(w, e->b, binding(e) + 1);
    }
}

void proto_print_expr(struct proto *p, struct proto_buffer *b, const struct proto_expr *e)
{
    struct printer w = {.p = p, .b = b};

    put_expr(&w, e);
}
