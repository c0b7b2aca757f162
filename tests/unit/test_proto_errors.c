/* What is refused: the reason, the exact place, the sentence and the remedy. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/proto_fixture.h"

/* '@' in one of the texts marks where the error must point. */
struct refusal {
    const char *prototype;
    enum tc_reason reason;
    const char *sentence; /* a part of it; NULL: any */
    const char *remedy;   /* NULL: the reason's own */
    const char *types, *skip, *success;
};

static char *unmark(const char *text, enum tc_proto_field field, enum tc_proto_field *ret_field,
                    size_t *ret_at)
{
    const char *mark = text == NULL ? NULL : strchr(text, '@');
    char *r = text == NULL ? NULL : strdup(text);

    if (mark != NULL) {
        *ret_field = field;
        *ret_at = (size_t)(mark - text);
        memmove(r + *ret_at, r + *ret_at + 1, strlen(r + *ret_at));
    }
    return r;
}

static void compare(const struct refusal *x, const struct compiled *c, enum tc_proto_field field,
                    size_t at)
{
    const char *remedy = x->remedy != NULL ? x->remedy : tc_reason_info(x->reason)->remedy;

    if (c->status != -EINVAL)
        fail_msg("%s: accepted (%d)", x->prototype, c->status);
    if (c->error.reason != x->reason)
        fail_msg("%s: %s: %s", x->prototype, tc_reason_info(c->error.reason)->id,
                 c->error.sentence);
    if (c->field != field || c->error.at != at)
        fail_msg("%s: points at %zu of text %d: %s", x->prototype, c->error.at, (int)c->field,
                 c->error.sentence);
    if (x->sentence != NULL && strstr(c->error.sentence, x->sentence) == NULL)
        fail_msg("%s: says: %s", x->prototype, c->error.sentence);
    if (strcmp(c->error.remedy, remedy) != 0)
        fail_msg("%s: %s: remedy: %s", x->prototype, c->error.sentence, c->error.remedy);
    /* A failure leaves no traces. */
    assert_int_equal(c->builder.bytes, sizeof(struct tc_flat_header) + sizeof(struct tc_config));
    assert_int_equal(c->task.params.count, 0);
}

static void check(const struct refusal *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum tc_proto_field field = TC_PROTO_FIELDS;
        size_t at = 0;
        char *prototype = unmark(list[i].prototype, TC_PROTO_PROTOTYPE, &field, &at);
        char *types = unmark(list[i].types, TC_PROTO_TYPES, &field, &at);
        char *skip = unmark(list[i].skip, TC_PROTO_SKIP, &field, &at);
        char *success = unmark(list[i].success, TC_PROTO_SUCCESS, &field, &at);
        const struct tc_proto_text text = {prototype, types, skip, success};
        struct compiled c;

        compile_text(&c, &text);
        compare(&list[i], &c, field, at);
        compiled_free(&c);
        free(prototype);
        free(types);
        free(skip);
        free(success);
    }
}
#define CHECK(list) check(list, sizeof(list) / sizeof((list)[0]))

static void extents_and_directions(void **state)
{
    static const struct refusal list[] = {
        {"double mean(const double *@x, int n)", TC_R_EXTENT_MISSING,
         "parameter 'x' of 'mean' has no extent", "const double x[n]"},
        {"int f(size_t n, const void *@p)", TC_R_EXTENT_MISSING, NULL, "const void p[n]"},
        {"int f(const float @x[])", TC_R_EXTENT_MISSING, NULL, "const float x[COUNT]"},
        {"int f(out void *@p, size_t n)", TC_R_EXTENT_MISSING, NULL, "out void p[n]"},
        {"int f(inout double @x[], int a, int b)", TC_R_EXTENT_MISSING, NULL, "inout double x[a]"},
        {"int f(const char *@names[], int n)", TC_R_EXTENT_MISSING, NULL, "const char *names[n]"},
        {"int f(const double a[n][@], int n)", TC_R_BAD_PROTOTYPE, "empty extent", ""},
        {"int f(out const int @x[3])", TC_R_BAD_PROTOTYPE, "points at const", ""},
        {"int f(@out int n)", TC_R_BAD_PROTOTYPE, "is a value", "out int n[1]"},
        {"int f(in @out int *n)", TC_R_BAD_PROTOTYPE, "one direction", "inout"},
        {"int f(@hidden int *n)", TC_R_BAD_PROTOTYPE, "isn't a length", ""},
        {"int f(@hidden double n)", TC_R_BAD_PROTOTYPE, "isn't a length", ""},
        {"int f(@file int n)", TC_R_BAD_PROTOTYPE, "needs a path", ""},
        {"int f(const double x[n : @n], int n)", TC_R_BAD_PROTOTYPE, "one dimension",
         "x[COUNT][1 : STRIDE]"},
        {"int f(const int x[n <= @3], int n)", TC_R_BAD_PROTOTYPE, "for outputs", ""},
        {"int f(out @struct stats *s)", TC_R_UNKNOWN_TYPE, "aren't declared", NULL},
    };

    (void)state;
    CHECK(list);
}

