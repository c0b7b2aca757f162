/* `plugins:`: finding them, and their tables as tasks. */
#include "service/resolve/config_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/resolve/config_problem.h"
#include "service/resolve/plugin_read.h"

/* A copy of one of the plugin's texts, as if it stood in a config. */
static const struct tc_yaml_node *foreign(struct tc_load *l, const char *text, const char *label)
{
    struct tc_yaml_node *n;

    if (text == NULL)
        return NULL;
    n = tc_yaml_alloc(&l->yaml, sizeof *n);
    if (n == NULL) {
        l->no_memory = 1;
        return NULL;
    }
    n->kind = TC_YAML_TEXT;
    n->style = TC_YAML_LITERAL;
    n->bytes = strlen(text);
    n->text = tc_config_print(l, "%s", text);
    n->foreign = label;
    return n->text != NULL ? n : NULL;
}

static int read_values(struct tc_load *l, const struct tc_plugin_task *task, const char *label,
                       struct tc_task_values *ret)
{
    const struct taskcache_task *t = &task->text;
    int r = 0;

    memset(ret, 0, sizeof *ret);
    ret->unknown_members = task->unknown_members;
    ret->at[TC_KEY_SYMBOL] = foreign(l, t->symbol, label);
    ret->at[TC_KEY_PROTOTYPE] = foreign(l, t->prototype, label);
    ret->at[TC_KEY_CACHE_POLICY] = foreign(l, t->cache_policy, label);
    ret->at[TC_KEY_SKIP] = foreign(l, t->skip, label);
    ret->at[TC_KEY_SUCCESS] = foreign(l, t->success, label);
    ret->at[TC_KEY_CACHE_EXPIRATION] = foreign(l, t->cache_expiration, label);
    ret->at[TC_KEY_TYPES] = foreign(l, t->types, label);
    ret->at[TC_KEY_NAME] = foreign(l, t->name, label);
    ret->at[TC_KEY_NAMESPACE] = foreign(l, t->space, label);
    ret->at[TC_KEY_REFRESH_CACHE] = foreign(l, t->refresh_cache, label);
    ret->at[TC_KEY_PERSIST_RESULT] = foreign(l, t->persist_result, label);
    for (int i = 0; i < TC_TASK_KEY_COUNT; i++)
        if (ret->at[i] != NULL && tc_check_value(l, &tc_task_keys[i], ret->at[i]) < 0)
            r = -EINVAL;
    return r;
}

static void list_task(struct tc_load *l, const struct tc_plugin *plugin,
                      const struct tc_plugin_task *task)
{
    struct tc_listed_task *listed = tc_yaml_alloc(&l->yaml, sizeof *listed);
    const char *label = tc_config_print(l, "plugin %s: %s", plugin->name, task->text.symbol);

    if (listed == NULL || label == NULL) {
        l->no_memory = 1;
        return;
    }
    if (task->unknown_members)
        tc_problem_file(l, TC_SEV_WARNING, TC_R_NOT_YET_KEY, label, NULL,
                        "the task uses members that this version doesn't know: it stays uncached");
    listed->plugin = tc_config_print(l, "plugin %s", plugin->name);
    if (read_values(l, task, label, &listed->values) < 0)
        return;
    *l->plugin_tail = listed;
    l->plugin_tail = &listed->next;
}

/* Whatever is listed must be told apart: one file twice would give every task twice. */
static int listed_before(const struct tc_load *l, const struct tc_file_id *id)
{
    for (unsigned i = 0; i < l->dep_count; i++)
        if (l->deps[i].id.dev == id->dev && l->deps[i].id.ino == id->ino)
            return 1;
    return 0;
}

static int option_kind(const struct tc_yaml_node *n, struct taskcache_option *o)
{
    enum tc_tristate b = tc_boolean(n->text);
    char *end;

    if (n->style != TC_YAML_PLAIN || n->text[0] == 0)
        return TASKCACHE_OPTION_TEXT;
    errno = 0;
    o->integer = strtoll(n->text, &end, 10);
    if (*end == 0 && errno == 0) {
        o->real = (double)o->integer;
        return TASKCACHE_OPTION_INTEGER;
    }
    o->integer = 0;
    errno = 0;
    o->real = strtod(n->text, &end);
    if (*end == 0 && errno == 0)
        return TASKCACHE_OPTION_REAL;
    o->real = 0;
    o->integer = b == TC_TRUE;
    return b != TC_UNSET ? TASKCACHE_OPTION_BOOLEAN : TASKCACHE_OPTION_TEXT;
}

/* `options: { threads: 4, mode: fast }`: the values by the types that YAML's readers expect. */
size_t tc_read_options(struct tc_load *l, const struct tc_yaml_node *map,
                       struct taskcache_option ret[TC_MAX_OPTIONS])
{
    size_t count = 0;

