#include "tools/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define GREETING_MS 2000

static int address_of(const char *runtime, const char *id, int *ret_dir, struct sockaddr_un *ret)
{
    char path[TC_PATH_BYTES];
    int r = tc_socket_path(runtime, id, path, sizeof path);
    if (r < 0)
        return r;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) < sizeof ret->sun_path) {
        memcpy(ret->sun_path, path, strlen(path) + 1);
        return 0;
    }
    /* Longer than an address may be: through a descriptor of the directory. */
    *ret_dir = open(runtime, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*ret_dir < 0)
        return -errno;
    int n = snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/%s", *ret_dir,
                     tc_basename(path));
    return n < (int)sizeof ret->sun_path ? 0 : -ENAMETOOLONG;
}

static int check_peer(int fd)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0)
        return -errno;
    return peer.uid == geteuid() ? 0 : -EPERM;
}

static int greet(struct tc_client *c)
{
    struct tc_hello hello = {.pid = (uint32_t)getpid(), .program = "cachectl"};
    struct tc_reply reply;
    return tc_client_request(c, &hello.head, TC_MSG_HELLO, sizeof hello, GREETING_MS, &reply);
}

int tc_client_connect(struct tc_client *c, const char *runtime, const char *id)
{
    TC_CLEANUP(tc_close_fd) int dir = -1;
    struct sockaddr_un address;
    *c = (struct tc_client){.fd = -1};
    int r = address_of(runtime, id, &dir, &address);
    if (r < 0)
        return r;
    TC_CLEANUP(tc_close_fd) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
        return -errno;
    r = check_peer(fd);
    if (r < 0)
        return r;
    c->fd = fd;
    fd = -1;
    r = greet(c);
    if (r < 0)
        tc_client_close(c);
    return r;
}

void tc_client_close(struct tc_client *c)
{
    tc_close_fd(&c->fd);
}

static int wait_for(int fd, short events, int timeout_ms)
{
    int64_t end = tc_monotonic_ms() + timeout_ms;
    struct pollfd p = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = end - tc_monotonic_ms();
        int n = poll(&p, 1, left > 0 ? (int)left : 0);
        if (n > 0)
            return 0;
        if (n == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

static int send_packet(int to, const void *data, size_t bytes, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = {0}};
    struct iovec io = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof fd);
    }
    return sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ? 0 : -errno;
}

/* Sends a message; fills in magic, version and seq. */
static int send_message(struct tc_client *c, struct tc_message *m, enum tc_message_type type,
                        size_t bytes, int fd)
{
    if (c->fd < 0)
        return -ENOTCONN;
    if (bytes > TC_WIRE_MAX_BYTES)
        return -EMSGSIZE;
    *m = (struct tc_message){.magic = TC_WIRE_MAGIC,
                             .version = TC_WIRE_VERSION,
                             .type = (uint8_t)type,
                             .bytes = (uint32_t)bytes,
                             .seq = ++c->seq};
    for (;;) {
        int r = send_packet(c->fd, m, bytes, fd);
        if (r == 0)
            return 0;
        if (r != -EAGAIN && r != -EINTR)
            return r;
        r = wait_for(c->fd, POLLOUT, GREETING_MS);
        if (r < 0)
            return r;
    }
}

/* One packet of the service's, with the sender's uid checked. */
static int receive(int fd, struct tc_reply *ret)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } control;
    struct iovec io = {.iov_base = ret, .iov_len = sizeof *ret};
    struct msghdr m = {.msg_iov = &io,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -errno;
    if (n == 0)
        return -ECONNRESET;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    struct ucred sender;
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
        return -EPERM;
    memcpy(&sender, CMSG_DATA(c), sizeof sender);
    if (sender.uid != geteuid())
        return -EPERM;
    if (n != sizeof *ret || ret->head.magic != TC_WIRE_MAGIC ||
        ret->head.version != TC_WIRE_VERSION || ret->head.type != TC_MSG_REPLY)
        return -EPROTO;
    return 0;
}

int tc_client_wait(struct tc_client *c, int timeout_ms, struct tc_reply *ret)
{
    int64_t end = tc_monotonic_ms() + timeout_ms;
    for (;;) {
        int64_t left = end - tc_monotonic_ms();
        struct tc_reply reply;
        int r = wait_for(c->fd, POLLIN, left > 0 ? (int)left : 0);
        if (r == 0)
            r = receive(c->fd, &reply);
        if (r == -EAGAIN || r == -EINTR)
            continue;
        if (r < 0)
            return r;
        if (reply.head.seq != c->seq)
            continue;
        *ret = reply;
        return 0;
    }
}

int tc_client_request_with(struct tc_client *c, struct tc_message *m, enum tc_message_type type,
                           size_t bytes, int fd, int timeout_ms, struct tc_reply *ret)
{
    int r = send_message(c, m, type, bytes, fd);
    if (r == 0)
        r = tc_client_wait(c, timeout_ms, ret);
    return r < 0 ? r : ret->status < 0 ? ret->status : 0;
}

int tc_client_request(struct tc_client *c, struct tc_message *m, enum tc_message_type type,
                      size_t bytes, int timeout_ms, struct tc_reply *ret)
{
    return tc_client_request_with(c, m, type, bytes, -1, timeout_ms, ret);
}