static void capacities(void **state)
{
    static const struct refusal list[] = {
        {"ssize_t decode(const void in[n], size_t n, out char text[@return], size_t cap)",
         TC_R_CAPACITY_MISSING, "'text' of 'decode'", "out char text[return <= cap]"},
        {"int f(out int b[@*len], out size_t *len)", TC_R_CAPACITY_MISSING, NULL,
         "out int b[*len <= COUNT]"},
        {"int f(out int b[@*len], inout size_t *len)", TC_R_CAPACITY_MISSING, NULL,
         "out int b[*len <= old(*len)]"},
        {"int f(out char s[@strlen(s) + 1], int n)", TC_R_CAPACITY_MISSING, NULL,
         "out char s[strlen(s) + 1 <= n]"},
        {"int f(out int b[return <= *@n], inout int *n)", TC_R_BAD_EXPRESSION,
         "which the call changes", "old(*n)"},
        {"int f(out int b[return <= @return])", TC_R_BAD_EXPRESSION, "hasn't returned", ""},
        {"int f(out int b[return <= *@n], out int *n)", TC_R_BAD_EXPRESSION, "read before the call",
         ""},
        {"int f(out int b[2][@return], int n)", TC_R_CAPACITY_MISSING, "needs a capacity",
         "out int b[2][return <= n]"},
        {"int f(out int b[2][return : @5], int n)", TC_R_BAD_PROTOTYPE, "has no stride", ""},
        {"int f(out int b[2][return <= @n : 7], int n)", TC_R_BAD_PROTOTYPE, "a stride and a", ""},
        {"int f(inout int b[n <= @9], int n)", TC_R_BAD_PROTOTYPE, "`inout`", ""},
    };

    (void)state;
    CHECK(list);
}

