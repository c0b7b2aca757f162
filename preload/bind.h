/*
 * Calls that go through symbols: where a function's entry isn't patched, its symbol in the object
 * that defines it is made to lead to the stub, for whatever the loader binds from now on (lazily,
 * for later objects, for dlsym()), and the slots that it has bound already are set.
 *
 * In the constructor and in the loader's notification; tc_choose() is called by the loader, from
 * any thread that binds. No libc; a symbol or slot that can't be written stays as it is.
 */
#ifndef TC_PRELOAD_BIND_H
#define TC_PRELOAD_BIND_H

#include "preload/state.h"

/* Binds hooks [first, tc_state.hook_count) that aren't at an entry. `header_vaddr`: of
 * their object. */
void tc_bind_hooks(uint32_t first, uint64_t header_vaddr, int mem);

/* Keys are prepared by one at a time; 0: somebody is at it. */
int tc_preparing_begin(void);
void tc_preparing_end(void);

#endif
