#include "cache/policy.h"

#include <errno.h>

#define DEFAULT_MEMBERS (TC_POLICY_INPUTS | TC_POLICY_SOURCE | TC_POLICY_RUN_ID)

static int persists(const struct tc_task *task, const struct tc_switches *env)
{
    if (task->persist == TC_FALSE)
        return 0;
    if (task->persist == TC_TRUE || (task->flags & (TC_TASK_POLICY_GIVEN | TC_TASK_PERSIST_ON)))
        return 1;
    return env->default_persist_result == TC_TRUE;
}

/* The first rule that keeps the task from being cached, 0 if none does. NO_CACHE comes before the
 * question of persistence: who wrote it isn't told how to turn caching on. */
static uint32_t why_off(const struct tc_task *task, const struct tc_switches *env)
{
    if (env->disable_caching || (task->flags & TC_TASK_DISABLED))
        return TC_R_DISABLED;
    if (task->flags & TC_TASK_FLOW)
        return 0;
    if (task->flags & TC_TASK_NO_CACHE)
        return TC_R_NO_KEY;
    if (!persists(task, env))
        return TC_R_CACHING_OFF;
    if (task->flags & TC_TASK_NOT_YET)
        return TC_R_NOT_YET_BYPASS;
    if (!(task->flags & TC_TASK_POLICY_GIVEN))
        return env->default_no_cache ? TC_R_NO_KEY : 0;
    if (task->policy & TC_POLICY_VOID)
        return TC_R_POLICY_VOID;
    return task->policy == 0 ? TC_R_NO_KEY : 0;
}

struct tc_active tc_activation(const struct tc_task *task, const struct tc_switches *env)
{
    struct tc_active active = {.reason = why_off(task, env)};

    if (active.reason != 0)
        return active;
    if (task->flags & TC_TASK_FLOW) {
        active.policy = TC_POLICY_INPUTS; /* FLOW_PARAMETERS of the tasks inside */
        return active;
    }
    active.policy = task->flags & TC_TASK_POLICY_GIVEN ? task->policy : DEFAULT_MEMBERS;
    active.refresh = (task->refresh != TC_UNSET ? task->refresh : env->refresh_cache) == TC_TRUE;
    active.verify = env->verify_given ? env->verify : task->verify;
    return active;
}

/* ASCII only: the locale is the host's. */
static int same_word(const char *text, const char *word)
{
    for (; *word != 0; text++, word++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;

        if (c != *word)
            return 0;
    }
    return *text == 0;
}

enum tc_tristate tc_boolean(const char *text)
{
    if (text == NULL)
        return TC_UNSET;
    if (same_word(text, "1") || same_word(text, "true") || same_word(text, "yes") ||
        same_word(text, "on"))
        return TC_TRUE;
    if (same_word(text, "0") || same_word(text, "false") || same_word(text, "no") ||
        same_word(text, "off"))
        return TC_FALSE;
    return TC_UNSET;
}

/* Millionths of a percent; digits beyond them don't count. */
#define PERCENT 1000000u

int tc_share(const char *text, uint32_t *ret)
{
    uint64_t whole = 0, part = 0, unit = PERCENT, n;
    const char *p = text;

    if (tc_boolean(text) == TC_FALSE) {
        *ret = 0;
        return 0;
    }
    for (; *p >= '0' && *p <= '9' && whole <= 100; p++)
        whole = whole * 10 + (uint64_t)(*p - '0');
    if (p == text)
        return -EINVAL;
    if (*p == '.' && p[1] >= '0' && p[1] <= '9')
        for (p++; *p >= '0' && *p <= '9'; p++) {
            unit /= 10;
            part += (uint64_t)(*p - '0') * unit;
        }
    n = whole * PERCENT + part;
    if (*p != '%' || p[1] != 0 || n > 100ull * PERCENT)
        return -EINVAL;
    *ret = (uint32_t)(n * TC_ALL_HITS / (100ull * PERCENT));
    return 0;
}
