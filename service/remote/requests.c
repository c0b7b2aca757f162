/* Requests to a child process: who waits for them, and what becomes of their answers. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/clock.h"
#include "service/remote/internal.h"

#define COMPLAIN_MS 10000

struct tc_request *tc_request_new(uint32_t op, struct tc_key key, void *blob, size_t bytes)
{
    struct tc_request *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->head = (struct tc_remote_head){.magic = TC_REMOTE_MAGIC,
                                      .op = op,
                                      .key_low = key.low,
                                      .key_high = key.high,
                                      .bytes = bytes};
    r->blob = blob;
    r->fd = -1;
    return r;
}

void tc_request_free(struct tc_request *r)
{
    if (r->fd >= 0)
        (void)close(r->fd);
    free(r->blob);
    free(r);
}

struct tc_key tc_request_key(const struct tc_request *r)
{
    return (struct tc_key){r->head.key_low, r->head.key_high};
}

int tc_request_is_lock(const struct tc_request *r)
{
    return r->head.op >= TC_REMOTE_ACQUIRE;
}

static int is_late(const struct tc_request *r)
{
    return r->head.op == TC_REMOTE_PUT && r->blob == NULL;
}

void tc_request_push(struct tc_request_queue *q, struct tc_request *r)
{
    if (q->last != NULL)
        q->last->next = r;
    else
        q->first = r;
    q->last = r;
}

static struct tc_request *pop(struct tc_request_queue *q)
{
    struct tc_request *r = q->first;

    if (r != NULL && (q->first = r->next) == NULL)
        q->last = NULL;
    if (r != NULL)
        r->next = NULL;
    return r;
}

void tc_request_push_other(struct tc_remote *self, struct tc_request *r)
{
    tc_request_push(&self->others, r);
    self->asked_count += r->pending != NULL;
    if (is_late(r)) {
        self->late_count++;
    } else {
        self->numbers.waiting++;
        self->numbers.waiting_bytes += r->head.bytes;
    }
    tc_child_begin(self);
}

static struct tc_request *pop_other(struct tc_remote *self)
{
    struct tc_request *r = pop(&self->others);

    if (r == NULL)
        return NULL;
    self->asked_count -= r->pending != NULL;
    if (is_late(r)) {
        self->late_count--;
    } else {
        self->numbers.waiting--;
        self->numbers.waiting_bytes -= r->head.bytes;
    }
    return r;
}

/* 0: what it was about is gone meanwhile. */
static int load(const struct tc_remote *self, struct tc_request *r)
{
    size_t bytes;

    r->blob = self->owner->load(self->owner->ctx, tc_request_key(r), &bytes);
    if (r->blob != NULL)
        r->head.bytes = bytes;
    return r->blob != NULL;
}

struct tc_request *tc_request_next(struct tc_remote *self)
{
    struct tc_request *r = pop(&self->fetches);

    while (r == NULL && (r = pop_other(self)) != NULL) {
        if (is_late(r) && !load(self, r)) {
            tc_request_free(r);
            r = NULL;
        }
    }
    if (r == NULL)
        return NULL;
    r->begun_ms = tc_monotonic_ms();
    r->head.serial = ++self->serial;
    return r;
}

const char *tc_remote_kind(const struct tc_remote *self)
{
    return self->numbers.kind == TC_STORAGE_LOCKS ? "lock manager" : "storage";
}

void tc_remote_trouble(struct tc_remote *self, const char *format, ...)
{
    char text[900];
    va_list args;
    size_t n;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tc_log_line(self->owner->log, TC_LOG_WARN, TC_R_FAR_STORAGE, "%s %s%s%s", tc_remote_kind(self),
                self->numbers.name, text[0] == ':' ? "" : " ", text);
    n = (size_t)snprintf(self->numbers.trouble, sizeof self->numbers.trouble, "%s",
                         text[0] == ':' ? text + 2 : text);
    /* People read it on a terminal, and it comes from a plugin. */
    for (size_t i = 0; i < n && i < sizeof self->numbers.trouble - 1; i++) {
        unsigned char c = (unsigned char)self->numbers.trouble[i];

        if (c < 0x20 || c >= 0x7f)
            self->numbers.trouble[i] = ' ';
    }
}

void tc_remote_complain(struct tc_remote *self, struct tc_key key, const char *what,
                        const char *why)
{
    int64_t now = tc_monotonic_ms();

    self->numbers.errors++;
    if (self->complained_ms != 0 && now - self->complained_ms < COMPLAIN_MS)
        return;
    self->complained_ms = now;
    tc_remote_trouble(self, ": %s %016llx%016llx %s (errors so far: %llu)", what,
                      (unsigned long long)key.high, (unsigned long long)key.low, why,
                      (unsigned long long)self->numbers.errors);
}

void tc_remote_lose(struct tc_remote *self, struct tc_key key, const char *why)
{
    self->numbers.lost++;
    tc_remote_complain(self, key, "didn't take", why);
}

static void reply(struct tc_request *r, int status, uint64_t value)
{
    tc_pending_ready(r->pending, status, status < 0 && status != -ENOENT ? TC_R_FAR_STORAGE : 0,
                     value);
    r->pending = NULL;
}

