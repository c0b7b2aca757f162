/* libslow, and a program that uses it. Each body says on stderr that it ran. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOW __attribute__((noinline)) extern

struct words {
    struct words *next;
    char *text;
};

SLOW double slow_sum(const double *x, int n);
SLOW int slow_pack(const void *in, size_t n, unsigned char *packed, size_t capacity);
SLOW double slow_forecast(int64_t when);
SLOW struct words *slow_words(const char *text);
SLOW int slow_longest(const struct words *w);

double slow_sum(const double *x, int n)
{
    double sum = 0;

    fputs("slow_sum\n", stderr);
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* Runs of equal bytes as (count, byte). */
int slow_pack(const void *in, size_t n, unsigned char *packed, size_t capacity)
{
    const unsigned char *p = in;
    size_t used = 0;

    fputs("slow_pack\n", stderr);
    for (size_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && run < 255 && p[i + run] == p[i]; run++)
            ;
        if (capacity - used < 2)
            return -1;
        packed[used++] = (unsigned char)run;
        packed[used++] = p[i];
    }
    return (int)used;
}

double slow_forecast(int64_t when)
{
    fputs("slow_forecast\n", stderr);
    return (double)(when / 3600 % 24);
}

struct words *slow_words(const char *text)
{
    struct words *first = NULL, **end = &first;

    fputs("slow_words\n", stderr);
    while (*(text += strspn(text, " ")) != 0) {
        size_t bytes = strcspn(text, " ");
        *end = malloc(sizeof **end);
        **end = (struct words){NULL, strndup(text, bytes)};
        end = &(*end)->next;
        text += bytes;
    }
    return first;
}

int slow_longest(const struct words *w)
{
    size_t longest = 0;

    fputs("slow_longest\n", stderr);
    for (; w != NULL; w = w->next)
        if (strlen(w->text) > longest)
            longest = strlen(w->text);
    return (int)longest;
}

int main(void)
{
    const double x[] = {1, 2, 3.5};
    unsigned char packed[16];
    struct words *w = slow_words("the quick brown fox");

    printf("%g\n", slow_sum(x, 3));
    for (int n = slow_pack("aaaabbc", 7, packed, sizeof packed), i = 0; i < n; i += 2)
        printf("%d%c ", packed[i], packed[i + 1]);
    printf("%g %g\n", slow_forecast(7200), slow_forecast(7300));
    printf("longest %d:", slow_longest(w));
    while (w != NULL) {
        struct words *next = w->next;
        printf(" %s", w->text);
        free(w->text);
        free(w);
        w = next;
    }
    putchar('\n');
    return 0;
}