    for (const struct tc_yaml_node *n = map ? map->first : NULL; n != NULL; n = n->next) {
        if (n->spoilt || n->kind == TC_YAML_NULL)
            continue;
        if (n->kind != TC_YAML_TEXT) {
            tc_problem_at(l, TC_SEV_ERROR, TC_R_WRONG_TYPE, n->key_at, "",
                          "an option is a text or a number, not %s", tc_kind_name(n));
        } else if (count == TC_MAX_OPTIONS) {
            tc_problem_at(l, TC_SEV_ERROR, TC_R_TOO_MANY, n->key_at, "",
                          "there are at most %u options", TC_MAX_OPTIONS);
            break;
        } else {
            struct taskcache_option *o = &ret[count++];
            *o = (struct taskcache_option){.name = n->key, .text = n->text};
            o->kind = (uint32_t)option_kind(n, o);
        }
    }
    return count;
}

struct tc_span tc_keep_options(struct tc_load *l, const struct taskcache_option *o, size_t count)
{
    struct tc_plugin_option kept[TC_MAX_OPTIONS];

    for (size_t i = 0; i < count; i++) {
        kept[i] = (struct tc_plugin_option){.name = tc_flat_add_str(l->out, o[i].name),
                                            .text = tc_flat_add_str(l->out, o[i].text),
                                            .kind = o[i].kind,
                                            .integer = o[i].integer};
        memcpy(&kept[i].real_bits, &o[i].real, sizeof kept[i].real_bits);
    }
    return tc_flat_add(l->out, kept, count, sizeof kept[0]);
}

/* Runs `init`, in a process of its own, to know what it registers. */
static void probe(struct tc_load *l, struct tc_listed_plugin *p, const struct tc_plugin *plugin,
                  const struct tc_yaml_node *n, const struct tc_yaml_node *options)
{
    struct taskcache_option option[TC_MAX_OPTIONS];
    size_t count = tc_read_options(l, options, option);
    struct tc_probed *found = tc_yaml_alloc(&l->yaml, sizeof *found);

    p->is_refused = 1;
    p->options = tc_keep_options(l, option, count);
    if (found == NULL) {
        l->no_memory = 1;
    } else if (plugin->has_static_tls) {
        tc_problem_in(l, TC_SEV_WARNING, TC_R_PLUGIN_STATIC_TLS, n, 0, NULL,
                      "the code of plugin '%.60s' isn't used: it needs static thread-local storage",
                      p->name);
    } else if (tc_plugin_probe(p->path, option, count, found) < 0) {
        tc_problem_in(l, TC_SEV_WARNING, TC_R_PLUGIN_INIT, n, 0, "",
                      "the code of plugin '%.60s' isn't used: %.400s", p->name, found->why);
    } else {
        p->is_refused = 0;
        p->found = found;
    }
}

static int is_named_before(const struct tc_load *l, const char *name)
{
    for (unsigned i = 0; i < l->plugin_count; i++)
        if (strcmp(l->plugins[i].name, name) == 0)
            return 1;
    return 0;
}

static void use_plugin(struct tc_load *l, const char *path, const struct tc_plugin *plugin,
                       const struct tc_yaml_node *n, const struct tc_yaml_node *options)
{
    struct tc_listed_plugin *p = &l->plugins[l->plugin_count];

    if (listed_before(l, &plugin->id)) {
        tc_problem_in(l, TC_SEV_ERROR, TC_R_DUPLICATE_KEY, n, 0, "",
                      "plugin '%.60s' is listed twice", plugin->name);
        return;
    }
    tc_config_depends_id(l, path, &plugin->id);
    if (is_named_before(l, plugin->name)) {
        tc_problem_in(l, TC_SEV_ERROR, TC_R_DUPLICATE_KEY, n, 0, "",
                      "two plugins have the name '%.60s'", plugin->name);
        return;
    }
    if (l->plugin_count == TC_MAX_PLUGINS) {
        tc_problem_in(l, TC_SEV_ERROR, TC_R_TOO_MANY, n, 0, "", "a config lists at most %u plugins",
                      TC_MAX_PLUGINS);
        return;
    }
    *p = (struct tc_listed_plugin){.name = tc_config_print(l, "%s", plugin->name),
                                   .path = tc_config_print(l, "%s", path),
                                   .id = plugin->id,
                                   .claims = plugin->claims,
                                   .has_code = plugin->has_code};
    if (p->name == NULL || p->path == NULL)
        return;
    l->plugin_count++;
    if (plugin->has_code)
        probe(l, p, plugin, n, options);
    for (size_t i = 0; i < plugin->task_count; i++)
        list_task(l, plugin, &plugin->tasks[i]);
}

