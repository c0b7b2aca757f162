#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cache/other_service.h"
#include "service/clock.h"
#include "service/service.h"

/* A service that begins or leaves holds the lock without answering: so long it is waited for. Its
 * end takes 7 s at most, beside what the disk takes. */
#define PATIENCE_MS 8000
#define RETRY_US    20000

/* flock() belongs to the open file: a child that inherits it closes it, and the kernel lets go of
 * it however we end. */
static int try_lock(struct tc_service *s)
{
    int fd = openat(s->dirs.cache_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat ours, there;

    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int error = errno;
        (void)close(fd);
        return -error;
    }
    if (fstat(fd, &ours) < 0 ||
        fstatat(s->dirs.cache_fd, "lock", &there, AT_SYMLINK_NOFOLLOW) < 0 ||
        ours.st_ino != there.st_ino) {
        (void)close(fd);
        return -EWOULDBLOCK;
    }
    s->lock_fd = fd;
    s->lock_ino = ours.st_ino;
    return 0;
}

static int ping(int fd)
{
    struct tc_message m = {.magic = TC_WIRE_MAGIC,
                           .version = TC_WIRE_VERSION,
                           .type = TC_MSG_PING,
                           .bytes = sizeof m,
                           .seq = 1};
    struct timeval patience = {.tv_sec = 1};
    struct tc_reply reply;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (send(fd, &m, sizeof m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return 0;
    return recv(fd, &reply, sizeof reply, 0) == (ssize_t)sizeof reply && reply.status == 0;
}

/* Does another service answer at our socket? */
static int answers(const struct tc_service *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char near[64];
    int fd, r = 0;

    (void)snprintf(near, sizeof near, "/proc/self/fd/%d", s->dirs.runtime_fd);
    if (tc_socket_path(near, s->dirs.id, a.sun_path, sizeof a.sun_path) < 0)
        return 0;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        r = ping(fd);
    (void)close(fd);
    return r;
}

int tc_instance_take(struct tc_service *s, struct tc_failure *f)
{
    int64_t until = tc_monotonic_ms() + PATIENCE_MS;
    pid_t other;
    int r;

    for (;;) {
        r = try_lock(s);
        if (r == 0)
            return 1;
        if (r != -EWOULDBLOCK)
            return tc_fail(f, TC_R_SERVICE_FAILED, -r, "%s/lock: %s", s->dirs.cache, strerror(-r));
        if (answers(s))
            return 0;
        other = tc_other_service(s->dirs.runtime, s->dirs.id);
        if (other > 0)
            return tc_fail(f, TC_R_SERVICE_VERSION, EBUSY,
                           "%s: another version of taskcache serves it, as process %ld",
                           s->dirs.cache, (long)other);
        if (tc_monotonic_ms() >= until)
            return tc_fail(f, TC_R_SERVICE_FAILED, EBUSY,
                           "another service holds %s/lock and doesn't answer in %s", s->dirs.cache,
                           s->dirs.runtime);
        (void)usleep(RETRY_US);
    }
}

int tc_instance_is_ours(const struct tc_service *s)
{
    struct stat st;

    return fstatat(s->dirs.cache_fd, "lock", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_ino == s->lock_ino;
}
