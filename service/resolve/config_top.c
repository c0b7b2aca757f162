/* Everything in a config but plugins and tasks. */
#include "service/resolve/config_parts.h"

#include <string.h>

#include "cache/nearest.h"
#include "cache/policy.h"
#include "cache/wire.h"
#include "service/resolve/config_problem.h"
#include "service/resolve/config_values.h"

enum {
    TOP_CACHE,
    TOP_DEFAULTS,
    TOP_PLUGINS,
    TOP_STORAGES,
    TOP_POLICIES,
    TOP_FLOWS,
    TOP_TASKS,
    TOP_TYPES,
    TOP_CHILDREN,
    TOP_LOG,
    TOP_COUNT
};
static const struct tc_config_key top_keys[] = {
    [TOP_CACHE] = {"cache", TC_VALUE_MAP},
    [TOP_DEFAULTS] = {"defaults", TC_VALUE_MAP},
    [TOP_PLUGINS] = {"plugins", TC_VALUE_LIST},
    [TOP_STORAGES] = {"storages", TC_VALUE_MAP},
    [TOP_POLICIES] = {"policies", TC_VALUE_MAP},
    [TOP_FLOWS] = {"flows", TC_VALUE_LIST},
    [TOP_TASKS] = {"tasks", TC_VALUE_LIST},
    [TOP_TYPES] = {"types", TC_VALUE_CODE},
    [TOP_CHILDREN] = {"children", TC_VALUE_ANY},
    [TOP_LOG] = {"log", TC_VALUE_MAP},
    [TOP_COUNT] = {NULL},
};

/* The limit that eviction keeps, of the cache or of a storage. */
static void read_max_size(struct tc_load *l, const struct tc_yaml_node *n, uint64_t *ret_bytes)
{
    if (n == NULL || n->kind != TC_YAML_TEXT)
        return;
    (void)tc_parse_size(n->text, ret_bytes);
    if (*ret_bytes == 0)
        tc_problem_in(l, TC_SEV_ERROR, TC_R_BAD_SIZE, n, 0, "",
                      "`max_size` must be more than nothing");
}

static void read_cache(struct tc_load *l, const struct tc_yaml_node *map)
{
    enum {
        PATH,
        MAX_SIZE,
        PROCESS_TABLE,
        COUNT
    };
    static const struct tc_config_key keys[] = {
        [PATH] = {"path", TC_VALUE_TEXT},
        [MAX_SIZE] = {"max_size", TC_VALUE_SIZE},
        [PROCESS_TABLE] = {"process_table", TC_VALUE_ANY, TC_IGNORED},
        [COUNT] = {NULL},
    };
    const struct tc_yaml_node *v[COUNT];

    (void)tc_read_map(l, map, "`cache`", keys, v);
    if (v[PATH] != NULL && v[PATH]->kind == TC_YAML_TEXT)
        l->config.cache_path = tc_flat_add_str(l->out, tc_config_relative(l, v[PATH]));
    read_max_size(l, v[MAX_SIZE], &l->config.max_size_bytes);
}

static void read_log(struct tc_load *l, const struct tc_yaml_node *map)
{
    enum {
        LEVEL,
        LOG_FILE,
        COUNT
    };
    static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
    static const struct tc_config_key keys[] = {
        [LEVEL] = {"level", TC_VALUE_WORD, TC_BUILT, levels},
        [LOG_FILE] = {"file", TC_VALUE_TEXT},
        [COUNT] = {NULL},
    };
    const struct tc_yaml_node *v[COUNT];

    (void)tc_read_map(l, map, "`log`", keys, v);
    for (uint32_t i = TC_LOG_ERROR; v[LEVEL] != NULL && i <= TC_LOG_DEBUG; i++)
        if (strcmp(v[LEVEL]->text, levels[i]) == 0)
            l->config.log_level = i + 1;
    if (v[LOG_FILE] != NULL && v[LOG_FILE]->kind == TC_YAML_TEXT)
        l->config.log_file = tc_flat_add_str(l->out, tc_config_relative(l, v[LOG_FILE]));
}

static void read_child_names(struct tc_load *l, const struct tc_yaml_node *list)
{
    struct tc_str names[1000];
    uint32_t count = 0;

    for (const struct tc_yaml_node *n = list->first; n != NULL; n = n->next) {
        if (n->kind != TC_YAML_TEXT || n->spoilt) {
            if (!n->spoilt)
                tc_problem_at(l, TC_SEV_ERROR, TC_R_WRONG_TYPE, n->start, "",
                              "`children` lists names of programs, not %s", tc_kind_name(n));
        } else if (count == sizeof names / sizeof names[0]) {
            tc_problem_at(l, TC_SEV_ERROR, TC_R_TOO_MANY, n->start, "",
                          "`children` lists at most %zu programs", sizeof names / sizeof names[0]);
            break;
        } else {
            names[count++] = tc_flat_add_str(l->out, n->text);
        }
    }
    l->config.children = TC_CHILDREN_NAMED;
    l->config.child_names = tc_flat_add(l->out, names, count, sizeof names[0]);
}

