#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "service/clock.h"
#include "service/service.h"

#define MESSAGES_A_ROUND 64 /* of one connection */
/* More than a socket's buffer holds: what was in it when a greeting came is through by then. */
#define MESSAGES_BEFORE  4096u
#define BACKLOG          512
#define DEAF_MS          200

static int watch(struct tc_service *s, int fd, uint32_t events, struct tc_source *source)
{
    struct epoll_event e = {.events = events, .data.ptr = source};

    return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

/* Closing isn't enough: what is watched lives as long as anybody has a copy of the descriptor, as a
 * transaction has of its process', and tells about memory that is gone. */
static void unwatch(const struct tc_service *s, int fd)
{
    if (fd >= 0)
        (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void free_connection(const struct tc_service *s, struct tc_connection *c)
{
    unwatch(s, c->fd);
    unwatch(s, c->pidfd);
    tc_connection_free(c);
}

/* Bound under another name and renamed, so that whoever finds it can connect. The directory goes
 * by its descriptor: a socket's name has 107 bytes at most. */
static int bind_socket(struct tc_service *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char near[64], final[TC_PATH_BYTES];
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, n;

    if (fd < 0)
        return -errno;
    (void)snprintf(near, sizeof near, "/proc/self/fd/%d", s->dirs.runtime_fd);
    n = snprintf(a.sun_path, sizeof a.sun_path, "%s/%s.%ld.tmp", near, s->dirs.id, (long)getpid());
    if (n >= (int)sizeof a.sun_path || tc_socket_path(near, s->dirs.id, final, sizeof final) < 0) {
        (void)close(fd);
        return -ENAMETOOLONG;
    }
    (void)unlink(a.sun_path);
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, BACKLOG) < 0 ||
        rename(a.sun_path, final) < 0) {
        n = -errno;
        (void)unlink(a.sun_path);
        (void)close(fd);
        return n;
    }
    s->listen_fd = fd;
    return 0;
}

static int open_signals(struct tc_service *s)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        (void)sigaddset(&set, signals[i]);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return s->signal_fd < 0 ? -errno : 0;
}

int tc_server_listen(struct tc_service *s, struct tc_failure *f)
{
    struct stat st;
    int r = bind_socket(s);

    if (r == 0)
        r = tc_socket_path(s->dirs.runtime, s->dirs.id, s->socket_path, sizeof s->socket_path);
    if (r == 0 && stat(s->socket_path, &st) < 0)
        r = -errno;
    if (r < 0)
        return tc_fail(f, TC_R_NO_RUNTIME_DIR, -r, "the socket in %s: %s", s->dirs.runtime,
                       strerror(-r));
    s->socket_ino = st.st_ino;
    s->listen_source.kind = TC_SOURCE_LISTEN;
    s->signal_source.kind = TC_SOURCE_SIGNAL;
    s->packet.fd = -1;
    s->packet.data = malloc(TC_WIRE_MAX_BYTES + 1);
    s->epoll_fd = s->remotes.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->packet.data == NULL || s->epoll_fd < 0 || open_signals(s) < 0 ||
        watch(s, s->listen_fd, EPOLLIN | EPOLLET, &s->listen_source) < 0 ||
        watch(s, s->signal_fd, EPOLLIN, &s->signal_source) < 0)
        return tc_fail(f, TC_R_SERVICE_FAILED, ENOMEM, "no descriptors or memory");
    return 0;
}

static void take_connection(struct tc_service *s, int fd)
{
    struct tc_connection *c;
    int r = tc_connection_new(fd, &c);

    if (r < 0) {
        if (r == -EPERM)
            tc_log_line(&s->log, TC_LOG_WARN, TC_R_OTHER_UID, "a connection was refused");
        return;
    }
    if (watch(s, c->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &c->socket_source) < 0) {
        tc_connection_free(c);
        return;
    }
    if (c->pidfd >= 0)
        (void)watch(s, c->pidfd, EPOLLIN, &c->process_source);
    c->readable = 1;
    c->next = s->connections;
    s->connections = c;
}

