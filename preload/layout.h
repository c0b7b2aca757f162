/*
 * Values with members: between memory, where padding lies in them, and their packed form (struct
 * tc_layout), which keys and records hold. Writing touches members only: padding, and bits beside a
 * bit-field, stay the caller's.
 *
 * Freestanding; any context. The layout was verified; the memory is the caller's business.
 */
#ifndef TC_PRELOAD_LAYOUT_H
#define TC_PRELOAD_LAYOUT_H

#include "preload/state.h"

/* Bytes of an element in memory and packed; `layout` NULL: it is as it is in memory. */
struct tc_element {
    const struct tc_layout *layout;
    const struct tc_member *members;
    uint64_t bytes, packed_bytes;
};

struct tc_element tc_element_of(const struct tc_hook *h, const struct tc_param *p);
struct tc_element tc_element_of_result(const struct tc_hook *h);
/* 1 + index. */
struct tc_element tc_element_of_layout(const struct tc_hook *h, uint32_t layout);

/* Not structs, but pointers to what is an input? */
static inline int tc_is_of_pointers(const struct tc_element *e)
{
    return e->layout != NULL && e->layout->count == 1 && e->members[0].type == TC_PTR &&
           e->members[0].name.bytes == 0;
}

/* Bytes in memory for so many packed ones. */
static inline uint64_t tc_element_span(const struct tc_element *e, uint64_t packed_bytes)
{
    return e->layout == NULL ? packed_bytes : packed_bytes / e->packed_bytes * e->bytes;
}

/* Takes `count` elements at `address` apart: runs of packed bytes, in order. */
typedef void tc_gather_fn(void *ctx, const void *data, uint64_t bytes);
void tc_gather_member(const struct tc_member *m, const unsigned char *at, tc_gather_fn *put,
                      void *ctx);
void tc_gather(const struct tc_element *e, uint64_t address, uint64_t count, tc_gather_fn *put,
               void *ctx);

/* Puts them together again; `take` fills in the next bytes, 0 or a negative errno. */
typedef int tc_scatter_fn(void *ctx, void *to, uint64_t bytes);
int tc_scatter(const struct tc_element *e, uint64_t address, uint64_t count, tc_scatter_fn *take,
               void *ctx);

#endif
