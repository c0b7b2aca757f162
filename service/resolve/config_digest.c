/* One task: what its plans depend on. */
#include "service/resolve/config_making.h"

#include <string.h>

static void digest_text(struct tc_load *l, const char *text)
{
    uint64_t bytes = text ? strlen(text) : UINT64_MAX;

    tc_hash_add(l->resolve, &bytes, sizeof bytes);
    if (text != NULL)
        tc_hash_add(l->resolve, text, bytes);
}

/* Plans hold the whole task if its prototype comes from debug information. */
static void digest_texts(struct tc_making *m)
{
    const struct tc_yaml_node *params = tc_making_given(m, TC_KEY_PARAMS);
    const struct tc_task *t = &m->task;
    const int64_t numbers[] = {
        t->flags,        t->policy,          t->persist,     t->refresh, t->expiration_ns,
        t->commit_mode,  t->storage,         t->key_storage, t->verify,  t->isolation,
        t->lock_manager, t->lock_timeout_ns, t->far_locks};

    tc_hash_add(m->l->resolve, numbers, sizeof numbers);
    digest_text(m->l, tc_making_built(m, t->space));
    for (uint32_t i = 0; i < t->functions.count; i++) {
        const struct tc_task_function *f = tc_flat_builder_at(m->l->out, t->functions.off);
        digest_text(m->l, f != NULL ? tc_making_built(m, f[i].component) : NULL);
        digest_text(m->l, f != NULL ? tc_making_built(m, f[i].plugin) : NULL);
        digest_text(m->l, f != NULL ? tc_making_built(m, f[i].name) : NULL);
        if (f != NULL)
            tc_hash_add(m->l->resolve, &f[i].data_version, 2 * sizeof f[i].data_version);
    }
    digest_text(m->l, tc_making_text(m, TC_KEY_PROTOTYPE));
    digest_text(m->l, tc_making_text(m, TC_KEY_SKIP));
    digest_text(m->l, tc_making_text(m, TC_KEY_SUCCESS));
    digest_text(m->l, m->key != NULL ? m->key->text : NULL);
    for (params = params != NULL ? params->first : NULL; params != NULL; params = params->next) {
        digest_text(m->l, params->key);
        digest_text(m->l, params->text);
    }
    for (unsigned i = 0; i < m->policy.excluded_count; i++) {
        uint64_t bytes = m->policy.excluded[i].bytes;
        tc_hash_add(m->l->resolve, &bytes, sizeof bytes);
        tc_hash_add(m->l->resolve, m->policy.excluded[i].text, bytes);
    }
}

/* What plans depend on, in the order of the tasks: plans name them by index. */
void tc_digest_task(struct tc_making *m)
{
    /* A disabled task isn't resolved. */
    const uint32_t flags =
        m->task.flags & (TC_TASK_DISABLED | TC_TASK_HOOK_ENTRY | TC_TASK_HOOK_GOT);

    /* Following calls takes time: plans have it where it is asked for. */
    const uint32_t deep = m->task.policy & TC_POLICY_SOURCE_DEEP;

    digest_text(m->l, tc_making_built(m, m->task.symbol));
    digest_text(m->l, tc_making_built(m, m->task.object));
    digest_text(m->l, tc_making_built(m, m->task.file));
    digest_text(m->l, m->task.name.off ? tc_making_built(m, m->task.name) : NULL);
    tc_hash_add(m->l->resolve, m->task.prototype_digest, sizeof m->task.prototype_digest);
    tc_hash_add(m->l->resolve, &deep, sizeof deep);
    tc_hash_add(m->l->resolve, &flags, sizeof flags);
    digest_text(m->l, tc_making_types(m));
    for (uint32_t i = 0; i < m->globals.count; i++) {
        digest_text(m->l, m->globals.node[i]->key);
        digest_text(m->l, m->globals.at[i].text);
        digest_text(m->l, m->globals.at[i].path);
    }
    for (uint32_t i = 0; i < m->task.depends.count; i++) {
        const struct tc_depend *d = tc_flat_builder_at(m->l->out, m->task.depends.off);
        digest_text(m->l, d != NULL ? tc_making_built(m, d[i].text) : NULL);
    }
    digest_text(m->l, m->task.deep_stop.off ? tc_making_built(m, m->task.deep_stop) : NULL);
    if (m->task.texts.count != 0)
        digest_texts(m);
}
