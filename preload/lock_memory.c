/*
 * Locks of this process alone: `lock_manager: memory`.
 */
#include <errno.h>
#include <string.h>

#include "cache/locks.h"
#include "preload/gate.h"
#include "preload/lock.h"
#include "preload/state.h"

#define CAPACITY 256u

static int is_gone(void *ctx, const struct tc_lock_owner *owner);
static void changed(void *ctx, uint64_t key_low);

static const struct tc_lock_ops ops = {is_gone, changed};
static struct tc_lock_claim claims[CAPACITY];
static struct tc_locks locks = {.claim = claims, .capacity = CAPACITY, .ops = &ops};
static uint32_t words[TC_PAGE_LOCKS];
static struct tc_gate gate;

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

    tc_gate_enter(&gate);
    answer = tc_locks_ask(&locks, h->key, &owner, hold_ns, tc_monotonic_ns(), ret_again_ns);
    tc_gate_leave(&gate);
    if (answer == TC_LOCK_WAIT && *ret_again_ns <= 0)
        *ret_again_ns = 1;
    return answer == TC_LOCK_DEADLOCK ? -EDEADLK : answer == TC_LOCK_FULL ? -ENOSPC : 0;
}

static void release(const struct tc_held *h)
{
    struct tc_lock_owner owner = owner_of(h);

    tc_gate_enter(&gate);
    tc_locks_release(&locks, h->key, &owner, tc_monotonic_ns());
    tc_gate_leave(&gate);
}

static uint32_t *word(const struct tc_held *h)
{
    return &words[h->key.low % TC_PAGE_LOCKS];
}

/* Whoever was at it, it wasn't the one thread that lives on. */
void tc_lock_memory_after_fork(void)
{
    locks.count = 0;
    gate.state = 0;
}

const struct tc_lock_keeper tc_lock_memory = {ask, release, word, FUTEX_PRIVATE_FLAG};
