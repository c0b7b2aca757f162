/*
 * Can this function's entry be taken over? First each function by itself (tc_window_find), then, in
 * one pass over the object's code for all of them, whether a branch from anywhere goes into a
 * window or, from inside the function, back to its entry (tc_windows_check); then the tables by
 * which code jumps (window_tables.h).
 *
 * Refusals are results, in the window's `reason`; nothing fails but for want of memory. Host code;
 * one thread.
 */
#ifndef TC_SERVICE_RESOLVE_WINDOW_H
#define TC_SERVICE_RESOLVE_WINDOW_H

#include "service/resolve/arch.h"
#include "service/resolve/elf_function.h"

/* A function and its window. Hookable only when tc_windows_check() has seen it, too. */
struct tc_candidate {
    struct tc_function function;
    struct tc_window window;
    uint32_t hook; /* enum tc_hook_kind */
};

/* For a found function (its `reason` is 0). */
void tc_window_find(const struct tc_image *im, const struct tc_function *f, struct tc_window *ret);

/* The same for TC_HOOK_PAD: 1 if there is padding in front of the function and the window is found,
 * else 0 and `ret` is untouched. */
int tc_window_find_short(const struct tc_image *im, const struct tc_function *f,
                         struct tc_window *ret);

/* Refuses the windows that branches go into. Candidates that are refused already are left alone.
 * 0 or -ENOMEM. */
int tc_windows_check(const struct tc_image *im, struct tc_candidate *const *candidates,
                     size_t count);

#endif
