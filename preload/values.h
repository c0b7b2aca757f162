/*
 * A call as plugins see it (taskcache/value.h): its arguments as values.
 *
 * Works in the thread's plugin area; reads extents and strings of the caller, probing them while
 * the task is new. 0, or an enum tc_reason.
 */
#ifndef TC_PRELOAD_VALUES_H
#define TC_PRELOAD_VALUES_H

#include "plugin-api/include/taskcache/value.h"
#include "preload/context.h"

/* `values` has room for TC_MAX_PARAMS and the result; `call` points into it afterwards. */
uint32_t tc_values_of(struct tc_call *c, struct taskcache_value *values,
                      struct taskcache_call *call);

#endif
