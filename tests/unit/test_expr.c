/* Programs as the target runs them: values, failures, probation, and what the verifier refuses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/expr.h"

#define P(v)                         \
    {                                \
        .op = TC_OP_PUSH, .imm = (v) \
    }
#define OP(o)           \
    {                   \
        .op = TC_OP_##o \
    }
#define ARG(i)                      \
    {                               \
        .op = TC_OP_ARG, .arg = (i) \
    }
#define LOAD(t)                          \
    {                                    \
        .op = TC_OP_LOAD, .type = TC_##t \
    }
#define J(o, n)                     \
    {                               \
        .op = TC_OP_##o, .arg = (n) \
    }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int run(const struct tc_insn *code, uint32_t count, uint64_t arg, int64_t *ret)
{
    const uint8_t type = TC_PTR;
    const struct tc_expr_env env = {
        .code = code, .code_count = count, .arg = &arg, .arg_type = &type, .arg_count = 1};

    return tc_expr_eval(&env, 0, ret);
}

static void widening_follows_the_type(void **state)
{
    static const struct {
        uint64_t raw;
        uint8_t type;
        int64_t value;
    } cases[] = {
        {0xffffffffffffff80, TC_I8, -128},
        {0x123456789abcff80, TC_U8, 128},
        {0x12345678ffff8000, TC_I16, -32768},
        {0xffffffffffff8000, TC_U16, 32768},
        {0xdeadbeefffffffff, TC_I32, -1},
        {0xdeadbeefffffffff, TC_U32, 0xffffffff},
        {0xffffffffffffffff, TC_I64, -1},
        {0x7fffffffffffffff, TC_U64, INT64_MAX},
        {0xffffffffffffff00, TC_BOOL, 0},
        {0xffffffffffffff02, TC_BOOL, 1},
        {0x3ff0000000000000, TC_F64, 0x3ff0000000000000},
        {0x00007fffdeadbeef, TC_PTR, 0x00007fffdeadbeef},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(tc_widen(cases[i].raw, cases[i].type), cases[i].value);
}

static void arithmetic_fails_where_it_overflows(void **state)
{
    static const struct {
        int64_t a, b;
        uint8_t op;
        int status;
        int64_t value;
    } cases[] = {
        {2, 3, TC_OP_ADD, 0, 5},
        {INT64_MAX, 1, TC_OP_ADD, -ERANGE, 0},
        {INT64_MIN, 1, TC_OP_SUB, -ERANGE, 0},
        {INT64_MAX, 2, TC_OP_MUL, -ERANGE, 0},
        {INT64_MIN, -1, TC_OP_MUL, -ERANGE, 0},
        {-7, 2, TC_OP_DIV, 0, -3},
        {-7, 2, TC_OP_MOD, 0, -1},
        {7, 0, TC_OP_DIV, -EDOM, 0},
        {7, 0, TC_OP_MOD, -EDOM, 0},
        {INT64_MIN, -1, TC_OP_DIV, -ERANGE, 0},
        {INT64_MIN, -1, TC_OP_MOD, -ERANGE, 0},
        {-1, 1, TC_OP_LT, 0, 1},
        {1, 1, TC_OP_LE, 0, 1},
        {1, 1, TC_OP_GT, 0, 0},
        {1, 1, TC_OP_GE, 0, 1},
        {1, 2, TC_OP_EQ, 0, 0},
        {1, 2, TC_OP_NE, 0, 1},
        {-5, 3, TC_OP_MIN, 0, -5},
        {-5, 3, TC_OP_MAX, 0, 3},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct tc_insn code[] = {P(cases[i].a), P(cases[i].b), {.op = cases[i].op}, OP(END)};
        int64_t value = 0;

        assert_int_equal(tc_expr_verify(code, COUNT(code), 0, 0, 0), 0);
        assert_int_equal(run(code, COUNT(code), 0, &value), cases[i].status);
        assert_int_equal(value, cases[i].value);
    }
}

static void negation_of_the_least_value_overflows(void **state)
{
    const struct tc_insn code[] = {P(INT64_MIN), OP(NEG), OP(END)};
    int64_t value = 1;

    (void)state;
    assert_int_equal(run(code, COUNT(code), 0, &value), -ERANGE);
    assert_int_equal(value, 1);
}

static void loads_may_be_unaligned_and_never_follow_null(void **state)
{
    const struct tc_insn load_i32[] = {ARG(0), LOAD(I32), OP(END)};
    const struct tc_insn load_u8[] = {ARG(0), P(1), OP(ADD), LOAD(U8), OP(END)};
    const struct tc_insn length[] = {ARG(0), OP(STRLEN), OP(END)};
    const int32_t number = -5;
    unsigned char bytes[8] = {0};
    int64_t value = 0;

    (void)state;
    memcpy(bytes + 3, &number, 4);
    assert_int_equal(run(load_i32, 3, (uintptr_t)bytes + 3, &value), 0);
    assert_int_equal(value, -5);
    assert_int_equal(run(load_u8, 5, (uintptr_t)bytes + 2, &value), 0);
    assert_int_equal(value, 0xfb);
    assert_int_equal(run(load_i32, 3, 0, &value), -EFAULT);
    assert_int_equal(run(load_u8, 5, 0, &value), -EFAULT);
    assert_int_equal(run(length, 3, 0, &value), -EFAULT);
    assert_int_equal(run(length, 3, (uintptr_t) "four", &value), 0);
    assert_int_equal(value, 4);
}

/* Everything below `limit` is readable. */
struct probe {
    uint64_t limit;
    unsigned asked;
};

