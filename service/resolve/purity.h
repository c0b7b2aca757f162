/*
 * What a function may depend on, or change, beside its arguments, by what its code refers to:
 * imports by their names, and data that the program writes. What is called through pointers isn't
 * seen. Advice for people: a name says little about how it is used. Host code; pure functions.
 */
#ifndef TC_SERVICE_RESOLVE_PURITY_H
#define TC_SERVICE_RESOLVE_PURITY_H

#include "cache/flat_build.h"
#include "cache/plan.h"
#include "cache/reason.h"
#include "service/resolve/source.h"

/* What calling an import of this name means; 0: nothing that is known. */
enum tc_reason tc_purity_of_import(const char *name);

/* What may matter, and the item of the source that refers to it. */
struct tc_effect {
    enum tc_reason reason;
    const char *what; /* so many bytes of the source's label */
    size_t bytes;
    uint32_t item;
};

/* How many. Each is told once; of variables, who writes them. */
uint32_t tc_purity_find(const struct tc_source *s, struct tc_effect list[TC_MAX_PURITY]);
/* How the function comes to that item: "f > helper > inner", cut off where it is too long. */
void tc_purity_path(const struct tc_source *s, uint32_t item, char *ret, size_t bytes);

/* struct tc_purity, cache/plan.h: at most TC_MAX_PURITY of them. Not the globals that the task
 * names.
 */
struct tc_span tc_purity_add(const struct tc_source *s, const struct tc_flat *config,
                             const struct tc_task *task, struct tc_flat_builder *out);

#endif
