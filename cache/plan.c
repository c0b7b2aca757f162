#include "cache/plan.h"

#include <errno.h>

#define MAX_OBJECTS 65536u
#define MAX_FIXUPS  TC_MAX_MOVED
#define MAX_NAMES   64u

static int before(const struct tc_file_id *a, const struct tc_file_id *b)
{
    return a->ino != b->ino ? a->ino < b->ino : a->dev < b->dev;
}

static int same(const struct tc_file_id *a, const struct tc_file_id *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static const struct tc_object *objects_of(const struct tc_flat *f, uint32_t *ret_count)
{
    const struct tc_plans *root = tc_flat_root(f, sizeof *root);

    if (root == NULL || root->objects.count > MAX_OBJECTS)
        return NULL;
    *ret_count = root->objects.count;
    return tc_flat_at(f, root->objects.off, root->objects.count, sizeof(struct tc_object));
}

const struct tc_object *tc_plans_find(const struct tc_flat *f, const struct tc_file_id *id)
{
    uint32_t low = 0, high = 0, count = 0;
    const struct tc_object *objects = objects_of(f, &count);

    if (objects == NULL)
        return NULL;
    for (high = count; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        if (before(&objects[middle].id, id))
            low = middle + 1;
        else
            high = middle;
    }
    /* A file that was written to keeps its inode: there may be several entries of one. */
    for (; low < count && !before(id, &objects[low].id); low++) {
        if (same(&objects[low].id, id))
            return &objects[low];
    }
    return NULL;
}

const struct tc_code_source *tc_plans_code(const struct tc_flat *f, const struct tc_object *o,
                                           uint64_t vaddr)
{
    const struct tc_code_source *all =
        tc_flat_at(f, o->functions.off, o->functions.count, sizeof *all);
    uint32_t low = 0, high = o->functions.count;

    if (all == NULL)
        return NULL;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (all[middle].vaddr < vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low < o->functions.count && all[low].vaddr == vaddr ? &all[low] : NULL;
}

static int str_ok(const struct tc_flat *f, struct tc_str s)
{
    if (s.off == 0)
        return s.bytes == 0;
    if (s.off < sizeof(struct tc_flat_header) || s.off >= f->bytes || s.bytes >= f->bytes - s.off)
        return 0;
    return f->base[s.off + (size_t)s.bytes] == 0;
}

static int fixups_ok(const struct tc_flat *f, const struct tc_plan *p)
{
    const struct tc_fixup *fixup = NULL;

    if (p->fixups.count > MAX_FIXUPS)
        return 0;
    fixup = tc_flat_at(f, p->fixups.off, p->fixups.count, sizeof *fixup);
    if (fixup == NULL)
        return 0;
    for (uint32_t i = 0; i < p->fixups.count; i++, fixup++) {
        if (fixup->kind != TC_FIX_REL32 || fixup->at + 4u + fixup->tail > p->moved_bytes)
            return 0;
    }
    return 1;
}

/* What a writer into text relies on: the window begins inside the function, reaches at most into
 * the padding behind it, and there is code to run instead of it. */
static int hookable_ok(const struct tc_plan *p)
{
    uint64_t ahead = p->patch_vaddr - p->entry_vaddr;

    if (p->hook == TC_HOOK_GOT || p->hook == TC_HOOK_IFUNC)
        return p->dynamic.count <= MAX_NAMES && p->window_bytes == 0 && p->moved_bytes == 0 &&
               (p->dynamic.count != 0 || p->hook == TC_HOOK_IFUNC);
    return p->hook <= TC_HOOK_PAD && p->window_bytes >= (p->hook == TC_HOOK_PAD ? 2u : 5u) &&
           p->moved_bytes >= p->window_bytes && p->patch_vaddr >= p->entry_vaddr &&
           ahead < p->entry_bytes && p->fixups.count != 0 &&
           (p->window_bytes <= 5 || p->window_bytes <= p->entry_bytes - ahead);
}

const struct tc_task *tc_plan_task(const struct tc_plan *plan, const struct tc_flat *plans,
                                   const struct tc_task *tasks, const struct tc_flat *config,
                                   const struct tc_flat **ret_in)
{
    *ret_in = plan->own.count != 0 ? plans : config;
    return plan->own.count != 0 ? tc_flat_at(plans, plan->own.off, 1, sizeof(struct tc_task))
                                : &tasks[plan->task];
}

static int own_ok(const struct tc_flat *f, const struct tc_plan *p)
{
    const struct tc_task *own = NULL;

    if (p->own.count > 1)
        return 0;
    own = tc_flat_at(f, p->own.off, p->own.count, sizeof *own);
    return own != NULL && (p->own.count == 0 || tc_task_ok(f, own));
}

static int drafts_ok(const struct tc_flat *f, const struct tc_plan *p)
{
    const struct tc_param_text *draft = NULL;

    if (p->drafts.count > TC_MAX_PARAMS + 1)
        return 0;
    draft = tc_flat_at(f, p->drafts.off, p->drafts.count, sizeof *draft);
    for (uint32_t i = 0; draft != NULL && i < p->drafts.count; i++)
        if (!str_ok(f, draft[i].name) || !str_ok(f, draft[i].text))
            return 0;
    return draft != NULL && str_ok(f, p->remedy) && str_ok(f, p->note) && str_ok(f, p->declaration);
}

static int imports_ok(const struct tc_flat *f, const struct tc_plan *p)
{
    const struct tc_deep_import *one = NULL;

    if (p->imports.count > TC_MAX_DEEP_IMPORTS)
        return 0;
    one = tc_flat_at(f, p->imports.off, p->imports.count, sizeof *one);
    for (uint32_t i = 0; one != NULL && i < p->imports.count; i++)
        if (!str_ok(f, one[i].name) || !str_ok(f, one[i].version))
            return 0;
    return one != NULL;
}

static int purity_ok(const struct tc_flat *f, const struct tc_plan *p)
{
    const struct tc_purity *list;

    if (p->purity.count > TC_MAX_PURITY)
        return 0;
    list = tc_flat_at(f, p->purity.off, p->purity.count, sizeof *list);
    for (uint32_t i = 0; list != NULL && i < p->purity.count; i++)
        if (!str_ok(f, list[i].what) || !str_ok(f, list[i].path))
            return 0;
    return list != NULL;
}

static int globals_ok(const struct tc_flat *f, const struct tc_plan *p)
{
    const struct tc_plan_global *g = NULL;

    if (p->globals.count > TC_MAX_PARAMS)
        return 0;
    g = tc_flat_at(f, p->globals.off, p->globals.count, sizeof *g);
    for (uint32_t i = 0; g != NULL && i < p->globals.count; i++)
        if (g[i].kind > TC_GLOBAL_IN_SLOT)
            return 0;
    return g != NULL;
}

static int plan_ok(const struct tc_flat *f, const struct tc_plan *p, uint32_t task_count)
{
    return p->task < task_count && str_ok(f, p->identity) && str_ok(f, p->symbol) &&
           str_ok(f, p->detail) && p->window_bytes <= TC_MAX_WINDOW &&
           p->moved_bytes <= TC_MAX_MOVED && (p->reason != 0 || hookable_ok(p)) &&
           tc_flat_at(f, p->dynamic.off, p->dynamic.count, sizeof(uint32_t)) != NULL &&
           fixups_ok(f, p) && globals_ok(f, p) && own_ok(f, p) && drafts_ok(f, p) &&
           imports_ok(f, p) && purity_ok(f, p);
}

static int debug_files_ok(const struct tc_flat *f, const struct tc_object *o)
{
    const struct tc_dep *file = NULL;

    if (o->debug_files.count > TC_MAX_DEBUG_FILES)
        return 0;
    file = tc_flat_at(f, o->debug_files.off, o->debug_files.count, sizeof *file);
    for (uint32_t i = 0; file != NULL && i < o->debug_files.count; i++)
        if (!str_ok(f, file[i].path))
            return 0;
    return file != NULL;
}

static int functions_ok(const struct tc_flat *f, const struct tc_object *o)
{
    const struct tc_code_source *one = NULL;

    if (o->functions.count > TC_MAX_CODE_SOURCES)
        return 0;
    one = tc_flat_at(f, o->functions.off, o->functions.count, sizeof *one);
    for (uint32_t i = 0; one != NULL && i < o->functions.count; i++)
        if (one[i].state > TC_CODE_KNOWN || (i != 0 && one[i].vaddr <= one[i - 1].vaddr))
            return 0;
    return one != NULL;
}

static int object_ok(const struct tc_flat *f, const struct tc_object *o, uint32_t task_count)
{
    const struct tc_plan *plans = NULL;

    if (o->build_id_bytes > TC_MAX_BUILD_ID || !str_ok(f, o->path) || !str_ok(f, o->soname) ||
        !debug_files_ok(f, o) || !functions_ok(f, o) || o->plans.count > TC_MAX_TASKS)
        return 0;
    plans = tc_flat_at(f, o->plans.off, o->plans.count, sizeof *plans);
    if (plans == NULL)
        return 0;
    for (uint32_t i = 0; i < o->plans.count; i++) {
        if (!plan_ok(f, &plans[i], task_count))
            return 0;
    }
    return 1;
}

int tc_plans_verify(const struct tc_flat *f, uint32_t task_count)
{
    uint32_t count = 0;
    const struct tc_object *objects = objects_of(f, &count);

    if (objects == NULL)
        return -EBADMSG;
    for (uint32_t i = 0; i < count; i++) {
        if (i != 0 && before(&objects[i].id, &objects[i - 1].id))
            return -EBADMSG;
        if (!object_ok(f, &objects[i], task_count))
            return -EBADMSG;
    }
    return 0;
}
