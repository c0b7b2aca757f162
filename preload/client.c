#include "preload/client.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "preload/state.h"

/* After a failure the next attempt waits this long. */
#define BREAKER_NS 1000000000ll
/* No request takes longer. */
#define LONGEST_NS 1000000000ll
/* A turn that only sends takes less, unless its thread has to wait for a processor. */
#define BRIEF_NS   10000000ll
/* For what is sent while the service is late; the kernel gives what it allows (socket(7)). */
#define SEND_BYTES (1 << 20)
/* How often somebody who waits for its turn looks whether it was left. */
#define LOOK_NS    25000000ll

/* One to the service of each storage. */
struct link {
    uint32_t lock;     /* 0 free, else the owner's tid */
    int64_t locked_ns; /* atomic: since when, 0: only just */
    uint32_t waiters;  /* atomic: for a turn; a jump out of waiting leaves one too many */
    int has_fd;        /* 0: `fd` is nothing */
    int fd;
    uint64_t dev, ino;
    int greeted;
    uint64_t seq;
    int64_t closed_until_ns;   /* atomic: no answer is waited for */
    int64_t given_up_until_ns; /* atomic: nor anything else */
    struct tc_under_way under_way;
};

static struct link links[TC_MAX_STORAGES];

static void open_breaker(struct link *l)
{
    __atomic_store_n(&l->closed_until_ns, tc_monotonic_ns() + BREAKER_NS, __ATOMIC_RELAXED);
}

static int breaker_is_open(struct link *l, int64_t now_ns)
{
    return now_ns < __atomic_load_n(&l->closed_until_ns, __ATOMIC_RELAXED);
}

/* A service that is late gets results all the same, as long as that takes nobody much time. */
static void give_up(struct link *l)
{
    __atomic_store_n(&l->given_up_until_ns, tc_monotonic_ns() + BREAKER_NS, __ATOMIC_RELAXED);
}

static int is_given_up(struct link *l)
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

