#include <limits.h>
#include <string.h>

#include "service/resolve/proto_ast.h"

struct lexer {
    struct proto *p;
    enum tc_proto_field field;
    const char *text, *at;
    struct proto_token *tokens;
    uint32_t count, allocated;
};

static proto_at place(const struct lexer *l, const char *at)
{
    return (proto_at)l->field << 24 | (proto_at)(at - l->text);
}

static enum tc_reason bad(const struct lexer *l)
{
    return l->field == TC_PROTO_SKIP || l->field == TC_PROTO_SUCCESS || l->field == TC_PROTO_KEY
               ? TC_R_BAD_EXPRESSION
               : TC_R_BAD_PROTOTYPE;
}

/* Locale-independent: the service's locale says nothing about a config. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static struct proto_token *add(struct lexer *l, int kind, const char *start, const char *end)
{
    struct proto_token *t;

    if (l->count == l->allocated) {
        uint32_t allocated = 2 * l->allocated + 128;
        struct proto_token *tokens = proto_new(l->p, allocated * sizeof *tokens);

        if (l->count > 0)
            memcpy(tokens, l->tokens, l->count * sizeof *tokens);
        l->tokens = tokens;
        l->allocated = allocated;
    }
    t = &l->tokens[l->count++];
    t->kind = kind;
    t->at = place(l, start);
    t->start = start;
    t->bytes = (uint32_t)(end - start);
    l->at = end;
    return t;
}

static void skip_block_comment(struct lexer *l)
{
    const char *end = strstr(l->at + 2, "*/");

    if (end == NULL)
        proto_fail(l->p, bad(l), place(l, l->at), "write a space between `/` and `*` to divide",
                   "the comment that begins here doesn't end");
    l->at = end + 2;
}

static void skip_space(struct lexer *l)
{
    for (;;) {
        char c = *l->at;

        if (c == ' ' || (c >= '\t' && c <= '\r'))
            l->at++;
        else if (c == '#' || (c == '/' && l->at[1] == '/'))
            l->at += strcspn(l->at, "\n");
        else if (c == '/' && l->at[1] == '*')
            skip_block_comment(l);
        else
            return;
    }
}

static void lex_word(struct lexer *l)
{
    const char *end = l->at;
    struct proto_token *t;

    /* ns::name is one word: C++'s functions and types. */
    while (is_letter(*end) || is_digit(*end) ||
           (end[0] == ':' && end[1] == ':' && is_letter(end[2])))
        end += *end == ':' ? 2 : 1;
    if (end - l->at > (ptrdiff_t)PROTO_MAX_NAME)
        proto_fail(l->p, bad(l), place(l, l->at), "", "a name is longer than %u bytes",
                   PROTO_MAX_NAME);
    t = add(l, TOK_WORD, l->at, end);
    t->word = proto_copy(l->p, t->start, t->bytes);
}

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* u, l, ll in any order and case, as C writes them. */
static bool is_suffix(const char *s, const char *end)
{
    int u = 0, l = 0;

    for (; s < end; s++) {
        if (*s == 'u' || *s == 'U')
            u++;
        else if (*s == 'l' || *s == 'L')
            l++;
        else
            return false;
    }
    return u <= 1 && l <= 2;
}

static const char *skip_digits(const char *s)
{
    while (is_digit(*s))
        s++;
    return s;
}

/* Where the exponent at `s` ends; `s`: there is none. */
static const char *skip_exponent(const char *s)
{
    const char *digits = s + 1;

    if (*s != 'e' && *s != 'E')
        return s;
    if (*digits == '+' || *digits == '-')
        digits++;
    return is_digit(*digits) ? skip_digits(digits) : s;
}

/* A decimal number with a fraction or an exponent: where it ends, its suffix included. NULL: it is
 * none of those. */
static const char *float_end(const char *s)
{
    const char *whole = skip_digits(s), *end;

    end = skip_exponent(*whole == '.' ? skip_digits(whole + 1) : whole);
    if (end == whole)
        return NULL;
    return *end == 'f' || *end == 'F' ? end + 1 : end;
}

static void lex_float(struct lexer *l, const char *end)
{
    const char *start = l->at;
    int64_t bits = 0;

    if (is_letter(*end) || is_digit(*end) || *end == '.')
        proto_fail(l->p, TC_R_BAD_EXPRESSION, place(l, start), "",
                   "this isn't a number: 12, 0x1f, 0.5, 1e-9 are");
    if (proto_float_parse(l->p, start, end, &bits) != 0)
        proto_fail(l->p, TC_R_BAD_EXPRESSION, place(l, start), "",
                   "the number is too large or too small for its type");
    add(l, TOK_FLOAT, start, end)->value = bits;
}

static void lex_integer(struct lexer *l)
{
    const char *start = l->at, *end = start, *s = start;
    int base = 10;
    uint64_t value = 0;

    while (is_letter(*end) || is_digit(*end) || *end == '.')
        end++;
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s += 2;
    } else if (s[0] == '0') {
        base = 8;
    }
    if (base == 16 && digit_value(*s) >= base)
        proto_fail(l->p, TC_R_BAD_EXPRESSION, place(l, start), "",
                   "this isn't a number: 12, 0x1f, 0.5, 1e-9 are");
    for (; s < end && digit_value(*s) < base; s++) {
        if (value > ((uint64_t)INT64_MAX - (unsigned)digit_value(*s)) / (unsigned)base)
            proto_fail(l->p, TC_R_BAD_EXPRESSION, place(l, start), "",
                       "the number is too large: values are 64-bit and signed");
        value = value * (unsigned)base + (unsigned)digit_value(*s);
    }
    if (!is_suffix(s, end))
        proto_fail(l->p, TC_R_BAD_EXPRESSION, place(l, start), "",
                   "this isn't a number: 12, 0x1f, 0.5, 1e-9 are");
    add(l, TOK_NUMBER, start, end)->value = (int64_t)value;
}

