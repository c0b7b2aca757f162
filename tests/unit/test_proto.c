/* What prototypes compile to: shapes, places, canonical text, and extents with real arguments. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/proto_fixture.h"

#define DGESDD                                                                            \
    "void dgesdd_(const char jobz[1], const int m[1], const int n[1],\n"                  \
    "   inout double a[*n][*m : *lda], const int lda[1],\n"                               \
    "   out double s[min(*m, *n)],\n"                                                     \
    "   out double u[*jobz == 'N' ? 0 : *jobz == 'A' ? *m : min(*m, *n)][*m : *ldu],\n"   \
    "   const int ldu[1],\n"                                                              \
    "   out double vt[*jobz == 'N' ? 0 : *n][*jobz == 'A' ? *n : min(*m, *n) : *ldvt],\n" \
    "   const int ldvt[1], out double work[1], const int lwork[1], ignore int *iwork,\n"  \
    "   out int info[1], hidden size_t jobz_len)  # the length of jobz\n"
#define DGESDD_SKIP "*lwork == -1 || (*jobz != 'N' && *jobz != 'S' && *jobz != 'A')"

static const struct {
    const char *prototype, *shapes;
} compiles[] = {
    {"int checksum(const uint8_t data[n], size_t n)",
     "in array u8 int0 length; in scalar u64 int1 -> i32"},
    {"double mean(const double x[n], int n)",
     "in array f64 int0 length; in scalar i32 int1 -> f64 float"},
    {"int kdf(uint32_t rounds, const void pwd[n], size_t n, out uint8_t key[klen], size_t klen)",
     "in scalar u32 int0; in array u8 int1 length; in scalar u64 int2; out array u8 int3 length; "
     "in scalar u64 int4 -> i32"},
    {"ssize_t decode(const void in[n], size_t n, out char text[return <= cap], size_t cap)",
     "in array u8 int0 length; in scalar u64 int1; out array i8 int2 char length cap after; "
     "in scalar u64 int3 -> i64"},
    {DGESDD,
     "in array i8 int0 char length; in array i32 int1 length; in array i32 int2 length; "
     "inout array f64 int3 pieces length stride; in array i32 int4 length; "
     "out array f64 int5 length; out array f64 stack0 pieces length stride; "
     "in array i32 stack1 length; out array f64 stack2 pieces length stride; "
     "in array i32 stack3 length; out array f64 stack4 length; in array i32 stack5 length; "
     "ignore opaque i32 stack6; out array i32 stack7 length; hidden scalar u64 stack8 -> void "
     "float"},
    {"void f()", " -> void"},
    {"void f(void);", " -> void"},
    {"extern bool f(_Bool b, char c, signed char d, unsigned char e, short g, unsigned short h)",
     "in scalar bool int0; in scalar i8 int1; in scalar i8 int2; in scalar u8 int3; "
     "in scalar i16 int4; in scalar u16 int5 -> bool"},
    {"off_t f(long long int a, unsigned b, long unsigned c, time_t d, ptrdiff_t e, int8_t g, int "
     "h)",
     "in scalar i64 int0; in scalar u32 int1; in scalar u64 int2; in scalar i64 int3; "
     "in scalar i64 int4; in scalar i8 int5; in scalar i32 stack0 -> i64"},
    /* Integers and floating values count their own registers; what is left goes on the stack. */
    {"float f(float a, int b, double c, float d, float e, float g, float h, float i, float j, "
     "float k, int l)",
     "in scalar f32 sse0; in scalar i32 int0; in scalar f64 sse1; in scalar f32 sse2; "
     "in scalar f32 sse3; in scalar f32 sse4; in scalar f32 sse5; in scalar f32 sse6; "
     "in scalar f32 sse7; in scalar f32 stack0; in scalar i32 int1 -> f32 float"},
    /* One T, strings, several strings, opaque pointers. */
    {"int f(in int *a, out short *b, inout float *c, const char *s, const char *names[n], int n)",
     "in array i32 int0; out array i16 int1; inout array f32 int2; in string i8 int3 char; "
     "in strings ptr int4 char length; in scalar i32 int5 -> i32 float"},
    {"int f(const char s[], char *const names[n], int n)",
     "in string i8 int0 char; in strings ptr int1 char length; in scalar i32 int2 -> i32"},
    {"int f(void *p, char *q, int **r, FILE *fp, struct foo *s, const struct foo *t, double x[n], "
     "int n)",
     "in opaque void int0; in opaque i8 int1 char; in opaque ptr int2; in opaque void int3; "
     "in opaque void int4; in opaque void int5; in opaque f64 stack0; in scalar i32 stack1 -> i32 "
     "float"},
    {"int f(ignore int n, ignore void *p, ignore int (*cb)(void *, int), ignore const char *s)",
     "ignore scalar i32 int0; ignore opaque void int1; ignore opaque void int2; "
     "ignore opaque i8 int3 char -> i32"},
    {"void *memcpy(out void dst[n], const void src[n], size_t n)",
     "out array u8 int0 length; in array u8 int1 length; in scalar u64 int2 -> into"},
    {"double f(double (*g)(double, void *), ignore void *arg, int (cmp)(int, int))",
     "in function void int0; ignore opaque void int1; in function void int2 -> f64 float"},
    {"malloc char *f(const char *s)", "in string i8 int0 char -> malloc out text i8 ?0 char after"},
    {"malloc(*n) double *f(out int *n)",
     "out array i32 int0 -> malloc out block f64 ?0 length after float"},
    {"static const char *f(int n)", "in scalar i32 int0 -> static out text i8 ?0 char after"},
    {"static(4) const int *f(int n)", "in scalar i32 int0 -> static out block i32 ?0 length after"},
    {"static char *f(out char to[n], int n)",
     "out array i8 int0 char length; in scalar i32 int1 -> into"},
    {"int f(out malloc uint8_t *buf[*len], out size_t *len, out malloc char **text)",
     "out block u8 int0 length after; out array u64 int1; out text i8 int2 char after -> i32"},
    {"int f(out malloc float *m[rows][cols], int rows, int cols)",
     "out block f32 int0 length after; in scalar i32 int1; in scalar i32 int2 -> i32 float"},
    {"int *f(inout int x[n], int n)", "inout array i32 int0 length; in scalar i32 int1 -> into"},
    /* `in` as a direction and as a name; qualifiers' names as parameters. */
    {"int f(in int in, const int out[in], int file, int malloc)",
     "in scalar i32 int0; in array i32 int1 length; in scalar i32 int2; in scalar i32 int3 -> i32"},
    {"int f(const int a[2][3][4], const float b[2][3])",
     "in array i32 int0 pieces length; in array f32 int1 pieces length -> i32 float"},
    {"int f(const int x[static 4], const int y[restrict n], register int n)",
     "in array i32 int0 length; in array i32 int1 length; in scalar i32 int2 -> i32"},
    {"int f(out int x[*n <= old(*n)], inout int *n)",
     "out array i32 int0 length cap after; inout array i32 int1 -> i32"},
    {"__attribute__((noinline)) static inline int f(int x) __attribute__((pure))",
     "in scalar i32 int0 -> i32"},
};

