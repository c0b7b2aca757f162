/* Declarators and parameter lists. */
#include <string.h>

#include "service/resolve/proto_ast.h"

static struct proto_type *declarator(struct proto *p, struct proto_type *base,
                                     const char **ret_name, proto_at *ret_at);

static struct proto_type *derive(struct proto *p, enum proto_kind kind, struct proto_type *to)
{
    struct proto_type *t = proto_new(p, sizeof *t);

    t->kind = kind;
    t->to = to;
    t->height = 1;
    return t;
}

struct proto_type *proto_pointer_to(struct proto *p, struct proto_type *to)
{
    return derive(p, K_POINTER, to);
}

static bool type_qualifier(struct proto *p, bool *ret_const)
{
    static const char *const words[] = {
        "const",    "__const",    "__const__",    "volatile", "__volatile__",
        "restrict", "__restrict", "__restrict__", "_Nonnull", "_Nullable",
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (proto_accept_word(p, words[i])) {
            *ret_const = *ret_const || i < 3;
            return true;
        }
    }
    return false;
}

/* `[`, then C's words for parameters, then COUNT [<= CAPACITY] [: STRIDE] */
static struct proto_dim dimension(struct proto *p)
{
    struct proto_dim d = {0};
    bool ignored = false;

    proto_expect(p, '[', "`[`");
    while (proto_accept_word(p, "static") || type_qualifier(p, &ignored))
        ;
    d.at = p->tok->at;
    if (!proto_is(p, ']')) {
        d.count = proto_extent_expression(p);
        if (proto_accept(p, TOK_LE))
            d.capacity = proto_extent_expression(p);
        if (proto_accept(p, ':'))
            d.stride = proto_extent_expression(p);
    }
    if (!proto_is(p, ']')) {
        p->in_expression = true;
        proto_unexpected(p, "`]`");
    }
    p->tok++;
    return d;
}

/* A word that also may be a name is a qualifier in front of a type. */
static bool qualifier_here(const struct proto *p)
{
    const struct proto_token *next = p->tok + 1;

    if (!proto_is(p, TOK_WORD) || !proto_is_qualifier(p->tok->word) || proto_is_word(p, "static"))
        return false;
    if (proto_find(p, SYM_TYPEDEF, p->tok->word) == NULL)
        return true;
    return next->kind == TOK_WORD && (proto_starts_type(p, next) || proto_is_qualifier(next->word));
}

static void direction(struct proto *p, struct proto_param *x, enum tc_dir dir)
{
    bool both = (x->dir == TC_IN && dir == TC_OUT) || (x->dir == TC_OUT && dir == TC_IN);

    if (x->dir != 0)
        proto_fail(p, TC_R_BAD_PROTOTYPE, p->tok->at, both ? "inout" : "",
                   "a parameter has one direction: in, out, inout, ignore or hidden");
    x->dir = (uint8_t)dir;
}

static void qualifiers(struct proto *p, struct proto_param *x)
{
    static const struct {
        const char *word;
        enum tc_dir dir;
    } directions[] = {
        {"in", TC_IN},         {"out", TC_OUT},       {"inout", TC_INOUT},
        {"ignore", TC_IGNORE}, {"hidden", TC_HIDDEN},
    };

    for (; qualifier_here(p); p->tok++) {
        x->qualifier_at = p->tok->at;
        for (size_t i = 0; i < sizeof directions / sizeof directions[0]; i++)
            if (proto_is_word(p, directions[i].word))
                direction(p, x, directions[i].dir);
        if (proto_is_word(p, "file"))
            x->file = true;
        else if (proto_is_word(p, "malloc"))
            x->is_malloc = true;
        else if (proto_is_word(p, "codec")) {
            p->tok++;
            x->codec = proto_codec_name(p);
        }
    }
}

static void parameter(struct proto *p, struct proto_param *x)
{
    struct proto_storage storage = {0};

    qualifiers(p, x);
    x->type = proto_specifiers(p, &storage);
    x->type_at = storage.base_at;
    if (storage.is_typedef || storage.is_extern || storage.is_static)
        proto_fail(p, TC_R_BAD_PROTOTYPE, storage.at, "", "a parameter has no storage class");
    x->type = proto_declarator(p, x->type, &x->name, &x->at);
    proto_attributes(p, &storage);
    if (storage.vector)
        x->type->kind = K_VECTOR;
    if (x->name == NULL)
        x->at = x->type_at;
}

