#include "service/remote/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cache/places.h"
#include "service/clock.h"
#include "service/remote/blob.h"
#include "service/remote/protocol.h"

#define REQUEST_MS   5000
#define END_MS       3000
#define COMPLAIN_MS  10000
#define PAUSE_MS     1000 /* after the second failure in a row, then twice as long */
#define PAUSE_MAX_MS 60000
#define QUEUE_BYTES  (128u << 20)
#define QUEUE_COUNT  4096u

struct request {
    struct request *next;
    struct tc_remote_head head;
    void *blob;
    struct tc_pending *pending; /* of a fetch that is still waited for */
    int64_t until_ms;           /* ... until then */
    int64_t begun_ms;
};

struct queue {
    struct request *first, *last;
};

struct tc_remote {
    struct tc_remote *next;
    struct tc_remotes *owner;
    struct tc_source source;
    uint64_t id;
    int64_t timeout_ms;
    uint32_t kind; /* TC_STORAGE_FAR or TC_STORAGE_LOCKS */
    char name[64], path[TC_PATH_BYTES], function[64];
    struct tc_plugin_host host;

    int fd, child_fd; /* -1: its child isn't there */
    pid_t pid;
    unsigned failures; /* in a row */
    int64_t begin_ms;  /* not before */

    struct queue fetches, others; /* others: puts and removals, in their order */
    uint64_t queued_bytes, queued_count;
    struct request *running;
    uint64_t sent;                /* of head and blob */
    struct tc_remote_head answer; /* read so far: */
    uint64_t received;
    unsigned char *data; /* answer.bytes of it */

    int64_t complained_ms;
    uint64_t found, missed, handed_on, lost, errors;
};

static void push(struct queue *q, struct request *r)
{
    if (q->last != NULL)
        q->last->next = r;
    else
        q->first = r;
    q->last = r;
}

static struct request *pop(struct queue *q)
{
    struct request *r = q->first;

    if (r != NULL && (q->first = r->next) == NULL)
        q->last = NULL;
    return r;
}

static struct request *new_request(uint32_t op, struct tc_key key, void *blob, size_t bytes)
{
    struct request *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->head = (struct tc_remote_head){.magic = TC_REMOTE_MAGIC,
                                      .op = op,
                                      .key_low = key.low,
                                      .key_high = key.high,
                                      .bytes = bytes};
    r->blob = blob;
    return r;
}

static struct tc_key key_of(const struct request *r)
{
    return (struct tc_key){r->head.key_low, r->head.key_high};
}

static const char *what_it_is(const struct tc_remote *self)
{
    return self->kind == TC_STORAGE_LOCKS ? "lock manager" : "storage";
}

static void forget(struct request *r)
{
    free(r->blob);
    free(r);
}

void tc_remote_complain(struct tc_remote *self, struct tc_key key, const char *what,
                        const char *why)
{
    int64_t now = tc_monotonic_ms();

    self->errors++;
    if (self->complained_ms != 0 && now - self->complained_ms < COMPLAIN_MS)
        return;
    self->complained_ms = now;
    tc_log_line(self->owner->log, TC_LOG_WARN, TC_R_FAR_STORAGE,
                "%s %s: %s %016llx%016llx %s (errors so far: %llu)", what_it_is(self), self->name,
                what, (unsigned long long)key.high, (unsigned long long)key.low, why,
                (unsigned long long)self->errors);
}

static void lose(struct tc_remote *self, struct tc_key key, const char *why)
{
    self->lost++;
    tc_remote_complain(self, key, "didn't take", why);
}

static void answer_fetch(struct request *r, int status)
{
    tc_pending_ready(r->pending, status, status < 0 && status != -ENOENT ? TC_R_FAR_STORAGE : 0, 0);
    r->pending = NULL;
}

static int is_lock(const struct request *r)
{
    return r->head.op >= TC_REMOTE_ACQUIRE;
}

static void tell_locked(struct tc_remote *self, const struct request *r, int status)
{
    const struct tc_remote_lock *lock = r->blob;

    self->owner->locked(self->owner->locks, key_of(r), lock->owner, r->head.op, status);
}

/* In the child. */
static int serve(void *arg)
{
    struct tc_remote *self = arg;

    return tc_remote_serve(&self->host, self->path, self->function, self->child_fd);
}

