/*
 * Which flow a thread was made in. pthread_create() is hooked like a flow function (the config's
 * compiler adds it where there are flows) and does what it always does; its calls are noted
 * together with the flow that the maker is in. glibc writes the new thread's pthread_t, which on
 * this processor is its thread pointer, before the thread starts, and it is read when the call has
 * returned: a new thread that asks earlier waits for that.
 *
 * What isn't certain isn't claimed: threads made by clone() or while the table was full, or whose
 * thread pointer was given out twice meanwhile, belong to no known flow.
 */
#ifndef TC_PRELOAD_THREADS_H
#define TC_PRELOAD_THREADS_H

#include "preload/flow.h"

/* A thread is about to be made; its pthread_t goes to `place`. 0: it isn't noted. */
int tc_threads_begin(struct tc_context *x, struct tc_frame *frame, uint64_t place);
/* It was made, or not. */
void tc_threads_end(const struct tc_frame *frame);
/* One is made unseen: nothing is known from now on. */
void tc_threads_missed(void);

enum tc_thread_origin {
    TC_THREAD_UNKNOWN = 0,
    TC_THREAD_OUTSIDE, /* made outside of all flows */
    TC_THREAD_IN_FLOW, /* *ret is a copy of the maker's, with `original` set */
};
/* Where the calling thread, which is new to us, was made. Waits for a moment. */
enum tc_thread_origin tc_threads_origin(struct tc_flow *ret);

void tc_threads_after_fork(void);

#endif
