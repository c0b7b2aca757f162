#include "service/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_FILES 65536

extern char **environ;

/* What the service reads itself; nothing that a library would. */
static const char *const kept[] = {
    "HOME",
    "XDG_RUNTIME_DIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "TASKCACHE_DIR",
    "TASKCACHE_CONFIG",
    "CACHE_DIRECTORY",
#ifdef TC_TEST_CLOCK
    "TASKCACHE_CLOCK_FILE",
    "TASKCACHE_TEST_DEADLINE_MS",
    "ASAN_OPTIONS",
    "UBSAN_OPTIONS",
    "LSAN_OPTIONS",
#endif
};

static int is_named(const char *entry, const char *name)
{
    size_t n = strlen(name);

    return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

void tc_daemon_shed_preloads(char **argv)
{
    if (getenv("LD_PRELOAD") == NULL && getenv("LD_AUDIT") == NULL)
        return;
    (void)unsetenv("LD_PRELOAD");
    (void)unsetenv("LD_AUDIT");
    (void)execv("/proc/self/exe", argv);
}

static void clean_environment(void)
{
    char **to = environ;

    for (char **from = environ; from != NULL && *from != NULL; from++) {
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
            if (is_named(*from, kept[i])) {
                *to++ = *from;
                break;
            }
        }
    }
    if (to != NULL)
        *to = NULL;
}

static void clean_signals(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL}, ignored = {.sa_handler = SIG_IGN};
    sigset_t none;

    for (int s = 1; s < NSIG; s++)
        (void)sigaction(s, &usual, NULL);
    (void)sigaction(SIGPIPE, &ignored, NULL);
    (void)sigaction(SIGXFSZ, &ignored, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void raise_limits(void)
{
    static const int which[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_NOFILE};

    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        struct rlimit l;

        if (getrlimit((__rlimit_resource_t)which[i], &l) < 0)
            continue;
        l.rlim_cur = l.rlim_max;
        if (which[i] == RLIMIT_NOFILE && (l.rlim_cur == RLIM_INFINITY || l.rlim_cur > MAX_FILES))
            l.rlim_cur = MAX_FILES;
        (void)setrlimit((__rlimit_resource_t)which[i], &l);
    }
}

/* Numbers below 3 that are free would go to the store's files. */
static void fill_stdio(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd < 3);
    if (fd >= 3)
        (void)close(fd);
}

static void close_range_of(int first, int last)
{
    if (first > last || close_range((unsigned)first, (unsigned)last, 0) == 0)
        return;
    for (int fd = first; fd <= last && fd < MAX_FILES; fd++)
        (void)close(fd);
}

void tc_daemon_clean(int keep_fd)
{
    clean_signals();
    (void)umask(077);
    raise_limits();
    clean_environment();
    if (keep_fd >= 3) {
        close_range_of(3, keep_fd - 1);
        close_range_of(keep_fd + 1, ~0u >> 1);
        (void)fcntl(keep_fd, F_SETFD, FD_CLOEXEC);
    } else {
        close_range_of(3, ~0u >> 1);
    }
    fill_stdio();
}

/* In the first process: passes on what the service says about its start. */
static void await_line(int fd)
{
    char line[1024];
    size_t n = 0;
    ssize_t got;

    while (n < sizeof line - 1 && (got = read(fd, line + n, sizeof line - 1 - n)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        n += (size_t)got;
    }
    line[n] = 0;
    if (strcmp(line, "ok\n") == 0)
        _exit(0);
    (void)fprintf(stderr, "taskcached: %s", n > 0 ? line : "it ended before it was ready\n");
    _exit(1);
}

void tc_daemon_detach(int wait_for, int *ret_ready_fd)
{
    int ends[2] = {-1, -1};
    pid_t child;

    if (wait_for && pipe2(ends, O_CLOEXEC) < 0)
        wait_for = 0;
    child = fork();
    if (child > 0) {
        (void)close(ends[1]);
        if (wait_for)
            await_line(ends[0]);
        _exit(0);
    }
    if (wait_for) {
        (void)close(ends[0]);
        *ret_ready_fd = ends[1];
    }
    /* Without a second process (child < 0) this one goes on as it is. */
    (void)setsid();
}

void tc_daemon_silence(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return;
    for (int i = 0; i < 3; i++)
        (void)dup2(fd, i);
    if (fd > 2)
        (void)close(fd);
}
