/* Floating values in extents and rules, from text to value. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/proto_fixture.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static uint64_t image_of_double(double v)
{
    uint64_t image;

    memcpy(&image, &v, sizeof image);
    return image;
}

/* As a register has it: the upper half is anything. */
static uint64_t image_of_float(float v)
{
    uint64_t image = 0xdeadbeefffffffff;

    memcpy(&image, &v, sizeof v);
    return image;
}

/* d = 2.5, s = 0.1f, z = -0.0, q = NAN, v[] = {-1, INFINITY, 1e-300}, w[] = {0.25, NAN, -0},
 * n = 3, p = NULL. */
static const struct {
    const char *extent;
    int64_t value;
    int status;
} expressions[] = {
    {"d == 2.5", 1, 0},
    {"d != 2.5", 0, 0},
    {"d < n", 1, 0},
    {"n < d", 0, 0},
    {"(n <= d) + 2 * (n >= d)", 2, 0},
    {"2 * n == 6 && d > 2", 1, 0},
    {"d * 1 == 1 ? 1 : 0", 0, -EINVAL},
    {"s == 0.1", 0, 0},
    {"s == 0.1f && s == .1F", 1, 0},
    {"s > 0.1 && s < 0.2", 1, 0},
    {"s < d && d > s", 1, 0},
    {"z == 0 && z == 0.0 && 0 == z", 1, 0},
    {"z ? 1 : 2", 2, 0},
    {"!z", 1, 0},
    {"z || 0", 0, 0},
    {"!d", 0, 0},
    {"q ? 1 : 2", 1, 0},
    {"!q", 0, 0},
    {"q && 1", 1, 0},
    {"q == q", 0, 0},
    {"q != q", 1, 0},
    {"q < n || q <= n || q > n || q >= n || q == n || n < q || n <= q || n > q || n >= q", 0, 0},
    {"q != n && n != q", 1, 0},
    {"*v == -1 && v[0] == -1.0 && *v < 0", 1, 0},
    {"v[1] > 1e308 && v[1] > 9223372036854775807", 1, 0},
    {"v[n - 1] > 0 && v[2] < 1e-299 && v[2] != 0", 1, 0},
    {"*w == 0.25 && w[0] == 25e-2 && w[1] != w[1] && w[2] == z", 1, 0},
    {"-d < 0", 0, -EINVAL},
    {"d > -2.5 && d > -(2.5) && d == --2.5", 1, 0},
    {"(n > 2 ? d : 1.0) == 2.5 && (n > 3 ? s : 1.0) == 1", 1, 0},
    {"(d > 1) + (s > 1)", 1, 0},
    {"max(n, d > 1)", 3, 0},
    {"p != NULL && *p > 0.5", 0, 0},
    {"*p > 0.5", 0, -EFAULT},
    {"p[1] > 0.5", 0, -EFAULT},
    {"0.5 < 1 ? 7 : 8", 7, 0},
    {"010.5 == 10.5 && 1.e1 == 10 && 1e+1 == 1E1 && 0e0 == 0", 1, 0},
    {"v[0] == -1e-0 && 4.9e-324 > 0", 1, 0},
};

static void expressions_have_values(void **state)
{
    const double v[] = {-1, INFINITY, 1e-300};
    const float w[] = {0.25f, NAN, -0.0f};
    const uint64_t args[] = {0,
                             image_of_double(2.5),
                             image_of_float(0.1f),
                             image_of_float(-0.0f),
                             image_of_double(NAN),
                             (uintptr_t)v,
                             (uintptr_t)w,
                             3,
                             0};

    (void)state;
    for (size_t i = 0; i < COUNT(expressions); i++) {
        struct values env = {.args = args};
        struct tc_proto_text text = {0};
        char prototype[512];
        struct compiled c;
        int64_t value = 0;
        int r;

        (void)snprintf(prototype, sizeof prototype,
                       "void f(out int x[(%s)], double d, float s, float z, double q, "
                       "const double v[3], const float w[3], int n, const double p[0])",
                       expressions[i].extent);
        text.prototype = prototype;
        compile_text(&c, &text);
        r = c.status;
        if (r == 0)
            r = compiled_eval(&c, compiled_param(&c, "x")->length, &env, &value);
        if (r != expressions[i].status || (r == 0 && value != expressions[i].value))
            fail_msg("%s: %d, %lld %s", expressions[i].extent, r, (long long)value,
                     c.error.sentence);
        compiled_free(&c);
    }
}

static int64_t rule(const char *prototype, const char *success, const struct values *v)
{
    struct tc_proto_text text = {.prototype = prototype, .success = success};
    struct values before = *v;
    struct compiled c;
    int64_t value = -1;

    compile_text(&c, &text);
    if (c.status != 0)
        fail_msg("%s: %s", success, c.error.sentence);
    before.returned = 0;
    compiled_olds(&c, &before);
    before.returned = 1;
    assert_int_equal(compiled_eval(&c, c.task.success, &before, &value), 0);
    compiled_free(&c);
    return value;
}

