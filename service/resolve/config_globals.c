/* `globals:` of a task: { residual: 'out double', table.c:grid: 'in double [n]' }. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "service/resolve/config_parts.h"
#include "service/resolve/config_problem.h"

static int is_identifier(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_')
        return 0;
    while (isalnum((unsigned char)*s) || *s == '_')
        s++;
    return *s == 0;
}

/* The name behind the source file. */
static const char *name_of(const char *key)
{
    const char *colon = strrchr(key, ':');

    return colon != NULL ? colon + 1 : key;
}

static int check(struct tc_load *l, const struct tc_yaml_node *n)
{
    if (!is_identifier(name_of(n->key)) || n->key[0] == ':') {
        tc_problem_at(l, TC_SEV_ERROR, TC_R_BAD_VALUE, n->key_at, "residual, or solver.c:residual",
                      "'%.60s' isn't the name of a global", n->key);
        return -EINVAL;
    }
    if (n->kind != TC_YAML_TEXT || n->bytes == 0) {
        tc_problem_at(l, TC_SEV_ERROR, TC_R_WRONG_TYPE, n->key_at, "out double",
                      "'%.60s' under `globals` takes a text, not %s", n->key, tc_kind_name(n));
        return -EINVAL;
    }
    return 0;
}

static struct tc_global_text keep(struct tc_load *l, const struct tc_proto_global *g,
                                  const struct tc_yaml_node *n)
{
    struct tc_global_text t = {.name = tc_flat_add_str(l->out, g->name),
                               .file = tc_flat_add_str(l->out, ""),
                               .text = tc_flat_add_str(l->out, g->text),
                               .path = tc_flat_add_str(l->out, g->path)};

    if (g->path == NULL && g->name > n->key)
        t.file = tc_flat_add_strn(l->out, n->key, (size_t)(g->name - n->key) - 1);
    return t;
}

struct tc_span tc_config_keep_globals(struct tc_load *l, const struct tc_globals *g)
{
    struct tc_global_text kept[TC_MAX_PARAMS];

    for (uint32_t i = 0; i < g->count; i++)
        kept[i] = keep(l, &g->at[i], g->node[i]);
    return tc_flat_add(l->out, kept, g->count, sizeof kept[0]);
}

int tc_config_globals(struct tc_load *l, const struct tc_yaml_node *map, struct tc_globals *ret)
{
    ret->count = 0;
    for (const struct tc_yaml_node *n = map != NULL ? map->first : NULL; n != NULL; n = n->next) {
        if (check(l, n) < 0)
            return -EINVAL;
        if (ret->count == TC_MAX_PARAMS) {
            tc_problem_at(l, TC_SEV_ERROR, TC_R_TOO_MANY, n->key_at, "",
                          "a task has at most %u globals", TC_MAX_PARAMS);
            return -EINVAL;
        }
        ret->node[ret->count] = n;
        ret->at[ret->count++] = (struct tc_proto_global){name_of(n->key), n->text, NULL, 0};
    }
    return 0;
}
