/*
 * What an object is linked with: a digest of the objects that its DT_NEEDED entries lead to, as
 * they are in this process.
 *
 * TASK_SOURCE covers the function's own object. What it calls elsewhere may be exchanged behind its
 * back (another BLAS under the same LAPACK), so until the source hash follows calls, the objects
 * that it is linked with are part of the key. Under the loader's lock, in the constructor or the
 * notifier.
 */
#ifndef TC_PRELOAD_LINKED_H
#define TC_PRELOAD_LINKED_H

#include <stdint.h>

#include "cache/hash.h"

/* Of the object with this load bias. Independent of the order of loading and of paths. */
struct tc_hash128 tc_linked_digest(uint64_t base);

#endif