static void lex_number(struct lexer *l)
{
    const char *end = float_end(l->at);

    if (end != NULL)
        lex_float(l, end);
    else
        lex_integer(l);
}

/* The escape behind a backslash at *s. -1: not one. */
static int escape(const char **s)
{
    static const char names[] = "abfnrtv\\'\"?0", values[] = "\a\b\f\n\r\t\v\\'\"?";
    const char *name;
    int value = 0;

    if (**s == 'x') {
        for (++*s; digit_value(**s) < 16 && value < 256; ++*s)
            value = value * 16 + digit_value(**s);
        return (*s)[-1] == 'x' || value > 255 ? -1 : value;
    }
    if (**s >= '0' && **s <= '7') {
        for (int i = 0; i < 3 && **s >= '0' && **s <= '7'; i++, ++*s)
            value = value * 8 + digit_value(**s);
        return value > 255 ? -1 : value;
    }
    name = **s == '\0' ? NULL : strchr(names, **s);
    if (name == NULL)
        return -1;
    ++*s;
    return (unsigned char)values[name - names];
}

static void lex_char(struct lexer *l)
{
    const char *s = l->at + 1;
    int value = (unsigned char)*s;

    if (*s == '\\') {
        s++;
        value = escape(&s);
    } else if (*s != '\0') {
        s++;
    }
    if (value <= 0 && l->at[1] != '\\')
        value = -1;
    if (value < 0 || *s != '\'' || (l->at[1] == '\'') || l->at[1] == '\n')
        proto_fail(l->p, TC_R_BAD_EXPRESSION, place(l, l->at), "'N'",
                   "this isn't a character constant");
    add(l, TOK_CHAR, l->at, s + 1)->value = (signed char)value;
}

/* Occurs in attributes and `extern "C"` only: its content doesn't matter. */
static void lex_string(struct lexer *l)
{
    const char *s = l->at + 1;

    while (*s != '"' && *s != '\n' && *s != '\0')
        s += *s == '\\' && s[1] != '\0' ? 2 : 1;
    if (*s != '"')
        proto_fail(l->p, bad(l), place(l, l->at), "", "the string that begins here doesn't end");
    add(l, TOK_STRING, l->at, s + 1);
}

static void lex_punctuator(struct lexer *l)
{
    static const struct {
        char text[4];
        int kind;
    } longer[] = {
        {"...", TOK_ELLIPSIS}, {"==", TOK_EQ}, {"!=", TOK_NE},  {"<=", TOK_LE},  {">=", TOK_GE},
        {"&&", TOK_AND},       {"||", TOK_OR}, {"<<", TOK_SHL}, {">>", TOK_SHR}, {"->", TOK_ARROW},
    };
    unsigned char c = (unsigned char)*l->at;

    for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++) {
        size_t bytes = strlen(longer[i].text);

        if (strncmp(l->at, longer[i].text, bytes) == 0) {
            add(l, longer[i].kind, l->at, l->at + bytes);
            return;
        }
    }
    if (strchr("()[]{},;:?*+-/%!=<>.&|^~", c) != NULL)
        add(l, c, l->at, l->at + 1);
    else if (c > ' ' && c < 0x7f)
        proto_fail(l->p, bad(l), place(l, l->at), "", "'%c' has no meaning here", c);
    else
        proto_fail(l->p, bad(l), place(l, l->at), "", "the byte 0x%02x has no meaning here", c);
}

const struct proto_token *proto_lex(struct proto *p, enum tc_proto_field field, const char *text)
{
    struct lexer l = {.p = p, .field = field, .text = text, .at = text};
    const char *end;

    if (strnlen(text, PROTO_MAX_TEXT) == PROTO_MAX_TEXT)
        proto_fail(p, TC_R_TOO_MANY, (proto_at)field << 24, "", "the text is longer than %u bytes",
                   PROTO_MAX_TEXT - 1);
    for (skip_space(&l); *l.at != '\0'; skip_space(&l)) {
        if (is_letter(*l.at))
            lex_word(&l);
        else if (is_digit(*l.at) || (*l.at == '.' && is_digit(l.at[1])))
            lex_number(&l);
        else if (*l.at == '\'')
            lex_char(&l);
        else if (*l.at == '"')
            lex_string(&l);
        else
            lex_punctuator(&l);
    }
    end = l.count == 0 ? text : l.tokens[l.count - 1].start + l.tokens[l.count - 1].bytes;
    add(&l, TOK_END, end, end);
    return l.tokens;
}

const char *proto_describe(struct proto *p, const struct proto_token *t)
{
    if (t->kind == TOK_END)
        return "the end of the text";
    return proto_format(p, "`%.*s`", t->bytes > 40 ? 40 : (int)t->bytes, t->start);
}
