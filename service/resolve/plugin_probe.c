#include "service/resolve/plugin_probe.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cache/task.h"

/* The host that `init` sees in the child. */
struct recording {
    struct taskcache_host host; /* first: what the plugin gives back */
    const struct taskcache_option *options;
    size_t option_count;
    struct tc_plugin_table table;
    int first_error; /* of a registration */
    char first_name[64];
};

static struct recording *recording(const struct taskcache_host *host)
{
    return (struct recording *)(uintptr_t)host;
}

static int noted(struct recording *r, const char *name, int error)
{
    if (error < 0 && r->first_error == 0) {
        r->first_error = error;
        (void)snprintf(r->first_name, sizeof r->first_name, "%.60s", name ? name : "");
    }
    return error;
}

static int add_key(const struct taskcache_host *host, const struct taskcache_key_function *f)
{
    struct recording *r = recording(host);

    return noted(r, f ? f->name : NULL, tc_plugin_add_key(&r->table, f));
}

static int add_codec(const struct taskcache_host *host, const struct taskcache_codec *c)
{
    struct recording *r = recording(host);

    return noted(r, c ? c->name : NULL, tc_plugin_add_codec(&r->table, c));
}

static int add_observer(const struct taskcache_host *host, const struct taskcache_observer *o)
{
    struct recording *r = recording(host);

    return noted(r, o ? o->name : NULL, tc_plugin_add_observer(&r->table, o));
}

static int add_storage(const struct taskcache_host *host, const struct taskcache_storage *s)
{
    struct recording *r = recording(host);

    return noted(r, s ? s->name : NULL, tc_plugin_add_storage(&r->table, s));
}

static int add_lock_manager(const struct taskcache_host *host,
                            const struct taskcache_lock_manager *m)
{
    struct recording *r = recording(host);

    return noted(r, m ? m->name : NULL, tc_plugin_add_lock_manager(&r->table, m));
}

static const struct taskcache_option *option_at(const struct taskcache_host *host, uint32_t i)
{
    const struct recording *r = recording(host);

    return i < r->option_count ? &r->options[i] : NULL;
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
    (void)digest, (void)bytes, (void)count; /* nothing is digested in `init` */
}

static void *allocate(uint64_t bytes)
{
    (void)bytes;
    return NULL;
}

static void begin(struct recording *r)
{
    r->host = (struct taskcache_host){
        .struct_size = sizeof r->host,
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
        .add_storage = add_storage,
        .add_lock_manager = add_lock_manager,
    };
}

static void list(const struct recording *r, struct tc_probed *ret)
{
    ret->observers = r->table.observer_count;
    for (uint32_t i = 0; i < r->table.key_count; i++) {
        struct tc_registered *f = &ret->function[ret->count++];
        (void)snprintf(f->name, sizeof f->name, "%s", r->table.key[i].name);
        f->kind = TC_FUNCTION_KEY;
    }
    for (uint32_t i = 0; i < r->table.codec_count; i++) {
        const struct taskcache_codec *c = &r->table.codec[i];
        struct tc_registered *f = &ret->function[ret->count++];
        (void)snprintf(f->name, sizeof f->name, "%s", c->name);
        f->kind = TC_FUNCTION_CODEC;
        f->data_version = c->data_version;
        f->can_digest = c->digest != NULL;
        f->can_encode = c->encode != NULL;
        f->can_decode = c->decode != NULL;
    }
    for (uint32_t i = 0; i < r->table.storage_count; i++) {
        struct tc_registered *f = &ret->function[ret->count++];
        (void)snprintf(f->name, sizeof f->name, "%s", r->table.storage[i].name);
        f->kind = TC_FUNCTION_STORAGE;
    }
    for (uint32_t i = 0; i < r->table.lock_manager_count; i++) {
        struct tc_registered *f = &ret->function[ret->count++];
        (void)snprintf(f->name, sizeof f->name, "%s", r->table.lock_manager[i].name);
        f->kind = TC_FUNCTION_LOCKS;
    }
}

/* A name that was given twice, or a struct that can't be, is a fault even if the plugin goes on. */
static void say_registration(const struct recording *r, struct tc_probed *ret)
{
    const char *what = r->first_error == -EEXIST   ? "is registered twice"
                       : r->first_error == -ENOSPC ? "is one too many: 64 of a kind are allowed"
                                                   : "can't be registered: its name, its size or "
                                                     "what it lacks";

    (void)snprintf(ret->why, sizeof ret->why, "its function '%s' %s", r->first_name, what);
}

