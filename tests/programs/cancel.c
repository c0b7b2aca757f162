/* Threads that end inside a task: cancelled while they wait in it, cancelled asynchronously, by
 * pthread_exit; with cleanup handlers. The task goes on to work afterwards. */
#include <pthread.h>
#include <semaphore.h>

#include "body.h"

static sem_t inside;

static void cleanup(void *arg)
{
    __atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static int cleanups;

/* x 1: waits for ever; 2: spins for ever; 3: leaves by pthread_exit; else returns. */
EXPORTED_TASK(int ends_here(int x))
{
    int result = x * 7;
    body_ran("ends_here");
    pthread_cleanup_push(cleanup, &cleanups);
    if (x >= 1 && x <= 2)
        (void)sem_post(&inside);
    if (x == 1)
        for (;;)
            (void)pause();
    if (x == 2) {
        int old = 0;
        (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
        for (;;)
            __asm__ volatile("" ::: "memory");
    }
    if (x == 3)
        pthread_exit((void *)(long)33);
    pthread_cleanup_pop(0);
    return result;
}

static void *run(void *arg)
{
    return (void *)(long)ends_here((int)(long)arg);
}

static void one(int x)
{
    pthread_t t;
    void *result = NULL;

    if (pthread_create(&t, NULL, run, (void *)(long)x) != 0)
        exit(1);
    if (x == 1 || x == 2) {
        (void)sem_wait(&inside);
        (void)pthread_cancel(t);
    }
    (void)pthread_join(t, &result);
    if (result == PTHREAD_CANCELED)
        printf("%d: cancelled\n", x);
    else
        printf("%d: %ld\n", x, (long)result);
}

int main(void)
{
    (void)sem_init(&inside, 0, 0);
    for (int round = 0; round < 5; round++)
        for (int x = 1; x <= 4; x++)
            one(x);
    printf("cleanups %d\n", cleanups);
    printf("main %d %d\n", ends_here(4), ends_here(5));
    return 0;
}
