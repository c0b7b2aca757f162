#include "tools/source_change.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "cache/plan.h"

struct found {
    struct tc_mapping map;
    struct tc_flat flat;
    const struct tc_source_tree *tree; /* NULL: not found */
};

static void look_into(const char *path, const unsigned char digest[16], struct found *f)
{
    if (f->tree || tc_map_file(path, &f->map) < 0)
        return;
    if (tc_flat_check(f->map.base, f->map.bytes, TC_FLAT_PLANS, &f->flat) == 0)
        f->tree = tc_source_tree_find(&f->flat, digest);
    if (!f->tree)
        tc_unmap(&f->map);
}

static void append(void *ctx, enum tc_part_change change, const char *label)
{
    struct tc_source_changes *c = ctx;
    c->change = tc_grow(c->change, c->count, &c->allocated, sizeof *c->change);
    c->change[c->count++] = (struct tc_source_change){change, label ? tc_copy(label) : NULL};
}

void tc_source_changes_find(const char *cache, const unsigned char was[16],
                            const unsigned char is[16], struct tc_source_changes *ret)
{
    struct found a = {.tree = NULL}, b = {.tree = NULL};
    DIR *d = opendir(cache);
    for (struct dirent *e; d && (!a.tree || !b.tree) && (e = readdir(d));) {
        if (strncmp(e->d_name, "plans-", 6) != 0)
            continue;
        TC_CLEANUP(tc_free_text) char *path = tc_format("%s/%s", cache, e->d_name);
        look_into(path, was, &a);
        look_into(path, is, &b);
    }
    if (d)
        (void)closedir(d);
    if (a.tree && b.tree)
        tc_source_trees_compare(&a.flat, a.tree, &b.flat, b.tree, append, ret);
    tc_unmap(&a.map);
    tc_unmap(&b.map);
}

void tc_source_changes_free(struct tc_source_changes *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->change[i].label);
    free(c->change);
    *c = (struct tc_source_changes){0};
}

const char *tc_part_change_name(enum tc_part_change change)
{
    static const char *const names[] = {"same", "changed", "added", "removed"};
    return names[change];
}

void tc_source_change_text(struct tc_text *to, const struct tc_source_change *c)
{
    if (!c->label)
        tc_text_add(to, "%s", "its own code changed");
    else
        tc_text_add(to, "`%s` %s%s", c->label, c->change == TC_PART_CHANGED ? "" : "was ",
                    tc_part_change_name(c->change));
}
