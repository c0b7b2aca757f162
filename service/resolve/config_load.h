/*
 * What the parts of the config loader share while one config is compiled. Internal to the loader:
 * config.c (the run of things), config_problem.c (messages), config_schema.c (keys),
 * config_top.c (everything but tasks), config_task.c (tasks), config_plugin.c (plugins).
 *
 * Host code, one thread. Memory lasts as long as the tree `yaml`; when there is none, `no_memory`
 * is set and the whole run ends with -ENOMEM.
 */
#ifndef TC_SERVICE_RESOLVE_CONFIG_LOAD_H
#define TC_SERVICE_RESOLVE_CONFIG_LOAD_H

#include "cache/hash.h"
#include "cache/policy.h"
#include "cache/task.h"
#include "service/resolve/config.h"
#include "service/resolve/config_schema.h"
#include "service/resolve/config_yaml.h"
#include "service/resolve/plugin_probe.h"

#define TC_MAX_PROBLEMS 1000u
#define TC_MAX_DEPS     200u

/* A policy under `policies:`. */
struct tc_named_policy {
    const char *name, *text;
    struct tc_policy_settings settings;
    int not_yet; /* it is configured by something that isn't built */
};

/* A task of a plugin, and whether an entry of the config has taken it over. */
struct tc_listed_task {
    struct tc_task_values values;
    const char *plugin;
    int overridden;
    struct tc_listed_task *next;
};

/* A plugin that `plugins:` lists. */
struct tc_listed_plugin {
    const char *name, *path;
    struct tc_file_id id;
    uint64_t claims;
    int has_code, is_refused;      /* its code is, and the reason was told */
    const struct tc_probed *found; /* what its code registers, NULL: nothing */
    struct tc_span options;        /* in the flat file */
};

struct tc_load {
    const struct tc_config_options *options;
    const char *subject; /* the path as the person gave it */
    char path[4096];     /* absolute, without symbolic links */
    struct tc_file_id id;
    struct tc_yaml yaml;
    char *shown; /* the file's text with secrets hidden, for messages */
    struct tc_flat_builder *out;
    int no_memory;

    struct tc_problem problems[TC_MAX_PROBLEMS];
    unsigned problem_count, errors, warnings;
    struct tc_dep deps[TC_MAX_DEPS];
    unsigned dep_count;
    struct tc_task tasks[TC_MAX_TASKS];
    unsigned task_count;
    struct tc_hash_state *resolve;

    const struct tc_yaml_node *types; /* the top-level `types:` */
    struct tc_task_values defaults;
    struct tc_named_policy *policies;
    unsigned policy_count;
    struct tc_storage storages[TC_MAX_NAMED_STORAGES];
    const char *storage_names[TC_MAX_NAMED_STORAGES + 1]; /* NULL behind the last */
    struct tc_far_values {
        const struct tc_yaml_node *type, *options, *secret, *timeout; /* type NULL: not far */
    } far[TC_MAX_NAMED_STORAGES];
    uint32_t storage_count;
    struct tc_storage lock_managers[TC_MAX_NAMED_STORAGES];
    const struct tc_yaml_node *lock_nodes[TC_MAX_NAMED_STORAGES];
    uint32_t lock_count;
    struct tc_listed_plugin plugins[TC_MAX_PLUGINS];
    unsigned plugin_count;
    struct tc_listed_task *plugin_tasks, **plugin_tail;
    const struct tc_yaml_node *flows;

    struct tc_config config; /* becomes the root */
};

#endif
