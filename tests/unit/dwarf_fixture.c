#include "tests/unit/dwarf_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "service/resolve/plans.h"
#include "service/resolve/proto.h"

static void add_texts(struct tc_flat_builder *b, const struct dwarf_task *t, struct tc_task *task)
{
    struct tc_task_texts texts = {.skip = tc_flat_add_str(b, t->skip),
                                  .success = tc_flat_add_str(b, t->success),
                                  .types = tc_flat_add_str(b, t->types)};
    struct tc_param_text params[8];
    struct tc_str excluded = tc_flat_add_str(b, t->excluded);
    uint32_t count = 0;

    for (; t->params[2 * count] != NULL; count++)
        params[count] =
            (struct tc_param_text){.name = tc_flat_add_str(b, t->params[2 * count]),
                                   .text = tc_flat_add_str(b, t->params[2 * count + 1])};
    texts.params = tc_flat_add(b, params, count, sizeof params[0]);
    texts.excluded = tc_flat_add(b, &excluded, t->excluded != NULL, sizeof excluded);
    task->texts = tc_flat_add(b, &texts, 1, sizeof texts);
}

static void make_config(const struct dwarf_task *t, struct tc_flat_builder *b, struct tc_flat *ret)
{
    struct tc_task task = {.skip = TC_NO_EXPR, .success = TC_NO_EXPR};
    struct tc_proto_text text = {.prototype = t->prototype, .skip = t->skip, .success = t->success};
    struct tc_text_error e;
    enum tc_proto_field field;

    tc_flat_builder_init(b, TC_FLAT_CONFIG, sizeof(struct tc_config));
    task.symbol = tc_flat_add_str(b, t->symbol);
    task.object = tc_flat_add_str(b, t->object != NULL ? t->object : "");
    task.file = tc_flat_add_str(b, "");
    if (t->prototype == NULL)
        add_texts(b, t, &task);
    else
        assert_int_equal(tc_proto_compile(b, &text, &task, &e, &field), 0);
    struct tc_span span = tc_flat_add(b, &task, 1, sizeof task);
    struct tc_config *root = tc_flat_builder_root(b);
    root->tasks = span;
    assert_int_equal(tc_flat_builder_finish(b), 0);
    assert_int_equal(tc_flat_check(b->data, b->bytes, TC_FLAT_CONFIG, ret), 0);
    assert_int_equal(tc_config_verify(ret), 0);
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

static void keep(char *to, size_t bytes, const struct tc_flat *f, struct tc_str s)
{
    (void)snprintf(to, bytes, "%s", tc_flat_str(f, s));
}

/* A plan's own task is verified as the config's are. */
static void forge(const struct tc_flat *plans, struct tc_plan *p)
{
    struct tc_task *own, kept;

    if (p->own.count == 0)
        return;
    assert_int_equal(p->own.count, 1);
    p->own.count = 2;
    assert_int_not_equal(tc_plans_verify(plans, 1), 0);
    p->own.count = 1;
    own = (struct tc_task *)(uintptr_t)(plans->base + p->own.off);
    kept = *own;
    own->params.count = TC_MAX_PARAMS + 1;
    assert_int_not_equal(tc_plans_verify(plans, 1), 0);
    *own = kept;
    own->prototype.off = (uint32_t)plans->bytes;
    assert_int_not_equal(tc_plans_verify(plans, 1), 0);
    *own = kept;
    own->flags = ~0u;
    assert_int_not_equal(tc_plans_verify(plans, 1), 0);
    *own = kept;
    assert_int_equal(tc_plans_verify(plans, 1), 0);
}

static void read_plan(const struct tc_flat *config, const struct tc_flat *plans,
                      const struct tc_plans_ref *ref, struct dwarf_outcome *ret)
{
    const struct tc_object *o = tc_plans_find(plans, &ref->id);
    const struct tc_config *root = tc_flat_root(config, sizeof *root);
    const struct tc_flat *in;

    memset(ret, 0, sizeof *ret);
    assert_non_null(o);
    const struct tc_plan *p = tc_flat_at(plans, o->plans.off, o->plans.count, sizeof *p);
    ret->reason = TC_R_PENDING;
    if (o->plans.count == 0)
        return;
    ret->reason = p->reason;
    keep(ret->detail, sizeof ret->detail, plans, p->detail);
    keep(ret->remedy, sizeof ret->remedy, plans, p->remedy);
    keep(ret->note, sizeof ret->note, plans, p->note);
    keep(ret->declaration, sizeof ret->declaration, plans, p->declaration);
    ret->inlined = p->inlined_copies;
    forge(plans, (struct tc_plan *)(uintptr_t)p);
    const struct tc_task *t =
        tc_plan_task(p, plans, tc_flat_at(config, root->tasks.off, 1, sizeof *t), config, &in);
    keep(ret->prototype, sizeof ret->prototype, in, t->prototype);
    ret->excluded = t->excluded;
    const struct tc_param *params = tc_flat_at(in, t->params.off, t->params.count, sizeof *params);
    for (uint32_t i = 0; i < t->params.count; i++)
        ret->dirs[i] = params[i].dir;
}

void dwarf_plan(const struct elf_dir *d, const char *file, const struct dwarf_task *t,
                struct dwarf_outcome *ret)
{
    struct tc_flat_builder config, plans, again;
    struct tc_flat config_flat, flat;
    struct dwarf_outcome copied;
    char path[512];

    elf_path(d, file, path, sizeof path);
    struct tc_plans_ref ref = ref_of(path);
    make_config(t, &config, &config_flat);
    assert_int_equal(tc_plans_update(&config_flat, NULL, &ref, 1, &plans), 0);
    assert_int_equal(tc_flat_check(plans.data, plans.bytes, TC_FLAT_PLANS, &flat), 0);
    assert_int_equal(tc_plans_verify(&flat, 1), 0);
    read_plan(&config_flat, &flat, &ref, ret);
    assert_int_equal(tc_plans_update(&config_flat, &flat, NULL, 0, &again), 0);
    assert_int_equal(tc_flat_check(again.data, again.bytes, TC_FLAT_PLANS, &flat), 0);
    assert_int_equal(tc_plans_verify(&flat, 1), 0);
    read_plan(&config_flat, &flat, &ref, &copied);
    assert_memory_equal(&copied, ret, sizeof copied);
    tc_flat_builder_free(&config);
    tc_flat_builder_free(&plans);
    tc_flat_builder_free(&again);
}

void dwarf_expect(const struct elf_dir *d, const char *file, const struct dwarf_task *t,
                  enum tc_reason reason, const char *where, struct dwarf_outcome *ret)
{
    dwarf_plan(d, file, t, ret);
    if (ret->reason != (uint32_t)reason)
        fail_msg("%s: %s is %s (%s), not %s", where, t->symbol, tc_reason_info(ret->reason)->id,
                 ret->detail, tc_reason_info(reason)->id);
}
