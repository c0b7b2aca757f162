/* struct, union and enum: tags, members, enumerators. */
#include <string.h>

#include "service/resolve/proto_ast.h"

static struct proto_record *record_of(struct proto *p, const char *tag, bool is_union)
{
    struct proto_symbol *s = tag == NULL ? NULL : proto_find(p, SYM_RECORD, tag);
    struct proto_record *r;

    if (s != NULL)
        return s->type->record;
    r = proto_new(p, sizeof *r);
    r->tag = tag;
    r->tagged = tag != NULL;
    r->is_union = is_union;
    if (tag != NULL) {
        struct proto_type *t = proto_new(p, sizeof *t);

        t->record = r;
        (void)proto_declare(p, SYM_RECORD, tag, t);
    }
    return r;
}

static void add_member(struct proto_member ***end, struct proto_member *m)
{
    **end = m;
    *end = &m->next;
}

/* NAME, NAME[N], *NAME, NAME : BITS, : BITS */
static struct proto_member *member(struct proto *p, const struct proto_type *base,
                                   const struct proto_storage *outer, uint8_t dir)
{
    struct proto_member *m = proto_new(p, sizeof *m);
    struct proto_type *own = proto_new(p, sizeof *own);
    struct proto_storage s = *outer;

    *own = *base;
    m->at = p->tok->at;
    m->type = proto_declarator(p, own, &m->name, &m->at);
    if (proto_accept(p, ':'))
        m->bits = proto_expression(p);
    proto_attributes(p, &s);
    m->packed = s.packed;
    m->aligned = s.aligned;
    m->dir = dir;
    proto_settle_member(p, m);
    return m;
}

static void members(struct proto *p, struct proto_record *r)
{
    struct proto_member **end = &r->members;

    proto_enter(p);
    while (!proto_accept(p, '}')) {
        struct proto_storage s = {0};
        struct proto_type *base;
        uint8_t dir;

        if (proto_is(p, TOK_END))
            proto_unexpected(p, "`}`");
        dir = proto_member_direction(p);
        base = proto_specifiers(p, &s);
        if (s.is_typedef || s.is_extern || s.is_static)
            proto_fail(p, TC_R_BAD_PROTOTYPE, s.at, "", "a member has no storage class");
        do {
            add_member(&end, member(p, base, &s, dir));
        } while (proto_accept(p, ','));
        proto_expect(p, ';', "`;`");
    }
    proto_leave(p);
}

static struct proto_type *record_type(struct proto *p, bool is_union)
{
    const char *word = is_union ? "union" : "struct";
    struct proto_type *t = proto_new(p, sizeof *t);
    struct proto_storage s = {0};
    proto_at at;

    proto_attributes(p, &s);
    at = p->tok->at;
    t->kind = K_RECORD;
    t->height = 1;
    t->record = record_of(p, proto_is(p, TOK_WORD) ? p->tok++->word : NULL, is_union);
    if (t->record->is_union != is_union)
        proto_fail(p, TC_R_BAD_PROTOTYPE, at, "",
                   "'%.60s' was declared as the other of struct "
                   "and union",
                   t->record->tag);
    if (t->record->tag != NULL)
        t->spelled = proto_format(p, "%s %s", word, t->record->tag);
    if (proto_is(p, '{')) {
        struct proto_record *r = t->record;

        if (r->complete && !p->in_found)
            proto_fail(p, TC_R_BAD_PROTOTYPE, at, "", "'%.60s' is declared twice", t->spelled);
        if (r->complete)
            r = proto_new(p, sizeof *r);
        p->tok++;
        members(p, r);
        proto_attributes(p, &s);
        r->packed = s.packed;
        r->aligned = s.aligned;
        r->complete = true;
    } else if (t->record->tag == NULL) {
        proto_unexpected(p, "a tag or `{`");
    }
    return t;
}

/* What gcc and clang choose (C leaves it open): unsigned int where no enumerator is negative; wider
 * where a value needs it; with `packed` the smallest type that holds all. */
