/* Threads that end by the thousand, each after a few calls; up to 300 at a time. What they leave
 * behind in memory must not grow. Arguments: threads (3000), at a time (300). */
#include <pthread.h>

#include "body.h"

EXPORTED_TASK(int brief_task(int x))
{
    body_ran("brief_task");
    return x * 41;
}

static pthread_barrier_t barrier;

static void *run(void *arg)
{
    long sum = 0;
    for (int i = 0; i < 4; i++)
        sum += brief_task((int)((long)arg + i) % 10);
    (void)pthread_barrier_wait(&barrier); /* all at once */
    return (void *)sum;
}

static long batch(long first, long n)
{
    pthread_t t[300];
    long sum = 0;

    (void)pthread_barrier_init(&barrier, NULL, (unsigned)n);
    for (long i = 0; i < n; i++)
        if (pthread_create(&t[i], NULL, run, (void *)(first + i)) != 0)
            exit(1);
    for (long i = 0; i < n; i++) {
        void *one = NULL;
        (void)pthread_join(t[i], &one);
        sum += (long)one;
    }
    (void)pthread_barrier_destroy(&barrier);
    return sum;
}

static long mappings(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    long lines = 0;
    for (int c = 0; f != NULL && (c = getc(f)) != EOF;)
        lines += c == '\n';
    if (f != NULL)
        (void)fclose(f);
    return lines;
}

int main(int argc, char **argv)
{
    long threads = argument(argc, argv, 1, 3000), at_a_time = argument(argc, argv, 2, 300);
    long sum = 0, before = 0;

    at_a_time = at_a_time < 1 || at_a_time > 300 ? 300 : at_a_time;
    for (long i = 0; i < threads; i += at_a_time) {
        sum += batch(i, at_a_time);
        if (i == 0)
            before = mappings();
    }
    printf("sum %ld, mappings grew: %s\n", sum, mappings() > before + 50 ? "yes" : "no");
    return 0;
}
