/*
 * A storage behind the cache, see service/remote/: after a miss the service is asked to fetch the
 * record from there into the cache. Not for the hit path; async-signal-safe under the context's
 * guard.
 */
#ifndef TC_PRELOAD_FAR_H
#define TC_PRELOAD_FAR_H

struct tc_call;

/* 1: there is a record in the cache now, to be looked up as any other. Waits for as long as the
 * storage's `timeout`. */
int tc_far_fetch(const struct tc_call *c);

#endif
