/* Declaration specifiers, attributes, and the declarations of `types:`. */
#include <string.h>

#include "service/resolve/proto_ast.h"

/* C's words for arithmetic types, counted. */
struct words {
    unsigned is_void, is_char, is_short, is_int, is_long, is_float, is_double, is_signed,
        is_unsigned, is_bool, is_complex, is_int128, is_uint128;
    unsigned all;
};

static const struct {
    const char *word;
    size_t offset;
} arithmetic[] = {
    {"void", offsetof(struct words, is_void)},
    {"char", offsetof(struct words, is_char)},
    {"short", offsetof(struct words, is_short)},
    {"int", offsetof(struct words, is_int)},
    {"long", offsetof(struct words, is_long)},
    {"float", offsetof(struct words, is_float)},
    {"double", offsetof(struct words, is_double)},
    {"signed", offsetof(struct words, is_signed)},
    {"__signed__", offsetof(struct words, is_signed)},
    {"unsigned", offsetof(struct words, is_unsigned)},
    {"bool", offsetof(struct words, is_bool)},
    {"_Bool", offsetof(struct words, is_bool)},
    {"_Complex", offsetof(struct words, is_complex)},
    {"__complex__", offsetof(struct words, is_complex)},
    {"complex", offsetof(struct words, is_complex)},
    {"__int128", offsetof(struct words, is_int128)},
    {"__int128_t", offsetof(struct words, is_int128)},
    {"__uint128_t", offsetof(struct words, is_uint128)},
};
#define ARITHMETIC (sizeof arithmetic / sizeof arithmetic[0])

static size_t arithmetic_word(const char *word)
{
    size_t i = 0;

    while (i < ARITHMETIC && strcmp(word, arithmetic[i].word) != 0)
        i++;
    return i;
}

