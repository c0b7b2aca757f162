/*
 * Why calls missed: what a look-up found, and the store's table "misses", three rings of bounded
 * length that `cachectl why` reads. A miss that was stored is explained by its record and the
 * record's entry in "details" (cache/totals.h); the rings hold what no record can tell.
 *
 * The table's keys are u64: the ring in the top 8 bits, a number that only grows below. Values are
 * plain layouts: a reader takes as many bytes as both sides know (`bytes`) and the rest as 0.
 */
#ifndef TC_CACHE_MISS_H
#define TC_CACHE_MISS_H

#include <stdint.h>

/* What the look-up found that made the call a miss. Appended only. */
enum tc_found {
    TC_FOUND_NOTHING = 0,
    TC_FOUND_EXPIRED,     /* a record that had expired at `expired_ns` */
    TC_FOUND_OTHER_SHAPE, /* a record whose extents don't fit the call */
    TC_FOUND_UNWANTED,    /* nothing was looked up: refresh */
    TC_FOUND_DAMAGED,     /* a record that can't be read */
    TC_FOUND_OTHER_KEY,   /* a record of other inputs, whose key begins alike */
    TC_FOUND_NO_STORE,    /* the store couldn't be read */
    TC_FOUND_CHANGING,    /* the store changed faster than it could be read */
    TC_FOUNDS,
};

enum tc_ring {
    TC_RING_UNSTORED = 0, /* struct tc_miss: calls that ran and stored nothing */
    TC_RING_WRONG,        /* struct tc_miss: records that a verification found wrong */
    TC_RING_GONE,         /* struct tc_gone: records that went away */
    TC_RINGS,
};
#define TC_RING_SHIFT 56

/* Entries that each ring keeps. */
#define TC_RING_ENTRIES(ring) \
    ((ring) == TC_RING_GONE ? 4096u : (ring) == TC_RING_WRONG ? 64u : 256u)

/* Followed by the identity, the key material (none of a `private:` task) and a text for people. */
struct tc_miss {
    uint32_t bytes;  /* of the writer's struct */
    uint32_t reason; /* enum tc_reason: why nothing was stored */
    uint64_t task;   /* XXH3-64 of the identity */
    uint64_t key_low, key_high;
    uint64_t record_id; /* of the record that was found wrong, 0 */
    int64_t when_ns;
    uint64_t order; /* the store's next record id: what is older, what newer */
    int64_t expired_ns;
    uint32_t found; /* enum tc_found */
    uint32_t pid;
    char program[32]; /* NUL-terminated */
    uint32_t identity_bytes, material_bytes, text_bytes;
    uint32_t pad;
};
#define TC_MISS_TEXT 256u /* longest text */

enum tc_gone_why {
    TC_GONE_EVICTED = 1,
    TC_GONE_EXPIRED,
    TC_GONE_REMOVED,
    TC_GONE_ALL_REMOVED, /* the key is 0 */
    TC_GONE_WRONG,
};

struct tc_gone {
    uint32_t bytes; /* of the writer's struct */
    uint32_t why;   /* enum tc_gone_why */
    uint64_t key_low, key_high;
    int64_t when_ns;
    uint64_t order; /* as in struct tc_miss */
    uint64_t task;
};

/* What a store request says beside the draft, and "details" keep: how strings begin of which the
 * material has nothing but a digest. In a row: this, the parameter's name, the string's first
 * bytes. */
struct tc_string_head {
    uint8_t name_bytes, text_bytes;
};
#define TC_STRING_HEAD  32u
#define TC_STRING_HEADS 512u /* bytes of all of one record */

#endif
