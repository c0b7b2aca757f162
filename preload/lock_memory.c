/*
 * Locks of this process alone: `lock_manager: memory`. The table is changed with all signals
 * blocked, so that no handler finds it half done and nobody jumps out of here; so whoever waits
 * for it waits for a moment.
 */
#include <errno.h>
#include <string.h>

#include "cache/locks.h"
#include "preload/lock.h"
#include "preload/state.h"

#define CAPACITY          256u
#define ALL_SIGNALS_BYTES 8

static int is_gone(void *ctx, const struct tc_lock_owner *owner);
static void changed(void *ctx, uint64_t key_low);

static const struct tc_lock_ops ops = {is_gone, changed};
static struct tc_lock_claim claims[CAPACITY];
static struct tc_locks locks = {.claim = claims, .capacity = CAPACITY, .ops = &ops};
static uint32_t words[TC_PAGE_LOCKS];
static uint32_t turn; /* 0 free, 1 taken, 2 taken and waited for */

static void enter(uint64_t *ret_signals)
{
    const uint64_t all = ~0ull;
    uint32_t state = 0;

    TC_SYS(SYS_rt_sigprocmask, SIG_SETMASK, &all, ret_signals, ALL_SIGNALS_BYTES, 0, 0);
    if (__atomic_compare_exchange_n(&turn, &state, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    while (__atomic_exchange_n(&turn, 2, __ATOMIC_ACQUIRE) != 0)
        TC_SYS(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, 2, NULL, 0, 0);
}

static void leave(const uint64_t *signals)
{
    if (__atomic_exchange_n(&turn, 0, __ATOMIC_RELEASE) == 2)
        TC_SYS(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    TC_SYS(SYS_rt_sigprocmask, SIG_SETMASK, signals, NULL, ALL_SIGNALS_BYTES, 0, 0);
}

/* Its thread has ended, or something else is where its frame was. Read by the kernel: a stack may
 * have been unmapped. */
static int is_gone(void *ctx, const struct tc_lock_owner *owner)
{
    uint64_t serial = 0;
    struct iovec here = {&serial, sizeof serial};
    struct iovec there = {(void *)(uintptr_t)owner->stack, sizeof serial};
    long r;

    (void)ctx;
    if (TC_SYS(SYS_tgkill, tc_state.pid, owner->tid, 0, 0, 0, 0) == -ESRCH)
        return 1;
    r = TC_SYS(SYS_process_vm_readv, tc_state.pid, &here, 1, &there, 1, 0);
    return r == -EFAULT || (r == (long)sizeof serial && serial != owner->serial);
}

static void changed(void *ctx, uint64_t key_low)
{
    uint32_t *w = &words[key_low % TC_PAGE_LOCKS];

    (void)ctx;
    __atomic_fetch_add(w, 1, __ATOMIC_RELEASE);
    TC_SYS(SYS_futex, w, FUTEX_WAKE_PRIVATE, INT32_MAX, 0, 0, 0);
}

static struct tc_lock_owner owner_of(const struct tc_held *h)
{
    return (struct tc_lock_owner){.serial = h->serial, .stack = h->stack, .tid = h->tid};
}

static int ask(const struct tc_held *h, int64_t hold_ns, int64_t *ret_again_ns)
{
    struct tc_lock_owner owner = owner_of(h);
    enum tc_lock_answer answer;
    uint64_t signals;

    enter(&signals);
    answer = tc_locks_ask(&locks, h->key, &owner, hold_ns, tc_monotonic_ns(), ret_again_ns);
    leave(&signals);
    if (answer == TC_LOCK_WAIT && *ret_again_ns <= 0)
        *ret_again_ns = 1;
    return answer == TC_LOCK_DEADLOCK ? -EDEADLK : answer == TC_LOCK_FULL ? -ENOSPC : 0;
}

static void release(const struct tc_held *h)
{
    struct tc_lock_owner owner = owner_of(h);
    uint64_t signals;

    enter(&signals);
    tc_locks_release(&locks, h->key, &owner, tc_monotonic_ns());
    leave(&signals);
}

static uint32_t *word(const struct tc_held *h)
{
    return &words[h->key.low % TC_PAGE_LOCKS];
}

/* Whoever was at it, it wasn't the one thread that lives on. */
void tc_lock_memory_after_fork(void)
{
    locks.count = 0;
    turn = 0;
}

const struct tc_lock_keeper tc_lock_memory = {ask, release, word, FUTEX_PRIVATE_FLAG};
