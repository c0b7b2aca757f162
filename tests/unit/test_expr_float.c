/* Doubles compared without floating-point instructions: against the compiler's own comparisons, of
 * special values with one another and of random bits. */
#include <fenv.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cache/expr.h"
#include "cache/f64.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define ROUNDS   200000u

/* The six comparisons, and what C has for them. */
static const uint16_t asked[] = {
    TC_REL_EQUAL,   TC_REL_LESS | TC_REL_GREATER | TC_REL_UNORDERED,
    TC_REL_LESS,    TC_REL_LESS | TC_REL_EQUAL,
    TC_REL_GREATER, TC_REL_GREATER | TC_REL_EQUAL,
};
static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">="};

#define BY_THE_COMPILER(a, b)                                            \
    {                                                                    \
        (a) == (b), (a) != (b), (a)<(b), (a) <= (b), (a)>(b), (a) >= (b) \
    }

static const double values[] = {
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    0.1,
    (double)0.1f,
    1e-9,
    -1e-9,
    4503599627370495.5, /* the last half */
    4503599627370496.0, /* 2^52 */
    9007199254740991.0,
    9007199254740992.0, /* 2^53 */
    -9007199254740992.0,
    9007199254740994.0,
    9223372036854774784.0, /* the last double below 2^63 */
    9223372036854775808.0, /* 2^63 */
    -9223372036854775808.0,
    -9223372036854777856.0,
    18446744073709551616.0,
    DBL_MAX,
    -DBL_MAX,
    DBL_MIN,
    -DBL_MIN,
    DBL_TRUE_MIN,
    -DBL_TRUE_MIN,
    DBL_MIN - DBL_TRUE_MIN,
    DBL_EPSILON,
    1.0 + DBL_EPSILON,
    (double)FLT_MAX,
    (double)FLT_MIN,
    (double)FLT_TRUE_MIN,
    INFINITY,
    -INFINITY,
    NAN,
    -NAN,
};

static const int64_t integers[] = {
    0,
    1,
    -1,
    2,
    'N',
    INT_MAX,
    INT_MIN,
    4503599627370495,
    4503599627370496,
    9007199254740991,
    9007199254740992,
    9007199254740993,
    -9007199254740993,
    9223372036854774784,
    9223372036854774785,
    INT64_MAX,
    -INT64_MAX,
    INT64_MIN,
};

static uint64_t seed = 88172645463325252u;

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double of_bits(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

static int run(const struct tc_insn *code, uint32_t count)
{
    const struct tc_expr_env env = {.code = code, .code_count = count};
    int64_t value = -1;

    assert_int_equal(tc_expr_verify(code, count, 0, 0, 0), 0);
    assert_int_equal(tc_expr_eval(&env, 0, &value), 0);
    return (int)value;
}

static int compare(int64_t a, int64_t b, unsigned relations)
{
    const struct tc_insn code[] = {
        {.op = TC_OP_PUSH, .imm = a},
        {.op = TC_OP_PUSH, .imm = b},
        {.op = TC_OP_F64_COMPARE, .arg = (uint16_t)relations},
        {.op = TC_OP_END},
    };

    return run(code, COUNT(code));
}

static void check_doubles(double a, double b)
{
    const int expected[] = BY_THE_COMPILER(a, b);

    for (size_t i = 0; i < COUNT(asked); i++)
        if (compare((int64_t)bits_of(a), (int64_t)bits_of(b), asked[i]) != expected[i])
            fail_msg("%a %s %a", a, signs[i], b);
}

static void doubles_compare_as_in_c(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(values); i++)
        for (size_t j = 0; j < COUNT(values); j++)
            check_doubles(values[i], values[j]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t a = draw(), near = a + draw() % 5 - 2;

        check_doubles(of_bits(a), of_bits(draw()));
        check_doubles(of_bits(a), of_bits(near));
        check_doubles(of_bits(a), of_bits(a ^ TC_F64_SIGN));
    }
}

/* long double holds every int64_t and every double, so that its comparisons are exact. */
static void check_integer(int64_t n, double v)
{
    const long double a = (long double)n, b = (long double)v;
    const int left[] = BY_THE_COMPILER(a, b), right[] = BY_THE_COMPILER(b, a);

    for (size_t i = 0; i < COUNT(asked); i++) {
        if (compare(n, (int64_t)bits_of(v), asked[i] | TC_REL_LEFT_INTEGER) != left[i])
            fail_msg("%lld %s %a", (long long)n, signs[i], v);
        if (compare((int64_t)bits_of(v), n, asked[i] | TC_REL_RIGHT_INTEGER) != right[i])
            fail_msg("%a %s %lld", v, signs[i], (long long)n);
    }
}