static void expressions(void **state)
{
    static const struct refusal list[] = {
        {"int f(const int x[@lenght], int length)", TC_R_UNKNOWN_PARAMETER,
         "'f' has no parameter 'lenght'", "length"},
        {"int f(const int x[@zzz], int length)", TC_R_UNKNOWN_PARAMETER, NULL, ""},
        {"int f(ignore int x[@zzz], int length)", TC_R_UNKNOWN_PARAMETER, NULL, ""},
        {"void f(out int x[@return <= 3])", TC_R_BAD_EXPRESSION, "returns void", ""},
        {"int f(const int x[@return])", TC_R_BAD_EXPRESSION, "hasn't returned", ""},
        {"int f(const int x[*@n], out int *n)", TC_R_BAD_EXPRESSION, "read before the call", ""},
        {"int f(const int x[@*n], const void n[1])", TC_R_BAD_EXPRESSION, "pointer to void", ""},
        {"int f(const int x[@n], const int n[1])", TC_R_BAD_EXPRESSION, "is a pointer", ""},
        {"int f(const int x[1 + @n], const int n[1])", TC_R_BAD_EXPRESSION, "with a pointer", ""},
        {"int f(const int x[*@n], int n)", TC_R_BAD_EXPRESSION, "isn't a pointer", ""},
        {"int f(const int x[n @== 1], const int n[1])", TC_R_BAD_EXPRESSION, "isn't 0", ""},
        {"int f(const int x[n @? n : 1], const int n[1])", TC_R_BAD_EXPRESSION, "different types",
         ""},
        {"int f(const int x[@l], hidden int l)", TC_R_BAD_EXPRESSION, "hidden", ""},
        {"int f(const int x[@strlen(y)], const int y[2])", TC_R_BAD_EXPRESSION, "isn't a string",
         ""},
        {"int f(const int x[@strlne(y)], const char *y)", TC_R_BAD_EXPRESSION, "'strlne'",
         "strlen"},
        {"int f(const int x[@sizeof(n)], int n)", TC_R_BAD_EXPRESSION, "'sizeof'", ""},
        {"int f(const int x[min(n@)], int n)", TC_R_BAD_EXPRESSION, "comma", ""},
        {"int f(const int x[n @& 1], int n)", TC_R_BAD_EXPRESSION, "no operator `&`", ""},
        {"int f(const int x[n +@], int n)", TC_R_BAD_EXPRESSION, "a value is expected", ""},
        {"int f(const int x[(n@], int n)", TC_R_BAD_EXPRESSION, "`)` is expected", ""},
        {"int f(const int x[n @n], int n)", TC_R_BAD_EXPRESSION, "`]` is expected", ""},
        {"int f(const int x[@9223372036854775808])", TC_R_BAD_EXPRESSION, "too large", ""},
        {"int f(const int x[@'ab'])", TC_R_BAD_EXPRESSION, "character constant", "'N'"},
        {"int f(const int x[@-1])", TC_R_BAD_EXPRESSION, "is negative", ""},
        {"int f(const int x[@1 / 0])", TC_R_BAD_EXPRESSION, "divides by zero", ""},
        {"int f(const int x[n@/*m], const int m[1], int n)", TC_R_BAD_PROTOTYPE, "doesn't end",
         "write a space between `/` and `*` to divide"},
        {"int f(out int x[old(@old(n)) + *n <= 3], inout int *n)", TC_R_BAD_EXPRESSION, "nests",
         ""},
        {"int f(const int x[s->@len], struct s *s)", TC_R_UNKNOWN_TYPE, "aren't declared", NULL},
        {"int f(const int x[s->@lenght], struct s *s)", TC_R_UNKNOWN_MEMBER,
         "'struct s' has no member", "length", "struct s { int length; };"},
        {"int f(const int x[@s], struct s s)", TC_R_BAD_EXPRESSION, "isn't a number", "",
         "struct s { int length; };"},
        {"struct s f(out int x[return.@n <= 3])", TC_R_BAD_EXPRESSION, "isn't a struct", "",
         "struct s { int n; };"},
        {"int f(const int x[n.@len], int n)", TC_R_BAD_EXPRESSION, "isn't a struct", ""},
    };

    (void)state;
    CHECK(list);
}

