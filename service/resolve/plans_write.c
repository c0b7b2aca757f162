/* An object's plans as they stand in the flat file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/plans_parts.h"
#include "service/resolve/purity.h"
#include "service/resolve/source_trees.h"

#define IDENTITY_BYTES 1024u

/* The function as people have it. */
static const char *shown_of(const struct tc_plan_object *o, uint32_t index)
{
    const struct tc_cxx_task *c = &o->cxx[index];
    return c->found.count == 1 ? c->found.text : tc_plan_text(o, o->t->tasks[index].symbol);
}

static int is_at_entry(uint32_t hook)
{
    return hook == TC_HOOK_ENTRY || hook == TC_HOOK_PAD;
}

/* `name:`, else [file.c:]symbol@object. */
static struct tc_str add_identity(const struct tc_plan_object *o, uint32_t index,
                                  struct tc_flat_builder *out)
{
    const struct tc_task *task = &o->t->tasks[index];
    const struct tc_function *f = &o->candidates[index].function;
    char identity[IDENTITY_BYTES];
    const char *file = f->file != NULL ? f->file : tc_plan_text(o, task->file);

    if (task->name.bytes != 0)
        return tc_flat_add_str(out, tc_plan_text(o, task->name));
    (void)snprintf(identity, sizeof identity, "%s%s%s@%s", file, file[0] != 0 ? ":" : "",
                   shown_of(o, index), o->soname != NULL ? o->soname : tc_basename(o->ref->path));
    return tc_flat_add_str(out, identity);
}

/* Which calls nobody sees, before what else there is to say. */
static struct tc_str add_note(const struct tc_plan_object *o, const struct tc_candidate *c,
                              const char *more, struct tc_flat_builder *out)
{
    const struct tc_window *w = &c->window;
    const char *object = o->soname != NULL ? o->soname : tc_basename(o->ref->path);
    char note[1024], why[160] = "";
    const char *gap = more != NULL && more[0] != 0 ? "; " : "";

    more = more != NULL ? more : "";
    if (c->hook == TC_HOOK_IFUNC) {
        (void)snprintf(note, sizeof note,
                       "taken where the loader binds it, once its implementation is chosen: calls "
                       "of an implementation by its own name aren't seen%s%s",
                       gap, more);
        return tc_flat_add_str(out, note);
    }
    if (w->reason != 0)
        (void)snprintf(why, sizeof why, ", as its entry can't be taken (%s%s%s)",
                       tc_reason_info(w->reason)->id, w->detail[0] != 0 ? ": " : "", w->detail);
    (void)snprintf(
        note, sizeof note,
        "taken by its symbol%s: calls inside %.120s that go straight to it, and pointers "
        "taken there, aren't seen%s%s",
        why, object, gap, more);
    return tc_flat_add_str(out, note);
}

/* What a resolver may choose has no name there: all of the file. */
static void mix_file(struct tc_map *m, uint8_t digest[16])
{
    struct {
        uint8_t source[16];
        struct tc_hash128 file;
    } both;
    struct tc_hash128 sum;

    memcpy(both.source, digest, sizeof both.source);
    both.file = tc_map_file(m);
    sum = tc_hash128(&both, sizeof both, 0);
    memcpy(digest, &sum, 16);
}

static struct tc_span add_imports(const struct tc_source *s, const char *stop,
                                  struct tc_flat_builder *out)
{
    struct tc_deep_import *imports = calloc(s->import_count + 1, sizeof *imports);
    struct tc_span span = {0};
    uint32_t count = 0;

    if (imports == NULL)
        return span;
    for (size_t i = 0; i < s->import_count && count < TC_MAX_DEEP_IMPORTS; i++) {
        const struct tc_source_import *one = &s->imports[i];
        if (one->library != NULL && tc_deep_stops(one->library, stop))
            continue;
        imports[count++] = (struct tc_deep_import){tc_flat_add_str(out, one->name),
                                                   tc_flat_add_str(out, one->version)};
    }
    span = tc_flat_add(out, imports, count, sizeof *imports);
    free(imports);
    return span;
}

static int add_deep(const struct tc_plan_object *o, struct tc_map *m, const struct tc_function *f,
                    struct tc_flat_builder *out, struct tc_plan *p)
{
    struct tc_source s;
    int r = tc_source_make(m, (struct tc_piece){f->vaddr, f->bytes}, TC_SOURCE_DEEP, &s);

