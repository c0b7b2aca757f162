/*
 * The in-process table: results of the thread's last calls of simple tasks, found by the words of
 * their arguments.
 *
 * A task is simple if its key and the shape of its outputs depend on scalars alone: no input behind
 * a pointer, no flow, no verification (tc_table_prepare() has the list). Then equal words mean an
 * equal key and equal extents, and nothing of these need be worked out.
 *
 * What it gives is what the mapped store would give: an entry holds while nothing was committed
 * since the look-up that made it (the shared page's generation and ceiling), so that removals,
 * evictions, newer results and a new store are seen at the very call at which they would be seen
 * there; expiration is looked at each time. After a commit an entry is made anew by the next
 * look-up.
 *
 * A part of the context: of its thread alone, guarded by `busy`. Async-signal-safe, no system call,
 * no memory but the context's.
 */
#ifndef TC_PRELOAD_TABLE_H
#define TC_PRELOAD_TABLE_H

#include "cache/record.h"
#include "preload/lookup.h"
#include "preload/state.h"

#define TC_TABLE_ENTRIES 512u /* power of two */
#define TC_TABLE_BYTES   256u /* of the outputs together */
/* Those of the arguments, which outputs are NULL, and the floating-point control. */
#define TC_TABLE_WORDS   (TC_SIMPLE_WORDS + 2u)

struct tc_table_entry {
    uint32_t stamp; /* the task's; 0: empty. Written last: threads may be cancelled anywhere */
    uint32_t bytes[TC_SIMPLE_OUTPUTS];
    uint64_t generation, ceiling;
    uint64_t word[TC_TABLE_WORDS];
    struct tc_record head;
    unsigned char outputs[TC_TABLE_BYTES]; /* as in the record */
};

struct tc_table {
    /* Of the call that is looked at. */
    uint32_t wanted; /* 1: its result may be kept, under these words */
    uint32_t hash;
    uint64_t word[TC_TABLE_WORDS];
    /* Of each place's last call that was replayed from the store: into a place that is taken only
     * what comes twice in a row is put, so that a walk over many keys doesn't pay for it. */
    uint32_t seen[TC_TABLE_ENTRIES];
    struct tc_table_entry entry[TC_TABLE_ENTRIES];
};

struct tc_context;
struct tc_call;

/* Fills in h->simple; all else of the hook must be there. */
void tc_table_prepare(struct tc_hook *h);

/* 1: the call was replayed and counted. 0: it has to be looked up. */
int tc_table_replay(struct tc_context *x, struct tc_frame *f, struct tc_hook *h);

/* The call was replayed from this record, of which there is a copy, checked and protected. */
void tc_table_keep(struct tc_context *x, const struct tc_call *c, const struct tc_store_view *store,
                   const struct tc_record_view *v);

#endif
