#include "cache/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/nearest.h"

#define DEEPEST 16 /* nested parentheses and named policies */

static const struct {
    const char *name;
    uint32_t members;
} known_members[] = {
    {"INPUTS", TC_POLICY_INPUTS},
    {"TASK_SOURCE", TC_POLICY_SOURCE},
    {"RUN_ID", TC_POLICY_RUN_ID},
    {"FLOW_PARAMETERS", TC_POLICY_FLOW_PARAMETERS},
    {"DEFAULT", TC_POLICY_INPUTS | TC_POLICY_SOURCE | TC_POLICY_RUN_ID},
    {"ACROSS_RUNS", TC_POLICY_INPUTS | TC_POLICY_SOURCE},
    {"NO_CACHE", 0},
    {"NONE", 0},
    {"TASK_SOURCE_DEEP", TC_POLICY_SOURCE_DEEP},
};
#define KNOWN_COUNT (sizeof known_members / sizeof known_members[0])

const char *const tc_policy_setting_names[TC_POLICY_SETTINGS] = {
    [TC_SETTING_KEY_STORAGE] = "key_storage",
    [TC_SETTING_ISOLATION_LEVEL] = "isolation_level",
    [TC_SETTING_LOCK_MANAGER] = "lock_manager",
};

struct parser {
    const char *text;
    size_t at;
    int depth;
    tc_policy_named *named;
    void *ctx;
    struct tc_text_error *error;
};

static int parse_sum(struct parser *p, struct tc_policy *ret);

static char peek(struct parser *p)
{
    while (p->text[p->at] == ' ' || p->text[p->at] == '\t' || p->text[p->at] == '\n' ||
           p->text[p->at] == '\r')
        p->at++;
    return p->text[p->at];
}

static int is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static int same(struct tc_slice s, const char *word)
{
    return strlen(word) == s.bytes && memcmp(s.text, word, s.bytes) == 0;
}

/* A word, or anything in quotes. `*ret_at` is where it begins. */
static int parse_name(struct parser *p, const char *what, struct tc_slice *ret, size_t *ret_at)
{
    char quote = peek(p);
    size_t start = p->at, end;

    *ret_at = start;
    if (quote == '\'' || quote == '"') {
        const char *close = strchr(p->text + start + 1, quote);

        if (close == NULL || close == p->text + start + 1)
            return tc_text_fail(p->error, TC_R_BAD_POLICY, start, NULL,
                                close ? "an empty name" : "the quote isn't closed");
        *ret = (struct tc_slice){p->text + start + 1, (size_t)(close - p->text) - start - 1};
        p->at = (size_t)(close - p->text) + 1;
        return 0;
    }
    for (end = start; is_word(p->text[end]);)
        end++;
    if (end == start) {
        if (quote == 0)
            return tc_text_fail(p->error, TC_R_BAD_POLICY, start, NULL, "%s is missing", what);
        return tc_text_fail(p->error, TC_R_BAD_POLICY, start, NULL,
                            "%s is expected here, not '%.1s'", what, p->text + start);
    }
    *ret = (struct tc_slice){p->text + start, end - start};
    p->at = end;
    return 0;
}

static int exclude(struct parser *p, size_t at, struct tc_slice name, struct tc_policy *policy)
{
    for (unsigned i = 0; i < policy->excluded_count; i++)
        if (policy->excluded[i].bytes == name.bytes &&
            memcmp(policy->excluded[i].text, name.text, name.bytes) == 0)
            return 0;
    if (policy->excluded_count == TC_POLICY_MAX_NAMES)
        return tc_text_fail(p->error, TC_R_TOO_MANY, at, "",
                            "a policy excludes at most %u parameters", TC_POLICY_MAX_NAMES);
    policy->excluded[policy->excluded_count++] = name;
    return 0;
}

/* Both sides configure a thing, and differently. */
static int join_settings(struct parser *p, size_t at, const struct tc_policy *term,
                         struct tc_policy *sum)
{
    for (int i = 0; i < TC_POLICY_SETTINGS; i++) {
        const char *ours = sum->settings.at[i], *theirs = term->settings.at[i];
        const char *name = tc_policy_setting_names[i];
        char remedy[80];

        if (ours == NULL)
            sum->settings.at[i] = theirs;
        if (ours == NULL || theirs == NULL || strcmp(ours, theirs) == 0)
            continue;
        (void)snprintf(remedy, sizeof remedy, "give both policies one `%s`", name);
        return tc_text_fail(p->error, TC_R_POLICY_CONFLICT, at, remedy,
                            "the sides of the sum differ in `%s`: '%.50s' and '%.50s'", name, ours,
                            theirs);
    }
    return 0;
}

