/*
 * The trees of source digests while a plans file is written: those of the old file, and new ones.
 * One thread.
 */
#ifndef TC_SERVICE_RESOLVE_SOURCE_TREES_H
#define TC_SERVICE_RESOLVE_SOURCE_TREES_H

#include "cache/flat_build.h"
#include "cache/source_tree.h"
#include "service/resolve/source.h"

struct tc_source_trees {
    struct tc_source_tree tree[TC_MAX_TREES];
    uint32_t count;
    uint32_t parts; /* of all */
};

/* Those of an older plans file. */
void tc_source_trees_keep(struct tc_source_trees *t, const struct tc_flat *old,
                          struct tc_flat_builder *out);

/* The tree of a plan's digest; when there is no more room the oldest one goes. */
void tc_source_trees_add(struct tc_source_trees *t, const uint8_t digest[16],
                         const struct tc_source *s, struct tc_flat_builder *out);

struct tc_span tc_source_trees_write(const struct tc_source_trees *t, struct tc_flat_builder *out);

#endif
