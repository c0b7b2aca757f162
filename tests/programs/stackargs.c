/* Arguments in registers and on the stack: ten integers of all widths and ten floating ones; with
 * garbage in the upper halves of their slots, which the psABI leaves undefined, the key is the
 * same. */
#include <stdint.h>

#include "body.h"

EXPORTED_TASK(double many_args(int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f,
                               int8_t g, uint8_t h, int32_t i, int64_t j, double p, double q,
                               float r, double s, double t, double u, double v, float w, double x,
                               float y))
{
    body_ran("many_args");
    return a + b * 2.0 + c * 3.0 + d * 4.0 + e * 5.0 + f * 6.0 + g * 7.0 + h * 8.0 + i * 9.0 +
           (double)j * 10.0 + p + q * 2 + (double)r * 3 + s * 4 + t * 5 + u * 6 + v * 7 +
           (double)w * 8 + x * 9 + (double)y * 10;
}

EXPORTED_TASK(int64_t on_stack(int a, int b, int c, int d, int e, int f, int g, int64_t h, int i))
{
    body_ran("on_stack");
    return a + b * 2 + c * 3 + d * 5 + e * 7 + f * 11 + g * 13 + h * 17 + i * 19;
}

/* The same function, as a caller sees it who fills whole slots. */
typedef int64_t wide(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f, int64_t g,
                     int64_t h, int64_t i);

static int64_t dirty(int32_t v, unsigned round)
{
    return (int64_t)((uint64_t)(0xdead0000u + round * 77u) << 32 | (uint32_t)v);
}

int main(void)
{
    int64_t (*volatile as_declared)(int, int, int, int, int, int, int, int64_t, int) = on_stack;
    wide *whole_slots = NULL;
    void *address = NULL;

    for (int k = 0; k < 2; k++)
        for (int y = 0; y < 3; y++)
            printf("many_args %.17g\n",
                   many_args(-100, 250, -30000, 65000, -2000000000, 4000000000u, -128, 255, 7 + y,
                             -123456789012, 0.5, -1.25, 2.5f, 1e10, -0.0, 3.5, 1.0 / 3, 9.75f, -7.5,
                             (float)y * 0.25f));
    memcpy(&address, (const void *)&as_declared, sizeof address);
    memcpy(&whole_slots, &address, sizeof whole_slots);
    for (unsigned k = 0; k < 3; k++)
        printf("on_stack %lld %lld\n", (long long)as_declared(-1, 2, -3, 4, -5, 6, -7, -8, 9),
               (long long)whole_slots(dirty(-1, k), dirty(2, k), dirty(-3, k), dirty(4, k),
                                      dirty(-5, k), dirty(6, k), dirty(-7, k), -8, dirty(9, k)));
    return 0;
}