static int same_slice(struct tc_slice a, struct tc_slice b)
{
    return a.bytes == b.bytes && memcmp(a.text, b.text, a.bytes) == 0;
}

static int add_function(struct parser *p, size_t at, const struct tc_policy_function *f,
                        struct tc_policy *policy)
{
    for (unsigned i = 0; i < policy->function_count; i++)
        if (same_slice(policy->functions[i].plugin, f->plugin) &&
            same_slice(policy->functions[i].name, f->name))
            return 0;
    if (policy->function_count == TC_MAX_KEY_FUNCTIONS)
        return tc_text_fail(p->error, TC_R_TOO_MANY, at, "",
                            "a policy has at most %u key functions", TC_MAX_KEY_FUNCTIONS);
    policy->functions[policy->function_count++] = *f;
    return 0;
}

/* The union; NO_CACHE is neutral. */
static int join(struct parser *p, size_t at, const struct tc_policy *term, struct tc_policy *sum)
{
    sum->members |= term->members;
    sum->no_cache = sum->members == 0;
    if (sum->not_yet.text == NULL)
        sum->not_yet = term->not_yet;
    for (unsigned i = 0; i < term->excluded_count; i++) {
        int r = exclude(p, at, term->excluded[i], sum);

        if (r < 0)
            return r;
    }
    for (unsigned i = 0; i < term->function_count; i++) {
        int r = add_function(p, at, &term->functions[i], sum);

        if (r < 0)
            return r;
    }
    return join_settings(p, at, term, sum);
}

static int unknown_member(struct parser *p, size_t at, struct tc_slice name)
{
    const char *names[KNOWN_COUNT + 1] = {NULL};
    const char *near;

    for (size_t i = 0; i < KNOWN_COUNT; i++)
        names[i] = known_members[i].name;
    near = tc_nearest(name.text, name.bytes, names);
    return tc_text_fail(
        p->error, TC_R_BAD_POLICY, at,
        near ? near
             : "INPUTS, TASK_SOURCE, RUN_ID, FLOW_PARAMETERS, DEFAULT, "
               "ACROSS_RUNS, NO_CACHE, KEY(plugin.function), or a name under `policies:`",
        "'%.*s' is no member of a policy", (int)(name.bytes < 60 ? name.bytes : 60), name.text);
}

/* The text of a named policy. Whatever is wrong in there is reported at the name. */
static int parse_named(struct parser *p, size_t at, struct tc_slice name, const char *text,
                       struct tc_policy *ret)
{
    struct tc_text_error inner;
    struct parser sub = {
        .text = text, .depth = p->depth + 1, .named = p->named, .ctx = p->ctx, .error = &inner};
    int r;

    if (sub.depth > DEEPEST)
        return tc_text_fail(p->error, TC_R_BAD_POLICY, at, "",
                            "policy '%.*s' names itself, or is nested too deeply",
                            (int)(name.bytes < 60 ? name.bytes : 60), name.text);
    r = parse_sum(&sub, ret);
    if (r == 0 && peek(&sub) != 0)
        r = tc_text_fail(&inner, TC_R_BAD_POLICY, sub.at, NULL, "'+' or '-' is expected");
    if (r == 0)
        return 0;
    *p->error = inner;
    p->error->at = at;
    if (strncmp(inner.sentence, "policy '", 8) != 0)
        (void)snprintf(p->error->sentence, sizeof p->error->sentence, "policy '%.*s': %.120s",
                       (int)(name.bytes < 60 ? name.bytes : 60), name.text, inner.sentence);
    return -EINVAL;
}

