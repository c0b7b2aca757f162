#include "service/resolve/config_schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/nearest.h"
#include "cache/policy.h"
#include "service/resolve/config_load.h"
#include "service/resolve/config_problem.h"
#include "service/resolve/config_values.h"

#define MAX_TABLE 40

static const char *const serializers[] = {"raw", "zstd", NULL};
static const char *const raw[] = {"raw", NULL};
static const char *const hooks[] = {"auto", "entry", "got", NULL};
static const char *const stores[] = {"async", "wait", NULL};
static const char *const off[] = {"false", "no", "off", "0", NULL};

const struct tc_config_key tc_task_keys[TC_TASK_KEY_COUNT + 1] = {
#define TC_KEY(id, name, kind, built, words, inert) \
    [TC_KEY_##id] = {name, TC_VALUE_##kind, built, words, inert},
    TC_TASK_KEYS(TC_KEY)
#undef TC_KEY
};

const char *tc_kind_name(const struct tc_yaml_node *n)
{
    switch (n->kind) {
    case TC_YAML_LIST:
        return "a list";
    case TC_YAML_MAP:
        return "a map";
    case TC_YAML_NULL:
        return "nothing";
    default:
        return "a text";
    }
}

static int is_one_of(const char *const *words, const char *text)
{
    for (; words != NULL && *words != NULL; words++)
        if (strcmp(*words, text) == 0)
            return 1;
    return 0;
}

int tc_key_active(const struct tc_config_key *key, const struct tc_yaml_node *value)
{
    if (value == NULL || value->kind == TC_YAML_NULL)
        return 0;
    return value->kind != TC_YAML_TEXT || !is_one_of(key->inert, value->text);
}

static const char *wanted_kind(const struct tc_config_key *key)
{
    switch (key->kind) {
    case TC_VALUE_MAP:
        return "a map";
    case TC_VALUE_LIST:
        return "a list";
    case TC_VALUE_BOOL:
        return "true or false";
    case TC_VALUE_DURATION:
        return "a duration";
    case TC_VALUE_SIZE:
        return "a size";
    case TC_VALUE_SHARE:
        return "a percentage";
    default:
        return "a text";
    }
}

static int wrong_type(struct tc_load *l, const struct tc_config_key *key,
                      const struct tc_yaml_node *v)
{
    tc_problem_at(l, TC_SEV_ERROR, TC_R_WRONG_TYPE, v->start, "", "`%s` takes %s, not %s",
                  key->name, wanted_kind(key), tc_kind_name(v));
    return -EINVAL;
}

/* Where a plain text was cut off by YAML: at ` #`, a comment to YAML. */
static const char *comment_behind(const struct tc_load *l, const struct tc_yaml_node *v)
{
    size_t at = v->end;

    while (at < l->yaml.bytes && (l->yaml.text[at] == ' ' || l->yaml.text[at] == '\t'))
        at++;
    return at < l->yaml.bytes && l->yaml.text[at] == '#' ? l->yaml.text + at : NULL;
}

static int check_code(struct tc_load *l, const struct tc_config_key *key,
                      const struct tc_yaml_node *v)
{
    const char *comment;

    if (v->style != TC_YAML_PLAIN)
        return 0;
    if (v->in_flow) {
        tc_problem_at(l, TC_SEV_ERROR, TC_R_NEEDS_QUOTES, v->start, NULL,
                      "inside { } YAML ends the text of `%s` at a comma or bracket", key->name);
        return -EINVAL;
    }
    comment = comment_behind(l, v);
    if (comment != NULL) {
        tc_problem_at(l, TC_SEV_ERROR, TC_R_NEEDS_QUOTES, (size_t)(comment - l->yaml.text), NULL,
                      "YAML ends the text of `%s` here: the rest is a comment", key->name);
        return -EINVAL;
    }
    return 0;
}

static int check_word(struct tc_load *l, const struct tc_config_key *key,
                      const struct tc_yaml_node *v)
{
    char list[150] = "";

    if (is_one_of(key->words, v->text))
        return 0;
    for (const char *const *w = key->words; *w != NULL; w++) {
        size_t n = strlen(list);

        (void)snprintf(list + n, sizeof list - n, "%s%s", n == 0 ? "" : w[1] ? ", " : " or ", *w);
    }
    tc_problem_in(l, TC_SEV_ERROR, TC_R_BAD_VALUE, v, 0, list, "`%s` can't be '%.60s'", key->name,
                  v->text);
    return -EINVAL;
}

static int check_amount(struct tc_load *l, const struct tc_config_key *key,
                        const struct tc_yaml_node *v)
{
    int duration = key->kind == TC_VALUE_DURATION;
    enum tc_reason reason = duration ? TC_R_BAD_DURATION : TC_R_BAD_SIZE;
    int64_t ns;
    uint64_t bytes;
    int r = duration ? tc_parse_duration(v->text, &ns) : tc_parse_size(v->text, &bytes);

    if (r == -ERANGE)
        tc_problem_in(l, TC_SEV_ERROR, reason, v, 0, "", "'%.60s' is too large", v->text);
    else if (r < 0)
        tc_problem_in(l, TC_SEV_ERROR, reason, v, 0, NULL, "'%.60s' isn't %s", v->text,
                      wanted_kind(key));
    return r < 0 ? -EINVAL : 0;
}

static int check_share(struct tc_load *l, const struct tc_config_key *key,
                       const struct tc_yaml_node *v)
{
    uint32_t share;

    if (tc_share(v->text, &share) == 0)
        return 0;
    tc_problem_in(l, TC_SEV_ERROR, TC_R_BAD_SHARE, v, 0, NULL, "`%s` is a percentage, not '%.60s'",
                  key->name, v->text);
    return -EINVAL;
}

static int check_text(struct tc_load *l, const struct tc_config_key *key,
                      const struct tc_yaml_node *v)
{
    switch (key->kind) {
    case TC_VALUE_CODE:
        return check_code(l, key, v);
    case TC_VALUE_WORD:
        return check_word(l, key, v);
    case TC_VALUE_DURATION:
    case TC_VALUE_SIZE:
        return check_amount(l, key, v);
    case TC_VALUE_SHARE:
        return check_share(l, key, v);
    case TC_VALUE_BOOL:
        if (tc_boolean(v->text) != TC_UNSET)
            return 0;
        tc_problem_in(l, TC_SEV_ERROR, TC_R_BAD_BOOLEAN, v, 0, NULL,
                      "`%s` is true or false, not '%.60s'", key->name, v->text);
        return -EINVAL;
    default:
        return 0;
    }
}

int tc_check_value(struct tc_load *l, const struct tc_config_key *key, const struct tc_yaml_node *v)
{
    if (v->kind == TC_YAML_NULL || key->kind == TC_VALUE_ANY)
        return 0;
    if (key->kind == TC_VALUE_MAP)
        return v->kind == TC_YAML_MAP ? 0 : wrong_type(l, key, v);
    if (key->kind == TC_VALUE_LIST)
        return v->kind == TC_YAML_LIST ? 0 : wrong_type(l, key, v);
    return v->kind == TC_YAML_TEXT ? check_text(l, key, v) : wrong_type(l, key, v);
}

/* Who stays uncached for the sake of a key in this map. */
static const char *concerned(const char *what)
{
    if (strcmp(what, "`defaults`") == 0)
        return "every task";
    if (strcmp(what, "a flow") == 0)
        return "every task inside";
    return strcmp(what, "a policy") == 0 ? "a task with this policy" : "the task";
}

static void warn_not_built(struct tc_load *l, const struct tc_config_key *key,
                           const struct tc_yaml_node *v, const char *what)
{
    if (key->built == TC_BUILT || !tc_key_active(key, v))
        return;
    if (key->built == TC_IGNORED)
        tc_problem_at(l, TC_SEV_WARNING, TC_R_NOT_YET_KEY, v->key_at, NULL,
                      "`%s` isn't built yet: it has no effect", key->name);
    else
        tc_problem_at(l, TC_SEV_WARNING, TC_R_NOT_YET_KEY, v->key_at, NULL,
                      "`%s` isn't built yet: %s stays uncached", key->name, concerned(what));
}

/* Keys that people look for elsewhere. */
static const char *belongs(const char *key)
{
    static const struct {
        const char *key, *remedy;
    } places[] = {
        {"isolation_level", "it belongs to a policy, under `policies:`"},
        {"lock_manager", "it belongs to a policy, under `policies:`"},
        {"key_storage", "it belongs to a policy, under `policies:`"},
        {"transaction", "it belongs to a flow, under `flows:`"},
        {"commit_mode", "it belongs to a flow, under `flows:`"},
    };

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (strcmp(places[i].key, key) == 0)
            return places[i].remedy;
    return "";
}

static int unknown_key(struct tc_load *l, const struct tc_yaml_node *v, const char *what,
                       const struct tc_config_key *keys)
{
    const char *names[MAX_TABLE + 1] = {NULL};
    const char *near;

    for (size_t i = 0; i < MAX_TABLE && keys[i].name != NULL; i++)
        names[i] = keys[i].name;
    near = tc_nearest(v->key, strlen(v->key), names);
    tc_problem_at(l, TC_SEV_ERROR, TC_R_UNKNOWN_KEY, v->key_at, near ? near : belongs(v->key),
                  "'%.60s' is no key of %s", v->key, what);
    return -EINVAL;
}

static const struct tc_config_key *find_key(const struct tc_config_key *keys, const char *name)
{
    for (; keys->name != NULL; keys++)
        if (strcmp(keys->name, name) == 0)
            return keys;
    return NULL;
}

/* In `{ prototype: int f(int a, int b) }` YAML makes a key of `int b)`: that isn't told once more
 * after the prototype was. */
static int cut_before(const struct tc_yaml_node *map, const struct tc_yaml_node *v)
{
    for (const struct tc_yaml_node *n = map->first; n != v; n = n->next)
        if (n->in_flow && n->style == TC_YAML_PLAIN && tc_yaml_is_code_key(n->key))
            return 1;
    return 0;
}

int tc_read_map(struct tc_load *l, const struct tc_yaml_node *map, const char *what,
                const struct tc_config_key *keys, const struct tc_yaml_node **ret_values)
{
    int r = 0;

    for (size_t i = 0; keys[i].name != NULL; i++)
        ret_values[i] = NULL;
    if (map == NULL || map->kind == TC_YAML_NULL)
        return 0;
    if (map->kind != TC_YAML_MAP) {
        tc_problem_at(l, TC_SEV_ERROR, TC_R_WRONG_TYPE, map->start, "", "%s is a map, not %s", what,
                      tc_kind_name(map));
        return -EINVAL;
    }
    for (const struct tc_yaml_node *v = map->first; v != NULL; v = v->next) {
        const struct tc_config_key *key = find_key(keys, v->key);

        if (v->spoilt || (key == NULL && cut_before(map, v))) {
            r = -EINVAL;
        } else if (key == NULL) {
            r = unknown_key(l, v, what, keys);
        } else if (tc_check_value(l, key, v) < 0) {
            r = -EINVAL;
        } else {
            warn_not_built(l, key, v, what);
            ret_values[key - keys] = v;
        }
    }
    return r;
}