static const char *enum_base(int64_t least, int64_t most, bool packed)
{
    if (packed && least >= 0 && most <= UINT8_MAX)
        return "unsigned char";
    if (packed && least >= INT8_MIN && most <= INT8_MAX)
        return "signed char";
    if (packed && least >= 0 && most <= UINT16_MAX)
        return "unsigned short";
    if (packed && least >= INT16_MIN && most <= INT16_MAX)
        return "short";
    if (least >= 0)
        return most <= UINT32_MAX ? "unsigned int" : "unsigned long";
    return least >= INT32_MIN && most <= INT32_MAX ? "int" : "long";
}

struct range {
    int64_t least, most;
};

static void enumerators(struct proto *p, struct range *r)
{
    int64_t next = 0;

    while (!proto_accept(p, '}')) {
        const struct proto_token *name = p->tok;
        struct proto_storage ignored = {0};
        bool known;

        if (!proto_accept(p, TOK_WORD))
            proto_unexpected(p, "an enumerator or `}`");
        known = proto_find(p, SYM_CONSTANT, name->word) != NULL;
        if (known && !p->in_found)
            proto_fail(p, TC_R_BAD_PROTOTYPE, name->at, "", "'%.60s' is declared twice",
                       name->word);
        proto_attributes(p, &ignored);
        if (proto_accept(p, '='))
            next = proto_constant(p, proto_expression(p));
        if (!known)
            proto_declare(p, SYM_CONSTANT, name->word, NULL)->value = next;
        r->least = next < r->least ? next : r->least;
        r->most = next > r->most ? next : r->most;
        if (__builtin_add_overflow(next, 1, &next))
            next = 0;
        if (!proto_accept(p, ',') && !proto_is(p, '}'))
            proto_unexpected(p, "`,` or `}`");
    }
}

static struct proto_type *enum_body(struct proto *p, const char *tag, struct proto_storage *s)
{
    struct range r = {0, 0};
    struct proto_type *t;

    proto_expect(p, '{', "`{`");
    enumerators(p, &r);
    proto_attributes(p, s);
    t = proto_base_type(p, enum_base(r.least, r.most, s->packed));
    t->spelled = proto_format(p, "enum %s", tag != NULL ? tag : "{...}");
    if (tag != NULL)
        (void)proto_declare(p, SYM_ENUM, tag, t);
    return t;
}

_Noreturn static void unknown_enum(struct proto *p, proto_at at, const char *tag)
{
    struct proto_nearest n = {0};

    for (const struct proto_symbol *s = p->symbols; s != NULL; s = s->next)
        if (s->kind == SYM_ENUM)
            proto_near(&n, tag, s->name);
    proto_fail(p, TC_R_UNKNOWN_TYPE, at, n.best == NULL ? NULL : proto_format(p, "enum %s", n.best),
               "'enum %.60s' isn't declared", tag);
}

static struct proto_type *enum_type(struct proto *p)
{
    struct proto_storage s = {0};
    const struct proto_symbol *known;
    struct proto_type *t;
    const char *tag = NULL;
    proto_at at;

    proto_attributes(p, &s);
    at = p->tok->at;
    if (proto_is(p, TOK_WORD))
        tag = p->tok++->word;
    known = tag == NULL ? NULL : proto_find(p, SYM_ENUM, tag);
    if (proto_is(p, '{') && known != NULL && !p->in_found)
        proto_fail(p, TC_R_BAD_PROTOTYPE, at, "", "'enum %.60s' is declared twice", tag);
    if (proto_is(p, '{') || tag == NULL)
        return enum_body(p, tag, &s);
    if (known == NULL && proto_ask_type(p, "enum ", tag))
        known = proto_find(p, SYM_ENUM, tag);
    if (known == NULL)
        unknown_enum(p, at, tag);
    t = proto_new(p, sizeof *t);
    *t = *known->type;
    return t;
}

struct proto_type *proto_tagged_type(struct proto *p)
{
    const char *word = p->tok++->word;

    if (strcmp(word, "enum") == 0)
        return enum_type(p);
    return record_type(p, strcmp(word, "union") == 0);
}
