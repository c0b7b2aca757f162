/* One task: from its values to struct tc_task. */
#include "service/resolve/config_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/nearest.h"
#include "service/resolve/config_problem.h"
#include "service/resolve/config_values.h"
#include "service/resolve/proto.h"

/* A task while it is compiled. */
struct making {
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

static const struct tc_yaml_node *given(const struct making *m, enum tc_task_key key)
{
    const struct tc_yaml_node *n = m->values->at[key];

    return n != NULL && n->kind != TC_YAML_NULL ? n : NULL;
}

static const char *text_of(const struct making *m, enum tc_task_key key)
{
    const struct tc_yaml_node *n = given(m, key);

    return n != NULL ? n->text : NULL;
}

static const char *built(const struct making *m, struct tc_str s)
{
    const char *text = s.off ? tc_flat_builder_at(m->l->out, s.off) : NULL;

    return text ? text : "";
}

/* What to call the task in messages. */
static const char *called(const struct making *m)
{
    const char *name = text_of(m, TC_KEY_NAME), *symbol = text_of(m, TC_KEY_SYMBOL);

    return name ? name : symbol ? symbol : "?";
}

/* Tells something about the task as a whole. */
static void tell(const struct making *m, enum tc_severity severity, enum tc_reason reason,
                 const char *sentence)
{
    if (m->entry != NULL)
        tc_problem_at(m->l, severity, reason, m->entry->start, NULL, "%s", sentence);
    else
        tc_problem_file(m->l, severity, reason, m->plugin, NULL, "%s", sentence);
}

static int make_symbol(struct making *m)
{
    const struct tc_yaml_node *n = given(m, TC_KEY_SYMBOL);
    struct tc_symbol_parts parts;
    struct tc_text_error e;

    if (n == NULL) {
        tell(m, TC_SEV_ERROR, TC_R_MISSING_SYMBOL,
             m->is_flow ? "a flow needs a `symbol:`" : "a task needs a `symbol:`");
        return -EINVAL;
    }
    if (tc_parse_symbol(n->text, &parts, &e) < 0) {
        tc_problem_found(m->l, TC_SEV_ERROR, n, &e);
        return -EINVAL;
    }
    m->task.symbol = tc_flat_add_strn(m->l->out, parts.name.text, parts.name.bytes);
    m->task.object = tc_flat_add_strn(m->l->out, parts.object.text, parts.object.bytes);
    m->task.file = tc_flat_add_strn(m->l->out, parts.file.text, parts.file.bytes);
    return 0;
}

static int make_word(struct making *m, enum tc_task_key key, struct tc_str *ret)
{
    const struct tc_yaml_node *n = given(m, key);

    if (n == NULL)
        return 0;
    if (n->bytes == 0 || n->bytes > 255) {
        tc_problem_in(m->l, TC_SEV_ERROR, TC_R_BAD_VALUE, n, 0, "", "`%s` takes 1 to 255 bytes",
                      tc_task_keys[key].name);
        return -EINVAL;
    }
    *ret = tc_flat_add_strn(m->l->out, n->text, n->bytes);
    return 0;
}

static int same_text(const struct making *m, struct tc_str a, struct tc_str b)
{
    return strcmp(built(m, a), built(m, b)) == 0;
}

/* Two entries are one task when they have one name, or ask for one symbol in the same words. */
static int check_duplicate(struct making *m)
{
    for (unsigned i = 0; i < m->l->task_count; i++) {
        const struct tc_task *other = &m->l->tasks[i];
        int by_name =
            m->task.name.off && other->name.off && same_text(m, m->task.name, other->name);
        const struct tc_yaml_node *n = given(m, by_name ? TC_KEY_NAME : TC_KEY_SYMBOL);

        if (!by_name && !(same_text(m, m->task.symbol, other->symbol) &&
                          same_text(m, m->task.object, other->object) &&
                          same_text(m, m->task.file, other->file)))
            continue;
        tc_problem_in(m->l, TC_SEV_ERROR, TC_R_DUPLICATE_TASK, n, 0, NULL,
                      "'%.80s' is the same task as the one of %s", n->text,
                      built(m, other->origin));
        return -EINVAL;
    }
    return 0;
}

static const char *find_named(void *ctx, struct tc_slice name, struct tc_policy_settings *ret)
{
    struct making *m = ctx;

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
static int make_key(struct making *m)
{
    const struct tc_yaml_node *n = given(m, TC_KEY_RESULT_STORAGE_KEY);
    int is_function = 0;

    if (n == NULL) {
        n = given(m, TC_KEY_CACHE_KEY_FN);
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

static int make_policy(struct making *m)
{
    const struct tc_yaml_node *n = given(m, TC_KEY_CACHE_POLICY);
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

static enum tc_tristate tristate(const struct making *m, enum tc_task_key key)
{
    return tc_boolean(text_of(m, key));
}

/* `at`: in the text of `n` that names it. */
static uint32_t find_storage(struct making *m, const char *name, const struct tc_yaml_node *n,
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

static int is_far(const struct making *m, uint32_t storage)
{
    return storage != 0 && m->l->storages[storage - 1].kind == TC_STORAGE_FAR;
}

/* Headers and results of which one lies in a far storage aren't built. */
static void make_storages(struct making *m)
{
    const struct tc_yaml_node *n = given(m, TC_KEY_RESULT_STORAGE);
    const char *headers = m->policy.settings.at[TC_SETTING_KEY_STORAGE];

    if (n != NULL)
        m->task.storage = find_storage(m, n->text, n, 0);
    /* Part of the policy, so without effect where something else gives the key. */
    if (headers != NULL && m->key == NULL && tc_config_storage(m->l, headers) != 0)
        m->task.key_storage = find_storage(m, headers, given(m, TC_KEY_CACHE_POLICY), 0);
    if (is_far(m, m->task.key_storage) || (m->task.key_storage != 0 && is_far(m, m->task.storage)))
        m->used_not_yet = 1;
    /* Who says where a flow's results are kept wants them kept. */
    if (m->is_flow && n != NULL && m->task.persist == TC_UNSET)
        m->task.persist = TC_TRUE;
}

static void make_switches(struct making *m)
{
    static const enum tc_task_key persisting[] = {TC_KEY_CACHE_KEY_FN, TC_KEY_RESULT_STORAGE,
                                                  TC_KEY_RESULT_STORAGE_KEY,
                                                  TC_KEY_RESULT_SERIALIZER};
    const char *expiration = text_of(m, TC_KEY_CACHE_EXPIRATION);
    const char *verify = text_of(m, TC_KEY_VERIFY);
    const char *store = text_of(m, TC_KEY_STORE), *hook = text_of(m, TC_KEY_HOOK);

    m->task.persist = (uint8_t)tristate(m, TC_KEY_PERSIST_RESULT);
    m->task.refresh = (uint8_t)tristate(m, TC_KEY_REFRESH_CACHE);
    if (tristate(m, TC_KEY_ENABLED) == TC_FALSE)
        m->task.flags |= TC_TASK_DISABLED;
    if (store != NULL && strcmp(store, "async") == 0)
        m->task.flags |= TC_TASK_STORE_ASYNC;
    if (hook != NULL && strcmp(hook, "auto") != 0)
        m->task.flags |= strcmp(hook, "got") == 0 ? TC_TASK_HOOK_GOT : TC_TASK_HOOK_ENTRY;
    if (expiration != NULL && tc_parse_duration(expiration, &m->task.expiration_ns) == 0)
        m->task.flags |= TC_TASK_EXPIRES;
    if (tristate(m, TC_KEY_PRIVATE) == TC_TRUE)
        m->task.flags |= TC_TASK_PRIVATE;
    if (verify != NULL)
        (void)tc_share(verify, &m->task.verify);
    for (size_t i = 0; i < sizeof persisting / sizeof persisting[0]; i++)
        if (given(m, persisting[i]) != NULL)
            m->task.flags |= TC_TASK_PERSIST_ON;
}

/* Part of the policy, so without effect where something else gives the key. */
static void make_isolation(struct making *m)
{
    const char *const *setting = m->policy.settings.at;
    const char *timeout = text_of(m, TC_KEY_LOCK_TIMEOUT);
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

/* What isn't built yet and could change a key or a result keeps the task uncached. */
static void make_not_yet(struct making *m)
{
    int not_yet = m->used_not_yet || m->values->unknown_members;

    for (int i = 0; i < TC_TASK_KEY_COUNT; i++)
        if (tc_task_keys[i].built == TC_UNCACHED &&
            tc_key_active(&tc_task_keys[i], m->values->at[i]))
            not_yet = 1;
    if (not_yet)
        m->task.flags |= TC_TASK_NOT_YET;
}

static void warn_ignored(struct making *m)
{
    const struct tc_yaml_node *policy = given(m, TC_KEY_CACHE_POLICY);
    const struct tc_yaml_node *storage = given(m, TC_KEY_RESULT_STORAGE_KEY);
    const struct tc_yaml_node *key = storage ? storage : given(m, TC_KEY_CACHE_KEY_FN);
    const struct tc_yaml_node *n = policy ? policy : key;

    if (policy != NULL && key != NULL && (m->task.flags & TC_TASK_NO_CACHE))
        tc_problem_in(m->l, TC_SEV_WARNING, TC_R_POLICY_IGNORED, key, 0, NULL,
                      "`cache_policy: NO_CACHE` says never: `%s` has no effect", key->key);
    else if (policy != NULL && key != NULL)
        tc_problem_in(m->l, TC_SEV_WARNING, TC_R_POLICY_IGNORED, policy, 0, NULL,
                      "`%s` gives the key: `cache_policy` has no effect", key->key);
    if (storage != NULL && given(m, TC_KEY_CACHE_KEY_FN) != NULL)
        tc_problem_in(m->l, TC_SEV_WARNING, TC_R_POLICY_IGNORED, given(m, TC_KEY_CACHE_KEY_FN), 0,
                      NULL, "`result_storage_key` gives the key: `cache_key_fn` has no effect");
    if (n != NULL && m->task.persist == TC_FALSE && !(m->task.flags & TC_TASK_NO_CACHE))
        tc_problem_in(m->l, TC_SEV_WARNING, TC_R_POLICY_IGNORED, n, 0, NULL,
                      "`persist_result: false` switches caching off for '%.80s': its policy has no "
                      "effect",
                      called(m));
}

/* The top level's types and the task's own, as one text. */
static const char *joined_types(struct making *m)
{
    const struct tc_yaml_node *top = m->l->types, *own = given(m, TC_KEY_TYPES);

    if (top != NULL && own != NULL)
        return tc_config_print(m->l, "%s\n%s", top->text, own->text);
    return top ? top->text : own ? own->text : NULL;
}

/* Constructs of the language that aren't executed yet, and functions that can't be hooked: the
 * program runs without the task. What is wrong in the text stops it. */
static enum tc_severity severity_of(enum tc_reason reason)
{
    return reason == TC_R_NOT_YET || reason == TC_R_VARIADIC || reason == TC_R_VECTOR_TYPE ||
                   reason == TC_R_PLUGIN_INIT
               ? TC_SEV_WARNING
               : TC_SEV_ERROR;
}

static void tell_prototype(struct making *m, struct tc_text_error *e, enum tc_proto_field field)
{
    static const enum tc_task_key keys[TC_PROTO_FIELDS] = {
        [TC_PROTO_PROTOTYPE] = TC_KEY_PROTOTYPE,
        [TC_PROTO_TYPES] = TC_KEY_TYPES,
        [TC_PROTO_SKIP] = TC_KEY_SKIP,
        [TC_PROTO_SUCCESS] = TC_KEY_SUCCESS,
    };
    const struct tc_yaml_node *n = field == TC_PROTO_KEY ? m->key : given(m, keys[field]);
    const struct tc_yaml_node *top = m->l->types;

    if (field == TC_PROTO_TYPES && top != NULL) {
        if (n == NULL || e->at <= top->bytes)
            n = top;
        else
            e->at -= top->bytes + 1;
    }
    if (field >= TC_PROTO_GLOBAL)
        n = m->globals.node[field - TC_PROTO_GLOBAL];
    if (n != NULL)
        tc_problem_found(m->l, severity_of(e->reason), n, e);
}

static struct tc_str keep_text(struct making *m, enum tc_task_key key)
{
    return tc_flat_add_str(m->l->out, text_of(m, key));
}

/* `x: in [n]`: names and texts as they are written; the resolver makes sense of them. */
static int keep_params(struct making *m, struct tc_span *ret)
{
    const struct tc_yaml_node *n = given(m, TC_KEY_PARAMS);
    struct tc_param_text params[TC_MAX_PARAMS + 1];
    uint32_t count = 0;

    for (n = n != NULL ? n->first : NULL; n != NULL; n = n->next) {
        if (n->kind != TC_YAML_TEXT || n->bytes == 0) {
            tc_problem_at(m->l, TC_SEV_ERROR, TC_R_WRONG_TYPE, n->key_at, "in [n]",
                          "'%.60s' under `params` takes a text, not %s", n->key, tc_kind_name(n));
            return -EINVAL;
        }
        if (count == sizeof params / sizeof params[0]) {
            tc_problem_at(m->l, TC_SEV_ERROR, TC_R_TOO_MANY, n->key_at, "",
                          "a function has at most %u parameters", TC_MAX_PARAMS);
            return -EINVAL;
        }
        params[count++] =
            (struct tc_param_text){.name = tc_flat_add_str(m->l->out, n->key),
                                   .text = tc_flat_add_strn(m->l->out, n->text, n->bytes)};
    }
    *ret = tc_flat_add(m->l->out, params, count, sizeof params[0]);
    return 0;
}

/* The prototype, or types in it, will come from debug information, which only the resolver sees: it
 * gets all that compiling it takes. */
static int keep_texts(struct making *m)
{
    struct tc_task_texts t = {.prototype = keep_text(m, TC_KEY_PROTOTYPE),
                              .skip = keep_text(m, TC_KEY_SKIP),
                              .success = keep_text(m, TC_KEY_SUCCESS),
                              .types = tc_flat_add_str(m->l->out, joined_types(m))};
    struct tc_str excluded[TC_POLICY_MAX_NAMES];

    if (keep_params(m, &t.params) < 0)
        return -EINVAL;
    for (unsigned i = 0; i < m->policy.excluded_count; i++)
        excluded[i] =
            tc_flat_add_strn(m->l->out, m->policy.excluded[i].text, m->policy.excluded[i].bytes);
    t.excluded = tc_flat_add(m->l->out, excluded, m->policy.excluded_count, sizeof excluded[0]);
    m->task.texts = tc_flat_add(m->l->out, &t, 1, sizeof t);
    return 0;
}

/* What else the function reads and writes. */
static int make_globals(struct making *m)
{
    int r = tc_config_globals(m->l, given(m, TC_KEY_GLOBALS), &m->globals);

    if (r == 0)
        r = tc_config_list_depends(m->l, given(m, TC_KEY_DEPENDS), &m->globals, &m->task.depends);
    if (r == 0)
        r = tc_config_deep_stop(m->l, given(m, TC_KEY_DEEP_STOP), &m->task.deep_stop);
    m->task.globals = tc_config_keep_globals(m->l, &m->globals);
    return r;
}

static int make_prototype(struct making *m)
{
    struct tc_codecs codecs = {.l = m->l, .keys = m->task.functions.count};
    struct tc_proto_text text = {
        .prototype = text_of(m, TC_KEY_PROTOTYPE),
        .types = joined_types(m),
        .skip = text_of(m, TC_KEY_SKIP),
        .success = text_of(m, TC_KEY_SUCCESS),
        .key = m->key ? m->key->text : NULL,
        .globals = m->globals.at,
        .codec = tc_find_codec,
        .codec_ctx = &codecs,
        .strict = m->key == NULL,
    };
    struct tc_text_error e = {.reason = TC_R_NONE};
    enum tc_proto_field field = TC_PROTO_PROTOTYPE;
    const struct tc_yaml_node *params = given(m, TC_KEY_PARAMS);
    int r = make_globals(m);

    if (r < 0)
        return r;
    text.global_count = m->globals.count;
    if (text.prototype == NULL && m->key != NULL) {
        tc_problem_in(m->l, TC_SEV_WARNING, TC_R_NOT_YET_KEY, m->key, 0, "write its `prototype`",
                      "a template needs a written prototype: '%.80s' stays uncached", called(m));
        m->task.flags |= TC_TASK_NOT_YET;
        m->task.policy = TC_POLICY_VOID;
    }
    if (text.prototype == NULL)
        return keep_texts(m);
    if (params != NULL && params != m->l->defaults.at[TC_KEY_PARAMS]) {
        tc_problem_at(m->l, TC_SEV_ERROR, TC_R_BAD_VALUE, params->key_at,
                      "write directions and extents into the prototype",
                      "`params` adds to debug information, and '%.80s' has a `prototype`",
                      called(m));
        return -EINVAL;
    }
    r = tc_proto_compile(m->l->out, &text, &m->task, &e, &field);
    if (r == -ENOMEM)
        m->l->no_memory = 1;
    else if (r < 0 && e.reason == TC_R_UNKNOWN_TYPE && field != TC_PROTO_TYPES && m->key == NULL &&
             strstr(text.prototype, "codec") == NULL)
        return keep_texts(m);
    else if (r < 0)
        tell_prototype(m, &e, field);
    else
        tc_keep_codecs(&codecs, &m->task);
    /* Which of the names are variables, which become inputs, the resolver finds out. */
    if (r == 0 && m->task.depends.count != 0 && codecs.count == 0 && m->key == NULL)
        return keep_texts(m);
    return r;
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

static void exclude(struct making *m, const struct tc_param *params, struct tc_slice name)
{
    const struct tc_yaml_node *n = given(m, TC_KEY_CACHE_POLICY);
    const char *known[TC_MAX_PARAMS + 1] = {NULL};
    char remedy[120];
    int from_defaults = n == m->l->defaults.at[TC_KEY_CACHE_POLICY];

    for (uint32_t i = 0; i < m->task.params.count && i < TC_MAX_PARAMS; i++) {
        known[i] = built(m, params[i].name);
        if (strlen(known[i]) == name.bytes && memcmp(known[i], name.text, name.bytes) == 0) {
            m->task.excluded |= 1u << i;
            return;
        }
    }
    propose(name, known, remedy, sizeof remedy);
    /* A default may name what only some tasks have. */
    tc_problem_in(m->l, from_defaults ? TC_SEV_NOTE : TC_SEV_WARNING, TC_R_UNKNOWN_PARAMETER, n,
                  place_in_policy(n, name), remedy, "'%.80s' has no parameter '%.*s'", called(m),
                  (int)(name.bytes < 60 ? name.bytes : 60), name.text);
}

static void make_excluded(struct making *m)
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

static void make_origin(struct making *m)
{
    const char *slash = strrchr(m->l->subject, '/'), *origin;
    unsigned line, column;

    if (m->entry == NULL) {
        m->task.origin = tc_flat_add_str(m->l->out, m->plugin);
        return;
    }
    tc_text_position(m->l->yaml.text, m->l->yaml.bytes, m->entry->start, &line, &column);
    m->task.line = line;
    origin = tc_config_print(m->l, "%s:%u", slash ? slash + 1 : m->l->subject, line);
    m->task.origin = tc_flat_add_str(m->l->out, origin);
}

static void digest_text(struct tc_load *l, const char *text)
{
    uint64_t bytes = text ? strlen(text) : UINT64_MAX;

    tc_hash_add(l->resolve, &bytes, sizeof bytes);
    if (text != NULL)
        tc_hash_add(l->resolve, text, bytes);
}

/* Plans hold the whole task if its prototype comes from debug information. */
static void digest_texts(struct making *m)
{
    const struct tc_yaml_node *params = given(m, TC_KEY_PARAMS);
    const struct tc_task *t = &m->task;
    const int64_t numbers[] = {
        t->flags,        t->policy,          t->persist,     t->refresh, t->expiration_ns,
        t->commit_mode,  t->storage,         t->key_storage, t->verify,  t->isolation,
        t->lock_manager, t->lock_timeout_ns, t->far_locks};

    tc_hash_add(m->l->resolve, numbers, sizeof numbers);
    digest_text(m->l, built(m, t->space));
    for (uint32_t i = 0; i < t->functions.count; i++) {
        const struct tc_task_function *f = tc_flat_builder_at(m->l->out, t->functions.off);
        digest_text(m->l, f != NULL ? built(m, f[i].component) : NULL);
    }
    digest_text(m->l, text_of(m, TC_KEY_PROTOTYPE));
    digest_text(m->l, text_of(m, TC_KEY_SKIP));
    digest_text(m->l, text_of(m, TC_KEY_SUCCESS));
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
static void digest_task(struct making *m)
{
    /* A disabled task isn't resolved. */
    const uint32_t flags =
        m->task.flags & (TC_TASK_DISABLED | TC_TASK_HOOK_ENTRY | TC_TASK_HOOK_GOT);

    /* Following calls takes time: plans have it where it is asked for. */
    const uint32_t deep = m->task.policy & TC_POLICY_SOURCE_DEEP;

    digest_text(m->l, built(m, m->task.symbol));
    digest_text(m->l, built(m, m->task.object));
    digest_text(m->l, built(m, m->task.file));
    digest_text(m->l, m->task.name.off ? built(m, m->task.name) : NULL);
    tc_hash_add(m->l->resolve, m->task.prototype_digest, sizeof m->task.prototype_digest);
    tc_hash_add(m->l->resolve, &deep, sizeof deep);
    tc_hash_add(m->l->resolve, &flags, sizeof flags);
    digest_text(m->l, joined_types(m));
    for (uint32_t i = 0; i < m->globals.count; i++) {
        digest_text(m->l, m->globals.node[i]->key);
        digest_text(m->l, m->globals.at[i].text);
        digest_text(m->l, m->globals.at[i].path);
    }
    for (uint32_t i = 0; i < m->task.depends.count; i++) {
        const struct tc_depend *d = tc_flat_builder_at(m->l->out, m->task.depends.off);
        digest_text(m->l, d != NULL ? built(m, d[i].text) : NULL);
    }
    digest_text(m->l, m->task.deep_stop.off ? built(m, m->task.deep_stop) : NULL);
    if (m->task.texts.count != 0)
        digest_texts(m);
}

static void compile(struct making *m)
{
    struct tc_load *l = m->l;

    m->task.skip = m->task.success = TC_NO_EXPR;
    make_origin(m);
    if (make_symbol(m) < 0 || make_word(m, TC_KEY_NAME, &m->task.name) < 0 ||
        make_word(m, TC_KEY_NAMESPACE, &m->task.space) < 0 || check_duplicate(m) < 0)
        return;
    if (l->task_count == TC_MAX_TASKS) {
        tell(m, TC_SEV_ERROR, TC_R_TOO_MANY, "a config has at most 1000 tasks and flows");
        return;
    }
    make_switches(m);
    if (make_policy(m) < 0)
        return;
    if (make_key(m) < 0)
        return;
    make_storages(m);
    make_isolation(m);
    if (make_prototype(m) < 0)
        return;
    make_not_yet(m);
    make_excluded(m);
    warn_ignored(m);
    digest_task(m);
    l->tasks[l->task_count++] = m->task;
}

void tc_compile_task(struct tc_load *l, const struct tc_task_values *values,
                     const struct tc_yaml_node *entry, const char *plugin)
{
    struct making m = {.l = l, .values = values, .entry = entry, .plugin = plugin};

    compile(&m);
}

void tc_compile_flow(struct tc_load *l, const struct tc_task_values *values,
                     const struct tc_yaml_node *entry, uint8_t commit_mode)
{
    struct making m = {.l = l, .values = values, .entry = entry, .is_flow = 1};

    m.task.flags = TC_TASK_FLOW;
    m.task.commit_mode = commit_mode;
    compile(&m);
}

/* What isn't right here isn't the user's mistake: then threads in flows belong to none. */
void tc_compile_threads(struct tc_load *l)
{
    static const struct tc_proto_text text = {
        .prototype = "int pthread_create(ignore void *thread, ignore const void *attributes, "
                     "ignore void *function, ignore void *argument)"};
    static const struct tc_task_values none;
    struct making m = {.l = l, .values = &none, .is_flow = 1};
    enum tc_proto_field field;
    struct tc_text_error e;

    m.task.flags = TC_TASK_FLOW | TC_TASK_THREADS | TC_TASK_HOOK_ENTRY;
    m.task.symbol = tc_flat_add_str(l->out, "pthread_create");
    m.task.object = tc_flat_add_str(l->out, "libc.so*");
    m.task.file = tc_flat_add_str(l->out, "");
    m.task.origin = tc_flat_add_str(l->out, "flows");
    m.task.skip = m.task.success = TC_NO_EXPR;
    if (l->task_count == TC_MAX_TASKS || tc_proto_compile(l->out, &text, &m.task, &e, &field) < 0)
        return;
    digest_task(&m);
    l->tasks[l->task_count++] = m.task;
}
