#include "preload/gate.h"

#include "preload/sys.h"

#define ALL_SIGNALS_BYTES 8

void tc_gate_enter(struct tc_gate *g)
{
    const uint64_t all = ~0ull;
    uint64_t before = 0;
    uint32_t state = 0;

    TC_SYS(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, ALL_SIGNALS_BYTES, 0, 0);
    if (!__atomic_compare_exchange_n(&g->state, &state, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        while (__atomic_exchange_n(&g->state, 2, __ATOMIC_ACQUIRE) != 0)
            TC_SYS(SYS_futex, &g->state, FUTEX_WAIT_PRIVATE, 2, NULL, 0, 0);
    g->signals = before;
}

void tc_gate_leave(struct tc_gate *g)
{
    uint64_t before = g->signals;

    if (__atomic_exchange_n(&g->state, 0, __ATOMIC_RELEASE) == 2)
        TC_SYS(SYS_futex, &g->state, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    TC_SYS(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, ALL_SIGNALS_BYTES, 0, 0);
}
