/* Scalars: exported and static functions, integers of all widths, bool, float, double. Arguments
 * that are given replace the defaults, so that a test can choose the keys. */
#include <stdbool.h>
#include <stdint.h>

#include "body.h"

STATIC_TASK(int add_one(int x))
{
    body_ran("add_one");
    return x + 1;
}

EXPORTED_TASK(double scale(double x, int n))
{
    body_ran("scale");
    return x * n + 0.1;
}

EXPORTED_TASK(float halve(float x))
{
    body_ran("halve");
    return x / 2;
}

EXPORTED_TASK(bool is_even(unsigned x))
{
    body_ran("is_even");
    return x % 2 == 0;
}

EXPORTED_TASK(int64_t mix(int8_t a, uint8_t b, int16_t c, uint16_t d, int64_t e, uint64_t f))
{
    body_ran("mix");
    return a * 3 + b * 5 + c * 7 + d * 11 + e * 13 + (int64_t)(f % 1000003);
}

EXPORTED_TASK(int8_t narrow(int8_t x))
{
    body_ran("narrow");
    return (int8_t)(x - 100);
}

EXPORTED_TASK(unsigned nothing(void))
{
    body_ran("nothing");
    return 4000000000u;
}

EXPORTED_TASK(void silent(int x))
{
    __asm__ volatile("" ::"r"(x)); /* callers of a function that ignores it needn't set it */
    body_ran("silent");
}

int main(int argc, char **argv)
{
    int a = (int)argument(argc, argv, 1, 1);
    int b = (int)argument(argc, argv, 2, 2);

    printf("add_one %d %d %d\n", add_one(a), add_one(a), add_one(b));
    printf("scale %.17g %.17g %.17g\n", scale(a * 1.5, b), scale(a * 1.5, b), scale(-0.0, b));
    printf("halve %.9g %.9g\n", (double)halve((float)a), (double)halve((float)a));
    printf("is_even %d %d\n", is_even((unsigned)a), is_even((unsigned)b));
    printf("mix %lld\n",
           (long long)mix((int8_t)-a, 250, -30000, 65000, INT64_MIN / 16, UINT64_MAX));
    printf("mix %lld\n",
           (long long)mix((int8_t)-a, 250, -30000, 65000, INT64_MIN / 16, UINT64_MAX));
    printf("narrow %d %d\n", narrow((int8_t)-a), narrow((int8_t)-a));
    printf("nothing %u %u\n", nothing(), nothing());
    silent(a);
    silent(a);
    return 0;
}
