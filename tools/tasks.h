/*
 * Tasks of a compiled config: their names for people, and which one a record is of. Pure functions.
 */
#ifndef TC_TOOLS_TASKS_H
#define TC_TOOLS_TASKS_H

#include <stdbool.h>

#include "cache/task.h"

/* All of them; NULL if there are none. */
const struct tc_task *tc_config_tasks(const struct tc_flat *config, uint32_t *ret_count);

/* "simulate@libsolver*", as a person wrote it. Free it. */
char *tc_task_label(const struct tc_flat *config, const struct tc_task *task);

/* The task of an identity that occurs in records and counters, NULL. */
const struct tc_task *tc_task_of_identity(const struct tc_flat *config, const char *identity);

/* Of a plugin's table, and the config doesn't mention it: not all of such a table is in a program.
 */
bool tc_task_is_offered(const struct tc_task *task);

#endif
