/*
 * memcpy and its kin for the code inside the target. The compiler emits calls to them; libc's use
 * AVX, which would destroy the upper halves of registers that callers of local functions may keep
 * live. Hidden, so that the host never sees them.
 */
#include <stddef.h>

#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN void *memcpy(void *restrict to, const void *restrict from, size_t n);
HIDDEN void *memmove(void *to, const void *from, size_t n);
HIDDEN void *memset(void *to, int c, size_t n);
HIDDEN int memcmp(const void *a, const void *b, size_t n);
HIDDEN size_t strlen(const char *s);

typedef unsigned long word __attribute__((may_alias, aligned(1)));

/* Above this `rep movsb` wins (ERMS); below its start-up costs more than words. */
#define LONG_COPY 512

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;

#ifdef __x86_64__
    if (n >= LONG_COPY) {
        void *d = to;
        __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
        return to;
    }
#endif
    for (; n >= sizeof(word); n -= sizeof(word), t += sizeof(word), f += sizeof(word))
        *(word *)t = *(const word *)f;
    for (; n > 0; n--)
        *t++ = *f++;
    return to;
}

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
    unsigned char *t = to;

#ifdef __x86_64__
    __asm__ volatile("rep stosb" : "+D"(t), "+c"(n) : "a"(c) : "memory");
#else
    while (n-- > 0)
        *t++ = (unsigned char)c;
#endif
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

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
