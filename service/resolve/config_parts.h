/*
 * The steps of compiling a config, in the order in which config.c takes them. Each tells what is
 * wrong as problems and goes on.
 */
#ifndef TC_SERVICE_RESOLVE_CONFIG_PARTS_H
#define TC_SERVICE_RESOLVE_CONFIG_PARTS_H

#include "cache/policy.h"
#include "service/resolve/config_load.h"
#include "service/resolve/proto.h"

/* The top level. `ret_plugins` and `ret_tasks` get the lists, NULL if there are none. */
void tc_read_top(struct tc_load *l, const struct tc_yaml_node **ret_plugins,
                 const struct tc_yaml_node **ret_tasks);

/* Reads the listed plugins' tables into l->plugin_tasks. */
void tc_read_plugins(struct tc_load *l, const struct tc_yaml_node *list);

/* What code of plugins a policy needs: fills in task->functions. `n` is what holds the policy's
 * text, NULL for the default one. Code that was refused, which has been told, gives no key. 0, or
 * -EINVAL after telling why. */
int tc_compile_key_functions(struct tc_load *l, const struct tc_yaml_node *n,
                             const struct tc_policy *policy, struct tc_task *task);
/* The same for `cache_key_fn: KEY(plugin.function)`, the task's policy too. */
int tc_compile_key_function(struct tc_load *l, const struct tc_yaml_node *n, struct tc_task *task);

/* The codecs of one task's prototype, in the order in which they are found there. */
struct tc_codecs {
    struct tc_load *l;
    uint32_t keys; /* key functions, which come before them */
    struct tc_codec_found {
        const char *plugin, *name, *full; /* last as long as the run */
        uint32_t data_version, can;
    } at[TC_MAX_FUNCTIONS - TC_MAX_KEY_FUNCTIONS];
    uint32_t count;
};
/* As tc_proto_text's `codec`: PLUGIN.NAME, or NAME where one listed plugin alone has it. `is_input`
 * -1: that will be seen. */
int tc_find_codec(void *codecs, const char *name, int is_input, struct tc_proto_codec *ret,
                  struct tc_text_error *e);
/* Adds them to the task's functions. */
void tc_keep_codecs(const struct tc_codecs *codecs, struct tc_task *task);

/* The globals of one task as they are written, which last as long as the run. */
struct tc_globals {
    struct tc_proto_global at[TC_MAX_PARAMS];
    const struct tc_yaml_node *node[TC_MAX_PARAMS];
    uint32_t count;
};
/* `map` may be NULL. -EINVAL after telling why. */
int tc_config_globals(struct tc_load *l, const struct tc_yaml_node *map, struct tc_globals *ret);
/* struct tc_global_text: what the resolver needs of them. */
struct tc_span tc_config_keep_globals(struct tc_load *l, const struct tc_globals *g);

/* `depends:`: files are added to `files`, what else it names goes to `*ret_names`. `list` may be
 * NULL. -EINVAL after telling why. */
int tc_config_list_depends(struct tc_load *l, const struct tc_yaml_node *list,
                           struct tc_globals *files, struct tc_span *ret_names);
int tc_config_deep_stop(struct tc_load *l, const struct tc_yaml_node *list, struct tc_str *ret);

/* `options:` of a plugin or a storage: how many there are; and in the flat file. */
size_t tc_read_options(struct tc_load *l, const struct tc_yaml_node *map,
                       struct taskcache_option ret[TC_MAX_OPTIONS]);
struct tc_span tc_keep_options(struct tc_load *l, const struct taskcache_option *o, size_t count);

/* After the plugins: storages whose type is one of theirs. */
void tc_compile_far_storages(struct tc_load *l);
void tc_compile_lock_managers(struct tc_load *l);

/* The place in the list of those that policies name, from 1; 0: it can't be used. */
uint8_t tc_config_lock_manager(struct tc_load *l, const char *name);

/* The listed plugins with code, for the root table. */
struct tc_span tc_list_plugin_files(struct tc_load *l);

/* Compiles the entries under `tasks:` and the plugins' tasks into l->tasks. */
void tc_compile_tasks(struct tc_load *l, const struct tc_yaml_node *list);

/* Compiles the entries under `flows:`, behind the tasks. */
void tc_compile_flows(struct tc_load *l);

/* One flow. `commit_mode`: enum tc_commit_mode. */
void tc_compile_flow(struct tc_load *l, const struct tc_task_values *values,
                     const struct tc_yaml_node *entry, uint8_t commit_mode);

/* One task, from all of its values (config_compile.c). */
void tc_compile_task(struct tc_load *l, const struct tc_task_values *values,
                     const struct tc_yaml_node *entry, const char *plugin);

/* Behind the flows, if there are any: how threads find the flow that they were made in. */
void tc_compile_threads(struct tc_load *l);

/* The text of a policy under `policies:`, NULL if there is none of that name. Sets `*not_yet` if it
 * is configured by what isn't built. */
const char *tc_config_policy(const struct tc_load *l, struct tc_slice name,
                             struct tc_policy_settings *ret, int *not_yet);

/* The place of a storage in the list, from 1; 0: there is none of that name. */
uint32_t tc_config_storage(struct tc_load *l, const char *name);

/* A path as written: relative to the file, `~/` for the home directory. NULL after telling why it
 * can't be. */
const char *tc_config_relative(struct tc_load *l, const struct tc_yaml_node *n);

/* Remembers that the flat file depends on this path. */
void tc_config_depends(struct tc_load *l, const char *path);
void tc_config_depends_id(struct tc_load *l, const char *path, const struct tc_file_id *id);

/* A string that lives as long as the run; NULL without memory. */
char *tc_config_print(struct tc_load *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* 0 if it and its parents are trusted, else the problem is told (at `n`, NULL: as a whole). */
int tc_config_check_trust(struct tc_load *l, const char *path, const struct tc_yaml_node *n);

#endif