    if (r < 0)
        return r;
    memcpy(p->deep, s.digest, sizeof p->deep);
    p->deep_whole = (uint32_t)s.whole;
    if (!s.whole)
        p->imports = add_imports(&s, tc_plan_text(o, o->t->tasks[p->task].deep_stop), out);
    p->deep_indirect = (uint32_t)s.indirect_calls;
    p->has_deep = s.import_count <= TC_MAX_DEEP_IMPORTS;
    if (f->is_ifunc)
        mix_file(m, p->deep);
    p->purity = tc_purity_add(&s, o->t->config, &o->t->tasks[p->task], out);
    p->indirect_calls = p->deep_indirect;
    if (o->t->trees != NULL)
        tc_source_trees_add(o->t->trees, p->deep, &s, out);
    tc_source_free(&s);
    return 0;
}

static int add_source(const struct tc_plan_object *o, struct tc_map *m, const struct tc_function *f,
                      struct tc_flat_builder *out, struct tc_plan *p)
{
    struct tc_source s;
    int r = tc_source_make(m, (struct tc_piece){f->vaddr, f->bytes}, TC_SOURCE_OWN, &s);

    if (r < 0)
        return r;
    memcpy(p->source, s.digest, sizeof p->source);
    p->source_algorithm = TC_SOURCE_RESOLVED;
    if (f->is_ifunc)
        mix_file(m, p->source);
    p->purity = tc_purity_add(&s, o->t->config, &o->t->tasks[p->task], out);
    p->indirect_calls = (uint32_t)s.indirect_calls;
    if (o->t->trees != NULL)
        tc_source_trees_add(o->t->trees, p->source, &s, out);
    tc_source_free(&s);
    return 0;
}

static struct tc_span add_globals(const struct tc_found_globals *g, struct tc_flat_builder *out)
{
    struct tc_plan_global places[TC_MAX_PARAMS];

    for (uint32_t i = 0; g != NULL && i < g->count; i++)
        places[i] = g->at[i].place;
    return tc_flat_add(out, places, g != NULL ? g->count : 0, sizeof places[0]);
}

