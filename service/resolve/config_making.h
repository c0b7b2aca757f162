/*
 * One task while it is compiled: config_compile.c leads, config_keys.c, config_prototype.c and
 * config_digest.c do a part each. What is wrong is told as problems; a negative return means that
 * the task is left out, and that this has been told.
 */
#ifndef TC_SERVICE_RESOLVE_CONFIG_MAKING_H
#define TC_SERVICE_RESOLVE_CONFIG_MAKING_H

#include "service/resolve/config_parts.h"
#include "service/resolve/proto.h"

/* A task while it is compiled. */
struct tc_making {
    struct tc_load *l;
    const struct tc_task_values *values;
    const struct tc_yaml_node *entry; /* NULL: a plugin's task that the config doesn't mention */
    const char *plugin;               /* NULL: not a plugin's */
    struct tc_task task;
    struct tc_policy policy;
    int used_not_yet; /* a named policy that isn't built */
    int is_flow;
    struct tc_globals globals;
    const struct tc_yaml_node *key; /* the template that gives the key, or NULL */
};

/* config_compile.c: a key's node or text, NULL if it isn't written; a text that was put into the
 * flat file; what to call the task in messages; the top level's types and its own as one text. */
const struct tc_yaml_node *tc_making_given(const struct tc_making *m, enum tc_task_key key);
const char *tc_making_text(const struct tc_making *m, enum tc_task_key key);
const char *tc_making_built(const struct tc_making *m, struct tc_str s);
const char *tc_making_called(const struct tc_making *m);
const char *tc_making_types(struct tc_making *m);

/* config_keys.c, in this order. */
int tc_make_policy(struct tc_making *m);
int tc_make_key(struct tc_making *m);
void tc_make_storages(struct tc_making *m);
void tc_make_isolation(struct tc_making *m);
/* ... and after the prototype. */
void tc_make_excluded(struct tc_making *m);
void tc_warn_ignored(struct tc_making *m);

/* config_prototype.c */
int tc_make_prototype(struct tc_making *m);

/* config_digest.c: what plans depend on, in the order of the tasks, as plans name them by index. */
void tc_digest_task(struct tc_making *m);

#endif
