/*
 * Expressions of a call, and the extents that they give: how much of the caller's memory a
 * parameter means.
 *
 * As capture.h: works on the context's struct tc_call, allocates nothing, any context. 0 or an enum
 * tc_reason.
 */
#ifndef TC_PRELOAD_EXTENT_H
#define TC_PRELOAD_EXTENT_H

#include "preload/context.h"

/* An extent in bytes: pieces, bytes of each, and from one to the next. */
struct tc_runs {
    uint64_t pieces, piece_bytes, stride_bytes;
};

/* The extent of a struct's member: its program has the struct's address as its only argument. */
uint32_t tc_evaluate_member(struct tc_call *c, uint32_t program, uint64_t owner, int64_t *ret);

/* Of an array's parameter, as things are now. */
uint32_t tc_extent_of(struct tc_call *c, const struct tc_param *p, struct tc_runs *ret);

/* Pieces without gaps are one. */
void tc_runs_join(struct tc_runs *e);

/* How long a piece is in its packed form. */
uint64_t tc_packed_bytes(const struct tc_call *c, const struct tc_param *p, uint64_t piece_bytes);

#endif
