#include "service/observe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/places.h"
#include "service/clock.h"
#include "service/plugin_host.h"

#define MAX_BEGINNINGS 6u
#define EVENT_S        5u
#define END_MS         1000
#define PIPE_BYTES     (1 << 20)

/* What goes through the pipe, whole. */
struct gained {
    struct tc_counters counters;
    int64_t at_ns;
};
_Static_assert(sizeof(struct gained) <= PIPE_BUF, "a message is written whole or not at all");

struct tc_observer {
    struct tc_observer *next;
    struct tc_observers *owner;
    char name[64], path[TC_PATH_BYTES];
    struct tc_file_id id;
    struct tc_plugin_host host;
    int fd, read_fd; /* -1: its child isn't there */
    unsigned beginnings;
};

/* In the child. */
static void notify(const struct tc_plugin_host *o, struct taskcache_event *e)
{
    for (uint32_t i = 0; e->count != 0 && i < o->table.observer_count; i++) {
        const struct taskcache_observer *to = &o->table.observer[i];
        (void)alarm(EVENT_S); /* whose default is the end */
        to->notify(to->data, e);
        (void)alarm(0);
    }
}

static void tell_all(const struct tc_plugin_host *o, const struct gained *g)
{
    const struct tc_counters *c = &g->counters;
    struct taskcache_event e = {.struct_size = sizeof e,
                                .task = c->identity,
                                .at_ns = g->at_ns,
                                .kind = TASKCACHE_HITS,
                                .count = c->hits,
                                .duration_ns = c->saved_ns};

    notify(o, &e);
    e.kind = TASKCACHE_MISSES;
    e.count = c->misses;
    e.duration_ns = c->missed_ns;
    notify(o, &e);
    e.kind = TASKCACHE_STORED;
    e.count = c->stored;
    e.duration_ns = 0;
    notify(o, &e);
    e.kind = TASKCACHE_BYPASSED;
    for (uint32_t r = 0; r < TC_PAGE_REASONS; r++) {
        e.count = c->bypass[r];
        e.reason = tc_reason_info(r)->id;
        notify(o, &e);
    }
}

static int observe(void *arg)
{
    struct tc_observer *self = arg;
    struct taskcache_error error = {0};
    struct gained g;
    int r;

    (void)alarm(EVENT_S);
    r = tc_plugin_host_load(&self->host, self->path, &error);
    (void)alarm(0);
    while (r == 0) {
        ssize_t n = read(self->read_fd, &g, sizeof g);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof g)
            break; /* the service has closed it */
        g.counters.identity[sizeof g.counters.identity - 1] = 0;
        tell_all(&self->host, &g);
    }
    return r;
}

/* In the service. */
static void on_end(void *ctx, int status)
{
    struct tc_observer *self = ctx;

    if (self->fd >= 0)
        (void)close(self->fd);
    self->fd = -1;
    tc_log_line(self->owner->log, TC_LOG_WARN, TC_R_PLUGIN_OBSERVER, "plugin %s: %s%s", self->name,
                status == TC_JOB_CRASHED ? "its observer crashed, or took longer than 5 s"
                                         : "its observer ended",
                self->beginnings < MAX_BEGINNINGS ? "; it is begun again" : "; it stays off");
}

static void start(struct tc_observer *self)
{
    struct tc_job_spec spec = {.run = observe,
                               .arg = self,
                               .done = on_end,
                               .ctx = self,
                               .cpu_s = 86400,
                               .wall_ms = INT_MAX};
    int ends[2];

    self->beginnings++;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    self->read_fd = spec.keep_fd = ends[0];
    if (tc_job_start(&self->owner->jobs, &spec) == 0)
        self->fd = ends[1];
    else
        (void)close(ends[1]);
    (void)close(ends[0]);
    self->read_fd = -1;
}

static void drop(struct tc_observer *self)
{
    tc_plugin_host_free(&self->host);
    free(self);
}

static void use(struct tc_observers *o, const struct tc_flat *f, const struct tc_plugin_file *file)
{
    struct tc_observer *self;
    const char *path = tc_flat_str(f, file->path);

    for (self = o->first; self != NULL; self = self->next)
        if (strcmp(self->path, path) == 0 && memcmp(&self->id, &file->id, sizeof file->id) == 0)
            return;
    self = calloc(1, sizeof *self);
    if (self == NULL)
        return;
    *self = (struct tc_observer){.owner = o, .id = file->id, .fd = -1, .read_fd = -1};
    (void)snprintf(self->name, sizeof self->name, "%s", tc_flat_str(f, file->name));
    (void)snprintf(self->path, sizeof self->path, "%s", path);
    if (tc_plugin_host_add_options(&self->host, f, file->options) < 0) {
        drop(self);
        return;
    }
    self->next = o->first;
    o->first = self;
    start(self);
}

void tc_observers_use(struct tc_observers *o, const struct tc_flat *config)
{
    const struct tc_config *c = tc_flat_root(config, sizeof *c);
    const struct tc_plugin_file *p =
        tc_flat_at(config, c->plugins.off, c->plugins.count, sizeof *p);

    for (uint32_t i = 0; p != NULL && i < c->plugins.count; i++)
        if (p[i].observers != 0)
            use(o, config, &p[i]);
}

void tc_observers_tell(void *observers, const struct tc_counters *gained)
{
    struct tc_observers *o = observers;
    struct gained g = {.counters = *gained, .at_ns = tc_wall_ns()};

    for (struct tc_observer *self = o->first; self != NULL; self = self->next)
        if (self->fd >= 0 && write(self->fd, &g, sizeof g) != (ssize_t)sizeof g)
            o->dropped++;
}

void tc_observers_tick(struct tc_observers *o)
{
    tc_jobs_reap(&o->jobs);
    for (struct tc_observer *self = o->first; self != NULL; self = self->next)
        if (self->fd < 0 && self->beginnings < MAX_BEGINNINGS)
            start(self);
}

void tc_observers_end(struct tc_observers *o)
{
    int64_t until = tc_monotonic_ms() + END_MS;

    for (struct tc_observer *self = o->first; self != NULL; self = self->next) {
        if (self->fd >= 0)
            (void)close(self->fd);
        self->fd = -1;
        self->beginnings = MAX_BEGINNINGS;
    }
    while (tc_jobs_running(&o->jobs) && tc_monotonic_ms() < until) {
        tc_jobs_forget(&o->jobs);
        (void)usleep(2000);
    }
    tc_jobs_kill(&o->jobs);
    while (o->first != NULL) {
        struct tc_observer *self = o->first;
        o->first = self->next;
        drop(self);
    }
}
