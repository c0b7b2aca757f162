/*
 * What the runtime knows in this process. Written by the constructor, before threads; afterwards by
 * the loader's notifier (which runs under the loader's lock) and, where a field says so,
 * atomically. Nothing is ever freed: calls may be under way.
 */
#ifndef TC_PRELOAD_STATE_H
#define TC_PRELOAD_STATE_H

#include <stdint.h>

#include "cache/hash.h"
#include "cache/places.h"
#include "cache/plan.h"
#include "cache/policy.h"
#include "cache/shared_page.h"
#include "cache/wire.h"
#include "preload/arch/arch.h"
#include "preload/sys.h"

#define TC_MAX_HOOKS 4096u
#define TC_PREFIX_BYTES                                                                          \
    464u /* all inside: 37 of "=flow", 28 of "=fpenv", 39 of "=linked", 278 of "=run_id", 39, 37 \
          */
#define TC_PROBATION 16u /* calls of a task whose inputs are probed before they are read */

/* One patched function. Constant once it is live, but for the atomic fields. */
struct tc_hook {
    const struct tc_task *task;
    const struct tc_plan *plan;
    struct tc_flat flat; /* that the task is in: the config's, or the plans' */
    const struct tc_param *params;
    const uint8_t *sorted;
    const struct tc_insn *code;
    const uint32_t *olds;
    const struct tc_key_part *key_parts;
    const struct tc_task_function *functions;
    const struct tc_layout *layouts;
    const struct tc_member *members;
    uint32_t param_count, code_count, old_count;
    uint32_t index;
    const char *identity;
    uint32_t identity_bytes;
    uint64_t task_hash;
    uint64_t stub;     /* the near stub, to which the entry jumps */
    uint64_t original; /* atomic: the displaced instructions and the way back, or the function as it
                          is; 0: an IFUNC whose implementation isn't known yet */
    uint64_t chooser;  /* of an IFUNC: stands for its resolver */
    uint64_t base;     /* load bias of the object */
    uint8_t source[16]; /* the plan's, with the chosen implementation */
    struct tc_active active;
    struct tc_counters *counters;     /* in the shared page, or NULL */
    struct tc_counters *run_counters; /* in the run's page, or NULL */
    uint8_t task_digest[16];          /* content of the component "=task" */
    struct tc_hash128 linked;         /* of "=linked", linked.h */
    /* Of key material, see prepare.h. */
    uint32_t prefix_bytes; /* 0: the policy gives no key */
    uint32_t fpenv_at;     /* offset of the content of "=fpenv", 0: there is none */
    uint32_t reserved;     /* for the parameters, as struct tc_material counts it */
    uint32_t key_param_count;
    uint8_t key_params[TC_MAX_PARAMS]; /* by name */
    uint8_t prefix[TC_PREFIX_BYTES];
