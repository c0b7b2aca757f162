/* The parser's steps, and a prototype as a whole. */
#include <string.h>

#include "service/resolve/proto_ast.h"

bool proto_is(const struct proto *p, int kind)
{
    return p->tok->kind == kind;
}

bool proto_is_word(const struct proto *p, const char *word)
{
    return p->tok->kind == TOK_WORD && strcmp(p->tok->word, word) == 0;
}

bool proto_accept(struct proto *p, int kind)
{
    if (!proto_is(p, kind))
        return false;
    p->tok++;
    return true;
}

bool proto_accept_word(struct proto *p, const char *word)
{
    if (!proto_is_word(p, word))
        return false;
    p->tok++;
    return true;
}

void proto_unexpected(struct proto *p, const char *wanted)
{
    enum tc_reason reason = p->in_expression ? TC_R_BAD_EXPRESSION : TC_R_BAD_PROTOTYPE;

    proto_fail(p, reason, p->tok->at, "", "%s is expected here, not %s", wanted,
               proto_describe(p, p->tok));
}

void proto_expect(struct proto *p, int kind, const char *what)
{
    if (!proto_accept(p, kind))
        proto_unexpected(p, what);
}

void proto_enter(struct proto *p)
{
    if (++p->nest > PROTO_MAX_NEST)
        proto_fail(p, p->in_expression ? TC_R_BAD_EXPRESSION : TC_R_BAD_PROTOTYPE, p->tok->at, "",
                   "more than %u levels are nested here", PROTO_MAX_NEST);
}

void proto_leave(struct proto *p)
{
    p->nest--;
}

/* `malloc`, `malloc(EXTENT)` and `static(EXTENT)` in front of the result. C's own storage classes
 * are read along with the type. */
static void result_qualifiers(struct proto *p, struct proto_function *f)
{
    for (;; p->tok++) {
        const struct proto_token *next = p->tok + 1;

        bool is_malloc = proto_is_word(p, "malloc");

        if (proto_is_word(p, "codec") && next->kind == '(') {
            f->result_qualifier_at = p->tok++->at;
            f->result_codec = proto_codec_name(p);
            continue;
        }
        if (!is_malloc && !(proto_is_word(p, "static") && next->kind == '('))
            return;
        if (f->result_malloc || f->result_static)
            proto_fail(
                p, TC_R_BAD_PROTOTYPE, p->tok->at, "",
                "a result belongs to the caller (`malloc`) or the function (`static`), once");
        f->result_malloc = is_malloc;
        f->result_static = !is_malloc;
        f->result_qualifier_at = p->tok->at;
        if (next->kind != '(')
            continue;
        p->tok += 2;
        f->result_extent = proto_expression(p);
        if (!proto_is(p, ')'))
            proto_unexpected(p, "`)`");
    }
}

/* "asm("name")" and attributes behind the declarator don't matter; the end does. */
static void prototype_end(struct proto *p)
{
    struct proto_storage ignored = {0};

    proto_attributes(p, &ignored);
    (void)proto_accept(p, ';');
    if (!proto_is(p, TOK_END))
        proto_unexpected(p, "the end of the prototype");
}

void proto_parse_prototype(struct proto *p)
{
    struct proto_function *f = proto_new(p, sizeof *f);
    struct proto_storage storage = {0};
    struct proto_type *t;

    result_qualifiers(p, f);
    t = proto_specifiers(p, &storage);
    f->result_at = storage.base_at;
    f->result_static_word = storage.is_static;
    if (storage.is_typedef)
        proto_fail(p, TC_R_BAD_PROTOTYPE, storage.at, "", "a typedef belongs under `types:`");
    t = proto_declarator(p, t, &f->name, &f->at);
    if (t->kind != K_FUNCTION || t->spelled != NULL)
        proto_fail(p, TC_R_BAD_PROTOTYPE, f->name != NULL ? f->at : p->tok->at,
                   "double mean(const double x[n], int n)", "this doesn't declare a function");
    if (f->name == NULL)
        proto_fail(p, TC_R_BAD_PROTOTYPE, f->at, "", "the function has no name");
    prototype_end(p);
    f->result = t->to;
    f->params = t->params;
    f->param_count = t->param_count;
    p->fn = f;
    if (t->variadic)
        proto_fail(p, TC_R_VARIADIC, t->variadic_at, NULL,
                   "'%.60s' is variadic: nobody knows the arguments behind the `...`", f->name);
}
