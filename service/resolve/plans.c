#include "service/resolve/plans.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/reason.h"
#include "cache/task_copy.h"
#include "service/resolve/plans_object.h"
#include "service/resolve/source_trees.h"

/* Above this many objects, those whose files are gone or others now are dropped. */
#define CROWDED 2048u
#define LIMIT   32768u

struct update {
    struct tc_plan_tasks tasks;
    const struct tc_flat *old; /* NULL: none that counts */
    const struct tc_plans_ref *refs;
    size_t ref_count;
    struct tc_object *objects;
    size_t count;
};

static int same_id(const struct tc_file_id *a, const struct tc_file_id *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* Plans of other tasks, or damaged ones, are of no use. */
static int old_counts(const struct tc_flat *old, const struct tc_config *config)
{
    const struct tc_plans *root = old != NULL ? tc_flat_root(old, sizeof *root) : NULL;

    return root != NULL &&
           memcmp(root->resolve_digest, config->resolve_digest, sizeof root->resolve_digest) == 0 &&
           tc_plans_verify(old, config->tasks.count) == 0;
}

static const struct tc_object *old_objects(const struct update *u, uint32_t *ret_count)
{
    const struct tc_plans *root = u->old != NULL ? tc_flat_root(u->old, sizeof *root) : NULL;

    *ret_count = root != NULL ? root->objects.count : 0;
    return root != NULL
               ? tc_flat_at(u->old, root->objects.off, *ret_count, sizeof(struct tc_object))
               : NULL;
}

static int on_disk(const char *path, const struct tc_file_id *id)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_dev == id->dev && st.st_ino == id->ino &&
           (uint64_t)st.st_size == id->size &&
           st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec == id->mtime_ns;
}

static int keeps(const struct update *u, const struct tc_object *o, int crowded)
{
    const char *path = tc_flat_str(u->old, o->path);

    /* The file may have been out of reach for a while only: it is tried again when asked for. */
    if (o->reason == TC_R_FILE_MISMATCH)
        return 0;
    for (size_t i = 0; i < u->ref_count; i++) {
        /* Who asks for functions may still run what was replaced. */
        if (same_id(&u->refs[i].id, &o->id) ||
            (u->refs[i].function == 0 && strcmp(u->refs[i].path, path) == 0))
            return 0;
    }
    return !crowded || on_disk(path, &o->id);
}

static struct tc_str copy_str(const struct tc_flat *from, struct tc_str s,
                              struct tc_flat_builder *out)
{
    return s.off != 0 ? tc_flat_add_strn(out, tc_flat_str(from, s), s.bytes) : s;
}

static void copy_purity(const struct update *u, const struct tc_plan *from,
                        struct tc_flat_builder *out, struct tc_plan *to)
{
    const struct tc_purity *list =
        tc_flat_at(u->old, from->purity.off, from->purity.count, sizeof *list);
    struct tc_purity copies[TC_MAX_PURITY];

    for (uint32_t i = 0; i < from->purity.count; i++) {
        copies[i] = list[i];
        copies[i].what = copy_str(u->old, list[i].what, out);
        copies[i].path = copy_str(u->old, list[i].path, out);
    }
    to->purity = tc_flat_add(out, copies, from->purity.count, sizeof copies[0]);
}

/* What a plan has from debug information. */
static void copy_debug_facts(const struct update *u, const struct tc_plan *from,
                             struct tc_flat_builder *out, struct tc_plan *to)
{
    const struct tc_param_text *drafts =
        tc_flat_at(u->old, from->drafts.off, from->drafts.count, sizeof *drafts);
    const struct tc_task *own = tc_flat_at(u->old, from->own.off, from->own.count, sizeof *own);
    struct tc_param_text copies[TC_MAX_PARAMS + 1];
    struct tc_task task;

    copy_purity(u, from, out, to);
    to->remedy = copy_str(u->old, from->remedy, out);
    to->note = copy_str(u->old, from->note, out);
    to->declaration = copy_str(u->old, from->declaration, out);
    for (uint32_t i = 0; i < from->drafts.count; i++)
        copies[i] = (struct tc_param_text){.name = copy_str(u->old, drafts[i].name, out),
                                           .text = copy_str(u->old, drafts[i].text, out)};
    to->drafts = tc_flat_add(out, copies, from->drafts.count, sizeof copies[0]);
    if (from->own.count == 0)
        return;
    tc_task_copy(u->old, own, out, &task);
    to->own = tc_flat_add(out, &task, 1, sizeof task);
}

