/*
 * Where the arguments of one call lie in each other's memory. What a function does then may be
 * something else than what it does with equal bytes that lie apart: `next(a, a, n)` reads what it
 * has written, and `f(&z, &z)` adds twice. So it is part of the key: a component "=overlap" behind
 * the inputs, which calls whose arguments lie apart don't have.
 *
 * Works on the context's struct tc_call, allocates nothing, async-signal-safe.
 */
#ifndef TC_PRELOAD_OVERLAP_H
#define TC_PRELOAD_OVERLAP_H

#include "preload/context.h"

#define TC_OVERLAP "=overlap"

/* None so far; the extents of the outputs are known. */
void tc_overlaps_begin(struct tc_call *c);

/* These bytes of the caller's memory are a part of input `param`, `left` bytes before its content's
 * end: which of the outputs do they touch? */
void tc_overlap_input(struct tc_call *c, uint32_t param, uint64_t address, uint64_t bytes,
                      uint64_t left);

/* When all inputs are in: the component, if there is anything to say. 0, or an enum tc_reason. */
uint32_t tc_overlaps_end(struct tc_call *c, struct tc_material *m);

/* Lay all of this read-only input inside of an output, which the function writes and a replay does,
 * too? Then it may have changed. */
int tc_overlap_is_output(const struct tc_call *c, uint32_t param);

/* May an output's memory be an input's too, whether the key knows of it or not? Then nothing may be
 * written before it is known to be sound. */
int tc_overlaps_inputs(struct tc_call *c);

#endif
