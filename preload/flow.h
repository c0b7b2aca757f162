/*
 * Run scopes: the calls of flow functions that are open on a thread, and which of them a task's
 * call belongs to.
 *
 * A flow is open while its frame is: frames are told by their place on the thread's own stack,
 * where an older call's entry lies above every newer one's. On any other stack (a coroutine's, a
 * signal's) and on a thread that may have been made by a flow, nothing is claimed: `no-flow`.
 *
 * Part of a context: of its thread alone. Async-signal-safe.
 */
#ifndef TC_PRELOAD_FLOW_H
#define TC_PRELOAD_FLOW_H

#include <stdint.h>

#include "cache/task.h"
#include "preload/arch/arch.h"

#define TC_MAX_FLOWS     64u
#define TC_FLOW_SEEDS    4u   /* under so many digests of arguments are kept, see state.h */
#define TC_FLOW_ID_BYTES 304u /* the run's id, "/", pid, start and counter in hexadecimal */

enum tc_flow_parameters {
    TC_FLOW_NO_PARAMETERS = 0, /* no key */
    TC_FLOW_DIGEST,
    TC_FLOW_UNKNOWN, /* an argument couldn't be read */
};

/* A flow that is a transaction, see transaction.h. */
struct tc_flow_transaction {
    uint64_t id[2];
    uint32_t mode;    /* enum tc_commit_mode; TC_COMMIT_NONE: the flow is none */
    uint32_t touched; /* atomic, as are the next ones; by storage: something was sent for it */
    uint32_t begun;   /* by storage: its service said that it knows it */
    uint32_t headers; /* by storage: headers of results elsewhere, which come after those */
    uint32_t broken;  /* it will come to nothing */
};

struct tc_flow {
    uint64_t entry;     /* stack pointer at the entry */
    uint64_t return_to; /* what lies there */
    const struct tc_frame *frame;
    uint64_t serial;    /* as in the frame */
    uint64_t number;    /* atomic: of the flow calls of a process; 0 when it has ended */
    int64_t started_ns; /* of that process: a fork has its own */
    uint32_t pid;
    uint8_t lost;       /* not a flow: more were opened than fit */
    uint8_t parameters; /* enum tc_flow_parameters */
    uint8_t persist;    /* enum tc_tristate, the enclosing flow's where it says nothing */
    uint8_t not_yet;    /* uses what isn't built */
    uint8_t digest[TC_FLOW_SEEDS][16]; /* of the arguments */
    uint32_t storage; /* where its tasks' results are kept, the enclosing flow's; 0: the cache */
    struct tc_flow_transaction transaction;
    /* Of another thread, which made this one in it: NULL, or where that one keeps it. A copy: the
     * flow is open as long as the original has its number and its thread. */
    const struct tc_flow *original;
    uint32_t owner;    /* that thread */
    uint32_t taken_in; /* the process in which it was taken over */
};

struct tc_flows {
    uint32_t count;
    uint8_t main;    /* the process's first thread */
    uint8_t outside; /* the thread was there before the first flow: it belongs to the process run */
    uint64_t low, high;  /* of the own stack, as far as known */
    uint64_t other, end; /* another stack that was seen last */
    struct tc_flow at[TC_MAX_FLOWS];
};

struct tc_context;

/* A thread gets its context. */
void tc_flows_begin(struct tc_flows *f, int first_thread);
/* Before any flow. */
void tc_flows_start(void);
/* In a forked child: its thread needn't be the first one's, and ids are its own. */
void tc_flows_after_fork(void);
/* Does it matter which flow a thread is in? */
int tc_flow_was_seen(void);
/* The context's flows go on in another one. */
void tc_flows_move(struct tc_flows *from, struct tc_flows *to);
/* A flow function was called, in whatever way: from now on stacks and threads matter. */
void tc_flow_seen(void);
/* A flow call went by unseen: until its frame is gone, nothing is known on this thread. */
void tc_flow_missed(uint64_t entry);

/* Opens one whose digest and so on the caller fills in. NULL: another stack, or too many. */
struct tc_flow *tc_flow_open(struct tc_context *x, const struct tc_frame *frame, uint64_t serial);
void tc_flow_close(struct tc_context *x, uint64_t entry, uint64_t serial);
/* The open one of this call, NULL. */
struct tc_flow *tc_flow_at(struct tc_context *x, uint64_t entry, uint64_t serial);
/* The one that it was called in, NULL: none. */
struct tc_flow *tc_flow_around(struct tc_context *x, const struct tc_flow *f);

/* The flow that a call at this stack pointer belongs to, NULL for the process run. 0, or
 * TC_R_NO_FLOW. */
uint32_t tc_flow_of(struct tc_context *x, uint64_t entry, const struct tc_flow **ret);

/* Its id, as RUN_ID has it; returns the bytes. */
uint32_t tc_flow_id(const struct tc_flow *f, char ret[TC_FLOW_ID_BYTES]);

#endif
