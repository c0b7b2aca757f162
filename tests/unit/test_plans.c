/*
 * Plans: what tc_plans_update() makes of tasks and objects, what it keeps of an old file, how
 * tc_plans_find() and tc_plans_verify() read it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/reason.h"
#include "service/resolve/plans.h"
#include "tests/unit/elf_fixture.h"

#define LIBS "/usr/lib/x86_64-linux-gnu/"

struct task_text {
    const char *symbol, *object, *file, *name, *prototype;
    uint32_t flags;
};

static void make_config(const struct task_text *texts, size_t count, uint8_t digest,
                        struct tc_flat_builder *b, struct tc_flat *ret)
{
    struct tc_task tasks[16] = {0};
    struct tc_span span;

    assert_true(count <= 16);
    tc_flat_builder_init(b, TC_FLAT_CONFIG, sizeof(struct tc_config));
    for (size_t i = 0; i < count; i++) {
        tasks[i].symbol = tc_flat_add_str(b, texts[i].symbol);
        tasks[i].object = tc_flat_add_str(b, texts[i].object);
        tasks[i].file = tc_flat_add_str(b, texts[i].file);
        tasks[i].name = tc_flat_add_str(b, texts[i].name);
        tasks[i].prototype = tc_flat_add_str(b, texts[i].prototype);
        tasks[i].flags = texts[i].flags;
    }
    span = tc_flat_add(b, tasks, count, sizeof tasks[0]);
    struct tc_config *root = tc_flat_builder_root(b);
    memset(root->resolve_digest, digest, sizeof root->resolve_digest);
    root->tasks = span;
    assert_int_equal(tc_flat_builder_finish(b), 0);
    assert_int_equal(tc_flat_check(b->data, b->bytes, TC_FLAT_CONFIG, ret), 0);
}

static struct tc_plans_ref ref_of(const char *path)
{
    struct tc_plans_ref r = {.path = path};
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    r.id = (struct tc_file_id){.dev = st.st_dev,
                               .ino = st.st_ino,
                               .size = (uint64_t)st.st_size,
                               .mtime_ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec,
                               .ctime_ns = st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec};
    return r;
}

static void update(const struct tc_flat *config, const struct tc_flat *old,
                   const struct tc_plans_ref *refs, size_t n, struct tc_flat_builder *out,
                   struct tc_flat *ret)
{
    const struct tc_config *root = tc_flat_root(config, sizeof *root);

    assert_int_equal(tc_plans_update(config, old, refs, n, out), 0);
    assert_int_equal(tc_flat_check(out->data, out->bytes, TC_FLAT_PLANS, ret), 0);
    assert_int_equal(tc_plans_verify(ret, root->tasks.count), 0);
}

static const struct tc_plan *plan_of(const struct tc_flat *f, const struct tc_plans_ref *ref,
                                     uint32_t task)
{
    const struct tc_object *o = tc_plans_find(f, &ref->id);
    const struct tc_plan *p = NULL;

    assert_non_null(o);
    assert_string_equal(tc_flat_str(f, o->path), ref->path);
    p = tc_flat_at(f, o->plans.off, o->plans.count, sizeof *p);
    for (uint32_t i = 0; i < o->plans.count; i++) {
        if (p[i].task == task)
            return &p[i];
    }
    return NULL;
}

static void check_plan(const struct tc_flat *f, const struct tc_plans_ref *ref, uint32_t task,
                       enum tc_reason reason, const char *identity)
{
    const struct tc_plan *p = plan_of(f, ref, task);

    if (p == NULL)
        fail_msg("no plan of task %u", task);
    if (p->reason != (uint32_t)reason)
        fail_msg("task %u: reason %u, %s", task, p->reason, tc_flat_str(f, p->detail));
    assert_string_equal(tc_flat_str(f, p->identity), identity);
    if (reason == TC_R_NONE) {
        static const uint8_t nothing[16];
        assert_int_equal(p->source_algorithm, TC_SOURCE_RESOLVED);
        assert_memory_not_equal(p->source, nothing, 16);
        assert_true(p->fixups.count >= 1);
    }
}

static void build(const struct elf_dir *d)
{
    elf_write(d, "solver.c",
              "__attribute__((noinline)) static int inner(int x) { return x * x + 3 * x / 7; }\n"
              "__attribute__((noinline)) int solve(int x) { return inner(x) - inner(x + 1); }\n"
              "__attribute__((alias(\"solve\"))) int solve2(int);\n"
              "int tiny(void) { return 0; }\n int data = 5;\n");
    elf_sh(d, "gcc -O2 -shared -fPIC -Wl,-soname,libsolver.so.3 -o libsolver.so.3.1 solver.c");
    elf_write(d, "main.c",
              "int solve(int x) { return x * 77 / 5; }\n"
              "int main(int c, char **v) { (void)v; return solve(c); }\n");
    elf_sh(d, "gcc -O1 -o prog main.c");
}

static void tasks_get_plans_where_they_belong(void **state)
{
    static const struct task_text texts[] = {
        {"solve", NULL, NULL, NULL, "int solve(int x)", 0},
        {"inner", "libsolver.so.3", NULL, NULL, "int inner(int x)", 0},
        {"nosuch", "libsolver*", NULL, NULL, "int nosuch(int x)", 0},
        {"inner", NULL, "other.c", NULL, "int inner(int x)", 0},
        {"tiny", NULL, NULL, "small", "int tiny(void)", TC_TASK_HOOK_ENTRY},
        {"data", NULL, NULL, NULL, "int data(void)", 0},
        {"main", NULL, NULL, NULL, NULL, 0},
        {"solve2", "*.3.1", NULL, NULL, "int solve2(int x)", 0},
        {"main", "prog", NULL, NULL, "int main(void)", TC_TASK_DISABLED},
    };
    const struct elf_dir *d = *state;
    struct tc_flat_builder config_b, out;
    struct tc_flat config, f;
    char library[512], program[512];

    build(d);
    elf_path(d, "libsolver.so.3.1", library, sizeof library);
    elf_path(d, "prog", program, sizeof program);
    struct tc_plans_ref refs[] = {ref_of(library), ref_of(program), ref_of(library)};
    make_config(texts, sizeof texts / sizeof texts[0], 1, &config_b, &config);
    update(&config, NULL, refs, 3, &out, &f);
    const struct tc_plans *root = tc_flat_root(&f, sizeof *root);
    assert_int_equal(root->objects.count, 2);

    check_plan(&f, &refs[0], 0, TC_R_NONE, "solve@libsolver.so.3");
    check_plan(&f, &refs[0], 1, TC_R_NONE, "solver.c:inner@libsolver.so.3");
    check_plan(&f, &refs[0], 2, TC_R_NOT_FOUND, "nosuch@libsolver.so.3");
    check_plan(&f, &refs[0], 3, TC_R_NOT_FOUND, "other.c:inner@libsolver.so.3");
    check_plan(&f, &refs[0], 4, TC_R_TOO_SHORT, "small");
    check_plan(&f, &refs[0], 5, TC_R_NOT_A_FUNCTION, "data@libsolver.so.3");
    assert_null(plan_of(&f, &refs[0], 6));
    check_plan(&f, &refs[0], 7, TC_R_ALREADY_PATCHED, "solve2@libsolver.so.3");
    check_plan(&f, &refs[1], 0, TC_R_NONE, "solve@prog");
    assert_null(plan_of(&f, &refs[1], 1));
    assert_null(plan_of(&f, &refs[1], 2));
    check_plan(&f, &refs[1], 6, TC_R_PROTOTYPE_MISSING, "main@prog");
    assert_null(plan_of(&f, &refs[1], 8));

    const struct tc_plan *p = plan_of(&f, &refs[0], 0), *q = plan_of(&f, &refs[0], 1);
    assert_string_equal(tc_flat_str(&f, p->symbol), "solve, solve2");
    assert_true(p->exported && !q->exported);
    assert_memory_not_equal(p->source, q->source, 16);
    const struct tc_object *o = tc_plans_find(&f, &refs[0].id);
    assert_string_equal(tc_flat_str(&f, o->soname), "libsolver.so.3");
    assert_int_equal(o->reason, 0);
    tc_flat_builder_free(&config_b);
    tc_flat_builder_free(&out);
}

static void source_follows_the_code(void **state)
{
    static const struct task_text texts[] = {
        {"solve", NULL, NULL, NULL, "int solve(int x)", 0},
    };
    const struct elf_dir *d = *state;
    struct tc_flat_builder config_b, out[3];
    struct tc_flat config, f[3];
    char path[3][512];

    build(d);
    elf_sh(d, "cp libsolver.so.3.1 copy.so && printf x >> copy.so && "
              "sed 's/return inner(x) -/return inner(x) +/' solver.c >other.c && "
              "gcc -O2 -shared -fPIC -Wl,-soname,libsolver.so.3 -o other.so other.c");
    elf_path(d, "libsolver.so.3.1", path[0], sizeof path[0]);
    elf_path(d, "copy.so", path[1], sizeof path[1]);
    elf_path(d, "other.so", path[2], sizeof path[2]);
    make_config(texts, 1, 1, &config_b, &config);
    uint8_t source[3][16];
    for (int i = 0; i < 3; i++) {
        struct tc_plans_ref ref = ref_of(path[i]);
        update(&config, NULL, &ref, 1, &out[i], &f[i]);
        memcpy(source[i], plan_of(&f[i], &ref, 0)->source, 16);
        tc_flat_builder_free(&out[i]);
    }
    assert_memory_equal(source[0], source[1], 16);
    assert_memory_not_equal(source[0], source[2], 16);
    tc_flat_builder_free(&config_b);
}

static void wrong_files_are_refused(void **state)
{
    static const struct task_text texts[] = {
        {"solve", "libsolver*", NULL, NULL, "int solve(int x)", 0},
        {"_dl_catch_error", NULL, NULL, NULL, "int f(int x)", 0},
        {"__tls_get_addr", "ld-linux*", NULL, NULL, "void *f(void *x)", 0},
    };
    const struct elf_dir *d = *state;
    struct tc_flat_builder config_b, out;
    struct tc_flat config, f;
    char library[512], text[512];

    build(d);
    elf_path(d, "libsolver.so.3.1", library, sizeof library);
    elf_path(d, "solver.c", text, sizeof text);
    struct tc_plans_ref refs[] = {ref_of(library), ref_of(library), ref_of(text),
                                  ref_of("/lib64/ld-linux-x86-64.so.2"), ref_of(library)};
    refs[0].id.mtime_ns++;
    refs[1].id.ino += 1000000;
    refs[1].refuse = TC_R_RESOLVER_FAILED;
    refs[4].id.ino += 2000000;
    refs[4].path = "/nonexistent/libsolver.so";
    make_config(texts, 3, 1, &config_b, &config);
    update(&config, NULL, refs, 5, &out, &f);
    assert_int_equal(tc_plans_find(&f, &refs[0].id)->reason, TC_R_FILE_MISMATCH);
    check_plan(&f, &refs[0], 0, TC_R_FILE_MISMATCH, "solve@libsolver.so.3.1");
    assert_int_equal(tc_plans_find(&f, &refs[1].id)->reason, TC_R_RESOLVER_FAILED);
    check_plan(&f, &refs[1], 0, TC_R_RESOLVER_FAILED, "solve@libsolver.so.3.1");
    assert_int_equal(tc_plans_find(&f, &refs[2].id)->reason, TC_R_MALFORMED_ELF);
    assert_int_equal(tc_plans_find(&f, &refs[3].id)->reason, 0);
    check_plan(&f, &refs[3], 2, TC_R_USED_BY_RUNTIME, "__tls_get_addr@ld-linux-x86-64.so.2");
    assert_int_equal(tc_plans_find(&f, &refs[4].id)->reason, TC_R_FILE_MISMATCH);
    tc_flat_builder_free(&config_b);
    tc_flat_builder_free(&out);
}

static void old_objects_are_kept(void **state)
{
    static const struct task_text texts[] = {
        {"solve", NULL, NULL, NULL, "int solve(int x)", 0},
    };
    const struct elf_dir *d = *state;
    struct tc_flat_builder config_b, other_b, first, second, third, fourth;
    struct tc_flat config, other, f1, f2, f3, f4;
    char library[512], program[512];

    build(d);
    elf_path(d, "libsolver.so.3.1", library, sizeof library);
    elf_path(d, "prog", program, sizeof program);
    struct tc_plans_ref lib = ref_of(library), prog = ref_of(program), missing = lib;
    missing.path = "/nonexistent/x.so";
    missing.id.ino++;
    struct tc_plans_ref both[] = {lib, missing};
    make_config(texts, 1, 1, &config_b, &config);
    make_config(texts, 1, 2, &other_b, &other);
    update(&config, NULL, both, 2, &first, &f1);
    update(&config, &f1, &prog, 1, &second, &f2);
    check_plan(&f2, &lib, 0, TC_R_NONE, "solve@libsolver.so.3");
    check_plan(&f2, &prog, 0, TC_R_NONE, "solve@prog");
    /* What couldn't be reached is asked for again. */
    assert_non_null(tc_plans_find(&f1, &missing.id));
    assert_null(tc_plans_find(&f2, &missing.id));
    const struct tc_plan *p = plan_of(&f1, &lib, 0), *q = plan_of(&f2, &lib, 0);
    assert_memory_equal(p->moved, q->moved, sizeof p->moved);
    assert_memory_equal(p->source, q->source, sizeof p->source);
    assert_int_equal(p->fixups.count, q->fixups.count);

    /* A new file under the old path. */
    elf_sh(d, "cp libsolver.so.3.1 x && mv x libsolver.so.3.1");
    struct tc_plans_ref replaced = ref_of(library);
    update(&config, &f2, &replaced, 1, &third, &f3);
    assert_null(tc_plans_find(&f3, &lib.id));
    assert_non_null(tc_plans_find(&f3, &replaced.id));
    assert_non_null(tc_plans_find(&f3, &prog.id));

    /* Plans of another config, and damaged ones, are of no use. */
    update(&other, &f3, &replaced, 1, &fourth, &f4);
    assert_null(tc_plans_find(&f4, &prog.id));
    tc_flat_builder_free(&fourth);
    struct tc_plan *damaged = (struct tc_plan *)(uintptr_t)plan_of(&f3, &prog, 0);
    damaged->window_bytes = TC_MAX_WINDOW + 1;
    update(&config, &f3, &replaced, 1, &fourth, &f4);
    assert_null(tc_plans_find(&f4, &prog.id));
    tc_flat_builder_free(&config_b);
    tc_flat_builder_free(&other_b);
    tc_flat_builder_free(&first);
    tc_flat_builder_free(&second);
    tc_flat_builder_free(&third);
    tc_flat_builder_free(&fourth);
}

