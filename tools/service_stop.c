#include "tools/service_stop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "cache/other_service.h"

/* What it has to hand on, to tell and to carry out before it ends takes 7 s at most, beside what
 * the disk takes (docs/service.md, "Life"). */
#define STOP_MS 10000
#define TICK_US 100000

static int left_ms(int64_t end)
{
    int64_t left = end - tc_monotonic_ms();
    return left > 0 ? (int)left : 0;
}

/* `pid` 0: not known. */
static int it_stays(const struct tc_session *s, pid_t pid, int e, struct tc_cause *ret)
{
    if (e != -ETIMEDOUT)
        return tc_cause_set(ret, -e, TC_R_SERVICE_STAYS, s->cache,
                            "the service can't be told to end: %s", strerror(-e));
    if (pid <= 0)
        return tc_cause_set(ret, -e, TC_R_SERVICE_STAYS, s->cache, NULL);
    return tc_cause_set(ret, -e, TC_R_SERVICE_STAYS, s->cache,
                        "the service, process %ld, hasn't ended within %d s", (long)pid,
                        STOP_MS / 1000);
}

/* 0: one of `events`, or the other end is gone. */
static int await(int fd, short events, int64_t end)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;
    do
        n = poll(&p, 1, left_ms(end));
    while (n < 0 && errno == EINTR);
    return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

/* -1: none, as in a kernel before 5.3, or of a process in another namespace. */
static int pidfd_of(pid_t pid)
{
    return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

static pid_t peer_of(int fd)
{
    struct ucred peer = {.pid = 0};
    socklen_t bytes = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 ? peer.pid : 0;
}

/* Its connection to who told it to end is what it closes last; then only its process has to go.
 * 0; -EAGAIN: it was ending already, by itself. */
static int stop_ours(struct tc_session *s, int64_t end, struct tc_cause *ret_cause)
{
    struct tc_message m;
    struct tc_reply reply;
    pid_t pid = peer_of(s->client.fd);
    TC_CLEANUP(tc_close_fd) int pidfd = pidfd_of(pid);
    /* Who answers after that was alive all the time: the descriptor is its own. */
    int r = tc_client_request(&s->client, &m, TC_MSG_QUIT, sizeof m, left_ms(end), &reply);
    if (r == 0)
        r = await(s->client.fd, 0, end);
    if (r == 0 && pidfd >= 0)
        r = await(pidfd, POLLIN, end);
    tc_client_close(&s->client);
    if (r == -ECONNRESET || r == -EPIPE)
        return -EAGAIN;
    return r < 0 ? it_stays(s, pid, r, ret_cause) : 0;
}

/* One of another version has other messages, but ends on a signal like any. */
static int stop_other(const struct tc_session *s, pid_t pid, int64_t end,
                      struct tc_cause *ret_cause)
{
    TC_CLEANUP(tc_close_fd) int fd = pidfd_of(pid);
    if (fd < 0)
        return errno == ESRCH ? -EAGAIN : it_stays(s, pid, -errno, ret_cause);
    /* Whoever has the pid now is who listens there. */
    if (tc_other_service(s->runtime, s->id) != pid)
        return -EAGAIN;
    if (kill(pid, SIGTERM) < 0)
        return it_stays(s, pid, -errno, ret_cause);
    int r = await(fd, POLLIN, end);
    return r < 0 ? it_stays(s, pid, r, ret_cause) : 0;
}

static void on_tick(int sig)
{
    (void)sig;
}

/* Waits for the lock for a while. -EAGAIN: somebody has it. flock() has no deadline but a signal;
 * one that came too early comes again. */
static int lock_for_a_tick(int fd)
{
    static const struct itimerval none, tick = {{0, TICK_US}, {0, TICK_US}};
    struct sigaction ours = {.sa_handler = on_tick}, before;
    sigset_t alarm, mask;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    (void)sigaction(SIGALRM, &ours, &before);
    (void)sigprocmask(SIG_UNBLOCK, &alarm, &mask);
    (void)setitimer(ITIMER_REAL, &tick, NULL);
    int r = flock(fd, LOCK_SH) < 0 ? -EAGAIN : 0;
    (void)setitimer(ITIMER_REAL, &none, NULL);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    (void)sigaction(SIGALRM, &before, NULL);
    return r;
}

/* A service that is starting or ending doesn't listen, but has the cache's lock, until its process
 * is gone. 1: there is one; 0: there was one, until now; -ENOENT: there is none. */
static int is_locked(const struct tc_session *s)
{
    char path[TC_PATH_BYTES];
    if (tc_join(path, sizeof path, s->cache, "/lock", NULL, NULL) < 0)
        return -ENOENT;
    TC_CLEANUP(tc_close_fd) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return -ENOENT;
    return lock_for_a_tick(fd) < 0;
}

/* 1, 0 and errors: as tc_service_stop(); -EAGAIN: look again. */
static int try_stop(struct tc_session *s, int64_t end, struct tc_cause *ret_cause)
{
    int r = tc_session_connect(s);
    if (r == 0)
        r = stop_ours(s, end, ret_cause);
    else if (r == -EPERM)
        return it_stays(s, 0, r, ret_cause);
    else {
        pid_t other = tc_other_service(s->runtime, s->id);
        if (other <= 0)
            return is_locked(s) == -ENOENT ? 0 : -EAGAIN;
        r = stop_other(s, other, end, ret_cause);
    }
    return r == 0 ? 1 : r;
}

int tc_service_stop(struct tc_session *s, struct tc_cause *ret_cause)
{
    int64_t end = tc_monotonic_ms() + STOP_MS;
    bool seen = false;
    while (*s->id) {
        int r = try_stop(s, end, ret_cause);
        if (r != -EAGAIN)
            return r == 0 ? seen : r;
        seen = true;
        if (left_ms(end) == 0)
            return it_stays(s, 0, -ETIMEDOUT, ret_cause);
    }
    return 0;
}