void proto_unnamed_parameter(struct proto *p, struct proto_param *x)
{
    const char *name = x->name;

    qualifiers(p, x);
    if (proto_is(p, TOK_END) || proto_is(p, '['))
        proto_fail(p, TC_R_UNKNOWN_TYPE, p->tok->at, "write it: 'out double', 'in double [n]'",
                   "nothing says which type '%.60s' has", name);
    x->name = NULL;
    parameter(p, x);
    if (x->name != NULL)
        proto_fail(p, TC_R_BAD_PROTOTYPE, x->at, "",
                   "the name of '%.60s' stands in front of the colon, not here", name);
    x->name = name;
}

static void add_parameter(struct proto *p, struct proto_type *t)
{
    if (t->param_count == TC_MAX_PARAMS)
        proto_fail(p, TC_R_TOO_MANY, p->tok->at, "", "a function has at most %u parameters",
                   TC_MAX_PARAMS);
    if (t->params == NULL)
        t->params = proto_new(p, TC_MAX_PARAMS * sizeof *t->params);
    parameter(p, &t->params[t->param_count++]);
}

static void parameters(struct proto *p, struct proto_type *t)
{
    proto_expect(p, '(', "`(`");
    if (proto_accept(p, ')'))
        return;
    if (proto_is_word(p, "void") && p->tok[1].kind == ')') {
        p->tok += 2;
        return;
    }
    do {
        t->variadic_at = p->tok->at;
        if (proto_accept(p, TOK_ELLIPSIS)) {
            t->variadic = true;
            break;
        }
        add_parameter(p, t);
    } while (proto_accept(p, ','));
    proto_expect(p, ')', "`,` or `)`");
}

/* Brackets and parameter lists; the first one written is the outermost type. */
static struct proto_type *suffixes(struct proto *p, struct proto_type *base)
{
    struct proto_type *t;

    if (!proto_is(p, '[') && !proto_is(p, '('))
        return base;
    proto_enter(p);
    if (proto_is(p, '[')) {
        t = derive(p, K_ARRAY, NULL);
        t->dim = dimension(p);
    } else {
        t = derive(p, K_FUNCTION, NULL);
        parameters(p, t);
    }
    t->to = suffixes(p, base);
    proto_leave(p);
    return t;
}

/* `(` of a declarator within a declarator, not of a parameter list. */
static bool inner_declarator(const struct proto *p)
{
    const struct proto_token *next = p->tok + 1;

    if (!proto_is(p, '('))
        return false;
    if (next->kind == '*' || next->kind == '(')
        return true;
    return next->kind == TOK_WORD && !proto_starts_type(p, next) && !proto_is_qualifier(next->word);
}

static struct proto_type *parenthesised(struct proto *p, struct proto_type *base,
                                        const char **ret_name, proto_at *ret_at)
{
    struct proto_type *hole = derive(p, K_VOID, NULL), *t;

    proto_enter(p);
    proto_expect(p, '(', "`(`");
    t = declarator(p, hole, ret_name, ret_at);
    proto_expect(p, ')', "`)`");
    *hole = *suffixes(p, base);
    proto_leave(p);
    return t;
}

static struct proto_type *declarator(struct proto *p, struct proto_type *base,
                                     const char **ret_name, proto_at *ret_at)
{
    struct proto_storage ignored = {0};

    proto_attributes(p, &ignored);
    while (proto_accept(p, '*')) {
        base = derive(p, K_POINTER, base);
        while (type_qualifier(p, &base->is_const))
            ;
        proto_attributes(p, &ignored);
    }
    *ret_at = p->tok->at;
    if (inner_declarator(p))
        return parenthesised(p, base, ret_name, ret_at);
    if (proto_is(p, TOK_WORD) && !proto_is_keyword(p->tok->word))
        *ret_name = p->tok++->word;
    return suffixes(p, base);
}

/* How deep a printer has to go: along the chain, and into the deepest parameter beside it. */
static uint32_t height_of(struct proto *p, const struct proto_type *t, proto_at at)
{
    uint32_t length = 0, beside = 0;

    for (; t != NULL; t = t->to) {
        length++;
        for (uint32_t i = 0; i < t->param_count; i++)
            if (t->params[i].type->height > beside)
                beside = t->params[i].type->height;
        if (length + beside > PROTO_MAX_TYPE)
            proto_fail(p, TC_R_BAD_PROTOTYPE, at, "", "the type has more than %u levels",
                       PROTO_MAX_TYPE);
    }
    return length + beside;
}

struct proto_type *proto_declarator(struct proto *p, struct proto_type *base, const char **ret_name,
                                    proto_at *ret_at)
{
    struct proto_type *t = declarator(p, base, ret_name, ret_at);

    t->height = height_of(p, t, *ret_at);
    return t;
}
