#include "service/rpc/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_PENDING 65536u
#define MAX_FDS     4

int tc_connection_new(int fd, struct tc_connection **ret)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    struct tc_connection *c;
    static uint64_t last_number;
    int on = 1;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0 || peer.uid != geteuid()) {
        (void)close(fd);
        return -EPERM;
    }
    c = calloc(1, sizeof *c);
    if (c == NULL || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0) {
        free(c);
        (void)close(fd);
        return -ENOMEM;
    }
    c->number = ++last_number;
    c->fd = fd;
    c->pid = peer.pid;
    c->pidfd = peer.pid > 0 ? (int)syscall(SYS_pidfd_open, peer.pid, 0) : -1;
    c->socket_source = (struct tc_source){TC_SOURCE_SOCKET, c};
    c->process_source = (struct tc_source){TC_SOURCE_PROCESS, c};
    c->writable = 1;
    *ret = c;
    return 0;
}

void tc_connection_free(struct tc_connection *c)
{
    while (c->first != NULL) {
        struct tc_pending *p = c->first;

        c->first = p->next;
        p->connection = NULL;
        if (p->ready)
            free(p);
    }
    (void)close(c->fd);
    if (c->pidfd >= 0)
        (void)close(c->pidfd);
    free(c);
}

/* Takes descriptors and credentials out of the control data; keeps one descriptor at most. */
static int read_control(struct msghdr *m, struct tc_packet *ret)
{
    int fds[MAX_FDS], own = 0;

    ret->fd = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred u;
            memcpy(&u, CMSG_DATA(c), sizeof u);
            own = u.uid == geteuid();
        } else if (c->cmsg_type == SCM_RIGHTS) {
            size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            n = n > MAX_FDS ? MAX_FDS : n;
            memcpy(fds, CMSG_DATA(c), n * sizeof(int));
            for (size_t i = 0; i < n; i++) {
                if (ret->fd < 0)
                    ret->fd = fds[i];
                else
                    (void)close(fds[i]);
            }
        }
    }
    return own ? 0 : -EPERM;
}

static int check_head(const struct tc_packet *p)
{
    struct tc_message head;

    if (p->bytes < sizeof head)
        return -EBADMSG;
    memcpy(&head, p->data, sizeof head);
    if (head.magic != TC_WIRE_MAGIC || head.version != TC_WIRE_VERSION || head.bytes != p->bytes)
        return -EBADMSG;
    return 0;
}

int tc_connection_receive(struct tc_connection *c, struct tc_packet *ret)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * MAX_FDS)];
        struct cmsghdr align;
    } control;
    struct iovec v = {ret->data, TC_WIRE_MAX_BYTES};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n;
    int r;

    /* A sender that died with replies unread is ECONNRESET once, in front of what it sent before
     * (unix(7)): it is asked again. */
    for (int resets = 0;;) {
        n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n >= 0 || (errno != EINTR && (errno != ECONNRESET || resets++ > 0)))
            break;
    }
    if (n < 0)
        return errno == EAGAIN ? 0 : -ENOTCONN;
    /* A packet of no bytes looks like the end, and is none of ours. */
    if (n == 0 && m.msg_controllen == 0)
        return -ENOTCONN;
    ret->bytes = (size_t)n;
    r = read_control(&m, ret);
    if (n == 0)
        r = -ENOTCONN;
    else if (r == 0)
        r = (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ? -EBADMSG : check_head(ret);
    if (r == 0)
        return 1;
    if (ret->fd >= 0)
        (void)close(ret->fd);
    return r;
}

struct tc_pending *tc_pending_new(struct tc_connection *c, uint64_t seq)
{
    struct tc_pending *p;

    if (seq == 0)
        return NULL;
    p = c->pending_count < MAX_PENDING ? calloc(1, sizeof *p) : NULL;
    if (p == NULL) {
        c->broken = 1;
        return NULL;
    }
    p->connection = c;
    p->seq = seq;
    if (c->last != NULL)
        c->last->next = p;
    else
        c->first = p;
    c->last = p;
    c->pending_count++;
    return p;
}

void tc_pending_ready(struct tc_pending *p, int status, unsigned reason, uint64_t value)
{
    if (p == NULL)
        return;
    if (p->connection == NULL) {
        free(p);
        return;
    }
    p->status = status;
    p->reason = reason;
    p->value = value;
    p->ready = 1;
}

void tc_pending_done(void *p, int status, unsigned reason, uint64_t value)
{
    tc_pending_ready(p, status, reason, value);
}

/* 0, -EAGAIN, or the connection's end. */
static int send_reply(struct tc_connection *c, const struct tc_pending *p)
{
    struct tc_reply reply = {.head = {.magic = TC_WIRE_MAGIC,
                                      .version = TC_WIRE_VERSION,
                                      .type = TC_MSG_REPLY,
                                      .bytes = sizeof reply,
                                      .seq = p->seq},
                             .status = p->status,
                             .reason = p->reason,
                             .value = p->value};
    ssize_t n;

    do
        n = send(c->fd, &reply, sizeof reply, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

void tc_connection_flush(struct tc_connection *c)
{
    while (c->first != NULL && c->first->ready && c->writable) {
        struct tc_pending *p = c->first;
        int r = send_reply(c, p);

        if (r == -EAGAIN || r == -ENOBUFS) {
            c->writable = 0;
            return;
        }
        /* An error here isn't the end yet: there may be messages that it sent before. */
        c->first = p->next;
        if (c->first == NULL)
            c->last = NULL;
        c->pending_count--;
        free(p);
    }
}
