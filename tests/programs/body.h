/*
 * What the programs in this folder share. A task's body calls body_ran(), which appends the task's
 * name to the file that BODY_LOG names: the file says how often bodies ran, and stdout, which must
 * be the same with and without a cache, says nothing of it. errno is kept. May be called from any
 * thread and signal handler.
 */
#ifndef TESTS_PROGRAMS_BODY_H
#define TESTS_PROGRAMS_BODY_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Functions that can be tasks: compiled once, as declared, called and not inlined. */
#if defined(__GNUC__) && !defined(__clang__)
#define TASK_ATTRIBUTES __attribute__((noinline, noclone, used))
#else
#define TASK_ATTRIBUTES __attribute__((noinline, used))
#endif
#define STATIC_TASK(declaration) TASK_ATTRIBUTES static declaration
#define EXPORTED_TASK(declaration) \
    declaration;                   \
    TASK_ATTRIBUTES declaration

static inline void body_write(int fd, const char *task)
{
    char line[64];
    size_t n = strlen(task);

    if (n > sizeof line - 1)
        n = sizeof line - 1;
    memcpy(line, task, n);
    line[n] = '\n';
    if (write(fd, line, n + 1) < 0)
        _exit(99);
}

static inline void body_ran(const char *task)
{
    int saved = errno;
    const char *path = getenv("BODY_LOG");
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

    if (fd >= 0) {
        body_write(fd, task);
        (void)close(fd);
    }
    errno = saved;
}

/* For bodies that may make no call: count, and write so many lines at the end. */
static inline void body_ran_times(const char *task, unsigned times)
{
    while (times-- > 0)
        body_ran(task);
}

static inline void print_hex(const char *what, const void *bytes, size_t n)
{
    printf("%s:", what);
    for (size_t i = 0; i < n; i++)
        printf(" %02x", ((const unsigned char *)bytes)[i]);
    printf("\n");
}

static inline long argument(int argc, char **argv, int i, long otherwise)
{
    return i < argc ? strtol(argv[i], NULL, 0) : otherwise;
}

#endif
