#include "tools/source_change.h"

#include <dirent.h>
#include <stddef.h>
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
    c->change[c->count++] = (struct tc_source_change){change, false, label ? tc_copy(label) : NULL};
}

static void append_object(struct tc_source_changes *c, enum tc_part_change change,
                          const struct tc_deep_object *o)
{
    c->change = tc_grow(c->change, c->count, &c->allocated, sizeof *c->change);
    c->change[c->count++] = (struct tc_source_change){
        change, true, tc_copyn(o->name, strnlen(o->name, sizeof o->name))};
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

/* The content of a record, which may be damaged. 0: it isn't one. */
static size_t read_deep(const unsigned char *data, size_t bytes, struct tc_deep_content *ret)
{
    size_t head = offsetof(struct tc_deep_content, objects);
    *ret = (struct tc_deep_content){.digest = {0}};
    if (bytes < head || bytes > sizeof *ret || (bytes - head) % sizeof ret->objects[0] != 0)
        return 0;
    memcpy(ret, data, bytes);
    return bytes;
}

static size_t objects_in(size_t bytes)
{
    return (bytes - offsetof(struct tc_deep_content, objects)) / sizeof(struct tc_deep_object);
}

static const struct tc_deep_object *same_name(const struct tc_deep_content *in, size_t count,
                                              const struct tc_deep_object *o)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(in->objects[i].name, o->name, sizeof o->name) == 0)
            return &in->objects[i];
    return NULL;
}

void tc_deep_changes_find(const char *cache, const unsigned char *was, size_t was_bytes,
                          const unsigned char *is, size_t is_bytes, struct tc_source_changes *ret)
{
    struct tc_deep_content a, b;
    if (!read_deep(was, was_bytes, &a) || !read_deep(is, is_bytes, &b))
        return;
    size_t before = objects_in(was_bytes), now = objects_in(is_bytes);
    bool full = before == TC_DEEP_OBJECTS || now == TC_DEEP_OBJECTS;
    if (memcmp(a.inside, b.inside, sizeof a.inside) != 0)
        tc_source_changes_find(cache, a.inside, b.inside, ret);
    for (size_t i = 0; i < now; i++) {
        const struct tc_deep_object *old = same_name(&a, before, &b.objects[i]);
        if (!old && !full)
            append_object(ret, TC_PART_ADDED, &b.objects[i]);
        else if (old && memcmp(old->identity, b.objects[i].identity, sizeof old->identity) != 0)
            append_object(ret, TC_PART_CHANGED, &b.objects[i]);
    }
    for (size_t i = 0; i < before && !full; i++)
        if (!same_name(&b, now, &a.objects[i]))
            append_object(ret, TC_PART_REMOVED, &a.objects[i]);
    if (ret->count == 0 && memcmp(a.inside, b.inside, sizeof a.inside) == 0)
        append(ret, TC_PART_CHANGED, "what its imports bind to");
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
    if (c->is_object)
        tc_text_add(to, "the library `%s` %s%s", c->label,
                    c->change == TC_PART_CHANGED ? "" : "was ", tc_part_change_name(c->change));
    else if (!c->label)
        tc_text_add(to, "%s", "its own code changed");
    else
        tc_text_add(to, "`%s` %s%s", c->label, c->change == TC_PART_CHANGED ? "" : "was ",
                    tc_part_change_name(c->change));
}
