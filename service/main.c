/* taskcached: see docs/service.md. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/daemon.h"
#include "service/describe_plugin.h"
#include "service/describe_source.h"
#include "service/rpc/far.h"

/* The one line for who started us, and the descriptor's end. */
static void say(int *fd, const char *line)
{
    if (*fd < 0)
        return;
    if (write(*fd, line, strlen(line)) < 0)
        (void)0;
    (void)close(*fd);
    *fd = -1;
}

static void give_up(struct tc_service *s, const struct tc_failure *f)
{
    char line[700];

    (void)snprintf(line, sizeof line, "error %s %s\n", tc_reason_info(f->reason)->id, f->text);
    if (s->options.foreground)
        (void)fprintf(stderr, "taskcached: %s", line);
    if (s->log.dirfd >= 0)
        tc_log_line(&s->log, TC_LOG_ERROR, f->reason, "%s", f->text);
    say(&s->options.ready_fd, line);
}

static char *absolute(const char *path)
{
    char *cwd, *joined;
    size_t bytes;

    if (path[0] == '/')
        return strdup(path);
    cwd = getcwd(NULL, 0);
    if (cwd == NULL)
        return NULL;
    bytes = strlen(cwd) + strlen(path) + 2;
    joined = malloc(bytes);
    if (joined != NULL)
        (void)snprintf(joined, bytes, "%s/%s", cwd, path);
    free(cwd);
    return joined;
}

/* An edit of the config that we were started with changes the limit. */
static void on_compiled(void *ctx, const struct tc_flat *flat)
{
    struct tc_service *s = ctx;
    const struct tc_config *c = tc_flat_root(flat, sizeof *c);

    if (s->config[0] != 0 && strcmp(tc_flat_str(flat, c->path), s->config) == 0)
        tc_store_set_limit(s->store, c->max_size_bytes);
    tc_observers_use(&s->observers, flat);
    tc_remotes_use(&s->remotes, flat);
}

static int open_places(struct tc_service *s, uint64_t *ret_max_size, struct tc_failure *f)
{
    struct tc_flat_file config = {.map = NULL};
    const char *cache_path = "";
    int r = tc_dirs_open_runtime(&s->dirs, f);

    *ret_max_size = s->options.max_size_bytes;
    if (r == 0 && s->options.config != NULL) {
        r = tc_compile_now(&s->compiler, s->options.config, &config, f);
        if (r == 0) {
            const struct tc_config *c = tc_flat_root(&config.flat, sizeof *c);

            cache_path = tc_flat_str(&config.flat, c->cache_path);
            *ret_max_size = c->max_size_bytes;
            (void)tc_join(s->config, sizeof s->config, tc_flat_str(&config.flat, c->path), NULL,
                          NULL, NULL);
        }
    }
    if (r == 0)
        r = tc_dirs_open_cache(&s->dirs, s->options.cache, cache_path, f);
    tc_flat_file_close(&config);
    s->log.dirfd = s->dirs.cache_fd;
    return r;
}

/* 1: ready to serve; 0: another one serves. */
static int begin(struct tc_service *s, struct tc_failure *f)
{
    static char page[TC_PATH_BYTES];
    struct tc_store_options o = {.log = &s->log};
    int r = open_places(s, &o.max_size_bytes, f);

    if (r == 0)
        r = tc_instance_take(s, f);
    if (r <= 0)
        return r;
    o.cache = s->dirs.cache;
    o.cache_fd = s->dirs.cache_fd;
    o.cache_dev = s->dirs.cache_dev;
    o.cache_ino = s->dirs.cache_ino;
    o.page_path = page;
    o.gained = tc_observers_tell;
    o.ctx = &s->observers;
    r = tc_page_path(s->dirs.runtime, s->dirs.id, page, sizeof page);
    if (r < 0)
        return tc_fail(f, TC_R_NO_RUNTIME_DIR, -r, "its name is too long");
    /* Who sees the shared page ready finds the socket, too. */
    r = tc_server_listen(s, f);
    if (r == 0)
        r = tc_store_open(&o, &s->store, f);
    if (r == 0 && tc_lock_table_open(s->store, &s->locks[TC_LOCKS_OF_SERVICE]) < 0)
        r = tc_fail(f, TC_R_SERVICE_FAILED, ENOMEM, "no memory for locks");
    if (r == 0 && tc_lock_far_open(s->store, &s->locks[TC_LOCKS_OF_SERVICE], &s->remotes,
                                   &s->locks[TC_LOCKS_OF_PLUGIN]) < 0)
        r = tc_fail(f, TC_R_SERVICE_FAILED, ENOMEM, "no memory for locks");
    return r < 0 ? r : 1;
}

