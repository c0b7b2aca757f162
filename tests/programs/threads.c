/* Eight threads: all on one key, then each on many; arguments: threads, calls. */
#include <pthread.h>
#include <stdint.h>

#include "body.h"

EXPORTED_TASK(int64_t shared_task(int key, uint8_t *out, size_t n))
{
    int64_t sum = 0;
    body_ran("shared_task");
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(key * 31 + (int)i * 7);
        sum += out[i];
    }
    return sum * 1000 + key;
}

struct job {
    pthread_t thread;
    int number, calls, keys;
    uint64_t sum;
    int wrong;
};

static void *run(void *arg)
{
    struct job *j = arg;

    for (int i = 0; i < j->calls; i++) {
        int key = j->keys == 1 ? 5 : (j->number * 13 + i) % j->keys;
        uint8_t out[100];
        memset(out, 0, sizeof out);
        j->sum = j->sum * 31 + (uint64_t)shared_task(key, out, sizeof out);
        for (int k = 0; k < 100; k++)
            j->wrong += out[k] != (uint8_t)(key * 31 + k * 7);
    }
    return NULL;
}

static void all(int threads, int calls, int keys)
{
    struct job jobs[64];

    for (int i = 0; i < threads; i++) {
        jobs[i] = (struct job){.number = i, .calls = calls, .keys = keys};
        if (pthread_create(&jobs[i].thread, NULL, run, &jobs[i]) != 0)
            exit(1);
    }
    for (int i = 0; i < threads; i++) {
        (void)pthread_join(jobs[i].thread, NULL);
        printf("keys %d thread %d: %016llx, %d wrong\n", keys, i, (unsigned long long)jobs[i].sum,
               jobs[i].wrong);
    }
}

int main(int argc, char **argv)
{
    int threads = (int)argument(argc, argv, 1, 8), calls = (int)argument(argc, argv, 2, 500);

    threads = threads > 64 ? 64 : threads;
    all(threads, calls, 1);
    all(threads, calls, 50);
    return 0;
}
