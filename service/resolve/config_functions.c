/* Functions of plugins that tasks name: KEY(plugin.function). */
#include "service/resolve/config_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/nearest.h"
#include "service/resolve/config_problem.h"

static const struct tc_listed_plugin *find_plugin(const struct tc_load *l, struct tc_slice name)
{
    for (unsigned i = 0; i < l->plugin_count; i++)
        if (strlen(l->plugins[i].name) == name.bytes &&
            memcmp(l->plugins[i].name, name.text, name.bytes) == 0)
            return &l->plugins[i];
    return NULL;
}

static const struct tc_registered *find_function(const struct tc_probed *found,
                                                 struct tc_slice name, uint32_t kind)
{
    for (uint32_t i = 0; found != NULL && i < found->count; i++) {
        const struct tc_registered *f = &found->function[i];
        if (f->kind == kind && strlen(f->name) == name.bytes &&
            memcmp(f->name, name.text, name.bytes) == 0)
            return f;
    }
    return NULL;
}

/* In the text that holds the policy; what stands in a named policy is told where that is used. */
static size_t place(const struct tc_yaml_node *n, struct tc_slice s)
{
    uintptr_t from = (uintptr_t)n->text, at = (uintptr_t)s.text;

    return at >= from && at <= from + n->bytes ? (size_t)(at - from) : 0;
}

static int no_plugin(struct tc_load *l, const struct tc_yaml_node *n, struct tc_slice name)
{
    const char *known[TC_MAX_PLUGINS + 1] = {NULL}, *near;

    for (unsigned i = 0; i < l->plugin_count; i++)
        known[i] = l->plugins[i].name;
    near = tc_nearest(name.text, name.bytes, known);
    tc_problem_in(l, TC_SEV_ERROR, TC_R_NO_SUCH_PLUGIN, n, place(n, name),
                  near ? near : "list it under `plugins:`", "no plugin '%.*s' is listed",
                  (int)(name.bytes < 63 ? name.bytes : 63), name.text);
    return -EINVAL;
}

static int no_function(struct tc_load *l, const struct tc_yaml_node *n,
                       const struct tc_listed_plugin *p, struct tc_slice name)
{
    const char *known[2 * TC_PLUGIN_FUNCTIONS + 1] = {NULL}, *near;
    uint32_t count = 0;

    for (uint32_t i = 0; p->found != NULL && i < p->found->count; i++)
        if (p->found->function[i].kind == TC_FUNCTION_KEY)
            known[count++] = p->found->function[i].name;
    near = tc_nearest(name.text, name.bytes, known);
    tc_problem_in(l, TC_SEV_ERROR, TC_R_NO_SUCH_FUNCTION, n, place(n, name), near ? near : "",
                  "plugin '%.60s' registers no key function '%.*s'", p->name,
                  (int)(name.bytes < 63 ? name.bytes : 63), name.text);
    return -EINVAL;
}

struct chosen {
    const char *plugin, *name, *component;
};

static int by_component(const void *a, const void *b)
{
    return strcmp(((const struct chosen *)a)->component, ((const struct chosen *)b)->component);
}

static int choose(struct tc_load *l, const struct tc_yaml_node *n,
                  const struct tc_policy_function *wanted, struct chosen *ret)
{
    const struct tc_listed_plugin *p = find_plugin(l, wanted->plugin);
    const struct tc_registered *f;

    if (p == NULL)
        return no_plugin(l, n, wanted->plugin);
    if (p->is_refused)
        return 1;
    f = find_function(p->found, wanted->name, TC_FUNCTION_KEY);
    if (f == NULL)
        return no_function(l, n, p, wanted->name);
    *ret = (struct chosen){p->name, f->name, tc_config_print(l, "=key.%s.%s", p->name, f->name)};
    return ret->component != NULL ? 0 : -EINVAL;
}

int tc_compile_key_functions(struct tc_load *l, const struct tc_yaml_node *n,
                             const struct tc_policy *policy, struct tc_task *task)
{
    struct tc_task_function functions[TC_MAX_KEY_FUNCTIONS];
    struct chosen chosen[TC_MAX_KEY_FUNCTIONS];
    unsigned count = policy->function_count;

    for (unsigned i = 0; i < count; i++) {
        int r = choose(l, n, &policy->functions[i], &chosen[i]);
        if (r != 0)
            return r;
    }
    qsort(chosen, count, sizeof chosen[0], by_component);
    for (unsigned i = 0; i < count; i++)
        functions[i] =
            (struct tc_task_function){.plugin = tc_flat_add_str(l->out, chosen[i].plugin),
                                      .name = tc_flat_add_str(l->out, chosen[i].name),
                                      .component = tc_flat_add_str(l->out, chosen[i].component),
                                      .kind = TC_FUNCTION_KEY};
    task->functions = tc_flat_add(l->out, functions, count, sizeof functions[0]);
    return 0;
}
