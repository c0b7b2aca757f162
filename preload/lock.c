#include "preload/lock.h"

#include <errno.h>
#include <string.h>

#include "cache/locks.h"
#include "preload/context.h"
#include "preload/far.h"
#include "preload/log.h"
#include "preload/replay.h"
#include "preload/report.h"
#include "preload/state.h"

/* A waiter asks again after so long, then twice as long and so on, up to TC_LOCK_ASK_NS: threads
 * that end and calls that are left by a jump don't tell. */
#define FIRST_ASK_NS 50000000ll
/* How long a waiter puts up with a keeper that doesn't answer: a service may come back. */
#define NO_ANSWER_NS 2500000000ll

static const struct tc_lock_keeper *const keepers[TC_LOCK_MANAGERS] = {
    [TC_LOCKS_OF_SERVICE] = &tc_lock_service,
    [TC_LOCKS_OF_PROCESS] = &tc_lock_memory,
    [TC_LOCKS_OF_PLUGIN] = &tc_lock_service,
};

struct waiting {
    const struct tc_lock_keeper *keeper;
    int64_t until_ns, hold_ns;
    int64_t slice_ns;      /* until the next question */
    int64_t unanswered_ns; /* since when, 0: the last question was answered */
};

/* On a signal's own stack the thread's main work may hold what others wait for. */
static int on_signal_stack(void)
{
    stack_t s;

    memset(&s, 0, sizeof s);
    return TC_SYS(SYS_sigaltstack, NULL, &s, 0, 0, 0, 0) == 0 && (s.ss_flags & SS_ONSTACK);
}

/* Also a forked child inside of a call that its parent made: it would wait for the parent, which
 * may wait for it. */
static int is_inside_of_itself(struct tc_context *x, const struct tc_call *c)
{
    for (const struct tc_flight *f = tc_flight_newest(x, c->frame->entry); f != NULL;
         f = tc_flight_before(x, f))
        if (f->held.serial != 0 && f->key_low == c->key.low && f->key_high == c->key.high)
            return 1;
    return 0;
}

/* Sleeps until the word isn't `seen` any more. Signals are handled meanwhile, as in any sleep. */
static void sleep_on(const struct tc_lock_keeper *k, uint32_t *word, uint32_t seen,
                     int64_t until_ns)
{
    int64_t left;

    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == seen &&
           (left = until_ns - tc_monotonic_ns()) > 0) {
        struct timespec t = {left / 1000000000, left % 1000000000};
        long r = TC_SYS(SYS_futex, word, FUTEX_WAIT | k->futex_flags, seen, &t, 0, 0);
        if (r < 0 && r != -EINTR && r != -EAGAIN)
            return;
    }
}

static void tell_waiting(const struct tc_call *c)
{
    struct tc_line l;

    if (!tc_log_wanted(TC_LOG_DEBUG))
        return;
    tc_line_begin(&l, TC_LOG_DEBUG);
    tc_line_text(&l, c->hook->identity);
    tc_line_text(&l, ": waits for another call of the same key");
    tc_line_end(&l, TC_LOG_DEBUG);
}

/* A refusal to end the waiting with, 0: go on. */
static uint32_t judge(struct waiting *w, int answer, int64_t now_ns)
{
    if (answer == -EDEADLK)
        return TC_R_LOCK_CYCLE;
    if (answer >= 0) {
        w->unanswered_ns = 0;
        return 0;
    }
    if (w->slice_ns == 0 || answer == -ENOLCK)
        return TC_R_NO_LOCK; /* the first question, or a plugin's failure */
    if (w->unanswered_ns == 0)
        w->unanswered_ns = now_ns;
    return now_ns - w->unanswered_ns > NO_ANSWER_NS ? TC_R_NO_LOCK : 0;
}

static int look_up(struct tc_context *x, struct tc_call *c, struct tc_replayed *done)
{
    uint32_t why;

    return !c->hook->active.refresh && tc_replay(x, c, done, &why);
}