static void copy_globals(const struct update *u, const struct tc_plan *from,
                         struct tc_flat_builder *out, struct tc_plan *to)
{
    const struct tc_plan_global *globals =
        tc_flat_at(u->old, from->globals.off, from->globals.count, sizeof *globals);

    to->globals = tc_flat_add(out, globals, from->globals.count, sizeof *globals);
}

static int copy_imports(const struct update *u, const struct tc_plan *from,
                        struct tc_flat_builder *out, struct tc_plan *to)
{
    const struct tc_deep_import *imports =
        tc_flat_at(u->old, from->imports.off, from->imports.count, sizeof *imports);
    struct tc_deep_import *copies = calloc(from->imports.count + 1u, sizeof *copies);

    if (copies == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < from->imports.count; i++)
        copies[i] = (struct tc_deep_import){copy_str(u->old, imports[i].name, out),
                                            copy_str(u->old, imports[i].version, out)};
    to->imports = tc_flat_add(out, copies, from->imports.count, sizeof *copies);
    free(copies);
    return 0;
}

static int copy_object(const struct update *u, const struct tc_object *o,
                       struct tc_flat_builder *out, struct tc_object *ret)
{
    const struct tc_plan *from = tc_flat_at(u->old, o->plans.off, o->plans.count, sizeof *from);
    const struct tc_dep *debug =
        tc_flat_at(u->old, o->debug_files.off, o->debug_files.count, sizeof *debug);
    struct tc_plan *plans = calloc(o->plans.count + 1u, sizeof *plans);
    struct tc_dep files[TC_MAX_DEBUG_FILES];
    int r = 0;

    if (plans == NULL)
        return -ENOMEM;
    *ret = *o;
    ret->path = copy_str(u->old, o->path, out);
    ret->soname = copy_str(u->old, o->soname, out);
    for (uint32_t i = 0; i < o->plans.count; i++) {
        const struct tc_span f = from[i].fixups;
        plans[i] = from[i];
        plans[i].identity = copy_str(u->old, from[i].identity, out);
        plans[i].symbol = copy_str(u->old, from[i].symbol, out);
        plans[i].detail = copy_str(u->old, from[i].detail, out);
        plans[i].dynamic =
            tc_flat_add(out, tc_flat_at(u->old, from[i].dynamic.off, from[i].dynamic.count, 4),
                        from[i].dynamic.count, 4);
        copy_debug_facts(u, &from[i], out, &plans[i]);
        copy_globals(u, &from[i], out, &plans[i]);
        r = copy_imports(u, &from[i], out, &plans[i]);
        if (r < 0)
            break;
        if (f.count != 0)
            plans[i].fixups =
                tc_flat_add(out, tc_flat_at(u->old, f.off, f.count, sizeof(struct tc_fixup)),
                            f.count, sizeof(struct tc_fixup));
    }
    for (uint32_t i = 0; i < o->debug_files.count; i++) {
        files[i] = debug[i];
        files[i].path = copy_str(u->old, debug[i].path, out);
    }
    ret->functions = tc_flat_add(
        out,
        tc_flat_at(u->old, o->functions.off, o->functions.count, sizeof(struct tc_code_source)),
        o->functions.count, sizeof(struct tc_code_source));
    ret->debug_files = tc_flat_add(out, files, o->debug_files.count, sizeof files[0]);
    ret->plans = tc_flat_add(out, plans, o->plans.count, sizeof *plans);
    free(plans);
    return r;
}

static int keep_old(struct update *u, struct tc_flat_builder *out)
{
    uint32_t count = 0;
    const struct tc_object *old = old_objects(u, &count);
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < count && u->count < LIMIT; i++) {
        if (!keeps(u, &old[i], count > CROWDED))
            continue;
        r = copy_object(u, &old[i], out, &u->objects[u->count]);
        u->count += r == 0;
    }
    return r;
}