static void integers_compare_exactly(void **state)
{
    (void)state;
    assert_in_range(LDBL_MANT_DIG, 64, 200);
    for (size_t i = 0; i < COUNT(integers); i++)
        for (size_t j = 0; j < COUNT(values); j++)
            check_integer(integers[i], values[j]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        int64_t n = (int64_t)(draw() >> draw() % 64);
        uint64_t near = bits_of((double)n) + draw() % 5 - 2;

        n = draw() & 1 ? n : (int64_t) - (uint64_t)n;
        check_integer(n, of_bits(draw()));
        check_integer(n, of_bits(near));
        check_integer(n, (double)n);
        check_integer(n, -(double)n);
        check_integer(n, (double)n + 0.5);
    }
}

/* C's own comparison of the types themselves, where its conversion to double rounds nothing. */
static void small_integers_compare_as_in_c(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        int n = (int)(int32_t)draw() >> draw() % 32;
        double v = round % 2 ? (double)n + (double)(draw() % 3) / 2 - 0.5 : of_bits(draw());
        const int expected[] = BY_THE_COMPILER(n, v);

        for (size_t i = 0; i < COUNT(asked); i++)
            assert_int_equal(compare(n, (int64_t)bits_of(v), asked[i] | TC_REL_LEFT_INTEGER),
                             expected[i]);
    }
}

static void check_truth(double v)
{
    const struct tc_insn code[] = {
        {.op = TC_OP_PUSH, .imm = (int64_t)bits_of(v)}, {.op = TC_OP_F64_BOOL}, {.op = TC_OP_END}};

    if (run(code, COUNT(code)) != !!v)
        fail_msg("%a", v);
}

static void all_but_zeros_are_true(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(values); i++)
        check_truth(values[i]);
    for (unsigned round = 0; round < ROUNDS; round++)
        check_truth(of_bits(draw()));
}

/* Registers and stack slots hold anything above a float. */
static uint64_t widened(uint32_t bits)
{
    const struct tc_insn code[] = {
        {.op = TC_OP_RETURN}, {.op = TC_OP_F32_TO_F64}, {.op = TC_OP_END}};
    const struct tc_expr_env env = {.code = code,
                                    .code_count = COUNT(code),
                                    .result = bits | draw() << 32,
                                    .result_type = TC_F32};
    int64_t value = 0;

    assert_int_equal(tc_expr_verify(code, COUNT(code), 0, 0, 0), 0);
    assert_int_equal(tc_expr_eval(&env, 0, &value), 0);
    return (uint64_t)value;
}

static void check_float(uint32_t bits)
{
    uint64_t wide = widened(bits);
    float v;

    memcpy(&v, &bits, sizeof v);
    if (isnan(v) ? !tc_f64_is_nan(wide) : wide != bits_of((double)v))
        fail_msg("%08x: %a is not %016llx", bits, (double)v, (unsigned long long)wide);
}

static void floats_become_doubles(void **state)
{
    static const uint32_t edges[] = {0x00000000, 0x00000001, 0x00000002, 0x003fffff,
                                     0x00400000, 0x007fffff, 0x00800000, 0x00800001,
                                     0x3f7fffff, 0x3f800000, 0x7f7fffff, 0x7f800000,
                                     0x7f800001, 0x7fbfffff, 0x7fc00000, 0x7fffffff};

    (void)state;
    for (size_t i = 0; i < COUNT(edges); i++) {
        check_float(edges[i]);
        check_float(edges[i] | 0x80000000u);
    }
    for (uint32_t bit = 0; bit < 32; bit++)
        check_float((uint32_t)1 << bit);
    for (unsigned round = 0; round < ROUNDS; round++) {
        check_float((uint32_t)draw());
        check_float((uint32_t)draw() & 0x807fffffu);
    }
}

/* Not even a signalling NaN raises anything in the program's status word. */
static void the_status_word_is_left_alone(void **state)
{
    const uint64_t signalling = TC_F64_INFINITE | 1;

    (void)state;
    assert_int_equal(feclearexcept(FE_ALL_EXCEPT), 0);
    for (size_t i = 0; i < COUNT(asked); i++) {
        (void)compare((int64_t)signalling, 1, asked[i]);
        (void)compare((int64_t)signalling, INT64_MAX, asked[i] | TC_REL_RIGHT_INTEGER);
    }
    assert_true(tc_f64_is_nan(widened(0x7f800001)));
    (void)widened(1);
    assert_int_equal(fetestexcept(FE_ALL_EXCEPT), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_compare_as_in_c),
        cmocka_unit_test(integers_compare_exactly),
        cmocka_unit_test(small_integers_compare_as_in_c),
        cmocka_unit_test(all_but_zeros_are_true),
        cmocka_unit_test(floats_become_doubles),
        cmocka_unit_test(the_status_word_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
