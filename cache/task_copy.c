#include "cache/task_copy.h"

#include <stdlib.h>

static struct tc_str copy_str(const struct tc_flat *from, struct tc_str s,
                              struct tc_flat_builder *out)
{
    return s.off != 0 ? tc_flat_add_strn(out, tc_flat_str(from, s), s.bytes) : s;
}

static struct tc_span copy_span(const struct tc_flat *from, struct tc_span s, size_t entry_bytes,
                                struct tc_flat_builder *out)
{
    return tc_flat_add(out, tc_flat_at(from, s.off, s.count, entry_bytes), s.count, entry_bytes);
}

static struct tc_span copy_params(const struct tc_flat *from, struct tc_span s,
                                  struct tc_flat_builder *out)
{
    const struct tc_param *p = tc_flat_at(from, s.off, s.count, sizeof *p);
    struct tc_param params[TC_MAX_PARAMS];

    for (uint32_t i = 0; i < s.count; i++) {
        params[i] = p[i];
        params[i].name = copy_str(from, p[i].name, out);
        params[i].type_text = copy_str(from, p[i].type_text, out);
        params[i].path = copy_str(from, p[i].path, out);
    }
    return tc_flat_add(out, params, s.count, sizeof params[0]);
}

static struct tc_span copy_functions(const struct tc_flat *from, struct tc_span s,
                                     struct tc_flat_builder *out)
{
    const struct tc_task_function *f = tc_flat_at(from, s.off, s.count, sizeof *f);
    struct tc_task_function functions[TC_MAX_FUNCTIONS];

    for (uint32_t i = 0; i < s.count; i++) {
        functions[i] = f[i];
        functions[i].plugin = copy_str(from, f[i].plugin, out);
        functions[i].name = copy_str(from, f[i].name, out);
        functions[i].component = copy_str(from, f[i].component, out);
    }
    return tc_flat_add(out, functions, s.count, sizeof functions[0]);
}

void tc_task_copy_head(const struct tc_flat *from, const struct tc_task *task,
                       struct tc_flat_builder *out, struct tc_task *ret)
{
    *ret = *task;
    ret->symbol = copy_str(from, task->symbol, out);
    ret->object = copy_str(from, task->object, out);
    ret->file = copy_str(from, task->file, out);
    ret->name = copy_str(from, task->name, out);
    ret->space = copy_str(from, task->space, out);
    ret->origin = (struct tc_str){0, 0};
    ret->line = 0;
    ret->texts = (struct tc_span){0, 0};
    ret->key_parts = (struct tc_span){0, 0};
    ret->globals = ret->depends = (struct tc_span){0, 0};
    ret->deep_stop = copy_str(from, task->deep_stop, out);
    ret->functions = copy_functions(from, task->functions, out);
}

static struct tc_span copy_layouts(const struct tc_flat *from, struct tc_span s,
                                   struct tc_flat_builder *out)
{
    const struct tc_layout *l = tc_flat_at(from, s.off, s.count, sizeof *l);
    struct tc_layout layouts[TC_MAX_LAYOUTS];

    for (uint32_t i = 0; i < s.count; i++) {
        layouts[i] = l[i];
        layouts[i].name = copy_str(from, l[i].name, out);
    }
    return tc_flat_add(out, layouts, s.count, sizeof layouts[0]);
}

/* Their names are copied first, as a table is added in one piece. */
static struct tc_span copy_members(const struct tc_flat *from, struct tc_span s,
                                   struct tc_flat_builder *out)
{
    const struct tc_member *m = tc_flat_at(from, s.off, s.count, sizeof *m);
    struct tc_member *members = calloc(s.count + 1, sizeof *members);
    struct tc_span r;

    if (members == NULL) {
        out->broken = 1;
        return (struct tc_span){0, 0};
    }
    for (uint32_t i = 0; i < s.count; i++) {
        members[i] = m[i];
        members[i].name = copy_str(from, m[i].name, out);
    }
    r = tc_flat_add(out, members, s.count, sizeof *members);
    free(members);
    return r;
}

static struct tc_span copy_key_parts(const struct tc_flat *from, struct tc_span s,
                                     struct tc_flat_builder *out)
{
    const struct tc_key_part *p = tc_flat_at(from, s.off, s.count, sizeof *p);
    struct tc_key_part parts[TC_MAX_KEY_PARTS];

    for (uint32_t i = 0; i < s.count; i++) {
        parts[i] = p[i];
        parts[i].text = copy_str(from, p[i].text, out);
    }
    return tc_flat_add(out, parts, s.count, sizeof parts[0]);
}

void tc_task_copy(const struct tc_flat *from, const struct tc_task *task,
                  struct tc_flat_builder *out, struct tc_task *ret)
{
    tc_task_copy_head(from, task, out, ret);
    ret->prototype = copy_str(from, task->prototype, out);
    ret->params = copy_params(from, task->params, out);
    ret->sorted = copy_span(from, task->sorted, 1, out);
    ret->code = copy_span(from, task->code, sizeof(struct tc_insn), out);
    ret->olds = copy_span(from, task->olds, sizeof(uint32_t), out);
    ret->key_parts = copy_key_parts(from, task->key_parts, out);
    ret->layouts = copy_layouts(from, task->layouts, out);
    ret->members = copy_members(from, task->members, out);
    ret->owned.name = copy_str(from, task->owned.name, out);
    ret->owned.type_text = copy_str(from, task->owned.type_text, out);
}
