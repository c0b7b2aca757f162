/*
 * Isolation SERIALIZABLE: of concurrent calls with one key one runs, the others wait and find its
 * record. Comes into play after a miss; hits take no lock.
 *
 * Two keepers of locks behind one table of operations: the service (lock_service.c) and this
 * process (lock_memory.c). Nobody holds anything while waiting: a waiter sleeps on a word that
 * counts what happened to locks on such keys, and asks again when it changed, or after a while.
 *
 * Any thread; with the context entered. May wait for as long as the task's `lock_timeout`.
 */
#ifndef TC_PRELOAD_LOCK_H
#define TC_PRELOAD_LOCK_H

#include "cache/key.h"
#include "cache/task.h"

struct tc_call;
struct tc_context;
struct tc_flight;
struct tc_hook;
struct tc_replayed;

/* What a call holds, or waits for. serial 0: nothing. */
struct tc_held {
    struct tc_key key;
    uint64_t serial;   /* the call's, also in its frame */
    uint64_t stack;    /* where in the frame */
    uint32_t tid, pid; /* who took it: a forked child doesn't own it */
    uint32_t manager;  /* enum tc_lock_manager_id */
    uint32_t storage;  /* whose service keeps it */
    uint64_t remote;   /* TC_LOCKS_OF_PLUGIN: what messages name it by */
};

struct tc_lock_keeper {
    /* 0 with *ret_again_ns 0: it is ours; else we are in line, for so long at most. A negative
     * errno: -EDEADLK, or it can't be had now. */
    int (*ask)(const struct tc_held *h, int64_t hold_ns, int64_t *ret_again_ns);
    void (*release)(const struct tc_held *h);
    uint32_t *(*word)(const struct tc_held *h);
    int futex_flags;
};
extern const struct tc_lock_keeper tc_lock_service, tc_lock_memory;

/* After a miss: takes the key's lock. 0: it is c->held's, and nothing was stored meanwhile; or
 * *ret_hit: another call's record was replayed. Else why the call runs without storing. */
uint32_t tc_lock_take(struct tc_context *x, struct tc_call *c, struct tc_replayed *done,
                      int *ret_hit);

/* Lets go, if anything is held. */
void tc_lock_drop(struct tc_held *h);

/* In a forked child: the parent's threads are gone, and its locks aren't ours. */
void tc_lock_memory_after_fork(void);

#endif
