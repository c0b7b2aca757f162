#include "service/clock.h"

#include <time.h>

#ifdef TC_TEST_CLOCK
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* -1: there is no such file. */
static int64_t from_file(void)
{
    const char *path = getenv("TASKCACHE_CLOCK_FILE");
    char text[32];
    ssize_t n;
    int fd;

    if (path == NULL || path[0] != '/')
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (n <= 0)
        return -1;
    text[n] = 0;
    return strtoll(text, NULL, 10);
}
#endif

int64_t tc_wall_ns(void)
{
    struct timespec t;

#ifdef TC_TEST_CLOCK
    int64_t set = from_file();

    if (set >= 0)
        return set;
#endif
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t tc_monotonic_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t tc_patient_ms(int64_t ms)
{
#ifdef TC_TEST_CLOCK
    const char *text = getenv("TASKCACHE_TEST_DEADLINE_MS");
    int64_t least = text != NULL ? strtoll(text, NULL, 10) : 0;

    if (least > ms)
        return least;
#endif
    return ms;
}