static int by_text(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

/* The functions under `depends:`, in no order. */
static int add_depends(struct tc_map *m, const struct tc_found_globals *g, struct tc_plan *p)
{
    uint8_t all[TC_MAX_DEPENDS][16];
    struct tc_hash128 sum;
    uint32_t n = g != NULL ? g->depend_count : 0;

    for (uint32_t i = 0; i < n; i++) {
        const struct tc_function *f = &g->depends[i].function;
        struct tc_hash128 name = tc_hash128(g->depends[i].text, strlen(g->depends[i].text), 0);
        struct tc_source s;
        int r = tc_source_make(m, (struct tc_piece){f->vaddr, f->bytes}, TC_SOURCE_OWN, &s);

        if (r < 0)
            return r;
        if (f->is_ifunc)
            mix_file(m, s.digest);
        sum = tc_hash128(s.digest, sizeof s.digest, name.low ^ name.high);
        memcpy(all[i], &sum, sizeof all[i]);
        tc_source_free(&s);
    }
    qsort(all, n, sizeof all[0], by_text);
    sum = tc_hash128(all, n * sizeof all[0], 0);
    p->has_depends = n != 0;
    memcpy(p->depends, &sum, sizeof p->depends);
    return 0;
}

static int fill_hookable(const struct tc_plan_object *o, uint32_t index, struct tc_map *m,
                         struct tc_flat_builder *out, struct tc_plan *p)
{
    const struct tc_candidate *c = &o->candidates[index];
    const struct tc_window *w = &c->window;
    int r;

    if (is_at_entry(c->hook)) {
        p->patch_vaddr = w->patch_vaddr;
        p->window_bytes = w->window_bytes;
        p->moved_bytes = w->moved_bytes;
        memcpy(p->window, w->window, sizeof p->window);
        memcpy(p->moved, w->moved, sizeof p->moved);
        p->fixups = tc_flat_add(out, w->fixups, w->fixup_count, sizeof w->fixups[0]);
    } else {
        const struct tc_function *f = &c->function;
        p->dynamic = tc_flat_add(out, f->dynamic, f->dynamic_count, sizeof f->dynamic[0]);
        p->note = add_note(o, c, o->answers[index].note, out);
    }
    p->globals = add_globals(o->globals[index], out);
    r = add_depends(m, o->globals[index], p);
    if (r < 0)
        return r;
    r = add_source(o, m, &c->function, out, p);
    if (r == 0 && (o->t->tasks[index].policy & TC_POLICY_SOURCE_DEEP))
        r = add_deep(o, m, &c->function, out, p);
    return r;
}

static void fill_debug_facts(const struct tc_dwarf_answer *a, struct tc_flat_builder *out,
                             struct tc_plan *p)
{
    struct tc_param_text drafts[TC_MAX_PARAMS + 1];

    p->remedy = tc_flat_add_str(out, a->remedy);
    p->note = tc_flat_add_str(out, a->note);
    p->declaration = tc_flat_add_str(out, a->declaration);
    p->inlined_copies = a->inlined;
    for (uint32_t i = 0; i < a->draft_count; i++)
        drafts[i] = (struct tc_param_text){.name = tc_flat_add_str(out, a->drafts[i].name),
                                           .text = tc_flat_add_str(out, a->drafts[i].text)};
    p->drafts = tc_flat_add(out, drafts, a->draft_count, sizeof drafts[0]);
    if (p->reason == 0 && a->own.symbol.off != 0)
        p->own = tc_flat_add(out, &a->own, 1, sizeof a->own);
}

/* Where the debug file would be found. */
static struct tc_str add_stripped_remedy(const struct tc_plan_object *o,
                                         struct tc_flat_builder *out)
{
    char remedy[512];

    if (o->im.debug.looked_count == 0)
        return (struct tc_str){0, 0};
    (void)snprintf(remedy, sizeof remedy, "install its debug file, %.400s, or keep .symtab",
                   o->im.debug.looked[0].path);
    return tc_flat_add_str(out, remedy);
}

static int fill_plan(const struct tc_plan_object *o, uint32_t index, struct tc_map *m,
                     struct tc_flat_builder *out, struct tc_plan *p)
{
    const struct tc_task *task = &o->t->tasks[index];
    const struct tc_candidate *c = &o->candidates[index];
    const struct tc_function *f = &c->function;
    const char *detail = f->reason != 0 ? f->detail : c->window.detail;
    uint32_t reason = f->reason;

    if (reason == 0 && is_at_entry(c->hook))
        reason = c->window.reason;

    *p = (struct tc_plan){.task = index,
                          .reason = reason,
                          .hook = c->hook,
                          .entry_vaddr = f->vaddr,
                          .entry_bytes = f->bytes,
                          .patch_vaddr = f->vaddr,
                          .exported = (uint8_t)f->exported};
    p->identity = add_identity(o, index, out);
    p->symbol = tc_flat_add_str(out, f->names[0] != 0 ? f->names : tc_plan_text(o, task->symbol));
    fill_debug_facts(&o->answers[index], out, p);
    if (p->reason == TC_R_STRIPPED)
        p->remedy = add_stripped_remedy(o, out);
    if (p->reason != 0 && detail[0] != 0)
        p->detail = tc_flat_add_str(out, detail);
    return p->reason == 0 ? fill_hookable(o, index, m, out, p) : 0;
}

int tc_plans_write(const struct tc_plan_object *o, struct tc_flat_builder *out,
                   struct tc_object *ret)
{
    struct tc_plan *plans = calloc(o->wanted_count + 1u, sizeof *plans);
    struct tc_map map = {0};
    uint32_t count = 0;
    int r = 0;

    if (plans == NULL)
        return -ENOMEM;
    /* Of a refused object nothing is asked, and it may be damaged. */
    if (o->wanted_count != 0 && o->im.elf != NULL && o->reason == 0)
        r = tc_map_open(&o->im, &map);
    for (uint32_t i = 0; r == 0 && i < o->t->count; i++) {
        if (o->wanted[i])
            r = fill_plan(o, i, &map, out, &plans[count++]);
    }
    ret->plans = tc_flat_add(out, plans, count, sizeof *plans);
    tc_map_close(&map);
    free(plans);
    return r;
}

void tc_plans_describe(const struct tc_plan_object *o, struct tc_flat_builder *out,
                       struct tc_object *ret)
{
    const struct tc_elf *e = o->im.elf;
    struct tc_dep files[TC_MAX_DEBUG_FILES];

    *ret = (struct tc_object){.id = o->ref->id, .reason = o->reason};
    ret->path = tc_flat_add_str(out, o->ref->path);
    ret->soname = tc_flat_add_str(out, o->soname);
    if (e != NULL && e->load_count > 0)
        ret->header_vaddr = e->loads[0].vaddr - e->loads[0].offset;
    if (e != NULL && e->build_id != NULL) {
        ret->build_id_bytes = e->build_id_bytes;
        memcpy(ret->build_id, e->build_id, e->build_id_bytes);
    }
    for (uint32_t i = 0; i < o->im.debug.looked_count; i++)
        files[i] = (struct tc_dep){.path = tc_flat_add_str(out, o->im.debug.looked[i].path),
                                   .id = o->im.debug.looked[i].id};
    ret->debug_files = tc_flat_add(out, files, o->im.debug.looked_count, sizeof files[0]);
}
