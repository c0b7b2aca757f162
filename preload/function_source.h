/*
 * The sources of functions that pointers lead to: from the plans file, where the service enters
 * them when they are asked for. What was learned stays in a table of the process, which hits read
 * without a lock or a system call.
 */
#ifndef TC_PRELOAD_FUNCTION_SOURCE_H
#define TC_PRELOAD_FUNCTION_SOURCE_H

#include "preload/context.h"

/* Of the code at `vaddr`, in the object's own addresses, of an object with a file. `stack` is the
 * calling frame's entry. 0, or TC_R_SOURCE_UNKNOWN: it can't be told, or not yet. Any context. */
uint32_t tc_function_source(const struct tc_known_code *object, uint64_t vaddr, uint64_t stack,
                            unsigned char ret[16]);

#endif
