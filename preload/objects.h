/*
 * The ELF objects of this process, as the loader lists them. Read-only walks of its list, in the
 * constructor and in its own notification (under its lock); no libc.
 */
#ifndef TC_PRELOAD_OBJECTS_H
#define TC_PRELOAD_OBJECTS_H

#include <link.h>

/* The loader's description of this process, NULL if there is none. */
const struct r_debug *tc_loader(void);

/* The path of libtaskcache.so as the loader knows it, "" if it can't be told. */
const char *tc_own_path(void);

/* Calls `visit` for every object in every namespace, the runtime's own left out. */
void tc_each_object(void (*visit)(const struct link_map *m, void *arg), void *arg);

#endif
