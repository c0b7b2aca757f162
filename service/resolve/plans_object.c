#include "service/resolve/plans_object.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/resolve/dwarf_proto.h"
#include "service/resolve/source.h"
#include "service/resolve/window.h"

#define IDENTITY_BYTES 1024u

/* An object at work. */
struct object {
    const struct tc_plan_tasks *t;
    const struct tc_plans_ref *ref;
    struct tc_image im;              /* `elf` NULL: couldn't be opened */
    uint32_t reason;                 /* enum tc_reason: nothing here is hooked */
    const char *soname;              /* NULL: none */
    struct tc_candidate *candidates; /* one a task; `wanted` says which count */
    struct tc_dwarf_answer *answers; /* likewise */
    struct tc_dwarf dwarf;
    int has_dwarf, asked_dwarf;
    unsigned char *wanted;
    uint32_t wanted_count;
};

static const char *text(const struct object *o, struct tc_str s)
{
    return tc_flat_str(o->t->config, s);
}

static int is_named(const struct object *o, const struct tc_task *task)
{
    const char *glob = text(o, task->object), *path = o->ref->path;

    return fnmatch(glob, tc_basename(path), 0) == 0 ||
           (o->soname != NULL && fnmatch(glob, o->soname, 0) == 0) ||
           (strchr(glob, '/') != NULL && fnmatch(glob, path, 0) == 0);
}

/* The loader resolves, maps and unmaps on the runtime's behalf, and is at work while it patches. */
static int is_loader_or_runtime(const struct object *o)
{
    static const char *const names[] = {"ld-linux", "ld.so", "ld-musl", "libtaskcache.so"};
    const char *name = o->soname != NULL ? o->soname : tc_basename(o->ref->path);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return 1;
    }
    return 0;
}

static int same_file(const struct stat *st, const struct tc_file_id *id)
{
    return st->st_dev == id->dev && st->st_ino == id->ino && (uint64_t)st->st_size == id->size &&
           st->st_mtim.tv_sec * 1000000000ll + st->st_mtim.tv_nsec == id->mtime_ns &&
           st->st_ctim.tv_sec * 1000000000ll + st->st_ctim.tv_nsec == id->ctime_ns;
}

static int open_image(struct object *o)
{
    struct stat st;
    int r = 0, fd = open(o->ref->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || !same_file(&st, &o->ref->id)) {
        o->reason = TC_R_FILE_MISMATCH;
    } else {
        r = tc_image_open_fd(fd, o->ref->path, &o->im);
        if (r < 0 && r != -ENOMEM) {
            o->reason = TC_R_MALFORMED_ELF;
            r = 0;
        }
    }
    if (fd >= 0)
        (void)close(fd);
    if (r == 0 && o->im.elf != NULL) {
        o->reason = o->im.reason;
        o->soname = o->im.elf->soname;
    }
    return r;
}

/* Opened when the first task asks: most objects are never asked about. */
static int has_dwarf(struct object *o)
{
    if (!o->asked_dwarf && o->im.elf != NULL)
        o->has_dwarf = tc_dwarf_open(&o->im, &o->dwarf);
    o->asked_dwarf = 1;
    return o->has_dwarf;
}

/* The compiler left no function, but its source, and copies inside of others? For tasks that mean
 * this object. */
static int is_inlined(struct object *o, const struct tc_task *task, struct tc_candidate *c)
{
    int defined = 0;
    uint32_t copies =
        has_dwarf(o) ? tc_dwarf_inlined(&o->dwarf, text(o, task->symbol), &defined) : 0;

    if (copies == 0 || !defined)
        return 0;
    c->function.reason = TC_R_INLINED_EVERYWHERE;
    (void)snprintf(c->function.detail, sizeof c->function.detail, "%u %s", copies,
                   copies == 1 ? "copy" : "copies");
    return 1;
}