static int below_limit(void *ctx, uint64_t address, uint64_t bytes)
{
    struct probe *probe = ctx;

    probe->asked++;
    return address + bytes <= probe->limit ? 0 : -EFAULT;
}

static int run_on_probation(const struct tc_insn *code, uint32_t count, const void *arg,
                            struct probe *probe, int64_t *ret)
{
    const uint64_t raw = (uintptr_t)arg;
    const uint8_t type = TC_PTR;
    const struct tc_expr_env env = {.code = code,
                                    .code_count = count,
                                    .arg = &raw,
                                    .arg_type = &type,
                                    .arg_count = 1,
                                    .readable = below_limit,
                                    .ctx = probe};

    return tc_expr_eval(&env, 0, ret);
}

static void probation_asks_before_it_reads(void **state)
{
    const struct tc_insn load[] = {ARG(0), LOAD(I64), OP(END)};
    const struct tc_insn length[] = {ARG(0), OP(STRLEN), OP(END)};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct probe probe = {.limit = (uintptr_t)memory + 2 * page};
    int64_t value = 0;

    (void)state;
    assert_true(memory != MAP_FAILED);
    memset(memory, 'x', 2 * page);
    assert_int_equal(mprotect(memory + 2 * page, page, PROT_NONE), 0);
    assert_int_equal(run_on_probation(load, 3, memory + 2 * page - 7, &probe, &value), -EFAULT);
    assert_int_equal(run_on_probation(load, 3, memory + 2 * page - 8, &probe, &value), 0);
    probe.asked = 0;
    assert_int_equal(run_on_probation(length, 3, memory + 10, &probe, &value), -EFAULT);
    assert_int_equal(probe.asked, 3);
    memory[2 * page - 1] = '\0';
    assert_int_equal(run_on_probation(length, 3, memory + 10, &probe, &value), 0);
    assert_int_equal(value, 2 * page - 11);
    assert_int_equal(run_on_probation(length, 3, memory + 2 * page, &probe, &value), -EFAULT);
    (void)munmap(memory, 3 * page);
}

static void jumps_choose(void **state)
{
    /* arg ? 10 : 20, and arg && 1 / arg */
    const struct tc_insn cond[] = {ARG(0), J(JZ, 2), P(10), J(JUMP, 1), P(20), OP(END)};
    const struct tc_insn both[] = {ARG(0),   J(JZ, 5),   P(1), ARG(0), OP(DIV),
                                   OP(BOOL), J(JUMP, 1), P(0), OP(END)};
    int64_t value;

    (void)state;
    assert_int_equal(tc_expr_verify(cond, COUNT(cond), 0, 1, 0), 0);
    assert_int_equal(tc_expr_verify(both, COUNT(both), 0, 1, 0), 0);
    assert_int_equal(run(cond, COUNT(cond), 5, &value), 0);
    assert_int_equal(value, 10);
    assert_int_equal(run(cond, COUNT(cond), 0, &value), 0);
    assert_int_equal(value, 20);
    assert_int_equal(run(both, COUNT(both), 0, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(run(both, COUNT(both), 1, &value), 0);
    assert_int_equal(value, 1);
}

static void results_and_olds_are_values(void **state)
{
    const struct tc_insn code[] = {OP(RETURN), {.op = TC_OP_OLD, .arg = 1}, OP(SUB), OP(END)};
    const int64_t old[] = {1, 40};
    struct tc_expr_env env = {.code = code,
                              .code_count = COUNT(code),
                              .result = 0xffffffffffffffff,
                              .result_type = TC_I32,
                              .old = old,
                              .old_count = 2};
    int64_t value;

    (void)state;
    assert_int_equal(tc_expr_verify(code, COUNT(code), 0, 0, 2), 0);
    assert_int_equal(tc_expr_eval(&env, 0, &value), 0);
    assert_int_equal(value, -41);
    env.result_type = TC_VOID;
    assert_int_equal(tc_expr_eval(&env, 0, &value), -EBADMSG);
}

static const struct {
    const char *what;
    struct tc_insn code[8];
    uint32_t count;
} malformed[] = {
    {"nothing", {{0}}, 0},
    {"unknown op", {{.op = 0}, OP(END)}, 2},
    {"op beyond the last", {P(1), {.op = TC_OP_F64_COMPARE + 1}, OP(END)}, 3},
    {"no end", {P(1)}, 1},
    {"end of an empty stack", {OP(END)}, 1},
    {"two values at the end", {P(1), P(2), OP(END)}, 3},
    {"too few operands", {P(1), OP(ADD), OP(END)}, 3},
    {"jump out", {P(1), J(JZ, 9), P(2), OP(END)}, 4},
    {"jump just behind the table", {P(1), J(JZ, 2), P(2), OP(END)}, 4},
    {"jump past the end", {P(1), J(JNZ, 2), P(1), OP(END), P(1), OP(END)}, 6},
    {"ways of different depth", {P(1), P(1), J(JZ, 1), P(2), OP(END)}, 5},
    {"ways of different depth by jump", {P(1), J(JZ, 2), P(2), J(JUMP, 0), OP(END)}, 5},
    {"unreachable", {P(1), J(JUMP, 1), P(2), OP(END)}, 4},
    {"unknown parameter", {ARG(1), OP(END)}, 2},
    {"unknown old", {{.op = TC_OP_OLD, .arg = 0}, OP(END)}, 2},
    {"load of void", {P(1), LOAD(VOID), OP(END)}, 3},
    {"load of a float", {P(1), LOAD(F64), OP(END)}, 3},
    {"load of no type", {P(1), {.op = TC_OP_LOAD, .type = 99}, OP(END)}, 3},
    {"one double compared", {P(1), {.op = TC_OP_F64_COMPARE, .arg = 1}, OP(END)}, 3},
    {"relations beyond the last", {P(1), P(1), {.op = TC_OP_F64_COMPARE, .arg = 64}, OP(END)}, 4},
    {"integers as doubles", {P(1), P(1), {.op = TC_OP_F64_COMPARE, .arg = 49}, OP(END)}, 4},
    {"no float to widen", {OP(F32_TO_F64), OP(END)}, 2},
};

static void malformed_programs_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(malformed); i++)
        if (tc_expr_verify(malformed[i].code, malformed[i].count, 0, 1, 0) != -EBADMSG)
            fail_msg("%s", malformed[i].what);
    assert_int_equal(tc_expr_verify(malformed[3].code, 1, 1, 1, 0), -EBADMSG);
    assert_int_equal(tc_expr_verify(malformed[3].code, 1, UINT32_MAX, 1, 0), -EBADMSG);
}

