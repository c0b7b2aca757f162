/*
 * codec(name) parameters and results: what plugins make of somebody else's types, and back.
 *
 * Runs code of plugins (plugin.h). 0, or an enum tc_reason that makes the call a bypass, or the
 * look-up a miss.
 */
#ifndef TC_PRELOAD_CODEC_H
#define TC_PRELOAD_CODEC_H

#include "preload/context.h"

/* The content of an input's component. */
struct tc_codec_content {
    uint64_t bytes;
    struct tc_hash128 digest;
};
/* Uses the context's hash state: before a component is begun. */
uint32_t tc_codec_digest(struct tc_context *x, struct tc_call *c, const struct tc_param *p,
                         uint64_t object, struct tc_codec_content *ret);

/* After the body: output `i` as bytes, in memory of ours at c->block[i]; the extent says how many.
 */
uint32_t tc_codec_encode(struct tc_context *x, struct tc_call *c, uint32_t i);
/* Gives that memory back. */
void tc_codec_forget(struct tc_call *c);

/* On a hit, when all that the record says lies at `outputs` and is sound, before the caller's
 * memory is touched by anything else. What a result becomes is in c->block. */
uint32_t tc_codec_decode(struct tc_context *x, struct tc_call *c, const unsigned char *outputs);

#endif
