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
#include "preload/layout.h"
#include "preload/lock.h"
#include "preload/lookup.h"
#include "preload/state.h"
#include "preload/table.h"

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
    uint32_t storage;
    const struct tc_storage *far;
    uint32_t found; /* enum tc_found: why it missed */
    int64_t expired_ns;
    uint64_t record_id;      /* not 0: the body runs although there is this record, to verify it */
    struct tc_held held;     /* the key's lock */
    uint64_t result_address; /* where the caller wants a result in memory */
    uint32_t bytes;          /* of this entry with what follows it */
    uint32_t previous;       /* offset of the entry before, or TC_NO_FLIGHT */
    uint32_t args, olds, extents, material, material_bytes; /* offsets from the entry's start */
    uint32_t kept, kept_bytes; /* likewise: what a record keeps of the material */
    uint32_t inside;           /* inputs that lie inside of outputs */
};
#define TC_NO_FLIGHT 0xffffffffu

/* See overlap.h. Enters the key as it is. */
struct tc_overlap {
    uint32_t param, output; /* the other one's param; UINT32_MAX: the result, in memory */
    uint64_t left;          /* where in the input's content, from its end; 0 of an output */
    uint64_t offset;        /* from the other one's beginning */
};
#define TC_MAX_OVERLAPS 16u
struct tc_overlaps {
    uint32_t count;  /* more than there is room for: can't be said */
    uint32_t inside; /* bit i: input i lies inside of an output */
    struct tc_overlap list[TC_MAX_OVERLAPS];
};

/* Of a block: it is as long as the record says. */
#define TC_ANY_SIZE (UINT64_MAX - 1)

/* A call while it is looked at. */
struct tc_call {
    struct tc_hook *hook;
    struct tc_frame *frame;
    uint64_t arg[TC_MAX_PARAMS];
    uint8_t arg_type[TC_MAX_PARAMS];
    int64_t old[TC_EXPR_MAX_OLD];
    struct tc_extent out[TC_MAX_OUTPUTS];
    uint64_t stride_bytes[TC_MAX_OUTPUTS];   /* from piece to piece in the caller's memory */
    uint64_t capacity_bytes[TC_MAX_OUTPUTS]; /* UINT64_MAX: the extent is exact; TC_ANY_SIZE */
    uint64_t block[TC_MAX_OUTPUTS]; /* of owned outputs (owned.h): the block; 0: there is none */
    uint64_t encoded_bytes[TC_MAX_OUTPUTS]; /* of a codec's output at block[], mapped; 0: none */
    uint32_t out_count;
    struct tc_overlaps overlaps;
    int probing;
    uint32_t storage;             /* where its result is kept */
    const struct tc_storage *far; /* ... and also behind the cache; NULL */
    uint64_t seed;                /* of that storage */
    uint32_t header_storage;      /* where its header is kept; 0: with the result */
    struct tc_result_ref ref;     /* what the header says */
    const struct tc_flow *flow;   /* it belongs to, NULL: the process run */
    uint64_t result;
    uint8_t result_type;
    struct tc_material material;
    struct tc_key key;
    const unsigned char *kept; /* what a record keeps of the material */
    size_t kept_bytes;
    unsigned char private[TC_PRIVATE_BYTES]; /* ... of a private task's */
    uint32_t bad_param;                      /* whose capture failed */
    const char *bad_detail;                  /* what else there is to say of it, NULL */
    uint32_t found;      /* enum tc_found: what the look-up found instead of a hit */
    int64_t expired_ns;  /* of an expired record that it found */
    int verifying;       /* a record is only looked at */
    uint64_t record_id;  /* of the one that was */
    struct tc_held held; /* until it becomes the flight's */
};

#define TC_OWNER_FORKED    UINT32_MAX
#define TC_OWNER_ABANDONED (UINT32_MAX - 1)

/* A file whose content was digested, see file_input.h. */
struct tc_known_file {
    struct tc_file_id id; /* ino 0: none */
    struct tc_hash128 digest;
    uint64_t seed;
};
#define TC_KNOWN_FILES 16u

