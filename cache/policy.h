/*
 * Cache policies: sums of members, and when caching is on at all (semantics.md, section 1). Pure
 * functions. tc_policy_parse() allocates nothing and is host code; tc_activation() is freestanding,
 * it runs in the target and in `doctor`.
 */
#ifndef TC_CACHE_POLICY_H
#define TC_CACHE_POLICY_H

#include <stddef.h>

#include "cache/diag.h"
#include "cache/reason.h"
#include "cache/task.h"

/* What the environment of a process says. */
struct tc_switches {
    uint8_t disable_caching;        /* TASKCACHE_DISABLE_CACHING */
    uint8_t default_no_cache;       /* TASKCACHE_DEFAULT_NO_CACHE */
    uint8_t default_persist_result; /* enum tc_tristate: TASKCACHE_DEFAULT_PERSIST_RESULT */
    uint8_t refresh_cache;          /* enum tc_tristate: TASKCACHE_REFRESH_CACHE */
    uint8_t verify_given;           /* TASKCACHE_VERIFY beats what tasks say */
    uint32_t verify;                /* of TC_ALL_HITS */
};

struct tc_active {
    uint32_t reason; /* 0: on, else why calls are bypassed */
    uint32_t policy; /* enum tc_policy_bit in force */
    uint8_t refresh; /* 1: don't look up */
    uint32_t verify; /* so many hits of TC_ALL_HITS run, too */
};

struct tc_active tc_activation(const struct tc_task *task, const struct tc_switches *env);

/* 1/true/yes/on and their opposites in any case: TC_TRUE, TC_FALSE, or TC_UNSET for anything else.
 * Freestanding. */
enum tc_tristate tc_boolean(const char *text);

/* "1%", "0.01%", "100%", or a word for never (0, false, no, off): the share of TC_ALL_HITS. 0 or
 * -EINVAL. Freestanding. */
int tc_share(const char *text, uint32_t *ret);

/* A parsed policy. Excluded names are slices of the text. */
#define TC_POLICY_MAX_NAMES 32u
struct tc_slice {
    const char *text;
    size_t bytes;
};
/* How a named policy is configured, as written; NULL: not given. */
enum tc_policy_setting {
    TC_SETTING_KEY_STORAGE = 0,
    TC_SETTING_ISOLATION_LEVEL,
    TC_SETTING_LOCK_MANAGER,
    TC_POLICY_SETTINGS,
};
extern const char *const tc_policy_setting_names[TC_POLICY_SETTINGS];
struct tc_policy_settings {
    const char *at[TC_POLICY_SETTINGS];
};

/* KEY(plugin.function): both as slices of the text. */
struct tc_policy_function {
    struct tc_slice plugin, name;
};

struct tc_policy {
    uint32_t members; /* enum tc_policy_bit */
    int no_cache;     /* NO_CACHE or NONE, and nothing else that gives a key */
    struct tc_slice excluded[TC_POLICY_MAX_NAMES];
    unsigned excluded_count;
    struct tc_policy_function functions[TC_MAX_KEY_FUNCTIONS];
    unsigned function_count;
    struct tc_slice not_yet; /* a known member that isn't built (TASK_SOURCE_DEEP), if any */
    struct tc_policy_settings settings;
};

/* Resolves a name under `policies:`: its text, or NULL; `ret` comes zeroed. */
typedef const char *tc_policy_named(void *ctx, struct tc_slice name,
                                    struct tc_policy_settings *ret);

/* `INPUTS + TASK_SOURCE - debug`, DEFAULT, ACROSS_RUNS, NO_CACHE, NONE, parentheses, quoted names.
 * `named` is NULL where there are no named policies. 0 or -EINVAL with `ret_error` filled in. */
int tc_policy_parse(const char *text, tc_policy_named *named, void *ctx, struct tc_policy *ret,
                    struct tc_text_error *ret_error);

#endif
