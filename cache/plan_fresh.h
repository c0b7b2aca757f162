/*
 * Do plans still know all that they can? A debug file that was installed or removed after an object
 * was resolved changes what can be said of its functions. Host code: asks the file system.
 */
#ifndef TC_CACHE_PLAN_FRESH_H
#define TC_CACHE_PLAN_FRESH_H

#include "cache/plan.h"

/* 1: the object has an entry, and the debug files that were looked for are as they were. */
int tc_plans_fresh(const struct tc_flat *plans, const struct tc_file_id *object);

#endif