static void tell_locked(struct tc_remote *self, const struct tc_request *r, int status)
{
    const struct tc_remote_lock *lock = r->blob;

    if (self->owner->locks != NULL)
        self->owner->locked(self->owner->locks, tc_request_key(r), lock->owner, r->head.op, status);
}

void tc_request_drop(struct tc_remote *self, struct tc_request *r, const char *why)
{
    if (r->head.op == TC_REMOTE_PUT)
        tc_remote_lose(self, tc_request_key(r), why);
    else if (tc_request_is_lock(r))
        tell_locked(self, r, -EIO);
    else
        reply(r, -EIO, 0);
    tc_request_free(r);
}

void tc_request_drop_others(struct tc_remote *self, const char *why)
{
    struct tc_request *r;

    while ((r = pop(&self->fetches)) != NULL)
        tc_request_drop(self, r, why);
    while ((r = pop_other(self)) != NULL)
        tc_request_drop(self, r, why);
}

static const char *verb(uint32_t op)
{
    switch (op) {
    case TC_REMOTE_GET:
        return "can't get";
    case TC_REMOTE_REMOVE:
        return "can't remove";
    case TC_REMOTE_EXISTS:
        return "can't look for";
    case TC_REMOTE_LIST:
        return "can't be listed,";
    default:
        return "can't lock, renew or release";
    }
}

static void failed(struct tc_remote *self, const struct tc_request *r, const char *text)
{
    int error = -self->answer.status;
    char why[700];

    (void)snprintf(why, sizeof why, "%s%s%s", text, text[0] != 0 ? ": " : "", strerror(error));
    if (r->head.op == TC_REMOTE_OPEN) {
        tc_remote_trouble(self, "can't be opened: %s", why);
        tc_child_end(self);
    } else if (r->head.op == TC_REMOTE_PUT) {
        tc_remote_lose(self, tc_request_key(r), why);
    } else if (error == ENOENT) {
        self->numbers.missed += r->head.op == TC_REMOTE_GET;
    } else if (error == EBUSY && tc_request_is_lock(r)) {
        self->numbers.busy++;
    } else {
        tc_remote_complain(self, tc_request_key(r), verb(r->head.op), why);
    }
}

/* Into the client's memory; what it does with that meanwhile is its own affair. */
static int hand_out(const struct tc_request *r, const void *data, uint64_t bytes)
{
    uint64_t done = 0;

    if (bytes % sizeof(struct tc_key) != 0)
        return -EPROTO;
    while (done < bytes) {
        ssize_t n = pwrite(r->fd, (const char *)data + done, bytes - done, (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -EIO;
        done += (uint64_t)n;
    }
    return 0;
}

static void succeeded(struct tc_remote *self, struct tc_request *r)
{
    struct tc_pending *p = r->pending;
    int status = 0;

    switch (r->head.op) {
    case TC_REMOTE_GET:
        self->numbers.found += self->owner->got(self->owner->ctx, self, tc_request_key(r),
                                                self->data, self->answer.bytes, p) != 0;
        return;
    case TC_REMOTE_LIST:
        status = p != NULL ? hand_out(r, self->data, self->answer.bytes) : 0;
        reply(r, status, self->answer.bytes / sizeof(struct tc_key));
        return;
    default:
        self->numbers.handed_on += r->head.op == TC_REMOTE_PUT;
        self->numbers.removed += r->head.op == TC_REMOTE_REMOVE;
        self->numbers.granted += r->head.op == TC_REMOTE_ACQUIRE;
        reply(r, 0, 0);
    }
}

void tc_request_finish(struct tc_remote *self)
{
    struct tc_request *r = self->running;

    self->running = NULL;
    if (r->head.op != TC_REMOTE_OPEN)
        self->failures = 0;
    if (tc_request_is_lock(r))
        tell_locked(self, r, self->answer.status);
    if (self->answer.status < 0) {
        failed(self, r, (const char *)self->data);
        reply(r, self->answer.status, 0);
    } else {
        succeeded(self, r);
    }
    tc_request_free(r);
}

static int expire_one(struct tc_request *r, int64_t now_ms)
{
    if (r->pending == NULL || now_ms < r->until_ms)
        return 0;
    reply(r, -ETIMEDOUT, 0);
    return 1;
}

/* There may be a million of them that nobody waits for, and this comes after each answer. */
static void expire_others(struct tc_remote *self, int64_t now_ms)
{
    struct tc_request *r = self->others.first;

    for (uint64_t left = self->asked_count; r != NULL && left > 0; r = r->next) {
        left -= r->pending != NULL;
        self->asked_count -= (uint64_t)expire_one(r, now_ms);
    }
}

void tc_request_expire(struct tc_remote *self, int64_t now_ms)
{
    if (self->running != NULL)
        (void)expire_one(self->running, now_ms);
    while (self->fetches.first != NULL && now_ms >= self->fetches.first->until_ms) {
        struct tc_request *r = pop(&self->fetches);

        reply(r, -ETIMEDOUT, 0);
        tc_request_free(r);
    }
    expire_others(self, now_ms);
}

static int64_t due(const struct tc_request *r, int64_t least_ms)
{
    return r != NULL && r->pending != NULL && r->until_ms < least_ms ? r->until_ms : least_ms;
}

int64_t tc_request_due_ms(const struct tc_remote *self, int64_t least_ms)
{
    return due(self->fetches.first, due(self->running, least_ms));
}