static void prototypes_compile(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof compiles / sizeof compiles[0]; i++) {
        struct tc_proto_text text = {.prototype = compiles[i].prototype};
        struct compiled c;

        compile_text(&c, &text);
        if (c.status != 0)
            fail_msg("%s: %s", text.prototype, c.error.sentence);
        assert_string_equal(compiled_shapes(&c), compiles[i].shapes);
        compiled_free(&c);
    }
}

static const char *const types =
    "/* colours */ enum color { RED = 1, GREEN = RED << 2, BLUE }; // comment\n"
    "enum sign { MINUS = -1, PLUS = 1 };\n"
    "enum __attribute__((packed)) tiny { ONE, TWO };\n"
    "typedef enum { BIG = 1 << 3 | 2 } kind_t;\n"
    "typedef double vec3[3]; typedef int number, *number_p;\n"
    "typedef const char *name_t;\n"
    "typedef struct { double mean, dev; uint32_t n : 3, : 2; char *label; } Vec3;\n"
    "struct stats { struct { int x; } inner; union { int i; float f; } u; Vec3 v[2]; "
    "int (*cb)(struct stats *); } __attribute__((aligned(16)));\n"
    "typedef struct handle *handle_t;\n";

static const struct {
    const char *prototype, *shapes, *canonical;
} with_types[] = {
    {"enum color f(enum color c, enum sign s, enum tiny t, kind_t k)",
     "in scalar u32 int0; in scalar i32 int1; in scalar u8 int2; in scalar u32 int3 -> u32",
     "unsigned int f(unsigned int c, int s, unsigned char t, unsigned int k)"},
    {"void f(const vec3 v, const vec3 w[n], number n, in number_p p, name_t s)",
     "in array f64 int0 length; in array f64 int1 pieces length; in scalar i32 int2; "
     "in array i32 int3; in string i8 int4 char -> void float",
     "void f(const double v[3], const double w[n][3], int n, const int p[1], const char *s)"},
    {"void f(Vec3 *v, handle_t h, ignore const struct stats *s, const int x[n * BLUE], int n)",
     "in opaque void int0; in opaque void int1; ignore opaque void int2; in array i32 int3 length; "
     "in scalar i32 int4 -> void",
     "void f(Vec3 *v, struct handle *h, ignore struct stats *s, const int x[n * 5], int n)"},
    {"void f(const enum color c[BLUE - GREEN])", "in array u32 int0 length -> void",
     "void f(const unsigned int c[5 - 4])"},
};

