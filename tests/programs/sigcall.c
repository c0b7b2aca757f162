/* A timer's handler calls tasks at any moment, in the middle of other calls of tasks too; every
 * third time it jumps out of whatever it has interrupted. Argument: how many signals (400). */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>

#include "body.h"

static sigjmp_buf restart;
static volatile sig_atomic_t handled, jumped, wrong, may_jump;

EXPORTED_TASK(int64_t in_handler(int x))
{
    body_ran("in_handler");
    return (int64_t)x * 1000003;
}

EXPORTED_TASK(int64_t in_main(int x, uint8_t *out, size_t n))
{
    body_ran("in_main");
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(x + (int)i);
    return (int64_t)x * 7919;
}

static void check(int64_t got, int64_t want)
{
    if (got != want)
        wrong = wrong + 1;
}

static void handler(int sig)
{
    int x = (int)handled % 20;
    uint8_t out[64];
    int before = errno;

    (void)sig;
    check(in_handler(x), x * (int64_t)1000003);
    check(in_main(x % 5, out, sizeof out), x % 5 * (int64_t)7919);
    check(out[63], (uint8_t)(x % 5 + 63));
    handled = handled + 1;
    errno = before;
    if (may_jump && handled % 3 == 0) {
        jumped = jumped + 1;
        siglongjmp(restart, 1);
    }
}

static void call_until(int signals)
{
    for (int i = 0; handled < signals; i++) {
        uint8_t out[64] = {0};
        int x = i % 10;
        check(in_main(x, out, sizeof out), x * (int64_t)7919);
        for (int k = 0; k < 64; k++)
            check(out[k], (uint8_t)(x + k));
        check(in_handler(x), x * (int64_t)1000003);
    }
}

int main(int argc, char **argv)
{
    int signals = (int)argument(argc, argv, 1, 400);
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 700}, {0, 700}}, never = {{0, 0}, {0, 0}};

    (void)sigaction(SIGALRM, &sa, NULL);
    (void)sigsetjmp(restart, 1);
    may_jump = 1;
    (void)setitimer(ITIMER_REAL, &every, NULL);
    call_until(signals);
    may_jump = 0;
    (void)setitimer(ITIMER_REAL, &never, NULL);
    printf("handled enough: %d, jumped: %d, wrong: %d\n", handled >= signals, jumped > 0,
           (int)wrong);
    printf("in_handler %lld %lld\n", (long long)in_handler(7), (long long)in_handler(7));
    return 0;
}