static void results_are_compared(void **state)
{
    static const struct {
        double result;
        const char *success;
        int64_t value;
    } cases[] = {
        {1.5, "return >= 0", 1},      {0.0, "return >= 0", 1},
        {-0.0, "return >= 0", 1},     {-1e-30, "return >= 0", 0},
        {NAN, "return >= 0", 0},      {INFINITY, "return >= 0", 1},
        {NAN, "return == return", 0}, {0.5, "return >= 0.5", 1},
        {0.0, "return", 0},           {-0.0, "return", 0},
        {NAN, "return", 1},           {0.25, "return", 1},
        {-0.0, "!return", 1},         {-0.0, "0 ? 1.0 : return", 0},
        {0.25, "1 && return", 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct values v = {.result = image_of_double(cases[i].result)};

        if (rule("double f(void)", cases[i].success, &v) != cases[i].value)
            fail_msg("double %a: %s", cases[i].result, cases[i].success);
        v.result = image_of_float((float)cases[i].result);
        if (rule("float f(void)", cases[i].success, &v) != cases[i].value)
            fail_msg("float %a: %s", cases[i].result, cases[i].success);
    }
}

static void old_values_are_kept(void **state)
{
    struct tc_proto_text text = {
        .prototype = "double f(inout double e[1], inout float s[2], double limit)",
        .skip = "!(limit > 0) || *e != *e",
        .success = "*e < old(*e) && s[1] == old(s[1]) && old(*e > limit) && *e <= limit",
    };
    double e = 3.5;
    float s[2] = {0, 1.25f};
    const uint64_t args[] = {(uintptr_t)&e, (uintptr_t)s, image_of_double(1.5)};
    struct values v = {.args = args};
    struct compiled c;
    int64_t value;

    (void)state;
    compile_text(&c, &text);
    assert_int_equal(c.status, 0);
    assert_int_equal(compiled_eval(&c, c.task.skip, &v, &value), 0);
    assert_int_equal(value, 0);
    compiled_olds(&c, &v);
    v.returned = 1;
    e = 1.5;
    assert_int_equal(compiled_eval(&c, c.task.success, &v, &value), 0);
    assert_int_equal(value, 1);
    s[1] = 1.5f;
    assert_int_equal(compiled_eval(&c, c.task.success, &v, &value), 0);
    assert_int_equal(value, 0);
    compiled_free(&c);
}

static void canonical(const char *extent, char *ret, size_t bytes)
{
    char prototype[256];
    const struct tc_proto_text text = {.prototype = prototype};
    struct compiled c;

    (void)snprintf(prototype, sizeof prototype, "void f(out int x[d > %s], double d)", extent);
    compile_text(&c, &text);
    if (c.status != 0)
        fail_msg("%s: %s", extent, c.error.sentence);
    (void)snprintf(ret, bytes, "%s", strchr(compiled_prototype(&c), '>') + 2);
    *strchr(ret, ']') = '\0';
    compiled_free(&c);
}

/* Two spellings of one number have one canonical text, which is that number again. */
static void literals_have_one_text(void **state)
{
    static const char *const texts[][2] = {
        {"0.5", "0.5"},
        {".50", "0.5"},
        {"5e-1", "0.5"},
        {"0.5f", "0.5"},
        {"-.5", "-0.5"},
        {"1.0", "1.0"},
        {"1.", "1.0"},
        {"100.0", "100.0"},
        {"1e2", "100.0"},
        {"1e300", "1e+300"},
        {"0.1", "0.1"},
        {"0.1f", "0.10000000149011612"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"0.3000000000000000444", "0.30000000000000004"},
        {"1e-9", "1e-09"},
        {"4.9e-324", "4.94066e-324"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"0.0", "0.0"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        char once[64], twice[64];

        canonical(texts[i][0], once, sizeof once);
        canonical(once, twice, sizeof twice);
        assert_string_equal(once, texts[i][1]);
        assert_string_equal(twice, once);
    }
}

/* A locale of our own, with what localedef needs for it: there may be none of either installed. */
static void write_locale(const char *dir)
{
    char path[128], command[256];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/characters", dir);
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fprintf(f, "<code_set_name> ASCII\n<comment_char> %%\n<escape_char> /\nCHARMAP\n");
    for (int i = 0; i < 128; i++)
        (void)fprintf(f, "<U%04X> /x%02x C%d\n", (unsigned)i, (unsigned)i, i);
    (void)fprintf(f, "END CHARMAP\n");
    assert_int_equal(fclose(f), 0);
    (void)snprintf(path, sizeof path, "%s/source", dir);
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fprintf(f, "comment_char %%\nescape_char /\nLC_NUMERIC\ndecimal_point \",\"\n"
                     "thousands_sep \".\"\ngrouping 3;3\nEND LC_NUMERIC\n");
    assert_int_equal(fclose(f), 0);
    /* It warns, with status 1, of the categories that aren't there. */
    (void)snprintf(command, sizeof command,
                   "cd %s && localedef -c -f ./characters -i ./source ./comma >/dev/null 2>&1",
                   dir);
    (void)!system(command);
}

/* Where the locale writes 0,5 a config still says 0.5. */
static void locales_change_nothing(void **state)
{
    char dir[] = "/tmp/tc-locale-XXXXXX", text[16], command[64];
    bool found;

    assert_non_null(mkdtemp(dir));
    write_locale(dir);
    assert_int_equal(setenv("LOCPATH", dir, 1), 0);
    found = setlocale(LC_NUMERIC, "comma") != NULL;
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    assert_true(found);
    (void)snprintf(text, sizeof text, "%.1f", 0.5);
    assert_string_equal(text, "0,5");
    literals_have_one_text(state);
    expressions_have_values(state);
    (void)setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_have_values), cmocka_unit_test(results_are_compared),
        cmocka_unit_test(old_values_are_kept),     cmocka_unit_test(literals_have_one_text),
        cmocka_unit_test(locales_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