static void types_are_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof with_types / sizeof with_types[0]; i++) {
        struct tc_proto_text text = {.prototype = with_types[i].prototype, .types = types};
        struct compiled c;

        compile_text(&c, &text);
        if (c.status != 0)
            fail_msg("%s: %s", text.prototype, c.error.sentence);
        assert_string_equal(compiled_shapes(&c), with_types[i].shapes);
        assert_string_equal(compiled_prototype(&c), with_types[i].canonical);
        compiled_free(&c);
    }
}

/* Two spellings of one meaning have one canonical text and one digest. */
static const char *const spellings[][3] = {
    {"unsigned f(unsigned x)", "unsigned int\n f ( in const unsigned int x ) ; # comment",
     "unsigned int f(unsigned int x)"},
    {"size_t f(const uint8_t d[ n ], size_t n)",
     "unsigned long f(in unsigned char d[(n)], uint64_t n)",
     "unsigned long f(const unsigned char d[n], unsigned long n)"},
    {"void f(out int *x)", "void f(out int x[1])", "void f(out int x[1])"},
    {"void f(in int x[n+ 1*2], int n)", "void f(const int x[n+(1*2)], int n)",
     "void f(const int x[n + 1 * 2], int n)"},
    {"void f(const int x[(n+1)*2 - (n - 1)], int n)",
     "void f(const int x[((n+0x1)*2)-(n-1)], int n)",
     "void f(const int x[(n + 1) * 2 - (n - 1)], int n)"},
    {"void f(out int x[(n <= 2) ? n : 2], int n)", "void f(out int x[((n<=2)?n:2)],int n)",
     "void f(out int x[(n <= 2 ? n : 2)], int n)"},
    {"int f(in char *s)", "int f(const char *s)", "int f(const char *s)"},
    {"int f(ignore const int *p)", "int f(ignore int p[4])", NULL},
    {"int f(double x[n], int n)", "int f(double *x, int n)", "int f(double *x, int n)"},
    {"int f(int a[2])", "int f(int *a)", "int f(int *a)"},
    {"void f(ignore double (*g)(double, void *))", "void f(ignore double g(double x, void *arg))",
     "void f(ignore double (*g)(double, void *))"},
    {"int f(const char x[1], int n)", "int f(in char x[ 1 ], int n)",
     "int f(const char x[1], int n)"},
    {"void f(out int x[*n <= old(*n)], inout int n[1])",
     "void f(out int x[*n<=old( * n )], inout int *n)",
     "void f(out int x[*n <= old(*n)], inout int n[1])"},
    {"int f(const double (*a[n])[m], int n, int m)", "int f(in double (*a[n])[(m)], int n, int m)",
     "int f(in double (*a[n])[m], int n, int m)"},
    {"int f(in char *(*a[n][2])[n + 1], int n)", NULL, "int f(in char *(*a[n][2])[n + 1], int n)"},
    {"int f(in int (*a[n])(double), int n)", NULL, "int f(in int (*a[n])(double), int n)"},
    {"int f(out int x[n][return <= m], int n, int m)",
     "int f(out int x[n * return <= n * m], int n, int m)",
     "int f(out int x[n * return <= n * m], int n, int m)"},
    {"int f(_Atomic int x, _Atomic(long) y, _Float64 z)", "int f(int x, long y, double z)",
     "int f(int x, long y, double z)"},
    {"void f(const int x[-(-n)][!(a && b) || a % 2 ? 'N' : '\\n'], int n, int a, int b)", NULL,
     "void f(const int x[--n][!(a && b) || a % 2 ? 'N' : 10], int n, int a, int b)"},
};

