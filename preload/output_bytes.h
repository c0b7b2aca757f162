/*
 * The outputs of a record as a run of bytes: in the record's value, or chunk after chunk of the
 * store. What lies in the mapping may change; it counts once tc_store_was_protected() says so.
 */
#ifndef TC_PRELOAD_OUTPUT_BYTES_H
#define TC_PRELOAD_OUTPUT_BYTES_H

#include <string.h>

#include "cache/record.h"
#include "preload/lookup.h"

struct tc_output_bytes {
    const struct tc_store_view *store;
    const unsigned char *at;
    uint64_t left;       /* of this run */
    uint64_t next_chunk; /* the next one's number */
    uint32_t chunks_left;
    uint32_t spare_equal; /* memory that has the bytes already isn't written */
};

struct tc_output_bytes tc_output_bytes_of(const struct tc_store_view *store,
                                          const struct tc_record_view *v);
/* The next run. 0, or -EBADMSG: there is none that is sound. */
int tc_output_next_chunk(struct tc_output_bytes *s);
int tc_output_take(struct tc_output_bytes *s, void *to, uint64_t bytes);

static inline struct tc_extent tc_extent_at(const struct tc_record_view *v, uint32_t i)
{
    struct tc_extent e;

    memcpy(&e, v->extents + i * sizeof e, sizeof e);
    return e;
}

#endif
