/*
 * BLAKE2s-256 with a key (RFC 7693): for what must not be guessed from its digest without the key.
 * Freestanding; any context; 300 bytes of stack.
 */
#ifndef TC_CACHE_BLAKE2S_H
#define TC_CACHE_BLAKE2S_H

#include <stddef.h>

#define TC_BLAKE2S_BYTES     32u
#define TC_BLAKE2S_KEY_BYTES 32u /* at most; 0: without a key */

void tc_blake2s(const void *key, size_t key_bytes, const void *data, size_t bytes,
                unsigned char ret[TC_BLAKE2S_BYTES]);

#endif
