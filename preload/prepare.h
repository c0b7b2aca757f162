/*
 * What all calls of a task have in common, worked out when it is hooked: the beginning of its key
 * material, and which parameters follow.
 *
 * tc_prepare_key(): in the constructor and the loader's notifier, one at a time.
 */
#ifndef TC_PRELOAD_PREPARE_H
#define TC_PRELOAD_PREPARE_H

#include "preload/capture.h"
#include "preload/key_function.h"
#include "preload/state.h"
#include "preload/template.h"

/* Fills in h->prefix and what belongs to it; h->prefix_bytes stays 0 if the policy gives no key.
 * The hook's task, plan, parameters, policy and digest must be there. */
void tc_prepare_key(struct tc_hook *h);

/* The same with the text of the task's template. */
uint32_t tc_prepare_with_key(const struct tc_hook *h, const struct tc_key_text *key,
                             struct tc_material *m);
/* The same with what key functions gave; `flow` NULL: the process run. */
uint32_t tc_prepare_with_functions(const struct tc_hook *h, const struct tc_flow *flow,
                                   const struct tc_key_member *members, uint32_t count,
                                   struct tc_material *m);
/* The same at a call inside a flow: begins `m` with the flow's id and parameters. 0, TC_R_NO_KEY or
 * TC_R_NO_FLOW. */
uint32_t tc_prepare_in_flow(const struct tc_hook *h, const struct tc_flow *flow,
                            struct tc_material *m);
/* Behind the inputs of a task whose prototype shows no floating type: its body may compute with
 * some all the same, so the rounding mode counts where it isn't what a process begins with. 0, or
 * TC_R_NO_KEY. */
uint32_t tc_prepare_odd_fp(const struct tc_hook *h, struct tc_material *m);

#endif
