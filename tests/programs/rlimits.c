/* Low limits, each in a process of its own: `as`, `fsize`, `nofile`, `nproc`, `memlock`. Results of
 * 1 MiB are too large for some. Without an argument: all of them, one after the other. */
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "body.h"

#define BIG (1u << 20)

static uint8_t buffer[BIG];

EXPORTED_TASK(int64_t limited_task(int x, uint8_t *out, size_t n))
{
    int64_t sum = 0;
    body_ran("limited_task");
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(i * (size_t)(x + 3) >> 7);
        sum += out[i];
    }
    return sum;
}

static long size_pages(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0;
    if (f == NULL || fscanf(f, "%ld", &pages) != 1)
        exit(1);
    (void)fclose(f);
    return pages;
}

static void lower(int what, rlim_t to)
{
    struct rlimit l;
    if (getrlimit(what, &l) != 0)
        exit(1);
    l.rlim_cur = to;
    if (setrlimit(what, &l) != 0)
        exit(1);
}

static void set_limit(const char *mode)
{
    if (strcmp(mode, "as") == 0)
        lower(RLIMIT_AS, (rlim_t)(size_pages() + 16) * 4096);
    else if (strcmp(mode, "fsize") == 0)
        lower(RLIMIT_FSIZE, 65536);
    else if (strcmp(mode, "nofile") == 0)
        lower(RLIMIT_NOFILE, 4);
    else if (strcmp(mode, "nproc") == 0)
        lower(RLIMIT_NPROC, 1);
    else if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        lower(RLIMIT_MEMLOCK, 0); /* not allowed to lock: that is a limit as well */
}

/* Keys are of this mode alone, so that each mode has its own misses. */
static int run(const char *mode)
{
    int key = mode[0] * 256 + mode[1];
    int64_t sum = limited_task(key, buffer, 4096);

    set_limit(mode);
    for (int i = 0; i < 3; i++) {
        memset(buffer, 0xcc, sizeof buffer);
        sum = sum * 3 + limited_task(key, buffer, 4096);
        sum = sum * 3 + limited_task(key + 1, buffer, 2000) + buffer[1999] + buffer[2000];
        sum = sum * 3 + limited_task(key + 2, buffer, BIG) + buffer[BIG - 1];
    }
    printf("%s %lld\n", mode, (long long)sum);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"as", "fsize", "nofile", "nproc", "memlock"};

    if (argc > 1)
        return run(argv[1]);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
            (void)execl("/proc/self/exe", argv[0], modes[i], (char *)NULL);
            _exit(126);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            return 1;
        if (status != 0)
            printf("%s: status %#x\n", modes[i], (unsigned)status);
        (void)fflush(stdout);
    }
    return 0;
}
