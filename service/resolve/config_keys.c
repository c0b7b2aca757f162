/* One task: what gives the key, where results are kept, and who waits for whom. */
#include "service/resolve/config_making.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/nearest.h"
#include "service/resolve/config_problem.h"
#include "service/resolve/config_values.h"

static const char *find_named(void *ctx, struct tc_slice name, struct tc_policy_settings *ret)
{
    struct tc_making *m = ctx;

    return tc_config_policy(m->l, name, ret, &m->used_not_yet);
}

/* The place in the text of the task's policy; what stands in a named policy is told where that
 * policy is used. */
static size_t place_in_policy(const struct tc_yaml_node *n, struct tc_slice s)
{
    uintptr_t from = (uintptr_t)n->text, at = (uintptr_t)s.text;

    return at >= from && at <= from + n->bytes ? (size_t)(at - from) : 0;
}

/* What gives the key instead of a policy: NO_CACHE > result_storage_key > cache_key_fn > policy. */
int tc_make_key(struct tc_making *m)
{
    const struct tc_yaml_node *n = tc_making_given(m, TC_KEY_RESULT_STORAGE_KEY);
    int is_function = 0;

    if (n == NULL) {
        n = tc_making_given(m, TC_KEY_CACHE_KEY_FN);
        is_function = n != NULL && strncmp(n->text, "KEY(", 4) == 0;
    }
    if (n == NULL || (m->task.flags & TC_TASK_NO_CACHE))
        return 0;
    m->task.flags |= TC_TASK_POLICY_GIVEN;
    m->task.functions = (struct tc_span){0, 0};
    if (is_function)
        return tc_compile_key_function(m->l, n, &m->task);
    m->task.policy = TC_POLICY_KEY;
    m->key = n;
    return 0;
}

int tc_make_policy(struct tc_making *m)
{
    const struct tc_yaml_node *n = tc_making_given(m, TC_KEY_CACHE_POLICY);
    struct tc_text_error e;

    if (n == NULL && m->plugin == NULL)
        return 0;
    if (tc_policy_parse(n ? n->text : "ACROSS_RUNS", find_named, m, &m->policy, &e) < 0) {
        tc_problem_found(m->l, TC_SEV_ERROR, n, &e);
        return -EINVAL;
    }
    m->task.flags |= TC_TASK_POLICY_GIVEN | (m->policy.no_cache ? TC_TASK_NO_CACHE : 0);
    m->task.policy = m->policy.members;
    if (m->policy.not_yet.text != NULL)
        tc_problem_in(m->l, TC_SEV_WARNING, TC_R_NOT_YET_KEY, n,
                      place_in_policy(n, m->policy.not_yet), NULL,
                      "%.*s isn't built yet: a policy with it gives no key",
                      (int)(m->policy.not_yet.bytes < 80 ? m->policy.not_yet.bytes : 80),
                      m->policy.not_yet.text);
    return tc_compile_key_functions(m->l, n, &m->policy, &m->task);
}

/* `at`: in the text of `n` that names it. */
static uint32_t find_storage(struct tc_making *m, const char *name, const struct tc_yaml_node *n,
                             size_t at)
{
    uint32_t storage = tc_config_storage(m->l, name);
    const char *near;

    if (storage == 0) {
        near = tc_nearest(name, strlen(name), m->l->storage_names);
        tc_problem_in(m->l, TC_SEV_ERROR, TC_R_BAD_VALUE, n, at,
                      near ? near : "list it under `storages:`",
                      "no storage '%.60s' is listed under `storages:`", name);
        return 0;
    }
    if (m->l->storages[storage - 1].kind == TC_STORAGE_NOT_YET)
        m->used_not_yet = 1;
    m->l->storages[storage - 1].used = 1;
    return storage;
}

static int is_far(const struct tc_making *m, uint32_t storage)
{
    return storage != 0 && m->l->storages[storage - 1].kind == TC_STORAGE_FAR;
}

/* Headers and results of which one lies in a far storage aren't built. */
void tc_make_storages(struct tc_making *m)
{
    const struct tc_yaml_node *n = tc_making_given(m, TC_KEY_RESULT_STORAGE);
    const char *headers = m->policy.settings.at[TC_SETTING_KEY_STORAGE];

    if (n != NULL)
        m->task.storage = find_storage(m, n->text, n, 0);
    /* Part of the policy, so without effect where something else gives the key. */
    if (headers != NULL && m->key == NULL && tc_config_storage(m->l, headers) != 0)
        m->task.key_storage = find_storage(m, headers, tc_making_given(m, TC_KEY_CACHE_POLICY), 0);
    if (is_far(m, m->task.key_storage) || (m->task.key_storage != 0 && is_far(m, m->task.storage)))
        m->used_not_yet = 1;
    /* Who says where a flow's results are kept wants them kept. */
    if (m->is_flow && n != NULL && m->task.persist == TC_UNSET)
        m->task.persist = TC_TRUE;
}