static int canonical(const char *prototype, char *ret, size_t bytes, uint8_t digest[16])
{
    struct tc_proto_text text = {.prototype = prototype};
    struct compiled c;
    int status;

    compile_text(&c, &text);
    status = c.status;
    if (status == 0) {
        (void)snprintf(ret, bytes, "%s", compiled_prototype(&c));
        memcpy(digest, c.task.prototype_digest, 16);
    }
    compiled_free(&c);
    return status;
}

static void one_meaning_has_one_digest(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        char a[512], b[512];
        uint8_t da[16], db[16];

        assert_int_equal(canonical(spellings[i][0], a, sizeof a, da), 0);
        /* The canonical text is a prototype, and its own canonical text. */
        assert_int_equal(canonical(a, b, sizeof b, db), 0);
        assert_string_equal(a, b);
        assert_memory_equal(da, db, 16);
        if (spellings[i][2] != NULL)
            assert_string_equal(a, spellings[i][2]);
        if (spellings[i][1] == NULL)
            continue;
        assert_int_equal(canonical(spellings[i][1], b, sizeof b, db), 0);
        assert_string_equal(a, b);
        assert_memory_equal(da, db, 16);
    }
}

static void names_and_types_change_the_digest(void **state)
{
    static const char *const texts[] = {
        "int f(int a)",  "int f(int b)",        "int f(unsigned a)",
        "int g(int a)",  "long f(int a)",       "int f(ignore int a)",
        "int f(int *a)", "int f(out int a[1])", "int f(const int a[2])"};
    uint8_t digest[9][16];
    char text[128];

    (void)state;
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(canonical(texts[i], text, sizeof text, digest[i]), 0);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(digest[i], digest[j], 16);
    }
}

static void type_texts_are_as_written(void **state)
{
    struct tc_proto_text text = {
        .prototype = "int f(const double x[n], size_t n, const char *names[n], out uint8_t *b, "
                     "ignore int (*g)(const char *s, ...), const vec3 v, handle_t h, kind_t k, "
                     "inout double a[n][n : n])",
        .types = types,
    };
    static const char *const expected[][2] = {
        {"x", "const double *"},
        {"n", "size_t"},
        {"names", "const char **"},
        {"b", "uint8_t *"},
        {"g", "int (*)(const char *, ...)"},
        {"v", "const double *"},
        {"h", "handle_t"},
        {"k", "kind_t"},
        {"a", "double *"},
    };
    struct compiled c;

    (void)state;
    compile_text(&c, &text);
    assert_int_equal(c.status, 0);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_string_equal(tc_flat_str(&c.flat, compiled_param(&c, expected[i][0])->type_text),
                            expected[i][1]);
    compiled_free(&c);
}

static void parameters_are_sorted_by_name(void **state)
{
    struct tc_proto_text text = {.prototype = "int f(int b, int a, int ba, int B, int _)"};
    const uint8_t expected[] = {3, 4, 1, 0, 2};
    struct compiled c;

    (void)state;
    compile_text(&c, &text);
    assert_int_equal(c.status, 0);
    assert_int_equal(c.task.sorted.count, 5);
    assert_memory_equal(tc_flat_at(&c.flat, c.task.sorted.off, 5, 1), expected, 5);
    compiled_free(&c);
}

/* ---- extents with real arguments ---- */

struct svd_case {
    char jobz;
    int m, n, lda, ldu, ldvt, lwork;
    int64_t s, u[3], vt[3];
    int skip;
};