static void run_init(const char *path, struct recording *r, struct tc_probed *ret)
{
    const struct taskcache_plugin *plugin;
    struct taskcache_error error = {0};
    char causes[400];
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    int rc;

    plugin = handle != NULL ? dlsym(handle, "taskcache_plugin") : NULL;
    if (plugin == NULL || plugin->init == NULL) {
        (void)snprintf(ret->why, sizeof ret->why, "it can't be loaded: %.400s", dlerror());
        return;
    }
    begin(r);
    rc = plugin->init(&r->host, &error);
    tc_plugin_causes(&error, causes, sizeof causes);
    if (rc < 0)
        (void)snprintf(ret->why, sizeof ret->why, "its `init` failed: %s%s%s", causes,
                       causes[0] != 0 ? ": " : "", strerror(-rc));
    else if (rc > 0)
        (void)snprintf(ret->why, sizeof ret->why, "its `init` returned %d", rc);
    else if (r->first_error < 0)
        say_registration(r, ret);
    else
        list(r, ret);
}

/* In the child. What it found goes through `fd` in one piece at the end. */
static void child(const char *path, const struct taskcache_option *options, size_t count, int fd,
                  pid_t parent)
{
    struct recording *r = calloc(1, sizeof *r);
    struct tc_probed *found = calloc(1, sizeof *found);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    size_t done = 0;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || r == NULL || found == NULL || null < 0)
        _exit(1);
    for (int i = 0; i < 3; i++)
        (void)dup2(null, i);
    (void)setpgid(0, 0);
    r->options = options;
    r->option_count = count;
    run_init(path, r, found);
    while (done < sizeof *found) {
        ssize_t n = write(fd, (const char *)found + done, sizeof *found - done);
        if (n <= 0)
            _exit(1);
        done += (size_t)n;
    }
    _exit(0);
}

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 1: all of it came; 0: the child ended before; -ETIMEDOUT. */
static int receive(int fd, struct tc_probed *ret)
{
    int64_t until = now_ms() + TC_PROBE_MS;
    size_t done = 0;

    while (done < sizeof *ret) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = until - now_ms();
        ssize_t n;

        if (left <= 0)
            return -ETIMEDOUT;
        if (poll(&p, 1, (int)left) <= 0)
            continue;
        n = read(fd, (char *)ret + done, sizeof *ret - done);
        if (n == 0)
            return 0;
        if (n > 0)
            done += (size_t)n;
    }
    return 1;
}

static void say_end(int came, int status, struct tc_probed *ret)
{
    memset(ret, 0, sizeof *ret);
    if (came < 0)
        (void)snprintf(ret->why, sizeof ret->why, "its `init` took longer than %d s",
                       TC_PROBE_MS / 1000);
    else if (WIFSIGNALED(status))
        (void)snprintf(ret->why, sizeof ret->why, "its `init` crashed: %s",
                       strsignal(WTERMSIG(status)));
    else
        (void)snprintf(ret->why, sizeof ret->why, "its `init` ended the process");
}

int tc_plugin_probe(const char *path, const struct taskcache_option *options, size_t count,
                    struct tc_probed *ret)
{
    pid_t pid, parent = getpid();
    int fd[2], status = 0, came;

    memset(ret, 0, sizeof *ret);
    if (pipe2(fd, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        (void)snprintf(ret->why, sizeof ret->why, "no process for its `init`: %s", strerror(errno));
        return -EPROTO;
    }
    if (pid == 0)
        child(path, options, count, fd[1], parent);
    (void)close(fd[1]);
    came = receive(fd[0], ret);
    (void)close(fd[0]);
    (void)kill(-pid, SIGKILL); /* with what it started */
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (came != 1)
        say_end(came, status, ret);
    if (ret->count > TC_REGISTERED_KINDS * TC_PLUGIN_FUNCTIONS || (came != 1 && ret->why[0] == 0))
        ret->count = 0;
    for (uint32_t i = 0; i < ret->count; i++)
        ret->function[i].name[TC_PLUGIN_NAME_BYTES] = 0;
    ret->why[sizeof ret->why - 1] = 0;
    return ret->why[0] == 0 ? 0 : -EPROTO;
}
