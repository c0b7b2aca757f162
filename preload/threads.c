#include "preload/threads.h"

#include <string.h>

#include "preload/context.h"
#include "preload/gate.h"
#include "preload/state.h"
#include "preload/transaction.h"

#define CAPACITY 1024u
/* Nothing in pthread_create() waits for the new thread; a maker that was stopped isn't waited for.
 */
#define WAIT_NS  20000000ll

struct made {
    uint64_t serial;       /* of the call; 0: free */
    uint64_t place;        /* where its pthread_t will be; 0: the call has returned */
    uint64_t thread;       /* ... which this is */
    uint64_t began, ended; /* on `events` */
    enum tc_thread_origin origin;
    struct tc_flow flow;
};

static struct made table[CAPACITY];
static struct tc_gate gate;
static uint64_t events; /* counts beginnings and ends */
static uint32_t ends;   /* atomic: new threads sleep on it */
static uint32_t blind;  /* atomic: a thread was made unseen */

/* By the kernel: the new thread may have given that memory back before its maker looks. */
static uint64_t read_word(uint64_t address)
{
    uint64_t word = 0;
    struct iovec here = {&word, sizeof word}, there = {(void *)(uintptr_t)address, sizeof word};
    long r = TC_SYS(SYS_process_vm_readv, tc_state.pid, &here, 1, &there, 1, 0);

    return r == (long)sizeof word ? word : 0;
}

static int may_be_needed(const struct made *m)
{
    return m->place != 0 || m->origin != TC_THREAD_IN_FLOW ||
           __atomic_load_n(&m->flow.original->number, __ATOMIC_RELAXED) == m->flow.number;
}

/* A free one, or the oldest that is done: its thread may have asked long ago. */
static struct made *find_room(void)
{
    struct made *oldest = NULL;

    for (uint32_t i = 0; i < CAPACITY; i++) {
        struct made *m = &table[i];
        if (m->serial == 0 || !may_be_needed(m))
            return m;
        if (m->place == 0 && (oldest == NULL || m->ended < oldest->ended))
            oldest = m;
    }
    return oldest;
}

static enum tc_thread_origin origin_of_maker(struct tc_context *x, uint64_t entry,
                                             struct tc_flow *ret)
{
    const struct tc_flow *f;

    if (tc_flow_of(x, entry, &f) != 0)
        return TC_THREAD_UNKNOWN;
    if (f == NULL)
        return TC_THREAD_OUTSIDE;
    /* A transaction is its own thread's: what others staged for it would race with its end. */
    if (tc_transaction_of(x, f) != NULL)
        return TC_THREAD_UNKNOWN;
    *ret = *f;
    if (f->original == NULL) {
        ret->original = f;
        ret->owner = (uint32_t)tc_sys_gettid();
    }
    return TC_THREAD_IN_FLOW;
}

int tc_threads_begin(struct tc_context *x, struct tc_frame *frame, uint64_t place)
{
    struct tc_flow flow;
    enum tc_thread_origin origin = origin_of_maker(x, frame->entry, &flow);
    struct made *m;

    tc_gate_enter(&gate);
    m = find_room();
    if (m != NULL) {
        *m = (struct made){
            .serial = tc_next_serial(), .place = place, .began = ++events, .origin = origin};
        if (origin == TC_THREAD_IN_FLOW)
            m->flow = flow;
        frame->serial = m->serial;
    }
    tc_gate_leave(&gate);
    if (m == NULL)
        tc_threads_missed();
    return m != NULL;
}

/* What else is known by this thread pointer is of a thread that has ended; unless it was made while
 * this one was, as then it can't be told which came first. */
static int is_certain(const struct made *m)
{
    int certain = m->thread != 0;

    for (uint32_t i = 0; i < CAPACITY; i++) {
        struct made *other = &table[i];
        if (other == m || other->serial == 0 || other->place != 0 || other->thread != m->thread)
            continue;
        certain &= other->ended < m->began;
        other->serial = 0;
    }
    return certain;
}

void tc_threads_end(const struct tc_frame *frame)
{
    if (tc_is_sandboxed()) {
        tc_threads_missed();
        return;
    }
    tc_gate_enter(&gate);
    for (uint32_t i = 0; i < CAPACITY; i++) {
        struct made *m = &table[i];
        if (m->serial != frame->serial || m->place == 0)
            continue;
        m->thread = (int32_t)frame->rax == 0 ? read_word(m->place) : 0;
        m->place = 0;
        m->ended = ++events;
        if (!is_certain(m))
            m->serial = 0;
        break;
    }
    tc_gate_leave(&gate);
    __atomic_fetch_add(&ends, 1, __ATOMIC_RELEASE);
    TC_SYS(SYS_futex, &ends, FUTEX_WAKE_PRIVATE, INT32_MAX, 0, 0, 0);
}

void tc_threads_missed(void)
{
    __atomic_store_n(&blind, 1, __ATOMIC_RELEASE);
}

/* 1: known, in *ret; 0: nothing is; -1: it is being made. */
static int look(uint64_t thread, struct made *ret)
{
    int found = 0;

    tc_gate_enter(&gate);
    for (uint32_t i = 0; i < CAPACITY && found >= 0; i++) {
        const struct made *m = &table[i];
        if (m->serial == 0)
            continue;
        if (m->place != 0 && read_word(m->place) == thread) {
            found = -1;
        } else if (m->place == 0 && m->thread == thread) {
            *ret = *m;
            found = 1;
        }
    }
    tc_gate_leave(&gate);
    return found;
}

enum tc_thread_origin tc_threads_origin(struct tc_flow *ret)
{
    uint64_t thread = tc_arch_thread_pointer();
    int64_t until_ns = tc_monotonic_ns() + tc_patient(WAIT_NS), left;
    struct made m;
    int found;

    for (;;) {
        uint32_t seen = __atomic_load_n(&ends, __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&blind, __ATOMIC_ACQUIRE) || tc_is_sandboxed())
            return TC_THREAD_UNKNOWN;
        found = look(thread, &m);
        left = until_ns - tc_monotonic_ns();
        if (found >= 0 || left <= 0)
            break;
        struct timespec t = {left / 1000000000, left % 1000000000};
        TC_SYS(SYS_futex, &ends, FUTEX_WAIT_PRIVATE, seen, &t, 0, 0);
    }
    if (found != 1)
        return TC_THREAD_UNKNOWN;
    if (m.origin == TC_THREAD_IN_FLOW)
        *ret = m.flow;
    return m.origin;
}

void tc_threads_after_fork(void)
{
    memset(table, 0, sizeof table);
    gate.state = 0;
}
