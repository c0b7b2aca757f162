/* longjmp and siglongjmp out of tasks, a thousand times, from different stack depths; calls that
 * return in between must be as if nothing had happened. */
#include <setjmp.h>
#include <signal.h>

#include "body.h"

static jmp_buf back;
static sigjmp_buf back_sig;

EXPORTED_TASK(int jumps(int x))
{
    body_ran("jumps");
    if (x % 2 != 0)
        longjmp(back, x);
    return x * 10;
}

EXPORTED_TASK(int jumps_deep(int x))
{
    volatile char pad[256];
    body_ran("jumps_deep");
    memset((void *)pad, x, sizeof pad);
    return jumps(x) + pad[3];
}

EXPORTED_TASK(int jumps_sig(int x))
{
    body_ran("jumps_sig");
    if (x % 2 != 0)
        siglongjmp(back_sig, x);
    return x * 20;
}

static int recurse(int depth, int x)
{
    volatile char pad[64];
    memset((void *)pad, depth, sizeof pad);
    return depth > 0 ? recurse(depth - 1, x) + pad[0] - depth : jumps_deep(x);
}

int main(void)
{
    volatile long sum = 0;
    sigset_t now;

    for (volatile int i = 0; i < 1000; i++) {
        int landed = setjmp(back);
        if (landed != 0)
            sum += landed;
        else
            sum += recurse(i % 50, i % 7);
    }
    for (volatile int i = 0; i < 1000; i++) {
        int landed = sigsetjmp(back_sig, 1);
        if (landed != 0)
            sum += landed;
        else
            sum += jumps_sig(i % 5);
    }
    (void)sigprocmask(SIG_SETMASK, NULL, &now);
    printf("sum %ld\n", sum);
    printf("jumps %d %d\n", jumps(4), jumps_deep(6));
    printf("blocked %d %d\n", sigismember(&now, SIGINT), sigismember(&now, SIGTERM));
    return 0;
}
