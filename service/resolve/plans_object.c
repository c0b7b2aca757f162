#include "service/resolve/plans_object.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/object_glob.h"
#include "service/resolve/plans_parts.h"
#include "service/resolve/window_tables.h"

/* The function as symbol tables have it. */
static const char *symbol_of(const struct tc_plan_object *o, uint32_t index)
{
    const struct tc_cxx_task *c = &o->cxx[index];
    return c->found.linkage != NULL ? c->found.linkage : tc_plan_text(o, o->t->tasks[index].symbol);
}

static int is_named(const struct tc_plan_object *o, const struct tc_task *task)
{
    const char *globs = tc_plan_text(o, task->object);

    return tc_object_glob(globs, tc_basename(o->ref->path)) ||
           (o->soname != NULL && tc_object_glob(globs, o->soname));
}

/* The loader resolves, maps and unmaps on the runtime's behalf, and is at work while it patches. */
static int is_loader_or_runtime(const struct tc_plan_object *o)
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

int tc_plans_open_image(struct tc_plan_object *o)
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
static int has_dwarf(struct tc_plan_object *o)
{
    if (!o->asked_dwarf && o->im.elf != NULL)
        o->has_dwarf = tc_dwarf_open(&o->im, &o->dwarf);
    o->asked_dwarf = 1;
    return o->has_dwarf;
}

/* The compiler left no function, but its source, and copies inside of others? For tasks that mean
 * this object. */
static int is_inlined(struct tc_plan_object *o, uint32_t index, struct tc_candidate *c)
{
    const struct tc_cxx_task *cxx = &o->cxx[index];
    int defined = 0;
    uint32_t copies = has_dwarf(o) ? tc_dwarf_inlined(&o->dwarf, symbol_of(o, index),
                                                      cxx->is_cxx ? &cxx->name : NULL, &defined)
                                   : 0;

    if (copies == 0 || !defined)
        return 0;
    c->function.reason = TC_R_INLINED_EVERYWHERE;
    (void)snprintf(c->function.detail, sizeof c->function.detail, "%u %s", copies,
                   copies == 1 ? "copy" : "copies");
    return 1;
}

static int find_by_symbol(struct tc_plan_object *o, uint32_t index, struct tc_candidate *c)
{
    return tc_function_find(&o->im, symbol_of(o, index), tc_plan_text(o, o->t->tasks[index].file),
                            &c->function);
}

/* The symbol at an address. */
static char *symbol_at(const struct tc_symbols *s, uint64_t vaddr)
{
    size_t i = tc_symbols_at(s, vaddr);
    const struct tc_symbol *symbol = i < s->count ? &s->all[s->by_vaddr[i]] : NULL;

    return symbol != NULL && symbol->vaddr == vaddr ? strndup(symbol->name, symbol->name_bytes)
                                                    : NULL;
}

/* `extern "C"` functions of a namespace: only debug information knows that they are in it. */
static void ask_dwarf_for_name(struct tc_plan_object *o, uint32_t index)
{
    struct tc_cxx_task *cxx = &o->cxx[index];
    const struct tc_task *task = &o->t->tasks[index];
    int meant = tc_plan_text(o, task->object)[0] != 0 || o->soname == NULL;
    uint64_t vaddr = 0;

    if (!cxx->is_cxx || cxx->found.count != 0 || !meant || tc_plan_text(o, task->file)[0] != 0 ||
        !has_dwarf(o) || tc_dwarf_entries(&o->dwarf, &cxx->name, &vaddr) != 1)
        return;
    cxx->found.linkage = symbol_at(&o->im.symbols, vaddr);
    /* Those that mangle were asked, and differ in their parameters. */
    if (cxx->found.linkage != NULL && strncmp(cxx->found.linkage, "_Z", 2) == 0)
        return;
    cxx->found.text = strdup(tc_plan_text(o, task->symbol));
    cxx->found.count = cxx->found.linkage != NULL && cxx->found.text != NULL;
}

/* ns::f(int): by its linkage name, once it is known which one is meant. 1: there is something of
 * the name. */
static int find_by_cxx_name(struct tc_plan_object *o, uint32_t index, struct tc_candidate *c)
{
    struct tc_cxx_task *cxx = &o->cxx[index];
    struct tc_function *f = &c->function;
    const char *why;
    int r = tc_cxx_parse(tc_plan_text(o, o->t->tasks[index].symbol), &cxx->name, &why);

    cxx->is_cxx = r == 0;
    if (r == 0)
        r = tc_cxx_find(&o->im, &cxx->name, tc_plan_text(o, o->t->tasks[index].file), &cxx->found);
    o->no_memory |= r == -ENOMEM;
    ask_dwarf_for_name(o, index);
    if (cxx->found.count == 1)
        return find_by_symbol(o, index, c);
    if (cxx->found.count == 0) {
        f->reason = o->im.symbols.has_symtab ? TC_R_NOT_FOUND : TC_R_STRIPPED;
        return 0;
    }
    f->reason = TC_R_AMBIGUOUS_NAME;
    (void)snprintf(f->detail, sizeof f->detail, "%zu candidates", cxx->found.count);
    if (asprintf(&o->answers[index].remedy, "write %s", cxx->found.list) < 0) {
        o->answers[index].remedy = NULL;
        o->no_memory = 1;
    }
    return 1;
}