/* Floating values are compared and tested; nothing is computed with them. */
static void floating(void **state)
{
    static const struct refusal list[] = {
        {"int f(const int x[@lo], double lo)", TC_R_BAD_EXPRESSION, "an integer is needed", ""},
        {"double f(out int x[@return <= 3])", TC_R_BAD_EXPRESSION, "an integer is needed", ""},
        {"int f(const int x[@*n], const float n[1])", TC_R_BAD_EXPRESSION, "an integer is needed",
         ""},
        {"int f(const int x[@1.5])", TC_R_BAD_EXPRESSION, "an integer is needed", ""},
        {"int f(const int x[n @? 2.0 : 1.0], int n)", TC_R_BAD_EXPRESSION, "an integer is needed",
         ""},
        {"int f(const int x[@*n], inout double *n)", TC_R_BAD_EXPRESSION, "an integer is needed",
         ""},
        {"int f(const int x[@lo + 1], double lo)", TC_R_BAD_EXPRESSION,
         "computes with a floating value: they can only be compared and tested", ""},
        {"int f(const int x[n * @0.5], int n)", TC_R_BAD_EXPRESSION, "computes with", ""},
        {"int f(const int x[-@lo], double lo)", TC_R_BAD_EXPRESSION, "computes with", ""},
        {"int f(const int x[min(n, @lo)], int n, float lo)", TC_R_BAD_EXPRESSION, "computes with",
         ""},
        {"int f(const int x[y[@lo]], const int y[9], double lo)", TC_R_BAD_EXPRESSION,
         "computes with", ""},
        {"int f(const int x[*@lo], double lo)", TC_R_BAD_EXPRESSION, "isn't a pointer", ""},
        {"int f(const int x[y @== 0.0], const int y[9])", TC_R_BAD_EXPRESSION,
         "compares a pointer with a floating value", ""},
        {"int f(const int x[lo @!= NULL], double lo)", TC_R_BAD_EXPRESSION, "compares a pointer",
         ""},
        {"int f(const int x[n @? 1.5 : 1], int n)", TC_R_BAD_EXPRESSION, "different types", ""},
        {"int f(const int x[n @? 1.5 : NULL], int n)", TC_R_BAD_EXPRESSION, "different types", ""},
        {"int f(const int x[n @? y : lo], int n, const int y[9], double lo)", TC_R_BAD_EXPRESSION,
         "different types", ""},
        {"int f(int n)", TC_R_BAD_PROTOTYPE, "can't be computed", "", "enum e { A = @1.5 };"},
        {"double f(int n)", TC_R_BAD_EXPRESSION, "hasn't returned", "", NULL, "@return >= 0.5"},
        {"int f(out double x[1])", TC_R_BAD_EXPRESSION, "read before", "", NULL, "*@x < 0.5"},
        {"int f(double x)", TC_R_BAD_EXPRESSION, "isn't a number", "", NULL, "x < @0.5l"},
        {"int f(double x)", TC_R_BAD_EXPRESSION, "isn't a number", "", NULL, "x < @1.2.3"},
        {"int f(double x)", TC_R_BAD_EXPRESSION, "isn't a number", "", NULL, "x < @1e"},
        {"int f(double x)", TC_R_BAD_EXPRESSION, "isn't a number", "", NULL, "x < @.5e+"},
        {"int f(double x)", TC_R_BAD_EXPRESSION, "isn't a number", "", NULL, "x < @0x1p3"},
        {"int f(double x)", TC_R_BAD_EXPRESSION, "isn't a number", "", NULL, "x < @0x1.8"},
        {"int f(double x)", TC_R_BAD_EXPRESSION, "too large or too small", "", NULL, "x < @1e309"},
        {"int f(double x)", TC_R_BAD_EXPRESSION, "too large or too small", "", NULL, "x < @1e-400"},
        {"int f(float x)", TC_R_BAD_EXPRESSION, "too large or too small", "", NULL, "x < @1e39f"},
    };

    (void)state;
    CHECK(list);
}

static void rules(void **state)
{
    static const struct refusal list[] = {
        {"int f(int n)", TC_R_BAD_EXPRESSION, "hasn't returned", "", NULL, "n > @return", NULL},
        {"int f(int n)", TC_R_UNKNOWN_PARAMETER, NULL, "", NULL, "@m < 0", NULL},
        {"int f(out int n[1])", TC_R_BAD_EXPRESSION, "read before", "", NULL, "*@n < 0", NULL},
        {"int f(int n)", TC_R_BAD_EXPRESSION, "end of the expression", "", NULL, "n @n", NULL},
        {"double f(int n)", TC_R_BAD_EXPRESSION, "with a floating", "", NULL, NULL, "@return + 1"},
        {"int f(int n)", TC_R_UNKNOWN_PARAMETER, NULL, "return", NULL, NULL, "@retrun >= 0"},
        {"void *f(out char s[3])", TC_R_BAD_EXPRESSION, "reads through `return`", "", NULL, NULL,
         "*@return == 0"},
        {"int f(int n)", TC_R_BAD_EXPRESSION, "isn't 0", "", NULL, NULL, "return @== NULL"},
        {"int f(int n)", TC_R_BAD_EXPRESSION, "a value is expected", "", NULL, NULL, "!@"},
    };

    (void)state;
    CHECK(list);
}

