/*
 * What a source digest was made of, in few words: kept in the plans file by the digest, also when
 * the object itself is gone, so that `cachectl why` can say which part of a function's source
 * changed. Host code; pure functions.
 */
#ifndef TC_CACHE_SOURCE_TREE_H
#define TC_CACHE_SOURCE_TREE_H

#include "cache/flat.h"

/* The function itself comes first. */
struct tc_source_part {
    struct tc_str label;
    uint8_t digest[16]; /* of what it is by itself */
};

struct tc_source_tree {
    uint8_t digest[16];   /* the plan's */
    struct tc_span parts; /* struct tc_source_part */
};

/* The plans file keeps so many, the oldest first, each with so many parts, and all with so many: a
 * target checks the file's checksum when it starts. */
#define TC_MAX_TREES      512u
#define TC_MAX_TREE_PARTS 512u
#define TC_MAX_ALL_PARTS  8192u

/* The tree of a digest in a plans file, NULL. */
const struct tc_source_tree *tc_source_tree_find(const struct tc_flat *plans,
                                                 const uint8_t digest[16]);

enum tc_part_change {
    TC_PART_SAME = 0,
    TC_PART_CHANGED,
    TC_PART_ADDED,
    TC_PART_REMOVED,
};

/* Calls `each` for every part that isn't the same in both: of the new tree in its order, then what
 * only the old one has. `label` is the part's; NULL: the function itself. */
void tc_source_trees_compare(const struct tc_flat *was_in, const struct tc_source_tree *was,
                             const struct tc_flat *is_in, const struct tc_source_tree *is,
                             void (*each)(void *ctx, enum tc_part_change change, const char *label),
                             void *ctx);

#endif
