/*
 * The one hash: XXH3, inlined from xxHash's header with SSE2 at most. Digests with a seed are keyed
 * by the storage's secret. Freestanding; any context.
 */
#ifndef TC_CACHE_HASH_H
#define TC_CACHE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct tc_hash128 {
    uint64_t low, high;
};

uint64_t tc_hash64(const void *data, size_t bytes); /* seed 0 */
struct tc_hash128 tc_hash128(const void *data, size_t bytes, uint64_t seed);

/* Streaming, for inputs in pieces. The state is big and 64-byte aligned: keep it off small stacks.
 */
struct tc_hash_state {
    _Alignas(64) unsigned char opaque[640];
};
void tc_hash_begin(struct tc_hash_state *s, uint64_t seed);
void tc_hash_add(struct tc_hash_state *s, const void *data, size_t bytes);
struct tc_hash128 tc_hash_end128(const struct tc_hash_state *s);

/* 32 lower-case hex digits and a NUL: the high half first, as keys are written for people. */
void tc_hash_hex(struct tc_hash128 h, char ret_hex[33]);

#endif
