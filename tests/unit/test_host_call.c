/* preload/arch: calls of code that isn't ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "preload/arch/arch.h"

struct vectors {
    unsigned char ymm[16][32];
    uint32_t mxcsr;
    uint16_t x87;
    long double top;
};

static struct {
    uint64_t argument[6], stack;
    uint32_t mxcsr;
    uint16_t x87, tag;
} seen;

/* Uses whatever the psABI lets it use. */
static uint64_t spoil(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    struct {
        uint32_t word[7];
    } env;
    uint32_t mxcsr = 0x7f80;

    seen.argument[0] = a, seen.argument[1] = b, seen.argument[2] = c;
    seen.argument[3] = d, seen.argument[4] = e, seen.argument[5] = f;
    seen.stack = (uint64_t)(uintptr_t)__builtin_frame_address(0);
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(seen.mxcsr), "=m"(seen.x87));
    __asm__ volatile("fnstenv %0" : "=m"(env));
    seen.tag = (uint16_t)env.word[2];
    __asm__ volatile("ldmxcsr %0\n\tfldpi\n\tfldz" : : "m"(mxcsr));
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile(
            "vpcmpeqd %%xmm0, %%xmm0, %%xmm0\n\tvinsertf128 $1, %%xmm0, %%ymm0, %%ymm0\n\t"
            "vmovaps %%ymm0, %%ymm7\n\tvmovaps %%ymm0, %%ymm15"
            :
            :
            : "xmm0", "xmm7", "xmm15");
    else
        __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n\tpcmpeqd %%xmm15, %%xmm15"
                         :
                         :
                         : "xmm0", "xmm15");
    return 4711;
}

#define LOAD(n)  "vmovups " #n "*32(%%rbx), %%ymm" #n "\n\t"
#define STORE(n) "vmovups %%ymm" #n ", " #n "*32(%%rbx)\n\t"
#define ALL(X)   X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

/* Sets the vectors, calls, and reads them, with nothing of the compiler's between. */
__attribute__((noinline)) static int call_between(struct vectors *v, struct tc_host_call *c)
{
    const uint32_t usual = 0x1f80;
    int r;

    __asm__ volatile(
        "movq %1, %%rbx\n\tmovq %%rsp, %%r12\n\tmovq %3, %%r13\n\tmovq %2, %%rdi\n\t"
        "andq $-16, %%rsp\n\tsubq $128, %%rsp\n\t" ALL(
            LOAD) "ldmxcsr 512(%%rbx)\n\t"
                  "fldcw 516(%%rbx)\n\tfldt 528(%%rbx)\n\t"
                  "call *%%r13\n\t" ALL(
                      STORE) "stmxcsr 512(%%rbx)\n\tfnstcw 516(%%rbx)\n\t"
                             "fstpt 528(%%rbx)\n\tmovq %%r12, %%rsp\n\tfninit\n\tldmxcsr %4"
        : "=a"(r)
        : "r"(v), "r"(c), "r"(tc_call_host), "m"(usual)
        : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "memory", "cc",
          "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
          "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    return r;
}

static void everything_comes_back(void **state)
{
    struct tc_host_call c = {(uint64_t)(uintptr_t)spoil, {1, 2, 3, 4, 5, 6}, 0};
    struct vectors before, after;

    (void)state;
    if (!__builtin_cpu_supports("avx"))
        skip();
    _Static_assert(offsetof(struct vectors, mxcsr) == 512 && offsetof(struct vectors, x87) == 516 &&
                       offsetof(struct vectors, top) == 528,
                   "call_between");
    memset(&before, 0, sizeof before);
    for (unsigned i = 0; i < sizeof before.ymm; i++)
        before.ymm[i / 32][i % 32] = (unsigned char)(i * 7 + 1);
    before.mxcsr = 0x3fa0; /* rounding down, a flag raised */
    before.x87 = 0x077f;   /* rounding down, 64 bits */
    before.top = 1.25L;
    memcpy(&after, &before, sizeof after);
    assert_int_equal(call_between(&after, &c), 0);
    assert_memory_equal(&after, &before, sizeof after.ymm);
    assert_int_equal(after.mxcsr, before.mxcsr);
    assert_int_equal(after.x87, before.x87);
    assert_true(after.top == 1.25L);
    assert_int_equal(c.result, 4711);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(seen.argument[i], i + 1);
    assert_int_equal(seen.mxcsr, 0x1f80);
    assert_int_equal(seen.x87, 0x037f);
    assert_int_equal(seen.tag, 0xffff); /* nothing on x87's stack */
    assert_int_equal(seen.stack & 15, 0);
}

static void calls_nest(void **state)
{
    struct tc_host_call inner = {(uint64_t)(uintptr_t)spoil, {0}, 0};
    struct tc_host_call outer = {
        (uint64_t)(uintptr_t)tc_call_host, {(uint64_t)(uintptr_t)&inner}, 1};

    (void)state;
    assert_int_equal(tc_call_host(&outer), 0);
    assert_int_equal(outer.result, 0);
    assert_int_equal(inner.result, 4711);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(calls_nest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
