/*
 * `cachectl doctor`: what a task's code does beside its arguments, here and in the objects that its
 * imports bind to. Advice: it refuses nothing. One thread.
 */
#ifndef TC_TOOLS_DOCTOR_PURITY_H
#define TC_TOOLS_DOCTOR_PURITY_H

#include "tools/far_effects.h"

/* Of a hookable task. */
void tc_purity_text(const struct tc_flat *plans, const struct tc_finding *f, struct tc_far *far);
/* The fields `advice`, `indirect_calls` and `not_covered` of an object that is open. */
void tc_purity_json(struct tc_json *j, const struct tc_flat *plans, const struct tc_finding *f,
                    struct tc_far *far);

#endif
