#include "service/observe.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/places.h"
#include "cache/plugin_table.h"
#include "service/clock.h"

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
    struct taskcache_option *options;
    size_t option_count;
    int fd, read_fd; /* -1: its child isn't there */
    unsigned beginnings;
};

/* In the child. */
struct observing {
    struct taskcache_host host; /* first */
    const struct tc_observer *self;
    struct tc_plugin_table table;
};

static struct observing *observing(const struct taskcache_host *host)
{
    return (struct observing *)(uintptr_t)host;
}

static int add_key(const struct taskcache_host *host, const struct taskcache_key_function *f)
{
    return tc_plugin_add_key(&observing(host)->table, f);
}

static int add_codec(const struct taskcache_host *host, const struct taskcache_codec *c)
{
    return tc_plugin_add_codec(&observing(host)->table, c);
}

static int add_observer(const struct taskcache_host *host, const struct taskcache_observer *o)
{
    return tc_plugin_add_observer(&observing(host)->table, o);
}

static const struct taskcache_option *option_at(const struct taskcache_host *host, uint32_t i)
{
    const struct tc_observer *self = observing(host)->self;

    return i < self->option_count ? &self->options[i] : NULL;
}

static const struct taskcache_option *option(const struct taskcache_host *host, const char *name)
{
    const struct taskcache_option *o;

    for (uint32_t i = 0; (o = option_at(host, i)) != NULL; i++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

static void add(struct taskcache_digest *digest, const void *bytes, uint64_t count)
{
    (void)digest, (void)bytes, (void)count;
}

static void *allocate(uint64_t bytes)
{
    return malloc(bytes);
}

static void notify(const struct observing *o, struct taskcache_event *e)
{
    for (uint32_t i = 0; e->count != 0 && i < o->table.observer_count; i++) {
        const struct taskcache_observer *to = &o->table.observer[i];
        (void)alarm(EVENT_S); /* whose default is the end */
        to->notify(to->data, e);
        (void)alarm(0);
    }
}

static void tell_all(const struct observing *o, const struct gained *g)
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

static int load(struct observing *o)
{
    const struct taskcache_plugin *plugin;
    struct taskcache_error error = {0};
    void *handle = dlopen(o->self->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    plugin = handle != NULL ? dlsym(handle, "taskcache_plugin") : NULL;
    if (plugin == NULL || plugin->init == NULL)
        return -ENOEXEC;
    o->host = (struct taskcache_host){
        .struct_size = sizeof o->host,
        .abi_major = TASKCACHE_ABI_MAJOR,
        .abi_minor = TASKCACHE_ABI_MINOR,
        .add_key_function = add_key,
        .add_codec = add_codec,
        .option = option,
        .option_at = option_at,
        .cause = tc_plugin_cause,
        .add = add,
        .allocate = allocate,
        .release = free,
        .add_observer = add_observer,
    };
    return plugin->init(&o->host, &error) == 0 ? 0 : -EPROTO;
}

static int observe(void *arg)
{
    struct observing *o = calloc(1, sizeof *o);
    struct gained g;
    int r;

    if (o == NULL)
        return -ENOMEM;
    o->self = arg;
    (void)alarm(EVENT_S);
    r = load(o);
    (void)alarm(0);
    while (r == 0) {
        ssize_t n = read(o->self->read_fd, &g, sizeof g);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof g)
            break; /* the service has closed it */
        g.counters.identity[sizeof g.counters.identity - 1] = 0;
        tell_all(o, &g);
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

static int copy_options(const struct tc_flat *f, struct tc_span s, struct tc_observer *self)
{
    const struct tc_plugin_option *o = tc_flat_at(f, s.off, s.count, sizeof *o);

    self->options = calloc(s.count + 1, sizeof *self->options);
    if (self->options == NULL || o == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < s.count; i++) {
        self->options[i].name = strdup(tc_flat_str(f, o[i].name));
        self->options[i].text = strdup(tc_flat_str(f, o[i].text));
        self->options[i].kind = o[i].kind;
        self->options[i].integer = o[i].integer;
        memcpy(&self->options[i].real, &o[i].real_bits, sizeof o[i].real_bits);
        if (self->options[i].name == NULL || self->options[i].text == NULL)
            return -ENOMEM;
        self->option_count++;
    }
    return 0;
}

static void drop(struct tc_observer *self)
{
    for (size_t i = 0; i < self->option_count; i++) {
        free((char *)(uintptr_t)self->options[i].name);
        free((char *)(uintptr_t)self->options[i].text);
    }
    free(self->options);
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
    if (copy_options(f, file->options, self) < 0) {
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