/* Are only functions asked for, of an object whose plans are there? */
static int is_planned(const struct update *u, const struct tc_file_id *id,
                      const struct tc_object *old)
{
    if (old == NULL || old->reason == TC_R_FILE_MISMATCH)
        return 0;
    for (size_t i = 0; i < u->ref_count; i++)
        if (u->refs[i].function == 0 && same_id(&u->refs[i].id, id))
            return 0;
    return 1;
}

static int add_object(const struct update *u, const struct tc_plans_ref *ref,
                      struct tc_flat_builder *out, struct tc_object *ret)
{
    const struct tc_object *old = u->old != NULL ? tc_plans_find(u->old, &ref->id) : NULL;
    const struct tc_code_source *codes = NULL;
    uint32_t count = old != NULL ? old->functions.count : 0;
    int planned = is_planned(u, &ref->id, old);
    int r = planned ? copy_object(u, old, out, ret) : tc_plans_object(&u->tasks, ref, out, ret);

    if (old != NULL)
        codes = tc_flat_at(u->old, old->functions.off, count, sizeof *codes);
    if (r == 0)
        r = tc_plans_functions(u->refs, u->ref_count, ref, codes, count, planned, out,
                               &ret->functions);
    return r;
}

static int add_new(struct update *u, struct tc_flat_builder *out)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < u->ref_count; i++) {
        size_t k = 0;
        while (k < i && !same_id(&u->refs[k].id, &u->refs[i].id))
            k++;
        if (k < i)
            continue;
        r = add_object(u, &u->refs[i], out, &u->objects[u->count]);
        u->count += r == 0;
    }
    return r;
}

static int by_file(const void *a, const void *b)
{
    const struct tc_file_id *x = &((const struct tc_object *)a)->id,
                            *y = &((const struct tc_object *)b)->id;

    if (x->ino != y->ino)
        return x->ino < y->ino ? -1 : 1;
    return x->dev < y->dev ? -1 : x->dev > y->dev;
}

static int write_root(struct update *u, const struct tc_config *config, struct tc_flat_builder *out)
{
    struct tc_span objects, trees;
    struct tc_plans *root = NULL;

    qsort(u->objects, u->count, sizeof *u->objects, by_file);
    objects = tc_flat_add(out, u->objects, u->count, sizeof *u->objects);
    trees = tc_source_trees_write(u->tasks.trees, out);
    root = tc_flat_builder_root(out);
    if (root == NULL)
        return -ENOMEM;
    memcpy(root->resolve_digest, config->resolve_digest, sizeof root->resolve_digest);
    root->objects = objects;
    root->trees = trees;
    return tc_flat_builder_finish(out);
}

static int build(struct update *u, const struct tc_config *config, struct tc_flat_builder *out)
{
    uint32_t old_count = 0;
    int r = 0;

    (void)old_objects(u, &old_count);
    u->objects = calloc((size_t)old_count + u->ref_count + 1, sizeof *u->objects);
    u->tasks.trees = calloc(1, sizeof *u->tasks.trees);
    if (u->objects == NULL || u->tasks.trees == NULL)
        r = -ENOMEM;
    if (r == 0) {
        tc_source_trees_keep(u->tasks.trees, u->old, out);
        r = keep_old(u, out);
    }
    if (r == 0)
        r = add_new(u, out);
    if (r == 0)
        r = write_root(u, config, out);
    free(u->tasks.trees);
    free(u->objects);
    return r;
}

int tc_plans_update(const struct tc_flat *config, const struct tc_flat *old,
                    const struct tc_plans_ref *refs, size_t n, struct tc_flat_builder *out)
{
    const struct tc_config *root = tc_flat_root(config, sizeof *root);
    struct update u = {.refs = refs, .ref_count = n, .tasks = {.config = config}};

    tc_flat_builder_init(out, TC_FLAT_PLANS, sizeof(struct tc_plans));
    if (root == NULL || root->tasks.count > TC_MAX_TASKS)
        return -EBADMSG;
    u.tasks.count = root->tasks.count;
    u.tasks.tasks = tc_flat_at(config, root->tasks.off, root->tasks.count, sizeof(struct tc_task));
    if (u.tasks.tasks == NULL)
        return -EBADMSG;
    u.old = old_counts(old, root) ? old : NULL;
    return build(&u, root, out);
}
