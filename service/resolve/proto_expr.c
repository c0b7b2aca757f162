/* Expressions: C's precedence, by climbing. */
#include <string.h>

#include "service/resolve/proto_ast.h"

static struct proto_expr *conditional(struct proto *p, bool in_extent);

static struct proto_expr *new_expr(struct proto *p, enum proto_expr_kind kind, proto_at at)
{
    struct proto_expr *e = proto_new(p, sizeof *e);

    e->kind = kind;
    e->at = at;
    e->first = at;
    e->height = 1;
    return e;
}

static void raise(struct proto *p, struct proto_expr *e, const struct proto_expr *part)
{
    if (part->height >= PROTO_MAX_TREE)
        proto_fail(p, TC_R_BAD_EXPRESSION, e->at, "", "the expression has too many parts");
    if (e->height <= part->height)
        e->height = part->height + 1;
    /* Offsets of one text compare as numbers. */
    if (part->first < e->first)
        e->first = part->first;
}

static struct proto_expr *join(struct proto *p, enum proto_expr_kind kind, proto_at at,
                               struct proto_expr *a, struct proto_expr *b)
{
    struct proto_expr *e = new_expr(p, kind, at);

    e->a = a;
    e->b = b;
    raise(p, e, a);
    if (b != NULL)
        raise(p, e, b);
    return e;
}

static struct proto_expr *parenthesised(struct proto *p)
{
    struct proto_expr *e;
    proto_at first = p->tok->at;

    proto_expect(p, '(', "`(`");
    e = conditional(p, false);
    proto_expect(p, ')', "`)`");
    e->first = first;
    return e;
}

static const struct {
    const char *name;
    enum proto_expr_kind kind;
    bool several;
} functions[] = {
    {"min", E_MIN, true},
    {"max", E_MAX, true},
    {"strlen", E_STRLEN, false},
    {"old", E_OLD, false},
};
#define FUNCTIONS (sizeof functions / sizeof functions[0])

_Noreturn static void unknown_function(struct proto *p, const struct proto_token *name)
{
    struct proto_nearest n = {0};

    for (size_t i = 0; i < FUNCTIONS; i++)
        proto_near(&n, name->word, functions[i].name);
    proto_fail(p, TC_R_BAD_EXPRESSION, name->at, n.best == NULL ? "" : n.best,
               "there is no function '%.60s' in expressions: min, max, strlen and old are all",
               name->word);
}

static struct proto_expr *call(struct proto *p, const struct proto_token *name)
{
    struct proto_expr *e;
    size_t i = 0;

    while (i < FUNCTIONS && strcmp(name->word, functions[i].name) != 0)
        i++;
    if (i == FUNCTIONS)
        unknown_function(p, name);
    proto_expect(p, '(', "`(`");
    e = conditional(p, false);
    if (!functions[i].several) {
        e = join(p, functions[i].kind, name->at, e, NULL);
    } else {
        if (!proto_is(p, ','))
            proto_unexpected(p, "a comma and a second value");
        while (proto_accept(p, ','))
            e = join(p, functions[i].kind, name->at, e, conditional(p, false));
    }
    proto_expect(p, ')', "`)`");
    return e;
}

static struct proto_expr *name_or_call(struct proto *p)
{
    const struct proto_token *t = p->tok++;
    struct proto_expr *e;

    if (strcmp(t->word, "return") == 0)
        return new_expr(p, E_RETURN, t->at);
    if (strcmp(t->word, "NULL") == 0)
        return new_expr(p, E_NULL, t->at);
    if (proto_is(p, '('))
        return call(p, t);
    e = new_expr(p, E_NAME, t->at);
    e->name = t->word;
    return e;
}

static struct proto_expr *primary(struct proto *p)
{
    const struct proto_token *t = p->tok;
    struct proto_expr *e;