static void read_children(struct tc_load *l, const struct tc_yaml_node *n)
{
    if (n == NULL || n->kind == TC_YAML_NULL || n->spoilt)
        return;
    if (n->kind == TC_YAML_LIST)
        read_child_names(l, n);
    else if (n->kind == TC_YAML_TEXT && strcmp(n->text, "no") == 0)
        l->config.children = TC_CHILDREN_NO;
    else if (n->kind != TC_YAML_TEXT || strcmp(n->text, "follow") != 0)
        tc_problem_at(l, TC_SEV_ERROR, TC_R_BAD_VALUE, n->start, "",
                      "`children` is follow, no, or a list of programs' names");
}

static const char *setting(const struct tc_yaml_node *n)
{
    return n != NULL && n->kind == TC_YAML_TEXT ? n->text : NULL;
}

enum {
    STORAGE_TYPE,
    STORAGE_PATH,
    STORAGE_SECRET,
    STORAGE_OPTIONS,
    STORAGE_TIMEOUT,
    STORAGE_MAX_SIZE,
    STORAGE_COUNT = 12
};

static void read_storage(struct tc_load *l, const struct tc_yaml_node *n, struct tc_storage *ret,
                         struct tc_far_values *ret_far)
{
    static const struct tc_config_key keys[STORAGE_COUNT + 1] = {
        [STORAGE_TYPE] = {"type", TC_VALUE_TEXT},
        [STORAGE_PATH] = {"path", TC_VALUE_TEXT},
        [STORAGE_SECRET] = {"secret", TC_VALUE_TEXT},
        [STORAGE_OPTIONS] = {"options", TC_VALUE_MAP},
        [STORAGE_TIMEOUT] = {"timeout", TC_VALUE_DURATION},
        [STORAGE_MAX_SIZE] = {"max_size", TC_VALUE_SIZE},
        {"bucket", TC_VALUE_TEXT},
        {"prefix", TC_VALUE_TEXT},
        {"region", TC_VALUE_TEXT},
        {"endpoint", TC_VALUE_TEXT},
        {"url", TC_VALUE_TEXT},
        {"mode", TC_VALUE_TEXT},
        [STORAGE_COUNT] = {NULL, 0},
    };
    const struct tc_yaml_node *v[STORAGE_COUNT];
    const char *type, *path;

    if (tc_read_map(l, n, "a storage", keys, v) < 0)
        return;
    type = setting(v[STORAGE_TYPE]);
    path = setting(v[STORAGE_PATH]);
    if (type == NULL) {
        tc_problem_at(l, TC_SEV_ERROR, TC_R_BAD_VALUE, n->key_at, "type: lmdb",
                      "storage '%.60s' has no `type`", n->key);
    } else if (strcmp(type, "lmdb") != 0 && v[STORAGE_MAX_SIZE] != NULL) {
        tc_problem_at(
            l, TC_SEV_ERROR, TC_R_BAD_VALUE, v[STORAGE_MAX_SIZE]->key_at, "",
            "only a storage of type lmdb has a `max_size`; what lies in '%.60s' is limited "
            "where that is",
            n->key);
    } else if (strchr(type, '.') != NULL) {
        *ret_far = (struct tc_far_values){v[STORAGE_TYPE], v[STORAGE_OPTIONS], v[STORAGE_SECRET],
                                          v[STORAGE_TIMEOUT]};
    } else if (strcmp(type, "lmdb") != 0) {
        tc_problem_at(l, TC_SEV_WARNING, TC_R_NOT_YET_KEY, n->key_at, "type: lmdb",
                      "storages of type '%.30s' aren't built yet: '%.60s' isn't used", type,
                      n->key);
    } else if (path == NULL) {
        tc_problem_at(l, TC_SEV_ERROR, TC_R_BAD_VALUE, n->key_at, "path: /a/directory",
                      "storage '%.60s' has no `path`", n->key);
    } else if ((path = tc_config_relative(l, v[STORAGE_PATH])) != NULL) {
        ret->path = tc_flat_add_str(l->out, path);
        ret->kind = TC_STORAGE_LMDB;
        read_max_size(l, v[STORAGE_MAX_SIZE], &ret->max_size_bytes);
    }
}

