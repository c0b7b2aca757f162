/* libslow, and a program that uses it. Each body says on stderr that it ran. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOW __attribute__((noinline)) extern

/* Made by malloc(); `bytes` is the size of all of it. */
typedef struct words {
    size_t bytes;
    char text[][8];
} words;

SLOW double slow_sum(const double *x, int n);
SLOW double slow_forecast(int64_t when);
SLOW words *slow_sort(const words *w);

double slow_sum(const double *x, int n)
{
    double sum = 0;

    fputs("slow_sum\n", stderr);
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

double slow_forecast(int64_t when)
{
    fputs("slow_forecast\n", stderr);
    return (double)(when / 3600 % 24);
}

static int by_length(const void *a, const void *b)
{
    return (int)strlen(a) - (int)strlen(b);
}

words *slow_sort(const words *w)
{
    words *sorted = malloc(w->bytes);

    fputs("slow_sort\n", stderr);
    memcpy(sorted, w, w->bytes);
    qsort(sorted->text, (w->bytes - sizeof *w) / sizeof w->text[0], sizeof w->text[0], by_length);
    return sorted;
}

int main(void)
{
    static const char texts[][8] = {"quick", "brownie", "a", "fox"};
    const double x[] = {1, 2, 3.5};
    words *w = malloc(sizeof *w + sizeof texts), *sorted;

    w->bytes = sizeof *w + sizeof texts;
    memcpy(w->text, texts, sizeof texts);
    printf("%g\n", slow_sum(x, 3));
    printf("%g %g\n", slow_forecast(7200), slow_forecast(7300));
    sorted = slow_sort(w);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        printf("%s\n", sorted->text[i]);
    free(sorted);
    free(w);
    return 0;
}
