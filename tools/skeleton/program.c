/* A program with a slow function, to test the plugin. */
#include <stdio.h>

__attribute__((noinline)) double slow_sum(const double *x, int n)
{
    double sum = 0;

    fputs("computing\n", stderr);
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

int main(void)
{
    const double x[] = {1, 2, 3.5};

    printf("%g\n", slow_sum(x, 3));
    return 0;
}
