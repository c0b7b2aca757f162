/*
 * Copies of tasks from one flat file into another: plans hold tasks whose prototypes come from
 * debug information. Host code; allocates through the builder. The tasks were verified.
 */
#ifndef TC_CACHE_TASK_COPY_H
#define TC_CACHE_TASK_COPY_H

#include "cache/flat_build.h"
#include "cache/task.h"

/* All but what a prototype gives, which stays as it is in `task`. What only the config knows goes:
 * the texts and the place in the file. */
void tc_task_copy_head(const struct tc_flat *from, const struct tc_task *task,
                       struct tc_flat_builder *out, struct tc_task *ret);

/* The same with what the prototype gives. */
void tc_task_copy(const struct tc_flat *from, const struct tc_task *task,
                  struct tc_flat_builder *out, struct tc_task *ret);

#endif