/* Whatever the child was at is over. */
static void drop_running(struct tc_remote *self, const char *why)
{
    struct request *r = self->running;

    self->running = NULL;
    free(self->data);
    self->data = NULL;
    self->sent = self->received = 0;
    if (r == NULL)
        return;
    if (r->head.op == TC_REMOTE_GET)
        answer_fetch(r, -EIO);
    else if (r->head.op == TC_REMOTE_PUT)
        lose(self, key_of(r), why);
    else if (is_lock(r))
        tell_locked(self, r, -EIO);
    forget(r);
}

static void pause_after_failure(struct tc_remote *self)
{
    int64_t pause = 0;

    if (++self->failures > 1)
        pause = self->failures < 8 ? PAUSE_MS << (self->failures - 2) : PAUSE_MAX_MS;
    self->begin_ms = tc_monotonic_ms() + (pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS);
}

static void hang_up(struct tc_remote *self)
{
    if (self->fd >= 0)
        (void)close(self->fd);
    self->fd = -1;
}

/* Whoever waits for a lock isn't to wait for another child. */
static void fail_locks(struct tc_remote *self)
{
    struct request *r;

    while ((r = pop(&self->others)) != NULL) {
        self->queued_count--;
        self->queued_bytes -= r->head.bytes;
        tell_locked(self, r, -EIO);
        forget(r);
    }
}

static void on_end(void *ctx, int status)
{
    struct tc_remote *self = ctx;
    int64_t ms;

    hang_up(self);
    self->pid = 0;
    pause_after_failure(self);
    drop_running(self, "its child process ended");
    if (self->kind == TC_STORAGE_LOCKS)
        fail_locks(self);
    ms = self->begin_ms - tc_monotonic_ms();
    tc_log_line(self->owner->log, TC_LOG_WARN, TC_R_FAR_STORAGE,
                "%s %s: its code %s; it is begun again%s", what_it_is(self), self->name,
                status == TC_JOB_CRASHED ? "crashed, or took longer than 5 s" : "ended",
                ms > 0 ? " after a pause" : "");
}

static void begin(struct tc_remote *self)
{
    struct tc_job_spec spec = {.run = serve,
                               .arg = self,
                               .done = on_end,
                               .ctx = self,
                               .cpu_s = UINT_MAX,
                               .wall_ms = INT_MAX,
                               .ret_pid = &self->pid};
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &self->source};
    int ends[2];

    if (self->fd >= 0 || self->pid != 0 || tc_monotonic_ms() < self->begin_ms)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        pause_after_failure(self);
        return;
    }
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    self->child_fd = spec.keep_fd = ends[0];
    self->running = new_request(TC_REMOTE_OPEN, (struct tc_key){0, 0}, NULL, 0);
    if (self->running != NULL)
        self->running->head.kind = self->kind;
    if (self->running != NULL && tc_job_start(&self->owner->jobs, &spec) == 0) {
        self->fd = ends[1];
        self->running->begun_ms = tc_monotonic_ms();
        (void)epoll_ctl(self->owner->epoll_fd, EPOLL_CTL_ADD, self->fd, &e);
    } else {
        (void)close(ends[1]);
        drop_running(self, "");
        pause_after_failure(self);
    }
    (void)close(ends[0]);
    self->child_fd = -1;
}

/* The child says what can't be, or nothing at all for too long. */
static void end_child(struct tc_remote *self)
{
    hang_up(self);
    if (self->pid != 0)
        (void)kill(self->pid, SIGKILL); /* the rest is on_end()'s */
}

static void failed(struct tc_remote *self, const struct request *r, const char *text)
{
    int error = -self->answer.status;
    char why[700];

    (void)snprintf(why, sizeof why, "%s%s%s", text, text[0] != 0 ? ": " : "", strerror(error));
    switch (r->head.op) {
    case TC_REMOTE_OPEN:
        tc_log_line(self->owner->log, TC_LOG_WARN, TC_R_FAR_STORAGE, "%s %s can't be opened: %s",
                    what_it_is(self), self->name, why);
        end_child(self);
        return;
    case TC_REMOTE_PUT:
        lose(self, key_of(r), why);
        return;
    default:
        if (is_lock(r)) {
            if (error != EBUSY && error != ENOENT)
                tc_remote_complain(self, key_of(r), "can't lock, renew or release", why);
        } else if (error == ENOENT)
            self->missed += r->head.op == TC_REMOTE_GET;
        else
            tc_remote_complain(self, key_of(r),
                               r->head.op == TC_REMOTE_GET ? "can't get" : "can't remove", why);
    }
}

