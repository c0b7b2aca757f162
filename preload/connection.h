/*
 * A process' connection to the service of one storage: whose turn it is, messages and replies. What
 * is said is client.h's.
 *
 * A turn is one thread's: all but the breaker and the lock is for who has it. Any context; no lock
 * is held over the host's code. Negative errno. What has failed is tried again a second later.
 */
#ifndef TC_PRELOAD_CONNECTION_H
#define TC_PRELOAD_CONNECTION_H

#include "preload/client.h"
#include "preload/state.h"
#include "preload/under_way.h"

/* No request takes longer. */
#define TC_LONGEST_NS 1000000000ll

/* One to the service of each storage. */
struct tc_link {
    uint32_t lock;     /* 0 free, else the owner's tid */
    int64_t locked_ns; /* atomic: since when, 0: only just */
    uint32_t waiters;  /* atomic: for a turn; a jump out of waiting leaves one too many */
    int has_fd;        /* 0: `fd` is nothing */
    int fd;
    uint64_t dev, ino;
    int greeted;
    uint64_t seq;
    int64_t closed_until_ns;   /* atomic: no answer is waited for */
    int64_t given_up_until_ns; /* atomic: nor anything else */
    struct tc_under_way under_way;
};

extern struct tc_link tc_links[TC_MAX_STORAGES];

/* The breaker: the service is late, or isn't there. */
void tc_link_late(struct tc_link *l);
int tc_link_is_late(struct tc_link *l, int64_t now_ns);
/* A service that is late gets results all the same, as long as that takes nobody much time. */
void tc_link_give_up(struct tc_link *l);
int tc_link_is_given_up(struct tc_link *l);

/* -EAGAIN: it is this thread's, which was interrupted in it; -ETIMEDOUT. */
int tc_link_lock(struct tc_link *l, int64_t until_ns);
int tc_link_lock_at_once(struct tc_link *l);
void tc_link_unlock(struct tc_link *l);

/* Is the number still our socket? */
int tc_link_is_ours(struct tc_link *l);
/* Connects, if need be. */
int tc_link_ready(struct tc_link *l);
void tc_link_drop(struct tc_link *l);
/* After this error of an exchange: drops it, or only waits. */
void tc_link_end_badly(struct tc_link *l, int r);

/* At once: -EAGAIN, the socket is full. */
long tc_link_send(struct tc_link *l, const struct tc_outgoing *m, uint64_t seq);
/* Waits for room; `until_ns` 0: at once. */
int tc_link_send_when_possible(struct tc_link *l, const struct tc_outgoing *m, uint64_t seq,
                               int64_t until_ns);
/* The reply with this number; others are noted and let go. -ETIMEDOUT, -ENOTCONN. */
int tc_link_receive(struct tc_link *l, uint64_t seq, int64_t until_ns, struct tc_reply *ret);

#endif
