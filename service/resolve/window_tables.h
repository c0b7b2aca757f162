/*
 * Tables that lead into a window: of a `switch`, or of `&&label`s. Who jumps by one would land in
 * the middle of the jump to the runtime, and no instruction says where he goes.
 *
 * Refusals are results, in the window's `reason`; nothing fails but for want of memory. Host code;
 * one thread.
 */
#ifndef TC_SERVICE_RESOLVE_WINDOW_TABLES_H
#define TC_SERVICE_RESOLVE_WINDOW_TABLES_H

#include "service/resolve/source_map.h"
#include "service/resolve/window.h"

/* After tc_windows_check(): refuses those of its windows that tables lead into, and those of
 * functions that jump back to their entry by one. 0 or -ENOMEM. */
int tc_windows_check_tables(const struct tc_map *m, struct tc_candidate *const *candidates,
                            size_t count);

#endif
