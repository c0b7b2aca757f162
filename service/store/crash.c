#include "service/store/internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t inside;
static int guarded_fd = -1;
static char mark[64];

static void on_crash(int signal)
{
    if (inside && guarded_fd >= 0) {
        int fd = openat(guarded_fd, mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0)
            (void)close(fd);
    }
    (void)raise(signal);
}

void tc_crash_guard(int cache_fd, unsigned number)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    struct sigaction a = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};

    guarded_fd = cache_fd;
    (void)snprintf(mark, sizeof mark, "store-%u/damaged", number);
    for (size_t i = 0; i < sizeof signals / sizeof *signals && cache_fd >= 0; i++)
        (void)sigaction(signals[i], &a, NULL);
}

void tc_crash_enter(void)
{
    inside++;
}

void tc_crash_leave(void)
{
    inside--;
}
