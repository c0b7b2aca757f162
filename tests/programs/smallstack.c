/* Threads with the smallest stack, 16 KiB, that call tasks. With the argument `measure` it also
 * prints how many bytes of stack the second call of one key took; that number differs between runs
 * with and without the runtime. */
#include <pthread.h>
#include <stdint.h>

#include "body.h"

EXPORTED_TASK(int64_t small_task(int x, uint8_t *out, size_t n))
{
    body_ran("small_task");
    memset(out, x, n);
    return (int64_t)x * 37;
}

static void *run(void *arg)
{
    uint8_t out[64];
    int64_t sum = 0;

    for (int i = 0; i < 20; i++)
        sum += small_task((int)(long)arg + i % 4, out, sizeof out) + out[63];
    return (void *)sum;
}

#define WATCHED 8192

/* The lowest byte of 8 KiB of stack below the caller that `x`'s call wrote to. */
__attribute__((noinline)) static size_t paint_and_call(int x)
{
    uint8_t out[64];
    volatile unsigned char *top = __builtin_frame_address(0);
    volatile unsigned char *low = (volatile unsigned char *)((uintptr_t)top - WATCHED - 256);
    size_t i = 0;

    for (i = 0; i < WATCHED; i++)
        low[i] = 0xd3;
    (void)small_task(x, out, sizeof out);
    for (i = 0; i < WATCHED && low[i] == 0xd3; i++)
        ;
    return WATCHED + 256 - i;
}

static void *measure(void *arg)
{
    (void)paint_and_call(1);
    *(size_t *)arg = paint_and_call(1);
    return NULL;
}

static void *in_thread(void *(*f)(void *), void *arg)
{
    pthread_t t;
    pthread_attr_t a;
    void *result = NULL;

    (void)pthread_attr_init(&a);
    if (pthread_attr_setstacksize(&a, 16384) != 0 || pthread_create(&t, &a, f, arg) != 0)
        exit(1);
    (void)pthread_join(t, &result);
    return result;
}

int main(int argc, char **argv)
{
    for (long i = 0; i < 10; i++)
        printf("thread %ld: %ld\n", i, (long)in_thread(run, (void *)i));
    if (argc > 1 && strcmp(argv[1], "measure") == 0) {
        size_t used = 0;
        (void)in_thread(measure, &used);
        printf("stack %zu\n", used);
    }
    return 0;
}