/* One plan in one object, changed by `change`, then verified. */
static int verify_changed(void (*change)(struct tc_plans *, struct tc_object *, struct tc_plan *,
                                         struct tc_fixup *))
{
    struct tc_flat_builder b;
    struct tc_fixup fixup = {.at = 6, .kind = TC_FIX_REL32};
    struct tc_plan plan = {.entry_vaddr = 0x1000,
                           .entry_bytes = 64,
                           .patch_vaddr = 0x1004,
                           .window_bytes = 5,
                           .moved_bytes = 10};
    struct tc_object object = {.id = {.ino = 1}};
    struct tc_flat f;

    tc_flat_builder_init(&b, TC_FLAT_PLANS, sizeof(struct tc_plans));
    plan.identity = tc_flat_add_str(&b, "f@a.so");
    plan.fixups = tc_flat_add(&b, &fixup, 1, sizeof fixup);
    object.plans = tc_flat_add(&b, &plan, 1, sizeof plan);
    struct tc_span objects = tc_flat_add(&b, &object, 1, sizeof object);
    struct tc_plans *root = tc_flat_builder_root(&b);
    root->objects = objects;
    change(root, tc_flat_builder_at(&b, objects.off), tc_flat_builder_at(&b, object.plans.off),
           tc_flat_builder_at(&b, plan.fixups.off));
    assert_int_equal(tc_flat_builder_finish(&b), 0);
    assert_int_equal(tc_flat_check(b.data, b.bytes, TC_FLAT_PLANS, &f), 0);
    int r = tc_plans_verify(&f, 1);
    tc_flat_builder_free(&b);
    return r;
}

