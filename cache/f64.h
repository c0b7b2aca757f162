/*
 * Floating values as the bit patterns of doubles (IEEE 754 binary64, the psABI's), compared by
 * integer operations alone: the target's exception flags and control words stay as they are.
 *
 * Comparing is exact, with integers too: nothing is rounded on the way. C rounds an integer to the
 * other side's type first, which makes a difference beyond 2^53 (float: 2^24).
 *
 * Can't fail. Freestanding; any thread, any signal context.
 */
#ifndef TC_CACHE_F64_H
#define TC_CACHE_F64_H

#include <stdint.h>

#define TC_F64_SIGN     0x8000000000000000u
#define TC_F64_INFINITE 0x7ff0000000000000u
#define TC_F64_FRACTION 0x000fffffffffffffu
#define TC_F64_ONE      (TC_F64_FRACTION + 1) /* the leading 1 that patterns leave out */
#define TC_F64_BIAS     1023u

/* How a left value stands to a right one: one of the first four. As a set: what a comparison asks
 * for, and which side is an integer. */
enum tc_relation {
    TC_REL_LESS = 1u << 0,
    TC_REL_EQUAL = 1u << 1,
    TC_REL_GREATER = 1u << 2,
    TC_REL_UNORDERED = 1u << 3, /* one of them is a NaN */
    TC_REL_LEFT_INTEGER = 1u << 4,
    TC_REL_RIGHT_INTEGER = 1u << 5,
};

static inline uint64_t tc_f64_magnitude(uint64_t v)
{
    return v & ~(uint64_t)TC_F64_SIGN;
}

static inline int tc_f64_is_nan(uint64_t v)
{
    return tc_f64_magnitude(v) > TC_F64_INFINITE;
}

/* C's `v != 0`. */
static inline int tc_f64_is_true(uint64_t v)
{
    return tc_f64_magnitude(v) != 0;
}

/* The same value as a double. A subnormal float is a normal double. */
static inline uint64_t tc_f64_from_f32(uint32_t v)
{
    uint64_t sign = (uint64_t)(v >> 31) << 63, fraction = v & 0x7fffffu;
    uint64_t exponent = v >> 23 & 0xffu;

    if (exponent == 0xff)
        return sign | TC_F64_INFINITE | fraction << 29;
    if (exponent == 0) {
        unsigned shift;

        if (fraction == 0)
            return sign;
        /* Bring the highest 1 to where a normal float leaves it out. */
        shift = (unsigned)__builtin_clzll(fraction) - 40;
        fraction = fraction << shift & 0x7fffffu;
        exponent = 1 - (uint64_t)shift;
    }
    return sign | (exponent + TC_F64_BIAS - 127) << 52 | fraction << 29;
}

static inline enum tc_relation tc_f64_relation(uint64_t a, uint64_t b)
{
    int64_t x = (int64_t)tc_f64_magnitude(a), y = (int64_t)tc_f64_magnitude(b);

    if (tc_f64_is_nan(a) || tc_f64_is_nan(b))
        return TC_REL_UNORDERED;
    /* Magnitudes are ordered like their patterns, and both zeros are one. */
    x = a & TC_F64_SIGN ? -x : x;
    y = b & TC_F64_SIGN ? -y : y;
    return x == y ? TC_REL_EQUAL : x < y ? TC_REL_LESS : TC_REL_GREATER;
}

/* An integer to a double: to its whole part first, then to what is cut off. */
static inline enum tc_relation tc_f64_relation_int(int64_t a, uint64_t b)
{
    uint64_t magnitude = tc_f64_magnitude(b), digits = (b & TC_F64_FRACTION) | TC_F64_ONE;
    unsigned exponent = (unsigned)(magnitude >> 52);
    int negative = (b & TC_F64_SIGN) != 0;
    int64_t whole = 0;
    uint64_t rest = magnitude;

    if (tc_f64_is_nan(b))
        return TC_REL_UNORDERED;
    if (exponent >= TC_F64_BIAS + 63) {
        /* No int64_t but the least one is that far from 0. */
        if (a == INT64_MIN && negative && magnitude == (uint64_t)(TC_F64_BIAS + 63) << 52)
            return TC_REL_EQUAL;
        return negative ? TC_REL_GREATER : TC_REL_LESS;
    }
    if (exponent >= TC_F64_BIAS + 52) {
        whole = (int64_t)(digits << (exponent - TC_F64_BIAS - 52));
        rest = 0;
    } else if (exponent >= TC_F64_BIAS) {
        unsigned below = 52 - (exponent - TC_F64_BIAS);

        whole = (int64_t)(digits >> below);
        rest = digits & (((uint64_t)1 << below) - 1);
    }
    whole = negative ? -whole : whole;
    if (a != whole)
        return a < whole ? TC_REL_LESS : TC_REL_GREATER;
    return rest == 0 ? TC_REL_EQUAL : negative ? TC_REL_GREATER : TC_REL_LESS;
}

#endif
