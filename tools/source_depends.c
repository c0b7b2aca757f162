/* What `depends:` of a task adds to its keys. */
#include <string.h>

#include "tools/output.h"
#include "tools/source_forms.h"
#include "tools/source_tree.h"

/* The program's objects come first, in the loader's order, then what the object brings itself. */
void tc_source_child_libraries(struct tc_source_child *c, const struct tc_libraries *all,
                               const char *interpreter, const char *object)
{
    struct tc_libraries l = {0};
    for (size_t i = 0; i < all->count; i++)
        if (all->library[i].origin == TC_LIBRARY_LISTED)
            (void)tc_libraries_add(&l, all->library[i].path, TC_LIBRARY_LISTED);
    (void)tc_libraries_list(&l, interpreter, object);
    for (size_t i = 0; i < l.count; i++)
        tc_source_child_library(c, l.library[i].path);
    tc_libraries_free(&l);
}

/* As the config has it; in the plan, of a task without a written prototype, is what came of it. */
static const struct tc_task *task_of(const struct tc_session *s, const struct tc_finding *f)
{
    uint32_t count = 0;
    const struct tc_task *tasks = tc_session_tasks(s, &count);
    return tasks && f->task_index < count ? &tasks[f->task_index] : NULL;
}

/* "mesh.c:helper": without the object, which is the task's own. Free it. */
static char *name_of(const struct tc_flat *config, const struct tc_depend *d)
{
    const char *file = tc_flat_str(config, d->file);
    return tc_format("%s%s%s", file, *file ? ":" : "", tc_flat_str(config, d->name));
}

/* The plan knows all of them, so that what is no function is a variable. */
static void each(const struct tc_session *s, const struct tc_finding *f, struct tc_json *j)
{
    const struct tc_flat *config = &s->config_flat;
    const struct tc_task *task = task_of(s, f);
    const struct tc_depend *d =
        task ? tc_flat_at(config, task->depends.off, task->depends.count, sizeof *d) : NULL;
    const struct tc_global_text *g =
        task ? tc_flat_at(config, task->globals.off, task->globals.count, sizeof *g) : NULL;
    struct tc_source_child child;
    tc_source_child_open(&child, f->path);
    for (uint32_t i = 0; d && i < task->depends.count; i++) {
        TC_CLEANUP(tc_free_text) char *name = name_of(config, &d[i]);
        struct tc_tree t;
        bool is_function = tc_tree_ask_name(&child, name, &t);
        if (j) {
            tc_json_object(j, NULL);
            tc_json_text(j, "name", tc_flat_str(config, d[i].text));
            tc_json_text(j, "kind", is_function ? "function" : "variable");
            if (is_function)
                tc_tree_json(&t, j);
            tc_json_close_object(j);
        } else {
            printf("  depends on %s: %s\n", tc_flat_str(config, d[i].text),
                   is_function ? t.digest : "a variable, by what is in it at each call");
            if (is_function)
                tc_tree_print(&t, 2);
        }
        tc_tree_free(&t);
    }
    tc_source_child_close(&child);
    for (uint32_t i = 0; g && i < task->globals.count; i++) {
        if (!g[i].path.off)
            continue;
        if (j) {
            tc_json_object(j, NULL);
            tc_json_text(j, "name", tc_flat_str(config, g[i].path));
            tc_json_text(j, "kind", "file");
            tc_json_close_object(j);
        } else {
            printf("  depends on %s: a file, by what is in it at each call\n",
                   tc_flat_str(config, g[i].path));
        }
    }
}

void tc_source_depends_text(const struct tc_session *s, const struct tc_finding *f)
{
    each(s, f, NULL);
}

void tc_source_depends_json(const struct tc_session *s, const struct tc_finding *f,
                            struct tc_json *j)
{
    tc_json_array(j, "depends");
    if (f->state == TC_FINDING_HOOKABLE)
        each(s, f, j);
    tc_json_close_array(j);
}