static void finish(struct tc_remote *self)
{
    struct request *r = self->running;
    struct tc_pending *p = r->pending;

    self->running = NULL;
    if (r->head.op != TC_REMOTE_OPEN)
        self->failures = 0;
    if (is_lock(r))
        tell_locked(self, r, self->answer.status);
    if (self->answer.status < 0) {
        failed(self, r, self->data != NULL ? (const char *)self->data : "");
        answer_fetch(r, self->answer.status == -ENOENT ? -ENOENT : -EIO);
    } else {
        self->handed_on += r->head.op == TC_REMOTE_PUT;
        if (r->head.op == TC_REMOTE_GET)
            self->found += self->owner->got(self->owner->ctx, self, key_of(r), self->data,
                                            self->answer.bytes, p) != 0;
    }
    free(self->data);
    self->data = NULL;
    self->sent = self->received = 0;
    forget(r);
}

static void send_request(struct tc_remote *self)
{
    struct request *r = self->running;
    uint64_t all = sizeof r->head + r->head.bytes;

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
            end_child(self);
            return;
        }
        self->sent += (uint64_t)n;
    }
}

static int is_answer(const struct tc_remote *self)
{
    const struct tc_remote_head *a = &self->answer, *q = &self->running->head;

    return a->magic == TC_REMOTE_MAGIC && a->op == q->op && a->key_low == q->key_low &&
           a->key_high == q->key_high && a->status <= 0 && a->bytes <= TC_BLOB_MAX_BYTES;
}

/* 1: the answer is complete. */
static int receive_answer(struct tc_remote *self)
{
    for (;;) {
        size_t head = sizeof self->answer;
        char *to = (char *)&self->answer + self->received;
        uint64_t left = head - self->received;
        ssize_t n;

        if (self->received >= head) {
            if (self->data == NULL &&
                (!is_answer(self) || (self->data = calloc(1, self->answer.bytes + 1)) == NULL)) {
                end_child(self);
                return 0;
            }
            to = (char *)self->data + (self->received - head);
            left = self->answer.bytes - (self->received - head);
            if (left == 0)
                return 1;
        }
        n = recv(self->fd, to, left, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (n == 0 || errno != EAGAIN)
                end_child(self);
            return 0;
        }
        self->received += (uint64_t)n;
    }
}

static struct request *next_request(struct tc_remote *self)
{
    struct request *r = pop(&self->fetches);

    if (r == NULL && (r = pop(&self->others)) != NULL) {
        self->queued_count--;
        self->queued_bytes -= r->head.bytes;
    }
    if (r != NULL)
        r->begun_ms = tc_monotonic_ms();
    return r;
}

static void step(struct tc_remote *self)
{
    while (self->fd >= 0) {
        if (self->running == NULL && (self->running = next_request(self)) == NULL)
            return;
        send_request(self);
        if (self->fd < 0 || !receive_answer(self))
            return;
        finish(self);
    }
}

/* Fetches that are waited for no longer; those that the child is at go on. */
static void expire(struct tc_remote *self, int64_t now)
{
    if (self->running != NULL && self->running->pending != NULL && now >= self->running->until_ms)
        answer_fetch(self->running, -ETIMEDOUT);
    while (self->fetches.first != NULL && now >= self->fetches.first->until_ms) {
        struct request *r = pop(&self->fetches);

        answer_fetch(r, -ETIMEDOUT);
        forget(r);
    }
}

void tc_remotes_step(struct tc_remotes *list)
{
    int64_t now = tc_monotonic_ms();

    for (struct tc_remote *self = list->first; self != NULL; self = self->next) {
        step(self);
        expire(self, now);
    }
}

static int has_work(const struct tc_remote *self)
{
    return self->fetches.first != NULL || self->others.first != NULL || self->running != NULL;
}

