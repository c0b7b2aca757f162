#include "service/resolve/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/resolve/config_parts.h"
#include "service/resolve/config_problem.h"
#include "service/resolve/trust.h"

#define MAX_CONFIG_BYTES (4u << 20)
#define DEFAULT_MAX_SIZE (10ull << 30)

char *tc_config_print(struct tc_load *l, const char *format, ...)
{
    char *text = NULL;
    va_list list;
    int n;

    va_start(list, format);
    n = vsnprintf(NULL, 0, format, list);
    va_end(list);
    if (n >= 0)
        text = tc_yaml_alloc(&l->yaml, (size_t)n + 1);
    if (text == NULL) {
        l->no_memory = 1;
        return NULL;
    }
    va_start(list, format);
    (void)vsnprintf(text, (size_t)n + 1, format, list);
    va_end(list);
    return text;
}

const char *tc_config_relative(struct tc_load *l, const struct tc_yaml_node *n)
{
    const char *slash = strrchr(l->path, '/');

    if (n->text[0] == '/')
        return n->text;
    if (n->text[0] == '~' && (n->text[1] == '/' || n->text[1] == 0)) {
        if (l->options->home != NULL && l->options->home[0] == '/')
            return tc_config_print(l, "%s%s", l->options->home, n->text + 1);
        tc_problem_in(l, TC_SEV_ERROR, TC_R_BAD_VALUE, n, 0, "an absolute path",
                      "there is no home directory for '~'");
        return NULL;
    }
    return tc_config_print(l, "%.*s/%s", slash ? (int)(slash - l->path) : 0, l->path,
                           strncmp(n->text, "./", 2) == 0 ? n->text + 2 : n->text);
}

static struct tc_file_id file_id(const struct stat *st)
{
    return (struct tc_file_id){
        .dev = st->st_dev,
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
        .ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
    };
}

void tc_config_depends_id(struct tc_load *l, const char *path, const struct tc_file_id *id)
{
    if (l->dep_count == TC_MAX_DEPS)
        return;
    l->deps[l->dep_count].path = tc_flat_add_str(l->out, path);
    l->deps[l->dep_count++].id = *id;
}

/* A path that isn't there is remembered with an identity of zeroes. */
void tc_config_depends(struct tc_load *l, const char *path)
{
    struct tc_file_id id = {0};
    struct stat st;

    if (stat(path, &st) == 0)
        id = file_id(&st);
    tc_config_depends_id(l, path, &id);
}

int tc_config_check_trust(struct tc_load *l, const char *path, const struct tc_yaml_node *n)
{
    char culprit[PATH_MAX] = "";
    int r = tc_trusted(path, l->options->uid, culprit, sizeof culprit);

    if (r == 0)
        return 0;
    if (r != -EPERM)
        (void)snprintf(culprit, sizeof culprit, "%s", path);
    /* A chmod of a directory must be seen, though it doesn't touch the config. */
    tc_config_depends(l, culprit);
    if (n != NULL)
        tc_problem_in(l, TC_SEV_ERROR, TC_R_UNTRUSTED, n, 0, NULL,
                      "somebody else could change '%.200s'", culprit);
    else
        tc_problem_file(l, TC_SEV_ERROR, TC_R_UNTRUSTED, l->subject, NULL,
                        "somebody else could change '%.200s'", culprit);
    return -EPERM;
}

static int unreadable(struct tc_load *l, const char *why)
{
    tc_problem_file(l, TC_SEV_ERROR, TC_R_CONFIG_UNREADABLE, l->subject, NULL,
                    "the config can't be read: %s", why);
    return -EINVAL;
}

