/* Functions of plugins that tasks name: KEY(plugin.function). */
#include "service/resolve/config_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/blake2s.h"
#include "cache/nearest.h"
#include "service/resolve/config_problem.h"
#include "service/resolve/config_values.h"

static const struct tc_listed_plugin *find_plugin(const struct tc_load *l, struct tc_slice name)
{
    for (unsigned i = 0; i < l->plugin_count; i++)
        if (strlen(l->plugins[i].name) == name.bytes &&
            memcmp(l->plugins[i].name, name.text, name.bytes) == 0)
            return &l->plugins[i];
    return NULL;
}

static const struct tc_registered *find_function(const struct tc_probed *found,
                                                 struct tc_slice name, uint32_t kind)
{
    for (uint32_t i = 0; found != NULL && i < found->count; i++) {
        const struct tc_registered *f = &found->function[i];
        if (f->kind == kind && strlen(f->name) == name.bytes &&
            memcmp(f->name, name.text, name.bytes) == 0)
            return f;
    }
    return NULL;
}

/* In the text that holds the policy; what stands in a named policy is told where that is used. */
static size_t place(const struct tc_yaml_node *n, struct tc_slice s)
{
    uintptr_t from = (uintptr_t)n->text, at = (uintptr_t)s.text;

    return at >= from && at <= from + n->bytes ? (size_t)(at - from) : 0;
}

static int no_plugin(struct tc_load *l, const struct tc_yaml_node *n, struct tc_slice name)
{
    const char *known[TC_MAX_PLUGINS + 1] = {NULL}, *near;

    for (unsigned i = 0; i < l->plugin_count; i++)
        known[i] = l->plugins[i].name;
    near = tc_nearest(name.text, name.bytes, known);
    tc_problem_in(l, TC_SEV_ERROR, TC_R_NO_SUCH_PLUGIN, n, place(n, name),
                  near ? near : "list it under `plugins:`", "no plugin '%.*s' is listed",
                  (int)(name.bytes < 63 ? name.bytes : 63), name.text);
    return -EINVAL;
}

static int no_function(struct tc_load *l, const struct tc_yaml_node *n,
                       const struct tc_listed_plugin *p, struct tc_slice name, uint32_t kind)
{
    const char *known[TC_PLUGIN_FUNCTIONS + 1] = {NULL}, *near;
    uint32_t count = 0;

    for (uint32_t i = 0; p->found != NULL && i < p->found->count; i++)
        if (p->found->function[i].kind == kind)
            known[count++] = p->found->function[i].name;
    near = tc_nearest(name.text, name.bytes, known);
    tc_problem_in(l, TC_SEV_ERROR, TC_R_NO_SUCH_FUNCTION, n, place(n, name), near ? near : "",
                  "plugin '%.60s' registers no %s '%.*s'", p->name,
                  kind == TC_FUNCTION_KEY     ? "key function"
                  : kind == TC_FUNCTION_LOCKS ? "lock manager"
                                              : "storage",
                  (int)(name.bytes < 63 ? name.bytes : 63), name.text);
    return -EINVAL;
}

struct chosen {
    const char *plugin, *name, *component;
};

static int by_component(const void *a, const void *b)
{
    return strcmp(((const struct chosen *)a)->component, ((const struct chosen *)b)->component);
}

/* 1: the plugin's code was refused. */
static int find_code(struct tc_load *l, const struct tc_yaml_node *n, struct tc_slice plugin,
                     struct tc_slice name, uint32_t kind,
                     const struct tc_listed_plugin **ret_plugin, const struct tc_registered **ret)
{
    *ret_plugin = find_plugin(l, plugin);
    if (*ret_plugin == NULL)
        return no_plugin(l, n, plugin);
    if ((*ret_plugin)->is_refused)
        return 1;
    *ret = find_function((*ret_plugin)->found, name, kind);
    return *ret != NULL ? 0 : no_function(l, n, *ret_plugin, name, kind);
}

static int choose(struct tc_load *l, const struct tc_yaml_node *n,
                  const struct tc_policy_function *wanted, struct chosen *ret)
{
    const struct tc_listed_plugin *p;
    const struct tc_registered *f;
    int r = find_code(l, n, wanted->plugin, wanted->name, TC_FUNCTION_KEY, &p, &f);

    if (r != 0)
        return r;
    *ret = (struct chosen){p->name, f->name, tc_config_print(l, "=key.%s.%s", p->name, f->name)};
    return ret->component != NULL ? 0 : -EINVAL;
}