static void types(void **state)
{
    static const struct refusal list[] = {
        {"int f(const @unit8_t x[3])", TC_R_UNKNOWN_TYPE, "'unit8_t'", "uint8_t"},
        {"int f(@ouput int x[3])", TC_R_UNKNOWN_TYPE, NULL, "out"},
        {"@Vec3 cross(Vec3 a, Vec3 b)", TC_R_UNKNOWN_TYPE, "'Vec3'", NULL},
        {"int f(enum @color c)", TC_R_UNKNOWN_TYPE, "'enum color' isn't declared", NULL},
        {"int f(enum @colour c)", TC_R_UNKNOWN_TYPE, NULL, "enum color", "enum color { RED };"},
        {"int f(@struct s s)", TC_R_UNKNOWN_TYPE, "'struct s'", NULL},
        {"int f(@FILE f)", TC_R_BAD_PROTOTYPE, "a FILE", ""},
        {"int f(@void x)", TC_R_BAD_PROTOTYPE, "has the type void", ""},
        {"int f(@long float x)", TC_R_BAD_PROTOTYPE, "don't make a type", ""},
        {"int f(int x)", TC_R_BAD_PROTOTYPE, "types alone", "", "int @x;"},
        {"int f(int x)", TC_R_UNKNOWN_TYPE, NULL, "size_t", "typedef @sized_t x;"},
        {"int f(int x)", TC_R_BAD_PROTOTYPE, "`}`", "", "struct s { int a;@"},
        {"int f(int x)", TC_R_BAD_PROTOTYPE, "declared twice", "",
         "struct s { int a; }; struct @s {};"},
        {"int f(int x)", TC_R_BAD_PROTOTYPE, "isn't a constant", "", "enum e { A = @B };"},
        {"int f(int x)", TC_R_UNSUPPORTED_TYPE, "'mode'", NULL,
         "typedef int x __attribute__((@mode(DI)));"},
    };

    (void)state;
    CHECK(list);
}

static void syntax(void **state)
{
    static const struct refusal list[] = {
        {"@", TC_R_BAD_PROTOTYPE, "a type is expected", ""},
        {"int @x", TC_R_BAD_PROTOTYPE, "doesn't declare a function",
         "double mean(const double x[n], int n)"},
        {"int f(int a@", TC_R_BAD_PROTOTYPE, "the end of the text", ""},
        {"int f(int a @b)", TC_R_BAD_PROTOTYPE, "`,` or `)` is expected here, not `b`", ""},
        {"int f(int a) @{}", TC_R_BAD_PROTOTYPE, "the end of the prototype", ""},
        {"int f(@int)", TC_R_BAD_PROTOTYPE, "parameter 1 of 'f' has no name", "int NAME"},
        {"int f(int a, char @a)", TC_R_BAD_PROTOTYPE, "two parameters 'a'", ""},
        {"int f(int a; @$)", TC_R_BAD_PROTOTYPE, "'$'", ""},
        {"int f(int @\"", TC_R_BAD_PROTOTYPE, NULL, ""},
        {"int f(out @*x)", TC_R_BAD_PROTOTYPE, "a type is expected", ""},
        {"int f(const @out int x[3])", TC_R_BAD_PROTOTYPE, "in front of the whole parameter", ""},
        {"@typedef int f(int a)", TC_R_BAD_PROTOTYPE, "`types:`", ""},
        {"int printf(const char *format, @...)", TC_R_VARIADIC, "'printf' is variadic", NULL},
        {"int f(const char *format, @va_list ap)", TC_R_VARIADIC, "nobody knows", NULL},
    };

    (void)state;
    CHECK(list);
}

