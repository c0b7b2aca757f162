/* Tasks on an alternate signal stack of 16 KiB with a guard page below it: from an ordinary signal,
 * and from the handler of a stack overflow, which then jumps out. */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "body.h"

static sigjmp_buf back;
static volatile int64_t from_signal, from_overflow;

EXPORTED_TASK(int64_t alt_task(int x, uint8_t *out, size_t n))
{
    body_ran("alt_task");
    memset(out, x, n);
    return (int64_t)x * 61;
}

static void on_usr1(int sig)
{
    uint8_t out[128];
    (void)sig;
    for (int i = 0; i < 4; i++)
        from_signal += alt_task(i, out, sizeof out) + out[127];
}

static void on_segv(int sig)
{
    uint8_t out[128];
    (void)sig;
    from_overflow += alt_task(2, out, sizeof out) + out[127];
    from_overflow += alt_task(100, out, sizeof out) + out[127];
    siglongjmp(back, 1);
}

__attribute__((noinline)) static int overflow(int n)
{
    volatile char pad[4096];
    pad[0] = (char)n;
    pad[4095] = (char)n;
    return n < 0 ? 0 : overflow(n + 1) + pad[0] + pad[4095];
}

int main(void)
{
    struct rlimit small = {256u << 10, RLIM_INFINITY};
    char *area = mmap(NULL, 20480, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t alt = {.ss_sp = area + 4096, .ss_size = 16384};
    struct sigaction usr1 = {.sa_handler = on_usr1, .sa_flags = SA_ONSTACK};
    struct sigaction segv = {.sa_handler = on_segv, .sa_flags = SA_ONSTACK};
    uint8_t out[128];

    (void)getrlimit(RLIMIT_STACK, &small);
    small.rlim_cur = 256u << 10;
    if (area == MAP_FAILED || mprotect(area + 4096, 16384, PROT_READ | PROT_WRITE) != 0 ||
        setrlimit(RLIMIT_STACK, &small) != 0 || sigaltstack(&alt, NULL) != 0)
        return 1;
    (void)sigaction(SIGUSR1, &usr1, NULL);
    (void)sigaction(SIGSEGV, &segv, NULL);
    for (int i = 0; i < 5; i++)
        (void)raise(SIGUSR1);
    for (volatile int i = 0; i < 3; i++)
        if (sigsetjmp(back, 1) == 0)
            (void)overflow(0);
    printf("from a signal %lld\n", (long long)from_signal);
    printf("from an overflow %lld\n", (long long)from_overflow);
    printf("main %lld\n", (long long)alt_task(3, out, sizeof out));
    return 0;
}