/* Who told us to end is hung up on last: then all is stored, handed on, told and logged. The lock
 * goes with the process. */
static void end(struct tc_service *s)
{
    tc_server_hang_up(s);
    tc_remotes_end(&s->remotes);
    tc_jobs_kill(&s->jobs);
    tc_compiler_free(&s->compiler);
    tc_planner_free(&s->planner);
    tc_batch_cancel(s);
    tc_transactions_free(s);
    tc_lock_managers_close(s->locks);
    tc_store_close(s->store);
    tc_observers_end(&s->observers);
    tc_dirs_close(&s->dirs);
    tc_server_close(s);
}

static void begin_struct(struct tc_service *s)
{
    s->dirs.runtime_fd = s->dirs.cache_fd = -1;
    s->lock_fd = s->epoll_fd = s->listen_fd = s->signal_fd = s->log.dirfd = -1;
    s->log.to_stderr = s->options.foreground;
    s->observers.log = &s->log;
    tc_far_init(s);
    s->compiler.dirs = &s->dirs;
    s->compiler.log = &s->log;
    s->compiler.jobs = &s->jobs;
    s->compiler.compiled = on_compiled;
    s->compiler.ctx = s;
    s->planner.compiler = &s->compiler;
}

/* The observers of the config that we were started with. */
static void use_config(struct tc_service *s)
{
    struct tc_flat_file config;
    struct tc_file_id id;
    struct stat st;

    if (s->config[0] == 0 || stat(s->config, &st) < 0)
        return;
    id = tc_file_id_of(&st);
    if (tc_compiled_open(&s->dirs, s->config, &id, &config) < 0)
        return;
    tc_observers_use(&s->observers, &config.flat);
    tc_remotes_use(&s->remotes, &config.flat);
    tc_flat_file_close(&config);
}

static int serve(struct tc_service *s)
{
    struct tc_failure f = {.text = ""};
    int r;

    begin_struct(s);
    if (chdir("/") < 0)
        return 1;
    r = begin(s, &f);
    if (r < 0)
        give_up(s, &f);
    else
        say(&s->options.ready_fd, "ok\n");
    if (r == 1) {
        use_config(s);
        tc_service_run(s);
    }
    end(s);
    return r < 0;
}

static int parse(struct tc_options *o, int argc, char **argv)
{
    struct tc_failure f;

    if (tc_options_parse(o, argc, argv, &f) < 0) {
        (void)fprintf(stderr, "taskcached: %s\n%s", f.text, tc_options_help());
        return 2;
    }
    if (o->show_help)
        (void)fputs(tc_options_help(), stdout);
    else if (o->show_version)
        (void)puts("taskcached " TC_VERSION);
    return 0;
}

int main(int argc, char **argv)
{
    static struct tc_service service;
    struct tc_options *o = &service.options;
    char *config = NULL, *cache = NULL;
    int r = parse(o, argc, argv);

    if (r != 0 || o->show_help || o->show_version)
        return r;
    if (o->plugin != NULL)
        return tc_describe_plugin(o->plugin, stdout);
    if (o->source != NULL)
        return tc_describe_source(o->source, stdin, stdout);
    if (!o->foreground)
        tc_daemon_shed_preloads(argv);
    tc_daemon_clean(o->ready_fd);
    if (o->config != NULL)
        o->config = config = absolute(o->config);
    if (o->cache != NULL)
        o->cache = cache = absolute(o->cache);
    if (!o->foreground) {
        tc_daemon_detach(o->ready_fd < 0, &o->ready_fd);
        tc_daemon_silence();
    }
    r = serve(&service);
    free(config);
    free(cache);
    return r;
}
