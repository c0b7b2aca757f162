/*
 * KEY(plugin.function): the members of a call's key that plugins compute.
 *
 * Runs code of plugins (plugin.h). 0, or an enum tc_reason that makes the call a bypass.
 */
#ifndef TC_PRELOAD_KEY_FUNCTION_H
#define TC_PRELOAD_KEY_FUNCTION_H

#include "preload/template.h"

/* One that gave a key; contents lie in the context's `check`. */
struct tc_key_member {
    const char *component;
    uint32_t component_bytes;
    struct tc_key_text key;
};

/* In the order of their components. Functions that give no key are left out. */
uint32_t tc_key_functions(struct tc_context *x, struct tc_call *c,
                          struct tc_key_member ret[TC_MAX_KEY_FUNCTIONS], uint32_t *ret_count);

#endif
