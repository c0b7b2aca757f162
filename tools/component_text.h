/*
 * A component of a key in a few words. Pure functions.
 */
#ifndef TC_TOOLS_COMPONENT_TEXT_H
#define TC_TOOLS_COMPONENT_TEXT_H

#include "tools/compare.h"

/* What a person calls the component: a parameter's name, "the run". */
void tc_component_name(struct tc_text *to, const char *name, size_t bytes);

/* What is known about it beside its content. */
struct tc_component_facts {
    uint8_t elem; /* enum tc_scalar of an array's elements, TC_VOID: unknown */
    bool is_char;
    const char *beginning; /* of a string of which there is only the digest, NULL */
    size_t beginning_bytes;
};

/* Its value: "4", "\"abc\"", "{1.0, 2.0, ...}", "digest 3f... of 4 MiB"; "absent" if `c->name` is
 * NULL. */
void tc_component_text(struct tc_text *to, const struct tc_component *c,
                       const struct tc_component_facts *facts);

/* "4 -> 5"; of arrays the first element that differs: "[3]: 1.0 -> 2.0". */
void tc_difference_text(struct tc_text *to, const struct tc_difference *d,
                        const struct tc_component_facts *was, const struct tc_component_facts *is);

#endif
