/*
 * Locks on keys, for isolation SERIALIZABLE: who holds a key, who waits for it and in which order.
 * A table of claims in the caller's memory; nothing here blocks. The service keeps one for all of
 * its clients, and the runtime one for lock manager `memory`.
 *
 * Who waits asks again: from time to time, and when `changed` was called for its key. A claim that
 * isn't asked for any more lapses; one that is held lapses after `hold_ns`; one whose owner is gone
 * goes when somebody else wants the key. A key that is let go belongs to the next in line at
 * once, whether that one has noticed or not.
 *
 * Freestanding. One thread at a time.
 */
#ifndef TC_CACHE_LOCKS_H
#define TC_CACHE_LOCKS_H

#include <stdint.h>

#include "cache/key.h"

/* A waiter that isn't heard of for so long has left. It asks at least every TC_LOCK_ASK_NS. */
#define TC_LOCK_LAPSE_NS 5000000000ll
#define TC_LOCK_ASK_NS   1000000000ll

struct tc_lock_owner {
    uint64_t link;   /* the process, as far as the table's keeper tells them apart */
    uint64_t serial; /* of the call, unique in the process */
    uint64_t stack;  /* where the call's frame keeps that number */
    uint32_t tid;
    uint32_t pid; /* in which that is known by this number; 0: not known here */
};

enum tc_lock_state {
    TC_LOCK_WAITING = 0,
    TC_LOCK_GRANTED, /* it is the owner's turn, which hasn't asked again yet */
    TC_LOCK_HELD,
};

struct tc_lock_claim {
    struct tc_key key;
    struct tc_lock_owner owner;
    uint64_t ticket;  /* in the order of arrival */
    int64_t until_ns; /* lapses */
    uint32_t state;   /* enum tc_lock_state */
    uint32_t pad;
};

struct tc_lock_ops {
    /* Has the owner's thread ended, or left its call? Not known: 0. */
    int (*is_gone)(void *ctx, const struct tc_lock_owner *owner);
    /* Those who wait for keys with these low bits should ask. */
    void (*changed)(void *ctx, uint64_t key_low);
};

struct tc_locks {
    struct tc_lock_claim *claim;
    uint32_t count, capacity;
    uint64_t last_ticket;
    const struct tc_lock_ops *ops;
    void *ctx;
};

enum tc_lock_answer {
    TC_LOCK_YOURS = 1,
    TC_LOCK_WAIT,     /* in line; *ret_again_ns: when the holder's time is over */
    TC_LOCK_DEADLOCK, /* the holder waits for what this thread holds, itself or through others */
    TC_LOCK_FULL,
};

/* Takes the key, or a place in line, or renews that. A thread waits for one key at a time; of one
 * key that it holds from another call, that call was left. */
enum tc_lock_answer tc_locks_ask(struct tc_locks *l, struct tc_key key,
                                 const struct tc_lock_owner *owner, int64_t hold_ns, int64_t now_ns,
                                 int64_t *ret_again_ns);

/* Gives up what the call holds or waits for; nothing if it doesn't. */
void tc_locks_release(struct tc_locks *l, struct tc_key key, const struct tc_lock_owner *owner,
                      int64_t now_ns);

/* The process is gone. */
void tc_locks_forget(struct tc_locks *l, uint64_t link, int64_t now_ns);

#endif
