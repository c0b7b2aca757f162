/* What is known of a task's caching before it is called: the policy in words, and what makes it
 * void. */
#ifndef TC_TOOLS_CACHING_H
#define TC_TOOLS_CACHING_H

#include "cache/policy.h"
#include "tools/plans.h"
#include "tools/tasks.h"

/* "INPUTS + TASK_SOURCE - debug": the bits of `policy` (enum tc_policy_bit), without what the
 * task excludes. */
void tc_policy_text(const struct tc_finding *f, uint32_t policy, struct tc_text *to);

/* Why all calls will go by the cache, and the parameter that is at fault, if it is one (else NULL);
 * 0: they won't. */
enum tc_reason tc_caching_off(const struct tc_finding *f, const struct tc_active *active,
                              const char **ret_parameter);

#endif