/* Who had a far lock may have stored at another machine: what they share is asked, too. */
static int look_up_with_lock(struct tc_context *x, struct tc_call *c, struct tc_replayed *done)
{
    return look_up(x, c, done) || (c->held.remote != 0 && !c->hook->active.refresh &&
                                   tc_far_fetch(c) && look_up(x, c, done));
}

static uint64_t remote_of(const struct tc_task *t)
{
    const struct tc_config *c = tc_state.config;
    const struct tc_storage *list = tc_flat_at(&tc_state.config_flat, c->lock_managers.off,
                                               c->lock_managers.count, sizeof *list);

    return list != NULL && t->far_locks > 0 && t->far_locks <= c->lock_managers.count
               ? list[t->far_locks - 1].remote
               : 0;
}

/* The word is read before the question is asked: what happens between them isn't slept through. */
static uint32_t wait_for_turn(struct tc_context *x, struct tc_call *c, struct waiting *w,
                              struct tc_replayed *done, int *ret_hit)
{
    uint32_t *word = w->keeper->word(&c->held);

    for (;;) {
        uint32_t seen = __atomic_load_n(word, __ATOMIC_ACQUIRE), reason;
        int64_t again_ns = 0, now_ns;
        int answer;

        if (tc_is_sandboxed())
            return TC_R_SANDBOXED;
        *ret_hit = w->slice_ns != 0 && look_up(x, c, done);
        if (*ret_hit)
            return 0;
        answer = w->keeper->ask(&c->held, w->hold_ns, &again_ns);
        if (answer == 0 && again_ns == 0) {
            *ret_hit = look_up_with_lock(x, c, done);
            return 0;
        }
        now_ns = tc_monotonic_ns();
        reason = judge(w, answer, now_ns);
        if (reason == 0 && now_ns >= w->until_ns)
            reason = TC_R_LOCK_TIMEOUT;
        if (reason != 0)
            return reason;
        if (w->slice_ns == 0)
            tell_waiting(c);
        w->slice_ns = w->slice_ns == 0                   ? FIRST_ASK_NS
                      : w->slice_ns < TC_LOCK_ASK_NS / 2 ? w->slice_ns * 2
                                                         : TC_LOCK_ASK_NS;
        now_ns += answer == 0 && again_ns < w->slice_ns ? again_ns : w->slice_ns;
        sleep_on(w->keeper, word, seen, now_ns < w->until_ns ? now_ns : w->until_ns);
    }
}

uint32_t tc_lock_take(struct tc_context *x, struct tc_call *c, struct tc_replayed *done,
                      int *ret_hit)
{
    const struct tc_task *t = c->hook->task;
    int64_t now_ns = tc_monotonic_ns();
    struct waiting w = {.keeper = keepers[t->lock_manager],
                        .hold_ns =
                            t->lock_timeout_ns > 0 ? t->lock_timeout_ns : TC_LOCK_TIMEOUT_NS};
    uint32_t reason;

    *ret_hit = 0;
    if (is_inside_of_itself(x, c))
        return TC_R_LOCK_RECURSION;
    if (tc_sys_getpid() != tc_state.pid || on_signal_stack())
        return TC_R_NO_LOCK;
    if (__builtin_add_overflow(now_ns, t->lock_timeout_ns, &w.until_ns))
        w.until_ns = INT64_MAX;
    c->frame->serial = tc_next_serial();
    c->held = (struct tc_held){.key = c->key,
                               .serial = c->frame->serial,
                               .stack = (uint64_t)(uintptr_t)&c->frame->serial,
                               .tid = (uint32_t)tc_sys_gettid(),
                               .pid = (uint32_t)tc_state.pid,
                               .manager = t->lock_manager,
                               .storage = c->storage,
                               .remote = remote_of(t)};
    reason = wait_for_turn(x, c, &w, done, ret_hit);
    if (reason != 0 || *ret_hit)
        tc_lock_drop(&c->held);
    return reason;
}

void tc_lock_drop(struct tc_held *h)
{
    if (h->serial != 0 && h->pid == (uint32_t)tc_state.pid && !tc_is_sandboxed())
        keepers[h->manager]->release(h);
    h->serial = 0;
}
