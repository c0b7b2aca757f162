/*
 * Headers that are kept apart from their results (`key_storage:`): small records that say which
 * record of the other storage is meant. The result is stored first, its header after it; a header
 * whose result is gone, or another one by now, is a miss.
 *
 * Under the context's guard; async-signal-safe.
 */
#ifndef TC_PRELOAD_HEADER_H
#define TC_PRELOAD_HEADER_H

#include "preload/context.h"

/* c->ref: what the header of this call's key says. -ENOENT: there is none that counts. */
int tc_header_find(struct tc_context *x, struct tc_call *c);

#endif
