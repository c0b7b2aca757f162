/* Which tasks there are: the entries under `tasks:`, over the defaults, over plugins' tasks; and
 * the flows. */
#include "service/resolve/config_parts.h"

#include <string.h>

#include "service/resolve/config_problem.h"
#include "service/resolve/config_values.h"

static const char *text_of(const struct tc_yaml_node *n)
{
    return n != NULL && n->kind == TC_YAML_TEXT ? n->text : NULL;
}

static int bare_name(const char *symbol)
{
    return symbol != NULL && strpbrk(symbol, "@:") == NULL;
}

static int same_function(const char *bare, const char *symbol)
{
    struct tc_symbol_parts parts;
    struct tc_text_error e;

    return tc_parse_symbol(symbol, &parts, &e) == 0 && strlen(bare) == parts.name.bytes &&
           memcmp(bare, parts.name.text, parts.name.bytes) == 0;
}

/* Does the entry speak of this plugin's task: by its name, by its symbol as the plugin writes it,
 * or by the bare function? */
static int speaks_of(const struct tc_task_values *entry, const struct tc_listed_task *p)
{
    const char *name = text_of(entry->at[TC_KEY_NAME]);
    const char *symbol = text_of(entry->at[TC_KEY_SYMBOL]);
    const char *plugin_name = text_of(p->values.at[TC_KEY_NAME]);
    const char *plugin_symbol = text_of(p->values.at[TC_KEY_SYMBOL]);

    if (name != NULL && plugin_name != NULL && strcmp(name, plugin_name) == 0)
        return 1;
    if (symbol == NULL || plugin_symbol == NULL)
        return 0;
    return strcmp(symbol, plugin_symbol) == 0 ||
           (bare_name(symbol) && same_function(symbol, plugin_symbol));
}

/* Field by field: what the entry says, else the defaults (they count as written in each task), else
 * the plugin. */
static struct tc_task_values merge(const struct tc_load *l, const struct tc_task_values *entry,
                                   const struct tc_listed_task *plugin)
{
    struct tc_task_values merged = {.unknown_members = plugin && plugin->values.unknown_members};

    for (int i = 0; i < TC_TASK_KEY_COUNT; i++) {
        merged.at[i] = entry ? entry->at[i] : NULL;
        if (merged.at[i] == NULL)
            merged.at[i] = l->defaults.at[i];
        if (merged.at[i] == NULL && plugin != NULL)
            merged.at[i] = plugin->values.at[i];
    }
    /* A bare function's name in the entry only says which task is meant; where to look for it is
     * the plugin's. */
    if (plugin != NULL && bare_name(text_of(merged.at[TC_KEY_SYMBOL])))
        merged.at[TC_KEY_SYMBOL] = plugin->values.at[TC_KEY_SYMBOL];
    return merged;
}

static void compile_entry(struct tc_load *l, const struct tc_yaml_node *n)
{
    struct tc_task_values entry, values;
    int taken_over = 0;

    if (n->spoilt || tc_read_map(l, n, "a task", tc_task_keys, entry.at) < 0)
        return;
    for (struct tc_listed_task *p = l->plugin_tasks; p != NULL; p = p->next) {
        if (p->overridden || !speaks_of(&entry, p))
            continue;
        p->overridden = taken_over = 1;
        values = merge(l, &entry, p);
        tc_compile_task(l, &values, n, p->plugin);
    }
    if (taken_over)
        return;
    values = merge(l, &entry, NULL);
    tc_compile_task(l, &values, n, NULL);
}

void tc_compile_tasks(struct tc_load *l, const struct tc_yaml_node *list)
{
    for (const struct tc_yaml_node *n = list ? list->first : NULL; n != NULL; n = n->next)
        compile_entry(l, n);
    for (const struct tc_listed_task *p = l->plugin_tasks; p != NULL; p = p->next) {
        struct tc_task_values values = merge(l, NULL, p);

        if (!p->overridden)
            tc_compile_task(l, &values, NULL, p->plugin);
    }
}

static uint8_t commit_mode(struct tc_load *l, const struct tc_yaml_node *transaction,
                           const struct tc_yaml_node *mode)
{
    const char *text = text_of(mode);

    if (text_of(transaction) == NULL || tc_boolean(transaction->text) != TC_TRUE) {
        if (text != NULL)
            tc_problem_at(l, TC_SEV_WARNING, TC_R_POLICY_IGNORED, mode->key_at, "transaction: true",
                          "`commit_mode` has no effect: the flow is no transaction");
        return TC_COMMIT_NONE;
    }
    if (text == NULL || strcmp(text, "lazy") == 0)
        return TC_COMMIT_LAZY;
    return strcmp(text, "eager") == 0 ? TC_COMMIT_EAGER : TC_COMMIT_OFF;
}

void tc_compile_flows(struct tc_load *l)
{
    enum {
        SYMBOL,
        NAME,
        ENABLED,
        PROTOTYPE,
        PARAMS,
        PERSIST_RESULT,
        RESULT_STORAGE,
        SUCCESS,
        TRANSACTION,
        COMMIT_MODE,
        COUNT
    };
    static const char *const modes[] = {"lazy", "eager", "off", NULL};
    static const struct tc_config_key keys[] = {
        [SYMBOL] = {"symbol", TC_VALUE_TEXT},
        [NAME] = {"name", TC_VALUE_TEXT},
        [ENABLED] = {"enabled", TC_VALUE_BOOL},
        [PROTOTYPE] = {"prototype", TC_VALUE_CODE},
        [PARAMS] = {"params", TC_VALUE_MAP},
        [PERSIST_RESULT] = {"persist_result", TC_VALUE_BOOL},
        [RESULT_STORAGE] = {"result_storage", TC_VALUE_TEXT},
        [SUCCESS] = {"success", TC_VALUE_CODE},
        [TRANSACTION] = {"transaction", TC_VALUE_BOOL},
        [COMMIT_MODE] = {"commit_mode", TC_VALUE_WORD, TC_BUILT, modes},
        [COUNT] = {NULL},
    };
    static const enum tc_task_key as_task[] = {
        [SYMBOL] = TC_KEY_SYMBOL,
        [NAME] = TC_KEY_NAME,
        [ENABLED] = TC_KEY_ENABLED,
        [PROTOTYPE] = TC_KEY_PROTOTYPE,
        [PARAMS] = TC_KEY_PARAMS,
        [PERSIST_RESULT] = TC_KEY_PERSIST_RESULT,
        [RESULT_STORAGE] = TC_KEY_RESULT_STORAGE,
        [SUCCESS] = TC_KEY_SUCCESS,
    };
    const struct tc_yaml_node *v[COUNT];
    const unsigned tasks = l->task_count;

    for (const struct tc_yaml_node *n = l->flows ? l->flows->first : NULL; n != NULL; n = n->next) {
        struct tc_task_values values = {.unknown_members = 0};

        if (n->spoilt || tc_read_map(l, n, "a flow", keys, v) < 0)
            continue;
        for (int i = SYMBOL; i <= SUCCESS; i++)
            values.at[as_task[i]] = v[i];
        tc_compile_flow(l, &values, n, commit_mode(l, v[TRANSACTION], v[COMMIT_MODE]));
    }
    if (l->task_count > tasks)
        tc_compile_threads(l);
}
