/* Templates: plain text with {expression}; `{{` is a brace. */
#include <string.h>

#include "service/resolve/proto_ast.h"

static proto_at place(size_t at)
{
    return (proto_at)TC_PROTO_KEY << 24 | (proto_at)at;
}

static struct proto_key_part *new_part(struct proto *p, size_t at)
{
    if (p->key_part_count == TC_MAX_KEY_PARTS)
        proto_fail(p, TC_R_TOO_MANY, place(at), "", "a template has at most %u parts",
                   TC_MAX_KEY_PARTS);
    return &p->key_parts[p->key_part_count++];
}

/* The closing brace; one in quotes is a character. */
static const char *closing(const char *s)
{
    for (; *s != 0 && *s != '}'; s++)
        if (*s == '\'' && s[1] != 0 && s[2] != 0)
            s += s[1] == '\\' ? 3 : 2;
    return *s == '}' ? s : NULL;
}

/* The expression alone, at its place in the template: places in messages are the template's. */
static const char *expression_at(struct proto *p, const char *start, const char *end)
{
    const char *whole = p->text->key;
    char *copy = proto_copy(p, whole, (size_t)(end - whole));

    memset(copy, ' ', (size_t)(start - whole));
    return copy;
}

static const char *add_value(struct proto *p, const char *brace)
{
    const char *end = closing(brace + 1);
    size_t at = (size_t)(brace - p->text->key);
    struct proto_key_part *part = new_part(p, at);
    struct proto_expr *e;

    if (end == NULL)
        proto_fail(p, TC_R_BAD_EXPRESSION, place(at), "write `{{` for a brace",
                   "the brace of a template isn't closed");
    p->tok = proto_lex(p, TC_PROTO_KEY, expression_at(p, brace + 1, end));
    p->in_expression = true;
    e = proto_expression(p);
    if (!proto_is(p, TOK_END))
        proto_unexpected(p, "the end of the expression");
    p->in_expression = false;
    part->program = proto_value_program(p, e, &part->kind);
    return end + 1;
}

/* Up to the next expression. */
static const char *add_text(struct proto *p, const char *s)
{
    struct proto_key_part *part = new_part(p, (size_t)(s - p->text->key));
    char *text = proto_copy(p, s, strlen(s)), *to = text;

    for (; *s != 0 && (*s != '{' || s[1] == '{'); s++) {
        s += *s == '{';
        *to++ = *s;
    }
    *to = 0;
    *part = (struct proto_key_part){text, TC_NO_EXPR, TC_PART_TEXT};
    return s;
}

void proto_compile_template(struct proto *p)
{
    const char *s = p->text->key;

    if (s == NULL)
        return;
    if (*s == 0)
        proto_fail(p, TC_R_BAD_EXPRESSION, place(0), "", "the template is empty");
    if (strlen(s) > PROTO_MAX_TEXT)
        proto_fail(p, TC_R_TOO_MANY, place(0), "", "the template is too long");
    while (*s != 0)
        s = *s == '{' && s[1] != '{' ? add_value(p, s) : add_text(p, s);
}