static void read_storages(struct tc_load *l, const struct tc_yaml_node *map)
{
    const struct tc_yaml_node *n = map != NULL && map->kind == TC_YAML_MAP ? map->first : NULL;

    for (; n != NULL; n = n->next) {
        struct tc_storage *s = &l->storages[l->storage_count];

        if (n->spoilt)
            continue;
        if (l->storage_count == TC_MAX_NAMED_STORAGES) {
            tc_problem_at(l, TC_SEV_ERROR, TC_R_TOO_MANY, n->key_at, "",
                          "a config has at most %u storages", TC_MAX_NAMED_STORAGES);
            return;
        }
        *s = (struct tc_storage){.name = tc_flat_add_str(l->out, n->key),
                                 .kind = TC_STORAGE_NOT_YET};
        read_storage(l, n, s, &l->far[l->storage_count]);
        l->storage_names[l->storage_count++] = n->key;
    }
}

uint32_t tc_config_storage(struct tc_load *l, const char *name)
{
    for (uint32_t i = 0; i < l->storage_count; i++)
        if (strcmp(l->storage_names[i], name) == 0)
            return i + 1;
    return 0;
}

enum {
    POLICY_TEXT,
    POLICY_KEY_STORAGE,
    POLICY_ISOLATION,
    POLICY_LOCK_MANAGER,
    POLICY_COUNT
};

static void note_lock_manager(struct tc_load *l, const struct tc_yaml_node *n)
{
    if (strchr(n->text, '.') == NULL)
        tc_problem_in(l, TC_SEV_ERROR, TC_R_BAD_VALUE, n, 0, "service, memory, or plugin.name",
                      "there is no lock manager '%.60s'", n->text);
    else if (l->lock_count < TC_MAX_NAMED_STORAGES)
        l->lock_nodes[l->lock_count++] = n;
    else
        tc_problem_in(l, TC_SEV_ERROR, TC_R_BAD_VALUE, n, 0, NULL,
                      "policies name more than %u lock managers of plugins", TC_MAX_NAMED_STORAGES);
}

/* A lock that nobody can give is told before the program runs. */
static void check_lock_manager(struct tc_load *l, const struct tc_yaml_node *n)
{
    enum tc_lock_manager_id id;

    if (setting(n) != NULL && tc_lock_manager_named(n->text, &id) < 0)
        note_lock_manager(l, n);
}

/* Told with the policy, whoever uses it. */
static void check_key_storage(struct tc_load *l, const struct tc_yaml_node *n)
{
    const char *near;

    if (setting(n) == NULL || tc_config_storage(l, n->text) != 0)
        return;
    near = tc_nearest(n->text, n->bytes, l->storage_names);
    tc_problem_in(l, TC_SEV_ERROR, TC_R_BAD_VALUE, n, 0, near ? near : "list it under `storages:`",
                  "no storage '%.60s' is listed under `storages:`", n->text);
}

static void read_policy(struct tc_load *l, const struct tc_yaml_node *map,
                        struct tc_named_policy *ret)
{
    static const char *const levels[] = {"READ_COMMITTED", "SERIALIZABLE", NULL};
    static const struct tc_config_key keys[] = {
        [POLICY_TEXT] = {"policy", TC_VALUE_TEXT},
        [POLICY_KEY_STORAGE] = {"key_storage", TC_VALUE_TEXT},
        [POLICY_ISOLATION] = {"isolation_level", TC_VALUE_WORD, TC_BUILT, levels},
        [POLICY_LOCK_MANAGER] = {"lock_manager", TC_VALUE_TEXT},
        [POLICY_COUNT] = {NULL},
    };
    const struct tc_yaml_node *v[POLICY_COUNT];

    /* Whatever is wrong with the rest: its name is known, so that it isn't told as unknown too. */
    ret->name = map->key;
    ret->text = "NO_CACHE";
    if (map->kind == TC_YAML_TEXT) {
        ret->text = map->text;
        return;
    }
    if (tc_read_map(l, map, "a policy", keys, v) < 0)
        return;
    check_lock_manager(l, v[POLICY_LOCK_MANAGER]);
    check_key_storage(l, v[POLICY_KEY_STORAGE]);
    for (int i = 0; i < POLICY_COUNT; i++)
        if (keys[i].built == TC_UNCACHED && tc_key_active(&keys[i], v[i]))
            ret->not_yet = 1;
    ret->settings.at[TC_SETTING_KEY_STORAGE] = setting(v[POLICY_KEY_STORAGE]);
    ret->settings.at[TC_SETTING_ISOLATION_LEVEL] = setting(v[POLICY_ISOLATION]);
    ret->settings.at[TC_SETTING_LOCK_MANAGER] = setting(v[POLICY_LOCK_MANAGER]);
    if (v[POLICY_TEXT] != NULL && v[POLICY_TEXT]->kind == TC_YAML_TEXT)
        ret->text = v[POLICY_TEXT]->text;
    else
        tc_problem_at(l, TC_SEV_ERROR, TC_R_BAD_POLICY, map->key_at, "policy: INPUTS",
                      "policy '%.60s' has no `policy`", map->key);
}