static void read_plugin(struct tc_load *l, const char *path, const struct tc_yaml_node *n,
                        const struct tc_yaml_node *options)
{
    struct tc_plugin plugin;
    struct tc_text_error e = {.reason = TC_R_BAD_PLUGIN};

    if (tc_config_check_trust(l, path, n) < 0)
        return;
    if (tc_plugin_read(path, &plugin, &e) < 0) {
        tc_config_depends(l, path);
        tc_problem_in(l, TC_SEV_ERROR, e.reason, n, 0, e.remedy, "%s", e.sentence);
        return;
    }
    use_plugin(l, path, &plugin, n, options);
    tc_plugin_free(&plugin);
}

struct tc_span tc_list_plugin_files(struct tc_load *l)
{
    struct tc_plugin_file files[TC_MAX_PLUGINS];
    unsigned count = 0;

    for (unsigned i = 0; i < l->plugin_count; i++) {
        const struct tc_listed_plugin *p = &l->plugins[i];
        if (p->found != NULL)
            files[count++] = (struct tc_plugin_file){.name = tc_flat_add_str(l->out, p->name),
                                                     .path = tc_flat_add_str(l->out, p->path),
                                                     .id = p->id,
                                                     .claims = p->claims,
                                                     .observers = p->found->observers,
                                                     .options = p->options};
    }
    return tc_flat_add(l->out, files, count, sizeof files[0]);
}

static int is_path(const char *text)
{
    size_t bytes = strlen(text);

    return strchr(text, '/') != NULL || (bytes > 3 && strcmp(text + bytes - 3, ".so") == 0);
}

/* DIR/NAME/NAME.so or DIR/NAME.so. */
static const char *find_by_name(struct tc_load *l, const char *name)
{
    for (size_t i = 0; i < l->options->plugin_dir_count; i++) {
        const char *dir = l->options->plugin_dirs[i];
        const char *path = tc_config_print(l, "%s/%s/%s.so", dir, name, name);

        if (path != NULL && access(path, F_OK) == 0)
            return path;
        path = tc_config_print(l, "%s/%s.so", dir, name);
        if (path != NULL && access(path, F_OK) == 0)
            return path;
    }
    return NULL;
}

static void use_named(struct tc_load *l, const struct tc_yaml_node *n,
                      const struct tc_yaml_node *options)
{
    const char *path = find_by_name(l, n->text);

    if (path != NULL) {
        read_plugin(l, path, n, options);
        return;
    }
    /* When it is installed, the config must be compiled anew. */
    for (size_t i = 0; i < l->options->plugin_dir_count; i++)
        tc_config_depends(l, l->options->plugin_dirs[i]);
    tc_problem_in(l, TC_SEV_ERROR, TC_R_NO_SUCH_PLUGIN, n, 0, NULL, "there is no plugin '%.60s'",
                  n->text);
}

static void use_path(struct tc_load *l, const struct tc_yaml_node *n,
                     const struct tc_yaml_node *options)
{
    const char *path = tc_config_relative(l, n);

    if (path == NULL)
        return;
    if (access(path, F_OK) == 0) {
        read_plugin(l, path, n, options);
        return;
    }
    tc_config_depends(l, path);
    tc_problem_in(l, TC_SEV_ERROR, TC_R_NO_SUCH_PLUGIN, n, 0, "", "'%.160s': %s", path,
                  strerror(errno));
}

static void use_map(struct tc_load *l, const struct tc_yaml_node *map)
{
    enum {
        NAME,
        PATH,
        OPTIONS,
        COUNT
    };
    static const struct tc_config_key keys[] = {
        [NAME] = {"name", TC_VALUE_TEXT},
        [PATH] = {"path", TC_VALUE_TEXT},
        [OPTIONS] = {"options", TC_VALUE_MAP},
        [COUNT] = {NULL},
    };
    const struct tc_yaml_node *v[COUNT];
    int named, pathed;

    if (tc_read_map(l, map, "a plugin", keys, v) < 0)
        return;
    named = v[NAME] != NULL && v[NAME]->kind == TC_YAML_TEXT;
    pathed = v[PATH] != NULL && v[PATH]->kind == TC_YAML_TEXT;
    if (named == pathed)
        tc_problem_at(l, TC_SEV_ERROR, TC_R_BAD_VALUE, map->start, "",
                      "a plugin has a `name` or a `path`");
    else if (named)
        use_named(l, v[NAME], v[OPTIONS]);
    else
        use_path(l, v[PATH], v[OPTIONS]);
}

void tc_read_plugins(struct tc_load *l, const struct tc_yaml_node *list)
{
    for (const struct tc_yaml_node *n = list ? list->first : NULL; n != NULL; n = n->next) {
        if (n->spoilt)
            continue;
        if (n->kind == TC_YAML_TEXT && is_path(n->text))
            use_path(l, n, NULL);
        else if (n->kind == TC_YAML_TEXT)
            use_named(l, n, NULL);
        else
            use_map(l, n);
    }
}
