#include "cache/source_tree.h"

#include <string.h>

#include "cache/plan.h"

const struct tc_source_tree *tc_source_tree_find(const struct tc_flat *plans,
                                                 const uint8_t digest[16])
{
    const struct tc_plans *root = tc_flat_root(plans, sizeof *root);
    const struct tc_source_tree *trees =
        root != NULL ? tc_flat_at(plans, root->trees.off, root->trees.count, sizeof *trees) : NULL;

    for (uint32_t i = 0; trees != NULL && i < root->trees.count; i++)
        if (memcmp(trees[i].digest, digest, 16) == 0)
            return &trees[i];
    return NULL;
}

static const struct tc_source_part *parts_of(const struct tc_flat *in,
                                             const struct tc_source_tree *t, uint32_t *ret_count)
{
    const struct tc_source_part *p = tc_flat_at(in, t->parts.off, t->parts.count, sizeof *p);

    *ret_count = p != NULL ? t->parts.count : 0;
    return p;
}

/* Labels may occur several times ("16 bytes at ..." in no order): the n-th of a label goes with the
 * n-th. */
static const struct tc_source_part *same_label(const struct tc_flat *in,
                                               const struct tc_source_part *parts, uint32_t count,
                                               const char *label, uint32_t nth)
{
    for (uint32_t i = 1; i < count; i++)
        if (strcmp(tc_flat_str(in, parts[i].label), label) == 0 && nth-- == 0)
            return &parts[i];
    return NULL;
}

static uint32_t earlier_ones(const struct tc_flat *in, const struct tc_source_part *parts,
                             uint32_t at)
{
    const char *label = tc_flat_str(in, parts[at].label);
    uint32_t n = 0;

    for (uint32_t i = 1; i < at; i++)
        n += strcmp(tc_flat_str(in, parts[i].label), label) == 0;
    return n;
}

void tc_source_trees_compare(const struct tc_flat *was_in, const struct tc_source_tree *was,
                             const struct tc_flat *is_in, const struct tc_source_tree *is,
                             void (*each)(void *ctx, enum tc_part_change change, const char *label),
                             void *ctx)
{
    uint32_t was_count, is_count;
    const struct tc_source_part *a = parts_of(was_in, was, &was_count);
    const struct tc_source_part *b = parts_of(is_in, is, &is_count);

    if (was_count > 0 && is_count > 0 && memcmp(a[0].digest, b[0].digest, 16) != 0)
        each(ctx, TC_PART_CHANGED, NULL);
    for (uint32_t i = 1; i < is_count; i++) {
        const char *label = tc_flat_str(is_in, b[i].label);
        const struct tc_source_part *old =
            same_label(was_in, a, was_count, label, earlier_ones(is_in, b, i));

        if (old == NULL)
            each(ctx, TC_PART_ADDED, label);
        else if (memcmp(old->digest, b[i].digest, 16) != 0)
            each(ctx, TC_PART_CHANGED, label);
    }
    for (uint32_t i = 1; i < was_count; i++) {
        const char *label = tc_flat_str(was_in, a[i].label);

        if (same_label(is_in, b, is_count, label, earlier_ones(was_in, a, i)) == NULL)
            each(ctx, TC_PART_REMOVED, label);
    }
}