static void check_extent(const struct compiled *c, const char *name, const struct values *v,
                         const int64_t expected[3])
{
    const struct tc_param *x = compiled_param(c, name);
    const uint32_t programs[] = {x->pieces, x->length, x->stride};

    for (int i = 0; i < 3; i++) {
        int64_t value = -1;

        assert_int_equal(compiled_eval(c, programs[i], v, &value), 0);
        assert_int_equal(value, expected[i]);
    }
}

static void dgesdd_extents_follow_jobz(void **state)
{
    static const struct svd_case cases[] = {
        {'A', 600, 300, 608, 600, 300, 5000, 300, {600, 600, 600}, {300, 300, 300}, 0},
        {'S', 600, 300, 600, 640, 301, 5000, 300, {300, 600, 640}, {300, 300, 301}, 0},
        {'S', 300, 600, 300, 300, 300, 5000, 300, {300, 300, 300}, {600, 300, 300}, 0},
        {'N', 600, 300, 600, 1, 1, 5000, 300, {0, 600, 1}, {0, 300, 1}, 0},
        {'S', 4, 3, 4, 4, 3, -1, 3, {3, 4, 4}, {3, 3, 3}, 1},
        {'O', 4, 3, 4, 4, 3, 100, 3, {3, 4, 4}, {3, 3, 3}, 1},
    };
    struct tc_proto_text text = {.prototype = DGESDD, .skip = DGESDD_SKIP};
    struct compiled c;

    (void)state;
    compile_text(&c, &text);
    assert_int_equal(c.status, 0);
    assert_int_equal(c.task.stack_slots, 9);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct svd_case *x = &cases[i];
        const uint64_t args[15] = {(uintptr_t)&x->jobz,
                                   (uintptr_t)&x->m,
                                   (uintptr_t)&x->n,
                                   0,
                                   (uintptr_t)&x->lda,
                                   0,
                                   0,
                                   (uintptr_t)&x->ldu,
                                   0,
                                   (uintptr_t)&x->ldvt,
                                   0,
                                   (uintptr_t)&x->lwork};
        struct values v = {.args = args};
        int64_t value;

        check_extent(&c, "a", &v, (const int64_t[]){x->n, x->m, x->lda});
        check_extent(&c, "u", &v, x->u);
        check_extent(&c, "vt", &v, x->vt);
        assert_int_equal(compiled_eval(&c, compiled_param(&c, "s")->length, &v, &value), 0);
        assert_int_equal(value, x->s);
        assert_int_equal(compiled_eval(&c, c.task.skip, &v, &value), 0);
        assert_int_equal(value, x->skip);
    }
    compiled_free(&c);
}

static void extents_may_wait_for_the_call(void **state)
{
    struct tc_proto_text text = {
        .prototype = "long f(out int x[*n <= old(*n)], inout int *n, out char s[return <= 8])",
        .success = "return >= 0 && *n <= old(*n) && old(*n) < 100",
    };
    int n = 7;
    const uint64_t args[] = {0, (uintptr_t)&n, 0};
    struct values v = {.args = args};
    struct compiled c;
    int64_t value;

    (void)state;
    compile_text(&c, &text);
    assert_int_equal(c.status, 0);
    assert_int_equal(c.task.olds.count, 1);
    compiled_olds(&c, &v);
    n = 5;
    v.returned = 1;
    v.result = 3;
    assert_int_equal(compiled_eval(&c, compiled_param(&c, "x")->length, &v, &value), 0);
    assert_int_equal(value, 5);
    assert_int_equal(compiled_eval(&c, compiled_param(&c, "x")->capacity, &v, &value), 0);
    assert_int_equal(value, 7);
    assert_int_equal(compiled_eval(&c, compiled_param(&c, "s")->length, &v, &value), 0);
    assert_int_equal(value, 3);
    assert_int_equal(compiled_eval(&c, c.task.success, &v, &value), 0);
    assert_int_equal(value, 1);
    n = 8;
    assert_int_equal(compiled_eval(&c, c.task.success, &v, &value), 0);
    assert_int_equal(value, 0);
    compiled_free(&c);
}

/* What goes in, and what is replayed in place, is measured before the call: its extents are the
 * same when they are looked at again, although the call has changed what they read. */
