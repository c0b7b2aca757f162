/*
 * The keys of a config: what each takes and whether it is built, in tables. One function reads any
 * map by its table: unknown keys, wrong types, values out of range, C text without quotes and keys
 * that aren't built yet are told there, in one way for all.
 */
#ifndef TC_SERVICE_RESOLVE_CONFIG_SCHEMA_H
#define TC_SERVICE_RESOLVE_CONFIG_SCHEMA_H

#include "service/resolve/config_yaml.h"

enum tc_value_kind {
    TC_VALUE_TEXT = 1,
    TC_VALUE_CODE, /* C: needs quotes where YAML has a meaning of its own for it */
    TC_VALUE_BOOL,
    TC_VALUE_DURATION,
    TC_VALUE_SIZE,
    TC_VALUE_WORD,  /* one of `words` */
    TC_VALUE_SHARE, /* a percentage */
    TC_VALUE_MAP,
    TC_VALUE_LIST,
    TC_VALUE_ANY,
};

enum tc_built {
    TC_BUILT = 0,
    TC_IGNORED,  /* accepted, without effect for now */
    TC_UNCACHED, /* could change a key or a result: its task stays uncached for now */
};

struct tc_config_key {
    const char *name;
    uint8_t kind;  /* enum tc_value_kind */
    uint8_t built; /* enum tc_built */
    const char *const *words;
    const char *const *inert; /* values that mean what happens anyway: no warning for them */
};

/* X(enum name, key, kind, built, words, inert) */
#define TC_TASK_KEYS(X)                                                           \
    X(SYMBOL, "symbol", TEXT, TC_BUILT, NULL, NULL)                               \
    X(NAME, "name", TEXT, TC_BUILT, NULL, NULL)                                   \
    X(NAMESPACE, "namespace", TEXT, TC_BUILT, NULL, NULL)                         \
    X(ENABLED, "enabled", BOOL, TC_BUILT, NULL, NULL)                             \
    X(PROTOTYPE, "prototype", CODE, TC_BUILT, NULL, NULL)                         \
    X(PARAMS, "params", MAP, TC_BUILT, NULL, NULL)                                \
    X(TYPES, "types", CODE, TC_BUILT, NULL, NULL)                                 \
    X(CACHE_POLICY, "cache_policy", TEXT, TC_BUILT, NULL, NULL)                   \
    X(CACHE_KEY_FN, "cache_key_fn", TEXT, TC_BUILT, NULL, NULL)                   \
    X(CACHE_EXPIRATION, "cache_expiration", DURATION, TC_BUILT, NULL, NULL)       \
    X(REFRESH_CACHE, "refresh_cache", BOOL, TC_BUILT, NULL, NULL)                 \
    X(PERSIST_RESULT, "persist_result", BOOL, TC_BUILT, NULL, NULL)               \
    X(RESULT_STORAGE, "result_storage", TEXT, TC_BUILT, NULL, NULL)               \
    X(RESULT_STORAGE_KEY, "result_storage_key", TEXT, TC_BUILT, NULL, NULL)       \
    X(RESULT_SERIALIZER, "result_serializer", WORD, TC_IGNORED, serializers, raw) \
    X(SUCCESS, "success", CODE, TC_BUILT, NULL, NULL)                             \
    X(SKIP, "skip", CODE, TC_BUILT, NULL, NULL)                                   \
    X(DEPENDS, "depends", LIST, TC_BUILT, NULL, NULL)                             \
    X(GLOBALS, "globals", MAP, TC_BUILT, NULL, NULL)                              \
    X(DEEP_STOP, "deep_stop", LIST, TC_BUILT, NULL, NULL)                         \
    X(PRIVATE, "private", BOOL, TC_BUILT, NULL, NULL)                             \
    X(ADAPTIVE, "adaptive", ANY, TC_IGNORED, NULL, off)                           \
    X(VERIFY, "verify", SHARE, TC_BUILT, NULL, NULL)                              \
    X(HOOK, "hook", WORD, TC_BUILT, hooks, NULL)                                  \
    X(STORE, "store", WORD, TC_BUILT, stores, NULL)                               \
    X(LOCK_TIMEOUT, "lock_timeout", DURATION, TC_BUILT, NULL, NULL)

enum tc_task_key {
#define TC_KEY(id, name, kind, built, words, inert) TC_KEY_##id,
    TC_TASK_KEYS(TC_KEY)
#undef TC_KEY
    TC_TASK_KEY_COUNT,
};

/* The values of one map, by the place of their keys in its table. NULL: not written. */
struct tc_task_values {
    const struct tc_yaml_node *at[TC_TASK_KEY_COUNT];
    int unknown_members; /* a plugin's table says more than this version knows */
};

extern const struct tc_config_key tc_task_keys[TC_TASK_KEY_COUNT + 1];

struct tc_load;

/* Reads `map` (which may be of any kind, or NULL) by a table that ends with a NULL name. `what`
 * names it in messages: "a task". Values that are wrong are told and left out, NULLs stay in. 0 or
 * -EINVAL if anything was wrong. */
int tc_read_map(struct tc_load *l, const struct tc_yaml_node *map, const char *what,
                const struct tc_config_key *keys, const struct tc_yaml_node **ret_values);

/* The check of one value; -EINVAL after telling what is wrong. */
int tc_check_value(struct tc_load *l, const struct tc_config_key *key,
                   const struct tc_yaml_node *v);

/* Is the value written, and not one of those that change nothing? */
int tc_key_active(const struct tc_config_key *key, const struct tc_yaml_node *value);

/* "a list", "a text", ... */
const char *tc_kind_name(const struct tc_yaml_node *n);

#endif
