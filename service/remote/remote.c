#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/clock.h"
#include "service/remote/internal.h"

#define END_MS      3000
#define TOOL_MS     10000
#define QUEUE_BYTES (128u << 20)
#define QUEUE_COUNT 4096u
#define LATE_COUNT  1000000u

/* Is it at something for longer than anybody waits for it? Then it isn't waited for at all. */
static int is_slow(const struct tc_remote *self, int64_t now)
{
    return self->running != NULL && self->running->head.op != TC_REMOTE_OPEN &&
           now - self->running->begun_ms > self->timeout_ms;
}

static int has_work(const struct tc_remote *self)
{
    return self->fetches.first != NULL || self->others.first != NULL || self->running != NULL;
}

void tc_remotes_step(struct tc_remotes *list)
{
    int64_t now = tc_monotonic_ms();

    for (struct tc_remote *self = list->first; self != NULL; self = self->next) {
        tc_child_step(self);
        tc_request_expire(self, now);
    }
}

void tc_remotes_tick(struct tc_remotes *list)
{
    int64_t now = tc_monotonic_ms();

    tc_jobs_reap(&list->jobs);
    for (struct tc_remote *self = list->first; self != NULL; self = self->next) {
        if (self->fd >= 0 && self->running != NULL &&
            now - self->running->begun_ms >= TC_REMOTE_REQUEST_MS)
            tc_child_end(self);
        if (has_work(self))
            tc_child_begin(self);
    }
}

int tc_remotes_sleep_ms(const struct tc_remotes *list, int ms)
{
    int64_t now = tc_monotonic_ms(), due = now + ms;

    for (const struct tc_remote *self = list->first; self != NULL; self = self->next)
        due = tc_request_due_ms(self, due);
    return due > now ? (int)(due - now) : 0;
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

    while (self != NULL && self->numbers.remote != id)
        self = self->next;
    return self;
}

const char *tc_remote_name(const struct tc_remote *self)
{
    return self->numbers.name;
}

static int is_there(struct tc_remote *self, uint32_t kind)
{
    tc_child_begin(self);
    return self->fd >= 0 && self->numbers.kind == kind && !is_slow(self, tc_monotonic_ms());
}

void tc_remote_fetch(struct tc_remote *self, struct tc_key key, struct tc_pending *p)
{
    struct tc_request *r =
        is_there(self, TC_STORAGE_FAR) ? tc_request_new(TC_REMOTE_GET, key, NULL, 0) : NULL;

    if (r == NULL) {
        tc_pending_ready(p, -EAGAIN, TC_R_FAR_STORAGE, 0);
        return;
    }
    r->pending = p;
    r->until_ms = tc_monotonic_ms() + self->timeout_ms;
    tc_request_push(&self->fetches, r);
}

static int has_room(const struct tc_remote *self, size_t bytes)
{
    return self->numbers.waiting < QUEUE_COUNT &&
           self->numbers.waiting_bytes + bytes <= QUEUE_BYTES;
}

void tc_remote_put(struct tc_remote *self, struct tc_key key, void *blob, size_t bytes)
{
    struct tc_request *r = self->numbers.kind == TC_STORAGE_FAR && has_room(self, bytes)
                               ? tc_request_new(TC_REMOTE_PUT, key, blob, bytes)
                               : NULL;

    if (r != NULL) {
        tc_request_push_other(self, r);
        return;
    }
    free(blob);
    tc_remote_lose(self, key, "as too much waits for it already");
}

void tc_remote_put_later(struct tc_remote *self, struct tc_key key)
{
    struct tc_request *r = self->numbers.kind == TC_STORAGE_FAR && self->late_count < LATE_COUNT
                               ? tc_request_new(TC_REMOTE_PUT, key, NULL, 0)
                               : NULL;

    if (r != NULL)
        tc_request_push_other(self, r);
    else
        tc_remote_lose(self, key, "as too much waits for it already");
}

int tc_remote_lock(struct tc_remote *self, uint32_t op, struct tc_key key,
                   const struct tc_remote_lock *lock)
{
    struct tc_remote_lock *own;
    struct tc_request *r;

    if (!is_there(self, TC_STORAGE_LOCKS) || !has_room(self, sizeof *own))
        return -EAGAIN;
    own = malloc(sizeof *own);
    r = own != NULL ? tc_request_new(op, key, own, sizeof *own) : NULL;
    if (r == NULL) {
        free(own);
        return -EAGAIN;
    }
    *own = *lock;
    tc_request_push_other(self, r);
    return 0;
}

void tc_remote_ask(struct tc_remote *self, uint32_t op, struct tc_key key, int fd,
                   struct tc_pending *p)
{
    struct tc_request *r = NULL;

    tc_child_begin(self);
    if (self->fd >= 0 && self->numbers.kind == TC_STORAGE_FAR && has_room(self, 0))
        r = tc_request_new(op, key, NULL, 0);
    if (r == NULL) {
        if (fd >= 0)
            (void)close(fd);
        tc_pending_ready(p, -EAGAIN, TC_R_FAR_STORAGE, 0);
        return;
    }
    r->fd = fd;
    r->pending = p;
    r->until_ms = tc_monotonic_ms() + TOOL_MS;
    tc_request_push_other(self, r);
}

