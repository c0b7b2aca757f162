/*
 * What the programs of bench/ share: a clock, and samples written as lines "NAME NS NS NS ...",
 * one number for each round. bench/run reads them; numbers in the same place of two lines were
 * taken one right after the other.
 */
#ifndef TC_BENCH_H
#define TC_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A function that stays a function: one body, called by address alone. */
#define BENCH_FUNCTION __attribute__((noinline, noclone, noipa, visibility("default")))
#ifdef __clang__
#undef BENCH_FUNCTION
#define BENCH_FUNCTION __attribute__((noinline, visibility("default")))
#endif

/* Of all series together. */
#define BENCH_ROUNDS 4096u

struct bench_series {
    const char *name;
    unsigned count;
    double ns[BENCH_ROUNDS];
};

static inline double bench_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* One round's time, per call. */
static inline void bench_add(struct bench_series *s, double since, unsigned calls)
{
    double ns = (bench_now() - since) / calls;

    if (s->count < BENCH_ROUNDS)
        s->ns[s->count++] = ns;
}

static inline void bench_print(const struct bench_series *s)
{
    (void)fputs(s->name, stdout);
    for (unsigned i = 0; i < s->count; i++)
        (void)printf(" %.1f", s->ns[i]);
    (void)putchar('\n');
}

static inline void *bench_memory(size_t bytes)
{
    unsigned char *p = malloc(bytes);

    if (p == NULL)
        abort();
    for (size_t i = 0; i < bytes; i++)
        p[i] = (unsigned char)(i * 131 + (i >> 12));
    return p;
}

static inline unsigned bench_number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

/* Ends the program unless the bodies ran as often as they should have. */
static inline void bench_expect(const char *what, unsigned long got, unsigned long expected)
{
    if (got == expected)
        return;
    (void)fprintf(stderr, "%s: the body ran %lu times, not %lu\n", what, got, expected);
    exit(1);
}

#endif