int tc_compile_key_functions(struct tc_load *l, const struct tc_yaml_node *n,
                             const struct tc_policy *policy, struct tc_task *task)
{
    struct tc_task_function functions[TC_MAX_KEY_FUNCTIONS];
    struct chosen chosen[TC_MAX_KEY_FUNCTIONS];
    unsigned count = policy->function_count;

    for (unsigned i = 0; i < count; i++) {
        int r = choose(l, n, &policy->functions[i], &chosen[i]);
        if (r == 1)
            task->policy = TC_POLICY_VOID;
        if (r != 0)
            return r < 0 ? r : 0;
    }
    qsort(chosen, count, sizeof chosen[0], by_component);
    for (unsigned i = 0; i < count; i++)
        functions[i] =
            (struct tc_task_function){.plugin = tc_flat_add_str(l->out, chosen[i].plugin),
                                      .name = tc_flat_add_str(l->out, chosen[i].name),
                                      .component = tc_flat_add_str(l->out, chosen[i].component),
                                      .kind = TC_FUNCTION_KEY};
    task->functions = tc_flat_add(l->out, functions, count, sizeof functions[0]);
    return 0;
}

int tc_compile_key_function(struct tc_load *l, const struct tc_yaml_node *n, struct tc_task *task)
{
    struct tc_policy policy;
    struct tc_text_error e;

    if (tc_policy_parse(n->text, NULL, NULL, &policy, &e) < 0) {
        tc_problem_found(l, TC_SEV_ERROR, n, &e);
        return -EINVAL;
    }
    if (policy.members != TC_POLICY_FUNCTION || policy.excluded_count != 0) {
        tc_problem_in(l, TC_SEV_ERROR, TC_R_BAD_VALUE, n, 0, "write the sum as `cache_policy`",
                      "`cache_key_fn` is one or more KEY(plugin.function), or a template");
        return -EINVAL;
    }
    task->policy = TC_POLICY_FUNCTION;
    return tc_compile_key_functions(l, n, &policy, task);
}

/* Does `name` mean this function of the plugin: NAME, or PLUGIN.NAME? */
static int is_meant(const struct tc_listed_plugin *p, const char *function, const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t bytes = dot != NULL ? (size_t)(dot - name) : 0;

    if (dot == NULL)
        return strcmp(function, name) == 0;
    return strlen(p->name) == bytes && memcmp(p->name, name, bytes) == 0 &&
           strcmp(function, dot + 1) == 0;
}

static int lacks_a_method(const struct tc_registered *f, int is_input)
{
    return is_input < 0 ? 0 : is_input ? !f->can_digest : !f->can_encode || !f->can_decode;
}

/* A plugin whose code was refused may be the one that has it. */
static int no_codec(const struct tc_load *l, const char *name, struct tc_text_error *e)
{
    for (unsigned i = 0; i < l->plugin_count; i++)
        if (l->plugins[i].is_refused)
            return tc_text_fail(e, TC_R_PLUGIN_INIT, 0, "",
                                "there is no codec '%.60s': the code "
                                "of plugin '%.60s' isn't used",
                                name, l->plugins[i].name);
    return tc_text_fail(e, TC_R_NO_SUCH_FUNCTION, 0, "list its plugin under `plugins:`",
                        "no listed plugin registers a codec '%.80s'", name);
}

static int find_codec(struct tc_load *l, const char *name, int is_input, struct tc_codec_found *ret,
                      struct tc_text_error *e)
{
    const struct tc_listed_plugin *p = NULL;
    const struct tc_registered *found = NULL;