/* Part of the policy, so without effect where something else gives the key. */
void tc_make_isolation(struct tc_making *m)
{
    const char *const *setting = m->policy.settings.at;
    const char *timeout = tc_making_text(m, TC_KEY_LOCK_TIMEOUT);
    enum tc_lock_manager_id manager = TC_LOCKS_OF_SERVICE;

    if (m->key == NULL && setting[TC_SETTING_ISOLATION_LEVEL] != NULL &&
        strcmp(setting[TC_SETTING_ISOLATION_LEVEL], "SERIALIZABLE") == 0)
        m->task.isolation = TC_SERIALIZABLE;
    if (setting[TC_SETTING_LOCK_MANAGER] != NULL &&
        tc_lock_manager_named(setting[TC_SETTING_LOCK_MANAGER], &manager) < 0)
        m->task.far_locks = tc_config_lock_manager(m->l, setting[TC_SETTING_LOCK_MANAGER]);
    if (m->task.far_locks != 0)
        manager = TC_LOCKS_OF_PLUGIN;
    m->task.lock_manager = (uint8_t)manager;
    m->task.lock_timeout_ns = TC_LOCK_TIMEOUT_NS;
    if (timeout != NULL)
        (void)tc_parse_duration(timeout, &m->task.lock_timeout_ns);
    if (m->task.lock_timeout_ns < 0)
        m->task.lock_timeout_ns = 0;
}

void tc_warn_ignored(struct tc_making *m)
{
    const struct tc_yaml_node *policy = tc_making_given(m, TC_KEY_CACHE_POLICY);
    const struct tc_yaml_node *storage = tc_making_given(m, TC_KEY_RESULT_STORAGE_KEY);
    const struct tc_yaml_node *key = storage ? storage : tc_making_given(m, TC_KEY_CACHE_KEY_FN);
    const struct tc_yaml_node *n = policy ? policy : key;

    if (policy != NULL && key != NULL && (m->task.flags & TC_TASK_NO_CACHE))
        tc_problem_in(m->l, TC_SEV_WARNING, TC_R_POLICY_IGNORED, key, 0, NULL,
                      "`cache_policy: NO_CACHE` says never: `%s` has no effect", key->key);
    else if (policy != NULL && key != NULL)
        tc_problem_in(m->l, TC_SEV_WARNING, TC_R_POLICY_IGNORED, policy, 0, NULL,
                      "`%s` gives the key: `cache_policy` has no effect", key->key);
    if (storage != NULL && tc_making_given(m, TC_KEY_CACHE_KEY_FN) != NULL)
        tc_problem_in(m->l, TC_SEV_WARNING, TC_R_POLICY_IGNORED,
                      tc_making_given(m, TC_KEY_CACHE_KEY_FN), 0, NULL,
                      "`result_storage_key` gives the key: `cache_key_fn` has no effect");
    if (n != NULL && m->task.persist == TC_FALSE && !(m->task.flags & TC_TASK_NO_CACHE))
        tc_problem_in(m->l, TC_SEV_WARNING, TC_R_POLICY_IGNORED, n, 0, NULL,
                      "`persist_result: false` switches caching off for '%.80s': its policy has no "
                      "effect",
                      tc_making_called(m));
}

/* The parameter that was meant, or all there are. */
static void propose(struct tc_slice name, const char *const *known, char *ret, size_t bytes)
{
    const char *near = tc_nearest(name.text, name.bytes, known);
    size_t at = 0;

    ret[0] = 0;
    if (near != NULL) {
        (void)snprintf(ret, bytes, "%s", near);
        return;
    }
    for (size_t i = 0; known[i] != NULL && at < bytes; i++) {
        const char *before = i > 0 ? ", " : known[1] != NULL ? "one of " : "";

        at += (size_t)snprintf(ret + at, bytes - at, "%s%s", before, known[i]);
    }
}

static void exclude(struct tc_making *m, const struct tc_param *params, struct tc_slice name)
{
    const struct tc_yaml_node *n = tc_making_given(m, TC_KEY_CACHE_POLICY);
    const char *known[TC_MAX_PARAMS + 1] = {NULL};
    char remedy[120];
    int from_defaults = n == m->l->defaults.at[TC_KEY_CACHE_POLICY];

    for (uint32_t i = 0; i < m->task.params.count && i < TC_MAX_PARAMS; i++) {
        known[i] = tc_making_built(m, params[i].name);
        if (strlen(known[i]) == name.bytes && memcmp(known[i], name.text, name.bytes) == 0) {
            m->task.excluded |= 1u << i;
            return;
        }
    }
    propose(name, known, remedy, sizeof remedy);
    /* A default may name what only some tasks have. */
    tc_problem_in(m->l, from_defaults ? TC_SEV_NOTE : TC_SEV_WARNING, TC_R_UNKNOWN_PARAMETER, n,
                  place_in_policy(n, name), remedy, "'%.80s' has no parameter '%.*s'",
                  tc_making_called(m), (int)(name.bytes < 60 ? name.bytes : 60), name.text);
}

void tc_make_excluded(struct tc_making *m)
{
    const struct tc_param *params;

    if (m->task.prototype.off == 0 || m->policy.excluded_count == 0)
        return;
    for (unsigned i = 0; i < m->policy.excluded_count; i++) {
        /* Telling a problem may move the table. */
        params = tc_flat_builder_at(m->l->out, m->task.params.off);
        if (params == NULL && m->task.params.count > 0)
            return;
        exclude(m, params, m->policy.excluded[i]);
    }
}
