/*
 * What `cachectl why` wants to know of a call that missed: it goes along with the record, or, where
 * nothing is stored, in a message of its own, which waits for nothing and comes seldom.
 *
 * Not for the hit path. Async-signal-safe under the context's guard.
 */
#ifndef TC_PRELOAD_MISS_H
#define TC_PRELOAD_MISS_H

#include "preload/context.h"

/* How strings begin of which `material` holds only the digest: struct tc_string_head in a row, in
 * `to` (TC_STRING_HEADS bytes). Returns their bytes. After the body: the strings were found to be
 * what they were. */
uint32_t tc_miss_string_heads(const struct tc_call *c, const unsigned char *material, size_t bytes,
                              unsigned char *to);

/* The body ran, and nothing was stored. */
void tc_miss_unstored(const struct tc_call *c, const struct tc_flight *f, uint32_t reason,
                      int64_t now_ns);

/* The record of this call was found wrong: it goes, and what differs is kept for people. Waits for
 * the service. */
void tc_miss_wrong(struct tc_context *x, const struct tc_call *c, const struct tc_flight *f,
                   const char *text, uint32_t text_bytes);

/* The call went by, and this is the first time that a person is told. */
void tc_miss_bypassed(const struct tc_call *c, uint32_t reason);

#endif
