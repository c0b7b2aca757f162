/*
 * Does the compiled function take its parameters where the psABI puts them? A local function need
 * not: the compiler sees all of its callers, and removes, reorders and replaces what it likes.
 *
 * Host code; pure functions of the object and its debug information; one thread.
 */
#ifndef TC_SERVICE_RESOLVE_DWARF_PLACES_H
#define TC_SERVICE_RESOLVE_DWARF_PLACES_H

#include "service/resolve/dwarf_find.h"

/* Compares with the places that a compiled prototype says. 0, or TC_R_PROTOTYPE_ABI_MISMATCH with
 * what differs in `ret_detail`. */
enum tc_reason tc_dwarf_check_places(const struct tc_image *im, const struct tc_function *f,
                                     struct tc_dwarf_function *d, const struct tc_param *params,
                                     uint32_t count, char ret_detail[TC_DETAIL_BYTES]);

/* The same, only of what is passed on the stack, from the parameter `first` on. */
enum tc_reason tc_dwarf_check_stack(const struct tc_image *im, const struct tc_function *f,
                                    struct tc_dwarf_function *d, const struct tc_param *params,
                                    uint32_t count, uint32_t first,
                                    char ret_detail[TC_DETAIL_BYTES]);

/* 1: the function returns what its declaration says: its address is taken, a caller reads the
 * result, or nothing was optimized. 0: the compiler may have removed the result. */
int tc_dwarf_returns(const struct tc_image *im, const struct tc_function *f,
                     const struct tc_dwarf_function *d, int in_sse);

#endif
