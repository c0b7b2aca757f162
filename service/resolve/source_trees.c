#include "service/resolve/source_trees.h"

#include <string.h>

#include "cache/plan.h"

static int has(const struct tc_source_trees *t, const uint8_t digest[16])
{
    for (uint32_t i = 0; i < t->count; i++)
        if (memcmp(t->tree[i].digest, digest, 16) == 0)
            return 1;
    return 0;
}

static void append(struct tc_source_trees *t, const uint8_t digest[16], struct tc_span parts)
{
    while (t->count == TC_MAX_TREES || t->parts + parts.count > TC_MAX_ALL_PARTS) {
        t->parts -= t->tree[0].parts.count;
        memmove(t->tree, t->tree + 1, --t->count * sizeof t->tree[0]);
    }
    t->parts += parts.count;
    memcpy(t->tree[t->count].digest, digest, 16);
    t->tree[t->count++].parts = parts;
}

void tc_source_trees_keep(struct tc_source_trees *t, const struct tc_flat *old,
                          struct tc_flat_builder *out)
{
    static struct tc_source_part copies[TC_MAX_TREE_PARTS];
    const struct tc_plans *root = old != NULL ? tc_flat_root(old, sizeof *root) : NULL;
    const struct tc_source_tree *trees =
        root != NULL ? tc_flat_at(old, root->trees.off, root->trees.count, sizeof *trees) : NULL;

    for (uint32_t i = 0; trees != NULL && i < root->trees.count; i++) {
        const struct tc_span s = trees[i].parts;
        const struct tc_source_part *p = tc_flat_at(old, s.off, s.count, sizeof *p);

        if (p == NULL || s.count > TC_MAX_TREE_PARTS || has(t, trees[i].digest))
            continue;
        for (uint32_t k = 0; k < s.count; k++) {
            copies[k] = p[k];
            copies[k].label = tc_flat_add_str(out, tc_flat_str(old, p[k].label));
        }
        append(t, trees[i].digest, tc_flat_add(out, copies, s.count, sizeof copies[0]));
    }
}

void tc_source_trees_add(struct tc_source_trees *t, const uint8_t digest[16],
                         const struct tc_source *s, struct tc_flat_builder *out)
{
    static struct tc_source_part parts[TC_MAX_TREE_PARTS];
    uint32_t count = 0;

    if (has(t, digest))
        return;
    for (size_t i = 0; i < s->item_count && count < TC_MAX_TREE_PARTS; i++, count++) {
        memcpy(parts[count].digest, s->items[i].digest, 16);
        parts[count].label = tc_flat_add_str(out, s->items[i].label);
    }
    append(t, digest, tc_flat_add(out, parts, count, sizeof parts[0]));
}

struct tc_span tc_source_trees_write(const struct tc_source_trees *t, struct tc_flat_builder *out)
{
    return tc_flat_add(out, t->tree, t->count, sizeof t->tree[0]);
}
