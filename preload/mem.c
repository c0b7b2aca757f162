/*
 * memcpy and its kin for the code inside the target. The compiler emits calls to them; libc's use
 * AVX, which would destroy the upper halves of registers that callers of local functions may keep
 * live. Hidden, so that the host never sees them.
 */
#include <stddef.h>
#ifdef __x86_64__
#include <emmintrin.h>
#endif

#undef memcpy
#undef memset
#undef memcmp
#undef strlen

#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN void *memcpy(void *restrict to, const void *restrict from, size_t n);
HIDDEN void *memmove(void *to, const void *from, size_t n);
HIDDEN void *memset(void *to, int c, size_t n);
HIDDEN int memcmp(const void *a, const void *b, size_t n);
HIDDEN size_t strlen(const char *s);

typedef unsigned long word __attribute__((may_alias, aligned(1)));
typedef unsigned int half_word __attribute__((may_alias, aligned(1)));

/* From here on `rep movsb` and `rep stosb` win (ERMS); below their start-up costs more than a loop.
 */
#define LONG_COPY 1024
#define LONG_FILL 256

/* Up to 16 bytes: the first and the last ones, which may overlap. */
static inline void copy_short(unsigned char *t, const unsigned char *f, size_t n)
{
    if (n >= 8) {
        word first = *(const word *)f, last = *(const word *)(f + n - 8);
        *(word *)t = first;
        *(word *)(t + n - 8) = last;
    } else if (n >= 4) {
        half_word first = *(const half_word *)f, last = *(const half_word *)(f + n - 4);
        *(half_word *)t = first;
        *(half_word *)(t + n - 4) = last;
    } else if (n != 0) {
        unsigned char middle = f[n / 2], last = f[n - 1];
        t[0] = f[0];
        t[n / 2] = middle;
        t[n - 1] = last;
    }
}

#ifdef __x86_64__
void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *t = to, *end = t + n;
    const unsigned char *f = from;
    __m128i last;

    if (n <= 16) {
        copy_short(t, f, n);
        return to;
    }
    if (n >= LONG_COPY) {
        void *d = to;
        __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
        return to;
    }
    last = _mm_loadu_si128((const __m128i *)(const void *)(f + n - 16));
    for (; end - t > 16; t += 16, f += 16)
        _mm_storeu_si128((__m128i *)(void *)t, _mm_loadu_si128((const __m128i *)(const void *)f));
    _mm_storeu_si128((__m128i *)(void *)(end - 16), last);
    return to;
}
#else
void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;

    for (; n > 16; n -= sizeof(word), t += sizeof(word), f += sizeof(word))
        *(word *)t = *(const word *)f;
    copy_short(t, f, n);
    return to;
}
#endif

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;

    if (t <= f || t >= f + n) {
        for (; n > 0; n--)
            *t++ = *f++;
    } else {
        while (n-- > 0)
            t[n] = f[n];
    }
    return to;
}

void *memset(void *to, int c, size_t n)
{
    const word w = (unsigned char)c * 0x0101010101010101ul;
    unsigned char *t = to;

#ifdef __x86_64__
    if (n >= LONG_FILL) {
        __asm__ volatile("rep stosb" : "+D"(t), "+c"(n) : "a"(c) : "memory");
        return to;
    }
#endif
    for (; n >= sizeof w; n -= sizeof w, t += sizeof w)
        *(word *)t = w;
    while (n-- > 0)
        *t++ = (unsigned char)c;
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

#ifdef __x86_64__
    for (; n >= 16; n -= 16, x += 16, y += 16) {
        __m128i p = _mm_loadu_si128((const __m128i *)(const void *)x);
        __m128i q = _mm_loadu_si128((const __m128i *)(const void *)y);
        if (_mm_movemask_epi8(_mm_cmpeq_epi8(p, q)) != 0xffff)
            break;
    }
#endif
    for (; n >= sizeof(word); n -= sizeof(word), x += sizeof(word), y += sizeof(word))
        if (*(const word *)x != *(const word *)y)
            break;
    for (; n > 0; n--, x++, y++)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}

size_t strlen(const char *s)
{
    const char *p = s;

    while (*p != 0)
        p++;
    return (size_t)(p - s);
}