static void the_stack_has_its_depth(void **state)
{
    struct tc_insn code[2 * TC_EXPR_STACK + 3];

    (void)state;
    for (uint32_t depth = TC_EXPR_STACK; depth <= TC_EXPR_STACK + 1; depth++) {
        int64_t value;

        memset(code, 0, sizeof code);
        for (uint32_t i = 0; i < depth; i++)
            code[i] = (struct tc_insn)P(1);
        for (uint32_t i = depth; i < 2 * depth - 1; i++)
            code[i] = (struct tc_insn)OP(ADD);
        code[2 * depth - 1] = (struct tc_insn)OP(END);
        assert_int_equal(tc_expr_verify(code, 2 * depth, 0, 0, 0),
                         depth == TC_EXPR_STACK ? 0 : -EBADMSG);
        assert_int_equal(run(code, 2 * depth, 0, &value), depth == TC_EXPR_STACK ? 0 : -EBADMSG);
    }
}

/* Whatever the verifier lets pass ends by itself, within its tables; what it doesn't ends too. */
static void random_programs_end(void **state)
{
    uint64_t seed = 88172645463325252u;
    unsigned passed = 0;

    (void)state;
    for (unsigned round = 0; round < 200000; round++) {
        struct tc_insn code[12];
        int64_t value;
        int verified, r;

        memset(code, 0, sizeof code);
        for (size_t i = 0; i < COUNT(code); i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            code[i].op = (uint8_t)(seed % (TC_OP_F64_COMPARE + 2));
            /* No address on the stack: a load must fail before it reads. */
            code[i].type = (uint8_t)(seed >> 8) % (TC_PTR + 2);
            code[i].arg = (uint16_t)(seed >> 16) % 6;
            code[i].imm = (int64_t)(seed >> 24) % 5 - 2;
            if (code[i].op == TC_OP_LOAD || code[i].op == TC_OP_STRLEN || code[i].op == TC_OP_BITS)
                code[i].op = TC_OP_NOT;
        }
        verified = tc_expr_verify(code, COUNT(code), 0, 1, 0);
        r = run(code, COUNT(code), 3, &value);
        passed += verified == 0;
        if (verified == 0)
            assert_true(r == 0 || r == -ERANGE || r == -EDOM || r == -EBADMSG);
    }
    assert_true(passed > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widening_follows_the_type),
        cmocka_unit_test(arithmetic_fails_where_it_overflows),
        cmocka_unit_test(negation_of_the_least_value_overflows),
        cmocka_unit_test(loads_may_be_unaligned_and_never_follow_null),
        cmocka_unit_test(probation_asks_before_it_reads),
        cmocka_unit_test(jumps_choose),
        cmocka_unit_test(results_and_olds_are_values),
        cmocka_unit_test(malformed_programs_are_refused),
        cmocka_unit_test(the_stack_has_its_depth),
        cmocka_unit_test(random_programs_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
