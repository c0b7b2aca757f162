/* Callers with live values in every register that the callee doesn't write: in assembly
 * (liveregs_keep.S), with an aligned and a misaligned stack, and as gcc -O2 makes them by -fipa-ra.
 */
#include <stddef.h>
#include <stdint.h>

#include "body.h"

struct live {
    uint64_t before[16], after[16];
    uint8_t ymm_before[16][32], ymm_after[16][32];
    uint64_t result;
    uint64_t avx, misalign;
};
_Static_assert(offsetof(struct live, misalign) == 1296, "liveregs_keep.S knows the offsets");

void liveregs_call(struct live *l, int a, int b, int which);
extern unsigned keep_leaf_runs, keep_leaf_rip_runs;

static const char *const names[16] = {"rdi", "rsi", "rcx", "rdx", "r8",  "r9", "r10",
                                      "r11", NULL,  "r12", "r13", "r14", "r15"};

static void one_call(int a, int b, int which, int misalign)
{
    struct live l = {.avx = __builtin_cpu_supports("avx") != 0, .misalign = (uint64_t)misalign};
    unsigned lost = 0;

    for (unsigned i = 0; i < 16; i++) {
        l.before[i] = 0x0123456789abcdefu * (i + 3);
        for (unsigned k = 0; k < 32; k++)
            l.ymm_before[i][k] = (uint8_t)(i * 37 + k * 11 + 1);
    }
    l.before[0] = (unsigned)a;
    l.before[1] = (unsigned)b;
    liveregs_call(&l, a, b, which);
    printf("keep_leaf%s %d", which ? "_rip" : "", (int)l.result);
    for (unsigned i = 0; i < 16; i++)
        if (names[i] != NULL && l.before[i] != l.after[i])
            lost += (unsigned)printf(" lost %s", names[i]);
    for (unsigned i = 0; i < 16; i++)
        if (memcmp(l.ymm_before[i], l.ymm_after[i], l.avx ? 32 : 16) != 0)
            lost += (unsigned)printf(" lost %cmm%u", l.avx ? 'y' : 'x', i);
    printf("%s\n", lost == 0 ? " all kept" : "");
}

/* A leaf whose clobbers the compiler knows when it compiles the callers. `noipa` would hide them.
 */
static unsigned leaf_runs;

#if defined(__clang__)
__attribute__((noinline))
#else
__attribute__((noinline, noclone))
#endif
static int
ipa_leaf(int a, int b)
{
    leaf_runs++;
    return a * 31 + b;
}

__attribute__((noinline)) static double ipa_caller(int n, const int *p, double k, double m)
{
    double s = k, t = m, u = k * m, v = k - m;
    long c = n, d = n * 3L, e = n ^ 77;

    for (int i = 0; i < n; i++) {
        s += ipa_leaf(p[i], i) * k;
        t -= s * m;
        u += t / 3;
        v = u - v;
        c ^= i;
        d += c * 5;
        e -= d;
    }
    return s + t * 2 + u * 3 + v * 4 + (double)c + (double)d + (double)e;
}

int main(void)
{
    int p[6] = {1, 2, 3, 1, 2, 3};

    for (int round = 0; round < 3; round++)
        for (int which = 0; which < 2; which++)
            for (int misalign = 0; misalign < 2; misalign++)
                one_call(5 + misalign, 9, which, misalign);
    for (int round = 0; round < 3; round++)
        printf("ipa %.17g\n", ipa_caller(6, p, 1.5, 0.75));
    body_ran_times("keep_leaf", keep_leaf_runs);
    body_ran_times("keep_leaf_rip", keep_leaf_rip_runs);
    body_ran_times("ipa_leaf", leaf_runs);
    return 0;
}
