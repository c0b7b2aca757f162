/*
 * Included ahead of everything that runs in the target (meson.build): the code is freestanding,
 * where a compiler takes memcpy for a function like any other. Named as its built-ins, copies of a
 * few bytes are a load and a store; the rest are calls of those in mem.c.
 */
#ifndef TC_PRELOAD_BUILTIN_MEM_H
#define TC_PRELOAD_BUILTIN_MEM_H

#ifndef __ASSEMBLER__
#include <string.h>

#define memcpy(to, from, n) __builtin_memcpy((to), (from), (n))
#define memset(to, c, n)    __builtin_memset((to), (c), (n))
#define memcmp(a, b, n)     __builtin_memcmp((a), (b), (n))
#define strlen(s)           __builtin_strlen(s)
#endif

#endif
