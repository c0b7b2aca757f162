#include "preload/context.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "preload/client.h"
#include "preload/owned.h"

extern int *__errno_location(void) __attribute__((weak));

enum {
    MAX_ABANDONED = 64,
};

static __thread struct tc_context *mine __attribute__((tls_model("initial-exec")));
/* Of open calls, atomic: unique in the process, as coroutines may change threads. */
static uint64_t last_serial;
static struct tc_context *all; /* atomic; contexts are never unmapped */
static uint32_t abandoned;     /* atomic: how many are left to frames that may be dead */

static int thread_is_gone(uint32_t tid)
{
    return TC_SYS(SYS_tgkill, tc_sys_getpid(), tid, 0, 0, 0, 0) == -ESRCH;
}

static int take_over(struct tc_context *c, uint32_t tid)
{
    uint32_t owner = __atomic_load_n(&c->owner, __ATOMIC_ACQUIRE);

    if (owner != 0 && !thread_is_gone(owner))
        return 0;
    if (!__atomic_compare_exchange_n(&c->owner, &owner, tid, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return 0;
    tc_statics_leave(c);
    return 1;
}

/* A context whose thread has ended. Looks at a few only, so that many living threads don't make
 * this slow: as threads come, all are looked at in turn. */
static struct tc_context *reuse(uint32_t tid)
{
    static struct tc_context *cursor;
    struct tc_context *c = __atomic_load_n(&cursor, __ATOMIC_RELAXED), *first = NULL;

    for (int i = 0; i < 8; i++) {
        if (c == NULL)
            c = __atomic_load_n(&all, __ATOMIC_ACQUIRE);
        if (c == NULL || c == first)
            break;
        first = first == NULL ? c : first;
        struct tc_context *next = c->next;
        if (take_over(c, tid)) {
            __atomic_store_n(&cursor, next, __ATOMIC_RELAXED);
            return c;
        }
        c = next;
    }
    __atomic_store_n(&cursor, c, __ATOMIC_RELAXED);
    return NULL;
}

static struct tc_context *map_new(uint32_t tid)
{
    struct tc_context *c = tc_sys_mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

    if (c == NULL)
        return NULL;
    c->owner = tid;
    c->next = __atomic_load_n(&all, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&all, &c->next, c, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    return c;
}

static struct tc_flight *flight_at(struct tc_context *c, uint32_t at)
{
    return (struct tc_flight *)(void *)(c->arena + at);
}

/* Of calls that won't come back here. */
static void unlock_all(struct tc_context *c)
{
    if (c->locked == 0)
        return;
    for (uint32_t at = c->flight; at != TC_NO_FLIGHT; at = flight_at(c, at)->previous)
        tc_lock_drop(&flight_at(c, at)->held);
    c->locked = 0;
}

/* A vfork child has its parent's thread-local storage: what it made would stay in use there, owned
 * by a thread that is gone. */
static struct tc_context *make(uint64_t stack, uint32_t *ret_reason)
{
    struct tc_context *c;
    uint32_t tid;

    *ret_reason = tc_is_sandboxed() ? TC_R_SANDBOXED : TC_R_VFORK_CHILD;
    if (tc_is_sandboxed() || tc_sys_getpid() != tc_state.pid)
        return NULL;
    tid = (uint32_t)tc_sys_gettid();
    c = reuse(tid);
    if (c == NULL)
        c = map_new(tid);
    *ret_reason = TC_R_NO_MEMORY;
    if (c == NULL)
        return NULL;
    __atomic_store_n(&c->busy, stack, __ATOMIC_RELEASE); /* before a handler can find it */
    unlock_all(c);
    c->flight = TC_NO_FLIGHT;
    c->flight_end = 0;
    tc_flows_begin(&c->flows, tid == (uint32_t)tc_state.pid);
    c->errno_place = __errno_location != NULL ? __errno_location() : NULL;
    mine = c;
    return c;
}

/* Busy, and the frame that made it so lies below us: it can't be running any more, unless we are on
 * another stack. Not all of those can be told: a coroutine, a handler whose alternate stack is
 * disarmed while it runs. */
static int may_be_dead(uint64_t busy, uint64_t stack)
{
    stack_t alternative;

    if (stack < busy || tc_is_sandboxed())
        return 0;
    memset(&alternative, 0, sizeof alternative);
    if (TC_SYS(SYS_sigaltstack, NULL, &alternative, 0, 0, 0, 0) < 0)
        return 0;
    return !(alternative.ss_flags & SS_ONSTACK);
}

/* Leaves a context to the frame that is at work in it, if that is still alive; it becomes free when
 * that frame comes to its end. What never does is lost: no more than MAX_ABANDONED. */
static int abandon(struct tc_context *c)
{
    if (__atomic_load_n(&abandoned, __ATOMIC_RELAXED) >= MAX_ABANDONED)
        return 0;
    __atomic_fetch_add(&abandoned, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&c->owner, TC_OWNER_ABANDONED, __ATOMIC_RELEASE);
    return 1;
}

/* The thread's flows are open still. Its open calls will store nothing, and the one that was looked
 * at waits for no lock; if it is alive after all, it asks for it again, as its own. */
static struct tc_context *go_on(struct tc_context *old, struct tc_context *c)
{
    struct tc_held waiting;

    if (c == NULL)
        return NULL;
    tc_client_left();
    tc_flows_move(&old->flows, &c->flows);
    unlock_all(old);
    waiting = old->call.held;
    tc_lock_drop(&waiting);
    return c;
}

void tc_contexts_after_fork(void)
{
    for (struct tc_context *c = __atomic_load_n(&all, __ATOMIC_ACQUIRE); c != NULL; c = c->next) {
        __atomic_store_n(&c->owner, TC_OWNER_FORKED, __ATOMIC_RELAXED);
        c->random = 0;
    }
}

struct tc_context *tc_context_enter(uint64_t stack, uint32_t *ret_reason)
{
    struct tc_context *c = mine;

    *ret_reason = TC_R_REENTERED;
    if (!tc_settle_after_fork())
        return NULL;
    if (c != NULL && c->owner == TC_OWNER_FORKED && !tc_is_sandboxed())
        c->owner = (uint32_t)tc_sys_gettid();
    if (c != NULL && !tc_arch_claim(&c->busy, stack)) {
        if (!may_be_dead(__atomic_load_n(&c->busy, __ATOMIC_RELAXED), stack) || !abandon(c))
            return NULL;
        return go_on(c, make(stack, ret_reason));
    }
    return c != NULL ? c : make(stack, ret_reason);
}

void tc_context_exit(struct tc_context *c)
{
    uint32_t owner = TC_OWNER_ABANDONED;

    __atomic_store_n(&c->busy, 0, __ATOMIC_RELEASE);
    if (c->owner == TC_OWNER_ABANDONED &&
        __atomic_compare_exchange_n(&c->owner, &owner, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        __atomic_fetch_sub(&abandoned, 1, __ATOMIC_RELAXED);
}

/* The stack grows down: an open call's entry lies above every newer one's. An entry at or below
 * `entry` was left by an exception, a longjmp or the thread's cancellation. (After a switch of
 * stacks this may drop a call that is still open: then it stores nothing.) */
static void drop_dead(struct tc_context *c, uint64_t entry)
{
    while (c->flight != TC_NO_FLIGHT) {
        struct tc_flight *f = flight_at(c, c->flight);
        if (f->entry > entry)
            return;
        tc_count_bypass(f->hook, TC_R_NONLOCAL_EXIT);
        if (f->record_id != 0) /* counted when it is known what it is */
            TC_COUNT(f->hook, misses, 1);
        tc_flight_close(c, f);
    }
}

uint64_t tc_next_serial(void)
{
    return __atomic_add_fetch(&last_serial, 1, __ATOMIC_RELAXED);
}

struct tc_flight *tc_flight_open(struct tc_context *c, uint64_t entry, size_t bytes)
{
    struct tc_flight *f;
    uint32_t at;

    drop_dead(c, entry);
    at = (c->flight_end + 63u) & ~63u;
    if (bytes > TC_FLIGHT_BYTES || at > TC_FLIGHT_BYTES - bytes)
        return NULL;
    f = flight_at(c, at);
    memset(f, 0, sizeof *f);
    f->entry = entry;
    f->serial = tc_next_serial();
    f->bytes = (uint32_t)bytes;
    f->previous = c->flight;
    c->flight = at;
    c->flight_end = at + (uint32_t)bytes;
    return f;
}

struct tc_flight *tc_flight_find(struct tc_context *c, uint64_t entry, uint64_t serial)
{
    struct tc_flight *f;

    drop_dead(c, entry - 1);
    if (c->flight == TC_NO_FLIGHT)
        return NULL;
    f = flight_at(c, c->flight);
    return f->entry == entry && f->serial == serial ? f : NULL;
}

void tc_flight_close(struct tc_context *c, struct tc_flight *f)
{
    uint32_t at = (uint32_t)((unsigned char *)f - c->arena);

    if (f->held.serial != 0) {
        c->locked--;
        tc_lock_drop(&f->held);
    }
    c->flight = f->previous;
    c->flight_end = at;
}

struct tc_flight *tc_flight_newest(struct tc_context *c, uint64_t entry)
{
    drop_dead(c, entry);
    return c->flight != TC_NO_FLIGHT ? flight_at(c, c->flight) : NULL;
}

struct tc_flight *tc_flight_before(struct tc_context *c, const struct tc_flight *f)
{
    return f->previous != TC_NO_FLIGHT ? flight_at(c, f->previous) : NULL;
}

void tc_flight_hold(struct tc_context *c, struct tc_flight *f, struct tc_held *held)
{
    f->held = *held;
    held->serial = 0;
    c->locked += f->held.serial != 0;
}