#define CHANGE(name, statement)                                                  \
    static void name(struct tc_plans *r, struct tc_object *o, struct tc_plan *p, \
                     struct tc_fixup *x)                                         \
    {                                                                            \
        (void)r, (void)o, (void)p, (void)x;                                      \
        statement;                                                               \
    }
CHANGE(no_change, (void)0)
CHANGE(refusal_without_window, p->reason = TC_R_TOO_SHORT; p->window_bytes = 0)
CHANGE(longest_window, p->window_bytes = TC_MAX_WINDOW; p->moved_bytes = TC_MAX_MOVED)
CHANGE(short_window, p->window_bytes = 4)
CHANGE(long_window, p->window_bytes = TC_MAX_WINDOW + 1; p->moved_bytes = 60)
CHANGE(long_refused_window, p->reason = TC_R_TOO_SHORT; p->window_bytes = TC_MAX_WINDOW + 1)
CHANGE(long_moved, p->moved_bytes = TC_MAX_MOVED + 1)
CHANGE(window_behind_end, p->entry_bytes = 8; p->window_bytes = 6)
CHANGE(patch_before_entry, p->patch_vaddr = 0xfff)
CHANGE(fixup_outside, x->at = 7)
CHANGE(fixup_wraps, x->at = 65535)
CHANGE(fixup_tail, x->tail = 1)
CHANGE(fixup_kind, x->kind = 2)
CHANGE(fixups_outside, p->fixups.off = 1 << 20)
CHANGE(fixups_many, p->fixups.count = 1000)
CHANGE(unknown_task, p->task = 1)
CHANGE(string_outside, p->identity.off = 1 << 20)
CHANGE(string_long, p->identity.bytes = UINT32_MAX)
CHANGE(string_unended, p->identity.bytes -= 1)
CHANGE(plans_outside, o->plans.off = 1 << 20)
CHANGE(plans_unaligned, o->plans.off += 4)
CHANGE(plans_many, o->plans.count = UINT32_MAX)
CHANGE(build_id_long, o->build_id_bytes = TC_MAX_BUILD_ID + 1)
CHANGE(unknown_hook, p->hook = TC_HOOK_IFUNC + 1; p->window_bytes = p->moved_bytes = 0)
CHANGE(got_without_names, p->hook = TC_HOOK_GOT; p->window_bytes = p->moved_bytes = 0)
CHANGE(names_outside, p->dynamic = ((struct tc_span){1 << 20, 1}))
CHANGE(objects_outside, r->objects.off = UINT32_MAX)
CHANGE(objects_many, r->objects.count = UINT32_MAX / 8)

