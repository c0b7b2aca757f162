#include "preload/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "preload/state.h"

/* After a failure the next attempt waits this long. */
#define BREAKER_NS 1000000000ll
/* For what is sent while the service is late; the kernel gives what it allows (socket(7)). */
#define SEND_BYTES (1 << 20)
/* How often somebody who waits for its turn looks whether it was left. */
#define LOOK_NS    25000000ll

struct tc_link tc_links[TC_MAX_STORAGES];

void tc_link_late(struct tc_link *l)
{
    __atomic_store_n(&l->closed_until_ns, tc_monotonic_ns() + BREAKER_NS, __ATOMIC_RELAXED);
}

int tc_link_is_late(struct tc_link *l, int64_t now_ns)
{
    return now_ns < __atomic_load_n(&l->closed_until_ns, __ATOMIC_RELAXED);
}

/* A service that is late gets results all the same, as long as that takes nobody much time. */
void tc_link_give_up(struct tc_link *l)
{
    __atomic_store_n(&l->given_up_until_ns, tc_monotonic_ns() + BREAKER_NS, __ATOMIC_RELAXED);
}

int tc_link_is_given_up(struct tc_link *l)
{
    return tc_monotonic_ns() < __atomic_load_n(&l->given_up_until_ns, __ATOMIC_RELAXED);
}

/* What has a standard stream's number would be written to by the host. */
static int move_to_high_number(int *fd)
{
    struct rlimit limit;
    long high = 1000;

    if (TC_SYS(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit, 0, 0) == 0 && limit.rlim_cur < 1024)
        high = limit.rlim_cur > 4 ? (long)limit.rlim_cur * 3 / 4 : 3;
    high = TC_SYS(SYS_fcntl, *fd, F_DUPFD_CLOEXEC, high, 0, 0, 0);
    if (high < 0)
        return *fd > 2 ? 0 : -EMFILE;
    tc_sys_close(*fd);
    *fd = (int)high;
    return 0;
}

static int same_uid(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof peer;

    return TC_SYS(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &n, 0) == 0 &&
           peer.uid == tc_state.uid;
}

static int open_link(struct tc_link *l)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct tc_file_id id;
    const int room = SEND_BYTES;
    int fd, r;

    r = tc_socket_path(tc_state.runtime_dir, tc_cache_id_of((uint32_t)(l - tc_links)), a.sun_path,
                       sizeof a.sun_path);
    if (r < 0)
        return r;
    fd =
        (int)TC_SYS(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, 0, 0, 0);
    if (fd < 0)
        return fd;
    TC_SYS(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room, 0);
    r = move_to_high_number(&fd);
    if (r == 0)
        r = (int)TC_SYS(SYS_connect, fd, &a, sizeof a, 0, 0, 0);
    if (r == 0 && !same_uid(fd))
        r = -EACCES;
    if (r == 0)
        r = tc_sys_fd_id(fd, &id, NULL, NULL);
    if (r < 0) {
        tc_sys_close(fd);
        return r;
    }
    tc_under_way_lost(&l->under_way, l->seq);
    l->fd = fd;
    l->has_fd = 1;
    l->dev = id.dev;
    l->ino = id.ino;
    l->greeted = 0;
    return 0;
}

/* Is the number still our socket? */
int tc_link_is_ours(struct tc_link *l)
{
    struct tc_file_id id;

    return l->has_fd && tc_sys_fd_id(l->fd, &id, NULL, NULL) == 0 && id.dev == l->dev &&
           id.ino == l->ino;
}

void tc_link_drop(struct tc_link *l)
{
    if (tc_link_is_ours(l))
        tc_sys_close(l->fd);
    l->has_fd = 0;
    tc_link_late(l);
}

int tc_link_ready(struct tc_link *l)
{
    int r;

    if (tc_link_is_ours(l))
        return 0;
    l->has_fd = 0;
    if (tc_link_is_late(l, tc_monotonic_ns()))
        return -EAGAIN;
    r = open_link(l);
    if (r < 0)
        tc_link_late(l);
    return r;
}

static int is_gone(uint32_t tid)
{
    return TC_SYS(SYS_tgkill, tc_state.pid, tid, 0, 0, 0, 0) == -ESRCH;
}

/* A turn that a cancelled thread or a jump out of a signal handler left never ends by itself: it is
 * over when its thread is gone or has noticed (tc_client_left()), or when it has taken longer than
 * any may. */
static int is_over(struct tc_link *l, uint32_t owner)
{
    int64_t since = __atomic_load_n(&l->locked_ns, __ATOMIC_ACQUIRE);

    return is_gone(owner) ||
           (since != 0 && tc_monotonic_ns() - since > 2 * tc_patient(TC_LONGEST_NS));
}

/* Nobody waits for a turn of its own thread: that is what this one has interrupted. Who waits in
 * vain opens the breaker, so that the next ones don't wait too. A turn that ends wakes the next
 * one; to look by itself is for turns that were left. Many threads that look often would take all
 * the time from the service that they wait for. */