static int open_link(struct link *l)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct tc_file_id id;
    const int room = SEND_BYTES;
    int fd, r;

    r = tc_socket_path(tc_state.runtime_dir, tc_cache_id_of((uint32_t)(l - links)), a.sun_path,
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
static int link_is_ours(struct link *l)
{
    struct tc_file_id id;

    return l->has_fd && tc_sys_fd_id(l->fd, &id, NULL, NULL) == 0 && id.dev == l->dev &&
           id.ino == l->ino;
}

static void drop_link(struct link *l)
{
    if (link_is_ours(l))
        tc_sys_close(l->fd);
    l->has_fd = 0;
    open_breaker(l);
}

static int ready_link(struct link *l)
{
    int r;

    if (link_is_ours(l))
        return 0;
    l->has_fd = 0;
    if (breaker_is_open(l, tc_monotonic_ns()))
        return -EAGAIN;
    r = open_link(l);
    if (r < 0)
        open_breaker(l);
    return r;
}

static int is_gone(uint32_t tid)
{
    return TC_SYS(SYS_tgkill, tc_state.pid, tid, 0, 0, 0, 0) == -ESRCH;
}

/* A turn that a cancelled thread or a jump out of a signal handler left never ends by itself: it is
 * over when its thread is gone or has noticed (tc_client_left()), or when it has taken longer than
 * any may. */
static int is_over(struct link *l, uint32_t owner)
{
    int64_t since = __atomic_load_n(&l->locked_ns, __ATOMIC_ACQUIRE);

    return is_gone(owner) || (since != 0 && tc_monotonic_ns() - since > 2 * tc_patient(LONGEST_NS));
}

/* Nobody waits for a turn of its own thread: that is what this one has interrupted. Who waits in
 * vain opens the breaker, so that the next ones don't wait too. A turn that ends wakes the next
 * one; to look by itself is for turns that were left. Many threads that look often would take all
 * the time from the service that they wait for. */
static int lock_link(struct link *l, int64_t until_ns)
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
            open_breaker(l);
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

static int lock_link_at_once(struct link *l)
{
    uint32_t free = 0;

    if (!__atomic_compare_exchange_n(&l->lock, &free, (uint32_t)tc_sys_gettid(), 0,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return -EAGAIN;
    __atomic_store_n(&l->locked_ns, tc_monotonic_ns(), __ATOMIC_RELEASE);
    return 0;
}

static void unlock_link(struct link *l)
{
    uint32_t me = (uint32_t)tc_sys_gettid();

    __atomic_store_n(&l->locked_ns, 0, __ATOMIC_RELEASE);
    if (__atomic_compare_exchange_n(&l->lock, &me, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        TC_SYS(SYS_futex, &l->lock, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

void tc_client_left(void)
{
    uint32_t me = (uint32_t)tc_sys_gettid();

    for (struct link *l = links; l < links + TC_MAX_STORAGES; l++)
        if (__atomic_load_n(&l->lock, __ATOMIC_RELAXED) == me)
            unlock_link(l);
}

static long send_message(struct link *l, const struct tc_outgoing *m, uint64_t seq)
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

static int receive_reply(struct link *l, uint64_t seq, int64_t until_ns, struct tc_reply *ret)
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
        if (!link_is_ours(l)) /* closed meanwhile: the number may be somebody else's by now */
            return -ENOTCONN;
    }
}

/* A full socket or a late answer leaves the connection usable, but the breaker opens; anything else
 * ends it. */
static void end_badly(struct link *l, int r)
{
    if (r == -EAGAIN || r == -ETIMEDOUT)
        open_breaker(l);
    else
        drop_link(l);
}

/* Results that nobody waits for may fill the socket; the service reads on meanwhile. */
static int send_when_possible(struct link *l, const struct tc_outgoing *m, uint64_t seq,
                              int64_t until_ns)
{
    for (;;) {
        long n = send_message(l, m, seq);
        if (n != -EAGAIN || until_ns == 0)
            return n < 0 ? (int)n : 0;
        int64_t left = until_ns - tc_monotonic_ns();
        if (left <= 0)
            return -EAGAIN;
        struct pollfd p = {.fd = l->fd, .events = POLLOUT};
        struct timespec t = {left / 1000000000, left % 1000000000};
        TC_SYS(SYS_ppoll, &p, 1, &t, 0, 0, 0);
        if (!link_is_ours(l))
            return -ENOTCONN;
    }
}

static int exchange(struct link *l, const struct tc_outgoing *m, int64_t until_ns,
                    struct tc_reply *ret)
{
    uint64_t seq = ret != NULL ? ++l->seq : 0;
    int r = send_when_possible(l, m, seq, tc_under_way_unanswered(&l->under_way) ? until_ns : 0);

    if (r == 0 && ret != NULL)
        r = receive_reply(l, seq, until_ns, ret);
    if (r < 0)
        end_badly(l, r);
    return r;
}

/* In a vfork child memory is the parent's: whatever is done to the connection would be done to the
 * parent's. */
static int may_talk(void)
{
    if (tc_is_sandboxed())
        return -EPERM;
    return tc_sys_getpid() == tc_state.pid ? 0 : -ECHILD;
}

static int say_hello(struct link *l, int64_t until_ns)
{
    struct tc_hello h = {.head.type = TC_MSG_HELLO, .pid = (uint32_t)tc_state.pid};
    const char *config = tc_state.has_far && l == links ? tc_config_str(tc_state.config->path) : "";
    struct tc_outgoing m = {.head = &h.head, .head_bytes = sizeof h, .fd = -1};
    struct tc_reply reply;
    int r;

    memcpy(h.program, tc_state.program, sizeof h.program);
    if (*config != 0) {
        h.config = sizeof h;
        h.id = tc_state.config->id;
        m.part[0] = config;
        m.part_bytes[0] = strlen(config) + 1;
    }
    l->greeted = 1;
    r = exchange(l, &m, until_ns, &reply);
    return r < 0 ? r : reply.status;
}

/* 0: it is this thread's turn, on a connection that was greeted. */
static int take_link(struct link *l, int64_t deadline_ns, int even_so, int64_t *ret_until_ns)
{
    int64_t now = tc_monotonic_ns(), until = now + tc_patient(deadline_ns);
    int r = may_talk();

    if (r < 0)
        return r;
    r = breaker_is_open(l, now) && !even_so ? -EAGAIN : lock_link(l, until);
    if (r < 0)
        return r;
    *ret_until_ns = until;
    r = ready_link(l);
    if (r == 0 && !l->greeted)
        r = say_hello(l, until);
    if (r < 0)
        unlock_link(l);
    return r;
}

static int with_link(struct link *l, const struct tc_outgoing *m, int64_t deadline_ns, int even_so,
                     struct tc_reply *ret)
{
    int64_t until;
    int r = take_link(l, deadline_ns, even_so, &until);

    if (r < 0)
        return r;
    if (m != NULL)
        r = exchange(l, m, until, ret);
    unlock_link(l);
    return r;
}

/* Replies don't pile up, and there is room for one result more. */
static int make_room(struct link *l, int large, int64_t until_ns)
{
    struct tc_reply reply;
    int r = receive_reply(l, UINT64_MAX, 0, &reply);
    uint64_t before = tc_under_way_before(&l->under_way, large);

    if (r == -ETIMEDOUT)
        r = before != 0 ? receive_reply(l, before, until_ns, &reply) : 0;
    return r;
}

/* For a service that is late: into the socket's buffer, with nobody who waits for the answer. The
 * keys that are under way the longest may be forgotten: their calls run again. */
static int send_late(struct link *l, const struct tc_outgoing *m, struct tc_sent *s,
                     int64_t until_ns)
{
    struct tc_reply reply;
    int large = m->fd >= 0, r = receive_reply(l, UINT64_MAX, 0, &reply);

    if (r != -ETIMEDOUT)
        return r;
    if (large && tc_under_way_before(&l->under_way, large) != 0)
        return -EAGAIN;
    s->seq = ++l->seq;
    r = send_when_possible(l, m, s->seq, is_given_up(l) ? 0 : until_ns);
    if (r == -EAGAIN)
        give_up(l);
    else if (r == 0)
        tc_under_way_add(&l->under_way, s, large);
    return r;
}

static int send_ahead(struct link *l, const struct tc_outgoing *m, struct tc_sent *s,
                      int64_t until_ns)
{
    int large = m->fd >= 0, r = make_room(l, large, until_ns);

    s->seq = ++l->seq;
    if (r == 0)
        r = send_when_possible(l, m, s->seq, until_ns);
    if (r == 0)
        tc_under_way_add(&l->under_way, s, large);
    return r;
}

/* What wasn't answered in time was sent all the same. If others wait for their turn, they get half
 * of the time. */
static int send_and_wait(struct link *l, const struct tc_outgoing *m, struct tc_sent *s,
                         int64_t until_ns, struct tc_reply *ret)
{
    int64_t now_ns = tc_monotonic_ns();
    int r;

    s->seq = ++l->seq;
    r = (int)send_message(l, m, s->seq);
    r = r < 0 ? r : receive_reply(l, s->seq, now_ns + (until_ns - now_ns) / 2, ret);
    if (r == -ETIMEDOUT && __atomic_load_n(&l->waiters, __ATOMIC_RELAXED) == 0)
        r = receive_reply(l, s->seq, until_ns, ret);
    if (r != -ETIMEDOUT)
        return r;
    tc_under_way_add(&l->under_way, s, m->fd >= 0);
    open_breaker(l);
    return 0;
}

/* On a turn of this thread. */
static int store(struct link *l, const struct tc_outgoing *m, struct tc_sent *s, int64_t until_ns,
                 struct tc_reply *ret)
{
    int late = breaker_is_open(l, tc_monotonic_ns()), r = ready_link(l);

    if (r == 0 && !l->greeted) {
        r = say_hello(l, late ? 0 : until_ns);
        late |= r == -ETIMEDOUT;
        r = r == -ETIMEDOUT ? 0 : r;
    }
    if (r < 0)
        return r;
    if (!late) {
        r = ret != NULL ? send_and_wait(l, m, s, until_ns, ret) : send_ahead(l, m, s, until_ns);
        late = r == -EAGAIN || r == -ETIMEDOUT;
        if (late)
            open_breaker(l);
    }
    if (late)
        r = send_late(l, m, s, until_ns);
    if (r < 0)
        end_badly(l, r);
    return r;
}

int tc_store(const struct tc_outgoing *m, uint64_t key_low, uint32_t hook,
             struct tc_reply *ret_reply, struct tc_refused *ret_refused)
{
    struct link *l = &links[m->storage];
    struct tc_sent s = {.key_low = key_low, .hook = hook};
    int64_t now = tc_monotonic_ns(), until;
    int r = may_talk();

    *ret_refused = (struct tc_refused){0, 0};
    if (r < 0)
        return r;
    s.patience_ns = m->fd >= 0 ? LONGEST_NS : TC_REPLY_NS;
    until = now + tc_patient(s.patience_ns);
    r = lock_link(l, is_given_up(l) ? now + BRIEF_NS : until);
    if (r == -ETIMEDOUT)
        give_up(l);
    if (r < 0)
        return -EAGAIN;
    r = store(l, m, &s, until, ret_reply);
    *ret_refused = l->under_way.refused;
    l->under_way.refused.reason = 0;
    unlock_link(l);
    return r;
}

int tc_await_sent(uint32_t storage, uint64_t key_low)
{
    struct tc_message ping = {.type = TC_MSG_PING};
    struct tc_outgoing m = {.head = &ping, .head_bytes = sizeof ping, .fd = -1, .storage = storage};
    struct tc_reply reply;
    int64_t patience_ns;

    if (!tc_under_way_find(&links[storage].under_way, key_low, &patience_ns))
        return 0;
    if (patience_ns != 0)
        (void)tc_request(&m, patience_ns, &reply);
    return 1;
}

int tc_request(const struct tc_outgoing *m, int64_t deadline_ns, struct tc_reply *ret_reply)
{
    return with_link(&links[m->storage], m, deadline_ns, 0, ret_reply);
}

int tc_tell(const struct tc_outgoing *m)
{
    return with_link(&links[m->storage], m, TC_REPLY_NS, 0, NULL);
}

int tc_tell_in_any_case(const struct tc_outgoing *m)
{
    return with_link(&links[m->storage], m, TC_REPLY_NS, 1, NULL);
}

void tc_tell_at_once(const struct tc_outgoing *m)
{
    struct link *l = &links[m->storage];
    int64_t now = tc_monotonic_ns();

    if (may_talk() < 0 || breaker_is_open(l, now) || lock_link_at_once(l) < 0)
        return;
    if (l->greeted && link_is_ours(l) && send_message(l, m, 0) == -EPIPE)
        drop_link(l);
    unlock_link(l);
}

int tc_greet(uint32_t storage)
{
    return with_link(&links[storage], NULL, TC_REPLY_NS, 0, NULL);
}

/* The connection is the parent's: this process closes its own copy of the descriptor and opens
 * another when it needs one. */
void tc_client_after_fork(void)
{
    for (struct link *l = links; l < links + TC_MAX_STORAGES; l++) {
        if (link_is_ours(l))
            tc_sys_close(l->fd);
        l->lock = l->waiters = 0;
        l->locked_ns = 0;
        l->has_fd = 0;
        l->greeted = 0;
        l->closed_until_ns = l->given_up_until_ns = 0;
        tc_under_way_lost(&l->under_way, l->seq);
    }
}