static int find_function(struct tc_plan_object *o, uint32_t index, struct tc_candidate *c)
{
    return tc_cxx_is_name(tc_plan_text(o, o->t->tasks[index].symbol))
               ? find_by_cxx_name(o, index, c)
               : find_by_symbol(o, index, c);
}

/* Looks one task up. 1: it gets a plan here. A task that names this object gets one in any case;
 * one that names none only where there is something of its name. */
static int find_task(struct tc_plan_object *o, uint32_t index)
{
    const struct tc_task *task = &o->t->tasks[index];
    struct tc_candidate *c = &o->candidates[index];
    int explicit = tc_plan_text(o, task->object)[0] != 0, found = 0;
    uint32_t reason = o->reason;

    if ((task->flags & TC_TASK_DISABLED) || (explicit && !is_named(o, task)))
        return 0;
    if (o->im.elf != NULL)
        found = find_function(o, index, c);
    if (!found && reason == 0 && o->im.elf != NULL && (explicit || o->soname == NULL))
        found = is_inlined(o, index, c);
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

/* Is it the entry alone that can't be taken? */
static int got_helps(uint32_t reason)
{
    return reason == TC_R_TOO_SHORT || reason == TC_R_BRANCH_INTO_WINDOW ||
           reason == TC_R_BRANCH_TO_ENTRY || reason == TC_R_UNSUPPORTED_INSN;
}

/* Refuses the windows that somebody jumps into. */
static int check_windows(struct tc_plan_object *o, struct tc_candidate **all, size_t count)
{
    struct tc_map map;
    int r = tc_windows_check(&o->im, all, count);

    if (r == 0)
        r = tc_map_open(&o->im, &map);
    if (r < 0)
        return r == -ENOTSUP ? 0 : r; /* of another processor: refused already */
    r = tc_windows_check_tables(&map, all, count);
    tc_map_close(&map);
    return r;
}

/* Whose entry has no room for a jump may have padding in front of it, and room for a short one. */
static int find_short_windows(struct tc_plan_object *o, struct tc_candidate **all)
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
    return count != 0 ? check_windows(o, all, count) : 0;
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
static void refuse_same_functions(struct tc_plan_object *o)
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
                       tc_plan_text(o, o->t->tasks[k].symbol));
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

static void take_globals(struct tc_function *f, const struct tc_found_globals *g)
{
    if (f->reason != 0 || g->reason == 0)
        return;
    f->reason = g->reason;
    (void)snprintf(f->detail, sizeof f->detail, "%s", g->detail);
}

static int find_globals(struct tc_plan_object *o, uint32_t index)
{
    struct tc_found_globals *g;
    int r;

    if ((o->t->tasks[index].globals.count == 0 && o->t->tasks[index].depends.count == 0) ||
        o->candidates[index].function.reason != 0)
        return 0;
    o->globals[index] = g = calloc(1, sizeof *g);
    if (g == NULL)
        return -ENOMEM;
    r = tc_globals_find(&o->im, tc_basename(o->ref->path), o->t->config, &o->t->tasks[index], g);
    take_globals(&o->candidates[index].function, g);
    return r;
}

/* Once their types are known. */
static void check_globals(struct tc_plan_object *o, uint32_t index, struct tc_flat_builder *out)
{
    const struct tc_task *task = &o->t->tasks[index], *t = task;
    const struct tc_flat *config = o->t->config;
    struct tc_function *f = &o->candidates[index].function;

    if (o->globals[index] == NULL || f->reason != 0)
        return;
    if (task->texts.count == 0) {
        tc_globals_check(
            o->globals[index],
            tc_flat_at(config, t->params.off, t->params.count, sizeof(struct tc_param)),
            t->params.count,
            tc_flat_at(config, t->layouts.off, t->layouts.count, sizeof(struct tc_layout)),
            tc_flat_at(config, t->code.off, t->code.count, sizeof(struct tc_insn)));
    } else {
        t = &o->answers[index].own;
        tc_globals_check(o->globals[index], tc_flat_builder_at(out, t->params.off), t->params.count,
                         tc_flat_builder_at(out, t->layouts.off),
                         tc_flat_builder_at(out, t->code.off));
    }
    take_globals(f, o->globals[index]);
}

/* What debug information has to say: the prototype of a task that has none; of a local function,
 * whether it takes its parameters as the one that was written says. */
