/*
 * Function pointers as inputs: which code a pointer leads to.
 *
 * Until the hash of the code itself is used here (its TASK_SOURCE), a function is known by the
 * object that it lies in, by build-id, else by the file's identity, and its place there: the same
 * wherever the object is loaded, another one whenever the object is built anew. Asks the kernel
 * what is readable; any context, allocates nothing.
 */
#ifndef TC_PRELOAD_FUNCTION_INPUT_H
#define TC_PRELOAD_FUNCTION_INPUT_H

#include "preload/context.h"

#define TC_FUNCTION_DIGEST 16u

/* The content of a component of tag TC_TAG_FUNCTION, for a pointer that isn't NULL. 0,
 * TC_R_UNKNOWN_CODE: no known object's code is there, or TC_R_SANDBOXED. */
uint32_t tc_function_input(struct tc_context *x, uint64_t pointer,
                           unsigned char ret[TC_FUNCTION_DIGEST]);

#endif
