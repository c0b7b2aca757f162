/*
 * Results that were sent over one connection and that nobody waits for (`store: async`): which keys
 * they have, and how far the service has answered. Replies come in the order of requests, so the
 * number of the last one is all that it takes.
 *
 * A fixed number of them; who adds one more waits for the oldest first. Entries stay until they are
 * overwritten: a look-up that has just missed must find what was answered a moment ago, too.
 *
 * tc_under_way_find(): any thread, any context. All else: who has the connection's turn.
 */
#ifndef TC_PRELOAD_UNDER_WAY_H
#define TC_PRELOAD_UNDER_WAY_H

#include <stdint.h>

#include "cache/wire.h"

#define TC_UNDER_WAY 64u

struct tc_sent {
    uint64_t key_low, seq; /* atomic; seq 0: nothing */
    int64_t patience_ns;   /* atomic: how long its reply is worth waiting for */
    uint32_t hook;         /* whose result it is */
};

/* What the service said to one of them instead of storing it. reason 0: nothing. */
struct tc_refused {
    uint32_t hook, reason;
};

struct tc_under_way {
    uint64_t count;    /* atomic: of all that were ever added */
    uint64_t answered; /* atomic: up to this seq */
    uint64_t large;    /* seq of the last one in a memfd */
    struct tc_refused refused;
    struct tc_sent at[TC_UNDER_WAY];
};

/* Of a message before which there is room for one more, and for a large one if that is what comes;
 * 0: now. */
uint64_t tc_under_way_before(const struct tc_under_way *u, int large);
void tc_under_way_add(struct tc_under_way *u, const struct tc_sent *s, int large);
/* Is the answer to any of them still to come? */
int tc_under_way_unanswered(const struct tc_under_way *u);
/* A reply came, to whatever. */
void tc_under_way_answered(struct tc_under_way *u, const struct tc_reply *reply);
/* The connection is another one: nothing up to `seq` will be answered any more. */
void tc_under_way_lost(struct tc_under_way *u, uint64_t seq);
/* 1: a result with this key was sent; *ret_patience_ns: how long to wait for the answer, 0: it has
 * come. */
int tc_under_way_find(const struct tc_under_way *u, uint64_t key_low, int64_t *ret_patience_ns);

#endif