/* Looks one task up. 1: it gets a plan here. A task that names this object gets one in any case;
 * one that names none only where there is something of its name. */
static int find_task(struct object *o, const struct tc_task *task, struct tc_candidate *c)
{
    int explicit = text(o, task->object)[0] != 0, found = 0;
    uint32_t reason = o->reason;

    if ((task->flags & TC_TASK_DISABLED) || (explicit && !is_named(o, task)))
        return 0;
    if (o->im.elf != NULL)
        found = tc_function_find(&o->im, text(o, task->symbol), text(o, task->file), &c->function);
    if (!found && reason == 0 && o->im.elf != NULL && (explicit || o->soname == NULL))
        found = is_inlined(o, task, c);
    /* Debug files of libraries name thousands of static functions, which nobody means who names a
     * function of the program. */
    if (!explicit && (!found || (c->function.from_debug && o->soname != NULL)))
        return 0;
    if (reason == 0)
        reason = c->function.reason;
    if (reason == 0 && is_loader_or_runtime(o))
        reason = TC_R_USED_BY_RUNTIME;
    if (reason == 0 && task->prototype.bytes == 0 && task->texts.count == 0)
        reason = TC_R_PROTOTYPE_MISSING;
    if (reason != c->function.reason)
        c->function.detail[0] = 0;
    c->function.reason = reason;
    if (reason == 0 && !c->function.is_ifunc)
        tc_window_find(&o->im, &c->function, &c->window);
    return 1;
}

static int is_at_entry(uint32_t hook)
{
    return hook == TC_HOOK_ENTRY || hook == TC_HOOK_PAD;
}

/* Is it the entry alone that can't be taken? */
static int got_helps(uint32_t reason)
{
    return reason == TC_R_TOO_SHORT || reason == TC_R_BRANCH_INTO_WINDOW ||
           reason == TC_R_BRANCH_TO_ENTRY || reason == TC_R_UNSUPPORTED_INSN;
}

/* Whose entry has no room for a jump may have padding in front of it, and room for a short one. */
static int find_short_windows(struct object *o, struct tc_candidate **all)
{
    size_t count = 0;

    for (uint32_t i = 0; i < o->t->count; i++) {
        struct tc_candidate *c = &o->candidates[i];
        if (o->wanted[i] && c->function.reason == 0 && !c->function.is_ifunc &&
            got_helps(c->window.reason) && !(o->t->tasks[i].flags & TC_TASK_HOOK_GOT) &&
            tc_window_find_short(&o->im, &c->function, &c->window)) {
            c->hook = TC_HOOK_PAD;
            all[count++] = c;
        }
    }
    return count != 0 ? tc_windows_check(&o->im, all, count) : 0;
}

static void choose_hook(const struct tc_task *task, struct tc_candidate *c)
{
    struct tc_function *f = &c->function;

    if (f->reason != 0)
        return;
    if (f->is_ifunc) {
        c->hook = TC_HOOK_IFUNC;
        if ((task->flags & TC_TASK_HOOK_ENTRY) || f->has_versions) {
            f->reason = TC_R_IFUNC;
            (void)snprintf(f->detail, sizeof f->detail, "%s",
                           f->has_versions ? "there are several versions of it" : "");
        }
    } else if (task->flags & TC_TASK_HOOK_GOT) {
        c->hook = TC_HOOK_GOT;
        if (f->dynamic_count == 0)
            f->reason = TC_R_NOT_EXPORTED;
    } else if (got_helps(c->window.reason) && !(task->flags & TC_TASK_HOOK_ENTRY) &&
               f->dynamic_count != 0) {
        c->hook = TC_HOOK_GOT;
    }
}

/* One address has one hook: two tasks that name the same function, by aliases, can't both have it.
 */
