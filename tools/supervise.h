/*
 * Staying beside the program as its parent: signals go to it, and how it ended is how we end. Used
 * by `run --stats` alone; changes the process's signal mask for good. One thread.
 */
#ifndef TC_TOOLS_SUPERVISE_H
#define TC_TOOLS_SUPERVISE_H

/* Forks; the child calls `become`, which must not return. Waits for its end: 0 with the wait
 * status, or a negative errno if there was no fork.
 *
 * What a terminal sends goes to the whole foreground group, the program included: only what was
 * sent to us alone is passed on. When the program stops, so do we, until both are continued. */
int tc_supervise(void (*become)(void *ctx), void *ctx, int *ret_wait_status);

/* Ends this process as the wait status says: by the same signal (without a core of our own), or
 * with the same status, which it returns. */
int tc_end_as(int wait_status);

#endif
