/*
 * Function pointers as inputs: which code a pointer leads to.
 *
 * A function is known by its TASK_SOURCE, which the plans hold or get (function_source.h): the same
 * wherever it lies. Only what isn't in a file of its own is known by its place: the kernel's code,
 * and an entry of a linkage table that isn't bound yet. Which of the forms it is depends on the
 * pointer alone. Asks the kernel what is readable; any context, allocates nothing.
 */
#ifndef TC_PRELOAD_FUNCTION_INPUT_H
#define TC_PRELOAD_FUNCTION_INPUT_H

#include "preload/context.h"

#define TC_FUNCTION_DIGEST 16u

/* The content of a component of tag TC_TAG_FUNCTION, for a pointer that isn't NULL. 0,
 * TC_R_UNKNOWN_CODE: no known object's code is there, TC_R_SOURCE_UNKNOWN, or TC_R_SANDBOXED. */
uint32_t tc_function_input(struct tc_context *x, struct tc_call *c, uint64_t pointer,
                           unsigned char ret[TC_FUNCTION_DIGEST]);

#endif
