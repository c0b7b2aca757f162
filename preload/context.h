/*
 * What a thread needs while it is in the runtime: scratch memory, the calls of tasks that are open
 * on it, and the guard against re-entry. Mapped at a thread's first call of a task and taken over
 * by another thread when its owner has ended.
 *
 * A context belongs to one thread; a signal handler on that thread finds `busy` set and goes by.
 * Async-signal-safe.
 */
#ifndef TC_PRELOAD_CONTEXT_H
#define TC_PRELOAD_CONTEXT_H

#include <stdint.h>

#include "cache/key.h"
#include "cache/record.h"
#include "preload/arch/arch.h"
#include "preload/flow.h"
#include "preload/lookup.h"
#include "preload/state.h"

#define TC_SCRATCH_BYTES (64u * 1024u)
#define TC_FLIGHT_BYTES  (1024u * 1024u)

/* A call whose body is running. Lies in the context's arena, the newest last; followed by args,
 * olds, extents and material. */
struct tc_flight {
    uint64_t entry;  /* stack pointer at the entry: frames above it are older, below it newer */
    uint64_t serial; /* also in the frame: coroutines that copy stacks reuse addresses */
    struct tc_hook *hook;
    int64_t started_ns;
    uint64_t key_low, key_high;
    int32_t errno_before;
    uint32_t no_store; /* enum tc_reason, 0: store it */
    uint32_t refresh;
    uint32_t found; /* enum tc_found: why it missed */
    int64_t expired_ns;
    uint64_t result_address; /* where the caller wants a result in memory */
    uint32_t bytes;          /* of this entry with what follows it */
    uint32_t previous;       /* offset of the entry before, or TC_NO_FLIGHT */
    uint32_t args, olds, extents, material, material_bytes; /* offsets from the entry's start */
};
#define TC_NO_FLIGHT 0xffffffffu

/* A call while it is looked at. */
struct tc_call {
    struct tc_hook *hook;
    struct tc_frame *frame;
    uint64_t arg[TC_MAX_PARAMS];
    uint8_t arg_type[TC_MAX_PARAMS];
    int64_t old[TC_EXPR_MAX_OLD];
    struct tc_extent out[TC_MAX_OUTPUTS];
    uint64_t stride_bytes[TC_MAX_OUTPUTS];   /* from piece to piece in the caller's memory */
    uint64_t capacity_bytes[TC_MAX_OUTPUTS]; /* UINT64_MAX: the extent is exact */
    uint32_t out_count;
    int probing;
    const struct tc_flow *flow; /* it belongs to, NULL: the process run */
    uint64_t result;
    uint8_t result_type;
    struct tc_material material;
    struct tc_key key;
    const char *bad_detail; /* what else there is to say of it, NULL */