int tc_link_lock(struct tc_link *l, int64_t until_ns)
{
    uint32_t me = (uint32_t)tc_sys_gettid(), owner = 0;

    while (
        !__atomic_compare_exchange_n(&l->lock, &owner, me, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        if (owner == 0 || is_over(l, owner))
            continue; /* takes it over, if it is still the same one's */
        int64_t left = until_ns - tc_monotonic_ns();
        if (owner == me)
            return -EAGAIN;
        if (left <= 0) {
            tc_link_late(l);
            return -ETIMEDOUT;
        }
        struct timespec t = {0, left < LOOK_NS ? left : LOOK_NS};
        __atomic_fetch_add(&l->waiters, 1, __ATOMIC_RELAXED);
        TC_SYS(SYS_futex, &l->lock, FUTEX_WAIT_PRIVATE, owner, &t, 0, 0);
        __atomic_fetch_sub(&l->waiters, 1, __ATOMIC_RELAXED);
        owner = 0;
    }
    __atomic_store_n(&l->locked_ns, tc_monotonic_ns(), __ATOMIC_RELEASE);
    return 0;
}

int tc_link_lock_at_once(struct tc_link *l)
{
    uint32_t free = 0;

    if (!__atomic_compare_exchange_n(&l->lock, &free, (uint32_t)tc_sys_gettid(), 0,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return -EAGAIN;
    __atomic_store_n(&l->locked_ns, tc_monotonic_ns(), __ATOMIC_RELEASE);
    return 0;
}

void tc_link_unlock(struct tc_link *l)
{
    uint32_t me = (uint32_t)tc_sys_gettid();

    __atomic_store_n(&l->locked_ns, 0, __ATOMIC_RELEASE);
    if (__atomic_compare_exchange_n(&l->lock, &me, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        TC_SYS(SYS_futex, &l->lock, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

long tc_link_send(struct tc_link *l, const struct tc_outgoing *m, uint64_t seq)
{
    struct iovec io[3] = {{m->head, m->head_bytes}};
    struct msghdr h = {.msg_iov = io, .msg_iovlen = 1};
    size_t bytes = m->head_bytes;
    union {
        struct cmsghdr head;
        unsigned char room[CMSG_SPACE(sizeof(int))];
    } control;

    for (int i = 0; i < 2; i++) {
        if (m->part_bytes[i] == 0)
            continue;
        io[h.msg_iovlen++] = (struct iovec){(void *)(uintptr_t)m->part[i], m->part_bytes[i]};
        bytes += m->part_bytes[i];
    }
    m->head->magic = TC_WIRE_MAGIC;
    m->head->version = TC_WIRE_VERSION;
    m->head->bytes = (uint32_t)bytes;
    m->head->seq = seq;
    if (m->fd >= 0) {
        memset(&control, 0, sizeof control);
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.head), &m->fd, sizeof(int));
        h.msg_control = &control;
        h.msg_controllen = sizeof control;
    }
    return TC_SYS(SYS_sendmsg, l->fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0, 0);
}

int tc_link_receive(struct tc_link *l, uint64_t seq, int64_t until_ns, struct tc_reply *ret)
{
    for (;;) {
        struct tc_reply reply;
        long n = TC_SYS(SYS_recvfrom, l->fd, &reply, sizeof reply, MSG_DONTWAIT, 0, 0);
        if (n == (long)sizeof reply && reply.head.magic == TC_WIRE_MAGIC &&
            reply.head.type == TC_MSG_REPLY) {
            tc_under_way_answered(&l->under_way, &reply);
            if (reply.head.seq != seq)
                continue; /* late: nobody waits for it any more */
            *ret = reply;
            return 0;
        }
        if (n != -EAGAIN && n != -EINTR)
            return n < 0 ? (int)n : -ENOTCONN;
        int64_t left = until_ns - tc_monotonic_ns();
        if (left <= 0)
            return -ETIMEDOUT;
        struct pollfd p = {.fd = l->fd, .events = POLLIN};
        struct timespec t = {left / 1000000000, left % 1000000000};
        TC_SYS(SYS_ppoll, &p, 1, &t, 0, 0, 0);
        if (!tc_link_is_ours(l)) /* closed meanwhile: the number may be somebody else's by now */
            return -ENOTCONN;
    }
}

/* A full socket or a late answer leaves the connection usable, but the breaker opens; anything else
 * ends it. */
void tc_link_end_badly(struct tc_link *l, int r)
{
    if (r == -EAGAIN || r == -ETIMEDOUT)
        tc_link_late(l);
    else
        tc_link_drop(l);
}

/* Results that nobody waits for may fill the socket; the service reads on meanwhile. */
int tc_link_send_when_possible(struct tc_link *l, const struct tc_outgoing *m, uint64_t seq,
                               int64_t until_ns)
{
    for (;;) {
        long n = tc_link_send(l, m, seq);
        if (n != -EAGAIN || until_ns == 0)
            return n < 0 ? (int)n : 0;
        int64_t left = until_ns - tc_monotonic_ns();
        if (left <= 0)
            return -EAGAIN;
        struct pollfd p = {.fd = l->fd, .events = POLLOUT};
        struct timespec t = {left / 1000000000, left % 1000000000};
        TC_SYS(SYS_ppoll, &p, 1, &t, 0, 0, 0);
        if (!tc_link_is_ours(l))
            return -ENOTCONN;
    }
}