void tc_remotes_tick(struct tc_remotes *list)
{
    int64_t now = tc_monotonic_ms();

    tc_jobs_reap(&list->jobs);
    for (struct tc_remote *self = list->first; self != NULL; self = self->next) {
        if (self->fd >= 0 && self->running != NULL && now - self->running->begun_ms >= REQUEST_MS)
            end_child(self);
        if (has_work(self))
            begin(self);
    }
}

int tc_remotes_sleep_ms(const struct tc_remotes *list, int ms)
{
    int64_t now = tc_monotonic_ms(), least = ms;

    for (const struct tc_remote *self = list->first; self != NULL; self = self->next) {
        const struct request *r = self->running;

        if (r != NULL && r->pending != NULL && r->until_ms - now < least)
            least = r->until_ms - now;
        r = self->fetches.first;
        if (r != NULL && r->until_ms - now < least)
            least = r->until_ms - now;
    }
    return least > 0 ? (int)least : 0;
}

int tc_remotes_busy(const struct tc_remotes *list)
{
    for (const struct tc_remote *self = list->first; self != NULL; self = self->next)
        if (has_work(self))
            return 1;
    return 0;
}

struct tc_remote *tc_remote_of(const struct tc_remotes *list, uint64_t id)
{
    struct tc_remote *self = list->first;

    while (self != NULL && self->id != id)
        self = self->next;
    return self;
}

const char *tc_remote_name(const struct tc_remote *self)
{
    return self->name;
}

/* Is it at something for longer than anybody waits for it? Then it isn't waited for at all. */
static int is_slow(const struct tc_remote *self, int64_t now)
{
    return self->running != NULL && self->running->head.op != TC_REMOTE_OPEN &&
           now - self->running->begun_ms > self->timeout_ms;
}

void tc_remote_fetch(struct tc_remote *self, struct tc_key key, struct tc_pending *p)
{
    int64_t now = tc_monotonic_ms();
    struct request *r;

    begin(self);
    r = self->fd >= 0 && !is_slow(self, now) ? new_request(TC_REMOTE_GET, key, NULL, 0) : NULL;
    if (r == NULL) {
        tc_pending_ready(p, -EAGAIN, TC_R_FAR_STORAGE, 0);
        return;
    }
    r->pending = p;
    r->until_ms = now + self->timeout_ms;
    push(&self->fetches, r);
}

static void push_other(struct tc_remote *self, struct request *r)
{
    push(&self->others, r);
    self->queued_count++;
    self->queued_bytes += r->head.bytes;
    begin(self);
}

void tc_remote_put(struct tc_remote *self, struct tc_key key, void *blob, size_t bytes)
{
    int fits = self->queued_count < QUEUE_COUNT && self->queued_bytes + bytes <= QUEUE_BYTES;
    struct request *r = fits ? new_request(TC_REMOTE_PUT, key, blob, bytes) : NULL;

    if (r != NULL) {
        push_other(self, r);
        return;
    }
    free(blob);
    lose(self, key, "as too much waits for it already");
}

int tc_remote_lock(struct tc_remote *self, uint32_t op, struct tc_key key,
                   const struct tc_remote_lock *lock)
{
    struct tc_remote_lock *own;
    struct request *r;

    begin(self);
    if (self->fd < 0 || self->kind != TC_STORAGE_LOCKS || self->queued_count >= QUEUE_COUNT ||
        is_slow(self, tc_monotonic_ms()))
        return -EAGAIN;
    own = malloc(sizeof *own);
    r = own != NULL ? new_request(op, key, own, sizeof *own) : NULL;
    if (r == NULL) {
        free(own);
        return -EAGAIN;
    }
    *own = *lock;
    push_other(self, r);
    return 0;
}

int tc_remotes_have_put(const struct tc_remotes *list, struct tc_key key)
{
    for (const struct tc_remote *self = list->first; self != NULL; self = self->next) {
        const struct request *r = self->running;

        if (r != NULL && r->head.op == TC_REMOTE_PUT && r->head.key_low == key.low &&
            r->head.key_high == key.high)
            return 1;
        for (r = self->others.first; r != NULL; r = r->next)
            if (r->head.op == TC_REMOTE_PUT && r->head.key_low == key.low &&
                r->head.key_high == key.high)
                return 1;
    }
    return 0;
}

