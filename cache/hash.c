#include "cache/hash.h"

/* SSE2 at most: what runs in the target may not touch the upper halves of vector registers. */
#define XXH_INLINE_ALL
#define XXH_NO_STDLIB
#define XXH_NO_STREAM_ALLOC
#ifdef __x86_64__
#define XXH_VECTOR 1 /* XXH_SSE2 */
#endif
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include <xxhash.h>
#pragma GCC diagnostic pop

_Static_assert(sizeof(XXH3_state_t) <= sizeof(struct tc_hash_state), "the state must fit");
_Static_assert(_Alignof(XXH3_state_t) <= _Alignof(struct tc_hash_state), "and be aligned");

uint64_t tc_hash64(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}

struct tc_hash128 tc_hash128(const void *data, size_t bytes, uint64_t seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(data, bytes, seed);
    return (struct tc_hash128){.low = h.low64, .high = h.high64};
}

void tc_hash_begin(struct tc_hash_state *s, uint64_t seed)
{
    XXH3_INITSTATE((XXH3_state_t *)(void *)s->opaque);
    (void)XXH3_128bits_reset_withSeed((XXH3_state_t *)(void *)s->opaque, seed);
}

void tc_hash_add(struct tc_hash_state *s, const void *data, size_t bytes)
{
    (void)XXH3_128bits_update((XXH3_state_t *)(void *)s->opaque, data, bytes);
}

struct tc_hash128 tc_hash_end128(const struct tc_hash_state *s)
{
    XXH128_hash_t h = XXH3_128bits_digest((const XXH3_state_t *)(const void *)s->opaque);
    return (struct tc_hash128){.low = h.low64, .high = h.high64};
}

void tc_hash_hex(struct tc_hash128 h, char ret_hex[33])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        ret_hex[i] = digits[h.high >> (60 - 4 * i) & 15];
        ret_hex[16 + i] = digits[h.low >> (60 - 4 * i) & 15];
    }
    ret_hex[32] = 0;
}
