/*
 * The child process of a far storage or lock manager, and the talk with it. It runs a plugin's
 * code: whatever comes from it may be wrong, late, or too much. What can't be an answer to the
 * request that it was sent ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/clock.h"
#include "service/remote/blob.h"
#include "service/remote/internal.h"

#define PAUSE_MS     1000 /* after the second failure in a row, then twice as long */
#define PAUSE_MAX_MS 60000

static int serve(void *arg)
{
    struct tc_remote *self = arg;

    return tc_remote_serve(&self->host, self->path, self->function, self->child_fd);
}

static void forget_answer(struct tc_remote *self)
{
    free(self->data);
    self->data = NULL;
    self->sent = self->received = 0;
}

void tc_child_drop_running(struct tc_remote *self, const char *why)
{
    struct tc_request *r = self->running;

    self->running = NULL;
    forget_answer(self);
    if (r != NULL)
        tc_request_drop(self, r, why);
}

void tc_child_hang_up(struct tc_remote *self)
{
    if (self->fd >= 0)
        (void)close(self->fd);
    self->fd = -1;
    self->numbers.state = TC_FAR_AWAY;
}

void tc_child_end(struct tc_remote *self)
{
    tc_child_hang_up(self);
    if (self->pid != 0)
        (void)kill(self->pid, SIGKILL); /* the rest is on_end()'s */
}

static void pause_after_failure(struct tc_remote *self)
{
    int64_t pause = 0;

    if (++self->failures > 1)
        pause = self->failures < 8 ? PAUSE_MS << (self->failures - 2) : PAUSE_MAX_MS;
    self->begin_ms = tc_monotonic_ms() + (pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS);
}

static void on_end(void *ctx, int status)
{
    struct tc_remote *self = ctx;

    tc_child_hang_up(self);
    self->pid = 0;
    self->numbers.failures++;
    pause_after_failure(self);
    tc_child_drop_running(self, "its child process ended");
    if (self->numbers.kind == TC_STORAGE_LOCKS)
        tc_request_drop_others(self, "its child process ended");
    tc_remote_trouble(self, ": its code %s; it is begun again%s",
                      status == TC_JOB_CRASHED ? "crashed, or took longer than 5 s" : "ended",
                      self->begin_ms > tc_monotonic_ms() ? " after a pause" : "");
}

static int start(struct tc_remote *self, int fd)
{
    struct tc_job_spec spec = {.run = serve,
                               .arg = self,
                               .done = on_end,
                               .ctx = self,
                               .keep_fd = fd,
                               .cpu_s = UINT_MAX,
                               .wall_ms = INT_MAX,
                               .ret_pid = &self->pid};

    self->child_fd = fd;
    self->running = tc_request_new(TC_REMOTE_OPEN, (struct tc_key){0, 0}, NULL, 0);
    if (self->running == NULL)
        return -ENOMEM;
    self->running->head.kind = self->numbers.kind;
    self->running->head.serial = ++self->serial;
    self->running->begun_ms = tc_monotonic_ms();
    return tc_job_start(&self->owner->jobs, &spec);
}

void tc_child_begin(struct tc_remote *self)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &self->source};
    int ends[2];

    if (self->fd >= 0 || self->pid != 0 || tc_monotonic_ms() < self->begin_ms)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        pause_after_failure(self);
        return;
    }
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    if (start(self, ends[0]) == 0) {
        self->fd = ends[1];
        self->numbers.state = TC_FAR_OPENING;
        (void)epoll_ctl(self->owner->epoll_fd, EPOLL_CTL_ADD, self->fd, &e);
    } else {
        (void)close(ends[1]);
        self->pid = 0;
        tc_child_drop_running(self, "");
        pause_after_failure(self);
    }
    (void)close(ends[0]);
    self->child_fd = -1;
}

static uint64_t request_bytes(const struct tc_request *r)
{
    return sizeof r->head + r->head.bytes;
}

static void send_request(struct tc_remote *self)
{
    struct tc_request *r = self->running;
    uint64_t all = request_bytes(r);

    while (self->sent < all) {
        const char *from = (const char *)&r->head + self->sent;
        uint64_t left = sizeof r->head - self->sent;
        ssize_t n;

        if (self->sent >= sizeof r->head) {
            from = (const char *)r->blob + (self->sent - sizeof r->head);
            left = all - self->sent;
        }
        n = send(self->fd, from, left, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            tc_child_end(self);
            return;
        }
        self->sent += (uint64_t)n;
    }
}

static uint64_t most_bytes(const struct tc_remote_head *a)
{
    if (a->status < 0)
        return TC_REMOTE_TEXT_BYTES;
    return a->op == TC_REMOTE_GET || a->op == TC_REMOTE_LIST ? TC_BLOB_MAX_BYTES : 0;
}

/* Who answers before it has heard the whole question would take the rest of it for the next one. */
static int is_answer(const struct tc_remote *self)
{
    const struct tc_remote_head *a = &self->answer, *q = &self->running->head;

    return a->magic == TC_REMOTE_MAGIC && a->op == q->op && a->serial == q->serial &&
           a->key_low == q->key_low && a->key_high == q->key_high && a->status <= 0 &&
           a->status >= -TC_REMOTE_MAX_ERRNO && a->bytes <= most_bytes(a) &&
           self->sent == request_bytes(self->running);
}

/* Where the next bytes belong. -1: that can't be an answer. */
static int place(struct tc_remote *self, char **ret_to, uint64_t *ret_left)
{
    const size_t head = sizeof self->answer;

    *ret_to = (char *)&self->answer + self->received;
    *ret_left = head - self->received;
    if (self->received < head)
        return 0;
    if (self->data == NULL &&
        (!is_answer(self) || (self->data = calloc(1, self->answer.bytes + 1)) == NULL))
        return -1;
    *ret_to = (char *)self->data + (self->received - head);
    *ret_left = self->answer.bytes - (self->received - head);
    return 0;
}

/* 1: the answer is complete. */
static int receive_answer(struct tc_remote *self)
{
    for (;;) {
        uint64_t left;
        char *to;
        ssize_t n;

        if (place(self, &to, &left) < 0) {
            tc_child_end(self);
            return 0;
        }
        if (left == 0)
            return 1;
        n = recv(self->fd, to, left, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (n == 0 || errno != EAGAIN)
                tc_child_end(self);
            return 0;
        }
        self->received += (uint64_t)n;
    }
}

void tc_child_step(struct tc_remote *self)
{
    while (self->fd >= 0) {
        if (self->running == NULL && (self->running = tc_request_next(self)) == NULL)
            return;
        send_request(self);
        if (self->fd < 0 || !receive_answer(self))
            return;
        self->numbers.state = TC_FAR_READY;
        tc_request_finish(self);
        forget_answer(self);
    }
}
