/*
 * Bit-fields in memory, by the psABI: the first bit is a byte's lowest. Freestanding; any context.
 * Only the bytes that hold the field are touched.
 */
#ifndef TC_CACHE_BITS_H
#define TC_CACHE_BITS_H

#include <stdint.h>

#include "cache/expr.h"

static inline int tc_bits_ok(uint32_t first, uint32_t bits, uint8_t type)
{
    return first < 8 && bits >= 1 && type != TC_VOID && type <= TC_BOOL &&
           bits <= 8 * tc_scalar_bytes(type);
}

static inline uint64_t tc_bits_mask(uint32_t bits)
{
    return bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
}

/* The value, extended to 64 bits as its type says. */
static inline uint64_t tc_bits_get(const unsigned char *at, uint32_t first, uint32_t bits,
                                   uint8_t type)
{
    uint32_t bytes = (first + bits + 7) / 8;
    unsigned __int128 all = 0;
    uint64_t v;

    for (uint32_t i = 0; i < bytes; i++)
        all |= (unsigned __int128)at[i] << 8 * i;
    v = (uint64_t)(all >> first) & tc_bits_mask(bits);
    if (type <= TC_I64 && bits < 64 && v >> (bits - 1))
        v |= ~tc_bits_mask(bits);
    return v;
}

static inline void tc_bits_put(unsigned char *at, uint32_t first, uint32_t bits, uint64_t value)
{
    uint32_t bytes = (first + bits + 7) / 8;
    unsigned __int128 mask = (unsigned __int128)tc_bits_mask(bits) << first;
    unsigned __int128 field = (unsigned __int128)(value & tc_bits_mask(bits)) << first;

    for (uint32_t i = 0; i < bytes; i++)
        at[i] = (unsigned char)((at[i] & ~(unsigned char)(mask >> 8 * i)) |
                                (unsigned char)(field >> 8 * i));
}

#endif