static void ownership(void **state)
{
    static const struct refusal list[] = {
        {"@malloc int lookup(const char *name)", TC_R_BAD_PROTOTYPE, "returns no pointer", ""},
        {"malloc @static(3) int *f(int n)", TC_R_BAD_PROTOTYPE, "once", ""},
        {"malloc @double *f(int n)", TC_R_EXTENT_MISSING, "the result of 'f' has no extent",
         "malloc(n) double *f"},
        {"malloc @void *f(int n)", TC_R_EXTENT_MISSING, NULL, "malloc(n) void *f"},
        {"malloc @FILE *f(int n)", TC_R_OWNERSHIP_MISSING, "nobody knows", NULL},
        {"malloc @char **f(int n)", TC_R_OWNERSHIP_MISSING, "a block of pointers", NULL},
        {"malloc @struct s *f(int n)", TC_R_UNKNOWN_TYPE, "aren't declared", NULL},
        {"malloc @struct s *f(int n)", TC_R_OWNERSHIP_MISSING, "pointers inside", NULL,
         "struct s { int n; char *p; };"},
        {"malloc(@return) char *f(int n)", TC_R_BAD_EXPRESSION, "is a pointer", ""},
        {"malloc(@k) char *f(int n)", TC_R_UNKNOWN_PARAMETER, NULL, ""},
        {"malloc(@-1) char *f(int n)", TC_R_BAD_EXPRESSION, "is negative", ""},
        {"static(n @char *f(int n)", TC_R_BAD_PROTOTYPE, "`)` is expected here", ""},
        {"int f(out @malloc int n)", TC_R_BAD_PROTOTYPE, "is a value", ""},
        {"int f(out @malloc char *p)", TC_R_BAD_PROTOTYPE, "no pointer to a pointer",
         "out malloc T *p[EXTENT]"},
        {"int f(@malloc char **p)", TC_R_BAD_PROTOTYPE, "`out malloc` parameter",
         "out malloc char *p[COUNT]"},
        {"int f(inout @malloc char **p)", TC_R_BAD_PROTOTYPE, "`out malloc` parameter",
         "out malloc char *p[COUNT]"},
        {"int f(out malloc double **@p, int n)", TC_R_EXTENT_MISSING, "parameter 'p' of 'f'",
         "out malloc double *p[n]"},
        {"int f(out malloc int *p[n <= @9], int n)", TC_R_BAD_PROTOTYPE, "needs no capacity", ""},
        {"int f(out malloc int *p[n][2 : @3], int n)", TC_R_BAD_PROTOTYPE, "no stride", ""},
        {"int f(out malloc int *p[@], int n)", TC_R_BAD_PROTOTYPE, "empty extent",
         "out malloc int *p[n]"},
        {"int f(out malloc int *const @p[n], int n)", TC_R_BAD_PROTOTYPE, "points at const", ""},
    };

    (void)state;
    CHECK(list);
}

static void pointers_in_structs(void **state)
{
    static const struct refusal list[] = {
        {"int f(out @struct s *s)", TC_R_OWNERSHIP_MISSING, "only inputs are followed", "",
         "struct s { int n; double y[n]; };"},
        {"int f(inout @struct s *s)", TC_R_OWNERSHIP_MISSING, NULL, "",
         "struct s { in char *name; };"},
        {"@struct s f(int n)", TC_R_OWNERSHIP_MISSING, "a pointer inside", "",
         "struct s { int n; double y[n]; };"},
        {"malloc @struct s *f(int n)", TC_R_OWNERSHIP_MISSING, "pointers inside", NULL,
         "struct s { int n; double y[n]; };"},
        {"int f(in struct s *s, int k)", TC_R_UNKNOWN_MEMBER, "'m'", "",
         "struct s { int n; double y[@m]; };"},
        {"int f(in struct s *s, int lenght)", TC_R_UNKNOWN_MEMBER, "'lenght'", "length",
         "struct s { int length; double y[@lenght]; };"},
        {"int f(in struct s *s)", TC_R_BAD_PROTOTYPE, "`in`", "",
         "struct s { int n; @out int *p; };"},
        {"int f(in struct s *s)", TC_R_BAD_PROTOTYPE, "empty extent", "",
         "struct s { int n; in int (*p)[@]; };"},
        {"int f(in struct s *s)", TC_R_EXTENT_MISSING, "leads to pointers",
         "double (*y[COUNT])[COUNT]", "struct s { int n; double *@y[n]; };"},
        {"int f(in struct s *s)", TC_R_EXTENT_MISSING, "leads to pointers",
         "double (*y[COUNT])[COUNT]", "struct s { in double **@y; };"},
        {"int f(in struct s *s)", TC_R_EXTENT_MISSING, "leads to pointers",
         "struct t (*y[COUNT])[COUNT]",
         "struct t { int x; }; struct s { int n; struct t *@y[n]; };"},
        {"int f(in struct s *s)", TC_R_RECURSIVE_TYPE, "leads back to itself", NULL,
         "struct s { int n; in struct s *@next; };"},
        {"int f(in struct s *s)", TC_R_RECURSIVE_TYPE, "leads back to itself", NULL,
         "struct s { int n; struct s (*@kids[n])[1]; };"},
        {"int f(in struct s *s)", TC_R_BAD_PROTOTYPE, "empty extent", "",
         "struct s { int n; double (*y[n])[@]; };"},
        {"int f(in struct s *s, int k)", TC_R_UNKNOWN_MEMBER, "'k'", "",
         "struct s { int n; double (*y[n])[@k]; };"},
        {"int f(out @struct s *s)", TC_R_OWNERSHIP_MISSING, "lead to functions", "",
         "struct s { int n; int (*f)(int); };"},
        {"int f(in struct s *s)", TC_R_EXTENT_MISSING, "has no extent", "void p[COUNT]",
         "struct s { in void *@p; };"},
        {"int f(in struct s *s)", TC_R_EXTENT_MISSING, "without an extent", "ignore",
         "struct t { int *p; }; struct s { in struct t *@t; };"},
        {"int f(in struct s *s)", TC_R_UNKNOWN_TYPE, "aren't declared", NULL,
         "struct s { in struct t *@t; };"},
        {"int f(in struct s *s)", TC_R_BAD_PROTOTYPE, "neither a capacity", "",
         "struct s { int n; int p[n <= @3]; };"},
        {"int f(in struct s *s)", TC_R_BAD_EXPRESSION, "no old()", "",
         "struct s { int n; int p[@old(n)]; };"},
        {"int f(in struct s *s)", TC_R_BAD_EXPRESSION, "no old()", "",
         "struct s { int n; int p[n @<< 1]; };"},
        {"int f(in struct s *s)", TC_R_BAD_EXPRESSION, "is a pointer", "",
         "struct s { int *n; int p[@n]; };"},
        {"int f(in struct s *s)", TC_R_BAD_EXPRESSION, "floating", "",
         "struct s { double n; int p[@n]; };"},
    };

    (void)state;
    CHECK(list);
}