static int is_put_of(const struct tc_request *r, struct tc_key key)
{
    return r != NULL && r->head.op == TC_REMOTE_PUT && r->head.key_low == key.low &&
           r->head.key_high == key.high;
}

int tc_remotes_have_put(const struct tc_remotes *list, struct tc_key key)
{
    for (const struct tc_remote *self = list->first; self != NULL; self = self->next) {
        if (is_put_of(self->running, key))
            return 1;
        for (const struct tc_request *r = self->others.first; r != NULL; r = r->next)
            if (is_put_of(r, key))
                return 1;
    }
    return 0;
}

void tc_remote_refuse(struct tc_remote *self, struct tc_key key)
{
    tc_remote_lose(self, key, "as it is larger than 64 MiB");
}

void tc_remotes_remove(struct tc_remotes *list, struct tc_key key)
{
    for (struct tc_remote *self = list->first; self != NULL; self = self->next) {
        struct tc_request *r = self->numbers.kind == TC_STORAGE_FAR && has_room(self, 0)
                                   ? tc_request_new(TC_REMOTE_REMOVE, key, NULL, 0)
                                   : NULL;

        if (r != NULL)
            tc_request_push_other(self, r);
    }
}

static void drop(struct tc_remote *self)
{
    tc_plugin_host_free(&self->host);
    free(self);
}

static void use(struct tc_remotes *list, const struct tc_flat *f, const struct tc_storage *s)
{
    struct tc_far_numbers *n;
    struct tc_remote *self;

    if (tc_remote_of(list, s->remote) != NULL || (self = calloc(1, sizeof *self)) == NULL)
        return;
    *self = (struct tc_remote){.owner = list,
                               .timeout_ms = tc_patient_ms((s->timeout_ns + 999999) / 1000000),
                               .fd = -1,
                               .child_fd = -1};
    self->source = (struct tc_source){TC_SOURCE_REMOTE, self};
    n = &self->numbers;
    *n = (struct tc_far_numbers){.remote = s->remote, .kind = s->kind, .since_ns = tc_wall_ns()};
    (void)snprintf(n->name, sizeof n->name, "%s", tc_flat_str(f, s->name));
    (void)snprintf(self->path, sizeof self->path, "%s", tc_flat_str(f, s->path));
    (void)snprintf(self->function, sizeof self->function, "%s", tc_flat_str(f, s->function));
    if (tc_plugin_host_add_options(&self->host, f, s->options) < 0 ||
        tc_plugin_host_add_options(&self->host, f, s->plugin_options) < 0) {
        drop(self);
        return;
    }
    self->next = list->first;
    list->first = self;
    tc_child_begin(self);
}

static void use_all(struct tc_remotes *list, const struct tc_flat *f, struct tc_span span,
                    uint32_t kind)
{
    const struct tc_storage *s = tc_flat_at(f, span.off, span.count, sizeof *s);

    for (uint32_t i = 0; s != NULL && i < span.count; i++)
        if (s[i].kind == kind && s[i].used)
            use(list, f, &s[i]);
}

void tc_remotes_use(struct tc_remotes *list, const struct tc_flat *config)
{
    const struct tc_config *c = tc_flat_root(config, sizeof *c);

    use_all(list, config, c->storages, TC_STORAGE_FAR);
    use_all(list, config, c->lock_managers, TC_STORAGE_LOCKS);
}

size_t tc_remotes_numbers(const struct tc_remotes *list, struct tc_far_numbers *to, size_t room)
{
    size_t count = 0;

    for (const struct tc_remote *self = list->first; self != NULL && count < room;
         self = self->next) {
        to[count] = self->numbers;
        to[count++].waiting += self->late_count;
    }
    return count;
}

static void tell_numbers(const struct tc_remote *self)
{
    const struct tc_far_numbers *n = &self->numbers;

    if (n->kind == TC_STORAGE_FAR && n->found + n->missed + n->handed_on + n->lost + n->errors != 0)
        tc_log_line(
            self->owner->log, TC_LOG_INFO, TC_R_NONE,
            "storage %s: %llu found, %llu not there, %llu handed on, %llu lost, %llu errors",
            n->name, (unsigned long long)n->found, (unsigned long long)n->missed,
            (unsigned long long)n->handed_on, (unsigned long long)n->lost,
            (unsigned long long)n->errors);
}

void tc_remotes_end(struct tc_remotes *list)
{
    int64_t until = tc_monotonic_ms() + END_MS;

    while (tc_remotes_busy(list) && tc_monotonic_ms() < until) {
        tc_remotes_step(list);
        tc_remotes_tick(list);
        (void)usleep(2000);
    }
    for (struct tc_remote *self = list->first; self != NULL; self = self->next) {
        tc_child_drop_running(self, "as the service ended");
        tc_request_drop_others(self, "as the service ended");
        tc_child_hang_up(self);
        tell_numbers(self);
    }
    tc_jobs_kill(&list->jobs);
    while (list->first != NULL) {
        struct tc_remote *self = list->first;

        list->first = self->next;
        drop(self);
    }
}
