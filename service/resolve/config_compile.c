/* One task: from its values to struct tc_task. */
#include "service/resolve/config_making.h"

#include <errno.h>
#include <string.h>

#include "service/resolve/config_problem.h"
#include "service/resolve/config_values.h"

const struct tc_yaml_node *tc_making_given(const struct tc_making *m, enum tc_task_key key)
{
    const struct tc_yaml_node *n = m->values->at[key];

    return n != NULL && n->kind != TC_YAML_NULL ? n : NULL;
}

const char *tc_making_text(const struct tc_making *m, enum tc_task_key key)
{
    const struct tc_yaml_node *n = tc_making_given(m, key);

    return n != NULL ? n->text : NULL;
}

const char *tc_making_built(const struct tc_making *m, struct tc_str s)
{
    const char *text = s.off ? tc_flat_builder_at(m->l->out, s.off) : NULL;

    return text ? text : "";
}

/* What to call the task in messages. */
const char *tc_making_called(const struct tc_making *m)
{
    const char *name = tc_making_text(m, TC_KEY_NAME), *symbol = tc_making_text(m, TC_KEY_SYMBOL);

    return name ? name : symbol ? symbol : "?";
}

/* Tells something about the task as a whole. */
static void tell(const struct tc_making *m, enum tc_severity severity, enum tc_reason reason,
                 const char *sentence)
{
    if (m->entry != NULL)
        tc_problem_at(m->l, severity, reason, m->entry->start, NULL, "%s", sentence);
    else
        tc_problem_file(m->l, severity, reason, m->plugin, NULL, "%s", sentence);
}

static int make_symbol(struct tc_making *m)
{
    const struct tc_yaml_node *n = tc_making_given(m, TC_KEY_SYMBOL);
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

static int make_word(struct tc_making *m, enum tc_task_key key, struct tc_str *ret)
{
    const struct tc_yaml_node *n = tc_making_given(m, key);

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

static int same_text(const struct tc_making *m, struct tc_str a, struct tc_str b)
{
    return strcmp(tc_making_built(m, a), tc_making_built(m, b)) == 0;
}

/* Two entries are one task when they have one name, or ask for one symbol in the same words. */
static int check_duplicate(struct tc_making *m)
{
    for (unsigned i = 0; i < m->l->task_count; i++) {
        const struct tc_task *other = &m->l->tasks[i];
        int by_name =
            m->task.name.off && other->name.off && same_text(m, m->task.name, other->name);
        const struct tc_yaml_node *n = tc_making_given(m, by_name ? TC_KEY_NAME : TC_KEY_SYMBOL);

        if (!by_name && !(same_text(m, m->task.symbol, other->symbol) &&
                          same_text(m, m->task.object, other->object) &&
                          same_text(m, m->task.file, other->file)))
            continue;
        tc_problem_in(m->l, TC_SEV_ERROR, TC_R_DUPLICATE_TASK, n, 0, NULL,
                      "'%.80s' is the same task as the one of %s", n->text,
                      tc_making_built(m, other->origin));
        return -EINVAL;
    }
    return 0;
}

static enum tc_tristate tristate(const struct tc_making *m, enum tc_task_key key)
{
    return tc_boolean(tc_making_text(m, key));
}

static void make_switches(struct tc_making *m)
{
    static const enum tc_task_key persisting[] = {TC_KEY_CACHE_KEY_FN, TC_KEY_RESULT_STORAGE,
                                                  TC_KEY_RESULT_STORAGE_KEY,
                                                  TC_KEY_RESULT_SERIALIZER};
    const char *expiration = tc_making_text(m, TC_KEY_CACHE_EXPIRATION);
    const char *verify = tc_making_text(m, TC_KEY_VERIFY);
    const char *store = tc_making_text(m, TC_KEY_STORE), *hook = tc_making_text(m, TC_KEY_HOOK);

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
        if (tc_making_given(m, persisting[i]) != NULL)
            m->task.flags |= TC_TASK_PERSIST_ON;
}

/* What isn't built yet and could change a key or a result keeps the task uncached. */
static void make_not_yet(struct tc_making *m)
{
    int not_yet = m->used_not_yet || m->values->unknown_members;

    for (int i = 0; i < TC_TASK_KEY_COUNT; i++)
        if (tc_task_keys[i].built == TC_UNCACHED &&
            tc_key_active(&tc_task_keys[i], m->values->at[i]))
            not_yet = 1;
    if (not_yet)
        m->task.flags |= TC_TASK_NOT_YET;
}

/* The top level's types and the task's own, as one text. */
const char *tc_making_types(struct tc_making *m)
{
    const struct tc_yaml_node *top = m->l->types, *own = tc_making_given(m, TC_KEY_TYPES);

    if (top != NULL && own != NULL)
        return tc_config_print(m->l, "%s\n%s", top->text, own->text);
    return top ? top->text : own ? own->text : NULL;
}

static void make_origin(struct tc_making *m)
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

static void compile(struct tc_making *m)
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
    if (tc_make_policy(m) < 0)
        return;
    if (tc_make_key(m) < 0)
        return;
    tc_make_storages(m);
    tc_make_isolation(m);
    if (tc_make_prototype(m) < 0)
        return;
    make_not_yet(m);
    tc_make_excluded(m);
    tc_warn_ignored(m);
    tc_digest_task(m);
    l->tasks[l->task_count++] = m->task;
}

void tc_compile_task(struct tc_load *l, const struct tc_task_values *values,
                     const struct tc_yaml_node *entry, const char *plugin)
{
    struct tc_making m = {.l = l, .values = values, .entry = entry, .plugin = plugin};

    compile(&m);
}

void tc_compile_flow(struct tc_load *l, const struct tc_task_values *values,
                     const struct tc_yaml_node *entry, uint8_t commit_mode)
{
    struct tc_making m = {.l = l, .values = values, .entry = entry, .is_flow = 1};

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
    struct tc_making m = {.l = l, .values = &none, .is_flow = 1};
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
    tc_digest_task(&m);
    l->tasks[l->task_count++] = m.task;
}
