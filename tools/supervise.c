#include "tools/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const int passed_on[] = {SIGINT,  SIGTERM,  SIGHUP,  SIGQUIT, SIGUSR1,
                                SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT};

struct watch {
    pid_t child;
    sigset_t before;
    struct sigaction child_before;
};

/* Blocked, not handled: they wait for sigwaitinfo(), none is lost. Blocked signals are queued even
 * where they are ignored (under nohup). */
static void block_signals(struct watch *w, sigset_t *ret_set)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigemptyset(ret_set);
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        sigaddset(ret_set, passed_on[i]);
    sigaddset(ret_set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, ret_set, &w->before);
    /* Were it ignored, there would be nobody to wait for. */
    (void)sigaction(SIGCHLD, &standard, &w->child_before);
}

static void follow_stop(const struct watch *w)
{
    (void)raise(SIGSTOP);
    /* Here somebody has continued us. */
    (void)kill(w->child, SIGCONT);
}

/* True: it has ended. */
static bool reap(const struct watch *w, int *ret_wait_status)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(w->child, &status, WNOHANG | WUNTRACED);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid != w->child)
            return false;
        if (!WIFSTOPPED(status)) {
            *ret_wait_status = status;
            return true;
        }
        follow_stop(w);
    }
}

static void pass_on(const struct watch *w, const siginfo_t *info)
{
    /* What the program sends to its parent isn't meant for itself. */
    bool sent_to_us = info->si_code <= 0 && info->si_pid != w->child;
    if (sent_to_us)
        (void)kill(w->child, info->si_signo);
}

int tc_supervise(void (*become)(void *ctx), void *ctx, int *ret_wait_status)
{
    struct watch w = {0};
    sigset_t set;
    block_signals(&w, &set);
    w.child = fork();
    if (w.child < 0) {
        int error = errno;
        (void)sigprocmask(SIG_SETMASK, &w.before, NULL);
        return -error;
    }
    if (w.child == 0) {
        (void)sigaction(SIGCHLD, &w.child_before, NULL);
        (void)sigprocmask(SIG_SETMASK, &w.before, NULL);
        become(ctx);
        _exit(125);
    }
    for (;;) {
        siginfo_t info;
        if (sigwaitinfo(&set, &info) < 0)
            continue;
        if (info.si_signo != SIGCHLD)
            pass_on(&w, &info);
        else if (reap(&w, ret_wait_status))
            return 0;
    }
}

int tc_end_as(int wait_status)
{
    if (!WIFSIGNALED(wait_status))
        return WEXITSTATUS(wait_status);
    int sig = WTERMSIG(wait_status);
    struct rlimit none = {0, 0};
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t set;
    (void)setrlimit(RLIMIT_CORE, &none);
    /* A core pattern that is a pipe disregards the limit. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)sigaction(sig, &standard, NULL);
    sigemptyset(&set);
    sigaddset(&set, sig);
    (void)kill(getpid(), sig);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    return 128 + sig;
}