    for (unsigned i = 0; i < l->plugin_count; i++) {
        const struct tc_probed *all = l->plugins[i].found;
        for (uint32_t k = 0; all != NULL && k < all->count; k++) {
            if (all->function[k].kind != TC_FUNCTION_CODEC ||
                !is_meant(&l->plugins[i], all->function[k].name, name))
                continue;
            if (found != NULL)
                return tc_text_fail(e, TC_R_NO_SUCH_FUNCTION, 0, "write codec(PLUGIN.NAME)",
                                    "plugins '%.50s' and '%.50s' both register a codec '%.50s'",
                                    p->name, l->plugins[i].name, name);
            p = &l->plugins[i];
            found = &all->function[k];
        }
    }
    if (found == NULL)
        return no_codec(l, name, e);
    if (lacks_a_method(found, is_input))
        return tc_text_fail(e, TC_R_NO_SUCH_FUNCTION, 0, "",
                            "codec '%.60s' of plugin '%.60s' can't be used for an %s: it has no %s",
                            found->name, p->name, is_input ? "input" : "output",
                            is_input ? "digest()" : "encode() and decode()");
    *ret = (struct tc_codec_found){
        p->name, found->name, tc_config_print(l, "%s.%s", p->name, found->name),
        found->data_version,
        (found->can_digest ? TC_CODEC_READ : 0u) |
            (found->can_encode && found->can_decode ? TC_CODEC_MAKE : 0u)};
    return ret->full != NULL ? 0 : tc_text_fail(e, TC_R_NO_SUCH_FUNCTION, 0, "", "out of memory");
}

int tc_find_codec(void *codecs, const char *name, int is_input, struct tc_proto_codec *ret,
                  struct tc_text_error *e)
{
    struct tc_codecs *c = codecs;
    struct tc_codec_found found;
    uint32_t i = 0;

    if (find_codec(c->l, name, is_input, &found, e) < 0)
        return -EINVAL;
    while (i < c->count && strcmp(c->at[i].full, found.full) != 0)
        i++;
    if (i == sizeof c->at / sizeof c->at[0])
        return tc_text_fail(e, TC_R_TOO_MANY, 0, "", "a task uses at most %u codecs", i);
    if (i == c->count)
        c->at[c->count++] = found;
    *ret = (struct tc_proto_codec){found.full, c->keys + i + 1};
    return 0;
}

void tc_keep_codecs(const struct tc_codecs *c, struct tc_task *task)
{
    struct tc_task_function functions[TC_MAX_FUNCTIONS];
    struct tc_flat_builder *out = c->l->out;
    const void *keys = c->keys != 0 ? tc_flat_builder_at(out, task->functions.off) : NULL;

    if (c->count == 0 || (c->keys != 0 && keys == NULL))
        return;
    if (c->keys != 0)
        memcpy(functions, keys, c->keys * sizeof functions[0]);
    for (uint32_t i = 0; i < c->count; i++)
        functions[c->keys + i] =
            (struct tc_task_function){.plugin = tc_flat_add_str(out, c->at[i].plugin),
                                      .name = tc_flat_add_str(out, c->at[i].name),
                                      .kind = TC_FUNCTION_CODEC,
                                      .data_version = c->at[i].data_version,
                                      .can = c->at[i].can};
    task->functions = tc_flat_add(out, functions, c->keys + c->count, sizeof functions[0]);
}

/* By 64 bits, as all seeds are. */
static uint64_t seed_of(const char *secret)
{
    static const char name[] = "taskcache far storage 1";
    unsigned char digest[TC_BLAKE2S_BYTES];
    uint64_t seed;

    tc_blake2s(name, sizeof name - 1, secret, strlen(secret), digest);
    memcpy(&seed, digest, sizeof seed);
    return seed;
}

static int64_t timeout_of(struct tc_load *l, const struct tc_yaml_node *n)
{
    int64_t ns = TC_FAR_TIMEOUT_NS;

    if (n == NULL || n->kind != TC_YAML_TEXT || tc_parse_duration(n->text, &ns) < 0)
        return TC_FAR_TIMEOUT_NS;
    if (ns > 0 && ns <= TC_FAR_MAX_TIMEOUT_NS)
        return ns;
    tc_problem_in(l, TC_SEV_ERROR, TC_R_BAD_VALUE, n, 0, "40ms",
                  "a look-up waits for a storage between 1ms and 1s");
    return TC_FAR_TIMEOUT_NS;
}

/* Whatever makes it another storage. */
static uint64_t name_remote(const struct tc_listed_plugin *p, const struct tc_storage *s,
                            const char *function, const struct taskcache_option *o, size_t count)
{
    struct tc_hash_state state;
    uint64_t id;

    tc_hash_begin(&state, s->seed);
    tc_hash_add(&state, p->path, strlen(p->path) + 1);
    tc_hash_add(&state, &p->id, sizeof p->id);
    tc_hash_add(&state, function, strlen(function) + 1);
    for (size_t i = 0; i < count; i++) {
        tc_hash_add(&state, o[i].name, strlen(o[i].name) + 1);
        tc_hash_add(&state, o[i].text, strlen(o[i].text) + 1);
    }
    tc_hash_add(&state, &s->timeout_ns, sizeof s->timeout_ns);
    id = tc_hash_end128(&state).low;
    return id != 0 ? id : 1;
}

