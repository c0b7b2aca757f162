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

/*
 * The content of the component "=deep": it ends behind the last object that there is. The first
 * member is what counts; the others say which part of it changed, `cachectl why` compares them.
 */
#define TC_DEEP_OBJECTS     8u /* so many are named */
#define TC_DEEP_NAME_BYTES  24u
struct tc_deep_object {
    uint8_t identity[8];           /* of its build */
    char name[TC_DEEP_NAME_BYTES]; /* cut off, the rest is 0 */
};
struct tc_deep_content {
    uint8_t digest[16];
    uint8_t inside[16]; /* the plan's: what is inside of the task's own object */
    struct tc_deep_object objects[TC_DEEP_OBJECTS];
};

/* Is that library (by its SONAME) where following ends? `globs` is the task's `deep_stop`: patterns
 * with * and ?, with '|' between them; "" or `default` among them: the C library and the compilers'
 * own. */
int tc_deep_stops(const char *library, const char *globs);

#endif