static void refused_types(void **state)
{
    static const struct refusal list[] = {
        {"int f(@out int (*g)(int))", TC_R_BAD_PROTOTYPE, "nobody writes", ""},
        {"int f(out int (*@g[n])(int), int n)", TC_R_OWNERSHIP_MISSING, "receives pointers",
         "ignore, or codec(NAME)"},
        {"int f(inout double (*@g[n])[3], int n)", TC_R_OWNERSHIP_MISSING, "receives pointers",
         "ignore, or codec(NAME)"},
        {"int parse(file const int *@path)", TC_R_BAD_PROTOTYPE, "isn't a path",
         "file const char *path"},
        {"int parse(out @file char *path)", TC_R_BAD_PROTOTYPE, "only inputs", ""},
        {"int f(@codec(image) void *p)", TC_R_NO_SUCH_FUNCTION, "no codecs", ""},
        {"int f(@struct s s)", TC_R_UNSUPPORTED_TYPE, "is empty", NULL, "struct s { };"},
        {"int f(@struct s s)", TC_R_PLACE_UNCERTAIN, "eightbyte", NULL,
         "struct s { int : 30; int a; int : 3; };"},
        {"int f(@struct s s)", TC_R_PLACE_UNCERTAIN, "packed structs", NULL,
         "struct s { struct { float x; char c; } __attribute__((packed)) a[2]; };"},
        {"@struct s f(int n)", TC_R_PLACE_UNCERTAIN, "isn't aligned", NULL,
         "struct s { short a; struct { int b : 5; } c; char d; } __attribute__((packed));"},
        {"int f(@struct s s)", TC_R_PLACE_UNCERTAIN, "isn't aligned", NULL,
         "struct c { char a __attribute__((aligned(8))); } __attribute__((packed)); "
         "struct s { char a; struct { struct c b; char d; } __attribute__((packed)) e; char g; };"},
        {"int f(in @struct s *s)", TC_R_UNSUPPORTED_TYPE, "no member that counts", "ignore",
         "struct s { int : 30; };"},
        {"int f(int a, int b, int c, int d, int e, @__int128 x)", TC_R_PLACE_UNCERTAIN, "compilers",
         NULL},
        {"int f(const double *@rows[n], int n)", TC_R_EXTENT_MISSING, "leads to pointers",
         "const double (*rows[COUNT])[COUNT]"},
        {"int f(in const int *@p[1])", TC_R_EXTENT_MISSING, "leads to pointers",
         "const int (*p[COUNT])[COUNT]"},
        {"int f(out int **@p)", TC_R_OWNERSHIP_MISSING, "receives pointers",
         "out malloc int *p[COUNT]"},
        {"int f(out char **@p)", TC_R_OWNERSHIP_MISSING, "receives pointers",
         "out malloc char **p"},
        {"int f(const int a[2 : @3][4])", TC_R_BAD_PROTOTYPE, "its last", ""},
        {"int f(@_Atomic long double x)", TC_R_UNSUPPORTED_TYPE, "atomic", NULL},
        {"int f(@__float128 x)", TC_R_UNSUPPORTED_TYPE, "__float128", NULL},
        {"int f(const @_Float16 x[2])", TC_R_UNSUPPORTED_TYPE, "_Float16", NULL},
        {"@_Float128 f(int x)", TC_R_UNSUPPORTED_TYPE, "_Float128", NULL},
        {"int f(@__m256d x)", TC_R_VECTOR_TYPE, "vector type", NULL},
        {"int f(const @__m128 x[2])", TC_R_VECTOR_TYPE, "points at vectors", NULL},
        {"@__m128i f(int x)", TC_R_VECTOR_TYPE, "returns a vector", NULL},
        {"int f(@v4 x)", TC_R_VECTOR_TYPE, NULL, NULL,
         "typedef float v4 __attribute__((vector_size(16)));"},
        {"@char *lookup(const char *name)", TC_R_OWNERSHIP_MISSING, "'lookup' returns a pointer",
         NULL},
        {"@double *f(out int x[3])", TC_R_OWNERSHIP_MISSING, NULL, NULL},
    };

    (void)state;
    CHECK(list);
}