/* Which hook a task gets, and why not. */
static void hooks_are_chosen(void **state)
{
    static const struct task_text texts[] = {
        {"tiny", NULL, NULL, NULL, "int tiny(void)", 0},
        {"solve", NULL, NULL, NULL, "int solve(int x)", TC_TASK_HOOK_GOT},
        {"inner", NULL, NULL, NULL, "int inner(int x)", TC_TASK_HOOK_GOT},
        {"chosen", NULL, NULL, NULL, "int chosen(int x)", 0},
    };
    const struct elf_dir *d = *state;
    struct tc_flat_builder config_b, out, again;
    struct tc_flat config, f, g;
    char library[512], chooser[512];

    build(d);
    elf_write(d, "chooser.c",
              "static int one(int x) { return x + 1; }\n"
              "static int (*choose(void))(int) { return one; }\n"
              "int chosen(int) __attribute__((ifunc(\"choose\")));\n");
    elf_sh(d, "gcc -O1 -shared -fPIC -o chooser.so chooser.c");
    elf_path(d, "libsolver.so.3.1", library, sizeof library);
    elf_path(d, "chooser.so", chooser, sizeof chooser);
    struct tc_plans_ref refs[] = {ref_of(library), ref_of(chooser)};
    make_config(texts, sizeof texts / sizeof texts[0], 1, &config_b, &config);
    update(&config, NULL, refs, 2, &out, &f);
    update(&config, &f, refs, 1, &again, &g); /* one is copied */
    for (uint32_t i = 0; i < 4; i++) {
        const struct tc_plan *p = plan_of(&g, &refs[i == 3], i);
        static const uint32_t hooks[] = {TC_HOOK_GOT, TC_HOOK_GOT, TC_HOOK_GOT, TC_HOOK_IFUNC};
        assert_non_null(p);
        assert_int_equal(p->reason, i == 2 ? TC_R_NOT_EXPORTED : 0);
        assert_int_equal(p->hook, hooks[i]);
        assert_int_equal(p->dynamic.count, i == 1 ? 2 : i == 2 ? 0 : 1);
        assert_true(i == 2 || p->note.bytes != 0);
    }
    tc_flat_builder_free(&config_b);
    tc_flat_builder_free(&out);
    tc_flat_builder_free(&again);
}

