/*
 * Objects of this process as keys see them: who they are, wherever they lie. Under the loader's
 * lock, in the constructor or the notifier.
 */
#ifndef TC_PRELOAD_LINKED_H
#define TC_PRELOAD_LINKED_H

#include <link.h>
#include <stdint.h>

#include "cache/hash.h"

/* An object as itself: its name and build-id; without one, its file's size and time. */
struct tc_hash128 tc_linked_identity(const struct link_map *m);
/* Its SONAME, else its file's name. */
const char *tc_linked_name(const struct link_map *m);

#endif