static void compile_far(struct tc_load *l, const struct tc_far_values *v, struct tc_storage *ret)
{
    struct taskcache_option option[TC_MAX_OPTIONS];
    const char *text = v->type->text, *dot = strrchr(text, '.');
    const char *secret =
        v->secret != NULL && v->secret->kind == TC_YAML_TEXT ? v->secret->text : "";
    const struct tc_listed_plugin *p;
    const struct tc_registered *f;
    size_t count;

    if (find_code(l, v->type, (struct tc_slice){text, (size_t)(dot - text)},
                  (struct tc_slice){dot + 1, strlen(dot + 1)}, TC_FUNCTION_STORAGE, &p, &f) != 0)
        return;
    count = tc_read_options(l, v->options, option);
    ret->kind = TC_STORAGE_FAR;
    ret->path = tc_flat_add_str(l->out, p->path);
    ret->function = tc_flat_add_str(l->out, f->name);
    ret->plugin = p->id;
    ret->options = tc_keep_options(l, option, count);
    ret->plugin_options = p->options;
    ret->seed = seed_of(secret);
    ret->has_secret = secret[0] != 0;
    ret->timeout_ns = timeout_of(l, v->timeout);
    ret->remote = name_remote(p, ret, f->name, option, count);
}

void tc_compile_far_storages(struct tc_load *l)
{
    for (uint32_t i = 0; i < l->storage_count; i++)
        if (l->far[i].type != NULL)
            compile_far(l, &l->far[i], &l->storages[i]);
}

static void add_text(struct tc_load *l, struct tc_hash_state *state, struct tc_str s)
{
    const char *text = s.bytes != 0 ? tc_flat_builder_at(l->out, s.off) : NULL;

    if (text != NULL)
        tc_hash_add(state, text, s.bytes);
    tc_hash_add(state, "", 1);
}

static void compile_locks(struct tc_load *l, const struct tc_yaml_node *n, struct tc_storage *ret)
{
    const char *dot = strrchr(n->text, '.');
    const struct tc_listed_plugin *p;
    const struct tc_registered *f;

    *ret = (struct tc_storage){.kind = TC_STORAGE_NOT_YET};
    if (find_code(l, n, (struct tc_slice){n->text, (size_t)(dot - n->text)},
                  (struct tc_slice){dot + 1, strlen(dot + 1)}, TC_FUNCTION_LOCKS, &p, &f) != 0)
        return;
    *ret = (struct tc_storage){.name = tc_flat_add_str(l->out, n->text),
                               .kind = TC_STORAGE_LOCKS,
                               .path = tc_flat_add_str(l->out, p->path),
                               .function = tc_flat_add_str(l->out, f->name),
                               .plugin = p->id,
                               .plugin_options = p->options,
                               .seed = TC_STORAGE_LOCKS,
                               .timeout_ns = TC_FAR_MAX_TIMEOUT_NS};
    ret->remote = name_remote(p, ret, f->name, NULL, 0);
    /* Other options make another one. */
    for (uint32_t i = 0; i < p->options.count; i++) {
        const struct tc_plugin_option *o = tc_flat_builder_at(l->out, p->options.off);
        struct tc_hash_state state;

        tc_hash_begin(&state, ret->remote);
        add_text(l, &state, o != NULL ? o[i].name : (struct tc_str){0, 0});
        add_text(l, &state, o != NULL ? o[i].text : (struct tc_str){0, 0});
        ret->remote = tc_hash_end128(&state).low | 1;
    }
}

void tc_compile_lock_managers(struct tc_load *l)
{
    for (uint32_t i = 0; i < l->lock_count; i++)
        compile_locks(l, l->lock_nodes[i], &l->lock_managers[i]);
}

uint8_t tc_config_lock_manager(struct tc_load *l, const char *name)
{
    for (uint32_t i = 0; i < l->lock_count; i++)
        if (l->lock_managers[i].kind == TC_STORAGE_LOCKS &&
            strcmp(l->lock_nodes[i]->text, name) == 0) {
            l->lock_managers[i].used = 1;
            return (uint8_t)(i + 1);
        }
    return 0;
}