static void refuse_same_functions(struct object *o)
{
    for (uint32_t i = 0; i < o->t->count; i++) {
        struct tc_function *f = &o->candidates[i].function;
        uint32_t k = 0;
        if (!o->wanted[i] || f->reason != 0)
            continue;
        while (k < i && !(o->wanted[k] && o->candidates[k].function.reason == 0 &&
                          o->candidates[k].function.vaddr == f->vaddr))
            k++;
        if (k == i)
            continue;
        f->reason = TC_R_ALREADY_PATCHED;
        (void)snprintf(f->detail, sizeof f->detail, "the task of `%.128s` is the same function",
                       text(o, o->t->tasks[k].symbol));
    }
}

static void take_answer(struct tc_function *f, const struct tc_dwarf_answer *a)
{
    if (a->reason == 0)
        return;
    f->reason = a->reason;
    memcpy(f->detail, a->detail, sizeof f->detail);
}

static void refuse_clone(struct tc_function *f)
{
    const char *own = strchr(f->names, ' ');

    f->reason = TC_R_NOT_FOUND;
    (void)snprintf(f->detail, sizeof f->detail, "the compiler left only %.200s",
                   own != NULL ? own + 1 : "a changed copy");
}

/* What debug information has to say: the prototype of a task that has none; of a local function,
 * whether it takes its parameters as the one that was written says. */
static int ask_dwarf(struct object *o, uint32_t index, struct tc_flat_builder *out)
{
    const struct tc_task *task = &o->t->tasks[index];
    struct tc_function *f = &o->candidates[index].function;
    struct tc_dwarf_question q = {.im = &o->im,
                                  .dwarf = &o->dwarf,
                                  .function = f,
                                  .config = o->t->config,
                                  .task = task,
                                  .symbol = text(o, task->symbol)};
    int r = 0;

    if (f->reason != 0 || (task->texts.count == 0 && f->exported))
        return 0;
    if (f->is_ifunc) {
        /* What is known of the resolver says nothing about what it chooses. */
        f->reason = task->texts.count != 0 ? TC_R_PROTOTYPE_MISSING : 0;
        return 0;
    }
    if (has_dwarf(o) && task->texts.count != 0)
        r = tc_dwarf_prototype(&q, out, &o->answers[index]);
    else if (has_dwarf(o))
        tc_dwarf_check_written(&q, &o->answers[index]);
    else if (task->texts.count != 0)
        f->reason = TC_R_PROTOTYPE_MISSING;
    take_answer(f, &o->answers[index]);
    if (f->is_clone && !o->answers[index].known)
        refuse_clone(f);
    return r;
}

static int find_all(struct object *o, struct tc_flat_builder *out)
{
    struct tc_candidate **all = calloc(o->t->count + 1u, sizeof *all);
    size_t count = 0;
    int r = 0;

    o->candidates = calloc(o->t->count + 1u, sizeof *o->candidates);
    o->wanted = calloc(o->t->count + 1u, sizeof *o->wanted);
    o->answers = calloc(o->t->count + 1u, sizeof *o->answers);
    if (all == NULL || o->candidates == NULL || o->wanted == NULL || o->answers == NULL) {
        free(all);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < o->t->count && r == 0; i++) {
        o->wanted[i] = (unsigned char)find_task(o, &o->t->tasks[i], &o->candidates[i]);
        o->wanted_count += o->wanted[i];
        if (o->wanted[i])
            r = ask_dwarf(o, i, out);
        if (o->wanted[i] && o->candidates[i].function.reason == 0 &&
            !o->candidates[i].function.is_ifunc)
            all[count++] = &o->candidates[i];
    }
    if (r == 0 && count != 0)
        r = tc_windows_check(&o->im, all, count);
    if (r == 0 && count != 0)
        r = find_short_windows(o, all);
    for (uint32_t i = 0; i < o->t->count; i++)
        if (o->wanted[i])
            choose_hook(&o->t->tasks[i], &o->candidates[i]);
    refuse_same_functions(o);
    free(all);
    return r;
}