static void damage_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(verify_changed(no_change), 0);
    assert_int_equal(verify_changed(refusal_without_window), 0);
    assert_int_equal(verify_changed(longest_window), 0);
    static void (*const bad[])(struct tc_plans *, struct tc_object *, struct tc_plan *,
                               struct tc_fixup *) = {
        short_window,      long_window,        long_refused_window, long_moved,
        window_behind_end, patch_before_entry, fixup_outside,       fixup_wraps,
        fixup_tail,        fixup_kind,         fixups_outside,      fixups_many,
        unknown_task,      string_outside,     string_long,         string_unended,
        plans_outside,     plans_unaligned,    plans_many,          build_id_long,
        objects_outside,   objects_many,       unknown_hook,        got_without_names,
        names_outside,
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (verify_changed(bad[i]) == 0)
            fail_msg("change %zu wasn't noticed", i);
    }
}

static void objects_are_found_by_their_whole_identity(void **state)
{
    enum {
        COUNT = 200
    };
    struct tc_flat_builder b;
    struct tc_object objects[COUNT] = {0};
    struct tc_flat f;

    (void)state;
    for (uint64_t i = 0; i < COUNT; i++)
        objects[i].id = (struct tc_file_id){
            .ino = 10 + i / 4, .dev = i / 2 % 2, .size = i % 2, .mtime_ns = 5, .ctime_ns = 6};
    tc_flat_builder_init(&b, TC_FLAT_PLANS, sizeof(struct tc_plans));
    struct tc_span span = tc_flat_add(&b, objects, COUNT, sizeof objects[0]);
    ((struct tc_plans *)tc_flat_builder_root(&b))->objects = span;
    assert_int_equal(tc_flat_builder_finish(&b), 0);
    assert_int_equal(tc_flat_check(b.data, b.bytes, TC_FLAT_PLANS, &f), 0);
    assert_int_equal(tc_plans_verify(&f, 0), 0);
    for (size_t i = 0; i < COUNT; i++) {
        struct tc_file_id id = objects[i].id;
        const struct tc_object *o = tc_plans_find(&f, &id);
        assert_non_null(o);
        assert_memory_equal(&o->id, &id, sizeof id);
        id.ctime_ns++;
        assert_null(tc_plans_find(&f, &id));
    }
    assert_null(tc_plans_find(&f, &(struct tc_file_id){.ino = 9}));
    assert_null(tc_plans_find(&f, &(struct tc_file_id){.ino = 1000}));
    tc_flat_builder_free(&b);
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void lapack_is_planned(void **state)
{
    static const struct task_text texts[] = {
        {"dgesdd_", "liblapack.so*", NULL, NULL, "void dgesdd_(int *)", 0},
    };
    static const char path[] = LIBS "lapack/liblapack.so.3";
    struct tc_flat_builder config_b, out;
    struct tc_flat config, f;

    (void)state;
    if (access(path, R_OK) != 0)
        skip();
    struct tc_plans_ref ref = ref_of(path);
    make_config(texts, 1, 1, &config_b, &config);
    double start = seconds();
    update(&config, NULL, &ref, 1, &out, &f);
    print_message("liblapack, one task: %.0f ms\n", (seconds() - start) * 1e3);
    check_plan(&f, &ref, 0, TC_R_NONE, "dgesdd_@liblapack.so.3");
    assert_true(plan_of(&f, &ref, 0)->exported);
    tc_flat_builder_free(&config_b);
    tc_flat_builder_free(&out);
}

static const struct tc_code_source *code_of(const struct tc_flat *f, const struct tc_plans_ref *ref)
{
    const struct tc_object *o = tc_plans_find(f, &ref->id);

    assert_non_null(o);
    return tc_plans_code(f, o, ref->function);
}

static void functions_are_added_to_plans(void **state)
{
    static const struct task_text texts[] = {
        {"solve", NULL, NULL, NULL, "int solve(int x)", 0},
    };
    const struct elf_dir *d = *state;
    struct tc_flat_builder config_b, first, second, third, fourth;
    struct tc_flat config, f;
    struct tc_plan before;
    char path[512];

    build(d);
    elf_path(d, "libsolver.so.3.1", path, sizeof path);
    make_config(texts, 1, 1, &config_b, &config);
    struct tc_plans_ref refs[] = {ref_of(path), ref_of(path), ref_of(path)};
    update(&config, NULL, refs, 1, &first, &f);
    before = *plan_of(&f, refs, 0);
    refs[0].function = before.entry_vaddr;
    refs[1].function = before.entry_vaddr + 1; /* in its midst */
    refs[2].function = 16;                     /* no code */
    assert_null(code_of(&f, &refs[0]));

    update(&config, &f, refs, 2, &second, &f);
    check_plan(&f, &refs[0], 0, TC_R_NONE, "solve@libsolver.so.3");
    assert_memory_equal(plan_of(&f, refs, 0)->source, before.source, 16);
    struct tc_code_source solve = *code_of(&f, &refs[0]), midst = *code_of(&f, &refs[1]);
    assert_int_equal(solve.state, TC_CODE_KNOWN);
    assert_int_equal(midst.state, TC_CODE_KNOWN);
    assert_memory_not_equal(solve.digest, midst.digest, 16);

    /* Where the resolver crashed, only that function is lost. */
    refs[2].refuse = TC_R_RESOLVER_FAILED;
    update(&config, &f, &refs[2], 1, &third, &f);
    check_plan(&f, &refs[0], 0, TC_R_NONE, "solve@libsolver.so.3");
    assert_memory_equal(code_of(&f, &refs[0]), &solve, sizeof solve);
    assert_int_equal(code_of(&f, &refs[2])->state, TC_CODE_UNKNOWN);

    /* Resolved anew, it is the same again. */
    refs[0].function = 0;
    update(&config, &f, refs, 1, &fourth, &f);
    refs[0].function = before.entry_vaddr;
    assert_memory_equal(code_of(&f, &refs[0]), &solve, sizeof solve);
    assert_memory_equal(code_of(&f, &refs[1]), &midst, sizeof midst);
    assert_int_equal(code_of(&f, &refs[2])->state, TC_CODE_UNKNOWN);
    tc_flat_builder_free(&config_b);
    tc_flat_builder_free(&first);
    tc_flat_builder_free(&second);
    tc_flat_builder_free(&third);
    tc_flat_builder_free(&fourth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hooks_are_chosen),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(objects_are_found_by_their_whole_identity),
        cmocka_unit_test(tasks_get_plans_where_they_belong),
        cmocka_unit_test(source_follows_the_code),
        cmocka_unit_test(wrong_files_are_refused),
        cmocka_unit_test(old_objects_are_kept),
        cmocka_unit_test(functions_are_added_to_plans),
        cmocka_unit_test(lapack_is_planned),
    };
    if (!elf_have("gcc"))
        return 77;
    return cmocka_run_group_tests(tests, elf_dir_setup, elf_dir_teardown);
}
