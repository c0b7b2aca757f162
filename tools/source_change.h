/*
 * Which part of a function's source changed, from the trees that plans files keep. One thread.
 */
#ifndef TC_TOOLS_SOURCE_CHANGE_H
#define TC_TOOLS_SOURCE_CHANGE_H

#include "cache/source_tree.h"
#include "tools/base.h"

struct tc_source_change {
    enum tc_part_change change;
    bool is_object; /* a library, of which only the build is known */
    char *label;    /* NULL: the function itself */
};

struct tc_source_changes {
    struct tc_source_change *change;
    size_t count, allocated;
};

/* Looks for both digests in all plans of the cache. Nothing is known of one: there are no changes.
 */
void tc_source_changes_find(const char *cache, const unsigned char was[16],
                            const unsigned char is[16], struct tc_source_changes *ret);
/* Likewise of two contents of "=deep" (cache/deep.h), with the objects that differ. */
void tc_deep_changes_find(const char *cache, const unsigned char *was, size_t was_bytes,
                          const unsigned char *is, size_t is_bytes, struct tc_source_changes *ret);
void tc_source_changes_free(struct tc_source_changes *c);

/* "`helper` changed". */
void tc_source_change_text(struct tc_text *to, const struct tc_source_change *c);
/* "changed", "added", "removed". */
const char *tc_part_change_name(enum tc_part_change change);

#endif
