/* Threads with the smallest stack, 16 KiB, that call tasks. */
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

int main(void)
{
    for (long i = 0; i < 10; i++)
        printf("thread %ld: %ld\n", i, (long)in_thread(run, (void *)i));
    return 0;
}