    if (t->kind == '(')
        return parenthesised(p);
    if (t->kind == TOK_WORD)
        return name_or_call(p);
    if (t->kind != TOK_NUMBER && t->kind != TOK_FLOAT && t->kind != TOK_CHAR)
        proto_unexpected(p, "a value");
    p->tok++;
    e = new_expr(p, t->kind == TOK_NUMBER ? E_INT : t->kind == TOK_FLOAT ? E_FLOAT : E_CHAR, t->at);
    e->value = t->value;
    return e;
}

static struct proto_expr *member(struct proto *p, struct proto_expr *of)
{
    bool arrow = p->tok++->kind == TOK_ARROW;
    struct proto_expr *e;

    if (!proto_is(p, TOK_WORD))
        proto_unexpected(p, "a member's name");
    e = join(p, E_MEMBER, p->tok->at, of, NULL);
    e->name = p->tok++->word;
    e->arrow = arrow;
    return e;
}

static struct proto_expr *postfix(struct proto *p)
{
    struct proto_expr *e = primary(p);

    for (;;) {
        proto_at at = p->tok->at;

        if (proto_accept(p, '[')) {
            e = join(p, E_INDEX, at, e, conditional(p, false));
            proto_expect(p, ']', "`]`");
        } else if (proto_is(p, '.') || proto_is(p, TOK_ARROW)) {
            e = member(p, e);
        } else {
            return e;
        }
    }
}

static struct proto_expr *unary(struct proto *p)
{
    proto_at at = p->tok->at;
    enum proto_expr_kind kind;
    struct proto_expr *e;

    if (proto_is(p, '-'))
        kind = E_NEG;
    else if (proto_is(p, '!'))
        kind = E_NOT;
    else if (proto_is(p, '*'))
        kind = E_DEREF;
    else if (proto_is(p, '~') && p->in_types)
        kind = E_COMPLEMENT;
    else
        return postfix(p);
    p->tok++;
    proto_enter(p);
    e = join(p, kind, at, unary(p), NULL);
    proto_leave(p);
    return e;
}

static const struct {
    int tok;
    uint8_t binds;
    uint8_t kind;
    bool c_only; /* C constants in `types:` */
} operators[] = {
    {'*', 10, E_MUL, false},   {'/', 10, E_DIV, false},    {'%', 10, E_MOD, false},
    {'+', 9, E_ADD, false},    {'-', 9, E_SUB, false},     {TOK_SHL, 8, E_SHL, true},
    {TOK_SHR, 8, E_SHR, true}, {'<', 7, E_LT, false},      {TOK_LE, 7, E_LE, false},
    {'>', 7, E_GT, false},     {TOK_GE, 7, E_GE, false},   {TOK_EQ, 6, E_EQ, false},
    {TOK_NE, 6, E_NE, false},  {'&', 5, E_BIT_AND, true},  {'^', 4, E_BIT_XOR, true},
    {'|', 3, E_BIT_OR, true},  {TOK_AND, 2, E_AND, false}, {TOK_OR, 1, E_OR, false},
};
#define OPERATORS (sizeof operators / sizeof operators[0])

static size_t operator_here(const struct proto *p, bool in_extent)
{
    for (size_t i = 0; i < OPERATORS; i++)
        if (p->tok->kind == operators[i].tok && !(in_extent && operators[i].tok == TOK_LE))
            return i;
    return OPERATORS;
}

static struct proto_expr *binary(struct proto *p, uint8_t binds, bool in_extent)
{
    struct proto_expr *e = unary(p);

    for (;;) {
        size_t i = operator_here(p, in_extent);
        proto_at at = p->tok->at;

        if (i == OPERATORS || operators[i].binds < binds)
            return e;
        if (operators[i].c_only && !p->in_types)
            proto_fail(p, TC_R_BAD_EXPRESSION, at, "", "expressions have no operator %s",
                       proto_describe(p, p->tok));
        p->tok++;
        e = join(p, (enum proto_expr_kind)operators[i].kind, at, e,
                 binary(p, operators[i].binds + 1, in_extent));
    }
}

static struct proto_expr *conditional(struct proto *p, bool in_extent)
{
    struct proto_expr *e;
    proto_at at;

