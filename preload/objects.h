/*
 * The ELF objects of this process, as the loader lists them. Read-only walks of its list, in the
 * constructor and in its own notification (under its lock); no libc.
 */
#ifndef TC_PRELOAD_OBJECTS_H
#define TC_PRELOAD_OBJECTS_H

#include <link.h>

#include "cache/hash.h"
#include "cache/task.h"

/* The loader's description of this process, NULL if there is none. */
const struct r_debug *tc_loader(void);

/* The path of libtaskcache.so as the loader knows it, "" if it can't be told. */
const char *tc_own_path(void);

/* Calls `visit` for every object in every namespace, the runtime's own left out. */
void tc_each_object(void (*visit)(const struct link_map *m, void *arg), void *arg);

/* What is kept of the objects that the loader told of, for look-ups without its lock. */
struct tc_known_object {
    uint64_t base;        /* load bias */
    uint64_t header;      /* where its ELF header should be mapped: not verified */
    struct tc_file_id id; /* when it was loaded; ino 0: it has no file */
    uint32_t stays;       /* it came with the program, and isn't unloaded */
};

/* The object with the greatest load bias not above `address`: if the address is in an object, then
 * in this one. 0: there is none. Any context. */
int tc_object_below(uint64_t address, struct tc_known_object *ret);

/* The loader told of something that nobody listened to, or tells nothing: what is mapped somewhere
 * may be another object than the one that is known there. For the rest of the process. */
void tc_objects_missed(void);
int tc_objects_are_sure(void);

/* Of all of them, by their files, in the order in which they came. 0: it can't be told, or is just
 * changing. Any context. */
int tc_objects_digest(struct tc_hash128 *ret);

#endif