static int ask_dwarf(struct tc_plan_object *o, uint32_t index, struct tc_flat_builder *out)
{
    const struct tc_task *task = &o->t->tasks[index];
    struct tc_function *f = &o->candidates[index].function;
    struct tc_dwarf_question q = {.im = &o->im,
                                  .dwarf = &o->dwarf,
                                  .function = f,
                                  .config = o->t->config,
                                  .task = task,
                                  .symbol = symbol_of(o, index),
                                  .globals = o->globals[index],
                                  .shown = o->cxx[index].name.function};
    int r = 0;

    if (f->reason != 0 || (task->texts.count == 0 && f->exported))
        return 0;
    if (f->is_ifunc) {
        /* What is known of the resolver says nothing about what it chooses. */
        f->reason = task->prototype.bytes == 0 ? TC_R_PROTOTYPE_MISSING : 0;
        return 0;
    }
    if (has_dwarf(o) && task->texts.count != 0)
        r = tc_dwarf_prototype(&q, out, &o->answers[index]);
    else if (has_dwarf(o))
        tc_dwarf_check_written(&q, &o->answers[index]);
    else if (task->texts.count != 0)
        r = tc_dwarf_without(&q, out, &o->answers[index]);
    take_answer(f, &o->answers[index]);
    if (f->is_clone && !o->answers[index].known)
        refuse_clone(f);
    return r;
}

static int find_all(struct tc_plan_object *o, struct tc_flat_builder *out)
{
    struct tc_candidate **all = calloc(o->t->count + 1u, sizeof *all);
    size_t count = 0;
    int r = 0;

    o->candidates = calloc(o->t->count + 1u, sizeof *o->candidates);
    o->wanted = calloc(o->t->count + 1u, sizeof *o->wanted);
    o->answers = calloc(o->t->count + 1u, sizeof *o->answers);
    o->cxx = calloc(o->t->count + 1u, sizeof *o->cxx);
    o->globals = calloc(o->t->count + 1u, sizeof *o->globals);
    if (all == NULL || o->globals == NULL || o->cxx == NULL || o->candidates == NULL ||
        o->wanted == NULL || o->answers == NULL) {
        free(all);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < o->t->count && r == 0; i++) {
        o->wanted[i] = (unsigned char)find_task(o, i);
        o->wanted_count += o->wanted[i];
        if (o->wanted[i])
            r = find_globals(o, i);
        if (o->wanted[i] && r == 0)
            r = ask_dwarf(o, i, out);
        if (o->wanted[i] && r == 0)
            check_globals(o, i, out);
        if (o->wanted[i] && o->candidates[i].function.reason == 0 &&
            !o->candidates[i].function.is_ifunc)
            all[count++] = &o->candidates[i];
    }
    if (r == 0 && count != 0)
        r = check_windows(o, all, count);
    if (r == 0 && count != 0)
        r = find_short_windows(o, all);
    for (uint32_t i = 0; i < o->t->count; i++)
        if (o->wanted[i])
            choose_hook(&o->t->tasks[i], &o->candidates[i]);
    refuse_same_functions(o);
    free(all);
    return o->no_memory ? -ENOMEM : r;
}

int tc_plans_object(const struct tc_plan_tasks *t, const struct tc_plans_ref *ref,
                    struct tc_flat_builder *out, struct tc_object *ret)
{
    struct tc_plan_object o = {.t = t, .ref = ref, .reason = ref->refuse};
    struct tc_object object;
    int r = 0;

#ifdef TC_TEST_CLOCK
    /* What crashes the resolver is mended when it is found: tests have a name for it. */
    if (ref->refuse == 0 && strstr(tc_basename(ref->path), "crashes-the-resolver") != NULL)
        abort();
    while (ref->refuse == 0 && strstr(tc_basename(ref->path), "hangs-the-resolver") != NULL)
        (void)raise(SIGSTOP);
#endif
    if (ref->refuse == 0)
        r = tc_plans_open_image(&o);
    if (r == 0)
        r = find_all(&o, out);
    if (r == 0) {
        tc_plans_describe(&o, out, &object);
        r = tc_plans_write(&o, out, &object);
    }
    if (r == 0)
        *ret = object;
    for (uint32_t i = 0; o.answers != NULL && i < t->count; i++)
        tc_dwarf_answer_free(&o.answers[i]);
    for (uint32_t i = 0; o.cxx != NULL && i < t->count; i++) {
        tc_cxx_name_free(&o.cxx[i].name);
        tc_cxx_found_free(&o.cxx[i].found);
    }
    for (uint32_t i = 0; o.globals != NULL && i < t->count; i++)
        free(o.globals[i]);
    free(o.globals);
    free(o.cxx);
    free(o.answers);
    free(o.candidates);
    free(o.wanted);
    tc_dwarf_close(&o.dwarf);
    tc_image_close(&o.im);
    return r;
}