static char *repeat(const char *head, const char *middle, unsigned times, const char *tail)
{
    size_t bytes = strlen(middle);
    char *r = malloc(strlen(head) + times * bytes + strlen(tail) + 1), *end = stpcpy(r, head);

    for (unsigned i = 0; i < times; i++)
        end = stpcpy(end, middle);
    (void)strcpy(end, tail);
    return r;
}

static void limits(void **state)
{
    static const struct {
        const char *head, *middle, *tail;
        unsigned times;
    } cases[] = {
        {"int f(const int x[", "(", "n], int n)", 50000},
        {"int f(const int x[", "-", "n], int n)", 50000},
        {"int f(const int x[n", "+ n", "], int n)", 15000},
        {"int f(const int x[", "n ? 1 : ", "n], int n)", 5000},
        {"int f(const int x[", "n || (", "n], int n)", 5000},
        {"int f(const int x", "[1]", ")", 20000},
        {"int f(int ", "*", "x)", 60000},
        {"int f(int ", "(*", "x)", 30000},
        {"int f(int a0", ", int a", ")", 8000},
        {"int f(int ", "x", ")", 60000},
        {"int f(int x)", " ", "", 70000},
        {"int f(const int x[m[0]", "[0]", "], const int m[1])", 100},
        {"int f(out int x[", "old(*n + ", "1 <= 1], inout int *n)", 50},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *prototype = repeat(cases[i].head, cases[i].middle, cases[i].times, cases[i].tail);
        const struct tc_proto_text text = {.prototype = prototype};
        struct compiled c;

        compile_text(&c, &text);
        if (c.status != -EINVAL)
            fail_msg("%s%s...: %d", cases[i].head, cases[i].middle, c.status);
        compiled_free(&c);
        free(prototype);
    }
}

/* Function types that take one another twice would print exponentially. */
static void doubling_types_end(void **state)
{
    char types[4096] = "typedef void f0(int, int);", *end = types + strlen(types);
    const struct tc_proto_text text = {.prototype = "int f(ignore f29 *x)", .types = types};
    struct compiled c;

    (void)state;
    for (int i = 1; i < 30; i++)
        end += sprintf(end, "typedef void f%d(f%d *, f%d *);", i, i - 1, i - 1);
    compile_text(&c, &text);
    assert_int_equal(c.status, -EINVAL);
    compiled_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extents_and_directions),
        cmocka_unit_test(capacities),
        cmocka_unit_test(expressions),
        cmocka_unit_test(floating),
        cmocka_unit_test(rules),
        cmocka_unit_test(types),
        cmocka_unit_test(syntax),
        cmocka_unit_test(ownership),
        cmocka_unit_test(pointers_in_structs),
        cmocka_unit_test(refused_types),
        cmocka_unit_test(limits),
        cmocka_unit_test(doubling_types_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
