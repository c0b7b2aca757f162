/* fib(N) without any table of its own: 2^N/1.4 calls bare, N + 1 with a memo. The inner calls go
 * through a pointer, so that the compiler can't turn them into a loop. Bare, try fib 25. */
#include <stdint.h>

#include "body.h"

uint64_t fib(unsigned n);
static uint64_t (*volatile by_pointer)(unsigned) = fib;

EXPORTED_TASK(uint64_t fib(unsigned n))
{
    body_ran("fib");
    return n < 2 ? n : by_pointer(n - 1) + by_pointer(n - 2);
}

int main(int argc, char **argv)
{
    unsigned n = (unsigned)argument(argc, argv, 1, 80);
    printf("fib %llu\n", (unsigned long long)fib(n));
    return 0;
}