const char *tc_config_policy(const struct tc_load *l, struct tc_slice name,
                             struct tc_policy_settings *ret, int *not_yet)
{
    for (unsigned i = 0; i < l->policy_count; i++) {
        const struct tc_named_policy *p = &l->policies[i];

        if (strlen(p->name) == name.bytes && memcmp(p->name, name.text, name.bytes) == 0) {
            *not_yet |= p->not_yet;
            *ret = p->settings;
            return p->text;
        }
    }
    return NULL;
}

static const char *find_named(void *ctx, struct tc_slice name, struct tc_policy_settings *ret)
{
    int not_yet = 0;

    return tc_config_policy(ctx, name, ret, &not_yet);
}

/* All names are known now, so that one policy may use another, whatever their order. */
static void check_policy(struct tc_load *l, const struct tc_yaml_node *map)
{
    const struct tc_yaml_node *n = map->kind == TC_YAML_MAP ? map->first : NULL;
    struct tc_policy policy;
    struct tc_text_error e;

    if (tc_policy_parse(map->key, NULL, NULL, &policy, &e) == 0)
        tc_problem_at(l, TC_SEV_ERROR, TC_R_BAD_POLICY, map->key_at, "another name",
                      "'%.60s' means something by itself", map->key);
    while (n != NULL && strcmp(n->key, "policy") != 0)
        n = n->next;
    if (map->kind == TC_YAML_TEXT)
        n = map;
    if (n != NULL && n->kind == TC_YAML_TEXT && !n->spoilt &&
        tc_policy_parse(n->text, find_named, l, &policy, &e) < 0)
        tc_problem_found(l, TC_SEV_ERROR, n, &e);
}

static void read_policies(struct tc_load *l, const struct tc_yaml_node *map)
{
    if (map == NULL || map->kind != TC_YAML_MAP || map->count == 0)
        return;
    l->policies = tc_yaml_alloc(&l->yaml, map->count * sizeof *l->policies);
    if (l->policies == NULL) {
        l->no_memory = 1;
        return;
    }
    for (const struct tc_yaml_node *n = map->first; n != NULL; n = n->next)
        if (!n->spoilt)
            read_policy(l, n, &l->policies[l->policy_count++]);
    for (const struct tc_yaml_node *n = map->first; n != NULL; n = n->next)
        if (!n->spoilt)
            check_policy(l, n);
}

static void read_defaults(struct tc_load *l, const struct tc_yaml_node *map)
{
    static const int own[] = {TC_KEY_SYMBOL, TC_KEY_NAME};

    (void)tc_read_map(l, map, "`defaults`", tc_task_keys, l->defaults.at);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        const struct tc_yaml_node *n = l->defaults.at[own[i]];

        if (n != NULL)
            tc_problem_at(l, TC_SEV_ERROR, TC_R_UNKNOWN_KEY, n->key_at, "",
                          "`%s` names one task: it can't be a default", n->key);
        l->defaults.at[own[i]] = NULL;
    }
}

void tc_read_top(struct tc_load *l, const struct tc_yaml_node **ret_plugins,
                 const struct tc_yaml_node **ret_tasks)
{
    const struct tc_yaml_node *v[TOP_COUNT];

    (void)tc_read_map(l, l->yaml.root, "a config", top_keys, v);
    read_cache(l, v[TOP_CACHE]);
    read_log(l, v[TOP_LOG]);
    read_children(l, v[TOP_CHILDREN]);
    read_storages(l, v[TOP_STORAGES]);
    read_policies(l, v[TOP_POLICIES]);
    l->flows = v[TOP_FLOWS];
    read_defaults(l, v[TOP_DEFAULTS]);
    if (v[TOP_TYPES] != NULL && v[TOP_TYPES]->kind == TC_YAML_TEXT)
        l->types = v[TOP_TYPES];
    *ret_plugins = v[TOP_PLUGINS];
    *ret_tasks = v[TOP_TASKS];
}