static void extents_of_inputs_are_kept(void **state)
{
    struct tc_proto_text text = {
        .prototype = "void f(inout char s[strlen(s) + 1], const int x[*n], inout int *n, "
                     "out int y[old(*n) + k], int k)",
        .skip = "old(*n) < 1",
    };
    char s[8] = "four";
    int n = 3;
    const uint64_t args[] = {(uintptr_t)s, 0, (uintptr_t)&n, 0, 10};
    static const struct {
        const char *name;
        int64_t length;
    } expected[] = {{"s", 5}, {"x", 3}, {"y", 13}};
    struct values v = {.args = args};
    struct compiled c;
    int64_t value;

    (void)state;
    compile_text(&c, &text);
    assert_int_equal(c.status, 0);
    assert_int_equal(compiled_eval(&c, c.task.skip, &v, &value), 0);
    assert_int_equal(value, 0);
    compiled_olds(&c, &v);
    s[1] = '\0';
    n = 0;
    for (size_t i = 0; i < 3; i++) {
        const struct tc_param *x = compiled_param(&c, expected[i].name);

        assert_int_equal(x->extent_uses_after, 0);
        assert_int_equal(compiled_eval(&c, x->length, &v, &value), 0);
        assert_int_equal(value, expected[i].length);
    }
    compiled_free(&c);
}

static const struct {
    const char *extent;
    int64_t value; /* of n = 10, m[] = {3, -4, 5}, s = "hello", names = {"a", "bcd"}, z = NULL */
    int status;
} expressions[] = {
    {"n", 10, 0},
    {"n * 2 + 1", 21, 0},
    {"n - 3 - 2", 5, 0},
    {"n / 3 % 2", 1, 0},
    {"-(-n)", 10, 0},
    {"*m", 3, 0},
    {"m[0] + m[2]", 8, 0},
    {"m[n - 8]", 5, 0},
    {"*m == 3 && m[1] == -4", 1, 0},
    {"n != 10 || !n", 0, 0},
    {"(n <= 10) + (n < 10) + (n >= 10) + (n > 10)", 2, 0},
    {"n ? 3 : 4", 3, 0},
    {"!n ? 3 : n == 10 ? 5 : 6", 5, 0},
    {"max(n, 20, 3) - min(n, 20, 3)", 17, 0},
    {"strlen(s) + 1", 6, 0},
    {"strlen(names[1])", 3, 0},
    {"names[0][0] == 'a'", 1, 0},
    {"*s == 'h' && s[4] == 'o'", 1, 0},
    {"z == NULL ? 1 : *z", 1, 0},
    {"z != 0 && *z > 0", 0, 0},
    {"z ? 1 : 2", 2, 0},
    {"m == m && m != z", 1, 0},
    {"(n > 5 ? m : z)[2]", 5, 0},
    {"strlen(n == 1 ? NULL : s)", 5, 0},
    {"'\\x41' + '\\101' + '\\\\'", 65 + 65 + 92, 0},
    {"010 + 0x10 + 10UL", 34, 0},
    {"n * 9223372036854775807", 0, -ERANGE},
    {"n / (n - 10)", 0, -EDOM},
    {"n % (n - 10)", 0, -EDOM},
    {"*z", 0, -EFAULT},
    {"z[1000000]", 0, -EFAULT},
    {"n - 11", -1, 0},
};

static void expressions_have_values(void **state)
{
    const int m[] = {3, -4, 5};
    const char *names[] = {"a", "bcd"};
    const uint64_t args[] = {0, 10, (uintptr_t)m, (uintptr_t) "hello", (uintptr_t)names, 0};

    (void)state;
    for (size_t i = 0; i < sizeof expressions / sizeof expressions[0]; i++) {
        struct values v = {.args = args};
        struct tc_proto_text text = {0};
        char prototype[256];
        struct compiled c;
        int64_t value = 0;
        int r;

        (void)snprintf(prototype, sizeof prototype,
                       "void f(out int x[%s], int n, const int m[3], const char *s, "
                       "const char *names[2], const int z[0])",
                       expressions[i].extent);
        text.prototype = prototype;
        compile_text(&c, &text);
        if (c.status != 0)
            fail_msg("%s: %s", expressions[i].extent, c.error.sentence);
        r = compiled_eval(&c, compiled_param(&c, "x")->length, &v, &value);
        if (r != expressions[i].status || (r == 0 && value != expressions[i].value))
            fail_msg("%s: %d, %lld", expressions[i].extent, r, (long long)value);
        compiled_free(&c);
    }
}

