/*
 * What a function may depend on, or change, beside its arguments, by what its code refers to:
 * imports by their names, and data that the program writes. What is called through pointers isn't
 * seen. Advice for people: a name says little about how it is used. Host code; pure functions.
 */
#ifndef TC_SERVICE_RESOLVE_PURITY_H
#define TC_SERVICE_RESOLVE_PURITY_H

#include "cache/flat_build.h"
#include "cache/reason.h"
#include "service/resolve/source.h"

/* What calling an import of this name means; 0: nothing that is known. */
enum tc_reason tc_purity_of_import(const char *name);

/* struct tc_purity, cache/plan.h: at most TC_MAX_PURITY of them. Not the globals that the task
 * names.
 */
struct tc_span tc_purity_add(const struct tc_source *s, const struct tc_flat *config,
                             const struct tc_task *task, struct tc_flat_builder *out);

#endif