void tc_remote_refuse(struct tc_remote *self, struct tc_key key)
{
    lose(self, key, "as it is larger than 64 MiB");
}

void tc_remotes_remove(struct tc_remotes *list, struct tc_key key)
{
    for (struct tc_remote *self = list->first; self != NULL; self = self->next) {
        struct request *r = self->kind == TC_STORAGE_FAR && self->queued_count < QUEUE_COUNT
                                ? new_request(TC_REMOTE_REMOVE, key, NULL, 0)
                                : NULL;

        if (r != NULL)
            push_other(self, r);
    }
}

static void drop(struct tc_remote *self)
{
    tc_plugin_host_free(&self->host);
    free(self);
}

static void use(struct tc_remotes *list, const struct tc_flat *f, const struct tc_storage *s)
{
    struct tc_remote *self;

    if (tc_remote_of(list, s->remote) != NULL || (self = calloc(1, sizeof *self)) == NULL)
        return;
    *self = (struct tc_remote){.owner = list,
                               .id = s->remote,
                               .kind = s->kind,
                               .timeout_ms = tc_patient_ms((s->timeout_ns + 999999) / 1000000),
                               .fd = -1,
                               .child_fd = -1};
    self->source = (struct tc_source){TC_SOURCE_REMOTE, self};
    (void)snprintf(self->name, sizeof self->name, "%s", tc_flat_str(f, s->name));
    (void)snprintf(self->path, sizeof self->path, "%s", tc_flat_str(f, s->path));
    (void)snprintf(self->function, sizeof self->function, "%s", tc_flat_str(f, s->function));
    if (tc_plugin_host_add_options(&self->host, f, s->options) < 0 ||
        tc_plugin_host_add_options(&self->host, f, s->plugin_options) < 0) {
        drop(self);
        return;
    }
    self->next = list->first;
    list->first = self;
    begin(self);
}

void tc_remotes_use(struct tc_remotes *list, const struct tc_flat *config)
{
    const struct tc_config *c = tc_flat_root(config, sizeof *c);
    const struct tc_storage *s = tc_flat_at(config, c->storages.off, c->storages.count, sizeof *s);

    for (uint32_t i = 0; s != NULL && i < c->storages.count; i++)
        if (s[i].kind == TC_STORAGE_FAR && s[i].used)
            use(list, config, &s[i]);
    s = tc_flat_at(config, c->lock_managers.off, c->lock_managers.count, sizeof *s);
    for (uint32_t i = 0; s != NULL && i < c->lock_managers.count; i++)
        if (s[i].kind == TC_STORAGE_LOCKS && s[i].used)
            use(list, config, &s[i]);
}

static void tell_numbers(const struct tc_remote *self)
{
    if (self->found + self->missed + self->handed_on + self->lost + self->errors != 0)
        tc_log_line(
            self->owner->log, TC_LOG_INFO, TC_R_NONE,
            "storage %s: %llu found, %llu not there, %llu handed on, %llu lost, %llu errors",
            self->name, (unsigned long long)self->found, (unsigned long long)self->missed,
            (unsigned long long)self->handed_on, (unsigned long long)self->lost,
            (unsigned long long)self->errors);
}

static void end_one(struct tc_remote *self)
{
    struct request *r;

    while ((r = pop(&self->fetches)) != NULL) {
        answer_fetch(r, -ECANCELED);
        forget(r);
    }
    drop_running(self, "as the service ended");
    while ((r = pop(&self->others)) != NULL) {
        if (r->head.op == TC_REMOTE_PUT)
            lose(self, key_of(r), "as the service ended");
        forget(r);
    }
    hang_up(self);
    tell_numbers(self);
}

void tc_remotes_end(struct tc_remotes *list)
{
    int64_t until = tc_monotonic_ms() + END_MS;

    while (tc_remotes_busy(list) && tc_monotonic_ms() < until) {
        tc_remotes_step(list);
        tc_remotes_tick(list);
        (void)usleep(2000);
    }
    for (struct tc_remote *self = list->first; self != NULL; self = self->next)
        end_one(self);
    tc_jobs_kill(&list->jobs);
    while (list->first != NULL) {
        struct tc_remote *self = list->first;

        list->first = self->next;
        drop(self);
    }
}