/* `name:`, else [file.c:]symbol@object. */
static struct tc_str add_identity(const struct object *o, const struct tc_task *task,
                                  const struct tc_function *f, struct tc_flat_builder *out)
{
    char identity[IDENTITY_BYTES];
    const char *file = f->file != NULL ? f->file : text(o, task->file);

    if (task->name.bytes != 0)
        return tc_flat_add_str(out, text(o, task->name));
    (void)snprintf(identity, sizeof identity, "%s%s%s@%s", file, file[0] != 0 ? ":" : "",
                   text(o, task->symbol),
                   o->soname != NULL ? o->soname : tc_basename(o->ref->path));
    return tc_flat_add_str(out, identity);
}

/* Which calls nobody sees, before what else there is to say. */
static struct tc_str add_note(const struct object *o, const struct tc_candidate *c,
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

static void fill_hookable(const struct object *o, uint32_t index, struct tc_hash128 file,
                          struct tc_flat_builder *out, struct tc_plan *p)
{
    const struct tc_candidate *c = &o->candidates[index];
    const struct tc_window *w = &c->window;

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
    tc_source_interim(&o->im, &c->function, file, p->source);
    p->source_algorithm = TC_SOURCE_INTERIM;
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
static struct tc_str add_stripped_remedy(const struct object *o, struct tc_flat_builder *out)
{
    char remedy[512];

    if (o->im.debug.looked_count == 0)
        return (struct tc_str){0, 0};
    (void)snprintf(remedy, sizeof remedy, "install its debug file, %.400s, or keep .symtab",
                   o->im.debug.looked[0].path);
    return tc_flat_add_str(out, remedy);
}

static void fill_plan(const struct object *o, uint32_t index, struct tc_hash128 file,
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
    p->identity = add_identity(o, task, f, out);
    p->symbol = tc_flat_add_str(out, f->names[0] != 0 ? f->names : text(o, task->symbol));
    fill_debug_facts(&o->answers[index], out, p);
    if (p->reason == TC_R_STRIPPED)
        p->remedy = add_stripped_remedy(o, out);
    if (p->reason != 0 && detail[0] != 0)
        p->detail = tc_flat_add_str(out, detail);
    if (p->reason == 0)
        fill_hookable(o, index, file, out, p);
}

static int write_plans(const struct object *o, struct tc_flat_builder *out, struct tc_object *ret)
{
    struct tc_plan *plans = calloc(o->wanted_count + 1u, sizeof *plans);
    struct tc_hash128 file = {0};
    uint32_t count = 0;

    if (plans == NULL)
        return -ENOMEM;
    if (o->wanted_count != 0 && o->im.elf != NULL)
        file = tc_source_file(&o->im);
    for (uint32_t i = 0; i < o->t->count; i++) {
        if (o->wanted[i])
            fill_plan(o, i, file, out, &plans[count++]);
    }
    ret->plans = tc_flat_add(out, plans, count, sizeof *plans);
    free(plans);
    return 0;
}

static void describe(const struct object *o, struct tc_flat_builder *out, struct tc_object *ret)
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

int tc_plans_object(const struct tc_plan_tasks *t, const struct tc_plans_ref *ref,
                    struct tc_flat_builder *out, struct tc_object *ret)
{
    struct object o = {.t = t, .ref = ref, .reason = ref->refuse};
    struct tc_object object;
    int r = 0;

    if (ref->refuse == 0)
        r = open_image(&o);
    if (r == 0)
        r = find_all(&o, out);
    if (r == 0) {
        describe(&o, out, &object);
        r = write_plans(&o, out, &object);
    }
    if (r == 0)
        *ret = object;
    for (uint32_t i = 0; o.answers != NULL && i < t->count; i++)
        tc_dwarf_answer_free(&o.answers[i]);
    free(o.answers);
    free(o.candidates);
    free(o.wanted);
    tc_dwarf_close(&o.dwarf);
    tc_image_close(&o.im);
    return r;
}