static bool word_in(const char *word, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

static const char *const no_meaning[] = {
    "volatile", "__volatile__", "restrict",  "__restrict",    "__restrict__", "register", "inline",
    "__inline", "__inline__",   "_Noreturn", "__extension__", "auto",         NULL,
};
static const char *const constness[] = {"const", "__const", "__const__", NULL};
static const char *const storages[] = {"typedef", "extern", "static", NULL};
static const char *const tags[] = {"struct", "union", "enum", NULL};
static const char *const attribute_words[] = {"__attribute__", "__attribute", "__asm__",
                                              "asm",           "_Alignas",    NULL};

bool proto_is_keyword(const char *word)
{
    return arithmetic_word(word) < ARITHMETIC || word_in(word, no_meaning) ||
           word_in(word, constness) || word_in(word, storages) || word_in(word, tags) ||
           word_in(word, attribute_words) || strcmp(word, "_Atomic") == 0 ||
           strcmp(word, "return") == 0 || strcmp(word, "NULL") == 0;
}

bool proto_starts_type(const struct proto *p, const struct proto_token *t)
{
    if (t->kind != TOK_WORD)
        return false;
    return proto_is_keyword(t->word) || proto_is_type_name(p, t->word);
}

static bool attribute_is(const char *word, const char *name)
{
    size_t bytes = strlen(name);

    if (strncmp(word, "__", 2) == 0)
        word += 2;
    return strncmp(word, name, bytes) == 0 &&
           (word[bytes] == '\0' || strcmp(word + bytes, "__") == 0);
}

/* `aligned` alone is the most that any type needs. Leaves the last token of it current. */
static void aligned(struct proto *p, struct proto_storage *s)
{
    s->aligned = proto_new(p, sizeof *s->aligned);
    s->aligned->at = s->aligned->first = p->tok->at;
    s->aligned->value = 16;
    if (p->tok[1].kind != '(')
        return;
    p->tok += 2;
    s->aligned = proto_expression(p);
    if (!proto_is(p, ')'))
        proto_unexpected(p, "`)`");
}

/* Most attributes say nothing about how a call looks; these do. */
static void attribute_word(struct proto *p, struct proto_storage *s)
{
    static const char *const abi[] = {"mode",       "ms_abi",  "sysv_abi", "regparm",
                                      "vectorcall", "regcall", NULL};

    if (attribute_is(p->tok->word, "packed"))
        s->packed = true;
    if (attribute_is(p->tok->word, "aligned")) {
        aligned(p, s);
        return;
    }
    if (attribute_is(p->tok->word, "vector_size") || attribute_is(p->tok->word, "ext_vector_type"))
        s->vector = true;
    for (size_t i = 0; abi[i] != NULL; i++)
        if (attribute_is(p->tok->word, abi[i]))
            proto_fail(p, TC_R_UNSUPPORTED_TYPE, p->tok->at, NULL,
                       "the attribute '%.60s' makes another type or another way of calling of it",
                       p->tok->word);
}

static struct proto_expr *alignment_of(struct proto *p)
{
    struct proto_storage inner = {0};
    const struct proto_token *at = p->tok;
    struct proto_expr *e = proto_new(p, sizeof *e);
    struct proto_type *t = proto_specifiers(p, &inner);

    while (proto_accept(p, '*'))
        t = proto_pointer_to(p, t);
    e->kind = E_INT;
    e->at = e->first = at->at;
    e->height = 1;
    e->value = (int64_t)proto_size_of(p, t, at->at).align;
    return e;
}

static void alignas(struct proto *p, struct proto_storage *s)
{
    proto_expect(p, '(', "`(`");
    s->aligned = proto_starts_type(p, p->tok) ? alignment_of(p) : proto_expression(p);
    proto_expect(p, ')', "`)`");
}

void proto_attributes(struct proto *p, struct proto_storage *s)
{
    while (proto_is(p, TOK_WORD) && word_in(p->tok->word, attribute_words)) {
        unsigned open = 0;

        if (proto_accept_word(p, "_Alignas")) {
            alignas(p, s);
            continue;
        }
        p->tok++;
        if (!proto_is(p, '('))
            proto_unexpected(p, "`(`");
        do {
            if (proto_is(p, TOK_END))
                proto_unexpected(p, "`)`");
            else if (proto_is(p, '('))
                open++;
            else if (proto_is(p, ')'))
                open--;
            else if (proto_is(p, TOK_WORD))
                attribute_word(p, s);
            p->tok++;
        } while (open > 0);
    }
}

static bool storage_class(struct proto *p, struct proto_storage *s)
{
    proto_at at = p->tok->at;

    if (proto_accept_word(p, "typedef")) {
        s->is_typedef = true;
    } else if (proto_accept_word(p, "extern")) {
        s->is_extern = true;
        (void)proto_accept(p, TOK_STRING);
    } else if (proto_accept_word(p, "static")) {
        s->is_static = true;
    } else {
        return false;
    }
    s->at = at;
    return true;
}

static bool count_word(struct proto *p, struct words *w)
{
    size_t i = arithmetic_word(p->tok->word);

    if (i == ARITHMETIC)
        return false;
    ++*(unsigned *)((char *)w + arithmetic[i].offset);
    w->all++;
    p->tok++;
    return true;
}

/* The size in C's words, NULL if they don't go together. */
static const char *integer_name(const struct words *w)
{
    bool u = w->is_unsigned > 0;
    unsigned sizes = (w->is_short > 0) + (w->is_long > 0);

    if (w->is_short > 1 || w->is_long > 2 || w->is_int > 1 || w->is_signed + w->is_unsigned > 1 ||
        sizes > 1)
        return NULL;
    if (w->is_char > 0) {
        if (w->is_char > 1 || sizes > 0 || w->is_int > 0)
            return NULL;
        return u ? "unsigned char" : w->is_signed > 0 ? "signed char" : "char";
    }
    if (w->is_short > 0)
        return u ? "unsigned short" : "short";
    if (w->is_long == 2)
        return u ? "unsigned long long" : "long long";
    if (w->is_long == 1)
        return u ? "unsigned long" : "long";
    return u ? "unsigned int" : "int";
}

static struct proto_type *wide(struct proto *p, const char *name, uint8_t scalar, bool is_complex)
{
    struct proto_type *t = proto_new(p, sizeof *t);

    t->kind = K_WIDE;
    t->scalar = scalar;
    t->is_complex = is_complex;
    t->spelled = name;
    t->plain = name;
    t->height = 1;
    return t;
}

static struct proto_type *floating_type(struct proto *p, const struct words *w)
{
    unsigned others = w->all - w->is_float - w->is_double - w->is_long - w->is_complex;

    if (others > 0 || w->is_complex > 1 || w->is_float + w->is_double > 1 || w->is_long > 1 ||
        (w->is_long > 0 && w->is_double == 0))
        return NULL;
    if (w->is_complex > 0)
        return w->is_float > 0  ? wide(p, "float _Complex", TC_F32, true)
               : w->is_long > 0 ? wide(p, "long double _Complex", TC_F80, true)
                                : wide(p, "double _Complex", TC_F64, true);
    if (w->is_long > 0)
        return wide(p, "long double", TC_F80, false);
    return proto_base_type(p, w->is_float > 0 ? "float" : "double");
}

static struct proto_type *arithmetic_type(struct proto *p, const struct words *w)
{
    const char *name;

    if (w->is_void > 0)
        return w->all == 1 ? proto_base_type(p, "void") : NULL;
    if (w->is_bool > 0)
        return w->all == 1 ? proto_base_type(p, "bool") : NULL;
    if (w->is_int128 > 0)
        return w->all - w->is_signed - w->is_unsigned != 1 ? NULL
               : w->is_unsigned > 0 ? wide(p, "unsigned __int128", TC_U128, false)
                                    : wide(p, "__int128", TC_I128, false);
    if (w->is_uint128 > 0)
        return w->all == 1 ? wide(p, "unsigned __int128", TC_U128, false) : NULL;
    if (w->is_float + w->is_double + w->is_complex > 0)
        return floating_type(p, w);
    name = integer_name(w);
    return name == NULL ? NULL : proto_base_type(p, name);
}

_Noreturn static void no_type(struct proto *p)
{
    if (!proto_is(p, TOK_WORD))
        proto_unexpected(p, "a type");
    if (proto_is_qualifier(p->tok->word))
        proto_fail(p, TC_R_BAD_PROTOTYPE, p->tok->at, "",
                   "the qualifier '%s' stands in front of the whole parameter", p->tok->word);
    proto_unknown_type(p, p->tok->at, p->tok->word);
}

/* `_Atomic int` and `_Atomic(int)`: integers, floating values and pointers are as they are without.
 */
static void atomic(struct proto *p, struct proto_storage *s, struct proto_type **t)
{
    struct proto_storage inner = {0};

    s->atomic_at = p->tok++->at;
    s->atomic = true;
    if (!proto_accept(p, '('))
        return;
    if (*t != NULL)
        proto_unexpected(p, "a name");
    s->base_at = p->tok->at;
    *t = proto_specifiers(p, &inner);
    while (proto_accept(p, '*'))
        *t = proto_pointer_to(p, *t);
    proto_expect(p, ')', "`)`");
}

/* One word, or one struct, union or enum, into `*t` or `w`. False: it belongs to the declarator. */
static bool specifier(struct proto *p, struct proto_storage *s, struct words *w, bool *is_const,
                      struct proto_type **t)
{
    if (!proto_is(p, TOK_WORD))
        return false;
    if (word_in(p->tok->word, attribute_words)) {
        proto_attributes(p, s);
        return true;
    }
    if (storage_class(p, s))
        return true;
    if (word_in(p->tok->word, constness) || word_in(p->tok->word, no_meaning)) {
        *is_const = *is_const || word_in(p->tok->word, constness);
        p->tok++;
        return true;
    }
    if (proto_is_word(p, "_Atomic")) {
        atomic(p, s, t);
        return true;
    }
    if (*t != NULL)
        return false;
    if (w->all == 0)
        s->base_at = p->tok->at;
    if (count_word(p, w))
        return true;
    if (w->all > 0)
        return false;
    if (word_in(p->tok->word, tags)) {
        *t = proto_tagged_type(p);
    } else {
        *t = proto_typedef(p, p->tok->word);
        if (*t != NULL)
            p->tok++;
    }
    return *t != NULL;
}

struct proto_type *proto_specifiers(struct proto *p, struct proto_storage *ret)
{
    const struct proto_token *first = p->tok;
    struct proto_type *t = NULL;
    struct words w = {0};
    bool is_const = false;

    while (specifier(p, ret, &w, &is_const, &t))
        ;
    if (t == NULL && w.all == 0)
        no_type(p);
    if (t == NULL)
        t = arithmetic_type(p, &w);
    if (t == NULL)
        proto_fail(p, TC_R_BAD_PROTOTYPE, first->at, "", "these words don't make a type together");
    if (ret->vector)
        t->kind = K_VECTOR;
    if (ret->atomic && t->kind != K_SCALAR && t->kind != K_POINTER)
        proto_fail(p, TC_R_UNSUPPORTED_TYPE, ret->atomic_at, NULL,
                   "an atomic type that is no integer, floating value or pointer may look "
                   "different from the plain one");
    t->is_const = t->is_const || is_const;
    return t;
}

static void declare_typedef(struct proto *p, struct proto_type *t, const char *name, proto_at at)
{
    struct proto_storage s = {0};

    if (name == NULL)
        proto_fail(p, TC_R_BAD_PROTOTYPE, at, "", "the typedef has no name");
    proto_attributes(p, &s);
    if (s.vector)
        t->kind = K_VECTOR;
    if (s.aligned != NULL)
        proto_fail(p, TC_R_UNSUPPORTED_TYPE, s.aligned->first,
                   "the alignment at the struct or the member",
                   "a typedef with an alignment of its own is a type that arrays can't be made of");
    if (t->kind == K_RECORD && t->record->tag == NULL)
        t->record->tag = name;
    if (!p->in_found || proto_find(p, SYM_TYPEDEF, name) == NULL)
        (void)proto_declare(p, SYM_TYPEDEF, name, t);
}

static void declaration(struct proto *p)
{
    struct proto_storage s = {0};
    struct proto_type *base = proto_specifiers(p, &s);

    if (proto_accept(p, ';'))
        return;
    if (!s.is_typedef)
        proto_fail(p, TC_R_BAD_PROTOTYPE, p->tok->at, "",
                   "`types:` takes types alone: typedef, struct, union and enum");
    do {
        struct proto_type *own = proto_new(p, sizeof *own);
        const char *name = NULL;
        proto_at at;

        *own = *base;
        own = proto_declarator(p, own, &name, &at);
        declare_typedef(p, own, name, at);
    } while (proto_accept(p, ','));
    proto_expect(p, ';', "`;`");
}

void proto_parse_types(struct proto *p)
{
    p->in_types = true;
    while (!proto_is(p, TOK_END))
        if (!proto_accept(p, ';'))
            declaration(p);
    p->in_types = false;
}

bool proto_ask_type(struct proto *p, const char *word, const char *name)
{
    const struct proto_token *tok = p->tok;
    bool in_types = p->in_types, in_expression = p->in_expression, in_found = p->in_found;
    uint32_t nest = p->nest;
    const char *text;

    if (p->text->find_type == NULL)
        return false;
    text = p->text->find_type(p->text->find_arg, proto_format(p, "%s%s", word, name));
    if (text == NULL)
        return false;
    p->nest = 0;
    p->in_expression = false;
    p->in_found = true;
    p->tok = proto_lex(p, TC_PROTO_FOUND, text);
    proto_parse_types(p);
    p->tok = tok;
    p->in_types = in_types;
    p->in_expression = in_expression;
    p->in_found = in_found;
    p->nest = nest;
    return true;
}

bool proto_complete(struct proto *p, struct proto_record *r)
{
    if (!r->complete && r->tagged && !r->is_union)
        (void)proto_ask_type(p, "struct ", r->tag);
    return r->complete;
}