/* KEY(plugin.function): a plugin's name may have dots, a function's hasn't. */
static int parse_key(struct parser *p, struct tc_policy *ret)
{
    struct tc_policy_function f;
    size_t open = p->at++, start, end, dot = 0;

    (void)peek(p);
    for (start = end = p->at; is_word(p->text[end]) || p->text[end] == '.' || p->text[end] == '-';
         end++)
        if (p->text[end] == '.')
            dot = end;
    p->at = end;
    if (peek(p) != ')' || dot <= start || dot + 1 == end)
        return tc_text_fail(p->error, TC_R_BAD_POLICY, peek(p) == ')' ? start : p->at,
                            "KEY(plugin.function)",
                            peek(p) == 0 ? "the parenthesis of KEY isn't closed"
                                         : "KEY takes a plugin's name and a key function of it");
    p->at++;
    f.plugin = (struct tc_slice){p->text + start, dot - start};
    f.name = (struct tc_slice){p->text + dot + 1, end - dot - 1};
    ret->members = TC_POLICY_FUNCTION;
    return add_function(p, open, &f, ret);
}

static int parse_member(struct parser *p, struct tc_policy *ret)
{
    struct tc_policy_settings settings = {{NULL}};
    struct tc_slice name;
    const char *text;
    size_t at;
    int quoted, r;

    quoted = peek(p) == '\'' || peek(p) == '"';
    r = parse_name(p, "a member such as INPUTS", &name, &at);
    if (r < 0)
        return r;
    if (!quoted && same(name, "KEY") && peek(p) == '(')
        return parse_key(p, ret);
    for (size_t i = 0; !quoted && i < KNOWN_COUNT; i++) {
        if (!same(name, known_members[i].name))
            continue;
        ret->members = known_members[i].members;
        ret->no_cache = ret->members == 0;
        if (ret->members & TC_POLICY_VOID)
            ret->not_yet = name;
        return 0;
    }
    text = p->named ? p->named(p->ctx, name, &settings) : NULL;
    r = text ? parse_named(p, at, name, text, ret) : unknown_member(p, at, name);
    /* What a policy says of itself beats what it is made of. */
    for (int i = 0; r == 0 && i < TC_POLICY_SETTINGS; i++)
        if (settings.at[i] != NULL)
            ret->settings.at[i] = settings.at[i];
    return r;
}

static int parse_term(struct parser *p, struct tc_policy *ret)
{
    size_t at;
    int r;

    memset(ret, 0, sizeof *ret);
    if (peek(p) != '(')
        return parse_member(p, ret);
    at = p->at++;
    if (++p->depth > DEEPEST)
        return tc_text_fail(p->error, TC_R_BAD_POLICY, at, "", "too many parentheses");
    r = parse_sum(p, ret);
    p->depth--;
    if (r < 0)
        return r;
    if (peek(p) != ')')
        return tc_text_fail(p->error, TC_R_BAD_POLICY, at, "", "the parenthesis isn't closed");
    p->at++;
    return 0;
}

/* `- name` acts on what stands to its left: an exclusion belongs to INPUTS, and where there are no
 * INPUTS it does nothing. */
static int parse_minus(struct parser *p, struct tc_policy *sum)
{
    struct tc_slice name;
    size_t at;
    int r;

    p->at++;
    r = parse_name(p, "a parameter's name", &name, &at);
    if (r < 0 || !(sum->members & TC_POLICY_INPUTS))
        return r;
    return exclude(p, at, name, sum);
}

static int parse_sum(struct parser *p, struct tc_policy *ret)
{
    int r = parse_term(p, ret);

    while (r == 0) {
        struct tc_policy term;
        size_t at;

        switch (peek(p)) {
        case '+':
            p->at++;
            (void)peek(p);
            at = p->at;
            r = parse_term(p, &term);
            if (r == 0)
                r = join(p, at, &term, ret);
            break;
        case '-':
            r = parse_minus(p, ret);
            break;
        default:
            return 0;
        }
    }
    return r;
}

int tc_policy_parse(const char *text, tc_policy_named *named, void *ctx, struct tc_policy *ret,
                    struct tc_text_error *ret_error)
{
    struct parser p = {.text = text, .named = named, .ctx = ctx, .error = ret_error};
    struct tc_policy policy;
    int r;

    if (peek(&p) == 0)
        return tc_text_fail(ret_error, TC_R_BAD_POLICY, p.at, NULL, "the policy is empty");
    r = parse_sum(&p, &policy);
    if (r == 0 && peek(&p) != 0)
        r = tc_text_fail(ret_error, TC_R_BAD_POLICY, p.at, NULL, "'+' or '-' is expected here");
    if (r == 0)
        *ret = policy;
    return r;
}