struct tc_plugin_area;

/* Where the way through an input's structs is, see follow.h. */
struct tc_walk {
    struct tc_element element;
    uint64_t address, left; /* of this element; and how many with it */
    uint64_t owner;         /* of a pointer without a struct around it: see TC_OWNER_OUTER */
    uint32_t member, index; /* of the element; of the member, if it is several */
};

/* An object whose code a function pointer led to, see function_input.h. */
struct tc_known_code {
    uint64_t low, high; /* the segment; high 0: none */
    uint64_t base, build_id_at;
    struct tc_file_id id; /* when it was loaded; ino 0: it has no file */
    uint32_t build_id_bytes;
    unsigned char build_id[TC_MAX_BUILD_ID];
};
#define TC_KNOWN_CODE 4u

struct tc_context {
    /* tid; 0: nobody; TC_OWNER_FORKED: a thread of the parent process had it; TC_OWNER_ABANDONED: a
     * frame is at work in it, or was left by a jump, and its thread goes on with another one. */
    uint32_t owner;
    uint64_t busy; /* the stack pointer at the entry of the frame at work in it; 0: none */
    int *errno_place;
    struct tc_context *next;
    uint32_t flight; /* newest entry, or TC_NO_FLIGHT */
    uint32_t locked; /* how many of the open calls hold a lock */
    uint32_t flight_end;
    struct tc_flows flows;
    struct tc_call call;
    struct tc_store_view store;   /* as the last look-up saw it */
    struct tc_store_view seen;    /* as this one sees it */
    struct tc_record_view record; /* that it found */
    struct tc_table table;
    struct tc_hash_state hash;
    struct tc_walk walk[TC_MAX_DEPTH + 1];
    struct tc_known_code code[TC_KNOWN_CODE];
    uint32_t next_code;
    struct tc_known_file files[TC_KNOWN_FILES];
    uint32_t next_file;
    struct tc_plugin_area *plugin_area; /* plugin.h; NULL: none yet */
    struct tc_static *statics;          /* the thread's copies of static results, owned.h */
    uint64_t static_bytes;
    uint32_t random; /* see verify.c; 0: not seeded */
    unsigned char material[TC_MATERIAL_BYTES];
    unsigned char check[TC_MATERIAL_BYTES]; /* a component, captured again after the body */
    unsigned char scratch[TC_SCRATCH_BYTES] __attribute__((aligned(64)));
    unsigned char arena[TC_FLIGHT_BYTES] __attribute__((aligned(64)));
};

/* This thread's context, entered: NULL and a reason if the call must go by. `stack` is the stack
 * pointer at the task's entry. */
struct tc_context *tc_context_enter(uint64_t stack, uint32_t *ret_reason);
void tc_context_exit(struct tc_context *c);
/* In a forked child, before anything else: no context may be taken from the one thread that lives
 * on. */
void tc_contexts_after_fork(void);
/* Of the next open call. */
uint64_t tc_next_serial(void);
/* Opens an entry of `bytes` (struct included), dropping those whose frames are gone. NULL: too
 * deep. */
struct tc_flight *tc_flight_open(struct tc_context *c, uint64_t entry, size_t bytes);
/* The entry of the call that returns at `entry`, NULL if there is none; newer ones (left by a
 * non-local exit) are dropped and counted. */
struct tc_flight *tc_flight_find(struct tc_context *c, uint64_t entry, uint64_t serial);
void tc_flight_close(struct tc_context *c, struct tc_flight *f);
/* The open calls as a call that begins at `entry` sees them, the newest first; NULL: no more.
 * Those that were left are dropped, and let go of their locks. */
struct tc_flight *tc_flight_newest(struct tc_context *c, uint64_t entry);
struct tc_flight *tc_flight_before(struct tc_context *c, const struct tc_flight *f);
/* The call's lock is the open call's from now on. */
void tc_flight_hold(struct tc_context *c, struct tc_flight *f, struct tc_held *held);

#endif