static void accept_all(struct tc_service *s)
{
    if (tc_monotonic_ms() < s->deaf_until_ms)
        return;
    for (s->deaf_until_ms = 0; s->deaf_until_ms == 0;) {
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            take_connection(s, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            s->deaf_until_ms = tc_monotonic_ms() + DEAF_MS;
            tc_log_line(&s->log, TC_LOG_ERROR, TC_R_SERVICE_FAILED, "no more connections: %s",
                        strerror(errno));
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void read_signals(struct tc_service *s)
{
    struct signalfd_siginfo info;

    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGCHLD)
            s->leaving = 1;
    }
}

static void detach(struct tc_service *s, struct tc_attached *gone)
{
    struct tc_attached **at = &s->attached;

    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    unwatch(s, gone->pidfd);
    (void)close(gone->pidfd);
    free(gone);
}

static void take_event(struct tc_service *s, const struct epoll_event *e)
{
    struct tc_source *source = e->data.ptr;
    struct tc_connection *c = source->owner;

    switch (source->kind) {
    case TC_SOURCE_LISTEN:
        accept_all(s);
        break;
    case TC_SOURCE_SIGNAL:
        read_signals(s);
        break;
    case TC_SOURCE_SOCKET:
        c->readable |= (e->events & ~(uint32_t)EPOLLOUT) != 0;
        c->writable |= (e->events & EPOLLOUT) != 0;
        break;
    case TC_SOURCE_PROCESS:
        /* A dead process' messages are still there to be read. */
        c->readable = c->ended = 1;
        (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, c->pidfd, NULL);
        break;
    case TC_SOURCE_ATTACHED:
        detach(s, source->owner);
        break;
    case TC_SOURCE_REMOTE:
        break;
    }
}

void tc_server_wait(struct tc_service *s, int timeout_ms)
{
    struct epoll_event events[64];
    int n = epoll_wait(s->epoll_fd, events, 64, timeout_ms);

    for (int i = 0; i < n; i++)
        take_event(s, &events[i]);
}

/* The connection's messages, up to `MESSAGES_A_ROUND`; none of a connection whose upload is under
 * way: messages of one connection are carried out in their order. */
static void receive_from(struct tc_service *s, struct tc_connection *c)
{
    for (int i = 0; i < MESSAGES_A_ROUND && c->uploads == 0 && !c->broken; i++) {
        int r = tc_connection_receive(c, &s->packet);

        if (r == 0 || r == -ENOTCONN) {
            c->readable = 0;
            c->settled = s->hello_count;
            c->since = 0;
            c->broken |= r < 0 || c->ended;
            return;
        }
        if (r > 0)
            r = tc_handle(s, c);
        if (s->packet.fd >= 0)
            (void)close(s->packet.fd);
        s->packet.fd = -1;
        if (r < 0) {
            tc_log_line(&s->log, TC_LOG_WARN, r == -EPERM ? TC_R_OTHER_UID : TC_R_NONE,
                        "a message of process %ld can't be read: its connection is closed",
                        (long)c->pid);
            c->broken = 1;
            return;
        }
        if (++c->since >= MESSAGES_BEFORE) {
            c->settled = s->hello_count;
            c->since = 0;
        }
    }
}

/* Everything that was sent before a greeting is read before that is answered, wherever it lies:
 * also in sockets that epoll hasn't told about, and in those that aren't accepted yet. */
void tc_server_receive(struct tc_service *s)
{
    if (s->hellos != NULL || s->leaving || s->deaf_until_ms != 0)
        accept_all(s);
    for (struct tc_connection *c = s->connections; c != NULL; c = c->next) {
        if (c->readable || s->leaving || c->settled < s->hello_count)
            receive_from(s, c);
    }
    if (s->hellos != NULL)
        accept_all(s);
    for (struct tc_connection *c = s->connections; c != NULL && s->hellos != NULL; c = c->next) {
        if (c->settled < s->hello_count)
            receive_from(s, c);
    }
}

static int is_settled(const struct tc_service *s, const struct tc_pending *p)
{
    for (const struct tc_connection *c = s->connections; c != NULL; c = c->next) {
        if (c != p->connection && !c->broken && c->settled < p->hello)
            return 0;
    }
    return 1;
}

void tc_server_settle(struct tc_service *s)
{
    struct tc_pending **at = &s->hellos;

    while (*at != NULL) {
        struct tc_pending *p = *at;

        if (p->connection != NULL && !is_settled(s, p)) {
            at = &p->batch_next;
            continue;
        }
        *at = p->batch_next;
        tc_pending_ready(p, 0, 0, p->value);
    }
}

void tc_server_reply(struct tc_service *s)
{
    struct tc_connection **at = &s->connections;

    while (*at != NULL) {
        struct tc_connection *c = *at;

        tc_connection_flush(c);
        if (!c->broken) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        tc_uploads_forget(&s->uploads, c);
        tc_lock_managers_forget(s->locks, c);
        free_connection(s, c);
    }
}

int tc_server_has_work(const struct tc_service *s)
{
    if (s->hellos != NULL)
        return 1;
    for (const struct tc_connection *c = s->connections; c != NULL; c = c->next) {
        if (c->readable && c->uploads == 0)
            return 1;
    }
    return 0;
}

/* Only processes of our user keep us alive. A process that isn't dumpable shows as root's, and is
 * let in if it speaks for itself. */
static int may_attach(const struct tc_service *s, pid_t pid)
{
    char name[32];
    struct stat st;

    for (const struct tc_connection *c = s->connections; c != NULL; c = c->next) {
        if (c->pid == pid)
            return 1;
    }
    (void)snprintf(name, sizeof name, "/proc/%ld", (long)pid);
    return stat(name, &st) == 0 && st.st_uid == geteuid() && pid > 1;
}

int tc_server_attach(struct tc_service *s, pid_t pid)
{
    struct tc_attached *a;
    int fd;

    if (pid <= 0 || !may_attach(s, pid))
        return -EPERM;
    fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return -errno;
    a = calloc(1, sizeof *a);
    if (a == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }
    a->pidfd = fd;
    a->source = (struct tc_source){TC_SOURCE_ATTACHED, a};
    if (watch(s, fd, EPOLLIN, &a->source) < 0) {
        (void)close(fd);
        free(a);
        return -ENOMEM;
    }
    a->next = s->attached;
    s->attached = a;
    return 0;
}

int tc_server_is_ours(const struct tc_service *s)
{
    struct stat st;

    return stat(s->socket_path, &st) == 0 && st.st_ino == s->socket_ino;
}

static void close_connections(struct tc_service *s, int all)
{
    for (struct tc_connection **at = &s->connections; *at != NULL;) {
        struct tc_connection *c = *at;

        if (c->asked_to_end && !all) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        tc_uploads_forget(&s->uploads, c);
        free_connection(s, c);
    }
}

void tc_server_hang_up(struct tc_service *s)
{
    close_connections(s, 0);
    if (s->listen_fd >= 0) {
        if (tc_server_is_ours(s))
            (void)unlink(s->socket_path);
        (void)close(s->listen_fd);
    }
    s->listen_fd = -1;
}

void tc_server_close(struct tc_service *s)
{
    close_connections(s, 1);
    while (s->attached != NULL)
        detach(s, s->attached);
    if (s->signal_fd >= 0)
        (void)close(s->signal_fd);
    if (s->epoll_fd >= 0)
        (void)close(s->epoll_fd);
    free(s->packet.data);
    s->packet.data = NULL;
}