    proto_enter(p);
    e = binary(p, 1, in_extent);
    at = p->tok->at;
    if (proto_accept(p, '?')) {
        struct proto_expr *then = conditional(p, false), *otherwise;

        proto_expect(p, ':', "`:` and the value for the other case");
        otherwise = conditional(p, in_extent);
        e = join(p, E_COND, at, e, then);
        e->c = otherwise;
        raise(p, e, otherwise);
    }
    proto_leave(p);
    return e;
}

static struct proto_expr *whole(struct proto *p, bool in_extent)
{
    bool outer = p->in_expression;
    struct proto_expr *e;

    p->in_expression = true;
    e = conditional(p, in_extent);
    p->in_expression = outer;
    return e;
}

struct proto_expr *proto_expression(struct proto *p)
{
    return whole(p, false);
}

struct proto_expr *proto_extent_expression(struct proto *p)
{
    return whole(p, true);
}

static int64_t constant_name(struct proto *p, const struct proto_expr *e)
{
    const struct proto_symbol *s = proto_find(p, SYM_CONSTANT, e->name);

    if (s == NULL)
        proto_fail(p, TC_R_BAD_PROTOTYPE, e->at, "", "'%.60s' isn't a constant", e->name);
    return s->value;
}

_Noreturn static void not_constant(struct proto *p, const struct proto_expr *e)
{
    proto_fail(p, TC_R_BAD_PROTOTYPE, e->at, "", "a constant stands here that can't be computed");
}

static int64_t divide(struct proto *p, const struct proto_expr *e, int64_t a, int64_t b)
{
    if (b == 0 || (a == INT64_MIN && b == -1))
        not_constant(p, e);
    return e->kind == E_DIV ? a / b : a % b;
}

static int64_t shift(struct proto *p, const struct proto_expr *e, int64_t a, int64_t b)
{
    if (b < 0 || b > 63)
        not_constant(p, e);
    return e->kind == E_SHL ? (int64_t)((uint64_t)a << b) : a >> b;
}

static int64_t constant_binary(struct proto *p, const struct proto_expr *e, int64_t a, int64_t b)
{
    int64_t r;

    switch (e->kind) {
    case E_MUL:
        return __builtin_mul_overflow(a, b, &r) ? (not_constant(p, e), 0) : r;
    case E_ADD:
        return __builtin_add_overflow(a, b, &r) ? (not_constant(p, e), 0) : r;
    case E_SUB:
        return __builtin_sub_overflow(a, b, &r) ? (not_constant(p, e), 0) : r;
    case E_DIV:
    case E_MOD:
        return divide(p, e, a, b);
    case E_SHL:
    case E_SHR:
        return shift(p, e, a, b);
    case E_BIT_AND:
        return a & b;
    case E_BIT_XOR:
        return a ^ b;
    case E_BIT_OR:
        return a | b;
    case E_LT:
        return a < b;
    case E_LE:
        return a <= b;
    case E_GT:
        return a > b;
    case E_GE:
        return a >= b;
    case E_EQ:
        return a == b;
    case E_NE:
        return a != b;
    case E_AND:
        return a != 0 && b != 0;
    case E_OR:
        return a != 0 || b != 0;
    default:
        not_constant(p, e);
    }
}

int64_t proto_constant(struct proto *p, const struct proto_expr *e)
{
    int64_t a;

    switch (e->kind) {
    case E_INT:
    case E_CHAR:
        return e->value;
    case E_NAME:
        return constant_name(p, e);
    case E_NEG:
        a = proto_constant(p, e->a);
        if (a == INT64_MIN)
            not_constant(p, e);
        return -a;
    case E_NOT:
        return proto_constant(p, e->a) == 0;
    case E_COMPLEMENT:
        return ~proto_constant(p, e->a);
    case E_COND:
        return proto_constant(p, e->a) != 0 ? proto_constant(p, e->b) : proto_constant(p, e->c);
    default:
        if (e->kind < E_MUL)
            not_constant(p, e);
        return constant_binary(p, e, proto_constant(p, e->a), proto_constant(p, e->b));
    }
}