static int read_all(int fd, char *buffer, size_t bytes, size_t *ret_bytes)
{
    size_t at = 0;

    while (at < bytes) {
        ssize_t n = read(fd, buffer + at, bytes - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        at += (size_t)n;
    }
    *ret_bytes = at;
    return 0;
}

/* The text as it was when it had the identity l->id: an editor that writes in between makes us
 * read again. */
static int read_stable(struct tc_load *l, int fd, char **ret_text, size_t *ret_bytes)
{
    for (int attempt = 0; attempt < 5; attempt++) {
        struct stat before, after;
        struct tc_file_id after_id;
        char *text;
        int r;

        if (fstat(fd, &before) < 0)
            return unreadable(l, strerror(errno));
        if (!S_ISREG(before.st_mode))
            return unreadable(l, "it isn't a regular file");
        if (before.st_size > MAX_CONFIG_BYTES)
            return unreadable(l, "it is larger than 4 MiB");
        l->id = file_id(&before);
        text = tc_yaml_alloc(&l->yaml, (size_t)before.st_size + 1);
        if (text == NULL) {
            l->no_memory = 1;
            return -ENOMEM;
        }
        r = lseek(fd, 0, SEEK_SET) < 0 ? -errno
                                       : read_all(fd, text, (size_t)before.st_size, ret_bytes);
        if (r < 0)
            return unreadable(l, strerror(-r));
        *ret_text = text;
        after_id = fstat(fd, &after) == 0 ? file_id(&after) : l->id;
        if (memcmp(&after_id, &l->id, sizeof after_id) == 0)
            break;
    }
    return 0;
}

/* Opens the file that was found trusted, and no other that took its place. */
static int open_config(struct tc_load *l)
{
    struct stat named, opened;
    int fd;

    if (realpath(l->subject, l->path) == NULL) {
        l->path[0] = 0;
        return unreadable(l, strerror(errno));
    }
    if (tc_config_check_trust(l, l->path, NULL) < 0)
        return -EPERM;
    fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
    if (fd < 0)
        return unreadable(l, strerror(errno));
    if (stat(l->path, &named) < 0 || fstat(fd, &opened) < 0 || named.st_dev != opened.st_dev ||
        named.st_ino != opened.st_ino) {
        close(fd);
        return unreadable(l, "it is being replaced");
    }
    return fd;
}

static void hide(struct tc_load *l, const struct tc_yaml_node *n)
{
    for (size_t i = n->start; i < n->end; i++)
        if (l->shown[i] != '\n')
            l->shown[i] = '*';
}

/* Messages show lines of the file, and they go into logs: not the passwords in it. */
static void hide_secrets(struct tc_load *l, const struct tc_yaml_node *n)
{
    for (n = n ? n->first : NULL; n != NULL; n = n->next) {
        if (n->kind == TC_YAML_TEXT && n->key != NULL &&
            (strcmp(n->key, "secret") == 0 || strcmp(n->key, "url") == 0))
            hide(l, n);
        hide_secrets(l, n);
    }
}

static void report_yaml(void *ctx, const struct tc_text_error *e)
{
    struct tc_load *l = ctx;

    tc_problem_at(l, TC_SEV_ERROR, e->reason, e->at, e->remedy, "%s", e->sentence);
}

static void load_text(struct tc_load *l, const char *text, size_t bytes)
{
    const struct tc_yaml_node *plugins, *tasks;

    l->shown = tc_yaml_alloc(&l->yaml, bytes + 1);
    if (l->shown == NULL) {
        l->no_memory = 1;
        return;
    }
    memcpy(l->shown, text, bytes);
    if (tc_yaml_parse(text, bytes, report_yaml, l, &l->yaml) < 0) {
        l->no_memory = 1;
        return;
    }
    if (l->yaml.root == NULL && l->errors > 0)
        return;
    hide_secrets(l, l->yaml.root);
    tc_read_top(l, &plugins, &tasks);
    tc_read_plugins(l, plugins);
    tc_compile_far_storages(l);
    tc_compile_lock_managers(l);
    tc_compile_tasks(l, tasks);
    if (l->task_count == 0 && l->errors == 0) {
        int named = tasks != NULL && tasks->count > 0; /* what is wrong with them was told */

        tc_problem_file(l, TC_SEV_NOTE, TC_R_NO_TASKS, l->subject, named ? "" : NULL, "%s",
                        named ? "no task is left: nothing will be cached"
                              : tc_reason_info(TC_R_NO_TASKS)->sentence);
    }
    tc_compile_flows(l);
}

static void load(struct tc_load *l)
{
    int fd = open_config(l);
    size_t bytes = 0;
    char *text = NULL;

    if (fd < 0)
        return;
    if (read_stable(l, fd, &text, &bytes) == 0 && text != NULL)
        load_text(l, text, bytes);
    close(fd);
}

static int finish(struct tc_load *l)
{
    struct tc_config *root;
    struct tc_hash128 digest = tc_hash_end128(l->resolve);

    l->config.path = tc_flat_add_str(l->out, l->path[0] ? l->path : l->subject);
    l->config.id = l->id;
    for (int i = 0; i < 8; i++) {
        l->config.resolve_digest[i] = (uint8_t)(digest.high >> (56 - 8 * i));
        l->config.resolve_digest[8 + i] = (uint8_t)(digest.low >> (56 - 8 * i));
    }
    l->config.tasks = tc_flat_add(l->out, l->tasks, l->task_count, sizeof l->tasks[0]);
    l->config.deps = tc_flat_add(l->out, l->deps, l->dep_count, sizeof l->deps[0]);
    l->config.problems = tc_flat_add(l->out, l->problems, l->problem_count, sizeof l->problems[0]);
    l->config.lock_managers =
        tc_flat_add(l->out, l->lock_managers, l->lock_count, sizeof l->lock_managers[0]);
    l->config.storages = tc_flat_add(l->out, l->storages, l->storage_count, sizeof l->storages[0]);
    l->config.errors = l->errors;
    l->config.warnings = l->warnings;
    l->config.plugins = tc_list_plugin_files(l);
    root = tc_flat_builder_root(l->out);
    if (l->no_memory || root == NULL)
        return -ENOMEM;
    *root = l->config;
    return tc_flat_builder_finish(l->out);
}

int tc_config_compile(const char *path, const struct tc_config_options *o,
                      struct tc_flat_builder *out)
{
    struct tc_hash_state resolve;
    struct tc_load *l = calloc(1, sizeof *l);
    int r;

    tc_flat_builder_init(out, TC_FLAT_CONFIG, sizeof(struct tc_config));
    if (l == NULL)
        return -ENOMEM;
    l->options = o;
    l->subject = path;
    l->out = out;
    l->resolve = &resolve;
    l->plugin_tail = &l->plugin_tasks;
    l->config.max_size_bytes = DEFAULT_MAX_SIZE;
    tc_hash_begin(&resolve, 0);
    load(l);
    r = finish(l);
    tc_yaml_free(&l->yaml);
    free(l);
    return r;
}
