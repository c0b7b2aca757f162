/* A program with its own malloc, which calls a task: before main, from inside stdio, from threads.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>

#include "body.h"

#define ARENA_BYTES (64u << 20)

static _Alignas(4096) unsigned char arena[ARENA_BYTES];
static size_t arena_used;
static unsigned allocations;

EXPORTED_TASK(size_t size_class(size_t n))
{
    size_t c = 32;
    body_ran("size_class");
    while (c < n)
        c += c / 2 & ~(size_t)15;
    return c;
}

/* The size lies in front of each block. Blocks aren't used again. */
static void *take(size_t align, size_t n)
{
    size_t bytes = size_class(n % 512 + 1) + n + align;
    size_t at = __atomic_fetch_add(&arena_used, (bytes + 31) & ~(size_t)15, __ATOMIC_RELAXED);
    uintptr_t p = (uintptr_t)arena + at + 16;

    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    if (bytes > ARENA_BYTES || at > ARENA_BYTES - bytes - 32) {
        errno = ENOMEM;
        return NULL;
    }
    p = (p + align - 1) & ~(uintptr_t)(align - 1);
    ((size_t *)p)[-1] = n;
    return (void *)p;
}

void *malloc(size_t n)
{
    return take(16, n);
}

void free(void *p)
{
    (void)p;
}

void *calloc(size_t n, size_t size)
{
    return n != 0 && size > ARENA_BYTES / n ? NULL : take(16, n * size); /* the arena is zero */
}

void *realloc(void *p, size_t n)
{
    void *q = take(16, n);
    if (p != NULL && q != NULL)
        memcpy(q, p, ((size_t *)p)[-1] < n ? ((size_t *)p)[-1] : n);
    return q;
}

void *memalign(size_t align, size_t n)
{
    return take(align < 16 ? 16 : align, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    return memalign(align, n);
}

int posix_memalign(void **ret, size_t align, size_t n)
{
    *ret = memalign(align, n);
    return *ret != NULL ? 0 : ENOMEM;
}

size_t malloc_usable_size(void *p)
{
    return p != NULL ? ((size_t *)p)[-1] : 0;
}

static void *run(void *arg)
{
    uintptr_t sum = 0;
    for (int i = 0; i < 200; i++) {
        char *volatile p = malloc((size_t)(i * 7 + (long)arg));
        p[0] = (char)i;
        sum += (unsigned char)p[0];
        free(p);
    }
    return (void *)sum;
}

int main(void)
{
    pthread_t t[4];
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    for (int i = 0; f != NULL && i < 500; i++)
        (void)fprintf(f, "%d,", i);
    if (f == NULL || fclose(f) != 0)
        return 1;
    printf("%zu bytes, last %.5s\n", n, text + n - 5);
    for (long i = 0; i < 4; i++)
        if (pthread_create(&t[i], NULL, run, (void *)i) != 0)
            return 1;
    for (int i = 0; i < 4; i++) {
        void *sum = NULL;
        (void)pthread_join(t[i], &sum);
        printf("thread %d: %lu\n", i, (unsigned long)(uintptr_t)sum);
    }
    printf("own malloc in use: %s\n", allocations > 800 ? "yes" : "no");
    printf("size_class %zu %zu\n", size_class(100), size_class(100));
    return 0;
}
