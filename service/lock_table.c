#include "service/lock_manager.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "cache/locks.h"

#define CAPACITY 4096u

struct table {
    struct tc_locks locks;
    const struct tc_store *store;
    struct tc_lock_claim claims[CAPACITY];
};

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Something else is where the call's frame kept its number: it was left by a jump. Where we may not
 * look (ptrace's rules: another user namespace, Yama, a program that can't be dumped), it isn't
 * known. */
static int was_left(const struct tc_lock_owner *owner)
{
    uint64_t serial = 0;
    struct iovec here = {&serial, sizeof serial};
    struct iovec there = {(void *)(uintptr_t)owner->stack, sizeof serial};
    ssize_t n = owner->stack != 0 ? process_vm_readv((pid_t)owner->pid, &here, 1, &there, 1, 0)
                                  : 0; /* no frame, as in tests */

    return n < 0 ? errno == EFAULT : n == (ssize_t)sizeof serial && serial != owner->serial;
}

/* A thread's number means something here only if its process has the same number for us as for
 * itself: else it lives in another PID namespace. */
static int is_gone(void *ctx, const struct tc_lock_owner *owner)
{
    pid_t pid = (pid_t)owner->pid;

    (void)ctx;
    if (pid <= 0)
        return 0;
    return (syscall(SYS_tgkill, pid, owner->tid, 0) < 0 && errno == ESRCH) || was_left(owner);
}

void tc_lock_changed(const struct tc_store *store, uint64_t key_low)
{
    uint32_t *word = &tc_store_page(store)->locks[key_low % TC_PAGE_LOCKS];

    __atomic_fetch_add(word, 1, __ATOMIC_RELEASE);
    (void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void changed(void *ctx, uint64_t key_low)
{
    struct table *t = ctx;

    tc_lock_changed(t->store, key_low);
}

static struct tc_lock_owner owner_of(const struct tc_connection *c, const struct tc_lock_request *m)
{
    return (struct tc_lock_owner){.link = c->number,
                                  .serial = m->serial,
                                  .stack = m->stack,
                                  .tid = m->tid,
                                  .pid = c->own_pid == c->pid ? (uint32_t)c->pid : 0};
}

static int ask(void *state, const struct tc_connection *c, const struct tc_lock_request *m,
               uint64_t *ret_again_ns)
{
    struct table *t = state;
    struct tc_lock_owner owner = owner_of(c, m);
    int64_t again_ns;

    switch (tc_locks_ask(&t->locks, (struct tc_key){m->key_low, m->key_high}, &owner, m->hold_ns,
                         now_ns(), &again_ns)) {
    case TC_LOCK_YOURS:
        *ret_again_ns = 0;
        return 0;
    case TC_LOCK_WAIT:
        *ret_again_ns = again_ns > 0 ? (uint64_t)again_ns : 1;
        return 0;
    case TC_LOCK_DEADLOCK:
        return -EDEADLK;
    default:
        return -ENOSPC;
    }
}

static int release(void *state, const struct tc_connection *c, const struct tc_lock_request *m)
{
    struct table *t = state;
    struct tc_lock_owner owner = owner_of(c, m);

    tc_locks_release(&t->locks, (struct tc_key){m->key_low, m->key_high}, &owner, now_ns());
    return 0;
}

static void forget(void *state, const struct tc_connection *c)
{
    struct table *t = state;

    tc_locks_forget(&t->locks, c->number, now_ns());
}

static const struct tc_lock_manager_ops table_ops = {
    .name = "service",
    .ask = ask,
    .release = release,
    .forget = forget,
    .close = free,
};

int tc_lock_table_open(const struct tc_store *store, struct tc_lock_manager *ret)
{
    static const struct tc_lock_ops lock_ops = {is_gone, changed};
    struct table *t = calloc(1, sizeof *t);

    if (t == NULL)
        return -ENOMEM;
    t->store = store;
    t->locks =
        (struct tc_locks){.claim = t->claims, .capacity = CAPACITY, .ops = &lock_ops, .ctx = t};
    *ret = (struct tc_lock_manager){&table_ops, t};
    return 0;
}

const struct tc_lock_manager *tc_lock_manager_of(const struct tc_lock_manager *managers,
                                                 uint32_t id)
{
    return id < TC_LOCK_MANAGERS && managers[id].ops != NULL ? &managers[id] : NULL;
}

void tc_lock_managers_forget(const struct tc_lock_manager *managers, const struct tc_connection *c)
{
    for (uint32_t i = 0; i < TC_LOCK_MANAGERS; i++)
        if (managers[i].ops != NULL)
            managers[i].ops->forget(managers[i].state, c);
}

void tc_lock_managers_close(struct tc_lock_manager *managers)
{
    for (uint32_t i = 0; i < TC_LOCK_MANAGERS; i++) {
        if (managers[i].ops != NULL)
            managers[i].ops->close(managers[i].state);
        managers[i].ops = NULL;
    }
}
