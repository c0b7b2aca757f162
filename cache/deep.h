/*
 * TASK_SOURCE_DEEP: what the resolver leaves to the process. Freestanding.
 */
#ifndef TC_CACHE_DEEP_H
#define TC_CACHE_DEEP_H

#include "cache/flat.h"

/* A symbol that code of the task's closure binds to by the loader. */
struct tc_deep_import {
    struct tc_str name, version; /* {0,0}: none */
};
#define TC_MAX_DEEP_IMPORTS 65536u

/* Is that library (by its SONAME) where following ends: the C library and the compilers' own? */
int tc_deep_stops(const char *library);

#endif