/* Globals stand behind the parameters, in the text's form of each. */
static void globals(void **state)
{
    static const struct tc_proto_global all[] = {
        {"residual", "out double"},          {"grid", "in double [n]"},
        {"field", "inout float (*)[count]"}, {"count", "in int"},
        {"label", "in const char *"},        {"names", "in const char *[2]"},
    };
    const struct tc_proto_text text = {.prototype = "double f(int n)",
                                       .globals = all,
                                       .global_count = 6,
                                       .skip = "count > 3",
                                       .success = "residual > 0.5 && old(count) == 4"};
    double residual = 0.75;
    int32_t count = 4;
    uint64_t args[] = {5, (uintptr_t)&residual, 0, 0, (uintptr_t)&count, 0, 0};
    struct values v = {.args = args};
    struct compiled c;
    int64_t value;

    (void)state;
    compile_text(&c, &text);
    assert_int_equal(c.status, 0);
    assert_string_equal(compiled_shapes(&c),
                        "in scalar i32 int0; out array f64 global0 length; "
                        "in array f64 global1 length; inout array f32 pointer2 length; "
                        "in array i32 global3 length; in string i8 pointer4 char; "
                        "in strings ptr global5 char length -> f64 float");
    assert_string_equal(compiled_prototype(&c),
                        "double f(int n) globals(out double residual, const double grid[n], "
                        "inout float (*field)[count], const int count, const char *label, "
                        "const char *names[2])");
    assert_int_equal(compiled_eval(&c, c.task.skip, &v, &value), 0);
    assert_int_equal(value, 1);
    compiled_olds(&c, &v);
    count = 3;
    assert_int_equal(compiled_eval(&c, c.task.success, &v, &value), 0);
    assert_int_equal(value, 1);
    residual = 0.5;
    assert_int_equal(compiled_eval(&c, c.task.success, &v, &value), 0);
    assert_int_equal(value, 0);
    compiled_free(&c);
}

/* Each mistake is told in the text of the global that it is in. */
static void globals_that_fail(void **state)
{
    static const struct {
        const char *text;
        enum tc_reason reason;
        size_t at;
    } cases[] = {
        {"out", TC_R_UNKNOWN_TYPE, 3},
        {"in [n]", TC_R_UNKNOWN_TYPE, 3},
        {"double", TC_R_BAD_PROTOTYPE, 0},
        {"in void", TC_R_EXTENT_MISSING, 3},
        {"out double y", TC_R_BAD_PROTOTYPE, 11},
        {"in double [m]", TC_R_UNKNOWN_PARAMETER, 11},
        {"out malloc char *", TC_R_BAD_PROTOTYPE, 4},
        {"in double, int", TC_R_BAD_PROTOTYPE, 9},
        {"hidden int", TC_R_BAD_PROTOTYPE, 7},
        {"out const int", TC_R_BAD_PROTOTYPE, 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct tc_proto_global both[] = {{"x", "in int"}, {"y", cases[i].text}};
        const struct tc_proto_text text = {
            .prototype = "double f(int n)", .globals = both, .global_count = 2};
        struct compiled c;

        compile_text(&c, &text);
        if (c.status != -EINVAL || c.error.reason != cases[i].reason || c.error.at != cases[i].at ||
            c.field != TC_PROTO_GLOBAL + 1)
            fail_msg("'%s': %d, reason %d at %zu of %d: %s", cases[i].text, c.status,
                     c.error.reason, (size_t)c.error.at, (int)c.field, c.error.sentence);
        compiled_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globals),
        cmocka_unit_test(globals_that_fail),
        cmocka_unit_test(prototypes_compile),
        cmocka_unit_test(types_are_known),
        cmocka_unit_test(one_meaning_has_one_digest),
        cmocka_unit_test(names_and_types_change_the_digest),
        cmocka_unit_test(type_texts_are_as_written),
        cmocka_unit_test(parameters_are_sorted_by_name),
        cmocka_unit_test(dgesdd_extents_follow_jobz),
        cmocka_unit_test(extents_may_wait_for_the_call),
        cmocka_unit_test(extents_of_inputs_are_kept),
        cmocka_unit_test(expressions_have_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
